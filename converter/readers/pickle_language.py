"""What a pickle may say: the terms in which `converter.readers.pickled` is told it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

MAX_STEPS = 200_000
"""Opcodes in one stream. A variable of Keras takes a hundred, a tensor of PyTorch thirty."""

SAVE_AGAIN = "save the model again with model.save, with h5py installed"

Arguments = tuple[object, ...]


class MalformedError(ValueError):
    """What a stream says cannot be meant; `read` says in which stream."""


class UnknownGlobalError(MalformedError):
    """A global that is in no table."""


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A class or function that a stream names, and what its call means here.

    Attributes:
        name: "numpy.dtype", for errors.
        make: From the arguments to a value.
        new: Likewise where a new object of a class is made, if that is not the same.
    """

    name: str
    make: Callable[[Arguments], object]
    new: Callable[[Arguments], object] | None = None


class Made:
    """What the functions of a table make, where a stream may go on with it."""

    def build(self, state: object) -> None:
        """Take the state that follows the making (BUILD)."""
        refuse(f"a state of {type(self).__name__}, which has none: {type(state).__name__}")

    def call(self, arguments: Arguments) -> object:
        """Be called (REDUCE)."""
        refuse(f"a call of {type(self).__name__} with {len(arguments)} arguments")

    def extend(self, values: list[object]) -> None:
        """Take more values (APPENDS)."""
        refuse(f"values for a {type(self).__name__}, expected a list")

    def update(self, entries: list[tuple[object, object]]) -> None:
        """Take more entries (SETITEMS)."""
        refuse(f"{len(entries)} entries for a {type(self).__name__}, expected a dictionary")


Known = Mapping[tuple[str, str], Callable[[Arguments], object]]
"""The globals that may be in a stream: module and name, and what makes a value of arguments."""


@dataclass(frozen=True, slots=True)
class Language:
    """What may be in a stream.

    Attributes:
        known: The globals that are known.
        persistent: From the id of what is kept outside of the stream to what stands for it
            (BINPERSID); None where nothing is.
        stranger: From the name of a class that is not known, and arguments, to what stands for a
            new object of it; None where there may be none.
        any_keys: Keys of dictionaries may be other than texts.
        max_steps: Opcodes, at most.
        hint: What to do where it says something else.
    """

    known: Known
    persistent: Callable[[object], object] | None = None
    stranger: Callable[[str, Arguments], object] | None = None
    any_keys: bool = False
    max_steps: int = MAX_STEPS
    hint: str = SAVE_AGAIN


def refuse(reason: str) -> NoReturn:
    """Raise what `read` tells as a `FormatError`."""
    raise MalformedError(reason)


SCALARS = str | int | float | None


def is_key(value: object) -> bool:
    """Whether a dictionary may have it as a key: a text, a number, None, a few of them, a class."""
    if isinstance(value, tuple):
        return all(isinstance(one, SCALARS) for one in value)
    return isinstance(value, SCALARS | Global)
