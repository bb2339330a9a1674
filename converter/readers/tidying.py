"""A model in fewer and larger layers, after it was read from a graph of operations.

What is found: which outputs of a recurrent layer are used, so that it returns no more; two
directions that are joined, so that it is the Bidirectional that joins them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from converter.description import (
    Call,
    Combination,
    Combine,
    Concatenate,
    Flip,
    Identity,
    Layer,
    Merge,
    Model,
    Recurrent,
    Slice,
    Value,
    WithinLength,
)
from converter.description.indexing import WHOLE
from converter.gates import STATES

MERGES = {
    Combination.ADD: Merge.SUM,
    Combination.MULTIPLY: Merge.MULTIPLY,
    Combination.AVERAGE: Merge.AVERAGE,
}


def tidied(model: Model) -> Model:
    """The same model, in the layers that a person would write."""
    return _Tidying(model).model()


class _Tidying:
    def __init__(self, model: Model) -> None:
        self.given = model
        self.calls = list(model.calls)

    def model(self) -> Model:
        self._without_unused()
        for call in list(self.calls):
            if isinstance(call.layer, Recurrent) and call in self.calls:
                self._recurrent(self.calls.index(call))
        self._flips()
        self._without_unused()
        return replace(self.given, calls=tuple(self.calls), outputs=self.given.outputs)

    # What is where

    def _uses(self) -> Counter[str]:
        uses = Counter(value.name for call in self.calls for value in call.needs)
        uses.update(value.name for value in self.given.outputs)
        return uses

    def _readers(self, value: Value) -> list[Call]:
        return [call for call in self.calls if value in call.needs]

    def _maker(self, value: Value) -> Layer | None:
        return next((call.layer for call in self.calls if value in call.outputs), None)

    def _is_output(self, value: Value) -> bool:
        return value in self.given.outputs

    def _without_unused(self) -> None:
        needed = {value.name for value in self.given.outputs}
        kept = []
        for call in reversed(self.calls):
            if any(value.name in needed for value in call.outputs):
                needed.update(value.name for value in call.needs)
                kept.append(call)
        self.calls = kept[::-1]

    def _replace(self, old: Value, new: Value) -> None:
        """Read `new` where `old` was read."""
        self.calls = [
            replace(
                call,
                inputs=tuple(new if value == old else value for value in call.inputs),
                masks=tuple(new if value == old else value for value in call.masks),
            )
            if old in call.needs
            else call
            for call in self.calls
        ]

    def _same(self, call: Call, value: Value) -> None:
        """What a call gives is `value`: it is not needed."""
        (output,) = call.outputs
        if not self._is_output(output):
            self.calls.remove(call)
            self._replace(output, value)
        elif value in self.given.inputs or self._is_output(value):
            identity = Identity(name=call.layer.name, dtype=call.layer.dtype)
            self.calls[self.calls.index(call)] = replace(call, layer=identity, inputs=(value,))
        else:
            self.calls.remove(call)
            self._replace(value, output)
            self.calls = [
                replace(one, outputs=tuple(output if x == value else x for x in one.outputs))
                for one in self.calls
            ]

    # Recurrent layers

    def _recurrent(self, at: int) -> None:
        call = self.calls[at]
        layer = call.layer
        if not isinstance(layer, Recurrent) or not layer.return_sequences:
            return
        count = 2 if layer.merge is Merge.SEPARATE else 1
        returned, last = call.outputs[:count], call.outputs[count:]
        uses = self._uses()
        if call.masks and self._masked_last(at, call, layer, returned, last):
            return
        if layer.return_state:
            self._last_steps(call, layer, returned, last)
            call = self.calls[at]
            returned, last = call.outputs[:count], call.outputs[count:]
            uses = self._uses()
        sequences = any(uses[value.name] for value in returned)
        if not sequences:
            self._without_sequences(at, last, uses)
            return
        used = any(uses[value.name] for value in last)
        if layer.return_state and not used:
            last = ()
            layer = replace(layer, return_state=False)
        self.calls[at] = replace(call, layer=layer, outputs=(*returned, *last))
        self._merge(at, returned)

    def _last_steps(
        self,
        call: Call,
        layer: Recurrent,
        returned: tuple[Value, ...],
        last: tuple[Value, ...],
    ) -> None:
        """`y[:, -1]` of a direction that ends there is its h."""
        if call.masks:
            return
        time = 0 if layer.time_major else 1
        each = STATES[layer.cell]
        for k, (value, direction) in enumerate(zip(returned, layer.directions, strict=True)):
            ended = 0 if direction.go_backwards and layer.backward is not None else -1
            wanted = (*(WHOLE,) * time, ended)
            for reader in self._readers(value):
                items = reader.layer.items if isinstance(reader.layer, Slice) else ()
                if items == wanted:
                    whole = next(one for one in self.calls if value in one.outputs)
                    self._same(reader, whole.outputs[len(returned) + k * each])

    def _masked_last(
        self,
        at: int,
        call: Call,
        layer: Recurrent,
        returned: tuple[Value, ...],
        last: tuple[Value, ...],
    ) -> bool:
        """What masked directions return for the step read last, where that alone is used."""
        time = 0 if layer.time_major else 1
        ends = []
        for value, direction in zip(returned, layer.directions, strict=True):
            in_time = direction.go_backwards and layer.backward is not None
            wanted = (*(WHOLE,) * time, 0 if in_time else -1)
            readers = self._readers(value)
            if len(readers) != 1 or self._is_output(value):
                return False
            reader = readers[0].layer
            if not isinstance(reader, Slice) or reader.items != wanted:
                return False
            ends.append(readers[0])
        uses = self._uses()
        used = layer.return_state and any(uses[value.name] for value in last)
        layer = replace(layer, return_sequences=False, return_state=used)
        results = tuple(end.outputs[0] for end in ends)
        self.calls[at] = replace(call, layer=layer, outputs=(*results, *(last if used else ())))
        for end in ends:
            self.calls.remove(end)
        self._merge(at, results)
        return True

    def _without_sequences(self, at: int, last: tuple[Value, ...], uses: Counter[str]) -> None:
        """Only the states are used: a layer that returns the last h."""
        call = self.calls[at]
        layer = call.layer
        if not isinstance(layer, Recurrent):
            return
        each = STATES[layer.cell]
        hidden = last[::each]
        others = [value for k, value in enumerate(last) if k % each]
        # Lengths are at least 1, so that the last h is what a step that counts has returned. A mask
        # may be of none: then h is the initial state, and what is returned zeros.
        by_length = call.mask is not None and isinstance(self._maker(call.mask), WithinLength)
        apart = call.mask is not None and not by_length and len(call.inputs) > 1
        layer = replace(layer, return_sequences=False, zero_output_for_mask=False)
        first = call.outputs[: len(hidden)]
        if apart or any(uses[value.name] for value in others):
            shaped = tuple(
                replace(value, shape=h.shape) for value, h in zip(first, hidden, strict=True)
            )
            self.calls[at] = replace(call, layer=layer, outputs=(*shaped, *last))
            return
        layer = replace(layer, return_state=False)
        self.calls[at] = replace(call, layer=layer, outputs=hidden)
        self._merge(at, hidden)

    def _merge(self, at: int, returned: tuple[Value, ...]) -> None:
        """Two directions that are read together alone are one output."""
        call = self.calls[at]
        layer = call.layer
        if len(returned) != 2 or not isinstance(layer, Recurrent):
            return
        readers = self._readers(returned[0])
        if len(readers) != 1 or self._readers(returned[1]) != readers:
            return
        (reader,) = readers
        if any(map(self._is_output, returned)) or reader.inputs != returned or any(reader.masks):
            return
        merge = _merge_of(reader.layer, len(returned[0].shape))
        if merge is None:
            return
        outputs = (*reader.outputs, *call.outputs[2:])
        self.calls[at] = replace(call, layer=replace(layer, merge=merge), outputs=outputs)
        self.calls.remove(reader)

    # Order of time

    def _flips(self) -> None:
        """Two flips are none; a layer that reads what is flipped reads from the end."""
        for call in list(self.calls):
            if not isinstance(call.layer, Flip) or call not in self.calls:
                continue
            for reader in self._readers(call.outputs[0]):
                self._read_backwards(reader, call, call.layer.axes)
            for reader in self._readers(call.outputs[0]):
                if isinstance(reader.layer, Flip) and reader.layer.axes == call.layer.axes:
                    self._same(reader, call.inputs[0])

    def _read_backwards(self, reader: Call, flip: Call, axes: tuple[int, ...]) -> None:
        """A layer in one direction, of what is turned round in time."""
        layer = reader.layer
        if not isinstance(layer, Recurrent) or layer.backward is not None or reader.masks:
            return
        time = (0,) if layer.time_major else (1,)
        if axes == time and reader.inputs[0] == flip.outputs[0]:
            backwards = not layer.forward.go_backwards
            turned = replace(layer, forward=replace(layer.forward, go_backwards=backwards))
            inputs = (flip.inputs[0], *reader.inputs[1:])
            self.calls[self.calls.index(reader)] = replace(reader, layer=turned, inputs=inputs)


def _merge_of(layer: Layer, rank: int) -> Merge | None:
    match layer:
        case Concatenate() if layer.axis in (-1, rank - 1):
            return Merge.CONCAT
        case Combine():
            return MERGES.get(layer.combination)
    return None
