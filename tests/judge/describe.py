"""Descriptions of the cases, written by hand from Keras's arguments and arrays.

Only what the cases use: it is no reader, so that a mistake of the readers is none of these tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from converter.activations import Activation, Parameter, from_keras
from converter.description import (
    Activate,
    AdaptivePooling,
    BatchNormalization,
    Call,
    CategoryEncoding,
    Combination,
    Combine,
    Concatenate,
    Convolution,
    Cropping,
    Dense,
    DepthwiseConvolution,
    Direction,
    Discretization,
    Dot,
    Dropout,
    Embedding,
    Encoding,
    Flatten,
    GlobalPooling,
    GroupNormalization,
    Identity,
    Interpolation,
    Layer,
    LayerNormalization,
    Merge,
    Model,
    Noise,
    Normalization,
    Padding,
    Permute,
    Pool,
    Pooling,
    PReLU,
    Recurrent,
    RepeatVector,
    Rescaling,
    Reshape,
    RMSNormalization,
    SeparableConvolution,
    Stored,
    TimeDistributed,
    TransposedConvolution,
    UnitNormalization,
    UpSampling,
    Value,
    Weight,
    ZeroPadding,
)
from converter.gates import AS_IS, Array, Cell, Form, bias_form, kernel_form
from tests.judge.case import Case, Keras

Shape = tuple[int, ...]


class Arrays:
    """A layer's arrays in Keras's order, taken one by one."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.left = list(arrays)

    def take(self, form: Form = AS_IS) -> Weight:
        array = self.left.pop(0)
        return Weight(form.read([array]).shape, (Stored.of("", array),), form)

    def take_if(self, wanted: bool, form: Form = AS_IS) -> Weight | None:
        return self.take(form) if wanted else None


Handler = Callable[[dict[str, Any], Arrays, Sequence[Shape], bool], Layer]
HANDLERS: dict[str, Handler] = {}
"""From Keras's arguments, the arrays, the shapes of the inputs, and whether it is Keras 3."""


def handles(*kinds: str) -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, handler))
        return handler

    return add


def layer_of(keras: Keras, arrays: Arrays, shapes: Sequence[Shape], keras_3: bool) -> Layer:
    given = {**keras.arguments, "kind": keras.kind}
    return HANDLERS[keras.kind](given, arrays, shapes, keras_3)


def described(case: Case, weights: Sequence[Array], inputs: Sequence[Array]) -> Model:
    """A model of the case's layer alone."""
    arrays = Arrays(weights)
    layer = layer_of(
        case.layer, arrays, [array.shape for array in inputs], case.by != ("tf_keras",)
    )
    assert not arrays.left
    return model_of(
        layer,
        *(
            Value(f"x{k}", shape_of_all(shapes), dtype_of(inputs[k]))
            for k, shapes in enumerate(zip(*case.calls, strict=True))
        ),
    )


def dtype_of(array: np.ndarray) -> str:
    """As a file of a float32 model says it, whose answers are asked for in float64."""
    return "float32" if array.dtype.kind == "f" else str(array.dtype)


def model_of(layer: Layer, *inputs: Value) -> Model:
    """A model of one layer alone; its outputs are "layer:0", "layer:1", ..."""
    outputs = tuple(
        Value(f"layer:{k}", shape)
        for k, shape in enumerate(layer.output_shapes(tuple(value.shape for value in inputs)))
    )
    call = Call(layer, inputs, outputs)
    return Model(name="alone", inputs=inputs, calls=(call,), outputs=outputs)


def shape_of_all(shapes: Sequence[Shape]) -> tuple[int | None, ...]:
    """A free batch, and free axes where the shapes differ."""
    axes = list(zip(*shapes, strict=True))
    return (None, *(sizes[0] if len(set(sizes)) == 1 else None for sizes in axes[1:]))


def activation(given: dict[str, Any], keras_3: bool, default: str = "linear") -> Activation:
    return from_keras(given.get("activation", default), keras_3=keras_3)


