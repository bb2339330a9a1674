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
    yield "mean", masked(layers.Dense(4), layers.GlobalAveragePooling1D())
    yield "unrolled", masked(layers.LSTM(4, return_sequences=True, unroll=True))
    unrolled = {"return_sequences": True, "unroll": True}
    yield "unrolled_zeros", masked(layers.GRU(4, go_backwards=True, **unrolled, **zero))
    yield "both_unrolled", masked(bidirectional(layers.LSTM(4, **unrolled)))

    def cells(**options):
        return layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], **options)

    whole = {"return_sequences": True}
    yield "cells_backwards", masked(cells(go_backwards=True))
    yield "cells_backwards_zeros", masked(cells(go_backwards=True, **whole, **zero))
    yield (
        "both_cells",
        masked(bidirectional(cells(**whole), merge_mode="mul"), layers.LSTM(2)),
    )
    yield "both_cells_last", masked(bidirectional(cells()))
    yield (
        "both_cells_unrolled",
        masked(bidirectional(cells(**unrolled), merge_mode="sum")),
    )
    yield (
        "backwards_zeros",
        masked(layers.GRU(4, go_backwards=True, return_sequences=True, **zero)),
    )
    yield "both_multiplied", masked(bidirectional(layers.SimpleRNN(4), merge_mode="mul"))
    yield (
        "both_last_of_two_cells",
        masked(
            bidirectional(
                layers.GRU(4), backward_layer=layers.GRU(4, reset_after=False, go_backwards=True)
            )
        ),
    )
    tokens = k.Input((None,), dtype="int32", name="tokens")
    embedded = layers.Embedding(9, 4, mask_zero=True, name="words")(tokens)
    tagged = bidirectional(layers.LSTM(3, return_sequences=True), name="both")(embedded)
    yield "tagger", k.Model(tokens, layers.Dense(2, activation="softmax")(tagged))
    x = k.Input((STEPS, FEATURES), name="x")
    kept = layers.Masking()(x)
    separate = bidirectional(layers.GRU(4, return_sequences=True), merge_mode=None)
    yield "both_separate", k.Model(x, separate(kept))
    sequence = layers.LSTM(FEATURES, return_sequences=True)(kept)
    yield "residual", k.Model(x, layers.LSTM(2)(layers.Add()([kept, sequence])))
    y = k.Input((STEPS, FEATURES), name="y")
    other = layers.Masking()(y)
    for kind in ("Add", "Subtract", "Average", "Multiply", "Maximum", "Minimum"):
        merged = getattr(layers, kind)()([kept, layers.Dense(FEATURES)(other)])
        yield f"merged_by_{kind.lower()}", k.Model([x, y], [merged, layers.GRU(2)(merged)])
        merged = getattr(layers, kind)()([layers.Dense(FEATURES)(x), other])
        yield f"merged_by_{kind.lower()}_one", k.Model([x, y], [merged, layers.GRU(2)(merged)])
    merged = layers.Multiply()([kept, other, layers.Dense(FEATURES)(kept)])
    yield "merged_three", k.Model([x, y], [merged, layers.GRU(2)(merged)])
    merged = layers.Maximum()([kept, other, layers.Dense(FEATURES)(kept)])
    yield "merged_three_extreme", k.Model([x, y], [merged, layers.GRU(2)(merged)])
    joined = layers.Concatenate()([kept, other])
    yield "joined_features", k.Model([x, y], layers.GRU(2)(joined))
    joined = layers.Concatenate(axis=1)([kept, other])
    yield "joined_steps", k.Model([x, y], layers.GRU(2, return_sequences=True)(joined))
    joined = layers.Concatenate()([kept, layers.Dense(2)(y)])
    yield "joined_with_unmasked", k.Model([x, y], layers.GRU(2)(joined))
    inner = k.Sequential([k.Input((STEPS, FEATURES)), layers.Dense(3), layers.Dropout(0.5)])
    yield "through_a_model", k.Model(x, layers.LSTM(2)(inner(kept)))
    z = k.Input((STEPS, FEATURES))
    inner = k.Model(z, layers.Dense(2)(layers.Masking()(z)))
    yield "out_of_a_model", k.Model(x, layers.LSTM(2)(inner(x)))
    inner = k.Sequential([k.Input((STEPS, FEATURES)), layers.LSTM(2, return_sequences=True)])
    yield "in_a_model", k.Model(x, layers.LSTM(2)(inner(kept)))
    mask = k.Input((STEPS,), dtype="bool", name="mask")
    stated = layers.LSTM(4, return_sequences=True)(x, mask=mask)
    yield "given", k.Model([x, mask], layers.GRU(2)(stated))
    twice = layers.LSTM(FEATURES, return_sequences=True)
    yield "shared", k.Model(x, layers.LSTM(2)(twice(twice(kept))))
    pages = k.Input((3, STEPS), dtype="int32", name="pages")
    words = k.Input((STEPS,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True)(words)
    encoder = k.Model(words, bidirectional(layers.LSTM(2))(embedded))
    each = layers.TimeDistributed(encoder)(pages)
    yield "hierarchy", k.Model(pages, bidirectional(layers.GRU(3))(each))
    embedded = layers.Embedding(9, 4, mask_zero=True)(pages)
    each = layers.TimeDistributed(layers.LSTM(2))(embedded)
    yield "each_page", k.Model(pages, layers.Dense(2)(each))
    mean = layers.TimeDistributed(layers.GlobalAveragePooling1D())(embedded)
    yield "mean_of_each_page", k.Model(pages, layers.Dense(2)(mean))
    in_time = k.Input((None,), dtype="int32", name="tokens")  # (time, batch)
    embedded_in_time = layers.Embedding(9, 4, mask_zero=True)(in_time)
    if k.__name__ != "keras":  # Keras 3 would hand on the mask of the words, and then fail
        yield "pages", k.Model(pages, layers.LSTM(2)(each))
        major = layers.GRU(4, time_major=True, return_sequences=True)(embedded_in_time)
        yield "time_major", k.Model(in_time, layers.LSTM(3, time_major=True)(major))
        both = bidirectional(layers.LSTM(4, time_major=True))(embedded_in_time)
        yield "time_major_both", k.Model(in_time, both)
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


def stateful(k):
    """Models that go on where the last batch ended, each by its name."""
    layers = k.layers

    def stream(*after):
        return k.Sequential([k.Input(batch_shape=(len(MASKS), None, FEATURES), name="x"), *after])

    def bidirectional(layer, **options):
        return layers.Bidirectional(layer, **options)

    yield "stream", stream(layers.LSTM(4, stateful=True), layers.Dense(2))
    yield (
        "stream_stacked",
        stream(
            layers.GRU(4, stateful=True, return_sequences=True),
            layers.SimpleRNN(3, stateful=True, return_sequences=True, activation="softsign"),
        ),
    )
    yield "stream_both", stream(bidirectional(layers.LSTM(4, stateful=True)))
    yield (
        "stream_masked",
        stream(layers.Masking(), layers.LSTM(4, stateful=True, return_sequences=True)),
    )
    yield (
        "stream_masked_both",
        stream(layers.Masking(), bidirectional(layers.GRU(4, stateful=True))),
    )
    yield "stream_backwards", stream(layers.GRU(4, stateful=True, go_backwards=True))
    backwards = layers.LSTM(4, stateful=True, activation="softsign", go_backwards=True)
    yield (
        "stream_two_cells",
        stream(bidirectional(layers.LSTM(4, stateful=True), backward_layer=backwards)),
    )


def inputs(model, generator):
    """Inputs whose steps are masked as in MASKS."""
    arrays = []
    for tensor in model.inputs:
        name = tensor.name.split(":")[0]
        if name == "tokens":
            arrays.append(generator.integers(1, 9, MASKS.shape) * MASKS)
        elif name == "pages":
            pages = np.stack([MASKS, MASKS[::-1], MASKS[[4, 2, 5, 0, 4, 1]]], 1)
            arrays.append(generator.integers(1, 9, pages.shape) * pages)
        elif name == "mask":
            arrays.append(MASKS[::-1])
        elif name == "y":
            drawn = generator.normal(size=(*MASKS.shape, FEATURES))
            arrays.append(
                np.where(MASKS[[2, 1, 5, 0, 4, 3]][..., None], drawn, 0).astype("float32")
            )
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
    models = {**dict(architectures(k)), **dict(stateful(k))}
    exact = {}
    if name == "keras":
        k.config.set_floatx("float64")
        k.config.set_dtype_policy("float64")
        exact = {**dict(architectures(k)), **dict(stateful(k))}
        k.config.set_floatx("float32")
        k.config.set_dtype_policy("float32")
    for key, model in models.items():
        arrays = [
            (generator.normal(size=array.shape) / np.sqrt(array.shape[0])).astype("float32")
            for array in model.get_weights()
        ]
        model.set_weights(arrays)
        calls = [inputs(model, generator) for _ in range(2 if key.startswith("stream") else 1)]
        recorded = {}
        for number, given in enumerate(calls):
            recorded |= {f"{number}in{i}": array for i, array in enumerate(given)}
            recorded |= {f"{number}out{i}": one for i, one in enumerate(answered(model, given))}
        if key in exact:
            exact[key].set_weights(arrays)
            for number, given in enumerate(calls):
                wide = [a if a.dtype.kind in "ib" else a.astype("float64") for a in given]
                answers = answered(exact[key], wide)
                recorded |= {f"{number}exact{i}": one for i, one in enumerate(answers)}
        np.savez(folder / f"{key}.npz", **recorded)
        model.save(folder / (f"{key}.keras" if name == "keras" else f"{key}.h5"))


def answered(model, given):
    answers = model(given if len(given) > 1 else given[0])
    answers = answers if isinstance(answers, list | tuple) else [answers]
    return [np.asarray(one) for one in answers]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
