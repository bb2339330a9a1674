"""Models with masks and initial states, and what Keras answers: run in a process of its own.

`python -m tests.masks.keras_masks keras|tf_keras FOLDER` saves each model and NAME.npz with its
inputs, its answers in float32, and in float64 those of the same weights.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

STEPS, FEATURES = 7, 3

MASKS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0, 0],  # right
        [0, 0, 1, 1, 1, 1, 1],  # left
        [0, 1, 0, 1, 1, 0, 1],  # holes
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
    ],
    bool,
)


def architectures(k):
    """Each model by its name; `k` is the module of Keras."""
    layers = k.layers

    def masked(*after, value=0.0):
        return k.Sequential([k.Input((STEPS, FEATURES), name="x"), layers.Masking(value), *after])

    def bidirectional(layer, **options):
        return layers.Bidirectional(layer, **options)

    yield "lstm_last", masked(layers.LSTM(4))
    yield "lstm_sequences", masked(layers.LSTM(4, return_sequences=True))
    yield "gru_sequences", masked(layers.GRU(4, return_sequences=True))
    yield "gru_before", masked(layers.GRU(4, return_sequences=True, reset_after=False))
    yield "rnn_last", masked(layers.SimpleRNN(4))
    yield "softsign", masked(layers.LSTM(4, activation="softsign", return_sequences=True))
    yield "stacked", masked(layers.LSTM(4, return_sequences=True), layers.GRU(3))
    yield "other_value", masked(layers.LSTM(4), value=0.1)
    zero = {"zero_output_for_mask": True}
    yield "zeros_sequences", masked(layers.LSTM(4, return_sequences=True, **zero))
    yield "zeros_last", masked(layers.GRU(4, **zero))
    yield "zeros_softsign", masked(layers.LSTM(4, activation="softsign", **zero))
    yield "backwards", masked(layers.LSTM(4, go_backwards=True, return_sequences=True))
    yield "backwards_last", masked(layers.GRU(4, go_backwards=True))
    yield "both_last", masked(bidirectional(layers.LSTM(4)))
    yield "both_sequences", masked(bidirectional(layers.GRU(4, return_sequences=True)))
    yield "both_sum", masked(bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum"))
    yield (
        "both_softsign",
        masked(bidirectional(layers.LSTM(4, activation="softsign", return_sequences=True))),
    )
    yield (
        "both_stacked",
        masked(
            bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.Dropout(0.5),
            bidirectional(layers.LSTM(3), merge_mode="ave"),
            layers.Dense(2),
        ),
    )
    yield (
        "two_cells",
        masked(
            bidirectional(
                layers.LSTM(4, return_sequences=True),
                backward_layer=layers.LSTM(
                    4, activation="softsign", go_backwards=True, return_sequences=True
                ),
            )
        ),
    )
    yield (
        "dense_between",
        masked(
            layers.Dense(4, activation="tanh"),
            layers.LayerNormalization(),
            layers.TimeDistributed(layers.Dense(3)),
            layers.LSTM(4),
        ),
    )
    yield "lost_in_a_convolution", masked(layers.Conv1D(4, 2), layers.LSTM(3))
    tokens = k.Input((None,), dtype="int32", name="tokens")
    embedded = layers.Embedding(9, 4, mask_zero=True, name="words")(tokens)
    tagged = bidirectional(layers.LSTM(3, return_sequences=True), name="both")(embedded)
    yield "tagger", k.Model(tokens, layers.Dense(2, activation="softmax")(tagged))
    x = k.Input((STEPS, FEATURES), name="x")
    kept = layers.Masking()(x)
    sequence = layers.LSTM(FEATURES, return_sequences=True)(kept)
    yield "residual", k.Model(x, layers.LSTM(2)(layers.Add()([kept, sequence])))
    yield "states", k.Model(x, layers.LSTM(4, return_sequences=True, return_state=True)(kept))
    h, c = k.Input((4,), name="h"), k.Input((4,), name="c")
    started = layers.LSTM(4, return_sequences=True, return_state=True)(kept, initial_state=[h, c])
    yield "started", k.Model([x, h, c], started)
    both = [k.Input((4,), name=name) for name in ("fh", "fc", "bh", "bc")]
    yield (
        "both_started",
        k.Model(
            [x, *both],
            bidirectional(layers.LSTM(4, return_state=True))(kept, initial_state=both),
        ),
    )
    source, target = k.Input((None, FEATURES), name="source"), k.Input((None, 2), name="target")
    _, *state = layers.LSTM(4, return_state=True)(layers.Masking()(source))
    yield (
        "translator",
        k.Model(
            [source, target],
            layers.Dense(3)(layers.LSTM(4, return_sequences=True)(target, initial_state=state)),
        ),
    )


def inputs(model, generator):
    """Inputs whose steps are masked as in MASKS."""
    arrays = []
    for tensor in model.inputs:
        name = tensor.name.split(":")[0]
        if name == "tokens":
            arrays.append(generator.integers(1, 9, MASKS.shape) * MASKS)
        elif name in ("x", "source"):
            value = (
                0.1
                if model.layers[0].name.startswith("masking")
                and (abs(model.layers[0].mask_value - 0.1) < 1e-6)
                else 0.0
            )
            drawn = generator.normal(size=(*MASKS.shape, FEATURES))
            arrays.append(np.where(MASKS[..., None], drawn, value).astype("float32"))
        else:
            shape = [STEPS if n is None else n for n in tensor.shape[1:]]
            arrays.append(generator.normal(size=(len(MASKS), *shape)).astype("float32"))
    return arrays


def main(name: str, folder: Path) -> None:
    k = import_module(name)
    generator = np.random.default_rng(5)
    models = dict(architectures(k))
    exact = {}
    if name == "keras":
        k.config.set_floatx("float64")
        k.config.set_dtype_policy("float64")
        exact = dict(architectures(k))
        k.config.set_floatx("float32")
        k.config.set_dtype_policy("float32")
    for key, model in models.items():
        arrays = [
            (generator.normal(size=array.shape) / np.sqrt(array.shape[0])).astype("float32")
            for array in model.get_weights()
        ]
        model.set_weights(arrays)
        given = inputs(model, generator)
        recorded = {f"in{i}": array for i, array in enumerate(given)}
        answers = model(given if len(given) > 1 else given[0])
        recorded |= {f"out{i}": np.asarray(one) for i, one in enumerate(listed(answers))}
        if key in exact:
            exact[key].set_weights(arrays)
            wide = [a if a.dtype.kind == "i" else a.astype("float64") for a in given]
            answers = exact[key](wide if len(wide) > 1 else wide[0])
            recorded |= {f"exact{i}": np.asarray(one) for i, one in enumerate(listed(answers))}
        np.savez(folder / f"{key}.npz", **recorded)
        model.save(folder / (f"{key}.keras" if name == "keras" else f"{key}.h5"))


def listed(answers):
    return answers if isinstance(answers, list | tuple) else [answers]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
