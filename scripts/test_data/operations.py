"""Functions of TensorFlow between layers, which tf.keras writes down as TFOpLambda."""

import numpy as np

from scripts.test_data.catalogue import KERAS215, Keras, Model, architecture

WEIGHTS = np.linspace(-1, 2, 4, dtype="float32")


@architecture(written_by=KERAS215)
def operations_of_values(keras: Keras) -> Model:
    """Sums, products, quotients, powers and comparisons, with numbers and constants."""
    import tensorflow as tf

    a, b = keras.Input((5, 4), name="a"), keras.Input((5, 4), name="b")
    x = keras.layers.Dense(4)(a + b * 2.0 - 1.5)
    y = tf.multiply(x, tf.constant(WEIGHTS)) / 3.0
    y = tf.where(y > b, y, 0.25) + tf.maximum(a, 0.1) * abs(b)
    z = tf.sqrt(tf.square(x) + 1.0) - tf.clip_by_value(b, -0.5, 0.5)
    return keras.Model([a, b], [y, z, tf.exp(-abs(x)), 1.0 / (a**2 + 1.0), tf.nn.softmax(x)])


@architecture(written_by=KERAS215)
def operations_of_shapes(keras: Keras) -> Model:
    """Slices, new and lost axes, reshapes, transposes, parts put together and taken apart.

    Keras 2.15 writes no Ellipsis into a `.keras`.
    """
    import tensorflow as tf

    a, b = keras.Input((5, 4), name="a"), keras.Input((5, 4), name="b")
    x = keras.layers.Dense(4)(a)
    halves = tf.split(x, 2, axis=-1)
    return keras.Model(
        [a, b],
        [
            x[:, -1],
            x[:, ::2, 1:3],
            tf.expand_dims(x[..., 0], 1),
            tf.squeeze(x[:, 1:2], 1),
            tf.reshape(x, (-1, 20)),
            tf.transpose(x, (0, 2, 1)),
            tf.concat([halves[1], halves[0], b], axis=-1),
            tf.stack([x, b], axis=1),
            tf.reverse(x, axis=[1]),
            tf.unstack(b, axis=1)[2],
            tf.matmul(x, b, transpose_b=True),
        ],
    )


@architecture(written_by=KERAS215, vocabulary=3)
def operations_around_cells(keras: Keras) -> Model:
    """Attention by hand between two LSTMs, means of the steps, and a mask that is cast."""
    import tensorflow as tf

    layers = keras.layers
    words = keras.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(3, 4, mask_zero=True)(words)
    sequence, h, c = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    scores = tf.nn.softmax(tf.matmul(sequence, h[:, :, None]) / 2.0, axis=1)
    kept = tf.cast(tf.not_equal(words, 0), "float32")[:, :, None]
    steps = tf.reduce_sum(sequence * kept, 1) / (tf.reduce_sum(kept, 1) + 1.0)
    y = layers.LSTM(4, return_sequences=True)(
        sequence * scores, initial_state=[h * 0.5, tf.tanh(c)]
    )
    return keras.Model(words, [tf.reduce_mean(y, axis=1), tf.reduce_max(y, axis=1), steps])
