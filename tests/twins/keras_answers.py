"""Run Keras on every twin and write what it says: a process of its own, for test_twins.py.

TensorFlow and PyTorch in one process fight over threads, so what Keras knows goes through a file:
`python -m tests.twins.keras_answers answers.npz`, from the root of the project.
"""

import sys
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import TWINS

SHORTEST = {"cnn_lstm": 6}
"""The steps that a twin needs; one is enough for the others."""

CASES = ((1, 0), (3, 1), (8, 6), (2, 15))
"""Rows, and steps beyond the shortest where time is free."""

NO_MODULES = ("InputLayer", "Attention", "Concatenate", "GlobalAveragePooling2D")
"""What PyTorch has as an argument or as a function."""


def redraw(model: Any, rng: np.random.Generator) -> None:
    """Give every weight size 1, so that a wrong place shows.

    Kernels are divided by the square root of their fan-in: each gate's sum then has size 1 to 2,
    where neither sigmoid nor tanh is flat. A variance is positive, and small enough for its epsilon
    to show.
    """
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        if weight.name.endswith("kernel"):
            values /= prod(weight.shape[:-1]) ** 0.5
        if weight.name == "moving_variance":
            values = rng.uniform(0.1, 1.0, weight.shape)
        weight.assign(values)


def draw(
    model: Any, number: int, batch: int, longer: int, rng: np.random.Generator
) -> NDArray[Any]:
    """An input of that many rows and steps: token numbers, or features of size 1."""
    tensor = model.inputs[number]
    batch = tensor.shape[0] or batch
    time = tensor.shape[1] or SHORTEST.get(model.name, 1) + longer + number
    if tensor.dtype != "int32":
        return rng.normal(size=(batch, time, *tensor.shape[2:])).astype(np.float32)
    tables = [layer for layer in model.layers if hasattr(layer, "mask_zero")]
    tokens = rng.integers(1, tables[number].input_dim, size=(batch, time))
    if tables[number].mask_zero:  # the first sentence is whole, the last one empty
        lengths = np.linspace(time, 0, batch).astype(int) if batch > 1 else [time]
        tokens[np.arange(time) >= np.array(lengths)[:, None]] = 0
    return tokens


def answers(name: str, model: Any, rng: np.random.Generator) -> dict[str, Any]:
    """The model's redrawn weights, its inputs and answers, its layers and its parameters."""
    redraw(model, rng)
    found: dict[str, Any] = {
        f"weights/{layer.name}/{place}": array
        for layer in model.layers
        for place, array in enumerate(layer.get_weights())
    }
    for case, (batch, longer) in enumerate(CASES):
        given = [draw(model, k, batch, longer, rng) for k in range(len(model.inputs))]
        found |= {f"inputs/{case}/{k}": array for k, array in enumerate(given)}
        answer = model(given if len(given) > 1 else given[0], training=False)
        found[f"answers/{case}"] = np.asarray(answer)
    own = [layer for layer in model.layers if type(layer).__name__ not in NO_MODULES]
    found["layers"] = [name for layer in own for name in names(layer)]
    found["parameters"] = model.count_params()
    found["trained"] = sum(prod(weight.shape) for weight in model.trainable_weights)
    return found


def names(layer: Any) -> list[str]:
    """The layer's, or of a layer of several cells each cell's behind it."""
    cells = getattr(getattr(layer, "cell", None), "cells", ())
    return [f"{layer.name}_{cell.name}" for cell in cells] or [layer.name]


def main(path: Path) -> None:
    built = {twin: import_module(f"models.{twin}").keras_model() for twin in TWINS}
    built["question_of_one_feature"] = import_module("models.question").keras_model(features=1)
    arrays = {
        f"{name}/{key}": array
        for seed, (name, model) in enumerate(built.items())
        for key, array in answers(name, model, np.random.default_rng(seed)).items()
    }
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
