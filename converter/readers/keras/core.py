"""Dense, Embedding, activations as layers, the dropouts, and TimeDistributed."""

from __future__ import annotations

from converter.description import (
    Activate,
    Dense,
    Dropout,
    Embedding,
    Identity,
    Layer,
    Masked,
    MaskedSoftmax,
    Masking,
    Noise,
    PReLU,
    Shape,
    ShapeMismatchError,
    TimeDistributed,
    Weight,
)
from converter.description.model import axis_of
from converter.dtypes import nearest
from converter.errors import UnsupportedError
from converter.readers.keras.activation import LAYERS, read_activation
from converter.readers.keras.attention import check_lowered, masked_by
from converter.readers.keras.config import MAX_UNITS, WHOLE, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import build_one, known_size, reads
from converter.readers.keras.quantized import Matrix
from converter.readers.keras.refused import refuse
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown


@reads("Dense", "TimeDistributedDense")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    shape = (
        known_size(config, inputs[0], -1),
        config.integer("units", "output_dim", most=MAX_UNITS),
    )
    kernel = Matrix(config, writer, weights, "kernel", shape, scaled=1)
    kernel.check_inputs(config)
    bias = None
    if config.boolean("use_bias", "bias", default=True):
        bias = Weight(shape[1:], (weights.take("bias", shape[1:]),))
    return Dense(
        **config.base(),
        kernel=kernel.weight(),
        bias=bias,
        activation=read_activation(config, "activation", writer, default="linear"),
    )


@reads("Embedding")
def _(config: Config, _inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    config.number("dropout", least=0, most=1, default=0.0)  # of Keras 1, in training
    config.boolean("autocast", default=False)
    shape = (config.integer("input_dim"), config.integer("output_dim", most=MAX_UNITS))
    embeddings = Matrix(config, writer, weights, "embeddings", shape, scaled=0)
    return Embedding(
        **config.base(*WHOLE),
        embeddings=embeddings.weight(),
        mask_zero=config.boolean("mask_zero", default=False),
    )


@reads("Masking")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    value = config.number("mask_value", default=0.0)
    dtype, _ = config.policy()  # in which the number is compared, where 0.1 is another one
    number = nearest(value, dtype)
    if writer.keras_3 and number != nearest(value, "float32"):
        # It is made a tensor of float32 before; what that is cast to depends on the backend.
        raise UnsupportedError(
            f"{config.where} masks a number that is another one in {dtype} and in float32",
            context=f"mask_value {shown(value)}; Keras 3 compares in the one on TensorFlow, in the "
            "other on PyTorch",
            hint="use a mask_value that both have, such as 0 or -1",
            code="mask-value",
        )
    return Masking(**config.base(), mask_value=number)


@reads("Activation")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    activation = read_activation(config, "activation", writer, may_halve=True)
    return Activate(**config.base(), activation=activation)


@reads(*LAYERS)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    activation = LAYERS[config.kind](config)
    axes = activation.axes
    if len({axis_of(axis, len(inputs[0])) for axis in axes}) < len(axes):
        raise ShapeMismatchError(f"axes {axes} of a tensor of rank {len(inputs[0])}: one twice")
    if config.kind == "Softmax":
        robust = config.boolean("robust_masking", default=False)
        if config.called("mask"):
            masked = masked_by(writer, robust=robust)
            check_lowered(config, writer, masked)
            if masked is Masked.LOWERED and len(axes) > 1:
                raise UnsupportedError(
                    f"{config.where} is given a mask, over several axes",
                    context=f"axes {axes}; what is masked whole sums to the number of its elements",
                    hint="use a softmax over one axis",
                    code="softmax-mask",
                )
            return MaskedSoftmax(**config.base(), softmax=activation, masked=masked)
    return Activate(**config.base(), activation=activation)


@reads("Identity")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    return Identity(**config.base(*WHOLE))


@reads("ActivityRegularization")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    for key in ("l1", "l2"):  # of the loss
        config.number(key, default=0.0)
    return Identity(**config.base())


@reads("PReLU")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, _writer: Writer) -> Layer:
    shared: tuple[int, ...] = ()
    if config.value("shared_axes", default=None) is not None:
        shared = config.integers("shared_axes", least=1, most=32)
    shape = tuple(
        1 if axis in shared else known_size(config, inputs[0], axis)
        for axis in range(1, len(inputs[0]))
    )
    return PReLU(**config.base(), alpha=Weight(shape, (weights.take("alpha", shape),)))


@reads("Dropout", "AlphaDropout")
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    shape = config.value("noise_shape", default=None)
    if shape is not None and not (
        isinstance(shape, list)
        and len(shape) == len(inputs[0])
        and all(n is None or (type(n) is int and n > 0) for n in shape)
    ):
        raise config.wrong("noise_shape", shape, "null, or a size or null for each axis")
    return Dropout(
        **config.base(*WHOLE),
        noise=Noise.DROPOUT if config.kind == "Dropout" else Noise.ALPHA,
        rate=config.number("rate", "p", least=0, most=1),
        noise_shape=() if shape is None else tuple(shape),
    )


@reads("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    config.value("noise_shape", default=None)  # it has its own
    return Dropout(
        **config.base(),
        noise=Noise.SPATIAL,
        rate=config.number("rate", "p", least=0, most=1),
        channels_first=config.channels_first(),
    )


@reads("GaussianNoise", "GaussianDropout")
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    if config.kind == "GaussianNoise":
        noise, rate = Noise.GAUSSIAN_NOISE, config.number("stddev", "sigma", least=0)
    else:
        noise, rate = Noise.GAUSSIAN_DROPOUT, config.number("rate", "p", least=0, most=1)
    return Dropout(**config.base(), noise=noise, rate=rate)


@reads("TimeDistributed")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    """A layer that is applied to every step: (B, T, ...) is (B·T, ...) for it."""
    inner = config.child("layer")
    refuse(inner.kind, None, inner.where)
    if len(inputs[0]) < 3:
        raise ShapeMismatchError(f"an input of rank {len(inputs[0])}; expected at least 3")
    shape = (None, *inputs[0][2:])
    return TimeDistributed(
        **config.base(), layer=build_one(inner, (shape,), weights.part("layer"), writer)
    )
