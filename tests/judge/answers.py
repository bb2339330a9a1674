"""Keras's answers, and how far the judge is from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from converter.description import Layer, Model, Shape
from converter.gates import Array
from converter.judge import Judge
from tests.judge.cases import CASES, FAMILIES, Case
from tests.judge.describe import described, model_of

TOLERANCE = 1e-12
"""Of the largest element. Float64 steps by 2e-16; sums of some ten elements in another order over
at most 8 steps come to 4e-14, and the smallest wrong mapping is ten orders of magnitude above."""

SHOWS = 1e-6
"""What something wrong must change at least, to be told from rounding without a doubt."""


@dataclass(frozen=True)
class Call:
    """One call of a layer: what went in, and what Keras gave."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


class Answer:
    """What one Keras said to one case."""

    def __init__(self, case: Case, arrays: dict[str, Array]) -> None:
        self.case = case
        self.arrays = arrays

    def _under(self, prefix: str) -> tuple[Array, ...]:
        return tuple(
            array
            for name, array in self.arrays.items()
            if name.startswith(f"{self.case.name}/{prefix}/")
        )

    @cached_property
    def weights(self) -> tuple[Array, ...]:
        return self._under("weight")

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        return tuple(
            Call(self._under(f"{number}/input"), self._under(f"{number}/output"))
            for number in range(len(self.case.calls))
        )

    @cached_property
    def model(self) -> Model:
        """The described layer alone."""
        return described(self.case, self.weights, self.calls[0].inputs)

    @property
    def layer(self) -> Layer:
        (layer,) = self.model.layers
        return layer

    def with_layer(self, layer: Layer) -> Model:
        """A model of another layer, for the same inputs."""
        return model_of(layer, *self.model.inputs)


def asked(family: str) -> list[tuple[str, str]]:
    """The names of a family's cases, each with everyone who was asked."""
    return [(case.name, who) for case in FAMILIES[family] for who in case.by]


def fits(shape: Shape, array: Array) -> bool:
    return len(shape) == array.ndim and all(
        size in (None, found) for size, found in zip(shape, array.shape, strict=True)
    )


def difference(answer: Answer, model: Model | None = None) -> float:
    """How far the judge's answers are from Keras's, in parts of the largest element.

    Args:
        answer: Keras's answer to a case.
        model: What the judge runs; the case as it is described, if none is given.
    """
    judge = Judge(model or answer.model)
    largest = 0.0
    assert answer.calls
    for call in answer.calls:
        values = judge.run(call.inputs)
        found = [values[value.name] for value in judge.model.outputs]
        assert [array.shape for array in found] == [array.shape for array in call.outputs]
        for value, array, expected in zip(judge.model.outputs, found, call.outputs, strict=True):
            # Keras says the same of a Dense with glu, wrongly: it keeps the units, and halves them.
            assert fits(value.shape, expected) or answer.case.name == "dense-glu"
            assert array.dtype == np.float64 or array.dtype.kind == expected.dtype.kind == "i"
            assert expected.dtype.kind == "i" or expected.dtype == np.float64
            assert np.isfinite(expected).all()
            assert np.isfinite(array).all()
            scale = np.abs(expected).max() or 1.0
            largest = max(largest, float(np.abs(array - expected).max() / scale))
    return largest


class Answers:
    """All answers, by who gave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, dict[str, dict[str, Array]]] = {}

    def __call__(self, name: str, who: str | None = None) -> Answer:
        """One answer; of the first that was asked, where nobody is named."""
        case = CASES[name]
        who = who or case.by[0]
        if who not in self._loaded:
            by_case: dict[str, dict[str, Array]] = {}
            with np.load(self.folder / f"{who}.npz") as file:
                for key, array in file.items():
                    by_case.setdefault(key.split("/")[0], {})[key] = array
            self._loaded[who] = by_case
        return Answer(case, self._loaded[who][name])
