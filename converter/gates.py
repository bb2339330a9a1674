"""The gate table: how each framework stacks the weights of a recurrent cell.

All permutations come from `LAYOUTS`; none is written anywhere else. A pair of frameworks goes
through the description, whose own order is `GATES`. A missing row means that the framework's own
module cannot say the cell.

Shape letters: G gates, H units, I input features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converter.errors import UnsupportedError

Array = NDArray[Any]


class Cell(Enum):
    """A recurrent cell. The two GRUs differ in where the reset gate is applied.

    LSTM:             c' = f * c + i * c~,  h = o * act(c')
    GRU:              h~ = act(W x + b + r * (R h + b_R)), reset after the product
    GRU_RESET_BEFORE: h~ = act(W x + b + R (r * h)), reset before the product
    RNN:              h = act(W x + R h + b)
    """

    LSTM = "LSTM"
    GRU = "GRU"
    GRU_RESET_BEFORE = "GRU (reset before)"
    RNN = "SimpleRNN"


GATES = {Cell.LSTM: "ifco", Cell.GRU: "zrh", Cell.GRU_RESET_BEFORE: "zrh", Cell.RNN: "h"}
"""The order of the description, which is Keras's."""

STATES = {Cell.LSTM: 2, Cell.GRU: 1, Cell.GRU_RESET_BEFORE: 1, Cell.RNN: 1}
"""How many states a cell carries: h, and c for LSTM."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One framework's way to store one cell.

    Attributes:
        gates: The order in which the gates are stacked.
        units_first: Kernels are (G·H, n) rather than (n, G·H).
        biases: 1 where the framework adds one bias, 2 where it adds an input and a recurrent one.
        bias_shape: How the biases are stored, with -1 for G·H (or for all of them at once).
    """

    gates: str
    units_first: bool
    biases: int
    bias_shape: tuple[int, ...]


# fmt: off
LAYOUTS = {
    #                                        gates  units_first biases  stored as
    (Cell.LSTM, "keras"):             Layout("ifco",   False,     1,    (-1,)),    # lstm.py: i f c o
    (Cell.LSTM, "torch"):             Layout("ifco",   True,      2,    (2, -1)),  # nn.LSTM: i f g o, and g is c
    (Cell.LSTM, "onnx"):              Layout("iofc",   True,      2,    (-1,)),    # W[iofc], B is Wb then Rb
    (Cell.GRU, "keras"):              Layout("zrh",    False,     2,    (2, -1)),  # gru.py: z r h
    (Cell.GRU, "torch"):              Layout("rzh",    True,      2,    (2, -1)),  # nn.GRU: r z n, and n is h
    (Cell.GRU, "onnx"):               Layout("zrh",    True,      2,    (-1,)),    # W[zrh]
    (Cell.GRU_RESET_BEFORE, "keras"): Layout("zrh",    False,     1,    (-1,)),    # gru.py, reset_after=False
    (Cell.GRU_RESET_BEFORE, "onnx"):  Layout("zrh",    True,      2,    (-1,)),    # linear_before_reset=0
    (Cell.RNN, "keras"):              Layout("h",      False,     1,    (-1,)),    # simple_rnn.py
    (Cell.RNN, "torch"):              Layout("h",      True,      2,    (2, -1)),  # nn.RNN
    (Cell.RNN, "onnx"):               Layout("h",      True,      2,    (-1,)),    # W[i]
    # CuDNN's layers in Keras 2: kernels as `cudnn_kernel_form` has them, biases one after the other.
    (Cell.LSTM, "cudnn"):             Layout("ifco",   False,     2,    (-1,)),    # CuDNNLSTM (8·H,)
    (Cell.GRU, "cudnn"):              Layout("zrh",    False,     2,    (-1,)),    # CuDNNGRU (6·H,)
    # Our own cell classes, for what torch.nn lacks: PyTorch's order, and the source's biases.
    (Cell.LSTM, "cells"):             Layout("ifco",   True,      1,    (-1,)),
    (Cell.GRU, "cells"):              Layout("rzh",    True,      2,    (2, -1)),
    (Cell.GRU_RESET_BEFORE, "cells"): Layout("rzh",    True,      1,    (-1,)),
    (Cell.RNN, "cells"):              Layout("h",      True,      1,    (-1,)),
}
# fmt: on


