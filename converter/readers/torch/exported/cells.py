"""Recurrent modules of a file that was converted: cells that torch.nn lacks, and masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from converter.activations import Activation
from converter.description import Direction, Dropout, Drops, Merge, Noise, Recurrent, Value
from converter.gates import LAYOUTS, STATES, Cell, bias_form, kernel_form
from converter.readers.torch.exported.held import (
    Held,
    Lifted,
    Stacked,
    computing,
    settings,
    weight_of,
    whole,
)
from converter.readers.torch.exported.lifting import Lifting, lifts
from converter.readers.torch.exported.recurrent import BATCH_FIRST, begin, bias_of
from converter.readers.torch.exported.traced import Parameter, Step

TORCH = "torch"
CELLS = "cells"

KINDS = {
    "LSTM": (Cell.LSTM, TORCH),
    "GRU": (Cell.GRU, TORCH),
    "RNN_TANH": (Cell.RNN, TORCH),
    "RNN_RELU": (Cell.RNN, TORCH),
    "ActivatedLSTM": (Cell.LSTM, CELLS),
    "ActivatedGRU": (Cell.GRU, CELLS),
    "ResetBeforeGRU": (Cell.GRU_RESET_BEFORE, CELLS),
    "ActivatedRNN": (Cell.RNN, CELLS),
}
"""The cell of each module, and whose layout its weights have."""


DROPS = {"": Drops.SEQUENCE, "gate": Drops.GATE, "step": Drops.STEP}


@lifts("ifco.shared_dropout")
def _(lifting: Lifting, step: Step) -> Lifted:
    """A Dropout whose mask is shared along some axes."""
    held = lifting.tensor(step["x"])
    value = lifting.plain(held)
    layer = Dropout(
        name=lifting.name(step),
        noise=Noise.DROPOUT,
        rate=step["rate"],
        noise_shape=tuple(None if size < 0 else size for size in step["shape"]),
        **computing(value.dtype),
    )
    (value,) = lifting.call(layer, (value,), value.dtype)
    return whole(value, held.sizes)


@lifts("ifco.own")
def _(lifting: Lifting, step: Step) -> Lifted:
    """One layer, of one direction or of two."""
    cell, _ = KINDS[step["kind"]]
    step = _named(lifting, step)
    tensor = lifting.tensor(step["x"])
    order = range(3) if step["batch_first"] else BATCH_FIRST
    x = lifting.arranged(tensor, order)
    directions = _directions(lifting, step)
    start = begin(lifting, step, STATES[cell], len(directions))
    states = [one for each in start.states for one in each]
    stateful = bool(start.buffers)
    layer = lifting.shared(step, lambda name: _layer(step, name, directions, x.dtype, stateful))
    sequence, *last = lifting.call(layer, (x, *states), x.dtype, _masks(lifting, step, states))
    first, second, _ = tensor.sizes
    batch = first if step["batch_first"] else second
    units = directions[0][1].shape[1]
    stacks = tuple(
        Stacked(tuple(whole(one, (batch, units)) for one in last[k :: STATES[cell]]))
        for k in range(STATES[cell])
    )
    if stateful:
        lifting.keeps(step, start.buffers, stacks)
    return (Held(sequence, tuple(order), (first, second, units * len(directions))), *stacks)


def _named(lifting: Lifting, step: Step) -> Step:
    """The step as one of the module whose weights it takes, which need not be the one it is in."""
    weight = lifting.required(step, step["weights"][0])
    return replace(step, module=weight.name.rpartition(".")[0], kind=step["kind"])


def _masks(lifting: Lifting, step: Step, states: Sequence[Value]) -> tuple[Value | None, ...]:
    if step["mask"] is None:
        return ()
    held = lifting.tensor(step["mask"])
    mask = lifting.arranged(held, (0, 1) if step["batch_first"] else (1, 0))
    return (mask, *(None for _ in states))


def _directions(lifting: Lifting, step: Step) -> list[list[Parameter]]:
    """The weights of each."""
    given = [lifting.required(step, one) for one in step["weights"]]
    cell, layout = KINDS[step["kind"]]
    biases = LAYOUTS[cell, layout].biases if step["has_biases"] else 0
    each = 2 + biases
    return [given[k : k + each] for k in range(0, len(given), each)]


def _layer(
    step: Step,
    name: str,
    directions: Sequence[Sequence[Parameter]],
    dtype: str,
    stateful: bool,
) -> Recurrent:
    forward, *backward = [_direction(step, own, k == 1) for k, own in enumerate(directions)]
    return Recurrent(
        name=name,
        forward=forward,
        backward=backward[0] if backward else None,
        merge=Merge.CONCAT if backward else None,
        return_sequences=True,
        return_state=True,
        stateful=stateful,
        starts_from_state=step["from_state"],
        **settings(*(one for own in directions for one in own), dtype=dtype),
    )


def _direction(step: Step, weights: Sequence[Parameter], backwards: bool) -> Direction:
    cell, layout = KINDS[step["kind"]]
    kernel, recurrent_kernel, *biases = weights
    activation, recurrent_activation = (
        Activation.of(kind, **parameters) for kind, parameters in json.loads(step["activations"])
    )
    if step["kind"] == "RNN_RELU":
        activation = Activation.of("relu")
    one = len(biases) == 1
    return Direction(
        cell=cell,
        kernel=weight_of([kernel], kernel_form(cell, layout)),
        recurrent_kernel=weight_of([recurrent_kernel], kernel_form(cell, layout)),
        bias=weight_of(biases, bias_form(cell, layout)) if one else bias_of(cell, biases),
        activation=activation,
        recurrent_activation=recurrent_activation,
        go_backwards=backwards,
        dropout=step["dropout"],
        recurrent_dropout=step["recurrent_dropout"],
        drops=DROPS[step["drops"]],
    )
