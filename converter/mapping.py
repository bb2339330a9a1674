"""One recurrent layer's arrays between Keras and PyTorch, for those who have arrays and no file.

    kernel, recurrent_kernel, bias = keras_layer.get_weights()
    arrays = lstm_to_torch(kernel, recurrent_kernel, bias)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})

    ((forward,),) = lstm_from_torch(module.state_dict())
    keras_layer.set_weights([array for array in forward if array is not None])

Both directions go through `converter.gates`. Neither framework is imported: tensors are recognized
by what they can do. All results are new arrays in C order.

Shape letters: F features a step, U units, G gates (LSTM 4, GRU 3, SimpleRNN 1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from converter.arrays import as_array, require_shape, units_of
from converter.errors import UnsupportedError, UsageError, WeightError
from converter.gates import GATES, Array, Cell, layout, stack, stack_bias, unstack, unstack_bias

Placement = Literal["first", "second", "split"]
"""Where Keras's one bias goes: `bias_ih`, `bias_hh`, or half of it to each."""

Choice = Literal["sum", "first", "second"]
"""What becomes Keras's one bias: `bias_ih + bias_hh`, or one of them where the other is zero."""


class KerasWeights(NamedTuple):
    """The arrays of one direction of one Keras layer, in the order of `layer.get_weights()`.

    Attributes:
        kernel: (F, G·U).
        recurrent_kernel: (U, G·U).
        bias: (G·U,), for GRU (2, 3·U); None without biases.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None


def lstm_to_torch(
    kernel: ArrayLike,
    recurrent_kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    layer: int = 0,
    reverse: bool = False,
    biases: Placement = "first",
) -> dict[str, Array]:
    """The state dict entries of `torch.nn.LSTM` for the arrays of a Keras LSTM.

    Args:
        kernel: (F, 4·U), gates i f c o.
        recurrent_kernel: (U, 4·U).
        bias: (4·U,), or None where the layer has `use_bias=False`.
        layer: Of the module's stack: the k of `weight_ih_lk`.
        reverse: For the second direction: names end in `_reverse`.
        biases: PyTorch adds two biases, Keras has one. "first" puts it in `bias_ih` and zeros in
            `bias_hh`, "second" the other way round, "split" half of it in each. The output is the
            same; two biases that are trained learn twice as fast as one.

    Returns:
        `weight_ih` (4·U, F), `weight_hh` (4·U, U), and with a bias `bias_ih` and `bias_hh` (4·U,),
        gates i f g o, where g is Keras's c.

    Raises:
        WeightError: A shape does not fit the others.
        UsageError: `biases` or `layer` is none of the above.

    Example:
        >>> kernel = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
        >>> arrays = lstm_to_torch(kernel, np.ones((1, 4)), np.arange(4.0))
        >>> {name: array.shape for name, array in arrays.items()}
        {'weight_ih_l0': (4, 2), 'weight_hh_l0': (4, 1), 'bias_ih_l0': (4,), 'bias_hh_l0': (4,)}
        >>> arrays["weight_ih_l0"]
        array([[1., 5.],
               [2., 6.],
               [3., 7.],
               [4., 8.]])
        >>> sum(array.size for array in arrays.values())  # Keras counts 16, its one bias once
        20
    """
    return _to_torch(Cell.LSTM, kernel, recurrent_kernel, bias, layer, reverse, biases)


def gru_to_torch(
    kernel: ArrayLike,
    recurrent_kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    layer: int = 0,
    reverse: bool = False,
) -> dict[str, Array]:
    """The state dict entries of `torch.nn.GRU` for the arrays of a Keras GRU (`reset_after=True`).

    Args:
        kernel: (F, 3·U), gates z r h.
        recurrent_kernel: (U, 3·U).
        bias: (2, 3·U): added to the input's product, and to the state's. None where the layer has
            `use_bias=False`; whether it resets before or after cannot be seen then, and
            `torch.nn.GRU` resets after.
        layer: Of the module's stack: the k of `weight_ih_lk`.
        reverse: For the second direction: names end in `_reverse`.

    Returns:
        `weight_ih` (3·U, F), `weight_hh` (3·U, U), and with a bias `bias_ih` and `bias_hh` (3·U,),
        gates r z n, where n is Keras's h.

    Raises:
        UnsupportedError: The bias is (3·U,): `reset_after=False`, which `torch.nn.GRU` cannot say.
        WeightError: A shape does not fit the others.
        UsageError: `layer` is no layer.

    Example:
        >>> arrays = gru_to_torch([[1.0, 2.0, 3.0]], np.ones((1, 3)), np.arange(6.0).reshape(2, 3))
        >>> arrays["weight_ih_l0"].ravel(), arrays["bias_hh_l0"]
        (array([2., 1., 3.]), array([4., 3., 5.]))
    """
    return _to_torch(Cell.GRU, kernel, recurrent_kernel, bias, layer, reverse, "first")


def rnn_to_torch(
    kernel: ArrayLike,
    recurrent_kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    layer: int = 0,
    reverse: bool = False,
    biases: Placement = "first",
) -> dict[str, Array]:
    """The state dict entries of `torch.nn.RNN` for the arrays of a Keras SimpleRNN.

    The arrays are (F, U), (U, U) and (U,), as they are those of PyTorch, transposed. Arguments,
    results and errors are those of `lstm_to_torch`.

    Example:
        >>> arrays = rnn_to_torch(np.ones((3, 2)), np.eye(2), [0.5, 1.0], biases="split", layer=1)
        >>> arrays["bias_ih_l1"], arrays["bias_hh_l1"]
        (array([0.25, 0.5 ]), array([0.25, 0.5 ]))
    """
    return _to_torch(Cell.RNN, kernel, recurrent_kernel, bias, layer, reverse, biases)


def lstm_from_torch(
    state_dict: Mapping[str, Any], *, prefix: str = "", biases: Choice = "sum"
) -> tuple[tuple[KerasWeights, ...], ...]:
    """The arrays of Keras LSTM layers for the state dict of `torch.nn.LSTM`.

    Args:
        state_dict: Tensors or arrays by name. Names that do not begin with `prefix`, and others
            that are none of an LSTM's, are left alone.
        prefix: What stands before the names: "encoder.lstm." in the state dict of a whole model.
        biases: Keras has one bias where PyTorch adds two. "sum" adds them; a bias of zeros is
            dropped instead, so that what came from Keras goes back bit for bit. "first" and
            "second" take one of them, and refuse if the other is not zero.

    Returns:
        For each layer of the module, for each direction, forward then backward, what Keras's
        `set_weights` takes. A second direction belongs to the backward layer of a Bidirectional.

    Raises:
        WeightError: An array is missing or misshapen, or `biases` would lose one.
        UnsupportedError: The module has `proj_size`, which Keras has not.
        UsageError: `biases` is none of the above.

    Example:
        >>> arrays = lstm_to_torch(np.ones((2, 4)), np.ones((1, 4)), np.array([-0.0, 1, 2, 3]))
        >>> ((weights,),) = lstm_from_torch(arrays)
        >>> weights.kernel.shape, weights.recurrent_kernel.shape, weights.bias
        ((2, 4), (1, 4), array([-0.,  1.,  2.,  3.]))
    """
    return _from_torch(Cell.LSTM, state_dict, prefix, biases)


def gru_from_torch(
    state_dict: Mapping[str, Any], *, prefix: str = ""
) -> tuple[tuple[KerasWeights, ...], ...]:
    """The arrays of Keras GRU layers (`reset_after=True`) for the state dict of `torch.nn.GRU`.

    Both biases are kept: (2, 3·U). Arguments, results and errors are those of `lstm_from_torch`.

    Example:
        >>> bias = np.arange(6.0).reshape(2, 3)
        >>> ((weights,),) = gru_from_torch(gru_to_torch([[1.0, 2.0, 3.0]], np.ones((1, 3)), bias))
        >>> bool((weights.bias == bias).all())
        True
    """
    return _from_torch(Cell.GRU, state_dict, prefix, "sum")


def rnn_from_torch(
    state_dict: Mapping[str, Any], *, prefix: str = "", biases: Choice = "sum"
) -> tuple[tuple[KerasWeights, ...], ...]:
    """The arrays of Keras SimpleRNN layers for the state dict of `torch.nn.RNN`.

    Arguments, results and errors are those of `lstm_from_torch`. The state dict does not say
    whether the module has `nonlinearity="relu"`; Keras's layer needs the same `activation`.

    Example:
        >>> ((weights,),) = rnn_from_torch({"weight_ih_l0": [[1.0]], "weight_hh_l0": [[2.0]]})
        >>> weights
        KerasWeights(kernel=array([[1.]]), recurrent_kernel=array([[2.]]), bias=None)
    """
    return _from_torch(Cell.RNN, state_dict, prefix, biases)


_MODULES = {Cell.LSTM: "LSTM", Cell.GRU: "GRU", Cell.RNN: "RNN"}


def _to_torch(
    cell: Cell,
    kernel: ArrayLike,
    recurrent_kernel: ArrayLike,
    bias: ArrayLike | None,
    layer: int,
    reverse: bool,
    biases: str,
) -> dict[str, Array]:
    _one_of("biases", biases, ("first", "second", "split"))
    if isinstance(layer, bool) or not isinstance(layer, int) or layer < 0:
        raise UsageError(
            f"layer={layer!r} is no layer of torch.nn.{_MODULES[cell]}",
            context="layers are counted from 0",
            hint="layer=0 for the first, or the only one",
            code="layer",
        )
    gates, ours = len(GATES[cell]), f"a Keras {cell.value}"
    inputs = as_array("kernel", kernel, ours)
    state = as_array("recurrent_kernel", recurrent_kernel, ours)
    units = units_of("recurrent_kernel", state, cell, "keras", ours)
    require_shape("kernel", inputs, (None, gates * units), ours)
    suffix = f"l{layer}_reverse" if reverse else f"l{layer}"
    arrays = {
        f"weight_ih_{suffix}": stack(unstack(inputs, cell, "keras"), cell, "torch"),
        f"weight_hh_{suffix}": stack(unstack(state, cell, "keras"), cell, "torch"),
    }
    if bias is not None:
        both = _two_biases(cell, as_array("bias", bias, ours), units, biases)
        arrays[f"bias_ih_{suffix}"], arrays[f"bias_hh_{suffix}"] = stack_bias(both, cell, "torch")
    return {name: np.array(array, order="C") for name, array in arrays.items()}


def _two_biases(cell: Cell, bias: Array, units: int, biases: str) -> Array:
    """(2, G, U): what is added to the input product, and to the state product."""
    gates = len(GATES[cell])
    if cell is Cell.GRU and bias.shape == (gates * units,):
        raise UnsupportedError(
            "torch.nn.GRU cannot compute this Keras GRU: it resets before the product",
            context=f"bias of shape {bias.shape}: reset_after=False; "
            f"with reset_after=True it would be {(2, gates * units)}",
            hint="converter.to_torch writes a cell class for the whole model",
            code="gru-reset-before",
        )
    expected = (gates * units,) if layout(cell, "keras").biases == 1 else (2, gates * units)
    require_shape("bias", bias, expected, f"a Keras {cell.value}")
    by_gate = unstack_bias(bias, cell, "keras")
    if len(by_gate) == 2:
        return by_gate
    if biases == "split":
        half = by_gate / 2
        rest = half.copy()  # an odd subnormal has no half
        np.subtract(by_gate, half, out=rest, where=half + half != by_gate)
        return np.concatenate([half, rest])
    zeros = np.zeros_like(by_gate)
    return np.concatenate([by_gate, zeros] if biases == "first" else [zeros, by_gate])


_NAME = re.compile(r"(weight|bias)_(ih|hh|hr)_l(0|[1-9][0-9]{0,5})(_reverse)?")


def _from_torch(
    cell: Cell, state_dict: Mapping[str, Any], prefix: str, biases: str
) -> tuple[tuple[KerasWeights, ...], ...]:
    _one_of("biases", biases, ("sum", "first", "second"))
    module = f"torch.nn.{_MODULES[cell]}"
    names = [name.removeprefix(prefix) for name in state_dict if name.startswith(prefix)]
    found = [match for name in names if (match := _NAME.fullmatch(name))]
    if not found:
        raise WeightError(
            f"no weights of {module} in the state dict" + (f" under {prefix!r}" if prefix else ""),
            context=_listed(list(state_dict)),
            hint=_prefix_hint(list(state_dict)),
            code="missing-weight",
        )
    if projected := next((match[0] for match in found if match[2] == "hr"), None):
        raise UnsupportedError(
            f"Keras has no {cell.value} with a projection of its output",
            context=f"{prefix}{projected}: the module has proj_size",
            hint="keep the module in PyTorch, or train it without proj_size",
            code="lstm-projection",
        )
    layers = 1 + max(int(match[3]) for match in found)
    suffixes = ("", "_reverse") if any(match[4] for match in found) else ("",)
    biased = any(match[1] == "bias" for match in found)
    result: list[tuple[KerasWeights, ...]] = []
    features: int | None = None
    for layer in range(layers):
        directions = tuple(
            _one_direction(cell, state_dict, prefix, f"l{layer}{suffix}", features, biased, biases)
            for suffix in suffixes
        )
        features = sum(len(weights.recurrent_kernel) for weights in directions)
        result.append(directions)
    return tuple(result)


def _one_direction(
    cell: Cell,
    state_dict: Mapping[str, Any],
    prefix: str,
    suffix: str,
    features: int | None,
    biased: bool,
    biases: str,
) -> KerasWeights:
    module, gates = f"torch.nn.{_MODULES[cell]}", len(GATES[cell])

    def get(kind: str) -> Array:
        name = f"{prefix}{kind}_{suffix}"
        if name not in state_dict:
            raise WeightError(
                f"{name} of {module} is not in the state dict",
                context=_listed([key for key in state_dict if key.startswith(prefix)]),
                hint="take the state dict of the whole module: module.state_dict()",
                code="missing-weight",
            )
        return as_array(name, state_dict[name], module)

    inputs, state = get("weight_ih"), get("weight_hh")
    units = units_of(f"{prefix}weight_hh_{suffix}", state, cell, "torch", module)
    require_shape(f"{prefix}weight_ih_{suffix}", inputs, (gates * units, features), module)
    bias = None
    if biased:
        pair = get("bias_ih"), get("bias_hh")
        for kind, one in zip(("bias_ih", "bias_hh"), pair, strict=True):
            require_shape(f"{prefix}{kind}_{suffix}", one, (gates * units,), module)
        bias = _chosen_bias(cell, np.stack(pair), f"{prefix}bias", suffix, biases)
    return KerasWeights(
        np.array(stack(unstack(inputs, cell, "torch"), cell, "keras"), order="C"),
        np.array(stack(unstack(state, cell, "torch"), cell, "keras"), order="C"),
        None if bias is None else np.array(bias, order="C"),
    )


def _chosen_bias(cell: Cell, pair: Array, name: str, suffix: str, biases: str) -> Array:
    """Keras's bias: both of GRU, else the sum or the one that is chosen."""
    both = unstack_bias(pair, cell, "torch")
    if layout(cell, "keras").biases == 2:
        return stack_bias(both, cell, "keras")
    if biases == "sum":
        # Zeros in front are dropped like those behind, so that -0.0 is not lost to the addition.
        positive_zeros = not (both[0].any() or np.signbit(both[0]).any())
        return stack_bias(both[1:] if positive_zeros else both, cell, "keras")
    taken, left = (0, 1) if biases == "first" else (1, 0)
    if both[left].any():
        lost = ("ih", "hh")[left]
        raise WeightError(
            f"biases={biases!r} would lose {name}_{lost}_{suffix}",
            context=f"{np.count_nonzero(both[left])} of its {both[left].size} numbers are not zero",
            hint='biases="sum" adds both, which computes the same',
            code="bias-lost",
        )
    return stack_bias(both[taken : taken + 1], cell, "keras")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(
            f"{name}={value!r} is not known",
            context="known: " + ", ".join(map(repr, known)),
            hint=f"leave it out for {known[0]!r}",
            code="unknown-value",
        )


def _listed(names: list[str]) -> str:
    """The first names of a state dict, for the context of an error."""
    if not names:
        return "no names"
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


def _prefix_hint(names: list[str]) -> str:
    """The prefixes under which there is a recurrent module."""
    heads = (re.match(rf"(.+\.){_NAME.pattern}$", name) for name in names)
    prefixes = sorted({head[1] for head in heads if head})
    if not prefixes:
        return "take the state dict of the recurrent module: module.state_dict()"
    return "say where the module is: " + " or ".join(f"prefix={one!r}" for one in prefixes[:3])