PEEPHOLES = "ifo"
"""The gates of an LSTM that may see its cell state, in the order of the description."""


def layout(cell: Cell, framework: str) -> Layout:
    """The row of the table.

    Raises:
        UnsupportedError: The framework's own module cannot say this cell.
    """
    row = LAYOUTS.get((cell, framework))
    if row is None:
        raise UnsupportedError(
            f"{framework} has no module for {cell.value}",
            context=f"rows for {framework}: "
            + ", ".join(kind.value for kind, name in LAYOUTS if name == framework),
            hint="converter.to_torch writes a cell class where torch.nn has none",
            code="no-such-cell",
        )
    return row


def unstack(matrix: Array, cell: Cell, framework: str) -> Array:
    """A kernel as `framework` stores it, as (G, H, n) in the order of `GATES`."""
    row = layout(cell, framework)
    stacked = matrix if row.units_first else matrix.T
    by_gate = stacked.reshape(len(row.gates), -1, stacked.shape[-1])
    return _reorder(by_gate, row.gates, GATES[cell])


def stack(kernel: Array, cell: Cell, framework: str) -> Array:
    """(G, H, n) as `framework` stores it: the inverse of `unstack`."""
    row = layout(cell, framework)
    by_gate = _reorder(kernel, GATES[cell], row.gates)
    stacked = by_gate.reshape(-1, kernel.shape[-1])
    return stacked if row.units_first else stacked.T


def unstack_bias(bias: Array, cell: Cell, framework: str) -> Array:
    """Biases as `framework` stores them, as (1 or 2, G, H) in the order of `GATES`.

    Row 0 is added to the input product, row 1 to the state product.
    """
    row = layout(cell, framework)
    by_gate = bias.reshape(row.biases, len(row.gates), -1)
    return _reorder(by_gate, row.gates, GATES[cell], axis=1)


def stack_bias(bias: Array, cell: Cell, framework: str) -> Array:
    """(1 or 2, G, H) as `framework` stores it.

    Two biases become one by addition, which cannot be undone; one becomes two with zeros for the
    recurrent bias. A recurrent bias of zeros is dropped, not added: -0.0 + 0.0 is +0.0.
    """
    row = layout(cell, framework)
    if row.biases == 1 and len(bias) == 2:
        bias = bias[:1] + bias[1:] if bias[1].any() else bias[:1]
    elif row.biases == 2 and len(bias) == 1:
        bias = np.concatenate([bias, np.zeros_like(bias)])
    return _reorder(bias, GATES[cell], row.gates, axis=1).reshape(row.bias_shape)


def _reorder(array: Array, present: str, wanted: str, axis: int = 0) -> Array:
    """`array` with its gates along `axis` in the order `wanted`; no copy if they are already."""
    if present == wanted:
        return array
    return np.take(array, [present.index(gate) for gate in wanted], axis=axis)


@dataclass(frozen=True, slots=True)
class Form:
    """How one weight of the description is stored elsewhere: as one array or as several.

    Attributes:
        how: In words, for the ledger: "gates zrh to rzh".
        read: From the stored arrays to the description's one.
        write: From the description's array to the stored ones. `read` of it gives the same bits.
        lossy: Why the stored arrays cannot be made again, in words; "" where `write` makes them.
    """

    how: str
    read: Callable[[Sequence[Array]], Array]
    write: Callable[[Array], tuple[Array, ...]]
    lossy: str = ""


AS_IS = Form("as it is", lambda arrays: arrays[0], lambda array: (array,))
TRANSPOSED = Form("transposed", lambda arrays: arrays[0].T, lambda array: (array.T,))


