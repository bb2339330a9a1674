"""Convolutional LSTM: an LSTM whose products are convolutions, in one direction or two.

Shape letters: B batch, T time, S the steps of the axes in space, C channels, F filters, G gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from converter.activations import SIGMOID, TANH, Activation
from converter.description.convolution import (
    Padding,
    join_channels,
    split_channels,
    window_steps,
)
from converter.description.model import Layer, Shape, ShapeMismatchError
from converter.description.recurrent import Gate, Merge
from converter.description.weight import Weight
from converter.gates import GATES, STATES, Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvDirection:
    """One direction of a convolutional LSTM.

    The window over the state has the size of that over the input; it moves by 1, is not dilated,
    and pads with SAME, so that a state keeps its shape.

    Attributes:
        kernel: Of the convolution of the input, (G, size of each axis, C, F).
        recurrent_kernel: Of the convolution of the previous output, (G, size of each axis, F, F).
        bias: (1, G, F), or None.
        strides: Of the convolution of the input, for each axis; `dilation` and `padding` likewise.
        activation: Of the candidate, and of the cell state.
        recurrent_activation: Of the gates i, f and o.
        go_backwards: The sequence is read from its end; outputs come in the order of reading.
        dropout: Rate for the input, in training.
        recurrent_dropout: Rate for the state, in training.
    """

    HAS_WEIGHTS: ClassVar[bool] = True

    kernel: Weight
    recurrent_kernel: Weight
    bias: Weight | None
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding
    activation: Activation = TANH
    recurrent_activation: Activation = SIGMOID
    go_backwards: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    @property
    def rank(self) -> int:
        """The number of axes in space."""
        return len(self.strides)

    @property
    def size(self) -> tuple[int, ...]:
        """Of the window, for each axis."""
        return self.kernel.shape[1:-2]

    @property
    def channels(self) -> int:
        """C."""
        return self.kernel.shape[-2]

    @property
    def filters(self) -> int:
        """F."""
        return self.kernel.shape[-1]

    @property
    def gates(self) -> dict[str, Gate]:
        """Each gate's own part of the arrays: kernels are (size of each axis, C or F, F)."""
        kernel, recurrent_kernel = self.kernel.read(), self.recurrent_kernel.read()
        bias = None if self.bias is None else self.bias.read()
        return {
            gate: Gate(
                kernel=kernel[k],
                recurrent_kernel=recurrent_kernel[k],
                bias=None if bias is None else bias[0, k],
                recurrent_bias=None,
            )
            for k, gate in enumerate(GATES[Cell.LSTM])
        }

    def state_shape(self, x: Shape, channels_first: bool) -> Shape:
        """The shape of h and of c for a step of shape `x`.

        Raises:
            ShapeMismatchError: No such step is possible.
        """
        batch, steps, channels = split_channels(x, self.rank, channels_first)
        if channels not in (None, self.channels):
            raise ShapeMismatchError(f"{channels} channels; its kernel has {self.channels}")
        moved = tuple(
            window_steps(n, size, stride, dilation, self.padding)
            for n, size, stride, dilation in zip(
                steps, self.size, self.strides, self.dilation, strict=True
            )
        )
        return join_channels(batch, moved, self.filters, channels_first)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvLSTM(Layer):
    """ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, and Bidirectional of them.

    Inputs: x (B, T, S, C), then, where they are given, initial states: h and c (B, S, F) of the
    forward and then of the backward direction.
    Outputs: what is returned (one value, or two where `merge` is SEPARATE), then with
    `return_state` the last states in the order of the inputs.

    Attributes:
        backward: The second direction of a Bidirectional, as in `Recurrent`.
        merge: Of the two directions, CONCAT along the last axis; None with one direction.
        stateful: As in `Recurrent`; `zero_output_for_mask` likewise.
        channels_first: The channels stand before the axes in space, in the states too.

    A mask is (B, T), or has some of a state's axes behind these, as the model has them: then it
    says of each place whether it counts.
    """

    forward: ConvDirection
    backward: ConvDirection | None = None
    merge: Merge | None = None
    return_sequences: bool = False
    return_state: bool = False
    stateful: bool = False
    zero_output_for_mask: bool = False
    channels_first: bool = False

    @property
    def directions(self) -> tuple[ConvDirection, ...]:
        """The forward one, and the backward one if there is one."""
        return (self.forward,) if self.backward is None else (self.forward, self.backward)

    @property
    def rank(self) -> int:
        """The number of axes in space."""
        return self.forward.rank

    @property
    def gates(self) -> dict[str, Gate]:
        """The forward direction's gates: `layer.gates["c"].kernel`."""
        return self.forward.gates

    @property
    def state_count(self) -> int:
        """The number of states of all directions."""
        return STATES[Cell.LSTM] * len(self.directions)

    def state_shapes(self, x: Shape) -> tuple[Shape, ...]:
        """Of the states, in order, for an input of shape `x`.

        Raises:
            ShapeMismatchError: No such input is possible.
        """
        if len(x) != self.rank + 3:
            raise ShapeMismatchError(f"an input of rank {len(x)}; expected {self.rank + 3}")
        step = (x[0], *x[2:])
        return tuple(
            direction.state_shape(step, self.channels_first)
            for direction in self.directions
            for _ in range(STATES[Cell.LSTM])
        )

    def check_mask(self, x: Shape, mask: Shape) -> None:
        """Refuse a mask that does not fit an input.

        Raises:
            ShapeMismatchError: It has not the axes of the states.
        """
        for _, *axes in self.state_shapes(x):
            fits = zip(mask[2:], axes, strict=False)
            if not 2 <= len(mask) <= len(x) or any(None not in p and p[0] != p[1] for p in fits):
                raise ShapeMismatchError(f"a mask of shape {mask} for a state of shape {axes}")

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """See the class."""
        x, *states = inputs
        expected = self.state_shapes(x)
        shapes = list(expected[:: STATES[Cell.LSTM]])
        if states and len(states) != len(expected):
            raise ShapeMismatchError(f"{len(states)} initial states; expected {len(expected)}")
        for state, shape in zip(states, expected, strict=len(states) > 0):
            if len(state) != len(shape) or any(
                None not in pair and pair[0] != pair[1]
                for pair in zip(state[1:], shape[1:], strict=True)
            ):
                raise ShapeMismatchError(f"an initial state of shape {state}; expected {shape}")
        if self.return_sequences:
            shapes = [(x[0], x[1], *shape[1:]) for shape in shapes]
        returned = _merged(self.merge, shapes)
        return (*returned, *expected) if self.return_state else returned


def _merged(merge: Merge | None, shapes: list[Shape]) -> tuple[Shape, ...]:
    """What the directions return together.

    Raises:
        ShapeMismatchError: They do not fit.
    """
    if merge in (None, Merge.SEPARATE):
        return tuple(shapes)
    one, other = shapes
    if one[:-1] != other[:-1] or (merge is not Merge.CONCAT and one != other):
        raise ShapeMismatchError(f"directions of shapes {one} and {other}")
    if merge is not Merge.CONCAT:
        return (one,)
    joined = None if one[-1] is None or other[-1] is None else one[-1] + other[-1]
    return ((*one[:-1], joined),)
