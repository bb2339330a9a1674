"""Models of real Keras, and what its own export to ONNX makes of them.

`python scripts/onnx_peers.py FOLDER` needs keras and tensorflow, and tf2onnx to export. It writes
NAME.keras and NAME.onnx, or NAME.txt with what it failed of.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

FEATURES, UNITS = 16, 64


def models() -> Iterator[tuple[str, Any]]:
    """Each by its name: a recurrent layer, or some, and a Dense layer."""
    inputs = keras.Input((None, FEATURES), name="x")

    def of(*parts: Any) -> Any:
        return keras.Sequential([inputs, *parts, layers.Dense(1, name="head")])

    yield "plain", of(layers.LSTM(UNITS))
    yield "stacked", of(layers.LSTM(UNITS, return_sequences=True), layers.LSTM(UNITS))
    yield "bidirectional", of(layers.Bidirectional(layers.LSTM(UNITS)))
    yield "masked", of(layers.Masking(0.0), layers.LSTM(UNITS))
    yield "hard_sigmoid", of(layers.LSTM(UNITS, recurrent_activation="hard_sigmoid"))
    yield "GRU", of(layers.GRU(UNITS))
    yield "SimpleRNN", of(layers.SimpleRNN(UNITS))


def main(folder: Path) -> None:
    """Every model, and its export."""
    generator = np.random.default_rng(0)
    for name, model in models():
        model.set_weights([generator.normal(size=w.shape) * 0.2 for w in model.get_weights()])
        model(np.zeros((1, 2, FEATURES), "float32"))
        model.save(folder / f"{name}.keras")
        try:
            model.export(folder / f"{name}.onnx", format="onnx", verbose=False)
        except Exception as error:  # whatever a peer fails of is a result
            text = " ".join(str(error).split())
            (folder / f"{name}.txt").write_text(f"{type(error).__name__}: {text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
