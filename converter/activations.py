"""The table of activations: each one's formula, and its name and parameters everywhere.

The formulas are those of `keras/src/activations/activations.py` and `keras/src/backend` (3.15),
with parameters where versions differ: `hard_sigmoid` is clip(alpha x + beta, 0, 1), with
alpha 0.2 in Keras 1 and 2 and 1/6 in Keras 3 and in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import erf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parameter = float | int | bool | tuple[int, ...] | None

SIXTH = 1 / 6


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation with its parameters: `Activation.of("hard_sigmoid", alpha=0.2)`."""

    kind: str
    parameters: tuple[tuple[str, Parameter], ...] = ()

    @classmethod
    def of(cls, kind: str, **parameters: Parameter) -> Activation:
        """`kind` with the table's parameters, and those given instead.

        Raises:
            KeyError: The table has no such activation, or it has no such parameter.
        """
        defaults = ACTIVATIONS[kind].parameters
        if surplus := parameters.keys() - defaults.keys():
            raise KeyError(f"{kind} has no parameter {', '.join(sorted(surplus))}")
        return cls(kind, tuple({**defaults, **parameters}.items()))

    def __call__(self, x: Array) -> Array:
        """The activation of `x`, of any shape, in its dtype."""
        return ACTIVATIONS[self.kind].compute(x, **dict(self.parameters))

    @property
    def torch(self) -> str:
        """A PyTorch expression with {x} for the input; `F` is torch.nn.functional."""
        return ACTIVATIONS[self.kind].torch(**dict(self.parameters))

    @property
    def axes(self) -> tuple[int, ...]:
        """Along which it works, as it says them; () where each element is on its own."""
        axis = dict(self.parameters).get("axis")
        if axis is None:
            return ()
        return axis if isinstance(axis, tuple) else (int(axis),)

    def __str__(self) -> str:
        """`hard_sigmoid(alpha=0.2, beta=0.5)`, as a person reads it."""
        given = ", ".join(
            f"{name}={value if isinstance(value, tuple) else format(value, 'g')}"
            for name, value in self.parameters
            if value
        )
        return f"{self.kind}({given})" if given else self.kind


@dataclass(frozen=True, slots=True)
class Formula:
    """A row of the table.

    Attributes:
        compute: The formula in NumPy.
        torch: The same as a PyTorch expression with {x} for the input.
        parameters: Their names and Keras 3's defaults.
    """

    compute: Callable[..., Array]
    torch: Callable[..., str]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


def _relu(x: Array, negative_slope: float, max_value: float | None, threshold: float) -> Array:
    """The implementation in keras/src/backend: the threshold is exclusive, the clip comes last."""
    above: Array = x * (x > threshold) if threshold else np.maximum(x, 0)
    if max_value is not None:
        above = np.clip(above, 0, max_value)
    if negative_slope:
        above = above - negative_slope * np.maximum(threshold - x, 0)
    return above


def _torch_relu(negative_slope: float, max_value: float | None, threshold: float) -> str:
    above = f"{{x}} * ({{x}} > {threshold!r})" if threshold else "torch.relu({x})"
    if max_value is not None:
        top = f".clamp(0, {max_value!r})"
        above = f"({above}){top}" if threshold else above + top
    if not negative_slope:
        return above
    if not threshold and max_value is None:
        return f"F.leaky_relu({{x}}, {negative_slope!r})"
    return f"{above} - {negative_slope!r} * torch.relu({threshold!r} - {{x}})"


_erf = np.vectorize(erf, otypes=[float])


def _gelu(x: Array, approximate: bool) -> Array:
    if approximate:
        inner: Array = sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        approximated: Array = 0.5 * x * (1 + np.tanh(inner))
        return approximated
    if not x.size:  # np.vectorize refuses it
        return x
    cumulative: Array = 0.5 * (1 + _erf(x / sqrt(2)))
    gated: Array = x * cumulative.astype(x.dtype)
    return gated


def _elu(x: Array, alpha: float) -> Array:
    below: Array = alpha * np.expm1(np.minimum(x, 0))
    return np.where(x > 0, x, below)


_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _log_softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    shifted: Array = x - x.max(axis, keepdims=True)
    total: Array = np.exp(shifted).sum(axis, keepdims=True)
    result: Array = shifted - np.log(total)
    return result


