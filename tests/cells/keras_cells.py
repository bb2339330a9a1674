"""Cells and convolutional LSTMs, and what Keras answers: run in a process of its own.

`python -m tests.cells.keras_cells keras|tf_keras FOLDER` saves each model and NAME.npz with its
inputs, its answers in float32, and in float64 those of the same weights. Keras 3 on PyTorch is
asked for what TensorFlow cannot compute on a CPU.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np


def cells(k, shape=(5, 3)):
    """RNN of one cell, and of several."""
    layers = k.layers
    lstm, gru, rnn = layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell

    def of(cell, **options):
        return k.Sequential([k.Input(shape, name="x"), layers.RNN(cell, **options)])

    yield "one", of(lstm(4))
    yield "one_backwards", of(gru(4), go_backwards=True, return_sequences=True)
    yield "one_hard", of(lstm(4, recurrent_activation="hard_sigmoid", activation="softsign"))
    yield "one_before", of(gru(4, reset_after=False), return_sequences=True)
    yield "one_unrolled", of(rnn(4, use_bias=False), unroll=True)
    yield "two_alike", of([lstm(3), lstm(3)])
    yield "three", of([lstm(4), gru(2), rnn(3)], return_sequences=True)
    yield "three_backwards", of([lstm(4), gru(2), rnn(3)], go_backwards=True)
    yield "alone_in_a_stack", of([gru(3)], return_sequences=True)
    yield (
        "both",
        k.Sequential([k.Input(shape, name="x"), layers.Bidirectional(layers.RNN(lstm(3)))]),
    )
    x = k.Input(shape, name="x")
    states = [k.Input((n,), name=f"s{i}") for i, n in enumerate((3, 3, 2))]
    stack = layers.RNN([lstm(3), gru(2)], return_state=True, return_sequences=True)
    yield "states", k.Model(x, flat(layers.RNN([lstm(3), gru(2)], return_state=True)(x)))
    if k.__version__ >= "3":
        yield "two_of_one_name", of([lstm(3, name="cell"), lstm(3, name="cell")])
        nested = [states[:2], states[2]]
        yield "started", k.Model([x, *states], flat(stack(x, initial_state=nested)))
    twice = layers.RNN([rnn(3), rnn(3)], return_sequences=True)
    yield "called_twice", k.Model(x, twice(twice(x)))


def convolutional(k, shape=(4, 5, 4, 2)):
    """ConvLSTM, each setting alone."""
    layers = k.layers

    def of(*options, size=(2, 3), shape=shape, rank=2, **more):
        layer = getattr(layers, f"ConvLSTM{rank}D")(3, size, **more)
        return k.Sequential([k.Input(shape, name="x"), layer, *options])

    yield "valid", of()
    yield "same", of(padding="same", return_sequences=True)
    yield "strided", of(strides=2)
    yield "strided_same", of(strides=(2, 3), padding="same")
    yield "dilated", of(dilation_rate=(2, 1), return_sequences=True)
    yield "dilated_same", of(dilation_rate=2, padding="same")
    yield "no_bias", of(use_bias=False)
    yield "conv_backwards", of(go_backwards=True, return_sequences=True)
    yield "softsign", of(activation="softsign", recurrent_activation="tanh")
    yield "softmax", of(activation="softmax", padding="same")
    yield "hard", of(recurrent_activation="hard_sigmoid", size=3)
    yield "line", of(rank=1, size=2, shape=(4, 5, 2), padding="same", return_sequences=True)
    yield "line_strided", of(rank=1, size=3, shape=(4, 6, 2), strides=2)
    yield "room", of(rank=3, size=2, shape=(3, 3, 2, 4, 1), padding="same")
    yield "room_valid", of(rank=3, size=(1, 2, 2), shape=(3, 3, 2, 4, 1), return_sequences=True)
    x = k.Input(shape, name="x")
    started = [k.Input((5, 4, 3), name=name) for name in ("h", "c")]
    same = {"padding": "same", "return_state": True}
    yield "conv_states", k.Model(x, layers.ConvLSTM2D(3, 2, return_sequences=True, **same)(x))
    yield (
        "conv_started",
        k.Model([x, *started], layers.ConvLSTM2D(3, 2, **same)(x, initial_state=started)),
    )
    for merge in ("concat", "sum", "mul", "ave", None):
        both = layers.Bidirectional(
            layers.ConvLSTM2D(2, 2, return_sequences=merge != "concat"), merge_mode=merge
        )
        yield f"both_{merge}", k.Model(x, both(x))
    explicit = layers.Bidirectional(
        layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True),
        backward_layer=layers.ConvLSTM2D(
            2, 2, padding="same", return_sequences=True, go_backwards=True, activation="relu"
        ),
    )
    yield "both_explicit", k.Model(x, explicit(x))
    yield (
        "images",
        k.Sequential(
            [
                k.Input((4, 6, 6, 2), name="x"),
                layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu")),
                layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True),
                layers.BatchNormalization(),
                layers.TimeDistributed(layers.AveragePooling2D(2)),
                layers.ConvLSTM2D(2, 2, return_sequences=True),
                layers.Flatten(),
                layers.Dense(2),
            ]
        ),
    )
    yield (
        "steps_to_room",
        k.Sequential(
            [
                k.Input((4, 6, 6, 2), name="x"),
                layers.TimeDistributed(layers.Conv2D(4, 3)),
                layers.Conv3D(2, 2),
                layers.ConvLSTM2D(2, 2),
            ]
        ),
    )


def masked(k, shape=(4, 5, 4, 2)):
    """ConvLSTM with masks, of steps and of places, and with states that are kept."""
    layers = k.layers
    x, mask = k.Input(shape, name="x"), k.Input(shape[:1], dtype="bool", name="mask")
    h, c = (k.Input((4, 2, 3), name=name) for name in ("h", "c"))

    def two(layer, **options):
        return layers.Bidirectional(layer, **options)

    whole = {"return_sequences": True}
    for name, layer in {
        "last": layers.ConvLSTM2D(3, (2, 3)),
        "whole": layers.ConvLSTM2D(3, (2, 3), **whole),
        "backwards": layers.ConvLSTM2D(3, 2, go_backwards=True, **whole),
        "zeros": layers.ConvLSTM2D(3, 2, zero_output_for_mask=True, **whole),
        "zeros_last": layers.ConvLSTM2D(3, 2, zero_output_for_mask=True),
        "both": two(layers.ConvLSTM2D(3, 2)),
        "both_whole": two(layers.ConvLSTM2D(3, 2, **whole)),
        "both_sum": two(layers.ConvLSTM2D(3, 2, **whole), merge_mode="sum"),
        "both_states": two(layers.ConvLSTM2D(3, 2, return_state=True), merge_mode=None),
    }.items():
        yield f"masked_{name}", k.Model([x, mask], layer(x, mask=mask))
    started = layers.ConvLSTM2D(3, (2, 3), return_state=True)
    yield (
        "masked_started",
        k.Model([x, mask, h, c], started(x, mask=mask, initial_state=[h, c])),
    )
    marked = k.Input(shape, name="marked")
    kept = layers.Masking()(marked)
    same = {"padding": "same"}
    for name, layer in {
        "whole": layers.ConvLSTM2D(3, 2, **whole, **same),
        "last": layers.ConvLSTM2D(3, 2, zero_output_for_mask=True, **same),
        "both": two(layers.ConvLSTM2D(3, 2, **whole, **same)),
        "backwards": layers.ConvLSTM2D(3, 2, go_backwards=True, **whole, **same),
    }.items():
        yield f"places_{name}", k.Model(marked, layer(kept))
    again = layers.ConvLSTM2D(2, 2, **whole, **same)(kept)
    yield "places_stacked", k.Model(marked, layers.ConvLSTM2D(2, 2, **same)(again))
    always = k.Input(batch_shape=(3, *shape), name="x")
    now = k.Input(batch_shape=(3, shape[0]), dtype="bool", name="mask")
    keeps = {"stateful": True, **whole}
    yield "stream", k.Model(always, layers.ConvLSTM2D(3, 2, stateful=True, strides=2)(always))
    yield "stream_both", k.Model(always, two(layers.ConvLSTM2D(3, 2, **keeps))(always))
    yield (
        "stream_masked",
        k.Model([always, now], layers.ConvLSTM2D(3, 2, stateful=True)(always, mask=now)),
    )
    line = layers.ConvLSTM1D(3, 2, return_state=True, **keeps)
    stacked = layers.ConvLSTM1D(2, 2, go_backwards=True, **keeps)
    row = k.Input(batch_shape=(3, 4, 6, 2), name="x")
    sequence, *states = line(row)
    yield "stream_stacked", k.Model(row, [stacked(sequence), *states])


def channels_first(k, shape=(4, 2, 5, 4)):
    """ConvLSTM with the channels before the axes in space: TensorFlow has no such on a CPU."""
    layers = k.layers
    first = {"data_format": "channels_first"}
    whole = {"return_sequences": True, **first}

    def of(layer):
        return k.Sequential([k.Input(shape, name="x"), layer])

    yield "first", of(layers.ConvLSTM2D(3, (2, 3), **first))
    yield "first_same", of(layers.ConvLSTM2D(3, 2, padding="same", **whole))
    yield "first_both", of(layers.Bidirectional(layers.ConvLSTM2D(3, 2, **whole)))
    yield "first_both_last", of(layers.Bidirectional(layers.ConvLSTM2D(3, 2, **first)))
    x = k.Input(shape, name="x")
    stated = layers.ConvLSTM2D(3, 2, return_state=True, strides=2, **first)
    yield "first_states", k.Model(x, stated(x))
    mask = k.Input(shape[:1], dtype="bool", name="mask")
    yield "first_masked", k.Model([x, mask], layers.ConvLSTM2D(3, 2, **whole)(x, mask=mask))
    marked = k.Input(shape, name="marked")
    same = layers.ConvLSTM2D(2, 2, padding="same", zero_output_for_mask=True, **whole)
    yield "first_places", k.Model(marked, same(layers.Masking()(marked)))
    always = k.Input(batch_shape=(3, *shape), name="x")
    yield "stream_first", k.Model(always, layers.ConvLSTM2D(3, 2, stateful=True, **first)(always))


def architectures(k):
    """Each model by its name."""
    if k.__version__ >= "3" and k.backend.backend() == "torch":
        yield from channels_first(k)
    else:
        yield from cells(k)
        yield from convolutional(k)
        yield from masked(k)


MASKS = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)


def inputs(model, generator):
    """Of three examples: numbers, some of them marked as none, and masks of steps."""
    arrays = []
    for tensor in model.inputs:
        name = tensor.name.split(":")[0]
        array = generator.normal(size=(3, *tensor.shape[1:])).astype("float32")
        if name == "marked":  # where every number along the last axis is 0
            array *= generator.random(size=(*array.shape[:-1], 1)) < 0.7
        arrays.append(MASKS if name == "mask" else array)
    return arrays


def flat(outputs):
    """The tensors of nested lists, in order."""
    if isinstance(outputs, list | tuple):
        return [one for output in outputs for one in flat(output)]
    return [outputs]


def drawn(generator, shape):
    """Size 1 over the root of the fan-in; vectors positive, as a variance must be."""
    array = generator.normal(size=shape)
    array = np.abs(array) if len(shape) == 1 else array / np.sqrt(np.prod(shape[:-1]))
    return array.astype("float32")


def as_array(tensor):
    return tensor.detach().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def main(name: str, folder: Path) -> None:
    k = import_module(name)
    if name == "keras" and k.backend.backend() == "torch":
        # There, Keras multiplies float64 in float32: it takes 64 bits for TensorFlow's alone.
        dtypes = import_module("keras.src.backend.common.dtypes")
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    generator = np.random.default_rng(5)
    models = dict(architectures(k))
    exact = {}
    if name == "keras":
        k.config.set_dtype_policy("float64")
        exact = dict(architectures(k))
        k.config.set_dtype_policy("float32")
    for key, model in models.items():
        arrays = [drawn(generator, array.shape) for array in model.get_weights()]
        model.set_weights(arrays)
        if key in exact:
            exact[key].set_weights(arrays)
        recorded = {}
        for call in range(2 if key.startswith("stream") else 1):
            given = inputs(model, generator)
            recorded |= {f"{call}in{i}": array for i, array in enumerate(given)}
            answers = flat(model(given if len(given) > 1 else given[0]))
            recorded |= {f"{call}out{i}": as_array(one) for i, one in enumerate(answers)}
            if key in exact:
                wide = [a if a.dtype == bool else a.astype("float64") for a in given]
                answers = flat(exact[key](wide if len(wide) > 1 else wide[0]))
                recorded |= {f"{call}exact{i}": as_array(one) for i, one in enumerate(answers)}
        np.savez(folder / f"{key}.npz", **recorded)
        model.save(folder / (f"{key}.keras" if name == "keras" else f"{key}.h5"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
