"""Keras models as `model.export(format="onnx")` writes them, by tf2onnx, and what Keras answers.

    python -m scripts.test_data.exported_keras

needs keras, tensorflow and tf2onnx.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

FOLDER = Path("tests/data/onnx")


def sequential(*parts: Any) -> Any:
    """A model of sequences of five features."""
    return keras.Sequential([keras.Input((None, 5)), *parts])


def started() -> Any:
    """States from outside, and the last ones."""
    x, h, c = keras.Input((None, 5)), keras.Input((4,)), keras.Input((4,))
    lstm = layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")
    return keras.Model([x, h, c], lstm(x, initial_state=[h, c]))


def models() -> dict[str, Any]:
    """What tf2onnx writes with the node LSTM, and a GRU, which becomes a Loop."""
    both = layers.Bidirectional(layers.LSTM(4), merge_mode="sum", name="both")
    return {
        "keras_lstm": sequential(layers.LSTM(4), layers.Dense(3, activation="relu")),
        "keras_stacked": sequential(layers.LSTM(4, return_sequences=True), layers.LSTM(3)),
        "keras_both_ways": sequential(both, layers.Dense(3)),
        "keras_backwards": sequential(
            layers.LSTM(4, go_backwards=True, return_sequences=True),
            layers.BatchNormalization(),
        ),
        "keras_started": started(),
        "keras_gru": sequential(layers.GRU(4)),
    }


def main() -> None:
    """Write each with its inputs, answers and arrays."""
    for name, model in models().items():
        generator = np.random.default_rng(len(name))
        for weight in model.weights:
            drawn = generator.normal(size=weight.shape)
            weight.assign(np.abs(drawn) if "variance" in weight.path else drawn / 2)
        shapes = [(3, *(size or 6 for size in x.shape[1:])) for x in model.inputs]
        inputs = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
        given = model(inputs if len(inputs) > 1 else inputs[0])
        answers = given if isinstance(given, list | tuple) else [given]
        model.export(FOLDER / f"{name}.onnx", format="onnx", verbose=False)
        arrays: dict[str, Any] = {f"x.{k}": x for k, x in enumerate(inputs)}
        arrays |= {f"y.{k}": np.asarray(y) for k, y in enumerate(answers)}
        arrays |= {f"w.{k}": np.asarray(w) for k, w in enumerate(model.get_weights())}
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main()