def _sparsemax(x: Array, axis: int) -> Array:
    """As keras/src/backend/*/nn.py computes it up to 3.15.

    Keras adds up the cumulative sums of the support where Martins and Astudillo (2016) take the
    last of them, so the two differ as soon as two elements are in the support.
    """
    ordered = -np.sort(-x, axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    k = np.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(shape)
    sums = np.cumsum(ordered, axis)
    support = ordered - (sums - 1) / k > 0
    total: Array = np.where(support, sums, 0).sum(axis, keepdims=True)
    tau: Array = (total - 1) / support.sum(axis, keepdims=True, dtype=x.dtype)
    result: Array = np.maximum(x - tau, 0)
    return result


def _glu(x: Array, axis: int) -> Array:
    value, gate = np.split(x, 2, axis)
    gated: Array = value * _sigmoid(gate)
    return gated


def _same(text: str) -> Callable[..., str]:
    """A PyTorch expression that has no parameters."""
    return lambda: text


def _torch_hard_sigmoid(alpha: float, beta: float) -> str:
    if (alpha, beta) == (SIXTH, 0.5):
        return "F.hardsigmoid({x})"
    return f"({{x}} * {alpha!r} + {beta!r}).clamp(0, 1)"


def _torch_softmax(axis: int | tuple[int, ...]) -> str:
    if isinstance(axis, int):
        return f"{{x}}.softmax({axis})"
    return f"torch.exp({{x}} - {{x}}.logsumexp({axis}, keepdim=True))"


def _torch_gelu(approximate: bool) -> str:
    return 'F.gelu({x}, approximate="tanh")' if approximate else "F.gelu({x})"


# fmt: off
ACTIVATIONS: Mapping[str, Formula] = {
    "linear":         Formula(lambda x: x, _same("{x}")),
    "sigmoid":        Formula(_sigmoid, _same("torch.sigmoid({x})")),
    "tanh":           Formula(np.tanh, _same("torch.tanh({x})")),
    "relu":           Formula(_relu, _torch_relu, {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}),
    "relu6":          Formula(lambda x: np.clip(x, 0, 6), _same("F.relu6({x})")),
    "leaky_relu":     Formula(lambda x, negative_slope: np.where(x >= 0, x, negative_slope * x),
                              lambda negative_slope: f"F.leaky_relu({{x}}, {negative_slope!r})", {"negative_slope": 0.2}),
    "elu":            Formula(_elu, lambda alpha: "F.elu({x})" if alpha == 1 else f"F.elu({{x}}, {alpha!r})", {"alpha": 1.0}),
    "celu":           Formula(lambda x, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha),
                              lambda alpha: f"F.celu({{x}}, {alpha!r})", {"alpha": 1.0}),
    "selu":           Formula(lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA), _same("F.selu({x})")),
    "gelu":           Formula(_gelu, _torch_gelu, {"approximate": False}),
    "silu":           Formula(lambda x: x * _sigmoid(x), _same("F.silu({x})")),
    "mish":           Formula(lambda x: x * np.tanh(_softplus(x)), _same("F.mish({x})")),
    "softplus":       Formula(_softplus, _same("F.softplus({x}, threshold=40)")),
    "softsign":       Formula(lambda x: x / (1 + np.abs(x)), _same("F.softsign({x})")),
    "softmax":        Formula(lambda x, axis: np.exp(_log_softmax(x, axis)), _torch_softmax, {"axis": -1}),
    "log_softmax":    Formula(_log_softmax, lambda axis: f"{{x}}.log_softmax({axis})", {"axis": -1}),
    "log_sigmoid":    Formula(lambda x: -_softplus(-x), _same("F.logsigmoid({x})")),
    "exponential":    Formula(np.exp, _same("torch.exp({x})")),
    "hard_sigmoid":   Formula(lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1), _torch_hard_sigmoid, {"alpha": SIXTH, "beta": 0.5}),
    "hard_silu":      Formula(lambda x: x * np.clip(x / 6 + 0.5, 0, 1), _same("F.hardswish({x})")),
    "hard_tanh":      Formula(lambda x: np.clip(x, -1, 1), _same("F.hardtanh({x})")),
    "hard_shrink":    Formula(lambda x, threshold: np.where(np.abs(x) > threshold, x, 0),
                              lambda threshold: f"F.hardshrink({{x}}, {threshold!r})", {"threshold": 0.5}),
    "soft_shrink":    Formula(lambda x, threshold: np.sign(x) * np.maximum(np.abs(x) - threshold, 0),
                              lambda threshold: f"F.softshrink({{x}}, {threshold!r})", {"threshold": 0.5}),
    "tanh_shrink":    Formula(lambda x: x - np.tanh(x), _same("F.tanhshrink({x})")),
    "squareplus":     Formula(lambda x, b: (x + np.sqrt(x * x + b)) / 2, lambda b: f"({{x}} + torch.sqrt({{x}} * {{x}} + {b!r})) / 2", {"b": 4}),
    "sparse_plus":    Formula(lambda x: np.where(x >= 1, x, np.where(x <= -1, 0, (x + 1) ** 2 / 4)),
                              _same("torch.where({x} >= 1, {x}, ({x}.clamp(min=-1) + 1) ** 2 / 4)")),
    "sparse_sigmoid": Formula(lambda x: np.clip((x + 1) / 2, 0, 1), _same("(({x} + 1) / 2).clamp(0, 1)")),
    "sparsemax":      Formula(_sparsemax, lambda axis: f"sparsemax({{x}}, {axis})", {"axis": -1}),
    "glu":            Formula(_glu, lambda axis: f"F.glu({{x}}, {axis})", {"axis": -1}),
}
# fmt: on

LINEAR = Activation("linear")
TANH = Activation("tanh")
SIGMOID = Activation("sigmoid")

KERAS_ALIASES: Mapping[str, str] = {"swish": "silu", "hard_swish": "hard_silu"}
"""Keras's second names."""

KERAS_NAMES = frozenset(ACTIVATIONS) | frozenset(KERAS_ALIASES)
"""Every name that a Keras config may hold."""

KERAS_2_PARAMETERS: Mapping[str, Mapping[str, Parameter]] = {
    "hard_sigmoid": {"alpha": 0.2, "beta": 0.5}
}
"""Where Keras 1 and 2 compute something else than Keras 3 under the same name."""


def from_keras(name: str, *, keras_3: bool, **parameters: Parameter) -> Activation:
    """What Keras calls `name`, with the meaning that it had in the version that wrote it.

    Raises:
        KeyError: Keras has no such activation, or it has no such parameter.
    """
    kind = KERAS_ALIASES.get(name, name)
    era = {} if keras_3 else KERAS_2_PARAMETERS.get(kind, {})
    return Activation.of(kind, **{**era, **parameters})
