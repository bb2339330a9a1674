"""What is known of execution providers, beside what the installed onnxruntime says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.activations import Activation
from converter.compare.files import graph_nodes
from converter.compare.providers import (
    CPU,
    PROVIDERS,
    Forecast,
    GraphNode,
    forecast,
    provider_names,
)
from converter.compare.timings import Node, Row
from converter.description import Merge
from converter.gates import Cell
from converter.targets.onnx import write_graph
from tests.models_by_hand import Maker, chain

CUDA = PROVIDERS["cuda"].name


def test_the_names_are_those_of_the_installed_onnxruntime() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    every = set(onnxruntime.get_all_providers())
    known = {one.name for one in PROVIDERS.values()}
    gone = {"ROCMExecutionProvider"}  # of older versions
    assert known - every <= gone
    assert "AzureExecutionProvider" in every  # elsewhere: never tried
    assert provider_names(tuple(onnxruntime.get_available_providers()))[0] == "cpu"


def written(cell: Cell, **activations: Activation) -> GraphNode:
    """The node of a layer, as the target writes it."""
    model = chain(Maker().recurrent("layer", cell, 3, 4, activations=activations))
    return graph_nodes(write_graph(model))["layer"]


HARD = Activation.of("hard_sigmoid", alpha=0.2)


@pytest.mark.parametrize("cell", [Cell.LSTM, Cell.GRU, Cell.RNN])
def test_cuda_takes_the_usual_cells(cell: Cell) -> None:
    found = forecast(written(cell), "cuda")
    assert found is not None
    assert (found.provider, found.reason) == (CUDA, "")


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (written(Cell.GRU_RESET_BEFORE), "cuDNN has GRU with the reset after the product alone"),
        (
            written(Cell.RNN, activation=Activation.of("relu")),
            "cuDNN has RNN with tanh, not relu",
        ),
        (
            written(Cell.LSTM, recurrent_activation=HARD),
            "cuDNN has LSTM with sigmoid, tanh, tanh, not hardsigmoid, tanh",
        ),
        (
            replace(written(Cell.LSTM), parameters=True),
            "cuDNN has no activation with alpha or beta",
        ),
    ],
    ids=["reset before", "relu", "hard sigmoid", "alpha"],
)
def test_cuda_leaves_the_others_to_the_cpu(node: GraphNode, reason: str) -> None:
    found = forecast(node, "cuda")
    assert found is not None
    assert (found.provider, found.reason) == (CPU, reason)


def test_a_gru_says_which_it_is() -> None:
    # Where it does not, the CUDA provider takes it for the one with the reset after.
    for cell, expected in ((Cell.GRU, 1), (Cell.GRU_RESET_BEFORE, 0)):
        model = chain(Maker().recurrent("layer", cell, 3, 4))
        (node,) = (one for one in write_graph(model).proto.graph if one.op_type == "GRU")
        assert node.attributes["linear_before_reset"].as_int() == expected


def test_nothing_is_forecast_where_nothing_is_known() -> None:
    assert forecast(written(Cell.LSTM), "qnn") is None
    assert forecast(GraphNode("a", "Scan"), "cuda") is None


def row(*nodes: Node, device: str = CUDA) -> Row:
    return Row(name="onnxruntime:cuda", device=device, nodes=nodes)


LSTM_ON_CPU = Node(name="lstm", kind="LSTM", provider=CPU)


def test_a_recurrent_node_on_the_cpu_is_a_fallback_and_another_node_is_none() -> None:
    gather = Node(name="last", kind="Gather", provider=CPU)
    there = Node(name="lstm", kind="LSTM", provider=CUDA)
    assert row(LSTM_ON_CPU, gather).fallbacks == (LSTM_ON_CPU,)
    assert not row(LSTM_ON_CPU).placed
    assert row(there, gather).fallbacks == ()
    assert row(there, gather).placed
    assert row(LSTM_ON_CPU, device=CPU).fallbacks == ()


def test_a_forecast_is_held_against_what_happened() -> None:
    taken = forecast(written(Cell.LSTM), "cuda")
    wrong = replace(LSTM_ON_CPU, forecast=taken)
    right = replace(wrong, provider=CUDA)
    assert row(wrong, right).surprises == (wrong,)


@pytest.mark.parametrize("provider", ["tensorrt", "openvino", "directml"])
@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
def test_what_a_provider_lists_is_expected_there(cell: Cell, provider: str) -> None:
    assert forecast(written(cell), provider) == Forecast(PROVIDERS[provider].name)


@pytest.mark.parametrize(
    ("provider", "kind"), [("coreml", "LSTM"), ("openvino", "Scan"), ("directml", "Scan")]
)
def test_what_it_does_not_list_is_expected_on_the_cpu(provider: str, kind: str) -> None:
    name = PROVIDERS[provider].name
    found = forecast(GraphNode("layer", kind), provider)
    assert found == Forecast(CPU, f"{name} does not list {kind}")
    assert forecast(GraphNode("layer", "Gemm"), provider) is None


def test_tensorrt_has_the_same_activations_both_ways() -> None:
    alike = GraphNode("layer", "GRU", ("HardSigmoid", "Tanh") * 2, both=True)
    assert forecast(alike, "tensorrt") == Forecast(PROVIDERS["tensorrt"].name)
    other = replace(alike, activations=("Sigmoid", "Tanh", "HardSigmoid", "Tanh"))
    reason = "TensorRT has one set of activations for both directions"
    assert forecast(other, "tensorrt") == Forecast(CPU, reason)
    model = chain(Maker().lstm("layer", 3, 4, merge=Merge.CONCAT))
    assert graph_nodes(write_graph(model))["layer"].both
