"""What a file that was converted has beside torch.nn, kept whole while it is traced.

A class or a function is the one that `converter.targets.torch` copies into files if it has that
code; its name alone says nothing. What is not is traced like any other code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from converter.activations import SIGMOID, TANH, Activation
from converter.readers.torch.exported.activations import activation_of
from converter.readers.torch.exported.whole import LIBRARY
from converter.targets.torch import modules

CELLS = ("ActivatedLSTM", "ActivatedGRU", "ResetBeforeGRU", "ActivatedRNN")

States = Tensor | tuple[Tensor, ...] | None


def _shape(
    kind: str,
    x: Tensor,
    mask: Tensor | None,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    *rest: Any,
) -> list[Tensor]:
    torch._check(x.size(2) == weights[0].size(1))  # type: ignore[no-untyped-call]
    features = states[0].size(0) * states[0].size(2)
    return [
        x.new_empty((*x.shape[:-1], features)),
        *(x.new_empty(state.shape) for state in states),
    ]


LIBRARY.define(  # type: ignore[no-untyped-call]
    "own(str kind, Tensor x, Tensor? mask, Tensor[] states, Tensor[] weights, "
    "bool has_biases, bool batch_first, bool from_state, str activations) -> Tensor[]"
)
torch.library.register_fake("ifco::own", _shape, lib=LIBRARY)


@contextmanager
def kept(module: nn.Module) -> Iterator[None]:
    """While it is open, recurrent modules that we wrote are operations of their own."""
    with ExitStack() as undo:
        spaces: dict[int, dict[str, Any]] = {}
        for part in module.modules():
            kind = type(part)
            if kind.__name__ in CELLS and _same(kind, getattr(modules, kind.__name__)):
                activations = _activations(part)
                if activations is not None:
                    part.forward = partial(_cell, part, activations)
                    undo.callback(part.__dict__.pop, "forward")
            space = getattr(kind.forward, "__globals__", {})
            spaces[id(space)] = space
        for space in spaces.values():
            if _same(space.get("masked"), modules.masked):
                undo.callback(space.__setitem__, "masked", space["masked"])
                space["masked"] = _masked
        yield


def _same(one: object, known: object) -> bool:
    """Whether a function, or a class with all its functions, has the code of ours."""
    if isinstance(known, FunctionType):
        return isinstance(one, FunctionType) and _code(one.__code__) == _code(known.__code__)
    if not isinstance(known, type) or not isinstance(one, type):
        return False
    if known is nn.Module:
        return one is known
    functions = {name: value for name, value in vars(known).items() if callable(value)}
    settings = [name for name in ("gates", "states", "biases") if name in vars(known)]
    return (
        all(_same(vars(one).get(name), value) for name, value in functions.items())
        and all(vars(one).get(name) == vars(known)[name] for name in settings)
        and len(one.__bases__) == len(known.__bases__)
        and all(map(_same, one.__bases__, known.__bases__))
    )


def _code(code: CodeType) -> tuple[object, ...]:
    """What code does: its instructions, and the names and constants in them."""
    constants = (_code(one) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, tuple(constants)


def _activations(cell: Any) -> str | None:
    """The two activations of a cell as text; None where one of them is none that is known."""
    inner, gate = activation_of(cell.activation), activation_of(cell.recurrent_activation)
    if inner is None or gate is None:
        return None
    slope = cell.recurrent_slope
    if slope != 1:
        if gate != Activation.of("hard_sigmoid"):
            return None
        gate = Activation.of("hard_sigmoid", alpha=float(f"{slope / 6:.15g}"))
    return _text(inner, gate)


def _text(*activations: Activation) -> str:
    """As an operation can carry them: kinds and parameters in JSON."""
    return json.dumps([[one.kind, dict(one.parameters)] for one in activations])


def _cell(
    module: Any,
    activations: str,
    x: Tensor,
    initial: States = None,
    mask: Tensor | None = None,
    from_state: bool = False,
) -> tuple[Tensor, Any]:
    """As `Recurrence.forward`."""
    names = ("weight_ih", "weight_hh", *module.biases)
    weights = [
        getattr(module, name + direction)
        for direction in module.directions
        for name in names
        if hasattr(module, name + direction)
    ]
    biased = len(weights) > 2 * len(module.directions)
    sequence, last = _called(
        module,
        type(module).__name__,
        x,
        mask,
        _begin(module, x, len(module.directions), module.states, initial),
        weights,
        biased,
        from_state,
        activations,
    )
    return sequence, last if module.states == 2 else last[0]


def _masked(
    module: Any,
    x: Tensor,
    mask: Tensor,
    initial: States = None,
    from_state: bool = False,
    keep_c: bool = False,
) -> tuple[Tensor, Any]:
    """As `masked`."""
    weights = [weight for own in module.all_weights for weight in own]
    states = 2 if module.mode == "LSTM" else 1
    begin = _begin(module, x, len(module.all_weights), states, initial)
    options = module.bias, from_state, _text(TANH, SIGMOID)
    sequence, last = _called(module, module.mode, x, mask, begin, weights, *options)
    return sequence, last if keep_c else last[0]


def _begin(module: Any, x: Tensor, directions: int, states: int, initial: States) -> list[Tensor]:
    """Initial states, zeros where none are given."""
    if initial is not None:
        return [initial] if isinstance(initial, Tensor) else list(initial)
    zeros = x.new_zeros(directions, x.shape[0 if module.batch_first else 1], module.hidden_size)
    return [zeros] * states


def _called(
    module: Any,
    kind: str,
    x: Tensor,
    mask: Tensor | None,
    states: list[Tensor],
    weights: list[Tensor],
    has_biases: bool,
    from_state: bool,
    activations: str,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    own: Callable[..., list[Tensor]] = torch.ops.ifco.own
    sequence, *last = own(
        kind, x, mask, states, weights, has_biases, module.batch_first, from_state, activations
    )
    return sequence, tuple(last)
