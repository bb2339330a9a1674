"""Save each twin's Keras model with random weights: run in a process of its own.

TensorFlow and torch in one process fight over threads.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

from models import TWINS


def main(folder: Path) -> None:
    generator = np.random.default_rng(7)
    for name in TWINS:
        model = import_module(f"models.{name}").keras_model()
        for layer in model.layers:
            layer.set_weights([drawn(generator, array.shape, path) for array, path in named(layer)])
        model.save(folder / f"{name}.keras")
    questions(folder)


def questions(folder: Path) -> None:
    """The models of the question, with the number of parameters that Keras counts."""
    for features in (1, 2):
        model = import_module("models.question").keras_model(features)
        model.save(folder / f"question-{features}-{model.count_params()}.keras")


def named(layer):
    return [
        (array, variable.path)
        for array, variable in zip(layer.get_weights(), layer.weights, strict=True)
    ]


def drawn(generator, shape, path):
    array = generator.normal(size=shape) / np.sqrt(max(shape[0], 1) if len(shape) > 1 else 1)
    return np.abs(array) + 0.1 if "variance" in path else array


if __name__ == "__main__":
    main(Path(sys.argv[1]))
