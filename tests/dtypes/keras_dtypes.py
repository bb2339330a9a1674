"""Models of every dtype policy, and what Keras answers: run in a process of its own.

`python -m tests.dtypes.keras_dtypes keras|tf_keras FOLDER` saves each model and NAME.npz with its
inputs and answers; those of bfloat16 as float32, which holds them. Keras 3 on PyTorch is asked for
half precision a second time, since backends round differently inside.
"""

import sys
from importlib import import_module
from itertools import islice
from pathlib import Path

import numpy as np

from tests.dtypes.keras_families import of_families, of_keras_3, of_operations

POLICIES = ("float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def of_a_policy(k):
    """Models whose layers all have the global policy, but for a softmax in float32 at the end."""
    layers = k.layers
    # TensorFlow has no orthogonal matrices in bfloat16.
    plain = {"recurrent_initializer": "glorot_uniform"}

    def chain(*parts, shape=(6, 3), dtype=None):
        return k.Sequential([k.Input(shape, dtype=dtype, name="x"), *parts])

    yield (
        "forecaster",
        chain(
            layers.LSTM(4, return_sequences=True, **plain),
            layers.GRU(4, return_sequences=True, **plain),
            layers.SimpleRNN(4, **plain),
            layers.Dense(2),
        ),
    )
    yield (
        "other_cells",
        chain(
            layers.GRU(3, reset_after=False, return_sequences=True, **plain),
            layers.LSTM(3, activation="softsign", recurrent_activation="hard_sigmoid", **plain),
        ),
    )
    yield (
        "masked",
        chain(layers.Masking(-1.0), layers.GRU(3, return_sequences=True, **plain), layers.Dense(2)),
    )
    yield (
        "tagger",
        chain(
            layers.Embedding(30, 3, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True, **plain)),
            layers.LayerNormalization(),
            layers.TimeDistributed(layers.Dense(4)),
            layers.Activation("softmax", dtype="float32"),
            shape=(6,),
            dtype="int32",
        ),
    )
    yield (
        "convolved",
        chain(
            layers.Conv1D(4, 3, padding="causal", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling1D(2),
            layers.LSTM(3, **plain),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax", dtype="float32"),
        ),
    )
    x = k.Input((6, 3), name="x")
    turned = layers.Bidirectional(layers.GRU(2, return_sequences=True, **plain), merge_mode="ave")
    y, z = layers.Dense(4)(x), turned(x)
    added = layers.Concatenate()([layers.Add()([y, layers.Dense(4)(z)]), z])
    yield "branches", k.Model(x, layers.GlobalAveragePooling1D()(added))
    x, s = k.Input((5, 2), name="x"), k.Input((4, 3), name="s")
    _, *states = layers.LSTM(3, return_state=True, **plain)(x)
    decoder = layers.LSTM(3, return_sequences=True, **plain)
    yield "translator", k.Model([x, s], decoder(s, initial_state=states))


def of_layers(k, policy):
    """Models in float32 with one layer of another policy, or two of different ones."""
    layers = k.layers
    own = {"dtype": policy}
    plain = {"recurrent_initializer": "glorot_uniform", **own}
    x = k.Input((6, 3), name="x")
    yield "one_lstm", k.Model(x, layers.Dense(2)(layers.LSTM(3, **plain)(layers.Dense(4)(x))))
    yield "one_dense", k.Model(x, layers.LSTM(3)(layers.Dense(4, **own)(x)))
    yield "one_norm", k.Model(x, layers.Dense(2)(layers.LayerNormalization(**own)(x)))
    yield "one_batch_norm", k.Model(x, layers.Dense(2)(layers.BatchNormalization(**own)(x)))
    yield "one_activation", k.Model(x, layers.Activation("tanh", **own)(layers.Dense(4)(x)))
    added = layers.Add(**own)([layers.Dense(4, dtype="float64")(x), layers.Dense(4)(x)])
    yield "one_sum", k.Model(x, [added, layers.Dense(2)(added)])
    tokens = k.Input((6,), name="x")
    yield "one_table", k.Model(tokens, layers.GRU(3)(layers.Embedding(3000, 3, **own)(tokens)))


def architectures(k, policies):
    """Each model by its name. Every policy is asked of Keras 3; it is Keras 2 that takes long."""
    old = k.__version__ < "3"
    for policy in policies:
        if not old or policy in ("float64", "mixed_float16"):
            k.mixed_precision.set_global_policy(policy)
            for name, model in (*of_a_policy(k), *families(k, policy, old)):
                yield f"{policy}-{name}", model
            k.mixed_precision.set_global_policy("float32")
        if not old or policy in ("mixed_float16", "bfloat16"):
            for name, model in of_layers(k, policy):
                yield f"{policy}-{name}", model


def families(k, policy, old):
    """Of each type and each way to have it, one; operations in turns in each half."""
    if policy in (("mixed_float16",) if old else ("float64", "float16", "mixed_bfloat16")):
        yield from of_families(k)
        yield from () if old else of_keras_3(k)
    if not old and policy in ("float16", "bfloat16") and k.backend.backend() == "tensorflow":
        yield from islice(of_operations(k, policy), policy == "bfloat16", None, 2)


def flat(outputs):
    """The tensors of nested lists, in order."""
    if isinstance(outputs, list | tuple):
        return [one for output in outputs for one in flat(output)]
    return [outputs]


def draw(generator, model):
    """Give a model other weights."""
    for weight in model.weights:
        if "int" not in str(weight.dtype):
            weight.assign(drawn(generator, weight))
    for layer in model.layers:
        if hasattr(layer, "adapt"):
            layer.finalize_state()


def drawn(generator, weight):
    """Size 1 over the root of the fan-in; vectors positive, as a variance must be."""
    shape = tuple(weight.shape)
    array = generator.normal(size=shape)
    array = np.abs(array) if len(shape) == 1 else array / np.sqrt(np.prod(shape[:-1]))
    return array if "64" in str(weight.dtype) else array.astype("float32")


def inputs(generator, tensor, name):
    """Numbers, with masked steps where the model masks some; or indices."""
    shape = (3, *(6 if size is None else size for size in tensor.shape[1:]))
    if "int" in str(tensor.dtype):
        return generator.integers(0, 4, shape).astype("int32")
    if name.endswith("table"):
        return generator.integers(0, 3000, shape).astype("float32")
    array = generator.normal(size=shape)
    if "bool" in str(tensor.dtype):
        if not name.startswith("q "):
            array[1] = -1  # nothing is left of this example
        return array > 0
    if name.endswith("masked"):
        array[0, 4:] = array[1, 2:4] = -1
        array[2, 0] = -1 + 1e-4  # -1 in half precision, and in float32 not
    elif len(shape) > 2 and shape[1] > 2:
        array[2, 0] *= 10
        array[2, 1] *= 1e-3
        array[2, 2] = 0
    return array.astype("float32")


def as_array(tensor):
    array = tensor.detach().cpu() if hasattr(tensor, "detach") else np.asarray(tensor)
    if hasattr(tensor, "detach"):
        array = array.float().numpy() if "bfloat16" in str(array.dtype) else array.numpy()
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def dtype_of(tensor):
    return getattr(tensor.dtype, "name", str(tensor.dtype).removeprefix("torch."))


def main(name: str, folder: Path) -> None:
    k = import_module(name)
    on_torch = name == "keras" and k.backend.backend() == "torch"
    generator = np.random.default_rng(5)
    for key, model in architectures(k, ("bfloat16", "mixed_float16") if on_torch else POLICIES):
        draw(generator, model)
        given = [inputs(generator, tensor, f"{tensor.name} of {key}") for tensor in model.inputs]
        path = folder / (f"{key}.keras" if name == "keras" else f"{key}.h5")
        model.save(path)
        if key.endswith("bins"):  # what a mixed Discretization is once it is saved
            model = k.saving.load_model(path)
        answers = flat(model(given if len(given) > 1 else given[0]))
        recorded = {f"in{i}": as_array(array) for i, array in enumerate(given)}
        recorded |= {f"out{i}": as_array(one) for i, one in enumerate(answers)}
        recorded["dtypes"] = [dtype_of(one) for one in answers]
        np.savez(folder / f"{key}.npz", **recorded)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
