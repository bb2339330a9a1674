"""LSTM, GRU and SimpleRNN, in one direction or two.

Shape letters: B batch, T time, I input features, H units, G gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from converter.activations import SIGMOID, TANH, Activation
from converter.description.model import Layer, Shape, ShapeMismatchError
from converter.description.weight import Weight
from converter.gates import GATES, STATES, Array, Cell


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's own part of the arrays.

    Attributes:
        kernel: (I, H), as Keras's `kernel[:, k * H:(k + 1) * H]`.
        recurrent_kernel: (H, H), likewise.
        bias: (H,), or None without biases.
        recurrent_bias: (H,), or None where the source adds one bias only.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    recurrent_bias: Array | None


class Drops(Enum):
    """For what a cell draws what its dropouts drop, in training."""

    SEQUENCE = "once for a sequence"
    GATE = "once for a sequence, for each gate on its own"
    STEP = "for each step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One direction of a recurrent layer: its cell, weights and activations.

    Attributes:
        kernel: Weights of the input, (G, H, I).
        recurrent_kernel: Weights of the previous state, (G, H, H).
        bias: (1, G, H) where the source adds one bias, (2, G, H) where it adds one to the
            input product and one to the state product; None without biases.
        activation: Of the candidate, and of the cell state in LSTM.
        recurrent_activation: Of the other gates; not used by SimpleRNN.
        go_backwards: The sequence is read from its end; outputs come in the order of reading.
        dropout: Rate for the input, in training.
        recurrent_dropout: Rate for the state, in training.
        drops: What the two are drawn for.
        state_activation: Of the cell state in LSTM, where it is not `activation`.
        peepholes: Weights of the cell state in the gates i, f and o of an LSTM, (3, H): the state
            before the step for i and f, that after it for o. None without.
        coupled: The gate f of an LSTM is 1 - i, and its own arrays are not used.
        clip: The arguments of the gates' activations are kept within -clip and clip; not that of
            `state_activation`.
    """

    HAS_WEIGHTS: ClassVar[bool] = True

    cell: Cell
    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    activation: Activation = TANH
    recurrent_activation: Activation = SIGMOID
    go_backwards: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    drops: Drops = Drops.SEQUENCE
    state_activation: Activation | None = None
    peepholes: Weight | None = None
    coupled: bool = False
    clip: float | None = None

    @property
    def variations(self) -> tuple[str, ...]:
        """What ONNX's nodes can say and Keras's layers cannot, in words."""
        said = {
            f"{self.state_activation} for the cell state": self.state_activation is not None,
            "peepholes": self.peepholes is not None,
            "f coupled to i": self.coupled,
            f"gates clipped at {self.clip}": self.clip is not None,
        }
        return tuple(words for words, there in said.items() if there)

    @property
    def units(self) -> int:
        """H."""
        return self.kernel.shape[1]

    @property
    def inputs(self) -> int:
        """I."""
        return self.kernel.shape[2]

    @property
    def gates(self) -> dict[str, Gate]:
        """Each gate's own part of the arrays, by its letter in `converter.gates.GATES`."""
        kernel, recurrent_kernel = self.kernel.read(), self.recurrent_kernel.read()
        bias = None if self.bias is None else self.bias.read()
        return {
            gate: Gate(
                kernel=kernel[k].T,
                recurrent_kernel=recurrent_kernel[k].T,
                bias=None if bias is None else bias[0, k],
                recurrent_bias=bias[1, k] if bias is not None and len(bias) == 2 else None,
            )
            for k, gate in enumerate(GATES[self.cell])
        }


class Merge(Enum):
    """How the two directions become one output."""

    CONCAT = "concat"
    SUM = "sum"
    MULTIPLY = "mul"
    AVERAGE = "ave"
    SEPARATE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent(Layer):
    """LSTM, GRU or SimpleRNN, and Bidirectional of them.

    Inputs: x (B, T, I), then, where they are given, initial states, each (B, H): h, and c for
    LSTM, of the forward and then of the backward direction.
    Outputs: what is returned (one value, or two where `merge` is SEPARATE), then with
    `return_state` the last states in the order of the inputs.

    Attributes:
        backward: The second direction of a Bidirectional. It reads the sequence from its end
            (its own `go_backwards` is True); its outputs are put back in the order of time.
        merge: Of the two directions; None with one direction.
        stateful: The states are kept from one call to the next.
        time_major: Inputs and outputs are (T, B, ...), as Keras 2 allows.
        zero_output_for_mask: What a step that is masked returns: zeros, rather than what the step
            before it returned (zeros if there is none). The states are carried in both cases.
        starts_from_state: What a step that is masked returns where none before it counts: the
            initial h, rather than zeros.
    """

    forward: Direction
    backward: Direction | None = None
    merge: Merge | None = None
    return_sequences: bool = False
    return_state: bool = False
    stateful: bool = False
    time_major: bool = False
    zero_output_for_mask: bool = False
    starts_from_state: bool = False

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The forward one, and the backward one if there is one."""
        return (self.forward,) if self.backward is None else (self.forward, self.backward)

    @property
    def cell(self) -> Cell:
        """The cell of the forward direction."""
        return self.forward.cell

    @property
    def units(self) -> int:
        """H of the forward direction."""
        return self.forward.units

    @property
    def gates(self) -> dict[str, Gate]:
        """The forward direction's gates: `layer.gates["c"].kernel`."""
        return self.forward.gates

    @property
    def state_count(self) -> int:
        """The number of states of all directions."""
        return sum(STATES[direction.cell] for direction in self.directions)

    def state_shapes(self, x: Shape) -> tuple[Shape, ...]:
        """Of the states, in order, for an input of shape `x`."""
        return tuple(
            (x[1] if self.time_major else x[0], direction.units)
            for direction in self.directions
            for _ in range(STATES[direction.cell])
        )

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """See the class."""
        x, *states = inputs
        if len(x) != 3:
            raise ShapeMismatchError(f"an input of rank {len(x)}; expected (batch, time, features)")
        if x[2] is not None and x[2] != self.forward.inputs:
            raise ShapeMismatchError(
                f"{x[2]} features a step; its kernel has {self.forward.inputs}"
            )
        last = self.state_shapes(x)
        if states and len(states) != len(last):
            raise ShapeMismatchError(f"{len(states)} initial states; expected {len(last)}")
        for state, (_, units) in zip(states, last, strict=len(states) > 0):
            if len(state) != 2 or state[1] not in (None, units):
                raise ShapeMismatchError(
                    f"an initial state of shape {state}; expected (batch, {units})"
                )
        batch = x[1] if self.time_major else x[0]
        lead: Shape = (batch,)
        if self.return_sequences:
            lead = x[:2]
        one: Shape = (*lead, self.units)
        returned: tuple[Shape, ...]
        match self.merge:
            case Merge.CONCAT:
                returned = ((*lead, sum(direction.units for direction in self.directions)),)
            case Merge.SEPARATE:
                returned = (one, one)
            case _:
                returned = (one,)
        return (*returned, *last) if self.return_state else returned