def permuted(*axes: int) -> Form:
    """Stored with its axes in another order: stored axis k is axis `axes[k]` of the description."""
    inverse = tuple(int(axis) for axis in np.argsort(axes))
    return Form(
        f"axes {axes}",
        lambda arrays: arrays[0].transpose(inverse),
        lambda array: (array.transpose(axes),),
    )


def reshaped(shape: tuple[int, ...], stored: tuple[int, ...]) -> Form:
    """Of a shape in the description, stored in another one, its elements in the same order."""
    if shape == stored:
        return AS_IS
    return Form(
        f"{stored} as {shape}",
        lambda arrays: arrays[0].reshape(shape),
        lambda array: (array.reshape(stored),),
    )


def flattened(shape: tuple[int, ...], rows: int) -> Form:
    """Stored with its first `rows` axes as one, if there are any, and the others as one."""
    front = (prod(shape[:rows]),) if rows else ()
    return Form(
        "axes side by side",
        lambda arrays: arrays[0].reshape(shape),
        lambda array: (array.reshape(*front, -1),),
    )


def depthwise_form(shape: tuple[int, ...]) -> Form:
    """(size of each axis, channels, multiplier), stored as (channels * multiplier, 1, size)."""
    *size, channels, multiplier = shape
    rank = len(size)

    def read(stored: Array) -> Array:
        return stored.reshape(channels, multiplier, *size).transpose(*range(2, rank + 2), 0, 1)

    def write(array: Array) -> Array:
        by_channel = array.transpose(rank, rank + 1, *range(rank))
        return by_channel.reshape(channels * multiplier, 1, *size)

    return Form(
        "channels first, each with its filters",
        lambda arrays: read(arrays[0]),
        lambda array: (write(array),),
    )


def kernel_form(cell: Cell, framework: str) -> Form:
    """A kernel or recurrent kernel, (G, H, n) in the description."""
    row = layout(cell, framework)
    orientation = "(G·H, n)" if row.units_first else "(n, G·H)"
    return Form(
        f"gates {row.gates} {orientation}",
        lambda arrays: unstack(arrays[0], cell, framework),
        lambda array: (stack(array, cell, framework),),
    )


def cudnn_kernel_form(cell: Cell) -> Form:
    """A kernel or recurrent kernel of CuDNNLSTM or CuDNNGRU, (G, H, n) in the description.

    It is (n, G·H), and the columns of a gate hold its (H, n) in the order of memory: Keras has them
    so to hand them to CuDNN without a copy (`_convert_rnn_weights` in hdf5_format.py of Keras 2).
    """
    gates = layout(cell, "cudnn").gates

    def read(arrays: Sequence[Array]) -> Array:
        (stored,) = arrays
        n = len(stored)
        by_gate = stored.reshape(n, len(gates), -1).transpose(1, 0, 2)
        return _reorder(by_gate.reshape(len(gates), -1, n), gates, GATES[cell])

    def write(array: Array) -> tuple[Array, ...]:
        by_gate = _reorder(array, GATES[cell], gates)
        _, units, n = array.shape
        return (by_gate.reshape(-1, n, units).transpose(1, 0, 2).reshape(n, -1),)

    return Form(f"gates {gates} (n, G·H), each (H, n) in memory", read, write)


def convolution_form(cell: Cell, framework: str) -> Form:
    """A kernel of convolutions, (G, size of each axis, n, H) in the description.

    As all frameworks have a convolution's kernel: (size, n, G·H), or (G·H, n, size) with the units
    first.
    """
    row = layout(cell, framework)

    def read(arrays: Sequence[Array]) -> Array:
        (stored,) = arrays
        if row.units_first:
            by_gate = stored.reshape(len(row.gates), -1, *stored.shape[1:])
            by_gate = np.moveaxis(by_gate, (2, 1), (-2, -1))
        else:
            by_gate = stored.reshape(*stored.shape[:-1], len(row.gates), -1)
            by_gate = np.moveaxis(by_gate, -2, 0)
        return _reorder(by_gate, row.gates, GATES[cell])

    def write(array: Array) -> tuple[Array, ...]:
        by_gate = _reorder(array, GATES[cell], row.gates)
        if row.units_first:
            by_gate = np.moveaxis(by_gate, (-2, -1), (2, 1))
            return (by_gate.reshape(-1, *by_gate.shape[2:]),)
        by_gate = np.moveaxis(by_gate, 0, -2)
        return (by_gate.reshape(*by_gate.shape[:-2], -1),)

    orientation = "(G·H, n, ...)" if row.units_first else "(..., n, G·H)"
    return Form(f"gates {row.gates} {orientation}", read, write)


