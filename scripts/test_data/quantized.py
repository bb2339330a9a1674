"""Layers whose matrices are stored otherwise than they are used: quantised, and with LoRA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.test_data.bad import bad
from scripts.test_data.catalogue import BOTH, HDF5, Keras, Model, add, chain
from scripts.test_data.weights import draw, drawn


def words(keras: Keras) -> Model:
    """An Embedding and two Dense around an LSTM, of odd sizes: two numbers go into a byte."""
    layers = keras.layers
    return chain(
        keras,
        (None,),
        layers.Embedding(11, 5),
        layers.Dense(3, activation="tanh"),
        layers.LSTM(4),
        layers.Dense(5, use_bias=False),
        dtype="int32",
    )


def windows(keras: Keras) -> Model:
    """A convolution and an EinsumDense."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Conv1D(4, 3, padding="same"),
        layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="e"),
    )


def with_lora(keras: Keras, model: Model) -> None:
    """Adds LoRA to each layer that takes it, with a factor that is not 1."""
    random = np.random.default_rng(5)
    for layer in model.layers:
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(2, lora_alpha=3)
    for variable in model.weights:
        if variable.name.startswith("lora"):
            variable.assign(drawn(random, "kernel", tuple(variable.shape)))


def quantized(mode: str, **settings: Any) -> Callable[[Keras, Model], None]:
    """Quantises the weights alone."""

    def quantize(keras: Keras, model: Model) -> None:
        config = getattr(keras.quantizers, f"{mode}QuantizationConfig")
        model.quantize(config=config(activation_quantizer=None, **settings))

    return quantize


def quantized_with_lora(keras: Keras, model: Model) -> None:
    """Both."""
    quantized("Int8")(keras, model)
    with_lora(keras, model)


add(
    "lora",
    words,
    "LoRA: .keras holds the sum, .h5 the parts.",
    formats=BOTH,
    exact=False,
    finish=with_lora,
)
add(
    "quantized_int8",
    words,
    "Weights of 8 bits, inputs as they are.",
    formats=BOTH,
    exact=False,
    finish=quantized("Int8"),
)
add(
    "quantized_int4",
    words,
    "Weights of 4 bits, two to a byte.",
    formats=BOTH,
    exact=False,
    finish=quantized("Int4", block_size=-1),
)
add(
    "quantized_int4_blocks",
    words,
    "The same, with a scale and a zero for each two rows.",
    formats=BOTH,
    exact=False,
    finish=quantized("Int4", block_size=2),
)
add(
    "quantized_lora",
    words,
    "LoRA beside weights of 8 bits.",
    formats=HDF5,
    exact=False,
    finish=quantized_with_lora,
)


add(
    "lora_of_kernels",
    windows,
    "LoRA of kernels that are no matrices.",
    formats=BOTH,
    exact=False,
    finish=with_lora,
)


@bad("quantized_inputs.keras", "quantized_inputs.h5")
def quantized_inputs(keras: Keras, path: Path) -> None:
    """Dense that quantises its inputs as it runs, as Keras does by default."""
    model = words(keras)
    draw(model, "quantized_inputs")
    model.quantize("int8")
    model.save(path)


@bad("quantized_float8.keras")
def quantized_float8(keras: Keras, path: Path) -> None:
    """Dense that rounds its inputs to 8-bit floating point as it runs."""
    model = words(keras)
    draw(model, "quantized_float8")
    model.quantize("float8")
    model.save(path)
