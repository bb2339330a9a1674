"""Attention: scores of each kind, heads, masks, and the layers that it is made of."""

from scripts.test_data.catalogue import (
    BOTH,
    KERAS3_AND_215,
    Keras,
    Model,
    architecture,
)


@architecture(written_by=KERAS3_AND_215)
def attention_scored(keras: Keras) -> Model:
    """Attention by each kind of score, with and without a key of its own."""
    layers = keras.layers
    q, v, k = (keras.Input((None, 3), name=name) for name in ("query", "value", "key"))
    value = layers.Dense(2)(v)
    key = layers.Dense(3)(v)
    concat = layers.Attention(score_mode="concat", use_scale=True, dropout=0.2)
    outputs = [
        layers.Attention()([q, v], use_causal_mask=True),
        *layers.Attention(use_scale=True)([q, value, key], return_attention_scores=True),
        concat([q, v]),
        layers.AdditiveAttention()([q, k]),
        layers.AdditiveAttention(use_scale=False)([k, q]),
    ]
    return keras.Model([q, v, k], outputs)


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def attention_heads(keras: Keras) -> Model:
    """MultiHeadAttention to itself and to another sequence, with sizes of its own and scores."""
    layers = keras.layers
    q, v = keras.Input((None, 3), name="query"), keras.Input((None, 3), name="value")
    x = layers.MultiHeadAttention(2, 4)(q, q, use_causal_mask=True)
    x = layers.LayerNormalization()(layers.Add()([q, x]))
    key = layers.Dense(2)(v)
    across = layers.MultiHeadAttention(3, 2, value_dim=5, use_bias=False, output_shape=4)
    x, scores = across(x, v, key, return_attention_scores=True)
    return keras.Model([q, v], [layers.LSTM(2)(x), scores])


@architecture(written_by=KERAS3_AND_215, vocabulary=3, exact=False)
def attention_masked(keras: Keras) -> Model:
    """An encoder and a decoder with masks of words, and attention from one to the other."""
    layers = keras.layers
    source, target = (
        keras.Input((None,), dtype="int32", name=name) for name in ("source", "target")
    )
    x = layers.Embedding(3, 4, mask_zero=True)(source)
    x, h, c = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    y = layers.Embedding(3, 4, mask_zero=True)(target)
    y = layers.LSTM(4, return_sequences=True)(y, initial_state=[h, c])
    context = layers.Attention(use_scale=True)([y, x])
    return keras.Model([source, target], layers.Dense(3)(layers.Concatenate()([y, context])))


@architecture(written_by=KERAS3_AND_215, lengths=(3, 2, 7), vocabulary=3)
def attention_heads_masked(keras: Keras) -> Model:
    """Heads over words of which some are masked, and what is added to them."""
    layers = keras.layers
    words = keras.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(3, 4, mask_zero=True)(words)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    return keras.Model(words, layers.GRU(3, return_sequences=True)(layers.LayerNormalization()(x)))


@architecture()
def attention_parts(keras: Keras) -> Model:
    """Heads in groups and over one axis of an image or both, and an EinsumDense."""
    layers = keras.layers
    x = keras.Input((None, 4), name="sequence")
    image = keras.Input((2, 3, 4), name="image")
    heads = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", activation="tanh")
    outputs = [
        layers.GroupQueryAttention(3, 4, 2)(x, x),
        layers.MultiHeadAttention(2, 3, attention_axes=(2,))(image, image),
        layers.MultiHeadAttention(2, 3)(image, image),
        heads(x),
    ]
    return keras.Model([x, image], outputs)
