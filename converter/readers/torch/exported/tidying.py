"""A model as one would write it: no layer gives what nobody reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from converter.description import Call, Concatenate, Model, Recurrent, Slice, Value
from converter.description.indexing import WHOLE
from converter.gates import STATES


def tidied(model: Model) -> Model:
    """The model with recurrent layers that give what is read."""
    model = model.until(*model.outputs)
    users = _users(model)
    outputs = {value.name for value in model.outputs}
    given: dict[str, Value] = {}
    changed: dict[str, Call] = {}
    for call in model.calls:
        if not isinstance(call.layer, Recurrent) or _is_called_again(model, call):
            continue
        plan = _plan(call, users, outputs)
        changed[call.outputs[0].name] = plan.call
        given.update(plan.given)
    calls = []
    for call in model.calls:
        if call.outputs[0].name in given:
            continue
        call = changed.get(call.outputs[0].name, call)
        calls.append(replace(call, inputs=tuple(given.get(v.name, v) for v in call.inputs)))
    return replace(
        model,
        calls=tuple(calls),
        outputs=tuple(given.get(value.name, value) for value in model.outputs),
    )


def _users(model: Model) -> dict[str, list[Call]]:
    users: dict[str, list[Call]] = {}
    for call in model.calls:
        for value in call.needs:
            users.setdefault(value.name, []).append(call)
    return users


def _is_called_again(model: Model, call: Call) -> bool:
    return sum(one.layer is call.layer for one in model.calls) > 1


@dataclass(frozen=True, slots=True)
class _Plan:
    """What becomes of a call.

    Attributes:
        given: By the names of values that are no more, those in their place.
    """

    call: Call
    given: Mapping[str, Value]


def _plan(call: Call, users: Mapping[str, list[Call]], outputs: set[str]) -> _Plan:
    """What a recurrent layer gives, by who reads it."""
    layer = call.layer
    assert isinstance(layer, Recurrent)
    sequence, *states = call.outputs
    reads = users.get(sequence.name, [])
    used = any(value.name in outputs or value.name in users for value in states)
    if call.mask and len(call.inputs) > 1 and not layer.starts_from_state:
        new = replace(layer, return_state=used)  # the last output need not be the last state
        return _Plan(replace(call, layer=new, outputs=(sequence, *(states if used else ()))), {})
    # The last step of both directions is no state: the backward half has read one step there.
    # That of a masked sequence is padding.
    plain = layer.backward is None and not call.masks
    ends = [one for one in reads if _is_last(one, sequence)] if plain else []
    if sequence.name in outputs or len(ends) < len(reads):
        kept = states if used else ()
        new = replace(layer, return_state=used)
        return _Plan(replace(call, layer=new, outputs=(sequence, *kept)), {})
    if layer.backward is None:
        last = replace(states[0], name=sequence.name)
        wanted = any(value.name in outputs or value.name in users for value in states[1:])
    else:
        hs = [states[0], states[STATES[layer.cell]]]
        ends = [one for one in users.get(hs[0].name, []) if _joins(one, hs)]
        size = sum(one.units for one in layer.directions)
        last = replace(sequence, shape=(hs[0].shape[0], size))
        wanted = any(
            value.name in outputs or any(one not in ends for one in users.get(value.name, []))
            for value in states
        )
    given = {one.outputs[0].name: last for one in ends}
    if layer.backward is None and not wanted:
        given[states[0].name] = last
    new = replace(layer, return_sequences=False, return_state=wanted, zero_output_for_mask=False)
    return _Plan(replace(call, layer=new, outputs=(last, *(states if wanted else ()))), given)


def _is_last(call: Call, sequence: Value) -> bool:
    """Whether it takes the last step of a sequence, and nothing else."""
    return (
        isinstance(call.layer, Slice)
        and call.layer.items == (WHOLE, -1)
        and call.inputs == (sequence,)
    )


def _joins(call: Call, states: list[Value]) -> bool:
    """Whether it is the states of both directions side by side."""
    return (
        isinstance(call.layer, Concatenate)
        and call.layer.axis % 2 == 1
        and list(call.inputs) == states
    )
