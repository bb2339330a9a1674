"""Convolutional LSTM.

The equations are those of keras/src/layers/rnn/conv_lstm.py: an LSTM's, with convolutions for
products. The state's convolution pads with SAME, moves by 1, and is not dilated. What happens
around them is rnn.py's and bidirectional.py's. The input is convolved for all steps at once.

Shape letters: B batch, T time, S the steps of the axes in space, C channels, F filters, G gates.
"""

from __future__ import annotations

import numpy as np

from converter.description import ConvDirection, ConvLSTM, Padding
from converter.dtypes import rounded
from converter.gates import GATES, STATES, Array, Cell
from converter.judge.convolution import convolved
from converter.judge.meaning import MEANINGS, Masks
from converter.judge.recurrent import States, merged


def _side_by_side(kernel: Array) -> Array:
    """(G, size, n, F) as one kernel (size, n, G·F)."""
    by_filter = np.moveaxis(kernel, 0, -2)
    return by_filter.reshape(*by_filter.shape[:-2], -1)


def _sequence(
    direction: ConvDirection, x: Array, states: States, counts: Array | None, dtype: str
) -> tuple[Array, States]:
    """Every output, (T, B, S, F) in the order of reading, and the last states.

    Where a step does not count it repeats the output before it, zeros at first, and leaves the
    states.

    Args:
        direction: Its weights are used.
        x: (T, B, S, C).
        states: The initial ones, (B, S, F); none means zeros.
        counts: Where a step counts, in the order of reading; it broadcasts to (T, B, S, F).
        dtype: To which each state is rounded.
    """
    if direction.go_backwards:
        x = x[::-1]
    time, batch = x.shape[:2]
    once = (1,) * direction.rank
    products = convolved(
        x.reshape(time * batch, *x.shape[2:]),
        _side_by_side(direction.kernel.read()),
        direction.strides,
        direction.dilation,
        direction.padding,
    )
    if direction.bias is not None:
        products = products + direction.bias.read().reshape(-1)
    products = products.reshape(time, batch, *products.shape[1:])
    kernel = _side_by_side(direction.recurrent_kernel.read())
    zeros = np.zeros((*products.shape[1:-1], direction.filters), products.dtype)
    h, c = states or (zeros, zeros)
    outputs = np.empty((time, *zeros.shape), products.dtype)
    last = zeros
    gate, activation = direction.recurrent_activation, direction.activation
    for t in range(time):
        product = products[t] + convolved(h, kernel, once, once, Padding.SAME)
        i, f, candidate, o = np.split(product, len(GATES[Cell.LSTM]), axis=-1)
        new_c = rounded(gate(f) * c + gate(i) * activation(candidate), dtype)
        new_h = rounded(gate(o) * activation(new_c), dtype)
        if counts is None:
            h, c, last = new_h, new_c, new_h
        else:
            old = (h, c, last)
            pairs = zip((new_h, new_c, new_h), old, strict=True)
            h, c, last = (np.where(counts[t], *pair) for pair in pairs)
        outputs[t] = last
    return outputs, (h, c)


@MEANINGS.register(ConvLSTM)
def _(layer: ConvLSTM, x: Array, *initial: Array, masks: Masks = ()) -> tuple[Array, ...]:
    mask = masks[0] if masks else None
    if mask is not None:
        mask = mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)).swapaxes(0, 1)
        mask = np.moveaxis(mask, 2, -1) if layer.channels_first else mask
    x = x.swapaxes(0, 1)
    if layer.channels_first:
        x = np.moveaxis(x, 2, -1)
        initial = tuple(np.moveaxis(state, 1, -1) for state in initial)
    count = STATES[Cell.LSTM]
    returned: list[Array] = []
    last: list[Array] = []
    for direction in layer.directions:
        counts = mask[::-1] if mask is not None and direction.go_backwards else mask
        outputs, states = _sequence(direction, x, initial[:count], counts, layer.dtype)
        if counts is not None and layer.zero_output_for_mask:
            outputs = outputs * counts
        initial = initial[count:]
        last.extend(states)
        if not layer.return_sequences:
            # With a mask the last output need not be the state.
            returned.append(states[0] if mask is None else outputs[-1])
            continue
        if direction is layer.backward:  # bidirectional.py flips it, whichever way it was read
            outputs = outputs[::-1]
        returned.append(outputs.swapaxes(0, 1))
    if layer.channels_first:
        axis = 2 if layer.return_sequences else 1
        returned = [np.moveaxis(one, -1, axis) for one in returned]
        last = [np.moveaxis(one, -1, 1) for one in last]
    joined = merged(layer.merge, *returned) if len(returned) == 2 else (returned[0],)
    return (*joined, *last) if layer.return_state else joined
