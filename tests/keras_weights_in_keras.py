"""Run as a module, by the Keras that is asked: models built by hand, which load a file of weights.

python -m tests.keras_weights_in_keras FOLDER: of weights.h5 and x.npy, it makes answers.npz.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def main(folder: Path) -> None:
    """By name, by order, and array by array."""
    import keras

    file = folder / "weights.h5"
    x = np.load(folder / "x.npy")
    by_name = model_of(keras)
    by_name.load_weights(file, by_name=True)
    in_order = model_of(keras, named=False)
    in_order.load_weights(file)
    by_arrays = model_of(keras)
    with h5py.File(file) as weights:
        for layer in by_arrays.layers:
            if layer.name in weights:
                group = weights[layer.name]
                layer.set_weights([group[name][()] for name in group.attrs["weight_names"]])
    answers = {
        how: np.asarray(keras.ops.convert_to_numpy(model(x)))
        for how, model in (("name", by_name), ("order", in_order), ("arrays", by_arrays))
    }
    np.savez(folder / "answers.npz", **answers)


def model_of(keras: Any, *, named: bool = True) -> Any:
    """What the module of the test is, by hand."""
    layers = keras.layers

    def name(text: str) -> str | None:
        return text if named else None

    return keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name=name("lstm_l0")),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name=name("lstm_l1")),
            layers.GRU(5, return_sequences=True, name=name("gru")),
            layers.SimpleRNN(6, return_sequences=True, name=name("rnn")),
            layers.Dense(7, name=name("head")),
            layers.BatchNormalization(epsilon=1e-5, name=name("norm")),
        ]
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
