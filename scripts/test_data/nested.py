"""Models within models."""

from typing import Any

from scripts.test_data.catalogue import (
    BOTH,
    HDF5,
    KERAS3_AND_215,
    Keras,
    Model,
    architecture,
    chain,
)


def encoder(keras: Keras, name: str | None = None) -> Model:
    """A small Functional: an LSTM, a normalization, a Dense."""
    layers = keras.layers
    x = keras.Input((None, 3))
    y = layers.BatchNormalization()(layers.LSTM(3)(x))
    named: dict[str, Any] = {} if name is None else {"name": name}
    return keras.Model(x, layers.Dense(2, activation="tanh")(y), **named)


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def nested_sequential(keras: Keras) -> Model:
    """Two Sequentials in a Functional, each with its own LSTM and Dense."""
    layers = keras.layers
    first = chain(keras, (None, 3), layers.LSTM(3, return_sequences=True), layers.Dense(3))
    second = chain(keras, (None, 3), layers.Dense(3), layers.LSTM(2))
    x = keras.Input((None, 3))
    return keras.Model(x, layers.Dense(2)(second(first(x))))


@architecture()
def nested_functional(keras: Keras) -> Model:
    """A Functional called once, its layers before and after."""
    layers = keras.layers
    x = keras.Input((None, 3))
    y = encoder(keras)(layers.LSTM(3, return_sequences=True)(x))
    return keras.Model(x, layers.Dense(2)(y))


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def nested_shared(keras: Keras) -> Model:
    """A Functional called on two inputs, as twin networks are."""
    layers = keras.layers
    a = keras.Input((None, 3), name="a")
    b = keras.Input((None, 3), name="b")
    twin = encoder(keras, "twin")
    return keras.Model([a, b], layers.Dot(axes=1, normalize=True)([twin(a), twin(b)]))


@architecture()
def nested_sequential_shared(keras: Keras) -> Model:
    """A Sequential called twice, the second time on its own output."""
    layers = keras.layers
    block = chain(keras, (None, 3), layers.GRU(3, return_sequences=True), layers.Dense(3))
    x = keras.Input((None, 3))
    return keras.Model(x, layers.LSTM(2)(block(block(x))))


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def nested_in_nested(keras: Keras) -> Model:
    """Three levels: a Sequential in a Functional in a Sequential."""
    layers = keras.layers
    inner = chain(keras, (None, 3), layers.LSTM(3, return_sequences=True), layers.Dense(3))
    x = keras.Input((None, 3))
    y = layers.LSTM(3, return_sequences=True)(x)
    middle = keras.Model(x, layers.Add()([y, inner(y)]))
    return chain(keras, (None, 3), layers.Dense(3), middle, layers.LSTM(2))


@architecture()
def sequential_in_sequential(keras: Keras) -> Model:
    """A Sequential that has a Sequential as its first and its last layer."""
    layers = keras.layers
    first = chain(keras, (None, 3), layers.GRU(3, return_sequences=True))
    last = keras.Sequential([layers.LSTM(2), layers.Dense(2)])
    return keras.Sequential([first, layers.LayerNormalization(), last])


@architecture(formats=BOTH)
def nested_several_inputs(keras: Keras) -> Model:
    """A nested model of two inputs and three outputs, of which two are used."""
    layers = keras.layers
    a = keras.Input((None, 2))
    b = keras.Input((3,))
    sequence = layers.LSTM(3, return_sequences=True)(a)
    inner = keras.Model(
        [a, b],
        [sequence, layers.GRU(3)(sequence), layers.Dense(3)(b)],
    )
    x = keras.Input((None, 2))
    y = keras.Input((3,))
    whole, _, side = inner([x, y])
    return keras.Model([y, x], layers.Subtract()([layers.LSTM(3)(whole), side]))


@architecture()
def nested_output_is_input(keras: Keras) -> Model:
    """A nested model that hands one of its inputs through."""
    layers = keras.layers
    x = keras.Input((None, 3))
    inner = keras.Model(x, [x, layers.LSTM(3, return_sequences=True)(x)])
    y = keras.Input((None, 3))
    return keras.Model(y, layers.Concatenate()(inner(y)))


@architecture(formats=HDF5)
def layer_shared_with_nested(keras: Keras) -> Model:
    """A layer that stands in a nested model, and outside of it too.

    In HDF5 alone: in .keras its weights stand in one of the two places, and Keras finds it is
    missing from the other (tests/data/bad).
    """
    layers = keras.layers
    lstm = layers.LSTM(3, return_sequences=True)
    inner = chain(keras, (None, 3), lstm, layers.Dense(3))
    x = keras.Input((None, 3))
    return keras.Model(x, layers.Dense(2)(lstm(inner(x))))


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def nested_frozen(keras: Keras) -> Model:
    """A frozen nested model with BatchNormalization, beside one that is frozen in part.

    In HDF5 the weights of a nested model stand as one list, trainable ones first: freezing
    reorders it.
    """
    layers = keras.layers
    whole = encoder(keras, "frozen_whole")
    part = encoder(keras, "frozen_part")
    whole.trainable = False
    part.layers[1].trainable = False
    x = keras.Input((None, 3))
    return keras.Model(x, layers.Concatenate()([whole(x), part(x)]))


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def nested_bidirectional(keras: Keras) -> Model:
    """Bidirectional, TimeDistributed and BatchNormalization inside of a nested model."""
    layers = keras.layers
    inner = chain(
        keras,
        (None, 3),
        layers.BatchNormalization(),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3)),
        layers.BatchNormalization(),
    )
    x = keras.Input((None, 3))
    return keras.Model(x, layers.GRU(2)(inner(x)))
