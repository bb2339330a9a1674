"""RNN of cells, one or stacked, and convolutional LSTMs: what Keras answers, and what is wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import converter
from converter.description import ConvLSTM, Era, Padding, Recurrent
from tests.cells.answers import EXACT, FLOAT32, SHOWS, Saved, changed

COUNTS = {"keras": 58, "torch": 8, "tf_keras": 56}
"""The models of each Keras."""


def models(folder: Path) -> dict[str, Saved]:
    return {path.stem: Saved(path) for path in sorted(folder.iterdir()) if path.suffix != ".npz"}


@pytest.fixture
def keras(saved: Path) -> dict[str, Saved]:
    return models(saved / "keras")


@pytest.fixture
def tf_keras(saved: Path) -> dict[str, Saved]:
    return models(saved / "tf_keras")


@pytest.mark.parametrize("who", COUNTS)
def test_the_judge_answers_as_keras(who: str, saved: Path) -> None:
    tolerance = FLOAT32 if who == "tf_keras" else EXACT
    found = {name: one.judged() for name, one in models(saved / who).items()}
    assert {name: far for name, far in found.items() if not far < tolerance} == {}
    assert len(found) == COUNTS[who]


@pytest.mark.parametrize("who", COUNTS)
def test_the_module_answers_as_keras(who: str, saved: Path) -> None:
    tolerance = FLOAT32 if who == "tf_keras" else EXACT
    found = {name: one.made() for name, one in models(saved / who).items()}
    assert {name: far for name, far in found.items() if not far < tolerance} == {}
    assert len(found) == COUNTS[who]


@pytest.mark.parametrize("who", COUNTS)
def test_onnxruntime_answers_as_keras(who: str, saved: Path) -> None:
    found = {name: one.run() for name, one in models(saved / who).items()}
    assert {name: far for name, far in found.items() if not far < FLOAT32} == {}
    assert len(found) == COUNTS[who]


def test_stacked_cells_are_layers_one_after_another(keras: dict[str, Saved]) -> None:
    model = keras["three"].model
    assert [type(layer) for layer in model.layers] == [Recurrent] * 3
    names = [layer.name.split("/")[1] for layer in model.layers]
    assert [name.rstrip("_0123456789") for name in names] == [
        "lstm_cell",
        "gru_cell",
        "simple_rnn_cell",
    ]
    assert all(layer.return_sequences for layer in model.layers)


def test_cells_of_one_name_are_told_apart(keras: dict[str, Saved]) -> None:
    names = [layer.name for layer in keras["two_of_one_name"].model.layers]
    assert [name.split("/")[1] for name in names] == ["cell", "cell_1"]


def test_the_hard_sigmoid_is_that_of_the_keras_that_wrote_it(
    keras: dict[str, Saved], tf_keras: dict[str, Saved]
) -> None:
    for name in ("hard", "one_hard"):
        old, new = tf_keras[name], keras[name]
        assert old.judged(converter.read(old.path, era=Era.KERAS_3)) > SHOWS
        assert new.judged(converter.read(new.path, era=Era.TF_KERAS)) > SHOWS
    # The gates of a ConvLSTM are a hard_sigmoid in tf_keras if nobody says anything else.
    assert tf_keras["same"].judged(converter.read(keras["same"].path)) > SHOWS


@pytest.mark.parametrize("name", ["same", "one", "two_alike", "line", "room"])
@pytest.mark.parametrize("pair", list(combinations(range(4), 2)))
def test_gates_that_are_swapped_show(
    keras: dict[str, Saved], name: str, pair: tuple[int, int]
) -> None:
    order = list(range(4))
    order[pair[0]], order[pair[1]] = pair[::-1]

    def swapped(part: str, array: np.ndarray) -> np.ndarray:
        return array[:, order] if part.endswith("bias") else array[order]

    one = keras[name]
    assert one.judged(changed(one.model, swapped)) > SHOWS


@pytest.mark.parametrize("name", ["same", "one", "both_sum", "three"])
@pytest.mark.parametrize("factor", [0, 2], ids=["lost", "doubled"])
def test_a_bias_that_is_lost_or_doubled_shows(
    keras: dict[str, Saved], name: str, factor: int
) -> None:
    one = keras[name]
    parts = [
        f"{layer.name}.{part}"
        for layer in one.model.layers
        for part in layer.weights
        if part.endswith("bias")
    ]
    assert parts
    for wrong in parts:
        model = changed(one.model, lambda part, a, w=wrong: a * factor if part == w else a)
        assert one.judged(model) > SHOWS, wrong


def test_cells_that_are_exchanged_show(keras: dict[str, Saved]) -> None:
    one = keras["two_alike"]
    first, second = one.model.layers
    other = {first.name: second, second.name: first}
    arrays = {
        f"{name}.{part}": layer.weights[part].read()
        for name, layer in other.items()
        for part in layer.weights
        if layer.forward.inputs == first.forward.units
    }
    model = changed(one.model, lambda part, array: arrays.get(part, array))
    assert one.judged(model) > SHOWS


def test_directions_that_are_exchanged_show(keras: dict[str, Saved]) -> None:
    one = keras["both_sum"]
    layer = one.layer
    assert isinstance(layer, ConvLSTM)
    assert layer.backward is not None
    wrong = replace(
        layer,
        forward=replace(layer.backward, go_backwards=False),
        backward=replace(layer.forward, go_backwards=True),
    )
    assert one.judged(one.with_layer(wrong)) > SHOWS


def test_time_that_is_reversed_shows(keras: dict[str, Saved]) -> None:
    for name in ("same", "conv_backwards"):
        one = keras[name]
        layer = one.layer
        assert isinstance(layer, ConvLSTM)
        turned = replace(layer.forward, go_backwards=not layer.forward.go_backwards)
        assert one.judged(one.with_layer(replace(layer, forward=turned))) > SHOWS


def test_kernels_that_are_turned_or_transposed_in_space_show(keras: dict[str, Saved]) -> None:
    for name in ("kernel", "recurrent_kernel"):
        for change in (lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a.swapaxes(1, 2)):
            one = keras["hard"]
            model = changed(
                one.model,
                lambda part, a, n=name, c=change: c(a) if part.endswith(f"forward.{n}") else a,
            )
            assert one.judged(model) > SHOWS


def test_padding_and_dilation_that_are_wrong_show(keras: dict[str, Saved]) -> None:
    settings = {
        "same": {"padding": Padding.VALID},
        "valid": {"padding": Padding.SAME},
        "dilated_same": {"dilation": (1, 1)},
        "strided": {"strides": (1, 1)},
    }
    for name, wrong in settings.items():
        one = keras[name]
        layer = one.layer
        assert isinstance(layer, ConvLSTM)
        assert one.judged(
            one.with_layer(replace(layer, forward=replace(layer.forward, **wrong)))
        ) > (SHOWS)


def test_the_odd_zero_on_the_other_side_shows(keras: dict[str, Saved]) -> None:
    def turned(module: object) -> None:
        (lstm,) = module.children()  # type: ignore[attr-defined]
        lstm.sides = [side for k in (0, 2) for side in lstm.sides[k : k + 2][::-1]]

    assert keras["valid"].made(turned) > SHOWS  # a window of 2 x 3


def test_a_mask_that_is_not_used_shows(keras: dict[str, Saved]) -> None:
    names = [name for name in keras if name.startswith(("masked", "places")) or "_masked" in name]
    assert len(names) == 16
    for name in names:
        one = keras[name]
        calls = tuple(
            replace(call, masks=()) if isinstance(call.layer, ConvLSTM) else call
            for call in one.model.calls
        )
        assert one.judged(replace(one.model, calls=calls)) > SHOWS, name


def test_steps_that_are_zeros_or_are_not_show(keras: dict[str, Saved]) -> None:
    for name in ("masked_zeros", "masked_whole", "masked_both_whole", "places_last"):
        one = keras[name]
        (layer,) = (layer for layer in one.model.layers if isinstance(layer, ConvLSTM))
        other = replace(layer, zero_output_for_mask=not layer.zero_output_for_mask)
        assert one.judged(one.with_layer(other)) > SHOWS, name


def test_states_that_are_lost_between_calls_show(keras: dict[str, Saved]) -> None:
    for name in ("stream", "stream_both", "stream_masked", "stream_stacked"):
        one = keras[name]
        calls = tuple(
            replace(call, layer=replace(call.layer, stateful=False))
            for call in one.model.calls
            if isinstance(call.layer, ConvLSTM)
        )
        assert one.judged(replace(one.model, calls=calls)) > SHOWS, name


def test_a_state_convolved_like_the_input_shows(keras: dict[str, Saved]) -> None:
    def dilated(module: object) -> None:
        (lstm,) = module.children()  # type: ignore[attr-defined]
        lstm.recurrent.dilation = lstm.dilation
        lstm.sides = [2, 2, 1, 1]

    assert keras["dilated_same"].made(dilated) > SHOWS
