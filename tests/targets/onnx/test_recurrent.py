"""LSTM, GRU and SimpleRNN as one fused node each, in onnxruntime beside the judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from converter.activations import Activation
from converter.description import Merge, Recurrent
from converter.gates import Cell
from tests.models_by_hand import Maker, chain
from tests.targets.onnx.running import kinds, off, wrong

FLOAT32 = 3e-6
"""Of the largest output, of 7 steps with weights of size 1. Measured: below 9e-7."""

X = np.random.default_rng(1).normal(size=(3, 7, 3)).astype(np.float32)

RETURNED = [
    {"return_sequences": sequences, "return_state": state}
    for sequences in (False, True)
    for state in (False, True)
]


@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
@pytest.mark.parametrize("merge", [None, *Merge], ids=str)
def test_every_cell_with_every_merge_is_one_node_and_answers_as_the_judge(
    cell: Cell, merge: Merge | None
) -> None:
    for returned in RETURNED:
        settings = dict(returned) if merge is None else {**returned, "merge": merge}
        model = chain(Maker().recurrent("layer", cell, 3, 4, **settings))
        assert off(model, X) < FLOAT32
        assert sum(kind in {"LSTM", "GRU", "RNN"} for kind in kinds(model)) == 1
        assert not {"Loop", "Scan", "Cast", "Shape", "Expand"} & set(kinds(model))


@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
@pytest.mark.parametrize("sequences", [False, True])
def test_a_layer_that_goes_backwards_gives_its_steps_in_the_order_of_reading(
    cell: Cell, sequences: bool
) -> None:
    direction = Maker().direction("layer", cell, 3, 4, go_backwards=True)
    layer = Recurrent(name="layer", forward=direction, return_sequences=sequences)
    assert off(chain(layer), X) < FLOAT32


@pytest.mark.parametrize("merge", [*Merge], ids=str)
@pytest.mark.parametrize("sequences", [False, True])
def test_two_directions_of_different_cells_are_two_nodes(merge: Merge, sequences: bool) -> None:
    maker = Maker()
    layer = Recurrent(
        name="layer",
        forward=maker.direction("forward", Cell.LSTM, 3, 4),
        backward=maker.direction("backward", Cell.GRU, 3, 4, go_backwards=True),
        merge=merge,
        return_sequences=sequences,
        return_state=True,
    )
    assert off(chain(layer), X) < FLOAT32


def test_an_lstm_and_a_dense_layer_are_four_nodes() -> None:
    model = chain(Maker().lstm("lstm", 3, 4), Maker().dense("dense", 4, 2))
    assert kinds(model) == ["Transpose", "LSTM", "Squeeze", "Gemm"]
    assert wrong(model) == []


ACTIVATIONS = [
    Activation.of("hard_sigmoid", alpha=0.2, beta=0.5),
    Activation.of("hard_sigmoid"),
    Activation.of("relu"),
    Activation.of("relu", negative_slope=0.3),
    Activation.of("relu", threshold=0.1),
    Activation.of("leaky_relu"),
    Activation.of("elu", alpha=0.7),
    Activation.of("softsign"),
    Activation.of("softplus"),
    Activation.of("linear"),
    Activation.of("sparse_sigmoid"),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
def test_an_activation_of_the_node_is_that_of_the_cell(cell: Cell, activation: Activation) -> None:
    given = {"activation": activation, "recurrent_activation": Activation.of("hard_sigmoid")}
    maker = Maker(size=0.4)
    for settings in ({}, {"merge": Merge.CONCAT}):
        layer = maker.recurrent("layer", cell, 3, 4, activations=given, **settings)
        assert off(chain(layer), X) < FLOAT32


def test_two_directions_may_have_different_activations_and_biases() -> None:
    maker = Maker(size=0.4)
    layer = maker.lstm("layer", 3, 4, merge=Merge.CONCAT)
    other = maker.direction("other", Cell.LSTM, 3, 4, biases=0, go_backwards=True)
    other = replace(other, activation=Activation.of("elu"))
    model = chain(replace(layer, backward=other))
    assert off(model, X) < FLOAT32
    assert kinds(model).count("LSTM") == 1


def tensor(proto: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(one for one in proto.graph.initializer if one.name == name)


def permuted(name: str, *order: int):
    """Blocks of a stored tensor's second axis in another order."""

    def change(proto: onnx.ModelProto) -> None:
        stored = tensor(proto, name)
        array = onnx.numpy_helper.to_array(stored)
        blocks = array.reshape(array.shape[0], len(order), -1)[:, list(order)]
        stored.raw_data = blocks.reshape(array.shape).tobytes()

    return change


def without_bias(proto: onnx.ModelProto) -> None:
    stored = tensor(proto, "layer_B")
    stored.raw_data = bytes(len(stored.raw_data))


def backwards(proto: onnx.ModelProto) -> None:
    (node,) = [node for node in proto.graph.node if node.op_type == "LSTM"]
    node.attribute.append(onnx.helper.make_attribute("direction", "reverse"))


MUTANTS = {
    "gates of W": permuted("layer_W", 1, 0, 2, 3),
    "gates of R": permuted("layer_R", 0, 2, 1, 3),
    "gates of B": permuted("layer_B", 3, 1, 2, 0, 4, 5, 6, 7),
    "no bias": without_bias,
    "backwards": backwards,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_node_with_one_thing_wrong_is_told_apart(mutant: str) -> None:
    model = chain(Maker().lstm("layer", 3, 4))
    assert wrong(model) == []
    assert wrong(model, change=MUTANTS[mutant]) != []


def test_exchanged_directions_are_told_apart() -> None:
    model = chain(Maker().lstm("layer", 3, 4, merge=Merge.CONCAT))

    def exchanged(proto: onnx.ModelProto) -> None:
        for name in ("layer_W", "layer_R", "layer_B"):
            stored = tensor(proto, name)
            array = onnx.numpy_helper.to_array(stored)
            stored.raw_data = array[::-1].tobytes()

    assert wrong(model) == []
    assert wrong(model, change=exchanged) != []
