"""Ask one Keras every case that names it: a process of its own.

`python -m tests.judge.keras_answers tensorflow answers.npz`, from the root of the project, with
KERAS_BACKEND set; "tf_keras" in the place of a backend asks Keras 2.
"""

from __future__ import annotations

import sys
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from tests.judge.cases import CASES, Case, Keras


def built(keras: Any, layer: Keras) -> Any:
    """The layer, those inside it included."""
    arguments = {
        name: built(keras, value) if isinstance(value, Keras) else value
        for name, value in layer.arguments.items()
    }
    return getattr(keras.layers, layer.kind)(**arguments)


def redraw(layer: Any, rng: np.random.Generator) -> None:
    """N(0, 0.5), kernels scaled to their fan-in, so that a sum has size 1; variances positive."""
    for weight in layer.weights:
        name = weight.name.removesuffix(":0")
        values = rng.normal(0, 0.5, weight.shape)
        if name.endswith("kernel"):
            values *= 2 / prod(weight.shape[:-1]) ** 0.5
        if name.endswith("variance"):
            values = rng.uniform(0.1, 1.0, weight.shape)
        if name.endswith("count"):
            values = np.asarray(7)
        weight.assign(values)
    if hasattr(layer, "finalize_state"):  # it computes with a copy of its weights
        layer.finalize_state()


def draw(case: Case, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if case.indices is None:
        return rng.normal(0, case.size, shape)
    index = rng.integers(case.indices, size=shape).astype(case.index_dtype)
    return index + 0.7 if index.dtype.kind == "f" else index


def flat(outputs: Any) -> list[Any]:
    """The outputs in order; tf_keras nests those of a Bidirectional with states."""
    if isinstance(outputs, list | tuple):
        return [one for output in outputs for one in flat(output)]
    return [outputs]


def answers(keras: Any, case: Case) -> dict[str, np.ndarray]:
    """Its weights, and the inputs and outputs of every call."""
    rng = np.random.default_rng(crc32(case.name.encode()))
    layer = built(keras, case.layer)
    found: dict[str, np.ndarray] = {}
    for number, shapes in enumerate(case.calls):
        inputs = [draw(case, shape, rng) for shape in shapes]
        own = inputs[: len(inputs) - case.states]
        states = {"initial_state": inputs[-case.states :]} if case.states else {}
        given = own[0] if len(own) == 1 else own
        if not number:
            layer(given, **states)
            redraw(layer, rng)
        outputs = flat(layer(given, **states))
        found |= {f"{number}/input/{k}": array for k, array in enumerate(inputs)}
        found |= {f"{number}/output/{k}": as_array(array) for k, array in enumerate(outputs)}
    found |= {f"weight/{k:02}": array for k, array in enumerate(layer.get_weights())}
    return {f"{case.name}/{key}": array for key, array in found.items()}


def as_array(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def main(who: str, path: Path) -> None:
    keras = import_module("tf_keras" if who == "tf_keras" else "keras")
    keras.backend.set_floatx("float64")
    if who == "torch":
        # There, Keras multiplies float64 in float32: it takes 64 bits for TensorFlow's alone.
        dtypes = import_module("keras.src.backend.common.dtypes")
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    arrays: dict[str, np.ndarray] = {}
    for case in CASES.values():
        if who in case.by:
            arrays |= answers(keras, case)
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
