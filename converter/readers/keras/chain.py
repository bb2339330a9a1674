"""A layer of Keras that is several layers of the description, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from converter.description import Layer, Recurrent, ShapeMismatchError, Value


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers of which each takes the sequence of the one before, and its own states.

    Attributes:
        layers: In their order.
        states_reversed: The states of the last layer are given and taken first.
    """

    layers: tuple[Recurrent, ...]
    states_reversed: bool = False

    @property
    def backwards(self) -> bool:
        """The first reads from the end: what is between them is not in the order of time."""
        return len(self.layers) > 1 and self.layers[0].forward.go_backwards

    def called(
        self,
        inputs: Sequence[Value],
        call: Callable[[Layer, Sequence[Value]], Sequence[Value]],
    ) -> list[Value]:
        """What the last one returns, and the last states of all.

        Args:
            inputs: The sequence, and initial states of all where there are some.
            call: Gives the outputs of one layer.

        Raises:
            ShapeMismatchError: These are not as many states as the layers have.
        """
        x, *states = inputs
        order = self.layers[::-1] if self.states_reversed else self.layers
        needed = sum(layer.state_count for layer in order)
        if states and len(states) != needed:
            raise ShapeMismatchError(f"{len(states)} initial states; expected {needed}")
        given: dict[str, Sequence[Value]] = {}
        for layer in order:
            count = layer.state_count
            given[layer.name], states = states[:count], states[count:]
        last: dict[str, Sequence[Value]] = {}
        for layer in self.layers:
            x, *last[layer.name] = call(layer, [x, *given[layer.name]])
        return [x, *(state for layer in order for state in last[layer.name])]
