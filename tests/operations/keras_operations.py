"""Ask one Keras about operations outside layers: a process of its own.

`python -m tests.operations.keras_operations keras FOLDER`, from the root of the project; "tf_keras"
asks Keras 2. Of each model it saves the file, random inputs, and its answers: in float32, and where
this Keras can compute it, in float64.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

B = (5, 4)
WEIGHTS = np.linspace(-1, 2, 4, dtype="float32")
PLACES = np.linspace(-1, 1, 20, dtype="float32").reshape(5, 4)


def keras_3(k: Any) -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """Each operation of Keras 3 by a name: a function of tensors, and their shapes."""
    o = k.ops
    two = [B, B]
    return {
        "add": (lambda a, b: a + b, two),
        "add_of_other_rank": (lambda a, b: a + o.mean(b, axis=0), [B, (4,)]),
        "add_number": (lambda a: a + 2, [B]),
        "number_minus": (lambda a: 1.5 - a, [B]),
        "minus": (lambda a, b: a - b, two),
        "times_constant": (lambda a: a * WEIGHTS, [B]),
        "times_tensor": (lambda a: o.multiply(a, o.convert_to_tensor(WEIGHTS)), [B]),
        "plus_places": (lambda a: a + PLACES, [B]),
        "by_number": (lambda a: a / 3, [B]),
        "number_by": (lambda a: 2 / (a * a + 1), [B]),
        "whole_quotient": (lambda a: a // 3, [("int32", 5)]),
        "remainder": (lambda a: a % 0.25, [B]),
        "power": (lambda a: a**3, [B]),
        "power_of_number": (lambda a: 2.5**a, [B]),
        "negative": (lambda a: -a, [B]),
        "absolute": (abs, [B]),
        "matmul": (lambda a, b: a @ b, [B, (4, 3)]),
        "matmul_constant": (lambda a: o.matmul(a, WEIGHTS[:, None]), [B]),
        "greater": (lambda a: o.cast(a > 0.2, "float32") * a, [B]),
        "not_greater": (lambda a, b: o.where(o.logical_not(a > b), a, b), two),
        "between": (lambda a: o.where((a > -0.5) & (a <= 0.5), a, 0.25), [B]),
        "either": (lambda a, b: o.where((a < b) | (a >= 1), 1.0, b), two),
        "one_of": (lambda a: o.cast(o.logical_xor(a < 0.5, a > -0.5), "float32"), [B]),
        "last": (lambda a: a[:, -1], [(None, 4)]),
        "new_axis": (lambda a: a[:, None] + a[:, :, None], [(4,)]),
        "some": (lambda a: a[:, 1:3], [B]),
        "every_other": (lambda a: a[:, ::2], [(None, 4)]),
        "all_but_last": (lambda a: a[:, :-1] - a[:, 1:], [(None, 4)]),
        "turned": (lambda a: a[:, ::-1], [(None, 4)]),
        "first_feature": (lambda a: a[..., 0], [B]),
        "exp": (o.exp, [B]),
        "log": (lambda a: o.log(o.square(a) + 1), [B]),
        "log1p": (lambda a: o.log1p(o.exp(a)), [B]),
        "expm1": (o.expm1, [B]),
        "sqrt": (lambda a: o.sqrt(abs(a)), [B]),
        "rsqrt": (lambda a: o.rsqrt(a * a + 0.1), [B]),
        "reciprocal": (lambda a: o.reciprocal(a * a + 0.1), [B]),
        "waves": (lambda a: o.concatenate([o.sin(a), o.cos(a)], axis=-1), [B]),
        "sign": (o.sign, [B]),
        "rounded": (lambda a: o.stack([o.floor(a), o.ceil(a), o.round(a)], axis=1), [B]),
        "maximum": (lambda a: o.maximum(a, 0.1), [B]),
        "minimum": (o.minimum, two),
        "clip": (lambda a: o.clip(a, -0.5, 1), [B]),
        "mean": (lambda a: o.mean(a, axis=1), [(None, 4)]),
        "mean_of_all": (lambda a: a - o.mean(a, axis=[1, 2], keepdims=True), [B]),
        "mean_of_batch": (lambda a: a - o.mean(a, axis=0), [B]),
        "mean_of_everything": (lambda a: o.mean(a) + a, [B]),
        "sum": (lambda a: o.sum(a, axis=-1), [B]),
        "largest": (lambda a: o.max(a, axis=1), [B]),
        "smallest": (lambda a: o.min(a, axis=1, keepdims=True), [B]),
        "product": (lambda a: o.prod(a, axis=1), [B]),
        "spread": (
            lambda a: (
                (a - o.mean(a, axis=-1, keepdims=True)) / (o.std(a, axis=-1, keepdims=True) + 0.1)
            ),
            [B],
        ),
        "variance": (lambda a: o.var(a, axis=1), [B]),
        "logsumexp": (lambda a: o.logsumexp(a, axis=1), [B]),
        "any": (lambda a: o.cast(o.any(a > 1, axis=1), "float32"), [B]),
        "all": (lambda a: o.cast(o.all(a > -1, axis=1), "float32"), [B]),
        "argmax": (lambda a: o.argmax(a, axis=1), [B]),
        "argmin_one_hot": (lambda a: o.one_hot(o.argmin(a, axis=-1), 4), [B]),
        "expand": (lambda a: o.expand_dims(a, 1), [B]),
        "expand_last": (lambda a: o.expand_dims(a, -1), [B]),
        "squeeze": (lambda a: o.squeeze(a, 1), [(1, 4)]),
        "reshape": (lambda a: o.reshape(a, (-1, 20)), [B]),
        "reshape_steps": (lambda a: o.reshape(a, (-1, 4)), [(None, 4)]),
        "reshape_pairs": (lambda a: o.reshape(a, (-1, 5, 2, 2)), [B]),
        "transpose": (lambda a: o.transpose(a, (0, 2, 1)), [B]),
        "batch_last": (o.transpose, [B]),
        "swapaxes": (lambda a: o.swapaxes(a, 1, 2), [B]),
        "moveaxis": (lambda a: o.moveaxis(a, 1, -1), [(2, 3, 4)]),
        "flip": (lambda a: o.flip(a, axis=1), [B]),
        "roll": (lambda a: o.roll(a, 2, axis=1), [B]),
        "cumsum": (lambda a: o.cumsum(a, axis=1), [B]),
        "repeat": (lambda a: o.repeat(a, 2, axis=1), [B]),
        "tile": (lambda a: o.tile(a, (1, 2, 1)), [B]),
        "concatenate": (lambda a, b: o.concatenate([a, b], axis=1), two),
        "stack": (lambda a, b: o.stack([a, b], axis=1), two),
        "split": (lambda a: o.split(a, 2, axis=-1)[::-1], [B]),
        "split_at": (lambda a: o.split(a, [1, 3], axis=-1), [B]),
        "unstack": (lambda a: o.unstack(a, axis=1)[0] - o.unstack(a, axis=1)[4], [B]),
        "einsum": (lambda a, b: o.einsum("bij,bkj->bik", a, b), two),
        "tensordot": (lambda a: o.tensordot(a, PLACES, axes=[[1, 2], [0, 1]]), [B]),
        "dot": (lambda a: o.dot(a, PLACES), [(3, 5)]),
        "zeros": (lambda a: o.zeros_like(a) + a, [B]),
        "ones": (lambda a: o.ones_like(a) - a, [B]),
        "softmax": (lambda a: o.softmax(a, axis=1), [B]),
        "activations": (lambda a: o.relu(o.tanh(a)) * o.sigmoid(a) + o.silu(a), [B]),
        "shrunk": (lambda a: o.elu(a, alpha=0.5) + o.hard_sigmoid(a), [B]),
        "to_whole": (lambda a: o.cast(a * 3, "int32") * 2 + 1, [B]),
        "of_whole": (lambda a: o.cast(a, "float32") / 2 + a, [("int32", 5)]),
        "mean_of_whole": (lambda a: o.mean(a, axis=1), [("int32", 5)]),
        "shifted_indices": (lambda a: k.layers.Embedding(9, 3)(a[:, 1:]), [("int32", 5)]),
    }


def tensorflow(tf: Any, k: Any) -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """Each function of TensorFlow that tf.keras writes down."""
    two = [B, B]
    return {
        "add": (lambda a, b: a + b, two),
        "add_of_other_rank": (lambda a, b: tf.add(a, tf.reduce_mean(b, 0)), [B, (4,)]),
        "add_number": (lambda a: a + 2, [B]),
        "number_minus": (lambda a: 1.5 - a, [B]),
        "minus": (lambda a, b: a - b, two),
        "times_constant": (lambda a: a * WEIGHTS, [B]),
        "constant_times": (lambda a: tf.constant(WEIGHTS) * a, [B]),
        "plus_places": (lambda a: a + PLACES, [B]),
        "by_number": (lambda a: a / 3, [B]),
        "number_by": (lambda a: 2 / (a * a + 1), [B]),
        "whole_quotient": (lambda a: a // 3, [("int32", 5)]),
        "remainder": (lambda a: a % 0.25, [B]),
        "power": (lambda a: a**3, [B]),
        "power_of_number": (lambda a: 2.5**a, [B]),
        "negative": (lambda a: -a, [B]),
        "absolute": (abs, [B]),
        "matmul": (lambda a, b: a @ b, [B, (4, 3)]),
        "matmul_transposed": (lambda a, b: tf.matmul(a, b, transpose_b=True), two),
        "greater": (lambda a: tf.cast(a > 0.2, "float32") * a, [B]),
        "not_greater": (lambda a, b: tf.where(tf.logical_not(a > b), a, b), two),
        "between": (lambda a: tf.where((a > -0.5) & (a <= 0.5), a, 0.25), [B]),
        "last": (lambda a: a[:, -1], [(None, 4)]),
        "last_whole": (lambda a: a[:, -1, :], [(None, 4)]),
        "new_axis": (lambda a: a[:, None] + a[:, :, None], [(4,)]),
        "some": (lambda a: a[:, 1:3], [B]),
        "every_other": (lambda a: a[:, ::2], [(None, 4)]),
        "all_but_last": (lambda a: a[:, :-1] - a[:, 1:], [(None, 4)]),
        "turned": (lambda a: a[:, ::-1], [(None, 4)]),
        "first_feature": (lambda a: a[..., 0], [B]),
        "exp": (tf.exp, [B]),
        "log": (lambda a: tf.math.log(tf.square(a) + 1), [B]),
        "sqrt": (lambda a: tf.sqrt(abs(a)), [B]),
        "rsqrt": (lambda a: tf.math.rsqrt(a * a + 0.1), [B]),
        "waves": (lambda a: tf.concat([tf.sin(a), tf.cos(a)], axis=-1), [B]),
        "rounded": (lambda a: tf.stack([tf.floor(a), tf.math.ceil(a), tf.round(a)], axis=1), [B]),
        "maximum": (lambda a: tf.maximum(a, 0.1), [B]),
        "minimum": (tf.minimum, two),
        "clip": (lambda a: tf.clip_by_value(a, -0.5, 1), [B]),
        "mean": (lambda a: tf.reduce_mean(a, axis=1), [(None, 4)]),
        "mean_of_all": (lambda a: a - tf.reduce_mean(a, axis=[1, 2], keepdims=True), [B]),
        "mean_of_batch": (lambda a: a - tf.reduce_mean(a, axis=0), [B]),
        "mean_of_everything": (lambda a: tf.reduce_mean(a) + a, [B]),
        "sum": (lambda a: k.backend.sum(a, axis=-1), [B]),
        "largest": (lambda a: tf.reduce_max(a, axis=1), [B]),
        "smallest": (lambda a: tf.reduce_min(a, axis=1, keepdims=True), [B]),
        "product": (lambda a: tf.reduce_prod(a, axis=1), [B]),
        "spread": (lambda a: tf.math.reduce_std(a, axis=1), [B]),
        "variance": (lambda a: tf.math.reduce_variance(a, axis=1), [B]),
        "logsumexp": (lambda a: tf.reduce_logsumexp(a, axis=1), [B]),
        "any": (lambda a: tf.cast(tf.reduce_any(a > 1, axis=1), "float32"), [B]),
        "argmax": (lambda a: tf.argmax(a, axis=1), [B]),
        "argmax_of_32_bits": (lambda a: tf.argmax(a, -1, output_type=tf.int32), [B]),
        "one_hot": (lambda a: tf.one_hot(a, 4), [("int32", 5)]),
        "expand": (lambda a: tf.expand_dims(a, 1), [B]),
        "squeeze": (lambda a: tf.squeeze(a, 1), [(1, 4)]),
        "reshape": (lambda a: tf.reshape(a, (-1, 20)), [B]),
        "reshape_steps": (lambda a: tf.reshape(a, (-1, 4)), [(None, 4)]),
        "transpose": (lambda a: tf.transpose(a, (0, 2, 1)), [B]),
        "batch_last": (tf.transpose, [B]),
        "flip": (lambda a: tf.reverse(a, axis=[1]), [B]),
        "roll": (lambda a: tf.roll(a, 2, axis=1), [B]),
        "repeat": (lambda a: tf.repeat(a, 2, axis=1), [B]),
        "repeat_elements": (lambda a: k.backend.repeat_elements(a, 2, 1), [B]),
        "tile": (lambda a: tf.tile(a, (1, 2, 1)), [B]),
        "concatenate": (lambda a, b: tf.concat([a, b], axis=1), two),
        "stack": (lambda a, b: tf.stack([a, b], axis=1), two),
        "split": (lambda a: tf.split(a, 2, axis=-1)[::-1], [B]),
        "split_at": (lambda a: tf.split(a, [1, 2, 1], axis=-1), [B]),
        "unstack": (lambda a: tf.unstack(a, axis=1)[0] - tf.unstack(a, axis=1)[4], [B]),
        "tensordot": (lambda a: tf.tensordot(a, PLACES, [[1, 2], [0, 1]]), [B]),
        "batch_dot": (lambda a, b: k.backend.batch_dot(a, b, axes=(2, 1)), [B, (4, 3)]),
        "softmax": (lambda a: tf.nn.softmax(a, axis=1), [B]),
        "activations": (lambda a: tf.nn.relu(tf.tanh(a)) * tf.sigmoid(a) + tf.nn.silu(a), [B]),
        "shrunk": (lambda a: tf.nn.leaky_relu(a) + tf.nn.elu(a) + tf.nn.gelu(a), [B]),
        "to_whole": (lambda a: tf.cast(a * 3, "int32") * 2 + 1, [B]),
        "shifted_indices": (lambda a: k.layers.Embedding(9, 3)(a[:, 1:]), [("int32", 5)]),
    }


def around(k: Any, o: Any) -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """Operations between recurrent layers; `o` has the names of Keras 3."""
    layers = k.layers
    whole = {"return_sequences": True}

    def attention(a: Any) -> Any:
        """By hand: the last state asks, every step answers."""
        sequence = layers.LSTM(4, **whole)(a)
        query = sequence[:, -1]
        scores = o.softmax(o.matmul(sequence, o.expand_dims(query, -1)) / 2.0, axis=1)
        return layers.Dense(2)(o.sum(sequence * scores, axis=1))

    def decoder(a: Any) -> Any:
        """A state is repeated by an addition that broadcasts, and given to a decoder."""
        _, h, c = layers.LSTM(4, return_state=True)(a)
        steps = o.zeros_like(a) + h[:, None]
        return layers.LSTM(4, **whole)(steps, initial_state=[h * 0.5, o.tanh(c)])

    def residual(a: Any) -> Any:
        b = layers.GRU(4, **whole)(a) + a
        return layers.GRU(4, **whole)(b) * 0.5 + b

    def halves(a: Any) -> Any:
        """A gated linear unit of its own."""
        value, gate = o.split(layers.LSTM(6, **whole)(a), 2, axis=-1)
        return o.mean(value * o.sigmoid(gate), axis=1)

    def nested(a: Any) -> Any:
        x = k.Input((None, 4))
        inner = k.Model(x, layers.SimpleRNN(4, **whole)(x * 2.0)[:, -1] + 0.5)
        return inner(a) * inner(a * WEIGHTS)

    def shared(a: Any, b: Any) -> Any:
        lstm = layers.LSTM(3)
        return o.stack([lstm(a), lstm(b - 1.0)], axis=1)

    def each_step(a: Any) -> Any:
        x = k.Input((3, 4))
        return layers.TimeDistributed(k.Model(x, layers.Dense(2)(x[:, -1] * 3.0)))(a)

    def masked(a: Any) -> Any:
        """No operation passes a mask: the second layer reads every step."""
        x = layers.Embedding(9, 4, mask_zero=True)(a)
        x = layers.LSTM(4, **whole)(x)
        return layers.LSTM(3)(x * 2.0), layers.LSTM(3)(x)

    def cast_masked(a: Any) -> Any:
        """A cast that changes nothing gives the same tensor, with its mask."""
        x = layers.Embedding(9, 4, mask_zero=True)(a)
        return layers.LSTM(3)(o.cast(x, k.backend.floatx()))

    def mask_by_hand(a: Any, b: Any) -> Any:
        """A comparison that is a mask, and another that is a number as well."""
        kept = b > 0.5
        steps = o.cast(kept, k.backend.floatx())
        x = layers.LSTM(3, return_sequences=True)(a, mask=kept)
        return x * o.expand_dims(steps, -1)

    def convolved(a: Any) -> Any:
        """The channels of a convolution are elsewhere in PyTorch."""
        x = layers.Conv1D(6, 2, activation="relu")(a)
        y = layers.Conv1D(6, 2, padding="same")(x) + x
        return layers.LSTM(2)(y - o.mean(y, axis=1, keepdims=True)), y[:, 0]

    free = (None, 4)
    return {
        "attention": (attention, [free]),
        "decoder": (decoder, [free]),
        "residual": (residual, [free]),
        "halves": (halves, [free]),
        "nested": (nested, [free]),
        "shared": (shared, [free, free]),
        "each_step": (each_step, [(5, 3, 4)]),
        "masked": (masked, [("int32", 6)]),
        "cast_masked": (cast_masked, [("int32", 6)]),
        "mask_by_hand": (mask_by_hand, [free, (None,)]),
        "convolved": (convolved, [(7, 4)]),
    }


class Names:
    """TensorFlow's functions by the names of Keras 3."""

    def __init__(self, tf: Any) -> None:
        self.softmax, self.sigmoid, self.tanh = tf.nn.softmax, tf.sigmoid, tf.tanh
        self.matmul, self.expand_dims, self.zeros_like = tf.matmul, tf.expand_dims, tf.zeros_like
        self.sum, self.mean = tf.reduce_sum, tf.reduce_mean
        self.split, self.stack, self.cast = tf.split, tf.stack, tf.cast


