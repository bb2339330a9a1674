"""How masks are made, as plain tuples that can be compared.

A mask that the rules of Keras 2 and 3 work out and one that Keras 3 has written down as operations
beside the layers are the same mask if they are made the same way:

    ("value", NAME)               a tensor that is a mask itself
    ("unequal", NAME, NUMBER)     where a tensor is not that number
    ("unequal", NAME, NUMBER, DTYPE)   the same, of the tensor in another dtype
    ("any", MASK)                 where any along the last axis is
    ("or", MASK, MASK, ...)       where any of them is, ("and", ...) where all of them are
    ("along", AXIS, MASK, ...)    one after another along an axis
    ("every", NAME)               every step of a tensor
    ("turned", AXIS, MASK)        from the last step to the first
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from converter.description import Value
from converter.dtypes import FLOATS, nearest
from converter.readers.keras.calls import Reference, operands

Origin = tuple[Any, ...]

MASK_OPERATIONS = frozenset(
    {
        "Any",
        "BroadcastTo",
        "Cast",
        "Concatenate",
        "ConvertToTensor",
        "ExpandDims",
        "Flip",
        "LogicalAnd",
        "LogicalOr",
        "NotEqual",
        "OnesLike",
        "ZerosLike",
    }
)
"""The operations with which Keras 3 makes masks, and writes them down beside the layers."""

HOME = "keras.src.ops.numpy"
"""Where they are."""

DEEPEST = 64
"""Operations one behind the other: Keras writes a few a mask, and a file may have a cycle."""


@dataclass(frozen=True, slots=True)
class MaskOperation:
    """An operation of Keras 3 that makes a mask.

    Attributes:
        kind: One of `MASK_OPERATIONS`.
        inputs: Its tensors.
        constants: Its other arguments.
        axis: Of Any, ExpandDims, Flip and Concatenate.
        dtype: Of Cast.
    """

    kind: str
    inputs: tuple[Reference, ...]
    constants: tuple[object, ...]
    axis: object
    dtype: object = None


def is_mask_operation(item: object) -> bool:
    """Whether a layer of a config is an operation that makes masks."""
    kind = item.get("class_name") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(kind, str) or kind not in MASK_OPERATIONS:
        return False
    nodes = item.get("inbound_nodes")
    of_keras = str(item.get("module")).startswith("keras.src.ops")
    return of_keras and isinstance(nodes, list) and len(nodes) == 1


def mask_operation(item: Mapping[str, Any], where: str) -> MaskOperation:
    """The operation of such a layer.

    Raises:
        FormatError: It is not as Keras writes it.
    """
    inputs, constants = operands(item["inbound_nodes"][0], where)
    config = item.get("config")
    own = config if isinstance(config, dict) else {}
    return MaskOperation(
        item["class_name"], tuple(inputs), tuple(constants), own.get("axis"), own.get("dtype")
    )


def leaves(
    operations: Mapping[str, MaskOperation], reference: Reference, depth: int = DEEPEST
) -> Iterator[Reference]:
    """The tensors of layers that a mask is made of."""
    operation = operations.get(reference.layer)
    if operation is None:
        yield reference
    elif depth:
        for one in operation.inputs:
            yield from leaves(operations, one, depth - 1)


def origin(
    operations: Mapping[str, MaskOperation],
    reference: Reference,
    value_of: Callable[[Reference], Value],
    depth: int = DEEPEST,
) -> Origin | None:
    """How a mask is made; None where by something that no layer of Keras does.

    Args:
        operations: Of the model, by name.
        reference: The mask.
        value_of: The tensor of a layer.
        depth: How many operations it may still take.
    """
    operation = operations.get(reference.layer)
    if operation is None:
        return of_tensor(value_of(reference))
    if not depth:
        return None
    if operation.kind in ("NotEqual", "ZerosLike", "OnesLike"):
        source = operation.inputs[0] if len(operation.inputs) == 1 else None
        cast = operations.get(source.layer) if source else None
        if cast is not None and cast.kind == "Cast" and len(cast.inputs) == 1:
            source = cast.inputs[0]
        if source is None or source.layer in operations:
            return None
        value = value_of(source)
        dtype = "" if cast is None else cast.dtype
        if operation.kind != "NotEqual":
            return "like", operation.kind == "OnesLike", value.name, len(value.shape)
        (number,) = operation.constants if len(operation.constants) == 1 else (None,)
        if not isinstance(number, int | float) or dtype not in ("", *FLOATS):
            return None
        return unequal(value, number, str(dtype))
    found = [origin(operations, one, value_of, depth - 1) for one in operation.inputs]
    inner = [one for one in found if one is not None]
    if not inner or len(inner) < len(found):
        return None
    return _combined(operation, inner)


def _combined(operation: MaskOperation, inner: list[Origin]) -> Origin | None:
    """What an operation makes of masks, or of masks with an axis behind them ("wide", MASK)."""
    first = inner[0]
    match operation.kind:
        case "ConvertToTensor":
            return first
        case "Flip" if isinstance(operation.axis, int):
            return turned_round(first, operation.axis)
        case "ExpandDims" if operation.axis == -1:
            return "wide", first
        case "BroadcastTo" if first[0] == "wide":
            return first
        case "LogicalOr" if len(inner) == 2 and first[0] == "wide" and inner[1][0] == "like":
            return first  # false everywhere, and of the shape that is wanted
        case "LogicalOr" | "LogicalAnd" if not any(one[0] in ("wide", "like") for one in inner):
            return joined("or" if operation.kind == "LogicalOr" else "and", inner)
        case "Concatenate" if isinstance(operation.axis, int):
            masks = [_narrow(one) for one in inner]
            if all(masks):
                return "wide along", operation.axis, *masks
        case "Any" if operation.axis == -1:
            return _any(first, inner)
    return None


def _narrow(wide: Origin) -> Origin | None:
    """The mask that has got another axis behind it."""
    if wide[0] == "wide":
        mask: Origin = wide[1]
        return mask
    return ("every", wide[2]) if wide[0] == "like" and wide[1] else None


def _any(first: Origin, inner: list[Origin]) -> Origin:
    if first[0] == "wide along":
        return along(first[1], list(first[2:]))
    mask = _narrow(first) if first[0] == "wide" else None
    return mask or ("any", *inner)


def of_tensor(value: Value) -> Origin:
    """That of a tensor which is a mask, or is to be taken as one."""
    return ("value", value.name) if value.dtype == "bool" else unequal(value, 0)


def unequal(value: Value, number: float, dtype: str = "") -> Origin:
    """Where a tensor is not that number, which is rounded as the tensor is.

    Args:
        value: The tensor.
        number: As it is written.
        dtype: Of the comparison; that of the tensor without it.
    """
    inside = dtype or (value.dtype if value.dtype in FLOATS else "float32")
    cast = (dtype,) if dtype not in ("", value.dtype) else ()
    return "unequal", value.name, nearest(number, inside), *cast


def joined(how: str, masks: list[Origin]) -> Origin:
    """The "or" or "and" of masks, each once."""
    different = list(dict.fromkeys(masks))
    return different[0] if len(different) == 1 else (how, *different)


def turned_round(mask: Origin, axis: int) -> Origin:
    """A mask from its last step to its first; twice is not at all."""
    inner: Origin = mask[2] if mask[0] == "turned" and mask[1] == axis else ()
    return inner or ("turned", axis, mask)


def along(axis: int, masks: list[Origin]) -> Origin:
    """Of tensors one after another: along their last axis (-1), or along another one."""
    if axis != -1:
        return "along", axis, *masks
    every = [one for one in masks if one[0] == "every"]
    return every[0] if every else joined("or", masks)
