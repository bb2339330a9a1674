"""Convolutions: plain, depthwise, separable and transposed."""

from __future__ import annotations

from typing import Any

from converter.description import (
    Convolution,
    DepthwiseConvolution,
    Era,
    Layer,
    Padding,
    SeparableConvolution,
    Shape,
    TransposedConvolution,
    Weight,
)
from converter.errors import FormatError, UnsupportedError
from converter.gates import AS_IS, Array, Form
from converter.readers.keras import convolution_1
from converter.readers.keras.activation import read_activation
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size, reads
from converter.readers.keras.quantized import Matrix
from converter.readers.keras.weights import Weights

RANKS = {f"{kind}{rank}D": rank for kind in ("Conv", "Convolution") for rank in (1, 2, 3)}
DEPTHWISE = {f"Depthwise{kind}{rank}D": rank for kind in ("Conv", "Convolution") for rank in (1, 2)}
SEPARABLE = {f"Separable{kind}{rank}D": rank for kind in ("Conv", "Convolution") for rank in (1, 2)}
TRANSPOSED = {f"{kind}Transpose": rank for kind, rank in RANKS.items()}


def _windowed(config: Config, writer: Writer, rank: int, *paddings: str) -> dict[str, Any]:
    """What every convolution has."""
    return {
        **config.base(),
        "strides": config.sizes("strides", "subsample", "subsample_length", rank=rank, default=1),
        "dilation": config.sizes("dilation_rate", rank=rank, default=1),
        "padding": Padding(config.text("padding", "border_mode", among=paddings, default="valid")),
        "channels_first": config.channels_first(),
        "activation": read_activation(config, "activation", writer, default="linear"),
    }


def _channels(config: Config, x: Shape) -> int:
    return known_size(config, x, 1 if config.channels_first() else -1)


def _bias(config: Config, weights: Weights, filters: int) -> Weight | None:
    if not config.boolean("use_bias", "bias", default=True):
        return None
    return Weight((filters,), (weights.take("bias", (filters,)),))


@reads(*RANKS)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    rank = RANKS[config.kind]
    settings = _windowed(config, writer, rank, "valid", "same", *["causal"][: 2 - rank])
    filters = config.integer("filters", "nb_filter", most=MAX_UNITS)
    groups = config.integer("groups", most=MAX_UNITS, default=1)
    channels = _channels(config, inputs[0])
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
        shape = (*config.sizes("kernel_size", rank=rank), channels // groups, filters)
        if writer.keras_3:
            kernel = Matrix(config, writer, weights, "kernel", shape).weight()
        else:
            kernel = _kernel(weights, "kernel", writer, shape)
    bias = _bias(config, weights, filters)
    return Convolution(**settings, kernel=kernel, bias=bias, groups=groups)


@reads(*DEPTHWISE)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    rank = DEPTHWISE[config.kind]
    settings = _windowed(config, writer, rank, "valid", "same")
    config.must_be("groups", 1, None, code="config-key", hint="save the model without groups")
    config.value("filters", default=None)  # of the class that Keras 2 derives it from
    channels, multiplier = _channels(config, inputs[0]), _multiplier(config)
    shape = (*config.sizes("kernel_size", rank=rank), channels, multiplier)
    _check_theano(config, writer, shape)
    name = "kernel" if writer.keras_3 else "depthwise_kernel"
    kernel = _kernel(weights, name, writer, shape)
    bias = _bias(config, weights, channels * multiplier)
    return DepthwiseConvolution(**settings, kernel=kernel, bias=bias)


@reads(*SEPARABLE)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    rank = SEPARABLE[config.kind]
    settings = _windowed(config, writer, rank, "valid", "same", *["causal"][: 2 - rank])
    config.must_be("groups", 1, None, code="config-key", hint="save the model without groups")
    filters = config.integer("filters", "nb_filter", most=MAX_UNITS)
    channels, multiplier = _channels(config, inputs[0]), _multiplier(config)
    shape = (*config.sizes("kernel_size", rank=rank), channels, multiplier)
    _check_theano(config, writer, shape)
    across = (*(1,) * rank, channels * multiplier, filters)
    return SeparableConvolution(
        **settings,
        depthwise=_kernel(weights, "depthwise_kernel", writer, shape),
        pointwise=_kernel(weights, "pointwise_kernel", writer, across),
        bias=_bias(config, weights, filters),
    )


@reads(*TRANSPOSED)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    rank = TRANSPOSED[config.kind]
    settings = _windowed(config, writer, rank, "valid", "same")
    config.must_be("groups", 1, None, code="config-key", hint="save the model without groups")
    filters = config.integer("filters", most=MAX_UNITS)
    shape = (*config.sizes("kernel_size", rank=rank), filters, _channels(config, inputs[0]))
    more = config.value("output_padding", default=None)
    added = [more] * rank if isinstance(more, int) else more
    if added is not None and not (
        isinstance(added, list | tuple)
        and len(added) == rank
        and all(
            type(n) is int and 0 <= n < stride
            for n, stride in zip(added, settings["strides"], strict=True)
        )
    ):
        raise config.wrong("output_padding", more, "null, or less than the stride of each axis")
    return TransposedConvolution(
        **settings,
        kernel=_kernel(weights, "kernel", writer, shape),
        bias=_bias(config, weights, filters),
        output_padding=None if added is None else tuple(added),
    )


def _multiplier(config: Config) -> int:
    return config.integer("depth_multiplier", most=MAX_UNITS, default=1)


def _check_theano(config: Config, writer: Writer, shape: tuple[int, ...]) -> None:
    """Refuse a depthwise kernel of Theano: Keras turned others when it loaded them, but not it."""
    if writer.convolves and any(n > 1 for n in shape[:-2]):
        raise UnsupportedError(
            f"nothing says from which end {config.where} uses its kernel",
            context=f"{config.kind} of Theano",
            hint="load it in Keras on TensorFlow, compare its answers, and save it again",
            code="backend",
        )


def _kernel(weights: Weights, name: str, writer: Writer, shape: tuple[int, ...]) -> Weight:
    """A kernel that is stored as it is meant, but for the end from which Theano used it."""
    form = _turned(len(shape) - 2) if writer.convolves else AS_IS
    return Weight(shape, (weights.take(name, shape),), form)


def _turned(rank: int) -> Form:
    """A kernel that Theano used from its end: a convolution, where the others correlate."""
    axes = tuple(range(rank))

    def turn(array: Array) -> Array:
        return array[tuple(slice(None, None, -1) for _ in axes)]

    return Form("turned round", lambda arrays: turn(arrays[0]), lambda array: (turn(array),))
