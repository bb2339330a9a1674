"""A saved model beside its answers, and how far something is from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

import converter
from converter.description import Layer, Model, Weight
from converter.judge import Judge
from tests.recorded import Recorded
from tests.targets.onnx.running import opened

EXACT = 1e-12
"""Of the largest output, in float64: rounding over 5 steps is below 1e-14."""

FLOAT32 = 1e-5
"""Of the largest output, of both frameworks. Measured: below 2e-6."""

SHOWS = 1e-3
"""What something wrong must change at least."""


class Saved(Recorded):
    """A model and what Keras answers."""

    def of(self, kind: str, call: int = 0) -> list[np.ndarray]:
        """ "in", "out" or "exact", of the first call or the one after it."""
        return self.numbered(f"{call}{kind}")

    @property
    def calls(self) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
        """What goes in and what Keras gives, in float64 where it was asked so, for each call."""
        found = [(self.of("in", k), self.of("exact", k) or self.of("out", k)) for k in (0, 1)]
        return [one for one in found if one[1]]

    @property
    def layer(self) -> Layer:
        """The only one."""
        (layer,) = self.model.layers
        return layer

    def judged(self, model: Model | None = None) -> float:
        """How far the judge is from Keras in float64, or in float32 where that is all."""
        judge = Judge(model or self.model)

        def answers(given: list[np.ndarray]) -> tuple[np.ndarray, ...]:
            values = judge.run(given)
            return tuple(values[value.name] for value in judge.model.outputs)

        return max(distance(answers(given), expected) for given, expected in self.calls)

    def made(self, change: Callable[[torch.nn.Module], None] | None = None) -> float:
        """How far the PyTorch module in float64 is from Keras."""
        module = converter.to_torch(self.model).double()
        if change:
            change(module)

        def answers(given: list[np.ndarray]) -> object:
            tensors = [torch.from_numpy(one) for one in given]
            return module(*(one if one.dtype == torch.bool else one.double() for one in tensors))

        with torch.inference_mode():
            return max(distance(answers(given), expected) for given, expected in self.calls)

    def run(self) -> float:
        """How far onnxruntime is from Keras, in float32."""
        session = opened(self.model)
        return max(distance(session.run(given), expected) for given, expected in self.calls)


def distance(given: object, expected: Sequence[np.ndarray]) -> float:
    """The largest error as a part of the largest output; infinite for another shape."""
    found = [np.asarray(one) for one in (given if isinstance(given, tuple) else (given,))]
    assert expected
    if [one.shape for one in found] != [one.shape for one in expected]:
        return float("inf")
    return max(
        float(np.abs(one - other).max() / np.abs(other).max())
        for one, other in zip(found, expected, strict=True)
    )


def changed(model: Model, change: Callable[[str, np.ndarray], np.ndarray]) -> Model:
    """The model with `change(name, array)` in the place of each array."""
    return model.map_weights(
        lambda layer, name, weight: Weight.of(change(f"{layer.name}.{name}", weight.read()))
    )
