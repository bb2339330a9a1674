"""Saves a few trained models with one Keras: a process of its own.

`python -m tests.readers.keras_files tf_keras FOLDER`, from the root of the project. Beside each
`NAME.keras` and `NAME.h5` lies `NAME.npz`: `LAYER|K` are the arrays of `get_weights()` of a layer
("outer/inner" for one in a model), `x` the input, and `y0`, `y1`, ... the answers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


def branches(keras: Any) -> Any:
    """A model that is called twice, one of two outputs, and layers on top; partly frozen."""
    layers = keras.layers
    encoder = keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.LSTM(3, return_sequences=True, dropout=0.2),
            layers.BatchNormalization(),
            layers.Dense(3),
        ],
        name="encoder",
    )
    i = keras.Input((None, 3))
    hidden = layers.Dense(3, name="hidden")(i)
    both = keras.Model(i, [layers.Dense(2, name="one")(hidden), hidden], name="both")
    x = keras.Input((None, 3), name="x")
    once = encoder(x)
    twice = encoder(once)
    first, second = both(twice)
    merged = layers.Concatenate()([once, first, second])
    backward = layers.GRU(2, go_backwards=True, return_sequences=True, name="back")
    y = layers.Bidirectional(
        layers.LSTM(2, return_sequences=True), backward_layer=backward, name="directions"
    )(layers.Dropout(0.5)(merged))
    y = layers.TimeDistributed(layers.Dense(4), name="steps")(y)
    encoder.layers[-1].trainable = False
    return keras.Model(x, [layers.SimpleRNN(3, name="last")(y), both(x)[0]], name="branches")


def stack(keras: Any) -> Any:
    """Several layers of each class, with names that look like the counters of others."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, 3), name="x"),
            layers.Conv1D(4, 3, padding="causal", name="conv1d_1"),
            layers.LSTM(4, return_sequences=True, name="lstm_2"),
            layers.LSTM(4, return_sequences=True, name="lstm"),
            layers.LayerNormalization(name="dense"),
            layers.GRU(4, name="lstm_1"),
            layers.Dense(4, name="dense_2"),
            layers.PReLU(name="dense_1"),
            layers.Dense(4, name="dense_3"),
        ],
        name="stack",
    )


def parts(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer that is no model."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from parts(layer, f"{prefix}{layer.name}/")
        else:
            yield prefix + layer.name, layer


def save(keras: Any, model: Any, folder: Path) -> None:
    """The model after one step of training, so that there are states of an optimizer."""
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(0.2, 1, w.shape) for w in model.get_weights()])
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    targets = [np.zeros(np.shape(y), np.float32) for y in flat(model(x))]
    model.compile("adam", "mse")
    model.fit(x, targets if len(targets) > 1 else targets[0], verbose=0)
    recorded = {
        f"{path}|{k}": array
        for path, layer in parts(model)
        for k, array in enumerate(layer.get_weights())
    }
    recorded |= {f"y{k}": np.asarray(y) for k, y in enumerate(flat(model(x)))}
    np.savez(folder / f"{model.name}.npz", x=x, **recorded)
    for ending in ("keras", "h5"):
        model.save(folder / f"{model.name}.{ending}")


def half(keras: Any, dtype: str) -> Any:
    """A model of 16 bits whose variables carry what training needs."""
    layers = keras.layers
    plain = "glorot_uniform"  # TensorFlow has no QR decomposition of bfloat16
    lstm = layers.LSTM(2, kernel_regularizer="l2", recurrent_initializer=plain, dtype=dtype)
    dense = layers.Dense(2, kernel_constraint=keras.constraints.MaxNorm(2.0), dtype=dtype)
    both = layers.Bidirectional(lstm, dtype=dtype)
    return keras.Sequential([keras.Input((None, 3), dtype=dtype), both, dense], name=dtype)


def pickle(keras: Any, model: Any, folder: Path) -> None:
    """The model with its weights in `.npz` and in `.h5`, each as an archive and as a folder."""
    saving = import_module(f"{keras.__name__}.src.saving.saving_lib")
    for form in ("npz", "h5"):
        (folder / form).mkdir(exist_ok=True)
        path = folder / form / model.name
        saving.save_model(model, f"{path}.keras", weights_format=form)
        saving.save_model(model, path, zipped=False, weights_format=form)


def flat(outputs: Any) -> list[Any]:
    """One output or several, as a list."""
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def main(which: str, folder: Path) -> None:
    """Saves the models that are in this file."""
    keras = import_module(which)
    for make in (branches, stack):
        model = make(keras)
        save(keras, model, folder)
        if which == "keras":
            pickle(keras, model, folder)
    if which == "keras":
        for dtype in ("float16", "bfloat16"):
            pickle(keras, half(keras, dtype), folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
