"""How layers are wired: several inputs and outputs, sharing, order, what is frozen or typed."""

from scripts.test_data.catalogue import BOTH, KERAS3_AND_215, Keras, Model, architecture


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def several_inputs_outputs(keras: Keras) -> Model:
    """A sequence and a vector in, a class and a number out."""
    layers = keras.layers
    readings = keras.Input((None, 3), name="readings")
    station = keras.Input((2,), name="station")
    x = layers.Concatenate()([layers.LSTM(3)(readings), layers.Dense(2)(station)])
    return keras.Model(
        [readings, station],
        [layers.Dense(3, activation="softmax", name="kind")(x), layers.Dense(1, name="size")(x)],
    )


@architecture()
def output_is_intermediate(keras: Keras) -> Model:
    """What one layer gives is an output, and the next layer's input."""
    layers = keras.layers
    x = keras.Input((None, 3))
    sequence = layers.GRU(3, return_sequences=True)(x)
    last = layers.LSTM(2)(sequence)
    return keras.Model(x, [last, sequence])


@architecture()
def input_is_output(keras: Keras) -> Model:
    """An input that goes straight to an output, and one output given twice."""
    x = keras.Input((None, 3))
    other = keras.Input((2,))
    y = keras.layers.LSTM(2)(x)
    return keras.Model([x, other], [y, other, x, y])


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def shared_layer(keras: Keras) -> Model:
    """One LSTM reads two inputs; one Dense reads its own output."""
    layers = keras.layers
    a = keras.Input((None, 3), name="a")
    b = keras.Input((None, 3), name="b")
    lstm = layers.LSTM(4)
    dense = layers.Dense(4, activation="tanh")
    x = layers.Subtract()([lstm(a), lstm(b)])
    return keras.Model([b, a], [dense(dense(x)), dense(x)])


@architecture(formats=BOTH)
def shared_bidirectional(keras: Keras) -> Model:
    """One Bidirectional and one BatchNormalization on two inputs."""
    layers = keras.layers
    a = keras.Input((None, 3))
    b = keras.Input((None, 3))
    both = layers.Bidirectional(layers.GRU(2))
    norm = layers.BatchNormalization()
    return keras.Model([a, b], layers.Concatenate()([norm(both(a)), norm(both(b))]))


@architecture()
def residual(keras: Keras) -> Model:
    """Each recurrent layer adds to its input."""
    layers = keras.layers
    x = keras.Input((None, 4))
    first = layers.Add()([x, layers.LSTM(4, return_sequences=True)(x)])
    second = layers.Add()([first, layers.GRU(4, return_sequences=True)(first)])
    return keras.Model(x, second)


@architecture(formats=BOTH)
def inputs_by_name(keras: Keras) -> Model:
    """Inputs and outputs as dictionaries whose keys aren't in order."""
    layers = keras.layers
    speed = keras.Input((None, 2), name="speed")
    age = keras.Input((3,), name="age")
    x = layers.Concatenate()([layers.LSTM(2)(speed), age])
    return keras.Model(
        {"speed": speed, "age": age},
        {"risk": layers.Dense(1, name="risk")(x), "class": layers.Dense(2, name="class_")(x)},
    )


@architecture()
def duplicate_classes(keras: Keras) -> Model:
    """Several layers of each class, named so that their alphabet isn't their order."""
    layers = keras.layers
    x = keras.Input((None, 3))
    y = layers.LSTM(3, return_sequences=True, name="zebra")(x)
    y = layers.LSTM(3, return_sequences=True, name="ant")(y)
    y = layers.GRU(3, return_sequences=True, name="lstm_7")(y)
    y = layers.GRU(3, name="gru")(y)
    y = layers.Dense(3, name="dense_2")(y)
    return keras.Model(x, layers.Dense(3, name="dense_1")(y))


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def created_out_of_order(keras: Keras) -> Model:
    """Layers made in another order than they are used in, in branches of different depth."""
    layers = keras.layers
    third, second, first = (layers.LSTM(3, return_sequences=True) for _ in range(3))
    short = layers.Dense(3)
    a = keras.Input((None, 3), name="late")
    b = keras.Input((None, 3), name="early")
    deep = third(second(first(b)))
    return keras.Model([a, b], layers.Concatenate()([short(a), deep]))


@architecture()
def frozen(keras: Keras) -> Model:
    """trainable=False on every other layer: nothing but the order in some files changes."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.LSTM(3, return_sequences=True, trainable=False),
            layers.BatchNormalization(),
            layers.Bidirectional(layers.GRU(2, return_sequences=True)),
            layers.BatchNormalization(trainable=False),
            layers.TimeDistributed(layers.Dense(2)),
        ]
    )
    model.layers[2].trainable = False
    return model


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def frozen_bidirectional(keras: Keras) -> Model:
    """One direction frozen, the other not: HDF5 has the backward one first then."""
    layers = keras.layers
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True))
    both.forward_layer.trainable = False
    return keras.Sequential([keras.Input((None, 3)), both, layers.Dense(2)])


@architecture()
def call_arguments(keras: Keras) -> Model:
    """training=False where layers are called, which their file remembers."""
    layers = keras.layers
    x = keras.Input((None, 3))
    y = layers.LSTM(3, return_sequences=True, dropout=0.5)(x, training=False)
    y = layers.Dropout(0.5)(y, training=False)
    y = layers.BatchNormalization()(y, training=False)
    return keras.Model(x, layers.Bidirectional(layers.LSTM(2))(y, training=False))


@architecture()
def dtype_float32(keras: Keras) -> Model:
    """float32 said aloud in each layer."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, 3), dtype="float32"),
            layers.LSTM(3, return_sequences=True, dtype="float32"),
            layers.Bidirectional(layers.GRU(2, dtype="float32"), dtype="float32"),
            layers.Dense(2, dtype="float32"),
        ]
    )


@architecture()
def dtype_float64(keras: Keras) -> Model:
    """float64 from the second layer on: what comes out is float64."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.LSTM(3, return_sequences=True),
            layers.GRU(2, dtype="float64"),
            layers.Dense(2, dtype="float64"),
        ]
    )


@architecture(formats=BOTH)
def built_late(keras: Keras) -> Model:
    """A Sequential without an Input, built afterwards by its shape."""
    layers = keras.layers
    model = keras.Sequential([layers.LSTM(3, return_sequences=True), layers.Dense(2)])
    model.build((None, None, 3))
    return model


@architecture()
def input_shape(keras: Keras) -> Model:
    """The first layer carries input_shape, as it was written before there was Input."""
    layers = keras.layers
    return keras.Sequential([layers.LSTM(3, input_shape=(None, 3)), layers.Dense(2)])


@architecture()
def fixed_batch(keras: Keras) -> Model:
    """A batch of three, no other, without being stateful."""
    layers = keras.layers
    x = keras.Input(batch_shape=(3, None, 2))
    return keras.Model(x, layers.Dense(2)(layers.LSTM(3)(x)))
