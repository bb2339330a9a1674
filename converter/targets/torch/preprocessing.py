"""Layers that prepare values: other scales, categories, bins."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from converter.description import (
    CategoryEncoding,
    Discretization,
    Encoding,
    Normalization,
    Rescaling,
    Value,
)
from converter.description.preprocessing import Constants
from converter.dtypes import FLOATS
from converter.gates import AS_IS, Array, Form
from converter.targets.torch.emit import emit
from converter.targets.torch.source import TO, Held, Source


@emit.register(Rescaling)
def _(layer: Rescaling, source: Source) -> None:
    """A product and a sum."""
    (value,), (output,) = source.inputs, source.outputs
    several = len(layer.scale) > 1 or len(layer.offset) > 1
    x = source.take_folded(value, channels_first=False if several else None)
    if several and not x.text.isidentifier():
        x = source.named(x)
    text = x.atom
    if set(layer.scale) != {1.0}:
        text = f"{text} * {_constants(layer.scale, x.text, value)}"
    if set(layer.offset) != {0.0}:
        text = f"{text} {_plus(layer.offset, x.text, value)}"
    source.hold(output, text, x, compound=x.compound or text != x.text)


def _constants(numbers: Constants, x: str, value: Value, shape: tuple[int, ...] = ()) -> str:
    """A number, or a tensor of them beside `x`."""
    if len(set(numbers)) == 1:
        return repr(numbers[0])
    listed = f"[{', '.join(map(repr, numbers))}]"
    tensor = f"torch.tensor({listed}, device={x}.device)"
    if value.dtype in FLOATS:
        tensor = f"{x}.new_tensor({listed})"
    return f"{tensor}.view{shape}" if len(shape) > 1 else tensor


def _plus(numbers: Constants, x: str, value: Value, shape: tuple[int, ...] = ()) -> str:
    """What is added, and its sign."""
    if len(set(numbers)) == 1 and numbers[0] < 0:
        return f"- {-numbers[0]!r}"
    return f"+ {_constants(numbers, x, value, shape)}"


@emit.register(Normalization)
def _(layer: Normalization, source: Source) -> None:
    """A class of ours for statistics that are weights; a difference and a quotient otherwise."""
    (value,), (output,) = source.inputs, source.outputs
    shape = layer.shape_in(len(value.shape))[min(layer.axes, default=len(value.shape)) :]
    x = source.take(value)
    if layer.numbers is None:
        given = [*map(str, shape), *(["invert=True"] if layer.invert else [])]
        forms = {"count": AS_IS}
        parameters = {
            name: (weight, forms.get(name, _shaped(layer.sizes, shape)))
            for name, weight in layer.weights.items()
        }
        constructor = f"{source.copied('Normalization')}({', '.join(given)})"
        module = source.module(layer, constructor, parameters)
        source.hold(output, f"{module}({x.text})", x)
        return
    mean, variance = layer.numbers
    deviation = tuple(max(sqrt(one), 1e-7) for one in variance)
    if not x.text.isidentifier():
        x = source.named(x)
    divisor = _constants(deviation, x.text, value, shape)
    if layer.invert:
        text = f"{x.text} * {divisor} {_plus(mean, x.text, value, shape)}"
    else:
        negative = tuple(-one for one in mean)
        text = f"({x.text} {_plus(negative, x.text, value, shape)}) / {divisor}"
    source.hold(output, text, x, compound=True)


def _shaped(sizes: tuple[int, ...], shape: tuple[int, ...]) -> Form:
    """Statistics with axes of length 1 between them."""
    if sizes == shape:
        return AS_IS

    def read(array: Array) -> Array:
        return array.reshape(sizes)

    def write(array: Array) -> Array:
        return array.reshape(shape)

    how = "axes of 1 between"
    return Form(how, lambda arrays: read(arrays[0]), lambda array: (write(array),))


@emit.register(CategoryEncoding)
def _(layer: CategoryEncoding, source: Source) -> None:
    """F.one_hot, and what becomes of it."""
    (value,) = source.inputs
    x = source.take(value)
    index = x.atom if value.dtype == "int64" else f"{x.atom}.long()"
    _encode(index, layer, source, x)


@emit.register(Discretization)
def _(layer: Discretization, source: Source) -> None:
    """torch.bucketize."""
    (value,) = source.inputs
    x = source.take(value)
    if value.dtype not in ("float32", "float64"):
        x = replace(x, text=f"{x.atom}.float()", compound=False)
    if not x.text.isidentifier():
        x = source.named(x)
    short = value.dtype != "float64"  # as float32 reads them
    numbers = ", ".join(str(np.float32(one)) if short else repr(one) for one in layer.boundaries)
    text = f"torch.bucketize({x.text}, {x.text}.new_tensor([{numbers}]), right=True)"
    _encode(text, layer, source, x)


def _encode(index: str, layer: CategoryEncoding | Discretization, source: Source, x: Held) -> None:
    """Whole numbers below `depth` as an encoding has them."""
    (value,), (output,) = source.inputs, source.outputs
    if layer.encoding is Encoding.INT:
        source.hold(output, index, x)
        return
    if layer.encoding is Encoding.ONE_HOT and value.shape[-1] == 1:
        index = f"{index}.squeeze(-1)"
    text = f"F.one_hot({index}, {layer.depth})"
    if layer.encoding is Encoding.MULTI_HOT:
        text += ".amax(1)"
    elif layer.encoding is Encoding.COUNT:
        text += ".sum(1)"
    source.hold(output, f"{text}{TO[layer.dtype]}", x)
