"""What makes one output of two directions that are layers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converter.description.indexing import Flip
from converter.description.merging import Combination, Combine, Concatenate
from converter.description.model import Layer
from converter.description.operations import Elementwise, Function
from converter.description.recurrent import Merge


def in_time(base: Mapping[str, Any], *, time_axis: int = 1) -> Flip:
    """What puts a sequence that was read from its end in the order of time.

    Args:
        base: What every layer has: its name, and its dtypes.
        time_axis: Of the sequence.
    """
    return Flip(**base, axes=(time_axis,))


def joining(base: Mapping[str, Any], merge: Merge | None, *, sequences: bool) -> Layer | None:
    """What joins two directions; None where they stay apart.

    Args:
        base: What every layer has: its name, and its dtypes.
        merge: How they are joined.
        sequences: They return every step.
    """
    match merge:
        case Merge.CONCAT:
            return Concatenate(**base, axis=-1)
        case Merge.SUM:
            return Combine(**base, combination=Combination.ADD)
        case Merge.AVERAGE:
            return Combine(**base, combination=Combination.AVERAGE)
        case Merge.MULTIPLY if sequences:  # Multiply of Keras 3 leaves masked steps out
            return Elementwise(**base, function=Function.MULTIPLY, operands=(None, None))
        case Merge.MULTIPLY:
            return Combine(**base, combination=Combination.MULTIPLY)
    return None


def base_of(layer: Layer) -> dict[str, Any]:
    """What every layer has, as that one has it."""
    return {
        "name": layer.name,
        "trainable": layer.trainable,
        "dtype": layer.dtype,
        "variable_dtype": layer.variable_dtype,
        "autocast": layer.autocast,
    }
