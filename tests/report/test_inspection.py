from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.activations import Activation
from converter.description import (
    BatchNormalization,
    Layer,
    LayerNormalization,
    Merge,
    Recurrent,
    TimeDistributed,
    Value,
)
from converter.gates import Cell
from converter.readers import read
from converter.report.inspection import inspect
from converter.report.recurrent import ArrayRow
from converter.targets.torch import to_torch
from tests.report.models import (
    HARD_SIGMOID_2,
    chain,
    dense,
    direction,
    question,
    recurrent,
    weight,
)

X = Value("x", (None, None, 3))
RELU = Activation.of("relu")


@pytest.mark.parametrize(("features", "keras", "torch"), [(1, 12, 16), (2, 16, 20), (3, 20, 24)])
def test_the_question_is_answered(features: int, keras: int, torch: int) -> None:
    found = inspect(question(features))
    assert (found.keras_parameters, found.torch_parameters) == (keras, torch)
    (row,) = found.recurrent
    assert (row.keras.parameters, row.torch.parameters) == (keras, torch)
    assert [(term.text, term.size) for term in row.keras.terms] == [
        ("4·F·U", 4 * features),
        ("4·U·U", 4),
        ("4·U", 4),
    ]
    assert [term.size for term in row.torch.terms] == [4 * features, 4, 8]


def test_each_gate_is_a_part_of_the_arrays() -> None:
    layer = recurrent(units=3)
    kernel = np.concatenate([gate.kernel for gate in layer.gates.values()], axis=1)
    (row,) = inspect(chain(Value("x", (None, None, 2)), layer)).recurrent
    assert [gate.gate for gate in row.gates] == ["i", "f", "c", "o"]
    for gate in row.gates:
        assert gate.numbers is not None
        part = kernel[:, slice(*gate.columns)]
        assert part.shape == gate.kernel_shape
        np.testing.assert_array_equal(part, gate.numbers.kernel)


def test_the_gates_of_a_gru_stand_elsewhere_in_pytorch() -> None:
    (row,) = inspect(chain(X, recurrent(Cell.GRU, 3, 4))).recurrent
    assert [(gate.gate, gate.torch_gate, gate.columns, gate.rows) for gate in row.gates] == [
        ("z", "z", (0, 4), (4, 8)),
        ("r", "r", (4, 8), (0, 4)),
        ("h", "n", (8, 12), (8, 12)),
    ]


def test_two_biases_of_a_gru_are_one_array_in_keras() -> None:
    (row,) = inspect(chain(X, recurrent(Cell.GRU, 3, 4))).recurrent
    assert row.keras.arrays[2:] == (
        ArrayRow(role="bias", name="bias", shape=(2, 12), note="row 0"),
        ArrayRow(role="recurrent_bias", name="bias", shape=(2, 12), note="row 1"),
    )
    assert [array.note for array in row.torch.arrays] == ["", "", "", ""]


def test_cudnn_has_two_biases_in_one_row() -> None:
    found = inspect(read(Path(__file__).parents[1] / "data/cudnn/cudnn_lstm.h5"))
    row = found.recurrent[0]
    assert row.keras.kind == "CuDNNLSTM"
    assert [array.shape for array in row.keras.arrays[2:]] == [(32,), (32,)]
    assert row.keras.parameters == row.torch.parameters == 4 * 3 * 4 + 4 * 4 * 4 + 8 * 4
    assert found.layers[0].keras_parameters == row.keras.parameters


def test_two_biases_of_an_lstm_of_pytorch_are_one_in_keras() -> None:
    found = inspect(chain(X, recurrent(Cell.LSTM, 3, 4, biases=2)))
    (row,) = found.recurrent
    assert row.keras.kind == "LSTM"
    assert row.keras.arrays[2:] == (
        ArrayRow(role="bias", name="bias", shape=(16,), note="the sum of both"),
    )
    assert row.keras.parameters == 4 * 3 * 4 + 4 * 4 * 4 + 4 * 4
    assert row.torch.parameters == row.keras.parameters + 4 * 4
    assert found.layers[0].keras_parameters == row.keras.parameters


@pytest.mark.parametrize("values", [None, True, False])
@pytest.mark.parametrize("units", [6, 7])
def test_numbers_are_there_for_small_layers_or_when_asked_for(
    units: int, values: bool | None
) -> None:
    (row,) = inspect(chain(X, recurrent(Cell.LSTM, 3, units)), values=values).recurrent
    there = values if values is not None else units == 6
    assert {gate.numbers is not None for gate in row.gates} == {there}


def test_nothing_is_read_for_a_large_layer() -> None:
    def refuse() -> Any:
        raise AssertionError("read")

    model = chain(X, recurrent(Cell.LSTM, 3, 7))
    unreadable = model.map_weights(
        lambda layer, name, one: replace(
            one, stored=tuple(replace(stored, read=refuse) for stored in one.stored)
        )
    )
    assert inspect(unreadable).keras_parameters == 4 * (3 * 7 + 7 * 7 + 7)


