"""LSTM, GRU and SimpleRNN, in one direction or two.

The equations are those of keras/src/layers/rnn/lstm.py, gru.py and simple_rnn.py; what happens
around them is rnn.py's and bidirectional.py's. The product of the input is computed for all steps
at once.

Shape letters: B batch, T time, I input features, H units, G gates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from converter.activations import Activation
from converter.description import Direction, Merge, Recurrent
from converter.dtypes import rounded
from converter.gates import GATES, STATES, Array, Cell
from converter.judge.meaning import MEANINGS, Masks

States = tuple[Array, ...]
"""h, and c for LSTM, each (B, H)."""


Function = Callable[[Array], Array]


def _clipped(activation: Activation, clip: float | None) -> Function:
    """An activation of what is kept within -clip and clip."""
    return activation if clip is None else lambda x: activation(np.clip(x, -clip, clip))


@dataclass(frozen=True, slots=True)
class _Step:
    """What every step of one direction uses.

    Attributes:
        kernel: The recurrent kernel, (G, H, H).
        bias: Added to the state's product, (G, H).
        activation: Of the candidate.
        gate: Of the other gates.
        state_activation: Of the cell state in LSTM.
        peepholes: Of i, f and o, (3, H); None without.
        coupled: f is 1 - i.
    """

    kernel: Array
    bias: Array
    activation: Function
    gate: Function
    state_activation: Function
    peepholes: Array | None
    coupled: bool

    def product(self, h: Array, gates: slice) -> Array:
        """R h + b for some gates, those first: (gates, B, H)."""
        kernel = self.kernel[gates]
        stacked = h @ kernel.reshape(-1, h.shape[1]).T
        by_gate = stacked.reshape(len(h), *kernel.shape[:2]) + self.bias[gates]
        return by_gate.swapaxes(0, 1)


ALL = slice(None)


def _lstm(step: _Step, x: Array, states: States) -> States:
    h, c = states
    product = x + step.product(h, ALL)
    if step.peepholes is None:
        i, f, o = step.gate(product[[0, 1, 3]])
    else:
        i, f = step.gate(product[:2] + step.peepholes[:2, np.newaxis] * c)
    f = 1 - i if step.coupled else f
    c = f * c + i * step.activation(product[2])
    if step.peepholes is not None:
        o = step.gate(product[3] + step.peepholes[2] * c)
    return o * step.state_activation(c), c


def _gru(step: _Step, x: Array, states: States) -> States:
    (h,) = states
    product = step.product(h, ALL)
    z, r = step.gate(x[:2] + product[:2])
    return (z * h + (1 - z) * step.activation(x[2] + r * product[2]),)


def _gru_reset_before(step: _Step, x: Array, states: States) -> States:
    (h,) = states
    z, r = step.gate(x[:2] + step.product(h, slice(2)))
    (product,) = step.product(r * h, slice(2, 3))
    return (z * h + (1 - z) * step.activation(x[2] + product),)


def _rnn(step: _Step, x: Array, states: States) -> States:
    (h,) = states
    (product,) = x + step.product(h, ALL)
    return (step.activation(product),)


STEPS: Mapping[Cell, Callable[[_Step, Array, States], States]] = {
    Cell.LSTM: _lstm,
    Cell.GRU: _gru,
    Cell.GRU_RESET_BEFORE: _gru_reset_before,
    Cell.RNN: _rnn,
}
"""The next states, from W x + b of one step, (G, B, H) in the order of `GATES`, and the states."""


def _sequence(
    direction: Direction,
    x: Array,
    states: States,
    mask: Array | None,
    first: Array | None,
    dtype: str,
) -> tuple[Array, States]:
    """Every output, (T, B, H) in the order of reading, and the last states.

    A step that is masked repeats the output before it, `first` at first, and leaves the states.

    Args:
        direction: Its weights are used.
        x: (T, B, I).
        states: The initial ones; none means zeros.
        mask: (T, B), True where a step counts.
        first: (B, H); none means zeros.
        dtype: To which each state is rounded.
    """
    time, batch, inputs = x.shape
    kernel, gates, units = direction.kernel.read(), len(GATES[direction.cell]), direction.units
    both = np.zeros((2, gates, units), kernel.dtype)
    if direction.bias is not None:
        given = direction.bias.read()
        both[: len(given)] = given
    if direction.go_backwards:
        x = x[::-1]
    products = x.reshape(-1, inputs) @ kernel.reshape(-1, inputs).T
    products = (products.reshape(time, batch, gates, units) + both[0]).swapaxes(1, 2)
    peepholes = direction.peepholes
    step = _Step(
        direction.recurrent_kernel.read(),
        both[1],
        _clipped(direction.activation, direction.clip),
        _clipped(direction.recurrent_activation, direction.clip),
        direction.state_activation or direction.activation,
        None if peepholes is None else peepholes.read(),
        direction.coupled,
    )
    states = states or (np.zeros((batch, units), products.dtype),) * STATES[direction.cell]
    outputs = np.empty((time, batch, units), products.dtype)
    advance = STEPS[direction.cell]
    last = np.zeros((batch, units), products.dtype) if first is None else first
    for t in range(time):
        new = tuple(rounded(state, dtype) for state in advance(step, products[t], states))
        if mask is not None:
            counts = mask[time - 1 - t if direction.go_backwards else t, :, np.newaxis]
            new = tuple(np.where(counts, one, old) for one, old in zip(new, states, strict=True))
            last = np.where(counts, new[0], last)
        else:
            last = new[0]
        states, outputs[t] = new, last
    return outputs, states


def merged(merge: Merge | None, forward: Array, backward: Array) -> tuple[Array, ...]:
    """What two directions return together, on the last axis; both where they stay apart."""
    match merge:
        case Merge.CONCAT:
            return (np.concatenate([forward, backward], axis=-1),)
        case Merge.SUM:
            return (forward + backward,)
        case Merge.MULTIPLY:
            return (forward * backward,)
        case Merge.AVERAGE:
            return ((forward + backward) / 2,)
        case _:
            return forward, backward


@MEANINGS.register(Recurrent)
def _(layer: Recurrent, x: Array, *initial: Array, masks: Masks = ()) -> tuple[Array, ...]:
    mask = masks[0] if masks else None
    if not layer.time_major:
        x = x.swapaxes(0, 1)
        mask = None if mask is None else mask.T
    returned: list[Array] = []
    last: list[Array] = []
    for direction in layer.directions:
        count = STATES[direction.cell]
        own = initial[:count]
        first = own[0] if own and layer.starts_from_state else None
        outputs, states = _sequence(direction, x, own, mask, first, layer.dtype)
        if mask is not None and layer.zero_output_for_mask:
            counts = mask[::-1] if direction.go_backwards else mask
            outputs = outputs * counts[..., np.newaxis]
        initial = initial[count:]
        last.extend(states)
        if not layer.return_sequences:
            # With a mask the last output need not be the state: zeros if no step counts.
            returned.append(outputs[-1] if mask is not None and len(outputs) else states[0])
            continue
        if direction is layer.backward:  # bidirectional.py flips it, whichever way it was read
            outputs = outputs[::-1]
        returned.append(outputs if layer.time_major else outputs.swapaxes(0, 1))
    joined = merged(layer.merge, *returned) if len(returned) == 2 else (returned[0],)
    return (*joined, *last) if layer.return_state else joined
