"""Recurrent layers in training, and what Keras drops: run in a process of its own.

`python -m tests.dropout.keras_dropout keras|tf_keras FOLDER` saves each model and NAME.npz with its
input, its answer in training in float64, and every mask that Keras drew for it, in that order.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

RATE, STATE_RATE = 0.4, 0.3


def architectures(k):
    """Each model by its name."""
    layers = k.layers

    def of(*own, shape=(5, 3)):
        return k.Sequential([k.Input(shape, name="x"), *own])

    both = {"dropout": RATE, "recurrent_dropout": STATE_RATE}
    whole = {"return_sequences": True}
    yield "lstm_input", of(layers.LSTM(4, dropout=RATE, **whole))
    yield "gru_input", of(layers.GRU(4, dropout=RATE, go_backwards=True))
    yield "rnn_input", of(layers.SimpleRNN(4, dropout=RATE))
    yield "lstm_state", of(layers.LSTM(4, recurrent_dropout=STATE_RATE))
    yield "lstm", of(layers.LSTM(4, **both, **whole))
    yield "gru", of(layers.GRU(4, **both, **whole))
    yield "gru_before", of(layers.GRU(4, reset_after=False, **both, **whole))
    yield "rnn", of(layers.SimpleRNN(4, **both, **whole))
    yield "rnn_relu", of(layers.SimpleRNN(4, activation="relu", **both))
    hard = {"recurrent_activation": "hard_sigmoid", "activation": "softsign"}
    yield "lstm_hard", of(layers.LSTM(4, **hard, **both))
    yield "lstm_hard_input", of(layers.LSTM(4, **hard, dropout=RATE))
    yield "gru_hard", of(layers.GRU(4, **hard, **both))
    yield "no_bias", of(layers.LSTM(4, use_bias=False, dropout=RATE))
    yield "both_input", of(layers.Bidirectional(layers.LSTM(4, dropout=RATE, **whole)))
    yield "both", of(layers.Bidirectional(layers.GRU(4, **both), merge_mode="sum"))
    yield "masked", of(layers.Masking(), layers.LSTM(4, **both, **whole))
    yield "masked_input", of(layers.Masking(), layers.GRU(4, dropout=RATE))
    yield "masked_both", of(layers.Masking(), layers.Bidirectional(layers.LSTM(4, **both)))
    yield "cell", of(layers.RNN(layers.LSTMCell(4, **both), **whole))
    yield "cell_input", of(layers.RNN(layers.GRUCell(4, dropout=RATE)))
    images = {"shape": (3, 4, 5, 2)}
    yield "conv", of(layers.ConvLSTM2D(3, 2, padding="same", **both, **whole), **images)
    yield "conv_input", of(layers.ConvLSTM2D(3, (2, 3), strides=2, dropout=RATE), **images)
    yield "conv_state", of(layers.ConvLSTM1D(3, 2, recurrent_dropout=STATE_RATE), shape=(3, 4, 2))
    yield "conv_both", of(layers.Bidirectional(layers.ConvLSTM2D(3, 2, **both)), **images)
    if k.__name__ == "tf_keras":
        yield "one_by_one", of(layers.LSTM(4, dropout=RATE, implementation=1, unroll=True))
        yield "one_by_one_gru", of(layers.GRU(4, dropout=RATE, implementation=1, unroll=True))


def record(k, drawn, generator):
    """Let Keras draw by `generator`, and keep what is drawn."""

    def draw(ones, rate, *_, **__):
        kept = generator.random(tuple(ones.shape)) >= rate
        drawn.append(kept / (1 - rate))
        return ones * drawn[-1]

    if k.__name__ == "tf_keras":
        generators = import_module("tf_keras.src.backend").RandomGenerator
        generators.dropout = lambda _, ones, rate, *rest: draw(ones, rate)
    else:
        import_module("keras.src.backend").random.dropout = draw


def wide(k, dtype):
    """From now on in this type."""
    k.backend.set_floatx(dtype)
    if k.__name__ == "keras":
        k.config.set_dtype_policy(dtype)


def main(name: str, folder: Path) -> None:
    k = import_module(name)
    wide(k, "float64")
    drawn: list[np.ndarray] = []
    generator = np.random.default_rng(3)
    record(k, drawn, generator)
    trained, quiet = dict(architectures(k)), dict(architectures(k))
    wide(k, "float32")
    saved = dict(architectures(k))
    wide(k, "float64")
    for key, model in trained.items():
        shapes = [one.shape for one in model.get_weights()]
        weights = [generator.normal(size=shape).astype("float32") for shape in shapes]
        # tf.keras keeps the masks of a convolutional LSTM from one call to the next.
        for one in (model, quiet[key], saved[key]):
            one.set_weights(weights)
        x = generator.normal(size=(3, *model.input_shape[1:]))
        if key.startswith("masked"):
            x *= np.array([[1, 1, 0, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])[..., None]
        drawn.clear()
        answer = np.asarray(model(x, training=True))
        masks = {f"mask{i}": one for i, one in enumerate(drawn)}
        calm = np.asarray(quiet[key](x))
        np.savez(folder / f"{key}.npz", x=x, answer=answer, quiet=calm, **masks)
        saved[key].save(folder / (f"{key}.keras" if name == "keras" else f"{key}.h5"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
