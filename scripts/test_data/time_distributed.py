"""TimeDistributed around the layers that people put into it."""

from scripts.test_data.catalogue import BOTH, KERAS3_AND_215, Keras, Model, architecture, chain


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def time_distributed_dense(keras: Keras) -> Model:
    """The old way to a Dense at each step."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.LSTM(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(2, activation="softmax")),
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def time_distributed_convolution(keras: Keras) -> Model:
    """A Conv1D and a Flatten in each step, then an LSTM over the steps."""
    layers = keras.layers
    return chain(
        keras,
        (None, 5, 2),
        layers.TimeDistributed(layers.Conv1D(3, 2, activation="relu")),
        layers.TimeDistributed(layers.MaxPooling1D(2)),
        layers.TimeDistributed(layers.Flatten()),
        layers.LSTM(3),
    )


@architecture()
def time_distributed_images(keras: Keras) -> Model:
    """The CNN-LSTM: convolution, pooling, Flatten on each frame, an LSTM over the frames."""
    layers = keras.layers
    return chain(
        keras,
        (None, 5, 6, 1),
        layers.TimeDistributed(layers.Conv2D(2, 3, padding="same", activation="relu")),
        layers.TimeDistributed(layers.AveragePooling2D((2, 3))),
        layers.TimeDistributed(layers.Flatten()),
        layers.LSTM(3),
        layers.Dense(2),
    )


@architecture()
def time_distributed_normalization(keras: Keras) -> Model:
    """BatchNormalization and LayerNormalization at each step."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.TimeDistributed(layers.BatchNormalization()),
        layers.GRU(4, return_sequences=True),
        layers.TimeDistributed(layers.LayerNormalization()),
    )


@architecture()
def time_distributed_lstm(keras: Keras) -> Model:
    """An LSTM within each step, and an LSTM over the steps: words, then sentences."""
    layers = keras.layers
    return chain(
        keras,
        (None, 4, 3),
        layers.TimeDistributed(layers.LSTM(3)),
        layers.TimeDistributed(layers.Dropout(0.2)),
        layers.LSTM(2),
    )


@architecture()
def time_distributed_bidirectional(keras: Keras) -> Model:
    """A Bidirectional GRU within each step."""
    layers = keras.layers
    return chain(keras, (None, 4, 3), layers.TimeDistributed(layers.Bidirectional(layers.GRU(2))))


@architecture(formats=BOTH)
def time_distributed_model(keras: Keras) -> Model:
    """A whole Sequential at each step."""
    layers = keras.layers
    inner = chain(keras, (5, 2), layers.Conv1D(3, 2), layers.GlobalMaxPooling1D(), layers.Dense(2))
    return chain(keras, (None, 5, 2), layers.TimeDistributed(inner), layers.LSTM(2))


@architecture()
def time_distributed_shaping(keras: Keras) -> Model:
    """Flatten, Reshape, Permute, RepeatVector, Activation and an Embedding at each step."""
    layers = keras.layers
    words = keras.Input((None, 2), dtype="int32")
    blocks = keras.Input((None, 2, 3))
    wrap = layers.TimeDistributed
    return keras.Model(
        [words, blocks],
        [
            wrap(layers.Flatten())(wrap(layers.Embedding(11, 3))(words)),
            wrap(layers.Reshape((3, -1)))(blocks),
            wrap(layers.Permute((2, 1)))(blocks),
            wrap(layers.RepeatVector(2))(wrap(layers.Flatten())(blocks)),
            wrap(layers.Activation("tanh"))(blocks),
        ],
    )


@architecture(written_by=KERAS3_AND_215)
def time_distributed_branches(keras: Keras) -> Model:
    """A Functional model at each step: branches, a shared layer, a product, a mask and an LSTM."""
    layers = keras.layers
    x = keras.Input((4, 3))
    shared = layers.Conv1D(3, 2, padding="same", activation="tanh")
    once = shared(x)
    both = layers.Concatenate(axis=1)([layers.Add()([x, once, shared(once)]), once])
    masked = layers.Masking(0.5)(both)
    words = layers.Bidirectional(layers.LSTM(2))(masked)
    score = layers.Dot(axes=(2, 2))([once, x])
    joined = layers.Concatenate()([words, layers.GlobalMaxPooling1D()(score)])
    inner = keras.Model(x, layers.Dense(3)(joined))
    return chain(keras, (None, 4, 3), layers.TimeDistributed(inner), layers.GRU(2))


@architecture()
def time_distributed_joined(keras: Keras) -> Model:
    """A Functional model at each step that adds and concatenates along both of its axes."""
    layers = keras.layers
    x = keras.Input((4, 3))
    once = layers.Dense(3, activation="tanh")(x)
    both = layers.Concatenate(axis=1)([layers.Add()([x, once]), layers.Multiply()([once, x])])
    wide = layers.Concatenate()([both, layers.UpSampling1D(2)(x)])
    inner = keras.Model(x, layers.LSTM(2)(wide))
    return chain(keras, (None, 4, 3), layers.TimeDistributed(inner), layers.GRU(2))
