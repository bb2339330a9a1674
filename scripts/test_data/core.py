"""Dense, Embedding, Dropout and its kin."""

from scripts.test_data.catalogue import BOTH, KERAS3_AND_215, Keras, Model, architecture, chain


@architecture(formats=BOTH)
def dense(keras: Keras) -> Model:
    """Two Dense layers on a vector."""
    layers = keras.layers
    return chain(keras, (3,), layers.Dense(4, activation="relu"), layers.Dense(2))


@architecture()
def dense_options(keras: Keras) -> Model:
    """Dense on a sequence and on an image, without a bias, with an activation that is a layer."""
    layers = keras.layers
    sequence = keras.Input((None, 3))
    image = keras.Input((2, 4, 3))
    return keras.Model(
        [sequence, image],
        [
            layers.Dense(2, use_bias=False)(sequence),
            layers.Dense(2, activation="softmax")(sequence),
            layers.Dense(2, activation=layers.ELU(alpha=0.5))(sequence),
            layers.Dense(2, activation="tanh")(image),
        ],
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def embedding(keras: Keras) -> Model:
    """Words as integers, an Embedding, an LSTM, a Dense."""
    layers = keras.layers
    return chain(
        keras,
        (None,),
        layers.Embedding(11, 4),
        layers.LSTM(3),
        layers.Dense(2, activation="softmax"),
        dtype="int32",
    )


@architecture()
def embedding_of_floats(keras: Keras) -> Model:
    """An Embedding on an input that is left float32, as most people write it."""
    layers = keras.layers
    return chain(keras, (5,), layers.Embedding(11, 3), layers.Flatten(), layers.Dense(2))


@architecture()
def embedding_and_features(keras: Keras) -> Model:
    """An integer a step beside two features a step."""
    layers = keras.layers
    words = keras.Input((None,), dtype="int32", name="words")
    features = keras.Input((None, 2), name="features")
    x = layers.Concatenate()([layers.Embedding(11, 3)(words), features])
    return keras.Model([words, features], layers.GRU(3)(x))


@architecture()
def dropouts(keras: Keras) -> Model:
    """Every layer that does nothing in inference, between two that do."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Dropout(0.4),
        layers.LSTM(4, return_sequences=True),
        layers.SpatialDropout1D(0.3),
        layers.GaussianNoise(0.7),
        layers.GaussianDropout(0.2),
        layers.AlphaDropout(0.1),
        layers.Dropout(0.5, noise_shape=(None, 1, 4), seed=3),
        layers.LSTM(2),
        layers.Dropout(0.5),
    )


@architecture()
def spatial_dropout_2d(keras: Keras) -> Model:
    """SpatialDropout2D between two convolutions."""
    layers = keras.layers
    return chain(
        keras,
        (5, 4, 2),
        layers.Conv2D(3, 2),
        layers.SpatialDropout2D(0.3),
        layers.Conv2D(2, (2, 1)),
        layers.Flatten(),
    )
