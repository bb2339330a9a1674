"""A model of any size as Keras files, written without Keras, one array in memory at a time."""

from __future__ import annotations

import itertools
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from converter.description import Call, Direction, Model, Recurrent, Stored, Value, Weight
from converter.gates import Array, Cell
from converter.targets.keras import Dialect, write_file, write_model

GATES = 4


def large_model(layers: int, units: int) -> Model:
    """LSTM layers one behind the other, each with as many features as units, of random weights."""
    numbers = itertools.count()

    def weight(*shape: int) -> Weight:
        read = partial(_drawn, next(numbers), shape)
        return Weight(shape, (Stored("", shape, np.dtype(np.float32), read),))

    calls, x = [], Value("x", (None, None, units))
    for k in range(layers):
        direction = Direction(
            cell=Cell.LSTM,
            kernel=weight(GATES, units, units),
            recurrent_kernel=weight(GATES, units, units),
            bias=weight(1, GATES, units),
        )
        layer = Recurrent(name=f"lstm_{k}", forward=direction, return_sequences=True)
        out = Value(layer.name, x.shape)
        calls.append(Call(layer, (x,), (out,)))
        x = out
    return Model(name="large", inputs=calls[0].inputs, calls=tuple(calls), outputs=(x,))


def write_large(folder: Path, layers: int, units: int) -> dict[str, Path]:
    """The model in both forms, by their suffixes."""
    model = large_model(layers, units)
    files = {suffix: folder / f"large{suffix}" for suffix in (".keras", ".h5")}
    write_file(files[".keras"], write_model(model), "keras")
    write_file(files[".h5"], write_model(model, Dialect.LEGACY), "h5")
    return files


def largest_array(layers: int, units: int) -> int:
    """The bytes of its largest array."""
    weights = [one for layer in large_model(layers, units).layers for one in layer.weights.values()]
    return max(4 * prod(one.shape) for one in weights)


def _drawn(seed: int, shape: tuple[int, ...]) -> Array:
    """Of size 1 / sqrt(units), so that the states keep their size."""
    scale = np.float32(shape[-1] ** -0.5)
    drawn: Array = np.random.default_rng(seed).standard_normal(shape, np.float32) * scale
    return drawn
