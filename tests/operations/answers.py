"""A saved model beside Keras's answers, and how far something is from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import converter
from converter.description import Model
from tests.recorded import Recorded
from tests.targets.onnx.running import opened

EXACT = 1e-12
"""Of the largest output, in float64: rounding over 6 steps is below 1e-14."""

FLOAT32 = 1e-5
"""Of the largest output, of both frameworks. Measured: below 1e-6."""

SHOWS = 1e-3
"""What something wrong must change at least."""


class Saved(Recorded):
    """A model and what Keras answers."""

    def of(self, kind: str) -> list[np.ndarray]:
        """ "in", "out" or "exact"."""
        return self.numbered(kind)

    @property
    def expected(self) -> list[np.ndarray]:
        """In float64, or in float32 where that is all."""
        return self.of("exact") or self.of("out")

    def judged(self, model: Model | None = None) -> float:
        """How far the judge is from Keras."""
        return distance(converter.judge(model or self.model, *self.of("in")), self.expected)

    def made(self) -> float:
        """How far the PyTorch module in float64 is from Keras."""
        module = converter.to_torch(self.model).double()
        given = [one.astype(np.float64) if one.dtype.kind == "f" else one for one in self.of("in")]
        with torch.inference_mode():
            return distance(module(*map(torch.from_numpy, given)), self.expected)

    def run(self) -> float:
        """How far onnxruntime is from Keras, both in float32."""
        given = opened(self.model).run(self.of("in"))
        return distance(given, self.of("out") or self.of("exact"))


def distance(given: object, expected: Sequence[np.ndarray]) -> float:
    """The largest error as a part of the largest output; infinite for another shape, or NaN."""
    found = [np.asarray(one) for one in (given if isinstance(given, tuple) else (given,))]
    assert expected
    if [one.shape for one in found] != [one.shape for one in expected]:
        return float("inf")
    if [one.dtype.kind for one in found] != [one.dtype.kind for one in expected]:
        return float("inf")
    if not all(np.isfinite(one).all() for one in found):
        return float("inf")
    return max(
        float(np.abs(one - other).max() / max(np.abs(other).max(), 1e-3))
        for one, other in zip(found, expected, strict=True)
    )