def unread(k: Any) -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """What a Keras writes, and nobody reads."""
    if k.__version__ >= "3":
        o = k.ops
        return {
            "cumprod": (lambda a: o.cumprod(a, axis=1), [B]),
            "norm": (lambda a: o.norm(a, axis=1), [B]),
            "quotient_of_floats": (lambda a: a // 0.5, [B]),
            "sum_of_bool": (lambda a: o.sum(a > 0, axis=1), [B]),
            "backwards_by_two": (lambda a: a[:, ::-2], [B]),
            "index_of_all": (lambda a: o.argmax(a), [B]),
            "largest_from": (lambda a: o.max(a, axis=1, initial=0.0), [B]),
            "trace": (lambda a: o.einsum("bii->bi", a), [(4, 4)]),
            "two_kinds_of_whole": (lambda a: o.cast(a, "int64") + a, [("int32", 5)]),
            "batch_of_each_step": (_batch_of_each_step(k), [(5, 3, 4)]),
        }
    tf = import_module("tensorflow")
    return {
        "cumsum": (lambda a: tf.cumsum(a, axis=1), [B]),
        "equal": (lambda a: tf.cast(a == 0, "float32"), [B]),
        "einsum": (lambda a, b: tf.einsum("bij,bkj->bik", a, b), [B, B]),
        "quotient_of_whole": (lambda a: a / 2, [("int32", 5)]),
        "mean_of_whole": (lambda a: tf.reduce_mean(a, axis=1), [("int32", 5)]),
        "shape": (lambda a: tf.reshape(a, (tf.shape(a)[0], tf.shape(a)[1] * 4)), [(None, 4)]),
        "cut_by_a_tensor": (lambda a: a[:, : tf.shape(a)[1] - 1], [(None, 4)]),
    }


def _batch_of_each_step(k: Any) -> Callable[[Any], Any]:
    def build(a: Any) -> Any:
        x = k.Input((3, 4))
        return k.layers.TimeDistributed(k.Model(x, x - k.ops.mean(x, axis=0)))(a)

    return build


def cases(k: Any) -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    """Every model of this Keras."""
    if k.__version__ >= "3":
        return keras_3(k) | around(k, k.ops)
    tf = import_module("tensorflow")
    return tensorflow(tf, k) | around(k, Names(tf))


def built(k: Any, function: Callable[..., Any], shapes: list[Any]) -> Any:
    inputs = []
    for name, shape in zip("ab", shapes, strict=False):
        dtype = "int32" if shape[0] == "int32" else None
        inputs.append(k.Input(shape[1:] if dtype else shape, name=name, dtype=dtype))
    return k.Model(inputs if len(inputs) > 1 else inputs[0], function(*inputs))


def flat(outputs: Any) -> list[Any]:
    """The tensors of nested lists, in order."""
    if isinstance(outputs, list | tuple):
        return [one for output in outputs for one in flat(output)]
    return [outputs]


def given(generator: np.random.Generator, shapes: list[Any]) -> list[np.ndarray]:
    """A batch of three; a free axis is six long."""
    arrays = []
    for shape in shapes:
        whole = shape[0] == "int32"
        sizes = (3, *(6 if size is None else size for size in shape[whole:]))
        array = generator.integers(0, 4, sizes) if whole else generator.normal(size=sizes)
        arrays.append(array.astype("int32" if whole else "float32"))
    return arrays


def answers(model: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    found = model(arrays if len(arrays) > 1 else arrays[0])
    return [np.asarray(one) for one in flat(found)]


def in_float64(k: Any, key: str, model: Any, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The answers of the same model in float64."""
    k.config.set_floatx("float64")
    k.config.set_dtype_policy("float64")
    exact = built(k, *cases(k)[key])
    exact.set_weights(model.get_weights())
    wide = [one.astype("float64") if one.dtype.kind == "f" else one for one in arrays]
    found = answers(exact, wide)
    k.config.set_floatx("float32")
    k.config.set_dtype_policy("float32")
    return {f"exact{i}": one for i, one in enumerate(found)}


def main(name: str, folder: Path) -> None:
    k = import_module(name)
    suffix = "keras" if name == "keras" else "h5"
    generator = np.random.default_rng(7)
    models = {key: built(k, *case) for key, case in cases(k).items()}
    for key, model in models.items():
        weights = [generator.normal(0, 0.5, one.shape) for one in model.get_weights()]
        model.set_weights([one.astype("float32") for one in weights])
        arrays = given(generator, cases(k)[key][1])
        recorded = {f"in{i}": array for i, array in enumerate(arrays)}
        recorded |= {f"out{i}": one for i, one in enumerate(answers(model, arrays))}
        if name == "keras":
            recorded |= in_float64(k, key, model, arrays)
        np.savez(folder / f"{key}.npz", **recorded)
        model.save(folder / f"{key}.{suffix}")
        if name == "keras":  # which does not open these itself
            (folder / "hdf5").mkdir(exist_ok=True)
            model.save(folder / "hdf5" / f"{key}.h5")
    (folder / "unread").mkdir()
    for key, case in unread(k).items():
        built(k, *case).save(folder / "unread" / f"{key}.{suffix}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
