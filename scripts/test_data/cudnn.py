"""CuDNNLSTM and CuDNNGRU of Keras 2.15, which only a GPU runs, and what they answer.

Keras itself loads their weights into LSTM and GRU, and answers with those.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.test_data import manifest
from scripts.test_data.answers import Array
from scripts.test_data.catalogue import Keras, Model, chain
from scripts.test_data.weights import draw, seed_of

Cell = Callable[..., Any]
Build = Callable[[Keras, Cell, Cell], Model]

CASES = ((1, 1), (3, 2), (3, 7))
"""A batch and a length each."""


def cudnn_lstm(keras: Keras, lstm: Cell, _gru: Cell) -> Model:
    """Two CuDNNLSTMs, one with as many features as units, and a Dense."""
    layers = (lstm(4, return_sequences=True), lstm(4, go_backwards=True), keras.layers.Dense(2))
    return chain(keras, (None, 3), *layers)


def cudnn_gru(keras: Keras, _lstm: Cell, gru: Cell) -> Model:
    """Two CuDNNGRUs, the second with its state."""
    x = keras.Input((None, 3))
    y, state = gru(2, return_state=True)(gru(4, return_sequences=True)(x))
    return keras.Model(x, [y, state])


def cudnn_bidirectional(keras: Keras, lstm: Cell, gru: Cell) -> Model:
    """A CuDNNLSTM and a CuDNNGRU in both directions."""
    both = keras.layers.Bidirectional
    layers = (both(lstm(4, return_sequences=True)), both(gru(3), merge_mode="sum"))
    return chain(keras, (None, 3), *layers)


MODELS: tuple[Build, ...] = (cudnn_lstm, cudnn_gru, cudnn_bidirectional)


def write_all(keras: Keras, written_by: str, only: str | None) -> None:
    """Writes every file of tests/data/cudnn, or `only` those of that name."""
    folder = manifest.DATA / "cudnn"
    folder.mkdir(parents=True, exist_ok=True)
    rows = manifest.read()
    for build in MODELS:
        if only in (None, build.__name__):
            write(keras, build, folder, written_by, rows)
    manifest.write(rows)


def write(
    keras: Keras, build: Build, folder: Path, written_by: str, rows: manifest.Manifest
) -> None:
    """Writes one model: whole in both formats, its weights alone, and its answers."""
    import tensorflow as tf

    old = tf.compat.v1.keras.layers
    name = build.__name__
    keras.backend.clear_session()
    model = build(keras, old.CuDNNLSTM, old.CuDNNGRU)
    draw(model, name)
    files = [folder / f"{name}.h5", folder / f"{name}.keras", folder / f"{name}_weights.h5"]
    model.save(files[0])
    model.save(files[1])
    model.save_weights(files[2])
    keras.backend.clear_session()
    twin = build(keras, keras.layers.LSTM, keras.layers.GRU)
    twin.load_weights(files[2])
    answers = folder / f"{name}.npz"
    np.savez_compressed(answers, **answered(twin, name))  # type: ignore[arg-type]  # numpy types its keywords as bool
    for path in (*files, answers):
        rows["files"][manifest.key(path)] = manifest.row(path, written_by)
        rows["about"][manifest.stem(path.name)] = (build.__doc__ or "").splitlines()[0]
        print(f"{manifest.key(path)}: {path.stat().st_size} bytes")


def answered(model: Model, name: str) -> dict[str, Array]:
    """Inputs and answers, by the names they have in the .npz."""
    random = np.random.default_rng([seed_of(name), 1])
    arrays: dict[str, Array] = {}
    for k, (batch, length) in enumerate(CASES):
        x = random.normal(0.0, 1.0, (batch, length, 3)).astype(np.float32)
        arrays[f"case{k}_in0"] = x
        outputs = model(x, training=False)
        for i, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
            arrays[f"case{k}_out{i}"] = np.asarray(output)
    return arrays
