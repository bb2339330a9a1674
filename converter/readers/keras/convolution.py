"""Conv1D, Conv2D and Conv3D."""

from __future__ import annotations

from converter.description import Convolution, Era, Layer, Padding, Shape, Weight
from converter.errors import FormatError
from converter.gates import AS_IS, Array, Form
from converter.readers.keras import convolution_1
from converter.readers.keras.activation import read_activation
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size, reads
from converter.readers.keras.weights import Weights

RANKS = {
    "Conv1D": 1,
    "Convolution1D": 1,
    "Conv2D": 2,
    "Convolution2D": 2,
    "Conv3D": 3,
    "Convolution3D": 3,
}


@reads(*RANKS)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    config.float32()
    rank = RANKS[config.kind]
    for key in ("lora_rank", "lora_alpha"):
        config.must_be(
            key, None, code="stored-weights", hint="save the model with plain float32 weights"
        )
    filters = config.integer("filters", "nb_filter", most=MAX_UNITS)
    groups = config.integer("groups", most=MAX_UNITS, default=1)
    paddings = ["valid", "same", "causal"] if rank == 1 else ["valid", "same"]
    channels_first = config.channels_first()
    channels = known_size(config, inputs[0], 1 if channels_first else -1)
    if channels % groups or filters % groups:
        raise FormatError(
            f"{config.where} has channels that its groups do not divide",
            context=f"{channels} channels to {filters} filters in {groups} groups",
            hint="the file may be damaged; save the model again",
            code="config",
        )
    if writer.era is Era.KERAS_1:
        size = convolution_1.kernel_size(config, rank)
        kernel = convolution_1.kernel(config, weights, size, channels, filters, writer)
    else:
        size = config.sizes("kernel_size", rank=rank)
        shape = (*size, channels // groups, filters)
        form = _turned(rank) if writer.convolves else AS_IS
        kernel = Weight(shape, (weights.take("kernel", shape),), form)
    bias = None
    if config.boolean("use_bias", "bias", default=True):
        bias = Weight((filters,), (weights.take("bias", (filters,)),))
    return Convolution(
        **config.base(),
        kernel=kernel,
        bias=bias,
        strides=config.sizes("strides", "subsample", "subsample_length", rank=rank, default=1),
        dilation=config.sizes("dilation_rate", rank=rank, default=1),
        padding=Padding(config.text("padding", "border_mode", among=paddings, default="valid")),
        groups=groups,
        channels_first=channels_first,
        activation=read_activation(config, "activation", writer, default="linear"),
    )


def _turned(rank: int) -> Form:
    """A kernel that Theano used from its end: a convolution, where the others correlate."""
    axes = tuple(range(rank))

    def turn(array: Array) -> Array:
        return array[tuple(slice(None, None, -1) for _ in axes)]

    return Form("turned round", lambda arrays: turn(arrays[0]), lambda array: (turn(array),))
