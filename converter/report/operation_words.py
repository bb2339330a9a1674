"""Operations outside layers in words."""

from __future__ import annotations

from converter.description import (
    Cast,
    Constant,
    CumulativeSum,
    Einsum,
    Elementwise,
    ExpandDims,
    Flip,
    OneHot,
    Operation,
    Reduce,
    Regroup,
    Repeat,
    Roll,
    Slice,
    Span,
    Split,
    Squeeze,
    Stack,
    Tile,
)


def operation_words(layer: Operation) -> str:
    """An operation as one writes it: "mean(1)", "x[:, -1]", "multiply(x, 2)"."""
    match layer:
        case Elementwise():
            given = ["x" if one is None else f"{one:g}" for one in layer.operands]
            return _call(layer.function.value, *(given if set(given) != {"x"} else ()))
        case Reduce():
            return _call(layer.reduction.value, *layer.axes, *["keepdims"] * layer.keepdims)
        case Slice():
            return f"x[{', '.join(map(_item, layer.items)) or ':'}]"
        case ExpandDims() | Squeeze() | Flip():
            return _call(type(layer).__name__, *layer.axes)
        case Regroup():
            return _call("Reshape", "batch and all", *layer.target)
        case Roll():
            return _call("Roll", layer.shift, f"axis={layer.axis}")
        case CumulativeSum():
            return _call("CumulativeSum", f"axis={layer.axis}")
        case Repeat():
            return _call("Repeat", layer.times, f"axis={layer.axis}")
        case Tile():
            return _call("Tile", *layer.times)
        case Stack():
            return _call("Stack", f"axis={layer.axis}")
        case Split():
            return _call("Split", *layer.sizes, f"axis={layer.axis}")
        case Einsum():
            return _call("Einsum", layer.equation)
        case Cast():
            return _call("Cast", layer.dtype)
        case OneHot():
            return _call("OneHot", layer.classes)
        case Constant():
            return _call("Constant", "x".join(map(str, layer.shape)))
    return type(layer).__name__


def _call(kind: str, *arguments: object) -> str:
    return f"{kind}({', '.join(map(str, arguments))})"


def _item(item: int | Span | None) -> str:
    if not isinstance(item, Span):
        return str(item)
    start, stop, step = ("" if one is None else str(one) for one in item)
    return f"{start}:{stop}" + (f":{step}" if step else "")
