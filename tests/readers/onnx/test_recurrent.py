"""Every attribute and input of LSTM, GRU and RNN: what is read answers as onnxruntime does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper

import converter
from converter.description import Merge, Recurrent
from converter.errors import UnsupportedError
from converter.targets.keras import write_model
from converter.targets.onnx import write_graph
from tests.readers.onnx.nodes import distance, graph, ran

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
T, B, F, H = 5, 3, 4, 2

FLOAT32 = 1e-6
"""Of the largest output, over five steps: measured below 4e-7."""


def node(
    kind: str, *, inputs: str = "WRB", outputs: str = "Yhc", lengths: bool = False, **given: Any
) -> tuple[bytes, list[np.ndarray]]:
    """A file of one node, and inputs for it.

    Args:
        kind: Of the node.
        inputs: Those that it has: of its weights, and h and c for initial states.
        outputs: Those of Y, Y_h, Y_c that it gives.
        lengths: It has sequence_lens.
        given: Its attributes.
    """
    generator = np.random.default_rng(len(kind) + len(given))
    directions = 2 if given.get("direction") == "bidirectional" else 1
    batch_first = given.get("layout", 0)
    gates = GATES[kind]

    def drawn(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    stored = {
        "W": drawn(directions, gates * H, F),
        "R": drawn(directions, gates * H, H),
        "B": drawn(directions, 2 * gates * H),
        "P": drawn(directions, 3 * H),
    }
    stored = {name: array for name, array in stored.items() if name in inputs}
    state = (B, directions, H) if batch_first else (directions, B, H)
    described: dict[str, Any] = {"X": (B, T, F) if batch_first else (T, B, F)}
    arrays = [drawn(*described["X"])]
    names = ["X", "W", "R", "B" if "B" in inputs else ""]
    if lengths:
        described["lengths"] = ([B], "int32")
        arrays.append(np.array([5, 2, 1], np.int32))
    names.append("lengths" if lengths else "")
    for letter in "hc" if kind == "LSTM" else "h":
        if letter in inputs:
            described[letter] = state
            arrays.append(drawn(*state))
        names.append(letter if letter in inputs else "")
    names += ["P"] if "P" in inputs else []
    every = {"Y": None, "h": None, "c": None}
    wanted = {f"out_{name}": None for name in every if name in outputs}
    results = [f"out_{name}" if name in outputs else "" for name in every]
    results = results if kind == "LSTM" else results[:2]
    wanted = {name: shape for name, shape in wanted.items() if name in results}
    own = helper.make_node(kind, names, results, hidden_size=H, **given)
    return graph([own], described, wanted, stored), arrays


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    f"{kind} {way}": (kind, {"direction": way})
    for kind in GATES
    for way in ("forward", "reverse", "bidirectional")
}
CASES |= {
    "GRU after": ("GRU", {"linear_before_reset": 1}),
    "GRU after, two": ("GRU", {"linear_before_reset": 1, "direction": "bidirectional"}),
    "no bias": ("LSTM", {"inputs": "WR"}),
    "states": ("LSTM", {"inputs": "WRBhc"}),
    "states, two": ("LSTM", {"inputs": "WRBhc", "direction": "bidirectional"}),
    "h alone": ("LSTM", {"inputs": "WRBh"}),
    "GRU states": ("GRU", {"inputs": "WRBh", "direction": "reverse"}),
    "Y": ("LSTM", {"outputs": "Y"}),
    "Y_c": ("LSTM", {"outputs": "c"}),
    "Y_h, two": ("GRU", {"outputs": "h", "direction": "bidirectional"}),
    "lengths": ("LSTM", {"lengths": True}),
    "lengths, two": ("GRU", {"lengths": True, "direction": "bidirectional"}),
    "lengths, Y_h": ("LSTM", {"lengths": True, "outputs": "h", "direction": "reverse"}),
    "lengths, states": ("LSTM", {"lengths": True, "inputs": "WRBhc"}),
    "hard sigmoid": (
        "LSTM",
        {
            "activations": ["HardSigmoid", "Softsign", "Softsign"],
            "activation_alpha": [0.2],
            "activation_beta": [0.5],
        },
    ),
    "numbers in order": (
        "GRU",
        {
            "activations": ["HardSigmoid", "LeakyRelu", "HardSigmoid", "Elu"],
            "activation_alpha": [0.3, 0.1, 0.25, 0.7],
            "activation_beta": [0.4, 0.6],
            "direction": "bidirectional",
        },
    ),
    "relu": ("RNN", {"activations": ["Relu"]}),
}

VARIATIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "peepholes": ("LSTM", {"inputs": "WRBP"}, "peepholes"),
    "peepholes, two": ("LSTM", {"inputs": "WRBhcP", "direction": "bidirectional"}, "peepholes"),
    "coupled": ("LSTM", {"input_forget": 1}, "f coupled to i"),
    "clip": ("LSTM", {"clip": 0.4}, "tanh for the cell state"),
    "clip of GRU": ("GRU", {"clip": 0.4, "linear_before_reset": 1}, "gates clipped at 0.4"),
    "clip of RNN": ("RNN", {"clip": 0.4, "activations": ["Relu"]}, "gates clipped at 0.4"),
    "all": (
        "LSTM",
        {"inputs": "WRBP", "input_forget": 1, "clip": 0.7, "direction": "reverse"},
        "tanh for the cell state",
    ),
    "state's activation": (
        "LSTM",
        {"activations": ["Sigmoid", "Tanh", "Softsign"]},
        "softsign for the cell state",
    ),
    "clip and hard sigmoid": (
        "LSTM",
        {
            "clip": 0.4,
            "activations": ["HardSigmoid", "Tanh", "Relu"],
            "activation_alpha": [0.3],
            "activation_beta": [0.4],
        },
        "relu for the cell state",
    ),
}
"""What Keras has no layer for: the node, and the first thing that the refusal names."""

EVERY = {**CASES, **{name: (kind, given) for name, (kind, given, _) in VARIATIONS.items()}}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_read_answers_as_onnxruntime_does(name: str) -> None:
    kind, given = EVERY[name]
    file, inputs = node(kind, **given)
    expected = ran(file, *inputs)
    model = converter.read(file)
    assert [value.name for value in model.outputs] == [
        name for name in ("out_Y", "out_h", "out_c") if name.encode() in file
    ]
    assert distance(converter.judge(model, *inputs), expected) < FLOAT32
    with torch.inference_mode():
        assert (
            distance(converter.to_torch(model)(*map(torch.from_numpy, inputs)), expected) < FLOAT32
        )
    again = write_graph(model).bytes()
    assert distance(ran(again, *inputs), expected) < FLOAT32
    assert distance(converter.judge(converter.read(again), *inputs), expected) < FLOAT32


@pytest.mark.parametrize("name", VARIATIONS)
def test_keras_refuses_what_it_has_no_layer_for(name: str) -> None:
    kind, given, said = VARIATIONS[name]
    file, _ = node(kind, **given)
    with pytest.raises(UnsupportedError) as caught:
        write_model(converter.read(file))
    assert caught.value.context == f"a cell of ONNX with {said}, which no layer of Keras has"


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_that_is_left_out_shows(name: str) -> None:
    kind, given, _ = VARIATIONS[name]
    file, inputs = node(kind, **given)
    plain = {key: value for key, value in given.items() if key == "direction"}
    plain["inputs"] = given.get("inputs", "WRB").replace("P", "")
    other, _ = node(kind, **plain)
    model = converter.read(file)
    weights = {
        (layer.name, part): weight
        for layer in model.layers
        for part, weight in layer.weights.items()
    }
    without = converter.read(other).map_weights(
        lambda layer, part, weight: weights.get((layer.name, part), weight)
    )
    assert distance(converter.judge(without, *inputs), ran(file, *inputs)) > 1e-3


def test_two_directions_are_one_layer_and_say_how_they_are_joined() -> None:
    file, _ = node("LSTM", direction="bidirectional", outputs="h")
    (layer,) = (one for one in converter.read(file).layers if isinstance(one, Recurrent))
    assert layer.merge is Merge.SEPARATE
    assert (layer.return_sequences, layer.return_state) == (False, False)


def test_an_activation_that_is_not_read_is_refused_by_name() -> None:
    file, _ = node("RNN", activations=["ScaledTanh"], activation_alpha=[2.0])
    with pytest.raises(UnsupportedError) as caught:
        converter.read(file)
    assert caught.value.context == "the activation ScaledTanh"


def test_weights_that_are_computed_of_an_input_are_refused_by_name() -> None:
    own = helper.make_node("RNN", ["X", "W", "R"], ["Y"], name="cell", hidden_size=H)
    shapes = {"X": (T, B, F), "W": (1, H, F)}
    file = graph([own], shapes, {"Y": None}, {"R": np.zeros((1, H, H), np.float32)})
    with pytest.raises(UnsupportedError) as caught:
        converter.read(file)
    assert caught.value.message == "node 'cell' (RNN) of the model in memory is not read"
    assert caught.value.context == "its weights: an input, or computed of one, and no constant"
