"""States as inputs and outputs: what one call gives is what the next one takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import converter
from converter.description import Merge, Model, Recurrent, Value
from converter.errors import UnsupportedError, UsageError
from converter.gates import Array
from converter.judge import Judge
from converter.targets.torch import to_torch
from tests.models_by_hand import Maker, called, chain, graph

Answers = Callable[[Sequence[Array]], Sequence[Array]]

EXACT = 1e-13
"""Of outputs below 10, in float64: the same operations in the same order but for one product."""


def forecaster() -> Model:
    """Two layers that read forwards, of another kind each."""
    maker = Maker(1)
    return chain(
        maker.lstm("lstm", 3, 4, return_sequences=True),
        maker.gru("gru", 4, 2, return_sequences=True),
        maker.dense("head", 2, 1),
    )


def in_judge(model: Model) -> Answers:
    judge = Judge(model)

    def answers(arrays: Sequence[Array]) -> list[Array]:
        values = judge.run(arrays)
        return [values[value.name] for value in model.outputs]

    return answers


def in_torch(model: Model) -> Answers:
    module = to_torch(model).double()

    def answers(arrays: Sequence[Array]) -> list[Array]:
        with torch.inference_mode():
            return [one.numpy() for one in module(*map(torch.from_numpy, arrays))]

    return answers


def carried(model: Model, pieces: Sequence[Array], answers: Answers) -> list[Array]:
    """What a model with explicit states gives for each piece, from zeros on."""
    count = len(model.inputs) - 1
    shapes = [
        [pieces[0].shape[0] if n is None else n for n in one.shape] for one in model.inputs[1:]
    ]
    states: Sequence[Array] = [np.zeros(shape) for shape in shapes]
    found = []
    for piece in pieces:
        output, *states = answers([piece, *states])
        assert len(states) == count
        found.append(output)
    return found


@pytest.mark.parametrize("run", [in_judge, in_torch])
def test_pieces_are_one_long_sequence(run: Callable[[Model], Answers]) -> None:
    model = forecaster()
    held = converter.explicit_states(model)
    assert [value.name for value in held.inputs] == ["x", "lstm_h", "lstm_c", "gru_h"]
    x = np.random.default_rng(2).normal(size=(5, 9, 3))
    pieces = [x[:, :4], x[:, 4:5], x[:, 5:]]
    found = np.concatenate(carried(held, pieces, run(held)), axis=1)
    expected = converter.judge(model, x)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


def test_states_that_are_exchanged_or_not_carried_show() -> None:
    model = forecaster()
    held = converter.explicit_states(model)
    answers = in_judge(held)
    x = np.random.default_rng(2).normal(size=(5, 9, 3))
    expected = converter.judge(model, x)

    def exchanged(arrays: Sequence[Array]) -> Sequence[Array]:
        output, h, c, last = answers(arrays)
        return output, c, h, last

    def forgotten(arrays: Sequence[Array]) -> Sequence[Array]:
        output, *states = answers(arrays)
        return output, *(0 * state for state in states)

    for wrong in (exchanged, forgotten):
        found = np.concatenate(carried(held, [x[:, :4], x[:, 4:]], wrong), axis=1)
        assert np.abs(found - expected).max() > 1e-3


def test_the_module_takes_and_returns_states_by_the_names_of_their_layers() -> None:
    text = converter.to_torch_source(converter.explicit_states(forecaster()))
    assert (
        "    def forward(\n"
        "        self, x: Tensor, lstm_h: Tensor, lstm_c: Tensor, gru_h: Tensor\n"
        "    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:\n"
    ) in text
    assert "register_buffer" not in text


@pytest.mark.parametrize("run", [in_judge, in_torch])
def test_a_layer_that_keeps_its_states_no_longer_does(run: Callable[[Model], Answers]) -> None:
    maker = Maker(3)
    layer = maker.lstm("lstm", 3, 4, stateful=True, merge=Merge.CONCAT)
    model = chain(layer, maker.dense("head", 8, 1), shape=(2, None, 3))
    held = converter.explicit_states(model)
    names = ["lstm_h", "lstm_c", "lstm_backward_h", "lstm_backward_c"]
    assert [value.name for value in held.inputs[1:]] == names
    assert {value.shape for value in held.inputs[1:]} == {(2, 4)}  # the batch stays what it was
    pieces = np.random.default_rng(4).normal(size=(3, 2, 5, 3))
    judge = Judge(model)
    expected = [judge.run([piece])["head"] for piece in pieces]
    for found, one in zip(carried(held, pieces, run(held)), expected, strict=True):
        np.testing.assert_allclose(found, one, rtol=0, atol=EXACT)
    again = carried(held, pieces[:1], run(held))
    np.testing.assert_allclose(again[0], expected[0], rtol=0, atol=EXACT)  # nothing was kept


def test_a_layer_that_is_called_twice_has_states_for_each_call() -> None:
    maker = Maker(5)
    x = Value("x", (None, None, 3))
    layer = maker.gru("gru", 3, 3, return_sequences=True)
    first = called(layer, x)
    second = called(layer, first.outputs[0])
    again = Value("again", second.outputs[0].shape)
    second = type(second)(layer, second.inputs, (again,))
    held = converter.explicit_states(graph([x], [first, second], [again]))
    assert [value.name for value in held.inputs] == ["x", "gru_h", "gru_h_1"]
    array = np.random.default_rng(6).normal(size=(2, 6, 3))
    found = np.concatenate(carried(held, [array[:, :2], array[:, 2:]], in_judge(held)), axis=1)
    expected = converter.judge(graph([x], [first, second], [again]), array)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


def test_a_layer_that_keeps_them_hands_them_from_its_first_call_to_its_second() -> None:
    maker = Maker(5)
    x = Value("x", (2, None, 3))
    layer = maker.gru("gru", 3, 3, return_sequences=True, stateful=True)
    first = called(layer, x)
    second = called(layer, first.outputs[0])
    again = Value("again", second.outputs[0].shape)
    second = type(second)(layer, second.inputs, (again,))
    model = graph([x], [first, second], [again])
    held = converter.explicit_states(model)
    assert [value.name for value in held.inputs] == ["x", "gru_h"]
    pieces = np.random.default_rng(6).normal(size=(3, 2, 4, 3))
    judge = Judge(model)
    for found, piece in zip(carried(held, pieces, in_judge(held)), pieces, strict=True):
        np.testing.assert_allclose(found, judge.run([piece])["again"], rtol=0, atol=EXACT)


def test_what_begins_anew_with_each_piece_is_left_as_it_is() -> None:
    maker = Maker(7)
    backwards = maker.lstm("backwards", 3, 4, return_sequences=True)
    backwards = Recurrent(
        name="backwards",
        forward=maker.direction("b", backwards.cell, 3, 4, go_backwards=True),
        return_sequences=True,
    )
    both = maker.gru("both", 4, 2, merge=Merge.SUM, return_sequences=True)
    model = chain(backwards, both, maker.rnn("last", 2, 3))
    held = converter.explicit_states(model)
    assert [value.name for value in held.inputs] == ["x", "last_h"]
    assert held.layers[:2] == model.layers[:2]
    with pytest.raises(UnsupportedError) as caught:
        converter.explicit_states(chain(both, shape=(None, None, 4)))
    assert (caught.value.code, caught.value.context) == (
        "no-state",
        "no recurrent layer that keeps its states, or reads forwards from zeros",
    )


def test_converting_verifies_what_the_caller_holds(tmp_path: Path) -> None:
    source = Path("tests/data/examples/forecaster.h5")
    done = converter.convert(source, out=tmp_path / "held", state="explicit")
    assert done.verdict is not None
    assert done.verdict.status is converter.Status.EQUAL
    assert len(done.model.inputs) > 1
    assert len(done.model.outputs) == len(done.model.inputs)
    again = converter.verify(source, tmp_path / "held", state="explicit")
    assert again.status is converter.Status.EQUAL
    assert converter.verify(source, tmp_path / "held").status is converter.Status.DIFFERS


def test_a_keras_file_has_the_states_as_inputs_too(tmp_path: Path) -> None:
    source = Path("tests/data/examples/forecaster.h5")
    out = tmp_path / "held.keras"
    done = converter.convert(source, to="keras", out=out, state="explicit", verify=False)
    back = converter.read(out)
    assert len(back.inputs) == len(done.model.inputs)
    x = [
        np.random.default_rng(8).normal(size=(2, *[n or 6 for n in v.shape[1:]]))
        for v in back.inputs
    ]
    for one, other in zip(converter.judge(back, *x), converter.judge(done.model, *x), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=EXACT)


def test_another_word_for_who_holds_them_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        converter.convert("tests/data/examples/forecaster.h5", out=tmp_path / "a", state="mine")
    assert str(caught.value) == (
        "error[unknown-state]: states cannot be 'mine'\n"
        "  found: --state mine\n"
        "  help:  one of: kept, explicit"
    )
