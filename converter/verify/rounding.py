"""What the functions of a runtime round inside, where they take a sum for what is small beside it.

The Elu of onnxruntime is exp(x) - 1 in float32, so that near 0 its error is a unit in the last
place of 1, not of the result; its Sigmoid is a quotient plus 1/2. Measured on 8000 numbers from
1e-6 to 40 of either sign: 6e-8 for Elu, 1.3e-7 for Sigmoid, whatever the result is; and 1e-7
for the tanh of its RNN node, though not for its Tanh, LSTM and GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from converter.activations import Activation
from converter.description import Model
from converter.gates import Array, Cell

Terms = Mapping[str, Callable[..., Array]]
"""For an activation, from x and its parameters, the size of the largest term that is rounded."""


def _one(x: Array, **_: object) -> Array:
    return np.ones_like(x)


def _itself(x: Array, **_: object) -> Array:
    return np.abs(x)


ONNXRUNTIME: Terms = {
    f"tanh of {Cell.RNN.value}": _one,  # less exact near 0 than its Tanh, LSTM and GRU
    "sigmoid": _one,
    "hard_sigmoid": _one,
    "sparse_sigmoid": _one,
    "elu": lambda x, alpha: np.full_like(x, abs(alpha)),
    "celu": lambda x, alpha: np.full_like(x, abs(alpha)),
    "selu": lambda x: np.full_like(x, 2),
    "silu": _itself,
    "hard_silu": _itself,
    "gelu": _itself,
    "tanh_shrink": _itself,
    "squareplus": lambda x, b: np.sqrt(x * x + b),
}


@dataclass(frozen=True, slots=True)
class Rounded(Activation):
    """An activation whose results are moved by a unit in the last place of a term.

    Attributes:
        term: Its size.
        generator: Of the signs.
    """

    term: Callable[..., Array] = _one
    generator: np.random.Generator | None = None

    def __call__(self, x: Array) -> Array:
        """The activation of `x`, up or down."""
        y = Activation(self.kind, self.parameters)(x)
        size = np.abs(self.term(x, **dict(self.parameters)))
        generator = self.generator or np.random.default_rng(0)
        units = np.spacing(size.astype(np.float32)).astype(np.float64)
        moved: Array = y + generator.choice((-1.0, 1.0), y.shape) * units
        return moved


def rounded(model: Model, terms: Terms, generator: np.random.Generator) -> Model:
    """The model with every activation that rounds such a term moved."""
    layers = {layer.name: _part(layer, terms, generator) for layer in model.layers}
    calls = tuple(replace(call, layer=layers[call.layer.name]) for call in model.calls)
    return replace(model, calls=calls)


def _part(part: Any, terms: Terms, generator: np.random.Generator) -> Any:
    """A layer, or what is in one."""
    changes: dict[str, object] = {}
    for item in fields(part):
        value = getattr(part, item.name)
        if isinstance(value, Activation):
            in_cell = f"{value.kind} of {getattr(getattr(part, 'cell', None), 'value', '')}"
            term = terms.get(in_cell) or terms.get(value.kind)
            if term:
                changes[item.name] = Rounded(value.kind, value.parameters, term, generator)
        elif is_dataclass(value) and (new := _part(value, terms, generator)) is not value:
            changes[item.name] = new
    return replace(part, **changes) if changes else part
