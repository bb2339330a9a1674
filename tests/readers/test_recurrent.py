"""LSTM, GRU, SimpleRNN and Bidirectional: settings, weights, names of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.activations import LINEAR, SIGMOID, TANH, Activation
from converter.description import Layer, Merge, Recurrent
from converter.gates import GATES, Array, Cell
from converter.readers import read
from tests.readers.files import Config, archive, counted, given, layer, sequential

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Layer]

AGAIN = "  help:  the file may be damaged; save the model again"
CELLS = {
    "LSTM": (Cell.LSTM, 4, (8,)),
    "GRU": (Cell.GRU, 3, (2, 6)),
    "SimpleRNN": (Cell.RNN, 1, (2,)),
}


def arrays(kind: str, start: float = 0) -> tuple[Array, Array, Array]:
    """Kernel, recurrent kernel and bias for 3 features and 2 units."""
    _, gates, bias = CELLS[kind]
    return (
        counted(3, 2 * gates, start=start + 1),
        counted(2, 2 * gates, start=start + 20),
        counted(*bias, start=start + 40),
    )


def recurrent(one: One, kind: str, *weights: Array, **settings: Any) -> Recurrent:
    """A layer of two units."""
    given_weights = weights or arrays(kind)
    found = one(kind, *given_weights, inside="cell/", **{"units": 2, **settings})
    assert isinstance(found, Recurrent)
    return found


@pytest.mark.parametrize("kind", CELLS)
def test_each_gate_has_its_part_of_the_arrays(kind: str, one: One) -> None:
    cell, _, _ = CELLS[kind]
    kernel, recurrent_kernel, bias = arrays(kind)
    found = recurrent(one, kind)
    assert (found.cell, found.units, found.forward.inputs) == (cell, 2, 3)
    for k, gate in enumerate(GATES[cell]):
        columns = slice(2 * k, 2 * k + 2)
        assert np.array_equal(found.gates[gate].kernel, kernel[:, columns])
        assert np.array_equal(found.gates[gate].recurrent_kernel, recurrent_kernel[:, columns])
        rows = bias.reshape(-1, bias.shape[-1])
        assert np.array_equal(found.gates[gate].bias, rows[0, columns])
        assert (found.gates[gate].recurrent_bias is None) == (kind != "GRU")


@pytest.mark.parametrize("kind", CELLS)
def test_a_layer_without_a_bias_has_none(kind: str, one: One, error_of: Error) -> None:
    assert recurrent(one, kind, *arrays(kind)[:2], use_bias=False).forward.bias is None
    text = error_of(lambda: recurrent(one, kind, *arrays(kind), use_bias=False))
    assert text.startswith("error[surplus-weight]")
    text = error_of(lambda: recurrent(one, kind, *arrays(kind)[:2]))
    assert text.startswith("error[missing-weight]: bias of layer 'it' of model is missing\n")


@pytest.mark.parametrize("kind", CELLS)
def test_a_layer_of_other_units_has_other_shapes(kind: str, one: One, error_of: Error) -> None:
    text = error_of(lambda: recurrent(one, kind, units=3))
    gates = CELLS[kind][1]
    assert f"found: (3, {2 * gates}); expected (3, {3 * gates})\n" in text


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("key", ["return_sequences", "return_state", "time_major"])
def test_settings_are_taken_over(kind: str, key: str, one: One) -> None:
    for value in (True, False):
        assert getattr(recurrent(one, kind, **{key: value}), key) is value


def test_directions_and_dropout_are_taken_over(one: One) -> None:
    forward = recurrent(one, "LSTM", go_backwards=True, dropout=0.1, recurrent_dropout=0.2).forward
    assert (forward.go_backwards, forward.dropout, forward.recurrent_dropout) == (True, 0.1, 0.2)
    forward = recurrent(one, "LSTM").forward
    assert (forward.go_backwards, forward.dropout, forward.recurrent_dropout) == (False, 0, 0)


def test_activations_are_taken_over(one: One) -> None:
    forward = recurrent(one, "LSTM").forward
    assert (forward.activation, forward.recurrent_activation) == (TANH, SIGMOID)
    forward = recurrent(one, "LSTM", activation="relu", recurrent_activation=None).forward
    assert (forward.activation, forward.recurrent_activation) == (Activation.of("relu"), LINEAR)


def test_a_simple_rnn_has_no_gates(one: One, error_of: Error) -> None:
    text = error_of(lambda: recurrent(one, "SimpleRNN", recurrent_activation="sigmoid"))
    assert text.startswith("error[config-key]: layer 'it' of model has a setting that is not known")


def both(file: Path, forward: Config, backward: Config | None = None, **settings: Any) -> Recurrent:
    """A Bidirectional; its backward weights begin at 100."""
    settings |= {} if backward is None else {"backward_layer": backward}
    folder = "layers/bidirectional"
    weights = {}
    for part, config, start in (
        ("forward", forward, 0),
        ("backward", backward or forward, 100),
    ):
        for k, array in enumerate(arrays(config["class_name"], start)):
            weights[f"{folder}/{part}_layer/cell/vars/{k}"] = array
    made = layer("Bidirectional", "b", layer=forward, **settings)
    (found,) = read(archive(file, sequential(given((None, None, 3)), made), weights)).layers
    assert isinstance(found, Recurrent)
    return found


LSTM = layer("LSTM", "lstm", units=2)


@pytest.mark.parametrize("kind", CELLS)
def test_two_directions_have_their_own_weights(kind: str, file: Path) -> None:
    found = both(file, layer(kind, "r", units=2))
    assert found.backward is not None
    assert found.forward.kernel.read().min() == 1
    assert found.backward.kernel.read().min() == 101
    assert (found.forward.go_backwards, found.backward.go_backwards) == (False, True)


@pytest.mark.parametrize(
    ("mode", "merge"),
    [
        ("concat", Merge.CONCAT),
        ("sum", Merge.SUM),
        ("mul", Merge.MULTIPLY),
        ("ave", Merge.AVERAGE),
        (None, Merge.SEPARATE),
    ],
)
def test_directions_are_merged_as_the_config_says(
    mode: str | None, merge: Merge, file: Path
) -> None:
    assert both(file, LSTM, merge_mode=mode).merge is merge


@pytest.mark.parametrize("mode", ["None", "add", 3, [], True])
def test_another_merge_mode_is_refused(mode: object, file: Path, error_of: Error) -> None:
    text = error_of(lambda: both(file, LSTM, merge_mode=mode))
    assert text.startswith("error[config]: merge_mode of layer 'b' of model is not as Keras writes")
    assert text.endswith('expected "concat", "sum", "mul", "ave", null\n' + AGAIN)


def test_a_forward_layer_that_goes_backwards_has_a_backward_one_that_does_not(file: Path) -> None:
    found = both(file, layer("LSTM", "lstm", units=2, go_backwards=True))
    assert found.backward is not None
    assert (found.forward.go_backwards, found.backward.go_backwards) == (True, False)


def test_a_backward_layer_of_its_own_is_read(file: Path) -> None:
    found = both(file, LSTM, layer("GRU", "gru", units=2, go_backwards=True, activation="relu"))
    assert found.backward is not None
    assert (found.forward.cell, found.backward.cell) == (Cell.LSTM, Cell.GRU)
    assert found.backward.activation == Activation.of("relu")
    assert found.backward.go_backwards is True


@pytest.mark.parametrize(
    "backward",
    [
        layer("LSTM", "other", units=2),
        layer("LSTM", "other", units=2, go_backwards=True, return_sequences=True),
        layer("LSTM", "other", units=2, go_backwards=True, return_state=True),
    ],
)
def test_two_layers_must_belong_together(backward: Config, file: Path, error_of: Error) -> None:
    text = error_of(lambda: both(file, LSTM, backward))
    assert text.startswith("error[config]: the two layers of layer 'b' of model do not belong")


def test_the_text_for_two_layers_of_one_direction(file: Path, error_of: Error) -> None:
    settings = (
        "return_sequences=false, return_state=false, stateful=false, time_major=false, "
        "starts_from_state=false"
    )
    assert error_of(lambda: both(file, LSTM, LSTM)) == (
        "error[config]: the two layers of layer 'b' of model do not belong together\n"
        f"  found: go_backwards=false, {settings} and go_backwards=false, {settings}\n{AGAIN}"
    )


def test_directions_of_other_units_can_only_be_joined(file: Path, error_of: Error) -> None:
    backward = layer("LSTM", "other", units=3, go_backwards=True)
    assert error_of(lambda: both(file, LSTM, backward, merge_mode="sum")) == (
        "error[config]: the two layers of layer 'b' of model cannot be merged\n"
        f'  found: 2 and 3 units, merge_mode "sum"\n{AGAIN}'
    )


def test_an_unknown_key_inside_is_refused(file: Path, error_of: Error) -> None:
    text = error_of(lambda: both(file, layer("LSTM", "lstm", units=2, peepholes=True)))
    assert text.startswith("error[config-key]: layer 'b/lstm' of model has a setting")
    backward = layer("LSTM", "x", units=2, go_backwards=True, peepholes=True)
    assert error_of(lambda: both(file, LSTM, backward)).startswith("error[config-key]: layer 'b/x'")


def test_time_first_is_that_of_the_layers_inside(file: Path) -> None:
    assert both(file, layer("LSTM", "lstm", units=2, time_major=True)).time_major is True


def test_what_follows_knows_the_shape(file: Path) -> None:
    weights = {
        f"layers/lstm{end}/cell/vars/{k}": counted(n, 8)
        for end, size in (("", 3), ("_1", 2))
        for k, n in ((0, size), (1, 2))
    }
    settings = {"units": 2, "use_bias": False}
    config = sequential(
        given((None, 7, 3)),
        layer("LSTM", "a", return_sequences=True, **settings),
        layer("LSTM", "b", **settings),
    )
    model = read(archive(file, config, weights))
    assert [call.outputs[0].shape for call in model.calls] == [(None, 7, 2), (None, 2)]