def per_axis(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def channels_first(given: dict[str, Any]) -> bool:
    return bool(given.get("data_format") == "channels_first")


@handles("LSTM", "GRU", "SimpleRNN")
def _(given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], keras_3: bool) -> Layer:
    cell = {"LSTM": Cell.LSTM, "GRU": Cell.GRU, "SimpleRNN": Cell.RNN}[given["kind"]]
    if not given.get("reset_after", True):
        cell = Cell.GRU_RESET_BEFORE
    direction = Direction(
        cell=cell,
        kernel=arrays.take(kernel_form(cell, "keras")),
        recurrent_kernel=arrays.take(kernel_form(cell, "keras")),
        bias=arrays.take_if(given.get("use_bias", True), bias_form(cell, "keras")),
        activation=activation(given, keras_3, "tanh"),
        recurrent_activation=from_keras(
            given.get("recurrent_activation", "sigmoid"), keras_3=keras_3
        ),
        go_backwards=given.get("go_backwards", False),
    )
    return Recurrent(
        name="layer",
        forward=direction,
        return_sequences=given.get("return_sequences", False),
        return_state=given.get("return_state", False),
        time_major=given.get("time_major", False),
    )


@handles("Bidirectional")
def _(given: dict[str, Any], arrays: Arrays, shapes: Sequence[Shape], keras_3: bool) -> Layer:
    one = given["layer"]
    turned = {"go_backwards": not one.arguments.get("go_backwards", False)}
    other = given.get("backward_layer", Keras(one.kind, {**one.arguments, **turned}))
    forward, backward = (layer_of(part, arrays, shapes, keras_3) for part in (one, other))
    assert isinstance(forward, Recurrent)
    assert isinstance(backward, Recurrent)
    merge = Merge(str(given.get("merge_mode", "concat")))
    return replace(forward, backward=backward.forward, merge=merge)


@handles("Identity", "ActivityRegularization")
def _(_given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Identity(name="layer")


def flat(numbers: Any) -> tuple[float, ...]:
    return tuple(numbers) if isinstance(numbers, list) else (float(numbers),)


@handles("Rescaling")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    scale, offset = flat(given["scale"]), flat(given.get("offset", 0.0))
    return Rescaling(name="layer", scale=scale, offset=offset)


@handles("Normalization")
def _(given: dict[str, Any], arrays: Arrays, shapes: Sequence[Shape], _: bool) -> Layer:
    axis = given.get("axis", -1)
    axes = () if axis is None else tuple(sorted(one % 3 for one in per_axis(axis, 1)))
    sizes = tuple(shapes[0][one] for one in axes)
    base: dict[str, Any] = {"name": "layer", "axes": axes, "sizes": sizes}
    base["invert"] = given.get("invert", False)
    if "mean" not in given:
        return Normalization(
            **base, mean=arrays.take(), variance=arrays.take(), count=arrays.take()
        )
    mean, variance = flat(given["mean"]), flat(given["variance"])
    times = sizes[0] if sizes and len(mean) == 1 else 1
    return Normalization(**base, mean=mean * times, variance=variance * times)


@handles("CategoryEncoding")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    encoding = Encoding(given["output_mode"])
    return CategoryEncoding(name="layer", depth=given["num_tokens"], encoding=encoding)


@handles("Discretization")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    rounded = np.array(given["bin_boundaries"], np.float32)
    encoding = Encoding(given.get("output_mode", "int"))
    return Discretization(name="layer", boundaries=tuple(map(float, rounded)), encoding=encoding)


@handles("Dense")
def _(given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], keras_3: bool) -> Layer:
    return Dense(
        name="layer",
        kernel=arrays.take(),
        bias=arrays.take_if(given.get("use_bias", True)),
        activation=activation(given, keras_3),
    )


@handles("Embedding")
def _(_given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Embedding(name="layer", embeddings=arrays.take())


@handles("Activation")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], keras_3: bool) -> Layer:
    return Activate(name="layer", activation=activation(given, keras_3))


@handles("ReLU", "LeakyReLU", "ELU", "Softmax")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    kind = {"LeakyReLU": "leaky_relu"}.get(given["kind"], given["kind"].lower())
    parameters: dict[str, Parameter] = {k: v for k, v in given.items() if k != "kind"}
    return Activate(name="layer", activation=Activation.of(kind, **parameters))


