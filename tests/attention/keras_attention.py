"""Models with attention, and what Keras answers: run in a process of its own.

`python -m tests.attention.keras_attention keras|tf_keras FOLDER` saves each model and NAME.npz with
its inputs and answers: "0" with rows that are masked whole, in float32; "1" without such rows, in
float32 and, in Keras 3, in float64.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

QUERY, VALUE, FEATURES = 4, 5, 6

ANY = np.array(
    [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0],  # right
        [0, 0, 1, 1, 1],  # left
        [1, 0, 1, 0, 1],  # holes
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0],
    ],
    bool,
)
SOME = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [1, 0, 0, 0, 1]], bool)
"""The first step counts: no row is masked whole, even where no later step is seen."""


def architectures(k):
    """Each model by its name; `k` is the module of Keras."""
    layers = k.layers
    attention, additive = layers.Attention, layers.AdditiveAttention
    heads = layers.MultiHeadAttention
    q, v = k.Input((QUERY, FEATURES), name="q"), k.Input((VALUE, FEATURES), name="v")
    w = k.Input((VALUE, 3), name="w")
    keys = k.Input((VALUE, FEATURES), name="k")
    of_q, of_v = (
        k.Input((n,), dtype="bool", name=name) for n, name in ((QUERY, "mask_q"), (VALUE, "mask_v"))
    )
    allowed = k.Input((QUERY, VALUE), dtype="bool", name="allowed")
    kept_q, kept_v = layers.Masking()(q), layers.Masking()(v)
    both, scored = [q, v], {"return_attention_scores": True}
    causal = {"use_causal_mask": True}

    # Attention and AdditiveAttention
    yield "dot", k.Model(both, attention()([q, v]))
    yield "dot_scaled", k.Model(both, attention(use_scale=True, dropout=0.3)([q, v], **scored))
    yield "dot_key", k.Model([q, w, keys], attention(use_scale=True)([q, w, keys]))
    yield "dot_causal", k.Model(both, attention()([q, v], **causal))
    yield "concat", k.Model(both, attention(score_mode="concat", use_scale=True)([q, v]))
    yield "concat_plain", k.Model(both, attention(score_mode="concat")([q, v], **scored))
    yield "additive", k.Model(both, additive()([q, v]))
    yield "additive_plain", k.Model([q, w, keys], additive(use_scale=False)([q, w, keys]))
    given = {"mask": [of_q, of_v]}
    masks = [q, v, of_q, of_v]
    yield "dot_masked", k.Model(masks, attention(use_scale=True)([q, v], **given, **scored))
    yield "dot_masked_causal", k.Model(masks, attention()([q, v], **given, **causal))
    yield "dot_masked_value", k.Model([q, v, of_v], attention()([q, v], mask=[None, of_v]))
    yield "additive_masked", k.Model(masks, additive()([q, v], **given))
    yield "dot_carried", k.Model(both, layers.LSTM(3)(attention()([kept_q, kept_v])))
    yield "dot_carried_query", k.Model(both, layers.LSTM(3)(additive()([kept_q, v])))
    tokens = k.Input((VALUE,), dtype="int32", name="tokens")
    words = layers.Embedding(9, FEATURES, mask_zero=True)(tokens)
    read = layers.LSTM(FEATURES, return_sequences=True)(words)
    yield "dot_itself", k.Model(tokens, layers.GRU(3)(attention()([read, words])))

    # MultiHeadAttention
    yield "heads", k.Model(both, heads(2, 3)(q, v))
    many = heads(2, 3, value_dim=4, output_shape=7, use_bias=False)
    yield "heads_sizes", k.Model([q, w, keys], many(q, w, keys))
    if k.__name__ == "keras":  # tf_keras cannot say the shape of its output
        yield "heads_shape", k.Model(both, heads(2, 3, output_shape=(2, 3))(q, v))
    yield "heads_scores", k.Model([q, v, keys], heads(3, 2)(q, v, keys, **scored))
    yield "heads_causal", k.Model(both, heads(2, 3)(q, v, **causal))
    yield "heads_causal_scores", k.Model(both, heads(2, 3)(q, v, **causal, **scored))
    yield "heads_allowed", k.Model([q, v, allowed], heads(2, 3)(q, v, attention_mask=allowed))
    dropping = heads(2, 3, dropout=0.2)
    yield (
        "heads_allowed_dropout",
        k.Model([q, v, allowed], dropping(q, v, attention_mask=allowed, **causal)),
    )
    each = k.Input((1, 1, VALUE), dtype="bool", name="each_v")
    yield "heads_allowed_each", k.Model([q, v, each], heads(2, 3)(q, v, attention_mask=each))
    number = k.Input((QUERY, VALUE), name="number")
    yield "heads_number", k.Model([q, v, number], heads(2, 3)(q, v, attention_mask=number))
    yield "heads_carried", k.Model(both, heads(2, 3)(kept_q, kept_v))
    yield "heads_carried_scores", k.Model(both, heads(2, 3)(kept_q, kept_v, **scored))
    yield "heads_carried_causal", k.Model(both, heads(2, 3)(kept_q, kept_v, **causal))
    yield "heads_carried_value", k.Model(both, heads(2, 3)(q, kept_v))
    yield "heads_carried_on", k.Model(both, layers.LSTM(3)(heads(2, 3)(kept_q, v)))
    yield (
        "heads_carried_allowed",
        k.Model([q, v, allowed], heads(2, 3)(kept_q, kept_v, attention_mask=allowed)),
    )
    yield "heads_itself", k.Model(tokens, heads(2, 3)(words, words))
    added = layers.Add()([words, heads(2, 3)(words, words)])
    yield "transformer", k.Model(tokens, layers.LSTM(3)(layers.LayerNormalization()(added)))
    yield "heads_twice", k.Model([tokens, q], heads(2, 3)(heads(2, 3)(q, words), words))
    dropped = layers.Dropout(0.5)(words)
    yield "heads_dropped", k.Model([tokens, q], heads(2, 3)(heads(2, 3)(q, dropped), words))
    inner = k.Input((VALUE, FEATURES))
    block = k.Model(inner, layers.Add()([inner, heads(2, 3)(inner, inner)]))
    twice = block(block(words))
    yield "heads_nested", k.Model(tokens, heads(2, 3)(layers.Dropout(0.5)(twice), words))
    one = heads(2, 3)
    yield "heads_shared", k.Model(both, one(one(q, v), v))
    deep = one(q, v)
    for _ in range(3):
        deep = layers.Dense(2)(deep)
    seeing = layers.Dense(2)(attention()([q, words]))
    yield "heads_order", k.Model([tokens, q, v], [deep, one(q, words), seeing])
    if k.__name__ == "keras":
        yield "heads_given", k.Model([q, v, of_v], heads(2, 3)(q, v, value_mask=of_v))
        yield "heads_given_query", k.Model([q, v, of_q], heads(2, 3)(q, v, query_mask=of_q))
        yield (
            "heads_given_key",
            k.Model([q, v, keys, of_v], heads(2, 3)(q, v, keys, key_mask=of_v)),
        )
        grouped = layers.GroupQueryAttention
        yield "grouped", k.Model(both, grouped(3, 4, 2)(q, v))
        yield "grouped_carried", k.Model(both, grouped(3, 4, 1)(kept_q, kept_v, **scored))
    else:
        robust = heads(2, 3, softmax_robust_masking=True)
        yield "heads_robust", k.Model(both, robust(kept_q, kept_v))
    images = k.Input((2, VALUE, FEATURES), name="images")
    others = k.Input((2, 3, FEATURES), name="others")
    yield "axis_last", k.Model([images, others], heads(2, 3, attention_axes=2)(images, others))
    yield (
        "axis_last_scores",
        k.Model([images, others], heads(2, 3, attention_axes=(2,))(images, others, **scored)),
    )
    rows = k.Input((3, VALUE, FEATURES), name="rows")
    yield "axis_first", k.Model([images, rows], heads(2, 3, attention_axes=(1,))(images, rows))
    yield "axes_both", k.Model([images, others], heads(2, 3)(images, others))
    kept = layers.Masking()(images)
    if k.__name__ == "keras":  # tf_keras takes masks of (batch, time) alone
        yield "axis_last_carried", k.Model(images, heads(2, 3, attention_axes=(2,))(kept, kept))

    # Softmax with a mask, EinsumDense
    scores = k.Input((QUERY, VALUE), name="scores")
    yield "softmax_masked", k.Model([scores, allowed], layers.Softmax()(scores, mask=allowed))
    if k.__name__ == "keras":  # tf_keras gives 1 for each where all are masked
        axes = layers.Softmax(axis=(1, 2))(scores, mask=allowed)
        yield "softmax_masked_axes", k.Model([scores, allowed], axes)
    einsum = layers.EinsumDense
    yield "einsum_dense", k.Model(q, einsum("abc,cd->abd", (None, 7), bias_axes="d")(q))
    yield (
        "einsum_dots",
        k.Model(q, einsum("...x,xy->...y", 7, activation="tanh", bias_axes="y")(q)),
    )
    yield "einsum_heads", k.Model(q, einsum("abc,cde->abde", (None, 2, 3), bias_axes="de")(q))
    yield "einsum_shared", k.Model(q, einsum("abc,bcd->abd", (QUERY, 3), bias_axes="b")(q))
    yield "einsum_steps", k.Model(q, einsum("abc,bd->adc", (3, FEATURES))(q))
    yield "einsum_behind", k.Model(q, einsum("ab...,bc->ac...", 3, bias_axes="c")(q))

    # A translator
    source = k.Input((None,), dtype="int32", name="tokens_source")
    target = k.Input((None,), dtype="int32", name="tokens_target")
    x = layers.Embedding(9, 4, mask_zero=True)(source)
    x, h, c = layers.LSTM(FEATURES, return_sequences=True, return_state=True)(x)
    y = layers.Embedding(9, 4, mask_zero=True)(target)
    y = layers.LSTM(FEATURES, return_sequences=True)(y, initial_state=[h, c])
    context = attention()([y, x])
    yield (
        "translator",
        k.Model([source, target], layers.Dense(9)(layers.Concatenate()([y, context]))),
    )


def inputs(model, rows, generator):
    """Inputs whose steps are masked as in `rows`."""
    arrays = []
    for number, tensor in enumerate(model.inputs):
        name = tensor.name.split(":")[0]
        mask = np.roll(rows, number, 0) if rows is ANY else rows
        shape = [len(rows), *(n or VALUE for n in tensor.shape[1:])]
        steps = mask[:, : shape[1]]
        if name.startswith("tokens"):
            array = generator.integers(1, 9, mask.shape) * mask
        elif name.startswith("mask"):
            array = steps
        elif name == "each_v":
            array = mask[:, None, None]
        elif name in ("allowed", "number"):
            array = np.broadcast_to(mask[:, None], shape)
            array = array & (generator.random(shape) < 0.8)
            if rows is SOME:
                array[..., 0] = True
            array = array.astype(bool if name == "allowed" else "float32")
        elif name == "images":
            array = (
                generator.normal(size=shape) * np.stack([mask, np.roll(mask, 1, 0)], 1)[..., None]
            )
        else:
            array = generator.normal(size=shape)
            array = array * steps[..., None] if name in "qv" else array
        arrays.append(array if array.dtype.kind in "ib" else array.astype("float32"))
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
            (generator.normal(size=array.shape) / np.sqrt((array.shape or (1,))[0])).astype(
                "float32"
            )
            for array in model.get_weights()
        ]
        model.set_weights(arrays)
        recorded = {}
        for number, rows in enumerate((ANY, SOME)):
            given = inputs(model, rows, generator)
            recorded |= {f"{number}in{i}": array for i, array in enumerate(given)}
            recorded |= {f"{number}out{i}": one for i, one in enumerate(answered(model, given))}
            if key in exact and rows is SOME:
                exact[key].set_weights(arrays)
                wide = [a if a.dtype.kind in "ib" else a.astype("float64") for a in given]
                answers = answered(exact[key], wide)
                recorded |= {f"{number}exact{i}": one for i, one in enumerate(answers)}
        np.savez(folder / f"{key}.npz", **recorded)
        model.save(folder / (f"{key}.keras" if name == "keras" else f"{key}.h5"))


def drawn(shape, generator):
    """So large that a sum has size 1."""
    return (generator.normal(size=shape) / np.sqrt((shape or (1,))[0])).astype("float32")


def answered(model, given):
    answers = model(given if len(given) > 1 else given[0])
    answers = answers if isinstance(answers, list | tuple) else [answers]
    return [np.asarray(one) for one in answers]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
