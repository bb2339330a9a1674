"""Weights that show a wrong place: random, of size about one, no bias zero."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.test_data.catalogue import Model


def seed_of(name: str) -> int:
    """A seed that a name alone decides, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def draw(model: Model, name: str) -> None:
    """Gives `model` the weights that belong to `name`."""
    random = np.random.default_rng(seed_of(name))
    for variable in model.weights:
        kind = variable.name.split("/")[-1].split(":")[0]
        variable.assign(drawn(random, kind, tuple(variable.shape)))
    finalize(model)


def finalize(model: Model) -> None:
    """Tells the layers that compute with copies of their weights that these are others."""
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def drawn(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """One array, as suits a variable that Keras calls `kind`."""
    match kind:
        case "kernel" | "recurrent_kernel" | "depthwise_kernel" | "pointwise_kernel":
            spread = 1 / np.sqrt(np.prod(shape[:-1]))
            values = random.normal(0.0, max(0.5, min(1.0, 1.5 * spread)), shape)
        case "embeddings":
            values = random.normal(0.0, 1.0, shape)
        case "bias" | "beta" | "moving_mean" | "mean":
            values = random.normal(0.0, 0.5, shape)
            values += np.copysign(0.05, values)
        case "gamma" | "scale" | "concat_score_weight":
            values = 1 + random.normal(0.0, 0.3, shape)
        case "moving_variance" | "variance":
            values = random.uniform(0.3, 2.5, shape)
        case "alpha":
            values = random.normal(0.25, 0.3, shape)
        case "count":
            return np.asarray(7)
        case _:
            raise ValueError(f"no weights are drawn for a variable called {kind!r}")
    return values.astype(np.float32)
