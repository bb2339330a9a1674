"""Layers of pictures on the steps of a sequence, one by one: TimeDistributed.

PyTorch makes batch and time one axis for it, `x.flatten(0, 1)`, and takes them apart behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from converter.description import Layer, Permute, TimeDistributed, Value
from converter.readers.torch.exported.held import Held, Lifted, Merged
from converter.readers.torch.exported.lifting import Handler, Lifting
from converter.readers.torch.exported.traced import Ref, Step


def each_step(handler: Handler) -> Handler:
    """A handler that also takes the steps of a sequence as the rows of a tensor."""

    def handle(lifting: Lifting, step: Step) -> Lifted:
        first = next(iter(step.arguments.values()))
        given = lifting.held[first.name] if isinstance(first, Ref) else None
        if not isinstance(given, Merged):
            return handler(lifting, step)
        inner = given.inner
        if inner.axes[:2] != (0, 1):
            inner = lifting.laid(inner, range(len(inner.axes)))
        steps = _Steps(lifting, first.name, inner, given)
        result = handler(steps, step)
        if isinstance(result, tuple):
            return tuple(steps.merged(one) for one in result)
        return steps.merged(result)

    return handle


class _Steps(Lifting):
    """A lifting in which the rows of one tensor are the steps of a sequence."""

    def __init__(self, outer: Lifting, name: str, inner: Held, given: Merged) -> None:
        super().__init__(
            outer.traced,
            dict(outer.held),
            outer.calls,
            _taken=outer._taken,
            _layers=outer._layers,
            _times=outer._times,
        )
        self._front = inner.sizes[:2]
        self._real = {inner.value.name: inner.value}
        axes = (0, *(axis - 1 for axis in inner.axes[2:]))
        self.held[name] = Held(_rows(inner.value), axes, given.sizes)

    def call(
        self,
        layer: Layer,
        inputs: Sequence[Value],
        dtype: str,
        masks: tuple[Value | None, ...] = (),
    ) -> tuple[Value, ...]:
        """The layer at each step."""
        if isinstance(layer, Permute):
            whole: Layer = replace(layer, dims=(1, *(axis + 1 for axis in layer.dims)))
        else:
            whole = self._wrapped(layer)
        outputs = super().call(whole, [self._real[value.name] for value in inputs], dtype, masks)
        self._real.update((value.name, value) for value in outputs)
        return tuple(map(_rows, outputs))

    def _wrapped(self, layer: Layer) -> Layer:
        """The layer in TimeDistributed; the same one for each call of it."""
        key = "each step", layer.name
        if key not in self._layers:
            self._layers[key] = TimeDistributed(
                name=layer.name,
                trainable=layer.trainable,
                dtype=layer.dtype,
                variable_dtype=layer.variable_dtype,
                layer=replace(layer, name=f"{layer.name}/{type(layer).__name__.lower()}"),
            )
        return self._layers[key]

    def merged(self, lifted: Lifted) -> Merged:
        """What a handler gives, as the rows of a sequence."""
        assert isinstance(lifted, Held)
        axes = (0, 1, *(axis + 1 for axis in lifted.axes[1:]))
        sizes = (*self._front, *lifted.sizes[1:])
        return Merged(Held(self._real[lifted.value.name], axes, sizes), lifted.sizes)


def _rows(value: Value) -> Value:
    """A value (B, T, ...) as one of (B T, ...)."""
    return replace(value, shape=(None, *value.shape[2:]))
