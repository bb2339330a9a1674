"""Classes of somebody's own in Keras, and models of them; `custom_layers` describes the classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Build = Callable[[Any, Any], Any]
MODELS: dict[str, Build] = {}


def model(build: Build) -> Build:
    MODELS[build.__name__] = build
    return build


class Classes:
    """The classes, made of the layers of one Keras."""

    def __init__(self, keras: Any) -> None:
        registered = keras.saving.register_keras_serializable("tests")
        ops = keras.ops if hasattr(keras, "ops") else None

        def summed(x: Any) -> Any:
            return ops.sum(x, axis=1) if ops else keras.backend.sum(x, axis=1)

        class Sized(keras.layers.Layer):  # type: ignore[misc]
            def __init__(self, units: int, **settings: Any) -> None:
                super().__init__(**settings)
                self.units = units

            def get_config(self) -> dict[str, Any]:
                return {**super().get_config(), "units": self.units}

        @registered
        class Residual(Sized):
            """LSTM, added to what goes in."""

            def __init__(self, units: int, **settings: Any) -> None:
                super().__init__(units, **settings)
                self.lstm = keras.layers.LSTM(units, return_sequences=True, name="lstm")
                self.project = keras.layers.Dense(units, name="project")

            def call(self, x: Any) -> Any:
                return x + self.project(self.lstm(x))

        @registered
        class Masked(Residual):
            """The same, and masks go through it."""

            def __init__(self, units: int, **settings: Any) -> None:
                super().__init__(units, **settings)
                self.supports_masking = True

        @registered
        class Stack(Sized):
            """Two LSTMs in a list, and the last states of the second."""

            def __init__(self, units: int, **settings: Any) -> None:
                super().__init__(units, **settings)
                self.blocks = [
                    keras.layers.LSTM(units, return_sequences=True, name="first"),
                    keras.layers.LSTM(units, return_state=True, name="second"),
                ]

            def call(self, x: Any) -> Any:
                return self.blocks[1](self.blocks[0](x))

        @registered
        class Twice(keras.layers.Wrapper):  # type: ignore[misc]
            """A layer, applied to what it gives."""

            def call(self, x: Any) -> Any:
                return self.layer(self.layer(x))

        @registered
        class Weighted(keras.layers.Layer):  # type: ignore[misc]
            """The sum of all steps, each feature with a weight of the layer's own."""

            def build(self, shape: Any) -> None:
                self.scale = self.add_weight(shape=(shape[-1],), name="scale")
                super().build(shape)

            def call(self, x: Any) -> Any:
                return summed(x * self.scale)

        class Plain(Residual):
            """A class that Keras does not know."""

        @registered
        class LSTM(Sized):
            """What has the name of one of Keras's own."""

            def call(self, x: Any) -> Any:
                return keras.activations.relu(x)

        self.Residual, self.Masked, self.Stack = Residual, Masked, Stack
        self.Twice, self.Weighted, self.Plain, self.LSTM = Twice, Weighted, Plain, LSTM


@model
def residual(keras: Any, own: Classes) -> Any:
    layers = [own.Residual(3, name="own"), keras.layers.GRU(2)]
    return keras.Sequential([keras.Input((None, 3)), *layers])


@model
def masked(keras: Any, own: Classes) -> Any:
    """A mask goes in, and what follows uses it too."""
    words = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, 3, mask_zero=True)(words)
    return keras.Model(words, keras.layers.GRU(2)(own.Masked(3, name="own")(x)))


@model
def shared(keras: Any, own: Classes) -> Any:
    """One layer is called on two inputs, another is in a model that is."""
    one, two = keras.Input((4, 3)), keras.Input((4, 3))
    layer = own.Residual(3, name="own")
    inside = keras.Input((4, 3))
    inner = keras.Model(inside, own.Residual(3, name="own")(inside), name="inner")
    both = [inner(layer(one)), inner(layer(two))]
    return keras.Model([one, two], keras.layers.Concatenate(axis=1)(both))


@model
def stack(keras: Any, own: Classes) -> Any:
    """A list of layers in a layer, and three outputs."""
    steps = keras.Input((None, 3))
    return keras.Model(steps, own.Stack(3, name="own")(steps))


@model
def twice(keras: Any, own: Classes) -> Any:
    """A layer whose config holds another one."""
    inner = keras.layers.GRU(3, return_sequences=True, name="inner")
    return keras.Sequential([keras.Input((None, 3)), own.Twice(inner, name="own")])


@model
def weighted(keras: Any, own: Classes) -> Any:
    """A weight of its own, and no layer that Keras has."""
    return keras.Sequential([keras.Input((None, 3)), own.Weighted(name="own")])


@model
def plain(keras: Any, own: Classes) -> Any:
    """A class that is not registered with Keras."""
    return keras.Sequential([keras.Input((None, 3)), own.Plain(3, name="own")])


@model
def hidden(keras: Any, own: Classes) -> Any:
    """A registered class with the name of one of Keras's."""
    layers = [own.LSTM(3, name="own"), keras.layers.LSTM(2)]
    return keras.Sequential([keras.Input((None, 3)), *layers])


def save(keras: Any, folder: Path, look: Callable[[str, Any], None]) -> None:
    """Every model in every form, with answers; `look` is shown the model itself."""
    own = Classes(keras)
    numbers = np.random.default_rng(5)
    for name, build in MODELS.items():
        made = build(keras, own)
        made.set_weights([numbers.normal(0, 0.5, one.shape) for one in made.get_weights()])
        given = []
        for one in made.inputs:
            shape = [size or 4 for size in one.shape]
            shape[0] = 2
            words = "int" in str(one.dtype)
            array = numbers.integers(1, 9, shape) if words else numbers.normal(size=shape)
            if words:
                array[0, 2:] = 0
            given.append(array.astype("int32" if words else "float32"))
        made.save(folder / f"{name}.keras")
        made.save(folder / f"{name}.h5")
        made.save_weights(folder / f"{name}.weights.h5")
        answers = made(given if len(given) > 1 else given[0])
        listed = answers if isinstance(answers, list | tuple) else [answers]
        arrays = {f"in{k}": one for k, one in enumerate(given)}
        for k, one in enumerate(listed):
            arrays[f"out{k}"] = (
                keras.ops.convert_to_numpy(one) if hasattr(keras, "ops") else np.asarray(one)
            )
        np.savez(folder / f"{name}.npz", **arrays)
        look(name, made)
