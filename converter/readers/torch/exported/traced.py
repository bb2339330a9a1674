"""What a module does with its inputs: a list of steps, without torch.

A size is a number, or the text of an expression where it is free: "s0", "s0 - 1".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from converter.gates import Array

Size = int | str
Sizes = tuple[Size, ...]


class Ref(NamedTuple):
    """What a step gives, by its name, where another one takes it."""

    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of somebody's source.

    Attributes:
        file: Relative to where we are, if it is below.
        text: What stands there.
    """

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


@dataclass(frozen=True, slots=True)
class Tensor:
    """The shape and dtype of one result."""

    sizes: Sizes
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation.

    Attributes:
        name: Of its result.
        operation: "aten.linear", "ifco.lstm", "getitem".
        arguments: By the names of the operation's schema; tensors are `Ref`s.
        results: What it gives.
        several: It gives a tuple of them.
        module: The attributes that lead to the module in which it is done: "encoder.lstm".
        kind: The class of that module, if it is one of torch.nn.
        line: Of the user's code.
    """

    name: str
    operation: str
    arguments: Mapping[str, Any]
    results: tuple[Tensor, ...]
    several: bool
    module: str
    kind: str
    line: Line | None

    @property
    def result(self) -> Tensor:
        """The first."""
        return self.results[0]

    def __getitem__(self, name: str) -> Any:
        """The argument of that name."""
        return self.arguments[name]

    def refs(self) -> Iterator[str]:
        """The names of what it takes."""
        yield from _refs(tuple(self.arguments.values()))


def _refs(value: object) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _refs(one)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter or a buffer of the module, or a tensor that its code makes.

    Attributes:
        name: In the module: "lstm.weight_ih_l0".
        trained: It requires a gradient.
        kept: It is a buffer.
        read: Gives the array.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    trained: bool
    kept: bool
    read: Callable[[], Array] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A module as it was traced.

    Attributes:
        name: Its class.
        inputs: By the names of forward's arguments; each with the name that steps have for it.
        parameters: By the names that steps have for them.
        outputs: What it gives, flat.
        changed: Buffers that get a new value in each call: the step that gives it, by the name.
        version: Of torch.
    """

    name: str
    inputs: tuple[tuple[str, Ref, Tensor], ...]
    parameters: Mapping[str, Parameter]
    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]
    changed: Mapping[str, Ref]
    version: str
