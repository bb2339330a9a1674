"""The judge's column of the grid: what each layer computes, in NumPy."""

from __future__ import annotations

from collections.abc import Callable

from converter.gates import Array
from converter.registry import Registry

Meaning = Callable[..., tuple[Array, ...]]
"""From a layer and its inputs to its outputs. Weights are read with `weight.read()`: the judge has
put them into memory, in its own dtype."""

MEANINGS: Registry[Meaning] = Registry("meaning in the judge")
