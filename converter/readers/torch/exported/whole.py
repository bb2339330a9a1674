"""Recurrent layers and attention as one operation each, while a module is traced.

torch.export fixes the time of a recurrent layer, and of a pooling, to that of the example, since it
finds the shape of the result by running it; it cannot say a packed sequence at all; and it takes
attention apart. The operations here say their shapes and are never executed.

A packed sequence is a matrix of as many rows as the padded one has steps, and lengths in the place
of its `batch_sizes`. What `torch.nn` asks these for is the batch, and the longest length, which is
known from the numbers alone: `LONGEST` stands for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor
from torch.overrides import TorchFunctionMode

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _same(one: int, other: int, what: str) -> None:
    """See that two sizes are the same; that is then known of them."""
    if one != other:
        raise TypeError(f"{what}: {one} and {other}")


def _recurrent(
    kind: str,
    x: Tensor,
    lengths: Tensor | None,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    bidirectional: bool,
    batch_first: bool,
) -> list[Tensor]:
    directions = 2 if bidirectional else 1
    kinds = {one.dtype for one in (x, *states, *weights)}
    if len(kinds) > 1:
        raise TypeError(f"input, states and weights of {', '.join(map(str, kinds))}")
    _same(x.size(-1), weights[0].size(1), "features of the input and rows of weights")
    units = weights[0].size(0) // GATES[kind]
    for state, size in zip(states, (weights[1].size(1), units), strict=False):
        _same(state.size(0), layers * directions, "states and layers")
        _same(state.size(2), size, "units of a state and of the layer")
    if lengths is None:
        _same(states[0].size(1), x.size(0 if batch_first else 1), "sequences and states")
    features = directions * states[0].size(2)
    return [
        x.new_empty((*x.shape[:-1], features)),
        *(x.new_empty(state.shape) for state in states),
    ]


def _pack(x: Tensor, lengths: Tensor, batch_first: bool) -> Tensor:
    _same(lengths.size(0), x.size(0 if batch_first else 1), "sequences and lengths")
    return x.new_empty((x.size(0) * x.size(1), *x.shape[2:]))


def _lengths(lengths: Tensor) -> Tensor:
    return lengths.new_empty(lengths.shape)


def _pad(
    x: Tensor,
    lengths: Tensor,
    batch_first: bool,
    value: float,
    steps: int,
    batch: int,
    whole: bool,
) -> Tensor:
    front = (batch, steps) if batch_first else (steps, batch)
    return x.new_empty((*front, *x.shape[1:]))


def _attention_shape(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    in_weight: Tensor | None,
    in_bias: Tensor | None,
    q_weight: Tensor | None,
    k_weight: Tensor | None,
    v_weight: Tensor | None,
    *rest: Any,
) -> list[Tensor]:
    *_, weights, _mask, average = rest
    for x, own in ((query, q_weight), (key, k_weight), (value, v_weight)):
        weight = in_weight if own is None else own
        if weight is not None:
            _same(x.size(-1), weight.size(1), "features and rows of weights")
    _same(key.size(0), value.size(0), "steps of key and value")
    result = query.new_empty(query.shape)
    if not weights:
        return [result]
    steps, batch = query.shape[:2]
    middle = () if average else (heads,)
    return [result, query.new_empty((batch, *middle, steps, key.size(0)))]


def _max_pool1d(
    x: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor:
    steps = x.size(-1) + 2 * padding[0] - dilation[0] * (size[0] - 1) - 1
    return x.new_empty((*x.shape[:-1], steps // stride[0] + 1))


SHAPES: Mapping[str, Callable[..., Any]] = {
    "recurrent(str kind, Tensor x, Tensor? lengths, Tensor[] states, Tensor[] weights, "
    "bool has_biases, int layers, float dropout, bool bidirectional, bool batch_first) "
    "-> Tensor[]": _recurrent,
    "pack(Tensor x, Tensor lengths, bool batch_first) -> Tensor": _pack,
    "lengths(Tensor lengths) -> Tensor": _lengths,
    "pad(Tensor x, Tensor lengths, bool batch_first, float value, SymInt steps, SymInt batch, "
    "bool whole) -> Tensor": _pad,
    "attention(Tensor query, Tensor key, Tensor value, int heads, Tensor? in_weight, "
    "Tensor? in_bias, Tensor? q_weight, Tensor? k_weight, Tensor? v_weight, Tensor? bias_k, "
    "Tensor? bias_v, bool zero, float dropout, Tensor out_weight, Tensor? out_bias, "
    "Tensor? padding, bool weights, Tensor? mask, bool average) -> Tensor[]": _attention_shape,
    "max_pool1d(Tensor self, int[] kernel_size, int[] stride, int[] padding, int[] dilation, "
    "bool ceil_mode) -> Tensor": _max_pool1d,
}
"""The operations, and functions that give tensors of the shapes of their results."""

LIBRARY = torch.library.Library("ifco", "DEF")  # type: ignore[no-untyped-call]

for schema, shape in SHAPES.items():
    LIBRARY.define(schema)  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"ifco::{schema.partition('(')[0]}", shape, lib=LIBRARY)


class _Longest(int):
    """Not above any length that is asked for."""

    def __gt__(self, other: object) -> bool:
        return False


LONGEST = _Longest(0)

RECURRENT = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN_TANH", "rnn_relu": "RNN_RELU"}


class _Whole(TorchFunctionMode):
    """Replaces what is called."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: list[tuple[Tensor, Tensor, bool]] = []
        self._orders: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        given = dict(kwargs or {})
        if name in RECURRENT and args:
            return self._recurrent(RECURRENT[name], *args, **given)
        if func is F.multi_head_attention_forward:
            return _attention(*args, **given)
        if name == "max_pool1d":
            return _pooled(*args, **given)
        if name == "_pack_padded_sequence":
            return self._pack(*args, **given)
        if name == "_pad_packed_sequence":
            return self._pad(*args, **given)
        if name in ("index_select", "__getitem__") and any(self._is_order(one) for one in args):
            index = next(one for one in args if self._is_order(one))
            axis = args[1] if name == "index_select" else 0
            _same(args[0].size(axis), index.size(0), "sequences and lengths")
        packed = self._of(args[0]) if args and name in ("__getitem__", "size") else None
        if packed is not None:
            x, batch_first = packed
            return x.size(0 if batch_first else 1) if name == "__getitem__" else LONGEST
        result = func(*args, **given)
        if name == "sort":
            self._orders.append(result[1])
        return result

    def _is_order(self, value: object) -> bool:
        """Whether it is where the examples of a sorted batch were."""
        return any(value is one for one in self._orders)

    def _of(self, lengths: object) -> tuple[Tensor, bool] | None:
        """What was packed with these lengths."""
        return next(((x, first) for own, x, first in self._packed if own is lengths), None)

    def _recurrent(self, kind: str, x: Tensor, second: Any, third: Any, *rest: Any) -> Any:
        packed = self._of(second)
        if packed is None:
            states, lengths = second, None
            weights, has_biases, layers, dropout, _training, bidirectional, batch_first = (
                third,
                *rest,
            )
        else:
            states, lengths, batch_first = third, second, packed[1]
            weights, has_biases, layers, dropout, _training, bidirectional = rest
        states = [states] if isinstance(states, Tensor) else list(states)
        return tuple(
            torch.ops.ifco.recurrent(
                kind,
                x,
                lengths,
                states,
                list(weights),
                has_biases,
                layers,
                float(dropout),
                bidirectional,
                batch_first,
            )
        )

    def _pack(self, x: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
        own = torch.ops.ifco.lengths(lengths)
        self._packed.append((own, x, batch_first))
        return torch.ops.ifco.pack(x, lengths, batch_first), own

    def _pad(
        self, data: Tensor, lengths: Tensor, batch_first: bool, value: float, total: int
    ) -> tuple[Tensor, Tensor]:
        packed = self._of(lengths)
        if packed is None:
            raise TypeError("a packed sequence that was not packed in forward")
        x, first = packed
        batch, steps = x.shape[:2] if first else (x.size(1), x.size(0))
        whole = not isinstance(total, _Longest)
        padded = torch.ops.ifco.pad(
            data, lengths, batch_first, float(value), total if whole else steps, batch, whole
        )
        return padded, torch.ops.ifco.lengths(lengths)


def _attention(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """`F.multi_head_attention_forward` as one operation."""
    bound = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    if given["static_k"] is not None or given["static_v"] is not None:
        raise TypeError("attention with static_k or static_v")
    results = torch.ops.ifco.attention(
        given["query"],
        given["key"],
        given["value"],
        given["num_heads"],
        given["in_proj_weight"],
        given["in_proj_bias"],
        given["q_proj_weight"],
        given["k_proj_weight"],
        given["v_proj_weight"],
        given["bias_k"],
        given["bias_v"],
        given["add_zero_attn"],
        float(given["dropout_p"]),
        given["out_proj_weight"],
        given["out_proj_bias"],
        given["key_padding_mask"],
        given["need_weights"],
        given["attn_mask"],
        given["average_attn_weights"],
    )
    return results[0], results[1] if given["need_weights"] else None


def _pooled(
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`torch.max_pool1d`, which would fix the number of steps as well."""
    if return_indices:
        raise TypeError("max_pool1d with return_indices")
    sizes = [kernel_size, stride or kernel_size, padding, dilation]
    numbers = [list(one) if isinstance(one, Sequence) else [one] for one in sizes]
    return torch.ops.ifco.max_pool1d(x, *numbers, ceil_mode)


@contextmanager
def kept() -> Iterator[None]:
    """While it is open, recurrent layers and attention are operations of their own."""
    with _Whole():
        yield