def bias_form(cell: Cell, framework: str, count: int | None = None) -> Form:
    """A bias in one array, (1 or 2, G, H) in the description.

    Args:
        cell: Which.
        framework: Whose array.
        count: How many biases the description has, if not as many as the framework. Where it has
            one and the framework two, see `split_bias_form`.
    """
    row = layout(cell, framework)
    return Form(
        f"gates {row.gates}",
        lambda arrays: _counted(unstack_bias(arrays[0], cell, framework), count),
        lambda array: (stack_bias(array, cell, framework),),
    )


def flat_bias_form(cell: Cell, count: int) -> Form:
    """A bias as one array (count, G·H), in the description's own order: (count, G, H) there."""
    gates = GATES[cell]
    return Form(
        f"gates {gates} (n, G·H)",
        lambda arrays: arrays[0].reshape(count, len(gates), -1),
        lambda array: (array.reshape(count, -1),),
    )


BOTH_BIASES = "both biases"
"""A group of an HDF5 file, which Keras does not look into: the biases that are one in Keras."""


def both_biases_form(cell: Cell) -> Form:
    """Two biases as their sum in one array, as Keras has it, and both beside it, (2, G·H)."""
    added, apart = bias_form(cell, "keras"), flat_bias_form(cell, 2)
    return Form(
        f"{added.how}, the sum of both, and both beside it",
        lambda arrays: apart.read(arrays[1:]),
        lambda array: (*added.write(array), *apart.write(array)),
    )


def _counted(biases: Array, count: int | None) -> Array:
    """Two biases as the one that the description has: zeros are dropped, others are added."""
    if count != 1 or len(biases) == 1:
        return biases
    return biases[:1] + biases[1:] if biases[1].any() else biases[:1]


def peephole_form(framework: str) -> Form:
    """The peepholes of an LSTM in one array, (3, H) of the gates i, f and o in the description."""
    stored = "".join(gate for gate in layout(Cell.LSTM, framework).gates if gate != "c")
    return Form(
        f"gates {stored}",
        lambda arrays: _reorder(arrays[0].reshape(3, -1), stored, PEEPHOLES),
        lambda array: (_reorder(array, PEEPHOLES, stored).reshape(-1),),
    )


KERNELS_APART = Form(
    "one array (n, H) a gate",
    lambda arrays: np.stack([array.T for array in arrays]),
    lambda array: tuple(gate.T for gate in array),
)
"""A kernel of Keras 1, (G, H, n) in the description; the arrays come in the order of `GATES`."""

BIASES_APART = Form(
    "one array (H,) a gate",
    lambda arrays: np.stack(list(arrays))[np.newaxis],
    lambda array: tuple(array[0]),
)
"""A bias of Keras 1, (1, G, H) in the description, likewise."""


def split_bias_form(cell: Cell, framework: str, count: int) -> Form:
    """A bias in two arrays, input and recurrent; `count` biases in the description.

    Where the description has one, the recurrent array is zeros, and is dropped on the way back;
    one that is no longer zeros (it was trained) is added.
    """
    row = layout(cell, framework)

    def read(arrays: Sequence[Array]) -> Array:
        return _counted(unstack_bias(np.stack(list(arrays)), cell, framework), count)

    def write(array: Array) -> tuple[Array, ...]:
        ih, hh = stack_bias(array, cell, framework)
        return ih, hh

    return Form(f"gates {row.gates}, input bias and recurrent bias", read, write)
