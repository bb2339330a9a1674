"""What is known of execution providers, beside what the installed onnxruntime says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.activations import Activation
from converter.compare.files import graph_nodes
from converter.compare.providers import CPU, PROVIDERS, GraphNode, forecast, provider_names
from converter.compare.timings import Node, Row
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
    assert forecast(written(Cell.LSTM), "openvino") is None
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
