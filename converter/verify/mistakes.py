"""Everything that a mapping of recurrent layers can do wrong, one thing at a time.

Two gates exchanged, a kernel transposed, a bias left out or doubled, the two biases of a GRU
exchanged, the hard_sigmoid of another Keras, time reversed, directions exchanged, a mask ignored,
the states h and c exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeVar

from converter.activations import Activation
from converter.description import (
    Call,
    ConvDirection,
    ConvLSTM,
    Direction,
    Layer,
    Model,
    Recurrent,
    TimeDistributed,
    Weight,
)
from converter.gates import GATES, Array, Cell

AnyDirection = Direction | ConvDirection
AnyRecurrent = Recurrent | ConvLSTM
Part = TypeVar("Part", bound=AnyDirection | AnyRecurrent)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with one layer.

    Attributes:
        layer: Its name.
        words: "gates i and f exchanged".
        model: With that mistake.
    """

    layer: str
    words: str
    model: Model

    def __str__(self) -> str:
        """In one line, unique in a model."""
        return f"{self.words} in layer '{self.layer}'"


def mistakes(model: Model) -> Iterator[Mistake]:
    """Each with a model that makes it, made when it is asked for."""
    for layer in model.layers:
        inner = inner_of(layer)
        if not isinstance(inner, AnyRecurrent):
            continue
        for words, wrong in _layers(inner):
            put = _put(layer, wrong)
            yield Mistake(layer.name, words, _with_calls(model, layer, _with_layer(put)))
        calls = [call for call in model.calls if call.layer.name == layer.name]
        if any(mask is not None for call in calls for mask in call.masks):
            wrong_model = _with_calls(model, layer, lambda call: replace(call, masks=()))
            yield Mistake(layer.name, "the mask ignored", wrong_model)
        if _cell(inner.forward) is Cell.LSTM and any(len(call.inputs) > 1 for call in calls):
            wrong_model = _with_calls(model, layer, _states_exchanged)
            yield Mistake(layer.name, "the states h and c exchanged", wrong_model)


def inner_of(layer: Layer) -> Layer:
    """The layer itself, or what it applies to every step."""
    while isinstance(layer, TimeDistributed):
        layer = layer.layer
    return layer


def _layers(layer: AnyRecurrent) -> Iterator[tuple[str, AnyRecurrent]]:
    """What can be wrong inside a layer."""
    if layer.backward is None:
        for words, wrong in _directions(layer.forward):
            yield words, _with(layer, forward=wrong)
        yield "time reversed", _with(layer, forward=_turned(layer.forward))
        return
    for side, direction in (("forward", layer.forward), ("backward", layer.backward)):
        for words, wrong in _directions(direction):
            yield f"{words} in the {side} direction", _with(layer, **{side: wrong})
    if layer.forward.recurrent_kernel.shape == layer.backward.recurrent_kernel.shape:
        exchanged = {"forward": _turned(layer.backward), "backward": _turned(layer.forward)}
        yield "the directions exchanged", _with(layer, **exchanged)


def _directions(direction: AnyDirection) -> Iterator[tuple[str, AnyDirection]]:
    """What can be wrong inside a direction."""
    cell = _cell(direction)
    for a, b in combinations(range(len(GATES[cell])), 2):
        words = f"gates {GATES[cell][a]} and {GATES[cell][b]} exchanged"
        yield words, _gates_exchanged(direction, a, b)
    if isinstance(direction, Direction):
        for name in ("kernel", "recurrent_kernel"):
            _, units, features = getattr(direction, name).shape
            if units == features > 1:
                wrong = _mapped(direction, name, lambda array: array.swapaxes(1, 2))
                yield f"the {name} transposed", wrong
    if direction.bias is not None:
        yield "the bias left out", _mapped(direction, "bias", lambda array: 0 * array)
        yield "the bias doubled", _mapped(direction, "bias", lambda array: 2 * array)
        if cell is Cell.GRU and direction.bias.shape[0] == 2:
            wrong = _mapped(direction, "bias", lambda array: array[::-1])
            yield "the two biases exchanged", wrong
    for name in ("activation", "recurrent_activation"):
        mine = getattr(direction, name)
        if mine.kind == "hard_sigmoid":
            old = dict(mine.parameters)["alpha"] == 0.2
            other = Activation.of("hard_sigmoid", alpha=1 / 6 if old else 0.2, beta=0.5)
            yield f"the {name} of another Keras", _with(direction, **{name: other})


def _cell(direction: AnyDirection) -> Cell:
    return direction.cell if isinstance(direction, Direction) else Cell.LSTM


def _gates_exchanged(direction: AnyDirection, a: int, b: int) -> AnyDirection:
    order = list(range(len(GATES[_cell(direction)])))
    order[a], order[b] = b, a
    for name, axis in (("kernel", 0), ("recurrent_kernel", 0), ("bias", 1)):
        direction = _mapped(direction, name, lambda array, axis=axis: array.take(order, axis))
    return direction


def _mapped(direction: AnyDirection, name: str, change: Callable[..., Array]) -> AnyDirection:
    """With `change` of the weight of that name, if it has one."""
    weight: Weight | None = getattr(direction, name)
    if weight is None:
        return direction
    return _with(direction, **{name: Weight.of(change(weight.read()))})


def _turned(direction: AnyDirection) -> AnyDirection:
    return _with(direction, go_backwards=not direction.go_backwards)


def _with(part: Part, **changes: Any) -> Part:
    """`replace` of a part, whichever class it is of."""
    changed: Part = replace(part, **changes)
    return changed


def _put(outer: Layer, inner: Layer) -> Layer:
    """`outer` with another layer inside, or in its place."""
    if isinstance(outer, TimeDistributed):
        return replace(outer, layer=_put(outer.layer, inner))
    return inner


def _with_layer(layer: Layer) -> Callable[[Call], Call]:
    return lambda call: replace(call, layer=layer)


def _with_calls(model: Model, layer: Layer, change: Callable[[Call], Call]) -> Model:
    """The model with every call of a layer changed."""
    calls = [change(call) if call.layer.name == layer.name else call for call in model.calls]
    return replace(model, calls=tuple(calls))


def _states_exchanged(call: Call) -> Call:
    """In each direction, h in the place of c."""
    x, *states = call.inputs
    pairs = zip(states[::2], states[1::2], strict=True)
    return replace(call, inputs=(x, *(state for h, c in pairs for state in (c, h))))
