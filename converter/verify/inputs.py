"""The inputs of a verification: RELIABILITY in numbers of batch, time and size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from converter.description import (
    Cast,
    CategoryEncoding,
    Concatenate,
    Dropout,
    Elementwise,
    Embedding,
    ExpandDims,
    Flatten,
    Flip,
    Identity,
    Masking,
    Model,
    Permute,
    Regroup,
    Repeat,
    RepeatVector,
    Reshape,
    Roll,
    Shape,
    ShapeMismatchError,
    Slice,
    Split,
    Squeeze,
    Stack,
    Tile,
    TimeDistributed,
    Transpose,
    Unequal,
    Value,
    WithinLength,
)
from converter.dtypes import FLOATS, as_type
from converter.gates import Array

LONGEST = 7
"""Steps along a free axis, where the model takes so few."""

MOST = 2000
"""Steps that are tried for a model that takes more."""

MOVERS = (
    Cast,
    Concatenate,
    Dropout,
    ExpandDims,
    Flatten,
    Flip,
    Identity,
    Permute,
    Regroup,
    Repeat,
    RepeatVector,
    Reshape,
    Roll,
    Slice,
    Split,
    Squeeze,
    Stack,
    Tile,
    Transpose,
)
"""Layers through which an index stays an index."""


@dataclass(frozen=True, slots=True)
class Case:
    """Inputs, and what they are in words.

    Attributes:
        arrays: One for each input.
        still: For each input, which elements mean something else if they move by the least: an
            index, the value of a masked step. () where none do.
    """

    name: str
    arrays: tuple[Array, ...]
    still: tuple[Array, ...] = ()


def cases(model: Model, seed: int = 0) -> Iterator[Case]:
    """Batches of 1, 3 and 17, lengths of 1, 2 and more, values of several sizes.

    Where the model masks steps: masked at the end, at the beginning, in between, and all of them.
    Where it keeps its states, each case goes on where the one before it ended. The same for the
    same model and seed.
    """
    going_on = any(getattr(layer, "stateful", False) for layer in model.layers)
    generator = np.random.default_rng(seed)
    bounds = index_bounds(model)
    usual = usual_length(model)
    wanted = [
        (3, usual, "normal"),
        (1, usual, "normal"),
        (17, _fitting(model, 2, usual), "normal"),
        (3, _fitting(model, 1, usual), "normal"),
        (3, usual, "zeros"),
        (5, usual, "one-hot"),
        (3, usual, "x10"),
        (3, usual, "x1e-3"),
    ]
    if all(value.name in bounds for value in model.inputs):  # an index has no size
        wanted = [one for one in wanted if one[2] in ("normal", "zeros")]
    masks = mask_values(model)
    if masks:
        wanted += [(len(PATTERNS), usual, "masked"), (1, usual, "masked")]
    seen: set[str] = set()
    for batch, time, kind in wanted:
        shapes = filled(model, batch, time)
        arrays = tuple(
            _array(value, shape, kind, bounds.get(value.name), generator)
            for value, shape in zip(model.inputs, shapes, strict=True)
        )
        arrays = _with_lengths(model, arrays, generator)
        if kind == "masked":
            for value, array in zip(model.inputs, arrays, strict=True):
                if value.name in masks:
                    _mask(array, *masks[value.name])
        still = tuple(
            np.full(array.shape, value.name in bounds)
            | (array == masks.get(value.name, (np.nan, 0))[0])
            for value, array in zip(model.inputs, arrays, strict=True)
        )
        free = any(None in value.shape[1:] for value in model.inputs)
        words = f"batch={shapes[0][0]}" + (f" time={time}" if free else "") + f" {kind}"
        if words not in seen:
            seen.add(words)
            yield Case(f"{words}, call {len(seen)}" if going_on else words, arrays, still)


def usual_length(model: Model) -> int:
    """The smallest number of steps from `LONGEST` that the model's free axes take.

    The largest below it where the model takes no more.
    """
    wanted = (*range(LONGEST, MOST), *range(LONGEST - 1, 0, -1))
    return next((time for time in wanted if takes(model, time)), LONGEST)


def _fitting(model: Model, time: int, otherwise: int) -> int:
    """`time`, if the model takes so few steps."""
    return time if takes(model, time) else otherwise


def takes(model: Model, time: int) -> bool:
    """Whether every layer can take a free axis of that length."""
    try:
        _every_shape(model, filled(model, 2, time))
    except ShapeMismatchError:
        return False
    return True


def _every_shape(model: Model, inputs: Sequence[Shape]) -> dict[str, Shape]:
    """The shape of each value, by its name."""
    shapes = {value.name: shape for value, shape in zip(model.inputs, inputs, strict=True)}
    for call in model.calls:
        results = call.layer.output_shapes(tuple(shapes[value.name] for value in call.inputs))
        for value, shape in zip(call.outputs, results, strict=True):
            shapes[value.name] = shape
    return shapes


def drawn(model: Model, batch: int, time: int, seed: int = 0) -> tuple[Array, ...]:
    """Inputs of that size, normal numbers or indices; fixed sizes stay."""
    generator = np.random.default_rng(seed)
    bounds = index_bounds(model)
    arrays = tuple(
        _array(value, shape, "normal", bounds.get(value.name), generator)
        for value, shape in zip(model.inputs, filled(model, batch, time), strict=True)
    )
    return _with_lengths(model, arrays, generator)


def filled(model: Model, batch: int, time: int) -> list[tuple[int, ...]]:
    """The shape of each input, with its free axes decided.

    The axis that is named so is `batch` long, or else the first, and every axis of its name.
    """
    often = Counter(name for own in model.axes for name in set(own))
    names = dict(zip((value.name for value in model.inputs), model.axes, strict=False))
    first = model.axes[0][0] if model.axes and model.axes[0] else ""
    if any("batch" in own for own in model.axes):
        first = "batch"
    shapes = []
    for value in model.inputs:
        own = names.get(value.name, ())
        if not any(name and (often[name] > 1 or name == first) for name in own):
            own = ("",) * len(value.shape)  # its names say nothing of other inputs
        free = (
            batch if (name == first if name and first else axis == 0) else time
            for axis, name in enumerate(own)
        )
        sizes = zip(value.shape, free, strict=True)
        shapes.append(tuple(other if size is None else size for size, other in sizes))
    return shapes


def _with_lengths(
    model: Model, arrays: tuple[Array, ...], generator: np.random.Generator
) -> tuple[Array, ...]:
    """With lengths of sequences, at least 1, for the inputs that hold some."""
    if not any(isinstance(layer, WithinLength) for layer in model.layers):
        return arrays
    steps: dict[str, int] = {}
    shapes = _every_shape(model, [array.shape for array in arrays])
    for call in reversed(model.calls):
        if isinstance(call.layer, WithinLength):
            x, lengths = call.inputs
            steps[lengths.name] = shapes[x.name][0 if call.layer.time_major else 1] or 1
        elif isinstance(call.layer, Cast) and call.outputs[0].name in steps:
            steps[call.inputs[0].name] = steps[call.outputs[0].name]
    return tuple(
        generator.integers(1, steps[value.name] + 1, array.shape).astype(value.dtype)
        if value.name in steps
        else array
        for value, array in zip(model.inputs, arrays, strict=True)
    )


def _array(
    value: Value,
    shape: tuple[int, ...],
    kind: str,
    bound: int | None,
    generator: np.random.Generator,
) -> Array:
    """One input: indices below `bound`, or numbers of a kind."""
    if bound is not None:
        whole = value.dtype not in FLOATS
        exact = bound if whole else min(bound, 2 ** FLOATS[value.dtype].digits)
        indices = generator.integers(0, exact, shape)
        indices = np.zeros_like(indices) if kind == "zeros" else indices
        return indices.astype(value.dtype) if whole else as_type(indices * 1.0, value.dtype)
    drawn = generator.normal(size=shape)
    if kind == "zeros":
        drawn = np.zeros(shape)
    elif kind == "one-hot":
        steps = np.arange(drawn.size // shape[-1])
        drawn = np.zeros((len(steps), shape[-1]))
        drawn[steps, steps % shape[-1]] = 1
        drawn = drawn.reshape(shape)
    scale = {"x10": 10.0, "x1e-3": 1e-3}.get(kind, 1.0)
    if not value.dtype.startswith(("int", "uint", "bool")):
        return as_type(drawn * scale, value.dtype)
    rounded: Array = np.round(drawn * scale * 3)
    if value.dtype.startswith("uint"):
        rounded = np.abs(rounded)
    return rounded.astype(value.dtype)


PATTERNS = ("holes", "none", "right", "left", "all", "but one")
"""Which steps of an example are masked."""


def _mask(array: Array, value: float, behind: int) -> None:
    """Write the value of a masked step into some steps, another pattern for each example.

    Args:
        array: Of one input; written into.
        value: Of a masked step.
        behind: The number of axes behind that of the steps.
    """
    time = array.shape[array.ndim - 1 - behind]
    for row, example in enumerate(array.reshape(-1, *array.shape[array.ndim - 1 - behind :])):
        match PATTERNS[row % len(PATTERNS)]:
            case "holes":
                steps = np.arange(time) % 3 == 1
            case "right":
                steps = np.arange(time) >= (time + 1) // 2
            case "left":
                steps = np.arange(time) < time // 2
            case "all":
                steps = np.full(time, True)
            case "but one":
                steps = np.arange(time) != time // 2
            case _:
                continue
        example[steps] = value


def mask_values(model: Model) -> Mapping[str, tuple[float, int]]:
    """For each input whose steps can be masked, the value of a masked step.

    Beside it the number of axes behind that of the steps: 1 for features, 0 for indices and masks.
    """
    found: dict[str, tuple[float, int]] = {}
    for call in reversed(model.calls):
        found.update((mask.name, (0.0, 0)) for mask in call.masks if mask is not None)
        layer = call.layer
        while isinstance(layer, TimeDistributed):
            layer = layer.layer
        match layer:
            case Masking():
                found[call.inputs[0].name] = layer.mask_value, 1
            case Unequal():
                found[call.inputs[0].name] = layer.number, 0
            case Embedding(mask_zero=True):
                found[call.inputs[0].name] = 0.0, 0
            case Dropout() | Concatenate() if call.outputs[0].name in found:
                found.update((value.name, found[call.outputs[0].name]) for value in call.inputs)
    return {
        value.name: found[value.name]
        for value in model.inputs
        if value.name in found and len(value.shape) > 1 + found[value.name][1]
    }


def index_bounds(model: Model) -> Mapping[str, int]:
    """For each input that holds indices of an Embedding or categories, how many there are."""
    bounds: dict[str, int] = {}
    for call in reversed(model.calls):
        layer = call.layer.layer if isinstance(call.layer, TimeDistributed) else call.layer
        if isinstance(layer, Embedding):
            limit = layer.rows
        elif isinstance(layer, CategoryEncoding):
            limit = layer.depth
        elif isinstance(layer, (*MOVERS, Elementwise)) and any(
            value.name in bounds for value in call.outputs
        ):
            limit = min(bounds[value.name] for value in call.outputs)
        else:
            continue
        for value in call.inputs:
            bounds[value.name] = min(limit, bounds.get(value.name, limit))
    return bounds
