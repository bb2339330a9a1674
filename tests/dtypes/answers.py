"""A model of some dtype policy beside its answers, and how near something is to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import converter
from converter.description import Layer, Model, TimeDistributed, Value
from converter.dtypes import FLOATS, as_type
from converter.runtimes import torch as runtime
from converter.verify import Comparison
from converter.verify.comparison import compare
from converter.verify.inputs import Case
from tests.recorded import Recorded


class Saved(Recorded):
    """A model and what Keras answers."""

    @property
    def inputs(self) -> list[np.ndarray]:
        given = (self.recorded[f"in{k}"] for k in range(len(self.model.inputs)))
        return [typed(one, value) for one, value in zip(given, self.model.inputs, strict=True)]

    @property
    def outputs(self) -> list[np.ndarray]:
        given = (self.recorded[f"out{k}"] for k in range(len(self.model.outputs)))
        return [typed(one, value) for one, value in zip(given, self.model.outputs, strict=True)]

    def judged(self, model: Model | None = None) -> list[np.ndarray]:
        """The judge's answers, for this model or another."""
        found = converter.judge(model or self.model, *self.inputs)
        return list(found) if isinstance(found, tuple) else [found]

    def held(self, answers: Sequence[np.ndarray], model: Model | None = None) -> list[Comparison]:
        """Some answers held against the judge's."""
        still = tuple(
            one == -1 if "masked" in self.path.stem else one != one for one in self.inputs
        )
        case = Case("recorded", tuple(self.inputs), still)
        return compare(model or self.model, [case], lambda _: answers)

    def made(self, model: Model | None = None) -> tuple[np.ndarray, ...]:
        """The answers of the PyTorch module of this model, or of another."""
        return runtime.run(converter.to_torch(model or self.model), self.inputs)


def typed(array: np.ndarray, value: Value) -> np.ndarray:
    return as_type(array * 1.0, value.dtype) if value.dtype in FLOATS else array


def computing_in(model: Model, dtype: str) -> Model:
    """The model with each layer in another dtype: what it means, had its policies not been read."""

    def turned(layer: Layer) -> Layer:
        if isinstance(layer, TimeDistributed):
            layer = replace(layer, layer=turned(layer.layer))
        return replace(layer, dtype=dtype, variable_dtype=dtype)

    def value(one: Value) -> Value:
        return replace(one, dtype=dtype) if one.dtype in FLOATS else one

    calls = tuple(
        replace(
            call,
            layer=turned(call.layer),
            inputs=tuple(one if one in model.inputs else value(one) for one in call.inputs),
            outputs=tuple(map(value, call.outputs)),
        )
        for call in model.calls
    )
    return replace(model, calls=calls, outputs=tuple(map(value, model.outputs)))
