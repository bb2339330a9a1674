"""The weights that a config promises, listed before any weight is touched.

A model is built twice. The first time its builders only say which weights they will need, with
their shapes; then the file is searched for exactly those; then it is built with what was found. So
no number in a file decides how much is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from converter.description import Stored
from converter.dtypes import is_float
from converter.errors import FormatError, WeightError
from converter.readers.keras.architecture import LayerPart
from converter.readers.keras.hdf5 import Dataset
from converter.readers.strict import named

Sizes = tuple[int, ...]
Key = tuple[LayerPart, tuple[str, ...], str]
"""A layer, the part of it, and the name of the weight."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One array that must be in the file.

    Attributes:
        owner: The layer of the config.
        inside: Where in the layer: ("forward_layer", "cell").
        hints: For each part of `inside`, the names that it may have.
        name: "kernel".
        shapes: That it may have: one, but for old GRUs.
        number: Counted in the layer and the part of it.
        whole: It is of int8, and not of floating point numbers.
        counts: It is a number of examples: whole, of 32 or 64 bits.
        by_name: It may be there only where names tell the weights apart, and not even there.
    """

    owner: LayerPart
    inside: tuple[str, ...]
    hints: tuple[tuple[str, ...], ...]
    name: str
    shapes: tuple[Sizes, ...]
    number: int
    whole: bool = False
    counts: bool = False
    by_name: bool = False

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self.owner, self.inside, self.name


Found = Mapping[Key, Stored]

Give = Callable[[Expected], Stored | None]
"""From what must be there to the array; None for one that need not be there, and is not."""


class Weights:
    """The weights of one layer, or of a part of it, as its builder asks for them."""

    def __init__(
        self,
        give: Give,
        owner: LayerPart,
    ) -> None:
        self._give = give
        self._owner = owner
        self._inside: tuple[str, ...] = ()
        self._hints: tuple[tuple[str, ...], ...] = ()
        self._count = 0

    def part(self, name: str, *hints: str) -> Weights:
        """Those of a part: "cell", "layer", "forward_layer".

        Args:
            name: As the archive names it.
            hints: What a path in HDF5 may call it.
        """
        inner = Weights(self._give, self._owner)
        inner._inside = (*self._inside, name)
        inner._hints = (*self._hints, hints)
        return inner

    def take(self, name: str, *shapes: Sizes, whole: bool = False, counts: bool = False) -> Stored:
        """The next weight, in the order in which Keras makes them.

        Args:
            name: As Keras names it: "kernel".
            shapes: The one that it must have; several where the file decides.
            whole: It is of int8.
            counts: It is a number of examples.
        """
        expected = self._expected(name, shapes, whole=whole, counts=counts)
        self._count += 1
        stored = self._give(expected)
        if stored is None:
            raise missing(expected, [])
        return stored

    def take_named(self, *wanted: tuple[str, Sizes]) -> tuple[Stored, ...]:
        """Weights that only a file that tells them apart by names may hold; () if it does not.

        Args:
            wanted: Their names and shapes.

        Raises:
            WeightError: It holds some of them and not the others.
        """
        expected = [self._expected(name, (shape,), by_name=True) for name, shape in wanted]
        found = [self._give(one) for one in expected]
        there = tuple(one for one in found if one is not None)
        for one, stored in zip(expected, found, strict=True):
            if there and stored is None:
                raise missing(one, [other.name for other in there])
        return there

    def _expected(self, name: str, shapes: tuple[Sizes, ...], **kinds: bool) -> Expected:
        return Expected(self._owner, self._inside, self._hints, name, shapes, self._count, **kinds)


class Wanted:
    """Lists what is asked for, and gives arrays that cannot be read."""

    def __init__(self) -> None:
        self.weights: list[Expected] = []

    def __call__(self, expected: Expected) -> Stored:
        """A promise of the array."""
        self.weights.append(expected)
        return Stored(expected.name, expected.shapes[0], np.dtype(np.float32), _unread)


def _unread() -> NoReturn:
    raise RuntimeError("the weights of a model that is not built yet")


def checked(expected: Expected, dataset: Dataset) -> Dataset:
    """The array, if it is what the config promises.

    Raises:
        WeightError: It has another shape, or holds no floating point numbers, or not whole ones.
    """
    if dataset.shape not in expected.shapes:
        turned = dataset.shape[::-1] in expected.shapes
        wanted = " or ".join(str(shape) for shape in expected.shapes)
        raise WeightError(
            f"{expected.name} of {expected.owner.where} has the wrong shape",
            context=f"{dataset.shape}; expected {wanted}",
            hint="it looks transposed: Keras has units in columns"
            if turned
            else "the file may be cut off or its weights may belong to another model",
            code="shape",
        )
    if expected.whole and dataset.dtype != np.int8:
        raise WeightError(
            f"{expected.name} of {expected.owner.where} does not hold whole numbers of 8 bits",
            context=f"dtype {dataset.dtype}; its layer is quantised",
            hint="save the model again with model.save",
            code="dtype",
        )
    kind, numbers = ("i", "whole") if expected.counts else ("f", "floating point")
    found = "f" if is_float(dataset.dtype.newbyteorder("=")) else dataset.dtype.kind
    if not expected.whole and found != kind:
        raise WeightError(
            f"{expected.name} of {expected.owner.where} does not hold {numbers} numbers",
            context=f"dtype {dataset.dtype}",
            hint="save the model again with model.save",
            code="dtype",
        )
    return dataset


def missing(expected: Expected, present: list[str]) -> WeightError:
    """The error for a weight that is not there."""
    found = ", ".join(named(path) for path in present[:8]) or "nothing"
    return WeightError(
        f"{expected.name} of {expected.owner.where} is missing",
        context=found + (", ..." if len(present) > 8 else ""),
        hint="the file may be cut off or its weights may belong to another model",
        code="missing-weight",
    )


def surplus(paths: list[str], file: str) -> WeightError:
    """The error for weights that no layer has."""
    found = ", ".join(named(path) for path in paths[:8])
    return WeightError(
        f"{file} has weights that belong to no layer",
        context=found + (", ..." if len(paths) > 8 else ""),
        hint="its weights may belong to another model; save the model again",
        code="surplus-weight",
    )


def damaged(file: str, context: str) -> FormatError:
    """The error for lists of weights that disagree with each other."""
    return FormatError(
        f"the lists of weights in {file} are not as Keras writes them",
        context=context,
        hint="save the model again with model.save",
        code="weight-names",
    )
