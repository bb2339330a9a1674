"""LSTM, GRU and SimpleRNN mean what Keras computes, and no mistake in mapping them passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from converter.activations import Activation
from converter.description import Direction, Layer, Merge, Model, Recurrent, Value, Weight
from converter.gates import GATES, Array, Cell
from converter.judge import Judge, judge
from tests.judge.answers import SHOWS, TOLERANCE, Answer, Answers, asked, difference
from tests.judge.cases import CELLS
from tests.judge.describe import model_of

ARRAYS = ("kernel", "recurrent_kernel", "bias")
WITH_GATES = sorted(set(CELLS) - {"rnn"})


@pytest.mark.parametrize(("name", "who"), asked("recurrent"))
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


def changed(answer: Answer, change: Callable[[Array], Array], *parts: str) -> Model:
    """The model with `change` of each weight of these names, in every direction."""

    def new(_layer: Layer, name: str, weight: Weight) -> Weight:
        return Weight.of(change(weight.read())) if name.split(".")[-1] in parts else weight

    return answer.model.map_weights(new)


def recurrent(answer: Answer) -> Recurrent:
    assert isinstance(answer.layer, Recurrent)
    return answer.layer


def with_forward(answer: Answer, **changes: object) -> Model:
    layer = recurrent(answer)
    return answer.with_layer(replace(layer, forward=replace(layer.forward, **changes)))


def gate_orders() -> list[tuple[str, tuple[int, ...]]]:
    """Every wrong order of the gates of every cell: 23 of LSTM, 5 of each GRU."""
    return [
        (name, order)
        for name in WITH_GATES
        for order in permutations(range(4 if name == "lstm" else 3))
        if order != tuple(sorted(order))
    ]


@pytest.mark.parametrize(("name", "order"), gate_orders())
def test_any_wrong_order_of_the_gates_shows(
    answers: Answers, name: str, order: tuple[int, ...]
) -> None:
    """In one array, or in all alike."""
    answer = answers(name)

    def reordered(array: Array) -> Array:
        return np.take(array, order, axis=0 if len(array) == len(order) else 1)

    for parts in (("kernel",), ("recurrent_kernel",), ("bias",), ARRAYS):
        assert difference(answer, changed(answer, reordered, *parts)) > SHOWS, parts


def test_all_wrong_orders_are_tried() -> None:
    tried = [name for name, _ in gate_orders()]
    assert {name: tried.count(name) for name in WITH_GATES} == {
        "gru": 5,
        "gru-reset-before": 5,
        "lstm": 23,
    }


@pytest.mark.parametrize("factor", [0, 2], ids=["lost", "doubled"])
@pytest.mark.parametrize("name", CELLS)
def test_a_bias_lost_or_doubled_shows(answers: Answers, name: str, factor: int) -> None:
    answer = answers(name)
    for gate in range(len(GATES[recurrent(answer).cell])):
        for row in range(recurrent(answer).forward.bias.shape[0]):

            def change(bias: Array, row: int = row, gate: int = gate) -> Array:
                bias = bias.copy()
                bias[row, gate] *= factor
                return bias

            assert difference(answer, changed(answer, change, "bias")) > SHOWS, (row, gate)


@pytest.mark.parametrize(
    "change",
    [
        lambda bias: bias[::-1],
        lambda bias: np.stack([bias.sum(0), np.zeros_like(bias[0])]),
        lambda bias: bias.sum(0, keepdims=True),
    ],
    ids=["exchanged", "added, zeros kept", "added"],
)
def test_the_two_biases_of_a_gru_are_not_one(
    answers: Answers, change: Callable[[Array], Array]
) -> None:
    answer = answers("gru")
    assert difference(answer, changed(answer, change, "bias")) > SHOWS


@pytest.mark.parametrize("name", ["gru-reset-before", "lstm", "rnn"])
def test_elsewhere_the_two_biases_are_added(answers: Answers, name: str) -> None:
    """A source that has two, CuDNN or PyTorch, means their sum."""
    answer = answers(name)
    split = changed(answer, lambda bias: np.concatenate([0.25 * bias, 0.75 * bias]), "bias")
    assert difference(answer, split) <= TOLERANCE


@pytest.mark.parametrize("part", ["kernel", "recurrent_kernel"])
@pytest.mark.parametrize("name", CELLS)
def test_a_kernel_transposed_shows(answers: Answers, name: str, part: str) -> None:
    answer = answers(f"{name}-as-many-features-as-units")
    assert difference(answer, changed(answer, lambda kernel: kernel.swapaxes(1, 2), part)) > SHOWS


@pytest.mark.parametrize("part", ["kernel", "recurrent_kernel"])
@pytest.mark.parametrize("name", CELLS)
def test_units_and_gates_interleaved_show(answers: Answers, name: str, part: str) -> None:
    """(H, G) where (G, H) is meant; with one gate the two are the same."""
    answer = answers(name)

    def interleaved(kernel: Array) -> Array:
        gates, units, inputs = kernel.shape
        return kernel.reshape(units, gates, inputs).swapaxes(0, 1)

    same = name == "rnn"
    assert (difference(answer, changed(answer, interleaved, part)) > SHOWS) is not same


@pytest.mark.parametrize("options", ["", "-return_sequences"])
@pytest.mark.parametrize("name", CELLS)
def test_the_other_order_of_time_shows(answers: Answers, name: str, options: str) -> None:
    forward = answers(f"{name}{options}-options")
    backwards = answers(f"{name}{options}-backwards-options")
    assert difference(forward, with_forward(forward, go_backwards=True)) > SHOWS
    assert difference(backwards, with_forward(backwards, go_backwards=False)) > SHOWS


@pytest.mark.parametrize("sequence", ["", "-sequence"])
@pytest.mark.parametrize("name", CELLS)
def test_directions_exchanged_show(answers: Answers, name: str, sequence: str) -> None:
    answer = answers(f"{name}-both-concat{sequence}")
    layer = recurrent(answer)
    exchanged = replace(
        layer,
        forward=replace(layer.backward, go_backwards=False),
        backward=replace(layer.forward, go_backwards=True),
    )
    assert difference(answer, answer.with_layer(exchanged)) > SHOWS


@pytest.mark.parametrize("sequence", ["", "-sequence"])
@pytest.mark.parametrize("name", CELLS)
def test_a_second_direction_that_reads_forward_shows(
    answers: Answers, name: str, sequence: str
) -> None:
    answer = answers(f"{name}-both-concat{sequence}")
    layer = recurrent(answer)
    wrong = replace(layer, backward=replace(layer.backward, go_backwards=False))
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


@pytest.mark.parametrize(
    ("merge", "other"), [("sum", Merge.AVERAGE), ("ave", Merge.MULTIPLY), ("mul", Merge.SUM)]
)
def test_another_merge_shows(answers: Answers, merge: str, other: Merge) -> None:
    answer = answers(f"lstm-both-{merge}")
    wrong = replace(recurrent(answer), merge=other)
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


@pytest.mark.parametrize("name", ["gru", "gru-reset-before"])
def test_the_other_reset_shows(answers: Answers, name: str) -> None:
    answer = answers(f"{name}-no-bias")  # both can be said with these weights
    other = Cell.GRU_RESET_BEFORE if name == "gru" else Cell.GRU
    assert difference(answer, with_forward(answer, cell=other)) > SHOWS


@pytest.mark.parametrize("name", WITH_GATES)
def test_the_hard_sigmoid_of_keras_3_is_not_that_of_keras_2(answers: Answers, name: str) -> None:
    answer = answers(f"old-{name}")
    wrong = with_forward(answer, recurrent_activation=Activation.of("hard_sigmoid"))
    assert difference(answer, wrong) > SHOWS


@pytest.mark.parametrize("name", WITH_GATES)
def test_activations_exchanged_show(answers: Answers, name: str) -> None:
    answer = answers(name)
    forward = recurrent(answer).forward
    wrong = with_forward(
        answer,
        activation=forward.recurrent_activation,
        recurrent_activation=forward.activation,
    )
    assert difference(answer, wrong) > SHOWS


@pytest.mark.parametrize("order", [(0, 2, 1, 3, 4), (0, 3, 4, 1, 2), (0, 1, 4, 3, 2)])
def test_initial_states_exchanged_show(answers: Answers, order: tuple[int, ...]) -> None:
    """h and c, forward and backward."""
    answer = answers("lstm-both-initial-states")
    wrong = replace(answer.model, inputs=tuple(answer.model.inputs[k] for k in order))
    assert difference(answer, wrong) > SHOWS


@pytest.mark.parametrize("order", [(0, 2, 1, 3, 4), (0, 3, 4, 1, 2), (0, 1, 4, 3, 2)])
def test_last_states_exchanged_show(answers: Answers, order: tuple[int, ...]) -> None:
    answer = answers("lstm-both-initial-states")
    wrong = replace(answer.model, outputs=tuple(answer.model.outputs[k] for k in order))
    assert difference(answer, wrong) > SHOWS


@pytest.mark.parametrize("name", CELLS)
def test_batch_and_time_exchanged_show(answers: Answers, name: str) -> None:
    layer = replace(
        recurrent(answers(f"old-{name}-time-major-return_sequences")), return_state=False
    )
    x = Value("x", (None, None, 4))
    square = np.random.default_rng(0).normal(size=(3, 3, 4))  # no shape tells them apart
    meant = judge(model_of(layer, x), square)
    wrong = judge(model_of(replace(layer, time_major=False), x), square)
    assert np.abs(np.subtract(meant, wrong)).max() > SHOWS


def test_no_steps_leave_the_initial_state() -> None:
    """Keras refuses an empty sequence; by its equations the state stays what it was."""
    direction = Direction(
        cell=Cell.RNN,
        kernel=Weight.of(np.ones((1, 2, 3))),
        recurrent_kernel=Weight.of(np.ones((1, 2, 2))),
        bias=None,
    )
    model = model_of(
        Recurrent(name="rnn", forward=direction),
        Value("x", (None, None, 3)),
        Value("h", (None, 2)),
    )
    state = np.array([[0.5, -0.5]])
    np.testing.assert_array_equal(judge(model, np.zeros((1, 0, 3)), state), state)


def test_an_empty_batch_gives_an_empty_batch(answers: Answers) -> None:
    for name in CELLS:
        model = answers(f"{name}-both-concat-sequence").model
        assert np.shape(judge(model, np.zeros((0, 5, 4)))) == (0, 5, 6)


def output(judge: Judge, x: Array) -> Array:
    return judge.run([x])[judge.model.outputs[0].name]


def in_two_parts(answer: Answer, *, stateful: bool) -> Array:
    """The judge's answer to a sequence that it reads in two runs, one after the other."""
    layer = replace(recurrent(answer), return_sequences=True, stateful=stateful)
    judge = Judge(answer.with_layer(layer))
    (x,) = answer.calls[0].inputs
    return np.concatenate([output(judge, part) for part in (x[:, :2], x[:, 2:])], 1)


def in_one(answer: Answer) -> Array:
    layer = replace(recurrent(answer), return_sequences=True)
    return output(Judge(answer.with_layer(layer)), answer.calls[0].inputs[0])


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-reset-before", "rnn"])
def test_a_stateful_layer_goes_on_where_the_run_before_it_ended(
    answers: Answers, name: str
) -> None:
    answer = answers(name)
    np.testing.assert_array_equal(in_two_parts(answer, stateful=True), in_one(answer))


def test_a_layer_that_is_not_stateful_begins_anew(answers: Answers) -> None:
    answer = answers("lstm")
    assert np.abs(in_two_parts(answer, stateful=False) - in_one(answer)).max() > SHOWS


def test_states_that_are_reset_are_zeros(answers: Answers) -> None:
    answer = answers("lstm")
    judge = Judge(answer.with_layer(replace(recurrent(answer), stateful=True)))
    (x,) = answer.calls[0].inputs
    first, second = output(judge, x), output(judge, x)
    judge.reset_states()
    np.testing.assert_array_equal(output(judge, x), first)
    assert np.abs(first - second).max() > SHOWS
