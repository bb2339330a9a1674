"""Models that are sound, and that can't be expressed, or not yet."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from scripts.test_data import nested
from scripts.test_data.bad import bad, save
from scripts.test_data.catalogue import Keras, chain
from scripts.test_data.weights import draw


@bad("lambda_layer.keras", "lambda_layer.h5")
def lambda_layer(keras: Keras, path: Path) -> None:
    """A Lambda, whose code is in the file; all it does is double."""
    layers = keras.layers
    double = layers.Lambda(lambda x: 2.0 * x, output_shape=(2,), name="scale")
    save(chain(keras, (None, 3), layers.LSTM(2), double, layers.Dense(1)), path)


@bad("custom_layer.keras", "custom_layer.h5")
def custom_layer(keras: Keras, path: Path) -> None:
    """A layer of somebody's own, registered."""

    @keras.saving.register_keras_serializable(package="mine")
    class Doubling(keras.layers.Layer):  # type: ignore[misc]  # Keras carries no types
        """Twice its input."""

        def call(self, x: Any) -> Any:
            """The input, doubled."""
            return 2.0 * x

    layers = keras.layers
    save(chain(keras, (None, 3), layers.LSTM(2), Doubling(name="scale"), layers.Dense(1)), path)


@bad("custom_activation.keras")
def custom_activation(keras: Keras, path: Path) -> None:
    """An LSTM with an activation of somebody's own, registered."""

    def tripled(x: Any) -> Any:
        return 3.0 * x

    keras.saving.register_keras_serializable(package="mine")(tripled)
    layers = keras.layers
    save(chain(keras, (None, 3), layers.LSTM(2, activation=tripled), layers.Dense(1)), path)


def unconstrained(weight: Any) -> Any:
    """A constraint that does nothing."""
    return weight


@bad("pickled_weights.keras")
def pickled_weights(keras: Keras, path: Path) -> None:
    """Weights in model.weights.npz with a function of somebody's own in the pickle."""
    saving = importlib.import_module("keras.src.saving.saving_lib")
    lstm = keras.layers.LSTM(2, kernel_constraint=unconstrained)
    model = chain(keras, (None, 3), lstm, keras.layers.Dense(1))
    draw(model, "pickled_weights")
    saving.save_model(model, path, weights_format="npz")


@bad("subclassed.keras")
def subclassed(keras: Keras, path: Path) -> None:
    """A model that is a class of its own: its wiring is nowhere in the file."""

    @keras.saving.register_keras_serializable(package="mine")
    class Own(keras.Model):  # type: ignore[misc]  # Keras carries no types
        """An LSTM and a Dense, called from Python."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.lstm = keras.layers.LSTM(2)
            self.head = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            """The Dense of the LSTM."""
            return self.head(self.lstm(x))

    model = Own()
    model(np.zeros((1, 2, 3), np.float32))
    save(model, path)


@bad("unbuilt.keras")
def unbuilt(keras: Keras, path: Path) -> None:
    """A Sequential that never saw an input: it has no weights yet."""
    save(keras.Sequential([keras.layers.LSTM(2), keras.layers.Dense(1)]), path)


@bad("always_dropout.keras")
def always_dropout(keras: Keras, path: Path) -> None:
    """A Dropout called with training=True: it drops in inference too."""
    layers = keras.layers
    x = keras.Input((None, 3))
    save(keras.Model(x, layers.Dropout(0.5)(layers.LSTM(2)(x), training=True)), path)


@bad("layer_shared_with_nested.keras")
def layer_shared_with_nested(keras: Keras, path: Path) -> None:
    """A layer in a nested model and outside of it: .keras has its weights in one place only."""
    save(nested.layer_shared_with_nested(keras), path)
