"""What a step of a module has become, and what layers are made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from converter.description import Stored, Value, Weight
from converter.dtypes import FLOATS
from converter.gates import Form
from converter.readers.torch.exported.traced import Parameter, Sizes


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor, as the model has it.

    Attributes:
        axes: Axis k of the tensor is axis `axes[k]` of the value.
        sizes: Of the tensor.
    """

    value: Value
    axes: tuple[int, ...]
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class Stacked:
    """Tensors beside each other along a new axis: the states of the layers of an LSTM.

    Attributes:
        axis: The new one.
    """

    parts: tuple[Held, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """A tensor whose first axis is the first two of another: the steps of a batch, one by one."""

    inner: Held
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class Filled:
    """A tensor of one number."""

    number: float
    sizes: Sizes
    dtype: str


@dataclass(frozen=True, slots=True)
class Order:
    """The examples of a batch by the lengths of their sequences, as `pack_padded_sequence` does.

    Attributes:
        name: Of the step that sorts.
        back: It is the way back.
    """

    name: str
    back: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """0, 1, 2, and so on."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A result that is not made, since no layer gives it: the places of a maximum."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """What has its examples in another order."""

    inner: Any
    order: Order


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed sequence: the padded one, and which of its steps count.

    Attributes:
        x: (B, T, ...), the examples as they were before they were sorted.
        mask: (B, T).
        order: In which they are; None if they are as they came.
    """

    x: Held
    mask: Value
    order: Order | None


Lifted = (
    Held
    | Stacked
    | Merged
    | Filled
    | Order
    | Counted
    | Unread
    | Sorted
    | Packed
    | Parameter
    | tuple[Any, ...]
)


def weight_of(parameters: Sequence[Parameter], form: Form) -> Weight:
    """One weight of several parameters, in the layout of the description."""
    stored = tuple(Stored(one.name, one.shape, one.dtype, one.read) for one in parameters)
    return Weight(form.read([one.read() for one in stored]).shape, stored, form)


def settings(*parameters: Parameter | None, dtype: str) -> dict[str, Any]:
    """What layers say of their weights: whether they are trained, and their dtypes."""
    given = [one for one in parameters if one is not None]
    return {
        "trainable": any(one.trained for one in given) or not given,
        **computing(dtype, str(given[0].dtype) if given else dtype),
    }


def computing(dtype: str, kept: str = "") -> dict[str, Any]:
    """The dtypes of a layer that gives `dtype`."""
    inside = dtype if dtype in FLOATS else "float32"
    return {"dtype": inside, "variable_dtype": kept if kept in FLOATS else inside}


def whole(value: Value, sizes: Sizes) -> Held:
    """A tensor whose axes are those of the value."""
    return Held(value, tuple(range(len(sizes))), sizes)


def shape_of(sizes: Sizes) -> tuple[int | None, ...]:
    """Sizes as the description has them."""
    return tuple(size if isinstance(size, int) else None for size in sizes)


def without(held: Held, axes: Sequence[int], value: Value) -> Held:
    """A tensor that has lost some axes, whose value has lost them too."""
    left = [axis for axis in range(len(held.axes)) if axis not in axes]
    order = sorted(held.axes[axis] for axis in left)
    return Held(
        value,
        tuple(order.index(held.axes[axis]) for axis in left),
        tuple(held.sizes[axis] for axis in left),
    )