@handles("PReLU")
def _(_given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return PReLU(name="layer", alpha=arrays.take())


@handles("Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Dropout(name="layer", noise=Noise(given["kind"].removesuffix("1D")), rate=0.5)


@handles("TimeDistributed")
def _(given: dict[str, Any], arrays: Arrays, shapes: Sequence[Shape], keras_3: bool) -> Layer:
    ((batch, _time, *rest),) = shapes
    inner = layer_of(given["layer"], arrays, [(batch, *rest)], keras_3)
    return TimeDistributed(name="layer", layer=replace(inner, name=f"layer/{inner.name}"))


@handles("Conv1D", "Conv2D", "Conv3D")
def _(given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], keras_3: bool) -> Layer:
    rank = int(given["kind"][4])
    return Convolution(
        name="layer",
        kernel=arrays.take(),
        bias=arrays.take_if(given.get("use_bias", True)),
        strides=per_axis(given.get("strides", 1), rank),
        dilation=per_axis(given.get("dilation_rate", 1), rank),
        padding=Padding(given.get("padding", "valid")),
        groups=given.get("groups", 1),
        channels_first=channels_first(given),
        activation=activation(given, keras_3),
    )


def windowed(given: dict[str, Any], keras_3: bool) -> dict[str, Any]:
    """What the other convolutions have, too."""
    rank = int(given["kind"].partition("Conv")[2][0])
    return {
        "name": "layer",
        "strides": per_axis(given.get("strides", 1), rank),
        "dilation": per_axis(given.get("dilation_rate", 1), rank),
        "padding": Padding(given.get("padding", "valid")),
        "channels_first": channels_first(given),
        "activation": activation(given, keras_3),
    }


@handles("DepthwiseConv1D", "DepthwiseConv2D")
def _(given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], keras_3: bool) -> Layer:
    return DepthwiseConvolution(
        **windowed(given, keras_3),
        kernel=arrays.take(),
        bias=arrays.take_if(given.get("use_bias", True)),
    )


@handles("SeparableConv1D", "SeparableConv2D")
def _(given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], keras_3: bool) -> Layer:
    return SeparableConvolution(
        **windowed(given, keras_3),
        depthwise=arrays.take(),
        pointwise=arrays.take(),
        bias=arrays.take_if(given.get("use_bias", True)),
    )


@handles(*(f"Conv{rank}DTranspose" for rank in (1, 2, 3)))
def _(given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], keras_3: bool) -> Layer:
    settings = windowed(given, keras_3)
    more = given.get("output_padding")
    return TransposedConvolution(
        **settings,
        kernel=arrays.take(),
        bias=arrays.take_if(given.get("use_bias", True)),
        output_padding=None if more is None else per_axis(more, len(settings["strides"])),
    )


@handles(*(f"{pool}Pooling{rank}D" for pool in ("Max", "Average") for rank in (1, 2, 3)))
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    pool, _, rank = given["kind"].partition("Pooling")
    size = per_axis(given["pool_size"], int(rank[0]))
    return Pooling(
        name="layer",
        pool=Pool(pool.lower()),
        size=size,
        strides=per_axis(given.get("strides", size), int(rank[0])),
        padding=Padding(given["padding"]),
        channels_first=channels_first(given),
    )


@handles(*(f"Global{pool}Pooling{rank}D" for pool in ("Max", "Average") for rank in (1, 2, 3)))
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    pool, _, rank = given["kind"].removeprefix("Global").partition("Pooling")
    return GlobalPooling(
        name="layer",
        pool=Pool(pool.lower()),
        rank=int(rank[0]),
        keepdims=given["keepdims"],
        channels_first=channels_first(given),
    )


@handles(*(f"Adaptive{pool}Pooling{rank}D" for pool in ("Max", "Average") for rank in (1, 2, 3)))
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    pool, _, rank = given["kind"].removeprefix("Adaptive").partition("Pooling")
    return AdaptivePooling(
        name="layer",
        pool=Pool(pool.lower()),
        size=per_axis(given["output_size"], int(rank[0])),
        channels_first=channels_first(given),
    )


@handles("UpSampling1D", "UpSampling2D", "UpSampling3D")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return UpSampling(
        name="layer",
        size=per_axis(given["size"], int(given["kind"][-2])),
        interpolation=Interpolation(given.get("interpolation", "nearest")),
        channels_first=channels_first(given),
    )


