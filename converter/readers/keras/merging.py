"""Layers that make one tensor of several."""

from __future__ import annotations

from converter.description import Combination, Combine, Concatenate, Dot, Layer, Shape
from converter.description.model import ShapeMismatchError, axis_of
from converter.errors import UnsupportedError
from converter.readers.keras.branches import BRANCHES
from converter.readers.keras.config import WHOLE, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown


@reads(*(combination.value for combination in Combination), several=True)
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    return Combine(**config.base(), combination=Combination(config.kind))


@reads("Concatenate", several=True)
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    axis = config.integer("axis", least=-32, most=32, default=-1)
    return Concatenate(**config.base(*WHOLE), axis=axis)


MODES = {
    "sum": Combination.ADD,
    "mul": Combination.MULTIPLY,
    "ave": Combination.AVERAGE,
    "max": Combination.MAXIMUM,
}
"""Of Keras 1's Merge, beside "concat" and "dot"."""


@reads("Merge", BRANCHES, several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    """Keras 1 had one layer for all of them."""
    mode = config.value("mode")
    kind = config.value("mode_type", default="raw")
    axis = config.integer("concat_axis", least=-32, most=32, default=-1)
    for key in ("dot_axes", "output_shape", "output_mask", "arguments", "layers"):
        config.value(key, default=None)
    for key in ("output_shape_type", "output_mask_type"):
        config.text(key, default="raw")
    if kind != "raw":
        raise UnsupportedError(
            f"{config.where} is a Merge by a function: its Python code is in the file",
            context=f"mode_type {shown(kind)}",
            hint="replace it by a mode of its own: sum, mul, concat, ave or max",
            code="lambda-layer",
        )
    if mode == "concat":
        return Concatenate(**config.base(), axis=axis)
    if mode == "dot" and {len(x) for x in inputs} in ({2}, {3}):  # others by rules of its backend
        return Dot(**config.base(), axes=_dot_axes(config, "dot_axes", inputs))
    if not isinstance(mode, str) or mode not in MODES:
        raise UnsupportedError(
            f"{config.where} merges in a way that is not read",
            context=f"mode {shown(mode)}; known: concat, dot, {', '.join(MODES)}",
            hint="replace it by a mode that is known and save the model again",
            code="merge-mode",
        )
    return Combine(**config.base(), combination=MODES[mode])


@reads("Dot", several=True)
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    normalize = config.boolean("normalize", default=False)
    if normalize and writer.convolves:
        raise UnsupportedError(
            f"nothing says what {config.where} makes of a vector that is next to nothing",
            context="normalize=True of Theano",
            hint="load it in Keras on TensorFlow, compare its answers, and save it again",
            code="backend",
        )
    return Dot(
        **config.base(),
        axes=_dot_axes(config, "axes", inputs),
        normalize=normalize,
        # tf.linalg.l2_normalize has its least number under the root.
        least=1e-7 if writer.keras_3 else 1e-6,
    )


def _dot_axes(config: Config, key: str, inputs: tuple[Shape, ...]) -> tuple[int, int]:
    """One axis of each of two inputs, counted from the front."""
    if len(inputs) != 2:
        raise ShapeMismatchError(f"{len(inputs)} inputs; expected 2")
    value = config.value(key)
    if isinstance(value, list):
        axes = config.integers(key, least=-32, most=32)
    else:
        axes = (config.integer(key, least=-32, most=32),) * 2
    if len(axes) != 2:
        raise config.wrong(key, value, "a whole number, or one for each input")
    first, second = (axis_of(axis, len(x)) for axis, x in zip(axes, inputs, strict=True))
    return first, second
