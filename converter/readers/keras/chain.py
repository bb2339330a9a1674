"""A layer of Keras that is several layers of the description, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from converter.description import Flip, Layer, Merge, Recurrent, ShapeMismatchError, Value
from converter.description.directions import base_of, in_time, joining

Steps = Callable[[Recurrent, Sequence[Value], bool], Sequence[Value]]
"""Gives the outputs of a recurrent layer, which reads the mask turned round or as it is."""

Zeroed = Callable[[Recurrent, Value], Value]
"""Gives the sequence that a layer returned with zeros in it where the mask as it is says so."""

Plain = Callable[[Layer, Sequence[Value]], Value]
"""Gives the output of any other layer."""


@dataclass(frozen=True, slots=True)
class Calls:
    """How the layers of a chain are called."""

    steps: Steps
    zeroed: Zeroed
    plain: Plain


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers of which each takes the sequence of the one before, and its own states.

    Attributes:
        layers: In their order.
        states_reversed: The states of the last layer are given and taken first.
        zeros_turned: Masked steps return zeros, but those that are as far from the other end: so
            does a loop that Keras unrolls, which turns the mask for the states alone.
    """

    layers: tuple[Recurrent, ...]
    states_reversed: bool = False
    zeros_turned: bool = False

    @property
    def last(self) -> Recurrent:
        """The layer that returns."""
        return self.layers[-1]

    @property
    def returned(self) -> int:
        """How many outputs are no states."""
        return 1

    @property
    def units(self) -> int:
        """Of what it returns."""
        return self.last.units

    @property
    def state_count(self) -> int:
        """Of all its layers."""
        return sum(layer.state_count for layer in self.layers)

    def called(self, inputs: Sequence[Value], calls: Calls) -> list[Value]:
        """What the last one returns, and the last states of all.

        Args:
            inputs: The sequence, and initial states of all where there are some.
            calls: Of its layers.

        Raises:
            ShapeMismatchError: These are not as many states as the layers have.
        """
        x, *states = inputs
        order = self.layers[::-1] if self.states_reversed else self.layers
        if states and len(states) != self.state_count:
            raise ShapeMismatchError(f"{len(states)} initial states; expected {self.state_count}")
        given: dict[str, Sequence[Value]] = {}
        for layer in order:
            count = layer.state_count
            given[layer.name], states = states[:count], states[count:]
        # The first reads from the end: what is between them is not in the order of time.
        turned = self.layers[0].forward.go_backwards
        last: dict[str, Sequence[Value]] = {}
        for k, layer in enumerate(self.layers):
            x, *last[layer.name] = calls.steps(layer, [x, *given[layer.name]], turned and k > 0)
        if self.zeros_turned:
            x = calls.zeroed(self.last, x)
        return [x, *(state for layer in order for state in last[layer.name])]


@dataclass(frozen=True, slots=True)
class TwoChains:
    """A Bidirectional whose directions are chains; what joins them are layers as well.

    Attributes:
        forward: The one.
        backward: The other.
        turn: Puts what the backward one returns in the order of time; None where that is one step.
        merge: Makes one output of two; None where they stay apart.
    """

    forward: Chain
    backward: Chain
    turn: Flip | None
    merge: Layer | None

    @property
    def last(self) -> Recurrent:
        """A layer that returns."""
        return self.forward.last

    @property
    def returned(self) -> int:
        """How many outputs are no states."""
        return 2 if self.merge is None else 1

    def called(self, inputs: Sequence[Value], calls: Calls) -> list[Value]:
        """What both return, and the last states of all; see `Chain.called`."""
        x, *states = inputs
        half = len(states) // 2
        ahead, *ends = self.forward.called([x, *states[:half]], calls)
        back, *other_ends = self.backward.called([x, *states[half:]], calls)
        if self.turn is not None:
            back = calls.plain(self.turn, [back])
        both = [ahead, back]
        returned = both if self.merge is None else [calls.plain(self.merge, both)]
        return [*returned, *ends, *other_ends]


def chains_of(
    base: Mapping[str, Any], forward: Chain, backward: Chain, merge: Merge | None
) -> TwoChains:
    """Two chains, and what joins them.

    Args:
        base: What every layer has: the name of the whole, and its dtypes.
        forward: The one.
        backward: The other.
        merge: Of what they return.
    """
    last = forward.last
    turn = None
    if last.return_sequences:
        name = f"{backward.last.name}/turned"
        turn = in_time({**base, "name": name}, time_axis=0 if last.time_major else 1)
    merging = joining(base, merge, sequences=last.return_sequences)
    return TwoChains(forward, backward, turn, merging)


def apart(layer: Recurrent) -> Chain | TwoChains:
    """A layer whose loop Keras unrolls, as chains, which say where it returns zeros."""
    if layer.backward is None:
        return _alone(layer, "")
    backward = _alone(replace(layer, forward=layer.backward), "/backward")
    return chains_of(base_of(layer), _alone(layer, "/forward"), backward, layer.merge)


def _alone(layer: Recurrent, ending: str) -> Chain:
    """The forward direction of a layer."""
    turned = layer.forward.go_backwards
    one = replace(
        layer,
        name=layer.name + ending,
        backward=None,
        merge=None,
        zero_output_for_mask=not turned,
    )
    return Chain((one,), zeros_turned=turned)
