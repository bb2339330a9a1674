"""RNN of cells and ConvLSTM: states in the order of the era, weights, settings that are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converter.activations import Activation
from converter.description import ConvLSTM, Era, Layer, Padding
from converter.gates import GATES, Array, Cell
from converter.readers import read
from tests.readers.files import (
    Config,
    archive,
    called,
    called_2,
    counted,
    functional,
    given,
    hdf5,
    layer,
    sequential,
    tensor,
)

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Layer]

AGAIN = "  help:  the file may be damaged; save the model again"


def stack(*cells: Config, **settings: object) -> Config:
    """An RNN of cells; settings of StackedRNNCells."""
    inner = layer("StackedRNNCells", "stack", cells=list(cells), **settings)
    return layer("RNN", "rnn", cell=inner, return_state=True)


def group(cell: str, inputs: int, units: int) -> dict[str, Array]:
    """The arrays of a SimpleRNNCell."""
    return {
        f"rnn/{cell}/kernel:0": counted(inputs, units),
        f"rnn/{cell}/recurrent_kernel:0": counted(units, units),
        f"rnn/{cell}/bias:0": counted(units),
    }


@pytest.mark.parametrize(
    ("version", "settings", "names"),
    [
        ("2.2.2", {}, ["rnn/b", "rnn/b:1", "rnn/a:1"]),
        ("2.2.3", {}, ["rnn/b", "rnn/a:1", "rnn/b:1"]),
        ("2.2.4", {"reverse_state_order": True}, ["rnn/b", "rnn/b:1", "rnn/a:1"]),
        # tf.keras has the setting, and gives the natural order all the same.
        ("2.15.0", {"reverse_state_order": True}, ["rnn/b", "rnn/a:1", "rnn/b:1"]),
    ],
)
def test_the_states_of_stacked_cells_are_in_the_order_of_their_keras(
    version: str, settings: dict[str, object], names: list[str], file: Path
) -> None:
    cells = [layer("SimpleRNNCell", name, units=units) for name, units in (("a", 2), ("b", 4))]
    config = functional(
        [
            called_2(layer("InputLayer", "x", batch_input_shape=[None, None, 3], dtype="float32")),
            called_2(stack(*cells, **settings), [["x", 0, 0, {}]]),
        ],
        ["x"],
        [["rnn", 0, k] for k in range(3)],
    )
    weights = group("a", 3, 2) | group("b", 2, 4)
    model = read(hdf5(file, config, {"rnn": weights}, version=version))
    assert [value.name for value in model.outputs] == names


def test_where_the_order_cannot_be_told_it_is_refused(file: Path, error_of: Error) -> None:
    cells = [layer("SimpleRNNCell", name, units=2) for name in ("a", "b")]
    config = sequential(
        layer("InputLayer", "x", batch_input_shape=[None, None, 3], dtype="float32"), stack(*cells)
    )
    path = hdf5(file, config, {}, version="2.1.6-tf")
    assert error_of(lambda: read(path)) == (
        "error[state-order]: the order of the states of layer 'rnn' of model cannot be told\n"
        '  found: stacked cells of tf.keras "2.1.6-tf"\n'
        "  help:  save the model with TensorFlow 1.13 or newer"
    )


def test_constants_of_an_rnn_are_refused(file: Path, error_of: Error) -> None:
    rnn = layer("RNN", "rnn", cell=layer("LSTMCell", "c", units=2), num_constants=1)
    path = archive(file, sequential(given((None, None, 3)), rnn), {})
    assert error_of(lambda: read(path)) == (
        "error[call-argument]: num_constants of layer 'rnn' of model is not read yet\n"
        "  found: num_constants=1\n"
        "  help:  give the constants to the model as another input of each step"
    )


def test_a_wrong_number_of_states_is_refused(file: Path, error_of: Error) -> None:
    cells = [layer("SimpleRNNCell", name, units=2) for name in ("a", "b")]
    config = functional(
        [
            called(given((None, None, 3))),
            called(given((None, 2), "s")),
            called(
                stack(*cells),
                {"args": [tensor("x")], "kwargs": {"initial_state": [tensor("s")]}},
            ),
        ],
        ["x", "s"],
        ["rnn"],
    )
    assert error_of(lambda: read(archive(file, config, {}))) == (
        "error[graph-shape]: layer 'rnn' of model cannot take its input\n"
        f"  found: 1 initial states; expected 2\n{AGAIN}"
    )


@pytest.mark.parametrize("cells", [[], "cells", None])
def test_a_stack_of_nothing_is_refused(cells: object, file: Path, error_of: Error) -> None:
    rnn = layer("RNN", "rnn", cell=layer("StackedRNNCells", "stack", cells=cells))
    text = error_of(lambda: read(archive(file, sequential(given((None, None, 3)), rnn), {})))
    assert text.startswith("error[config]: cells of layer 'rnn/stack' of model is not as Keras")


IMAGES = (None, None, 5, 4, 3)
KERNELS = (counted(2, 3, 3, 8), counted(2, 3, 2, 8, start=30), counted(8, start=60))


def conv_lstm(one: One, *weights: Array, **settings: object) -> ConvLSTM:
    """A ConvLSTM2D of two filters, a window of 2 x 3, three channels."""
    own = {"filters": 2, "kernel_size": [2, 3], "shape": IMAGES, "inside": "cell/", **settings}
    found = one("ConvLSTM2D", *weights, **own)
    assert isinstance(found, ConvLSTM)
    return found


def test_each_gate_of_a_conv_lstm_has_its_columns(one: One) -> None:
    found = conv_lstm(one, *KERNELS)
    for k, gate in enumerate(GATES[Cell.LSTM]):
        columns = slice(2 * k, 2 * k + 2)
        own = found.gates[gate]
        np.testing.assert_array_equal(own.kernel, KERNELS[0][..., columns])
        np.testing.assert_array_equal(own.recurrent_kernel, KERNELS[1][..., columns])
        np.testing.assert_array_equal(own.bias, KERNELS[2][columns])


def test_the_settings_of_a_conv_lstm(one: One) -> None:
    found = conv_lstm(
        one,
        *KERNELS[:2],
        use_bias=False,
        strides=[2, 1],
        padding="same",
        dilation_rate=[1, 1],
        go_backwards=True,
        return_sequences=True,
        return_state=True,
        dropout=0.25,
        recurrent_dropout=0.5,
    )
    ahead = found.forward
    assert (ahead.strides, ahead.padding, ahead.dilation) == ((2, 1), Padding.SAME, (1, 1))
    assert (ahead.bias, ahead.go_backwards) == (None, True)
    assert (ahead.dropout, ahead.recurrent_dropout) == (0.25, 0.5)
    assert (found.return_sequences, found.return_state) == (True, True)


def test_the_channels_of_a_conv_lstm_may_stand_first(one: One) -> None:
    found = conv_lstm(one, *KERNELS, data_format="channels_first", shape=(None, None, 3, 5, 4))
    assert found.channels_first
    assert found.output_shapes(((None, 7, 3, 5, 4),)) == ((None, 2, 4, 2),)


@pytest.mark.parametrize(
    ("version", "activation"),
    [
        ("2.2.4", Activation.of("hard_sigmoid", alpha=0.2)),
        ("2.3.1", Activation.of("hard_sigmoid", alpha=0.2)),
        ("2.15.0", Activation.of("hard_sigmoid", alpha=0.2)),
        ("3.0.0", Activation.of("sigmoid")),
    ],
)
def test_the_gates_that_no_config_says_are_those_of_the_era(
    one: One, version: str, activation: Activation
) -> None:
    found = conv_lstm(one, *KERNELS, version=version)
    assert found.forward.recurrent_activation == activation


def test_a_conv_lstm_of_keras_1_is_refused(one: One, error_of: Error) -> None:
    assert error_of(lambda: conv_lstm(one, version="1.2.2", era=Era.KERAS_1)) == (
        "error[conv-lstm]: layer 'it' of model is a convolutional LSTM of an old Keras, which is "
        'not read\n  found: ConvLSTM2D of Keras "1.2.2" on ""\n'
        "  help:  open the file with Keras 2.2.4 on TensorFlow and save it again"
    )


def test_time_before_the_batch_of_a_conv_lstm_is_refused(one: One, error_of: Error) -> None:
    text = error_of(lambda: conv_lstm(one, *KERNELS, time_major=True))
    assert text.startswith("error[time-major]: time_major of layer 'it' of model is not read yet\n")


def test_a_conv_lstm_keeps_states_of_a_known_size_alone(one: One, error_of: Error) -> None:
    kept = conv_lstm(one, *KERNELS, stateful=True, shape=(2, *IMAGES[1:]))
    assert kept.stateful
    for shape in (IMAGES, (2, None, None, 4, 3)):
        text = error_of(lambda s=shape: conv_lstm(one, *KERNELS, stateful=True, shape=s))
        assert text == (
            "error[stateful]: layer 'it' of model keeps its states, and nothing says of how many "
            f"sequences\n  found: stateful=True and an input of shape {shape}\n"
            "  help:  build the model with a fixed batch: batch_shape=(1, None, ...)"
        )


@pytest.mark.parametrize(("version", "zeroed"), [("3.0.0", True), ("2.15.0", False)])
def test_masked_steps_of_a_conv_lstm_are_zeros_in_keras_3_alone(
    version: str, zeroed: bool, one: One
) -> None:
    found = conv_lstm(one, *KERNELS, zero_output_for_mask=True, version=version)
    assert found.zero_output_for_mask is zeroed


MASK = layer("Masking", "m", mask_value=0.0)


@pytest.mark.parametrize(
    ("settings", "era", "found"),
    [
        (
            {"unroll": True, "padding": "same"},
            Era.KERAS_3,
            "unroll=True, and a mask of places, on which Keras fails",
        ),
        ({}, Era.KERAS_2, "a convolutional LSTM with a mask, on which Keras 2 fails"),
    ],
)
def test_a_mask_on_which_keras_itself_fails_is_refused(
    settings: dict[str, object], era: Era, found: str, file: Path, error_of: Error
) -> None:
    part = layer("ConvLSTM2D", "it", filters=2, kernel_size=[2, 3], **settings)
    weights = {f"layers/conv_lstm2d/cell/vars/{k}": one for k, one in enumerate(KERNELS)}
    config = sequential(given((None, 7, 5, 4, 3)), MASK, part)
    path = archive(file, config, weights)
    assert error_of(lambda: read(path, era=era)) == (
        "error[mask]: layer 'it' of model would use a mask that is not read yet\n"
        f"  found: {found}\n"
        "  help:  save the model without the mask where all sequences have their full length"
    )


def test_a_mask_of_other_places_than_a_state_has_is_refused(file: Path, error_of: Error) -> None:
    part = layer("ConvLSTM2D", "it", filters=2, kernel_size=[2, 3])
    weights = {f"layers/conv_lstm2d/cell/vars/{k}": one for k, one in enumerate(KERNELS)}
    path = archive(file, sequential(given((None, 7, 5, 4, 3)), MASK, part), weights)
    assert error_of(lambda: read(path)) == (
        "error[graph-shape]: layer 'it' of model cannot take its input\n"
        f"  found: a mask of shape (None, 7, 5, 4) for a state of shape [4, 2, 2]\n{AGAIN}"
    )


def test_directions_of_other_kinds_are_refused(file: Path, error_of: Error) -> None:
    both = layer(
        "Bidirectional",
        "b",
        layer=layer("ConvLSTM2D", "c", filters=2, kernel_size=2),
        backward_layer=layer("LSTM", "l", units=2, go_backwards=True),
    )
    assert error_of(lambda: read(archive(file, sequential(given(IMAGES), both), {}))) == (
        "error[config]: backward_layer of layer 'b' of model is not as Keras writes it\n"
        f'  found: "LSTM"; expected ConvLSTM2D\n{AGAIN}'
    )


def test_directions_with_other_settings_are_refused(file: Path, error_of: Error) -> None:
    inner = {"filters": 2, "kernel_size": 2}
    both = layer(
        "Bidirectional",
        "b",
        layer=layer("ConvLSTM2D", "c", **inner),
        backward_layer=layer("ConvLSTM2D", "d", return_sequences=True, go_backwards=True, **inner),
    )
    text = error_of(lambda: read(archive(file, sequential(given(IMAGES), both), {})))
    assert text.startswith("error[config]: the two layers of layer 'b' of model do not belong")


def test_an_input_of_another_rank_is_refused(file: Path, error_of: Error) -> None:
    part = layer("ConvLSTM2D", "it", filters=2, kernel_size=2)
    path = archive(file, sequential(given((None, None, 5, 3)), part), {})
    assert error_of(lambda: read(path)) == (
        "error[graph-shape]: layer 'it' of model cannot take its input\n"
        f"  found: an input of rank 4; expected 5\n{AGAIN}"
    )
