"""ConvLSTM1D, ConvLSTM2D and ConvLSTM3D, and Bidirectional of them.

Shape letters: C channels, F filters, G gates.
"""

from __future__ import annotations

from typing import Any

from converter.description import (
    ConvDirection,
    ConvLSTM,
    Era,
    Layer,
    Merge,
    Padding,
    Shape,
    ShapeMismatchError,
    Weight,
)
from converter.errors import FormatError, UnsupportedError
from converter.gates import GATES, Cell, bias_form, convolution_form
from converter.readers.keras.activation import read_activation
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import keeps_states, known_size, reads
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown

RANKS = {"ConvLSTM1D": 1, "ConvLSTM2D": 2, "ConvLSTM3D": 3}


@reads(*RANKS, several=True)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    """One direction."""
    return ConvLSTM(
        **config.base(),
        forward=_direction(config, inputs[0], weights, writer),
        zero_output_for_mask=_zeroes(config) and writer.keras_3,
        **_sequence(config, inputs[0]),
    )


def two_directions(
    config: Config,
    children: tuple[Config, Config],
    x: Shape,
    parts: tuple[Weights, Weights],
    writer: Writer,
    *,
    merge: Merge,
    turned: bool,
) -> Layer:
    """Bidirectional of a convolutional LSTM.

    Args:
        config: Of the wrapper.
        children: Of the two layers.
        x: The shape of the input.
        parts: The weights of the two.
        writer: Who wrote the file.
        merge: Of the directions.
        turned: The second is a copy of the first that reads the other way.

    Raises:
        FormatError: The layers do not belong together.
    """
    if children[0].kind != children[1].kind:
        raise config.wrong("backward_layer", children[1].kind, children[0].kind)
    forward, backward = (
        _direction(child, x, part, writer, turned=turned and child is children[1])
        for child, part in zip(children, parts, strict=True)
    )
    sequence, other = (_sequence(child, x) for child in children)
    for child in children:
        _zeroes(child)  # bidirectional.py sets it, whatever the layers say
        child.done()
    if sequence != other or forward.go_backwards == backward.go_backwards:
        settings = [
            {"go_backwards": forward.go_backwards, **sequence},
            {"go_backwards": backward.go_backwards, **other},
        ]
        raise FormatError(
            f"the two layers of {config.where} do not belong together",
            context=" and ".join(shown(one) for one in settings),
            hint="the file may be damaged; save the model again",
            code="config",
        )
    return ConvLSTM(
        **config.base(),
        forward=forward,
        backward=backward,
        merge=merge,
        zero_output_for_mask=sequence["return_sequences"] and writer.keras_3,
        **sequence,
    )


def _zeroes(config: Config) -> bool:
    """Whether a masked step returns zeros, in Keras 3; base_conv_rnn.py of tf.keras ignores it."""
    return config.boolean("zero_output_for_mask", default=False)


def _sequence(config: Config, x: Shape) -> dict[str, Any]:
    """What is the same for both directions."""
    config.must_be(
        "time_major",
        False,
        code="time-major",
        hint="put the batch before the time, and save the model with time_major=False",
    )
    return {
        "return_sequences": config.boolean("return_sequences", default=False),
        "return_state": config.boolean("return_state", default=False),
        "stateful": keeps_states(config, x),
        "channels_first": config.channels_first(),
    }


def _direction(
    config: Config, x: Shape, weights: Weights, writer: Writer, *, turned: bool = False
) -> ConvDirection:
    if writer.era is Era.KERAS_1 or writer.convolves:
        raise UnsupportedError(
            f"{config.where} is a convolutional LSTM of an old Keras, which is not read",
            context=f"{config.kind} of Keras {shown(writer.version)} on {shown(writer.backend)}",
            hint="open the file with Keras 2.2.4 on TensorFlow and save it again",
            code="conv-lstm",
        )
    config.boolean("unroll", default=False)
    config.integer("implementation", least=0, most=2, default=1)
    rank = RANKS[config.kind]
    if len(x) != rank + 3:
        raise ShapeMismatchError(f"an input of rank {len(x)}; expected {rank + 3}")
    filters = config.integer("filters", most=MAX_UNITS)
    channels = known_size(config, x, 2 if config.channels_first() else -1)
    size = config.sizes("kernel_size", rank=rank)
    inside = weights.part("cell")
    gates = len(GATES[Cell.LSTM])
    kernel = inside.take("kernel", (*size, channels, gates * filters))
    recurrent_kernel = inside.take("recurrent_kernel", (*size, filters, gates * filters))
    bias = None
    if config.boolean("use_bias", default=True):
        stored = inside.take("bias", (gates * filters,))
        bias = Weight((1, gates, filters), (stored,), bias_form(Cell.LSTM, "keras"))
    form = convolution_form(Cell.LSTM, "keras")
    backwards = config.boolean("go_backwards", default=False)
    return ConvDirection(
        kernel=Weight((gates, *size, channels, filters), (kernel,), form),
        recurrent_kernel=Weight((gates, *size, filters, filters), (recurrent_kernel,), form),
        bias=bias,
        strides=config.sizes("strides", rank=rank, default=1),
        dilation=config.sizes("dilation_rate", rank=rank, default=1),
        padding=Padding(config.text("padding", among=["valid", "same"], default="valid")),
        activation=read_activation(config, "activation", writer, default="tanh"),
        recurrent_activation=read_activation(
            config,
            "recurrent_activation",
            writer,
            default="sigmoid" if writer.keras_3 else "hard_sigmoid",
        ),
        go_backwards=not backwards if turned else backwards,
        dropout=_rate(config, "dropout", writer),
        recurrent_dropout=_rate(config, "recurrent_dropout", writer),
    )


def _rate(config: Config, key: str, writer: Writer) -> float:
    """Of a dropout, which a convolutional LSTM of Keras 3 has from 3.5 on."""
    rate = config.number(key, least=0, most=1, default=0.0)
    return 0.0 if writer.keras_3 and writer.number < (3, 5) else rate
