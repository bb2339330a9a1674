"""A saved model beside the arrays that Keras recorded for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

import converter
from converter.description import Layer, Model


@dataclass(frozen=True)
class Recorded:
    """A model and what Keras answers.

    Attributes:
        path: Of the model; its arrays are beside it, in NAME.npz.
    """

    path: Path

    @cached_property
    def recorded(self) -> dict[str, np.ndarray]:
        with np.load(self.path.with_suffix(".npz")) as file:
            return dict(file)

    @cached_property
    def model(self) -> Model:
        return converter.read(self.path)

    def numbered(self, key: str) -> list[np.ndarray]:
        """The arrays of `key` and a number, from 0 on."""
        found: list[np.ndarray] = []
        while (name := f"{key}{len(found)}") in self.recorded:
            found.append(self.recorded[name])
        return found

    def with_layer(self, layer: Layer) -> Model:
        """The model with another layer of that name."""
        calls = tuple(
            replace(call, layer=layer) if call.layer.name == layer.name else call
            for call in self.model.calls
        )
        return replace(self.model, calls=calls)