def ends(value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    each = ((value, value),) * rank if isinstance(value, int) else value
    return (tuple(each),) if rank == 1 and isinstance(value, tuple) else tuple(each)


@handles(*(f"ZeroPadding{rank}D" for rank in (1, 2, 3)))
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    added = ends(given["padding"], int(given["kind"][-2]))
    return ZeroPadding(name="layer", ends=added, channels_first=channels_first(given))


@handles(*(f"Cropping{rank}D" for rank in (1, 2, 3)))
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    left_out = ends(given["cropping"], int(given["kind"][-2]))
    return Cropping(name="layer", ends=left_out, channels_first=channels_first(given))


@handles("BatchNormalization")
def _(given: dict[str, Any], arrays: Arrays, shapes: Sequence[Shape], _: bool) -> Layer:
    rank = len(shapes[0])
    axes = tuple(sorted(axis % rank for axis in per_axis(given.get("axis", -1), 1)))
    gamma, beta, mean, variance = (
        weight and Weight.of(weight.read().squeeze())
        for weight in (
            arrays.take_if(given.get("scale", True)),
            arrays.take_if(given.get("center", True)),
            arrays.take(),
            arrays.take(),
        )
    )
    return BatchNormalization(
        name="layer",
        axes=axes,
        gamma=gamma,
        beta=beta,
        moving_mean=mean,
        moving_variance=variance,
        epsilon=given.get("epsilon", 1e-3),
        momentum=0.99,
    )


@handles("LayerNormalization")
def _(given: dict[str, Any], arrays: Arrays, shapes: Sequence[Shape], _: bool) -> Layer:
    axes = per_axis(given.get("axis", -1), 1)
    return LayerNormalization(
        name="layer",
        axes=tuple(sorted(axis % len(shapes[0]) for axis in axes)),
        gamma=arrays.take_if(given.get("scale", True)),
        beta=arrays.take_if(given.get("center", True) and not given.get("rms_scaling")),
        epsilon=given.get("epsilon", 1e-3),
        centred=not given.get("rms_scaling"),
    )


@handles("GroupNormalization")
def _(given: dict[str, Any], arrays: Arrays, shapes: Sequence[Shape], _: bool) -> Layer:
    axis = given.get("axis", -1) % len(shapes[0])
    return GroupNormalization(
        name="layer",
        axis=axis,
        groups=shapes[0][axis] if given["groups"] == -1 else given["groups"],
        gamma=arrays.take_if(given.get("scale", True)),
        beta=arrays.take_if(given.get("center", True)),
        epsilon=given.get("epsilon", 1e-3),
    )


@handles("RMSNormalization")
def _(given: dict[str, Any], arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return RMSNormalization(name="layer", scale=arrays.take(), epsilon=given.get("epsilon", 1e-6))


@handles("UnitNormalization")
def _(given: dict[str, Any], _arrays: Arrays, shapes: Sequence[Shape], keras_3: bool) -> Layer:
    axes = sorted(axis % len(shapes[0]) for axis in per_axis(given.get("axis", -1), 1))
    return UnitNormalization(name="layer", axes=tuple(axes), least=1e-12 if keras_3 else 1e-6)


@handles(*(combination.value for combination in Combination))
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Combine(name="layer", combination=Combination(given["kind"]))


@handles("Concatenate")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Concatenate(name="layer", axis=given["axis"])


@handles("Dot")
def _(given: dict[str, Any], _arrays: Arrays, shapes: Sequence[Shape], keras_3: bool) -> Layer:
    first, second = (
        axis % len(shape) for axis, shape in zip(per_axis(given["axes"], 2), shapes, strict=True)
    )
    return Dot(
        name="layer",
        axes=(first, second),
        normalize=given["normalize"],
        least=1e-7 if keras_3 else 1e-6,
    )


@handles("Flatten")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Flatten(name="layer", channels_first=channels_first(given))


@handles("Reshape")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Reshape(name="layer", target=given["target_shape"])


@handles("Permute")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return Permute(name="layer", dims=given["dims"])


@handles("RepeatVector")
def _(given: dict[str, Any], _arrays: Arrays, _shapes: Sequence[Shape], _: bool) -> Layer:
    return RepeatVector(name="layer", n=given["n"])
