"""States that a caller holds: inputs and outputs of the model, rather than kept inside.

Done once, to the description, so that every target and the judge have it by the same means. Made
explicit are the states

* of a layer that keeps them (`stateful=True`), in each direction: a call begins with the inputs,
  rather than where the call before it ended;
* of any other LSTM, GRU, SimpleRNN or ConvLSTM that reads forwards and begins with zeros, so that
  a long sequence can be given in pieces.

The others begin anew with each piece whoever holds the states: a layer that reads from the end,
one that the model itself gives its states, one that is applied to every step of something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from converter.description import Call, ConvLSTM, Model, Recurrent, Shape, Value
from converter.errors import UnsupportedError, UsageError

HOLDERS = ("kept", "explicit")
"""Who holds the states: the layers that keep them, or the caller."""


def with_states(model: Model, state: str) -> Model:
    """The model as it is, or with explicit states.

    Args:
        model: As it was read.
        state: One of `HOLDERS`.

    Raises:
        UsageError: It is none of them.
        UnsupportedError: The model has no states that a caller could hold.
    """
    if state not in HOLDERS:
        raise UsageError(
            f"states cannot be '{state}'",
            context=f"--state {state}",
            hint=f"one of: {', '.join(HOLDERS)}",
            code="unknown-state",
        )
    return explicit_states(model) if state == "explicit" else model


def explicit_states(model: Model) -> Model:
    """The model with its states as more inputs, and as more outputs in the same order.

    They are named for the layer: `lstm_h` and `lstm_c`, `lstm_backward_h`. Zeros begin a sequence;
    what one call gives is what the next one takes. A layer that is called several times has states
    for each call; one that keeps them hands them from one call to the next.

    Raises:
        UnsupportedError: The model has no such layer.
    """
    held = {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, ConvLSTM | Recurrent) and _is_held(layer, model)
    }
    if not held:
        raise UnsupportedError(
            f"model '{model.name}' has no state that a caller could hold",
            context="no recurrent layer that keeps its states, or reads forwards from zeros",
            hint="convert it without --state explicit",
            code="no-state",
        )
    states = _States(model)
    calls = tuple(
        states.given_to(call, held[call.layer.name]) if call.layer.name in held else call
        for call in model.calls
    )
    return replace(
        model,
        inputs=(*model.inputs, *states.begins),
        calls=calls,
        outputs=(*model.outputs, *states.ends.values()),
    )


def _is_held(layer: ConvLSTM | Recurrent, model: Model) -> bool:
    """Whether the states of a layer become explicit."""
    forwards = layer.backward is None and not layer.forward.go_backwards
    given = any(len(call.inputs) > 1 for call in model.calls if call.layer.name == layer.name)
    return not given and (layer.stateful or forwards)


@dataclass(slots=True)
class _States:
    """The states of the calls that were given theirs.

    Attributes:
        model: As it was.
        begins: The new inputs.
        ends: By their names, the states that they become.
        calls: The new inputs of each call of a layer.
    """

    model: Model
    begins: list[Value] = field(default_factory=list)
    ends: dict[str, Value] = field(default_factory=dict)
    calls: dict[str, list[tuple[Value, ...]]] = field(default_factory=dict)

    def given_to(self, call: Call, layer: ConvLSTM | Recurrent) -> Call:
        """A call with its states."""
        known = self.calls.setdefault(layer.name, [])
        if not known or not layer.stateful:
            known.append(tuple(self._new(call, layer, len(known))))
            self.begins += known[-1]
        begins = known[-1]
        states = tuple(self.ends.get(value.name, value) for value in begins)
        outputs = call.outputs
        if not layer.return_state:
            first = outputs[0]
            outputs += tuple(
                Value(f"{first.name}:{name}", shape, first.dtype)
                for name, shape in _named_shapes(call, layer)
            )
        last = outputs[-layer.state_count :]
        self.ends |= {begin.name: end for begin, end in zip(begins, last, strict=True)}
        telling = replace(layer, stateful=False, return_state=True)
        masks = (*call.masks, *(None for _ in states)) if call.masks else ()
        return Call(telling, (*call.inputs, *states), outputs, masks)

    def _new(self, call: Call, layer: ConvLSTM | Recurrent, number: int) -> Iterator[Value]:
        """An input for each state of a layer."""
        taken = {value.name for value in self.model.inputs}
        taken.update(value.name for one in self.model.calls for value in one.outputs)
        for name, shape in _named_shapes(call, layer):
            own = f"{layer.name}_{name}" + (f"_{number}" if number else "")
            while own in taken:
                own += "_"
            yield Value(own, shape, call.outputs[0].dtype)


def _named_shapes(call: Call, layer: ConvLSTM | Recurrent) -> Iterator[tuple[str, Shape]]:
    """Each state's name, "h" or "backward_c", and its shape."""
    count = layer.state_count // len(layer.directions)
    names = [
        prefix + letter
        for prefix in ("", "backward_")[: len(layer.directions)]
        for letter in ("h", "c")[:count]
    ]
    return zip(names, layer.state_shapes(call.inputs[0].shape), strict=True)
