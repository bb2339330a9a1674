"""An array of a layer, read only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from converter.gates import AS_IS, Array, Form


@dataclass(frozen=True, slots=True)
class Stored:
    """An array as its source stores it.

    Attributes:
        name: Its name in the source: "layers/lstm/cell/vars/0".
        read: Gives the array; called whenever it is wanted, so that nothing is kept in memory.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], Array] = field(repr=False, compare=False)

    @classmethod
    def of(cls, name: str, array: Array) -> Stored:
        """An array that is in memory."""
        return cls(name, array.shape, array.dtype, lambda: array)


@dataclass(frozen=True, slots=True)
class Weight:
    """One array of a layer, in the layout of the description.

    Attributes:
        shape: In the layout of the description.
        stored: The arrays of the source that it is made of.
        form: How it is made of them, and they of it.
        kept: Its dtype, where it is not that of the first of them.
    """

    shape: tuple[int, ...]
    stored: tuple[Stored, ...]
    form: Form = AS_IS
    kept: np.dtype[Any] | None = None

    @classmethod
    def of(cls, array: Array, name: str = "") -> Weight:
        """A weight that is in memory, already in the layout of the description."""
        return cls(array.shape, (Stored.of(name, array),))

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of what `read` gives: the one that the source stores, if nothing else is asked."""
        return self.stored[0].dtype if self.kept is None else self.kept

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def read(self) -> Array:
        """The array, in the layout of the description."""
        return self.form.read([stored.read() for stored in self.stored])


def weights_of(part: object, prefix: str = "") -> Iterator[tuple[str, Weight]]:
    """Every weight of a layer with its field's name: ("forward.kernel", Weight).

    In the order of the fields; parts of a layer (directions, an inner layer) are entered.
    """
    for item in fields(part):  # type: ignore[arg-type]
        value = getattr(part, item.name)
        if isinstance(value, Weight):
            yield f"{prefix}{item.name}", value
        elif getattr(type(value), "HAS_WEIGHTS", False):
            yield from weights_of(value, f"{prefix}{item.name}.")


def replace_weights(part: Any, new: Callable[[str, Weight], Weight], prefix: str = "") -> Any:
    """The same layer with `new(name, weight)` in the place of each weight."""
    changes: dict[str, object] = {}
    for item in fields(part):
        value = getattr(part, item.name)
        if isinstance(value, Weight):
            changes[item.name] = new(f"{prefix}{item.name}", value)
        elif getattr(type(value), "HAS_WEIGHTS", False):
            changes[item.name] = replace_weights(value, new, f"{prefix}{item.name}.")
    return replace(part, **changes)
