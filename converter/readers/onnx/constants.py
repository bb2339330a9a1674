"""Constants that are nodes, and what is asked of a tensor without looking into it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from converter.description import Stored
from converter.readers.onnx.folds import kept
from converter.readers.onnx.held import SMALL, Filled, Held, Known
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node


@lifts("Constant")
def _(lift: Lift, node: Node) -> list[Held]:
    name = node.outputs[0]
    match node.attributes:
        case {"value": Stored() as stored}:
            dtype = stored.dtype.newbyteorder("=").name
            named = Stored(name, stored.shape, stored.dtype, stored.read)
            return [Known(named, dtype)]
        case {"value_int": int(number)}:
            return [Known.of(np.array(number, np.int64), name)]
        case {"value_float": float(number)}:
            return [Known.of(np.array(number, np.float32), name)]
        case {"value_ints": tuple(numbers)}:
            return [Known.of(np.array(numbers, np.int64), name)]
        case {"value_floats": tuple(numbers)}:
            return [Known.of(np.array(numbers, np.float32), name)]
    raise lift.refusal(node, f"a constant of {', '.join(node.attributes)}")


@lifts("Shape")
def _(lift: Lift, node: Node) -> list[Held]:
    sizes = np.empty(len(lift.given(node, 0).sizes), object)
    sizes[:] = lift.given(node, 0).sizes
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    return [kept(node.outputs[0], sizes[start:end], None)]


@lifts("Size")
def _(lift: Lift, node: Node) -> list[Held]:
    whole: Any = 1
    for size in lift.given(node, 0).sizes:
        whole = size * whole
    return [kept(node.outputs[0], np.array(whole, object), None)]


@lifts("ConstantOfShape")
def _(lift: Lift, node: Node) -> list[Held]:
    shape = lift.known(node, 0, "the shape of a constant")
    sizes = tuple(size for size in shape.items() if not isinstance(size, float)) if shape else ()
    value = node.attributes.get("value")
    array = value.read() if isinstance(value, Stored) else np.zeros(1, np.float32)
    if all(isinstance(size, int) for size in sizes) and prod(sizes) <= SMALL:
        return [Known.of(np.full(sizes, array.item(), array.dtype), node.outputs[0])]
    return [Filled(array.item(), array.dtype.newbyteorder("=").name, sizes)]
