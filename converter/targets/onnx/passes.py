"""The nodes that a recurrent layer becomes, and their functions."""

from __future__ import annotations

from dataclasses import dataclass

from converter.activations import SIGMOID, TANH, Activation
from converter.description import Direction, Recurrent
from converter.gates import Cell
from converter.targets.onnx.activation import function_of

KINDS = {Cell.LSTM: "LSTM", Cell.GRU: "GRU", Cell.GRU_RESET_BEFORE: "GRU", Cell.RNN: "RNN"}

RESET_AFTER = {Cell.GRU: 1, Cell.GRU_RESET_BEFORE: 0}
"""`linear_before_reset` of a GRU. 0 is what a node means that says none, and is said all the same:
onnxruntime's CUDA provider leaves a node that says 0 to the CPU, and computes any other as if 1."""

USUAL = {
    Cell.LSTM: (SIGMOID, TANH, TANH),
    Cell.GRU: (SIGMOID, TANH),
    Cell.GRU_RESET_BEFORE: (SIGMOID, TANH),
    Cell.RNN: (TANH,),
}
"""The functions of a node that says none."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One node: a direction, or two alike.

    Attributes:
        flipped: Its sequence is returned from its end.
        part: Names one of two nodes of a layer.
    """

    directions: tuple[Direction, ...]
    flipped: bool = False
    part: str = ""

    @property
    def cell(self) -> Cell:
        """Of all its directions."""
        return self.directions[0].cell

    @property
    def units(self) -> int:
        """H, of all its directions."""
        return self.directions[0].units

    @property
    def suffix(self) -> str:
        """What names of it end with."""
        return f"_{self.part}" if self.part else ""


def passes(layer: Recurrent) -> list[Pass]:
    """The nodes of a layer."""
    forward, backward = layer.forward, layer.backward
    if backward is None:
        return [Pass((forward,), forward.go_backwards)]
    alike = (forward.cell, forward.units) == (backward.cell, backward.units)
    alike = alike and is_fused(forward) and is_fused(backward)
    alike = alike and all(getattr(forward, name) == getattr(backward, name) for name in ALIKE)
    alike = alike and (forward.peepholes is None) == (backward.peepholes is None)
    if alike and backward.go_backwards and not forward.go_backwards:
        return [Pass((forward, backward))]
    return [
        Pass((forward,), forward.go_backwards, "forward"),
        Pass((backward,), not backward.go_backwards, "backward"),
    ]


ALIKE = ("clip", "coupled")
"""What two directions of one node have in common, beside cell and units."""


def functions(direction: Direction) -> tuple[Activation, ...]:
    """The activations of a direction in the order of its node."""
    gate, activation = direction.recurrent_activation, direction.activation
    state = direction.state_activation or activation
    return {Cell.LSTM: (gate, activation, state), Cell.RNN: (activation,)}.get(
        direction.cell, (gate, activation)
    )


def is_fused(direction: Direction) -> bool:
    """Whether a node knows its activations."""
    return all(function_of(one) for one in functions(direction))
