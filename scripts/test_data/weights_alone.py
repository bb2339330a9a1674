"""Weights without their architecture, and the architecture as JSON: what `save_weights` writes."""

from typing import Any

import numpy as np

from scripts.test_data import manifest
from scripts.test_data.answers import Array
from scripts.test_data.catalogue import Keras, Model, is_keras2
from scripts.test_data.weights import draw, seed_of

CASES = ((1, 1), (3, 7))
"""A batch and a length each."""

ABOUT = "Bidirectional(LSTM), a nested model with a GRU, and an LSTM: their weights, and JSON."


def build(keras: Keras) -> Model:
    """Each kind of group that a file of weights has."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((None, 6)),
            layers.GRU(4, return_sequences=True, name="gru"),
            layers.Dense(3, activation="tanh", name="dense"),
        ],
        name="inner",
    )
    x = keras.Input((None, 3), name="x")
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(x)
    return keras.Model(x, layers.LSTM(2, name="last")(inner(y)), name="weights")


def write_all(keras: Keras, written_by: str, only: str | None) -> None:
    """Writes the files of this Keras in tests/data/weights."""
    folder = manifest.DATA / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    rows = manifest.read()
    name = "keras2" if is_keras2(keras) else "keras3"
    if only not in (None, name):
        return
    keras.backend.clear_session()
    model = build(keras)
    draw(model, name)
    paths = [folder / f"{name}.json", folder / f"{name}.weights.h5", folder / f"{name}.npz"]
    paths[0].write_text(model.to_json(), encoding="utf-8")
    model.save_weights(paths[1])
    if not is_keras2(keras):
        sharded = folder / "keras3_sharded.weights.json"
        model.save_weights(sharded, max_shard_size=700 / 2**30)
        paths += [sharded, *sorted(folder.glob("keras3_sharded_*.weights.h5"))]
    if is_keras2(keras):
        paths.append(folder / f"{name}_weights.h5")
        model.save_weights(paths[-1])
    arrays: dict[str, Any] = answered(model, name)
    np.savez_compressed(paths[2], **arrays)
    for path in paths:
        rows["files"][manifest.key(path)] = manifest.row(path, written_by)
        rows["about"][manifest.stem(path.name)] = ABOUT
        print(f"{manifest.key(path)}: {path.stat().st_size} bytes")
    manifest.write(rows)


def answered(model: Model, name: str) -> dict[str, Array]:
    """Inputs and answers, by the names they have in the .npz."""
    random = np.random.default_rng([seed_of(name), 1])
    arrays: dict[str, Any] = {}
    for k, (batch, length) in enumerate(CASES):
        x = random.normal(0.0, 1.0, (batch, length, 3)).astype(np.float32)
        arrays[f"case{k}_in0"] = x
        arrays[f"case{k}_out0"] = np.asarray(model(x, training=False))
    return arrays
