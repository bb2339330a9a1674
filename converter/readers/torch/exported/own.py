"""What a file that was converted has beside torch.nn, kept whole while it is traced.

A class or a function is the one that `converter.targets.torch` copies into files if it has that
code; its name alone says nothing. What is not is traced like any other code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from converter.activations import SIGMOID, TANH, Activation
from converter.readers.torch.exported.activations import activation_of
from converter.readers.torch.exported.whole import LIBRARY
from converter.targets.torch import dropout_modules, modules

CELLS = ("ActivatedLSTM", "ActivatedGRU", "ResetBeforeGRU", "ActivatedRNN")
DROPPING = ("DropoutLSTM", "DropoutGRU", "DropoutRNN", *(f"Dropout{name}" for name in CELLS))

OURS: Mapping[str, type] = {
    **{name: getattr(modules, name) for name in (*CELLS, "SharedDropout")},
    **{name: getattr(dropout_modules, name) for name in DROPPING},
}
"""The classes that are known again."""

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
    "bool has_biases, bool batch_first, bool from_state, str activations, "
    "float dropout, float recurrent_dropout, str drops) -> Tensor[]"
)
LIBRARY.define("shared_dropout(Tensor x, float rate, int[] shape) -> Tensor")  # type: ignore[no-untyped-call]
torch.library.register_fake(
    "ifco::shared_dropout", lambda x, rate, shape: x.new_empty(x.shape), lib=LIBRARY
)
torch.library.register_fake("ifco::own", _shape, lib=LIBRARY)


@contextmanager
def kept(module: nn.Module) -> Iterator[None]:
    """While it is open, recurrent modules that we wrote are operations of their own."""
    with ExitStack() as undo:
        spaces: dict[int, dict[str, Any]] = {}
        for part in module.modules():
            kind = type(part)
            forward = _forward(part) if _same(kind, OURS.get(kind.__name__)) else None
            if forward is not None:
                part.forward = forward
                undo.callback(part.__dict__.pop, "forward")
            space = getattr(kind.forward, "__globals__", {})
            spaces[id(space)] = space
        for space in spaces.values():
            if _same(space.get("masked"), modules.masked):
                undo.callback(space.__setitem__, "masked", space["masked"])
                space["masked"] = _masked
        yield


def _forward(part: Any) -> Callable[..., Any] | None:
    """What stands for the forward of a module of ours; None if it is not what we write."""
    if type(part).__name__ == "SharedDropout":
        return partial(_shared_dropout, part)
    if isinstance(part, nn.RNNBase):
        return partial(_dropping, part)
    activations = _activations(part)
    return None if activations is None else partial(_cell, part, activations)


def _same(one: object, known: object) -> bool:
    """Whether a function, or a class with all its functions, has the code of ours."""
    if isinstance(known, FunctionType):
        return isinstance(one, FunctionType) and _code(one.__code__) == _code(known.__code__)
    if isinstance(known, property | staticmethod):
        inside = "fget" if isinstance(known, property) else "__func__"
        own, ours = getattr(one, inside, None), getattr(known, inside)
        return type(one) is type(known) and (own is ours or _same(own, ours))
    if not isinstance(known, type) or not isinstance(one, type):
        return False
    if known.__module__.startswith("torch."):
        return one is known
    functions = {
        name: value
        for name, value in vars(known).items()
        if callable(value) or isinstance(value, property)
    }
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
        type(module).__name__.removeprefix("Dropout"),
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
    mask: Tensor | None,
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


def _dropping(
    module: Any,
    x: Tensor,
    initial: States = None,
    mask: Tensor | None = None,
    from_state: bool = False,
) -> tuple[Tensor, Any]:
    """As `RecurrentDropout.forward` of a module of torch.nn."""
    return _masked(module, x, mask, initial, from_state, keep_c=module.states == 2)


def _shared_dropout(module: Any, x: Tensor) -> Tensor:
    """As `SharedDropout.forward`."""
    shape = [-1 if size is None else size for size in module.shape]
    given: Tensor = torch.ops.ifco.shared_dropout(x, float(module.rate), shape)
    return given


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
    dropping = type(module).__name__ in DROPPING
    drops = "gate" if dropping and module.each_gate else ""
    sequence, *last = own(
        kind,
        x,
        mask,
        states,
        weights,
        has_biases,
        module.batch_first,
        from_state,
        activations,
        float(module.input_rate) if dropping else 0.0,
        float(module.recurrent_rate) if dropping else 0.0,
        "step" if dropping and module.each_step else drops,
    )
    return sequence, tuple(last)
