"""The judge's column of the grid: what each layer computes, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from converter.gates import Array
from converter.registry import Registry

Meaning = Callable[..., tuple[Array, ...]]
"""From a layer and its inputs to its outputs. Weights are read with `weight.read()`: the judge has
put them into memory, in its own dtype, rounded as the layer has them; it rounds the outputs, too.
A layer that uses masks takes `masks`."""

Masks = Sequence[Array | None]
"""For each input, which of its steps count, None where all of them do; () where all have none."""

MEANINGS: Registry[Meaning] = Registry("meaning in the judge")