def test_a_layer_that_is_called_twice_is_counted_once() -> None:
    layer = recurrent(Cell.LSTM, 3, 3, layer={"return_sequences": True})
    model = chain(X, layer)
    second = replace(
        model.calls[0], inputs=model.calls[0].outputs, outputs=(Value("lstm@1", (None, None, 3)),)
    )
    twice = replace(model, calls=(*model.calls, second), outputs=second.outputs)
    found = inspect(twice)
    assert [row.name for row in found.layers] == ["lstm"]
    assert found.layers[0].outputs == ((None, None, 3),)
    assert found.keras_parameters == layer.parameters


CELLS = {
    "lstm": recurrent(Cell.LSTM, 3, 4),
    "lstm without bias": recurrent(Cell.LSTM, 3, 4, biases=0),
    "lstm of Keras 2": recurrent(Cell.LSTM, 3, 4, recurrent_activation=HARD_SIGMOID_2),
    "gru": recurrent(Cell.GRU, 3, 4),
    "gru without bias": recurrent(Cell.GRU, 3, 4, biases=0),
    "gru of relu": recurrent(Cell.GRU, 3, 4, activation=RELU),
    "gru reset before": recurrent(Cell.GRU_RESET_BEFORE, 3, 4),
    "rnn": recurrent(Cell.RNN, 3, 4),
    "rnn of relu": recurrent(Cell.RNN, 3, 4, activation=RELU),
    "rnn of sigmoid": recurrent(Cell.RNN, 3, 4, activation=Activation.of("sigmoid")),
    "two directions": recurrent(Cell.LSTM, 3, 4, both=True),
    "two directions of gru reset before": recurrent(Cell.GRU_RESET_BEFORE, 3, 4, both=True),
    "two directions that are not alike": Recurrent(
        name="lstm",
        forward=direction(Cell.LSTM, 3, 4),
        backward=direction(Cell.GRU, 3, 5, go_backwards=True),
        merge=Merge.CONCAT,
    ),
}


@pytest.mark.parametrize("layer", CELLS.values(), ids=CELLS)
def test_pytorch_has_the_arrays_that_are_said(layer: Recurrent) -> None:
    model = chain(X, layer)
    said: dict[str, tuple[int, ...]] = {}
    for row in inspect(model).recurrent:
        said |= {f"{row.direction} {array.name}": array.shape for array in row.torch.arrays}
    state = {name: tuple(one.shape) for name, one in to_torch(model).state_dict().items()}
    assert sorted(said.values()) == sorted(state.values())
    assert {name.split()[-1] for name in said} == {name.rpartition(".")[2] for name in state}


@pytest.mark.parametrize("layer", CELLS.values(), ids=CELLS)
def test_pytorch_has_the_class_that_is_said(layer: Recurrent) -> None:
    model = chain(X, layer)
    kinds = {row.torch.kind.removeprefix("nn.") for row in inspect(model).recurrent}
    assert kinds == {type(child).__name__ for child in to_torch(model).children()}


def normalization(*, gamma: bool, beta: bool, batch: bool = False) -> Layer:
    scale, centre = weight(3) if gamma else None, weight(3) if beta else None
    if not batch:
        return LayerNormalization(name="n", axes=(2,), gamma=scale, beta=centre, epsilon=1e-3)
    return BatchNormalization(
        name="n",
        axes=(2,),
        gamma=scale,
        beta=centre,
        moving_mean=weight(3),
        moving_variance=weight(3, start=1),
        epsilon=1e-3,
        momentum=0.99,
    )


OTHERS = {
    **{
        f"{'batch' if batch else 'layer'} normalization, {gamma=}, {beta=}": normalization(
            gamma=gamma, beta=beta, batch=batch
        )
        for batch in (True, False)
        for gamma in (True, False)
        for beta in (True, False)
    },
    "dense": dense(3, 2),
    "dense at each step": TimeDistributed(name="steps", layer=dense(3, 2, name="steps/dense")),
}


@pytest.mark.parametrize("layer", [*CELLS.values(), *OTHERS.values()], ids=[*CELLS, *OTHERS])
def test_the_counts_are_those_of_the_module(layer: Layer) -> None:
    model = chain(X, layer)
    found = inspect(model)
    assert found.torch_parameters == sum(one.numel() for one in to_torch(model).parameters())
    assert found.keras_parameters == layer.parameters
    for row in found.recurrent:
        assert row.torch.parameters == sum(int(np.prod(one.shape)) for one in row.torch.arrays)


def test_what_is_beside_the_model_is_named() -> None:
    model = question()
    source = replace(model.source, dropped=("optimizer (7 arrays)",))
    assert inspect(replace(model, source=source)).dropped == ("optimizer (7 arrays)",)


def test_a_recurrent_layer_at_each_step_is_taken_apart_too() -> None:
    inner = recurrent(Cell.LSTM, 3, 4, name="steps/lstm")
    model = chain(Value("x", (None, None, 5, 3)), TimeDistributed(name="steps", layer=inner))
    (row,) = inspect(model).recurrent
    assert row.layer == "steps/lstm"


def test_a_model_without_recurrent_layers_has_none() -> None:
    assert inspect(chain(X, dense(3, 2))).recurrent == ()
