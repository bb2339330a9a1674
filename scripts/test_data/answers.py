"""What Keras answers: the cases of a model, and its outputs for them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.test_data.catalogue import Architecture, Keras, Model, is_keras2
from scripts.test_data.weights import finalize, seed_of

Array = NDArray[Any]

# For each case: the batch, and which of the architecture's lengths.
CASES = ((1, 0), (3, 1), (3, 2))

# Times this in the last row of a batch, inputs are large enough that what is clipped is clipped.
LARGE = 3.0

# Outputs beyond this say that a model amplifies its own rounding.
TOO_LARGE = 1e3


def inputs_of(model: Model, architecture: Architecture) -> list[list[Array]]:
    """The inputs of each case, in the order of the model."""
    random = np.random.default_rng([seed_of(architecture.name), 1])
    cases = []
    for batch, which in CASES:
        length = architecture.lengths[which]
        arrays: list[Array] = []
        for tensor in model.inputs:
            shape = concrete(tuple(tensor.shape), batch, length)
            name = getattr(tensor.dtype, "name", tensor.dtype)
            whole = name.startswith("int") or feeds_embedding(model, tensor)
            if whole:
                drawn: Array = random.integers(0, architecture.vocabulary, shape)
            else:
                drawn = random.normal(0.0, 1.0, shape)
                drawn[-1] *= LARGE if batch > 1 else 1.0
            arrays.append(drawn.astype(np.int32 if name.startswith("int") else np.float32))
        cases.append(arrays)
    return cases


def concrete(shape: tuple[int | None, ...], batch: int, length: int) -> tuple[int, ...]:
    """A shape without free axes: the first is the batch, the next get the length, and one more."""
    sizes = [batch if shape[0] is None else shape[0]]
    for axis in shape[1:]:
        sizes.append(length if axis is None else axis)
        length += axis is None
    return tuple(sizes)


def feeds_embedding(model: Model, tensor: Any) -> bool:
    """Whether an input, of whatever type, goes into an Embedding."""
    name = tensor.name.split(":")[0]
    for layer in model.layers:
        if type(layer).__name__ == "Embedding":
            source = layer.input if not isinstance(layer.input, list) else layer.input[0]
            if source.name.split(":")[0] == name:
                return True
    return False


def answer(keras: Keras, model: Model, arrays: list[Array], floatx: str) -> list[Array]:
    """The outputs of `model`, in its order, for inputs in its order."""
    given = [a.astype(floatx) if a.dtype.kind == "f" else a for a in arrays]
    tree = flattener(keras)
    by_name = getattr(model, "_inputs_struct", None)  # Keras 3, Functional
    if isinstance(by_name, dict):
        order = [id(tensor) for tensor in model.inputs]
        fed: Any = {key: given[order.index(id(tensor))] for key, tensor in by_name.items()}
    else:
        fed = given if len(given) > 1 else given[0]
    outputs = tree.flatten(model(fed, training=False))
    return [np.asarray(output) for output in outputs]


def flattener(keras: Keras) -> Any:
    """The module of this Keras that takes nested outputs apart."""
    if is_keras2(keras):
        import tensorflow as tf

        return tf.nest
    return keras.tree


def in_float64(keras: Keras, architecture: Architecture, model: Model) -> Model | None:
    """The same model built in float64 with the same weights, or None where it can't be."""
    values = [np.asarray(variable, np.float64) for variable in model.weights]
    keras.backend.clear_session()
    keras.backend.set_floatx("float64")
    try:
        double = architecture.build(keras)
        for variable, value in zip(double.weights, values, strict=True):
            variable.assign(value)
        finalize(double)
    finally:
        keras.backend.set_floatx("float32")
    if any(layer.compute_dtype != "float64" for layer in double._flatten_layers()):
        return None
    return double


def recorded(keras: Keras, architecture: Architecture, model: Model) -> dict[str, Array]:
    """Inputs and answers of every case, by the names they have in the .npz.

    `case0_in0`, `case0_out0` and, from Keras 3, `case0_out0_f64`.
    """
    cases = inputs_of(model, architecture)
    arrays: dict[str, Array] = {}
    for k, given in enumerate(cases):
        arrays |= {f"case{k}_in{i}": array for i, array in enumerate(given)}
        outputs = answer(keras, model, given, "float32")
        arrays |= {f"case{k}_out{i}": output for i, output in enumerate(outputs)}
    if architecture.exact and not is_keras2(keras):
        double = in_float64(keras, architecture, model)
        for k, given in enumerate(cases):
            outputs = answer(keras, double, given, "float64") if double is not None else []
            arrays |= {f"case{k}_out{i}_f64": output for i, output in enumerate(outputs)}
    for name, array in arrays.items():
        if not np.abs(array).max(initial=0) < TOO_LARGE:
            raise ValueError(f"{architecture.name}: {name} is not finite, or too large to compare")
    return arrays
