"""Where a weight of the description is in an artefact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from converter.description import Weight
from converter.gates import Array, Form


@dataclass(frozen=True, slots=True)
class Placement:
    """Tensors of an artefact that hold one weight.

    Attributes:
        names: In the artefact: ("lstm.bias_ih_l0", "lstm.bias_hh_l0") in a state dict.
        weight: Of the description.
        form: How it is stored as those tensors.
        added: The framework has it and the source has not; its value says nothing.
        lossy: Why the tensors cannot give back the source's bits, in words; "" where they do.
    """

    names: tuple[str, ...]
    weight: Weight
    form: Form
    added: bool = False
    lossy: str = ""

    def tensors(self) -> Iterator[tuple[str, Array]]:
        """Each tensor with its name; read now."""
        yield from zip(self.names, self.form.write(self.weight.read()), strict=True)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, without reading the weight."""
        hollow = np.broadcast_to(np.zeros((), self.weight.dtype), self.weight.shape)
        arrays = self.form.write(hollow)
        return {name: array.shape for name, array in zip(self.names, arrays, strict=True)}

    def fits(self, tensors: Mapping[str, Array]) -> bool:
        """Whether these tensors are there, with the shapes that are written."""
        return all(
            name in tensors and tensors[name].shape == shape
            for name, shape in self.shapes().items()
        )

    def tensor(self, name: str) -> Array:
        """The tensor of that name; read now."""
        return dict(self.tensors())[name]
