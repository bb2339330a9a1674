"""Layers that prepare values."""

from scripts.test_data.catalogue import BOTH, KERAS3_AND_215, Keras, Model, architecture, chain


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def rescaling(keras: Keras) -> Model:
    """Numbers for all, and one for each feature, before an LSTM."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Rescaling(0.5, offset=-0.25),
        layers.LSTM(3, return_sequences=True),
        layers.Rescaling([1.0, -2.0, 0.5], offset=[0.0, 1.0, -1.0]),
        layers.GRU(2),
    )


@architecture(written_by=KERAS3_AND_215)
def normalization_found(keras: Keras) -> Model:
    """Statistics of data, of each feature, of each step, of all; and the inverse."""
    layers = keras.layers
    x = keras.Input((4, 3))
    return keras.Model(
        x,
        [
            layers.LSTM(2)(layers.Normalization()(x)),
            layers.Normalization(axis=1)(x),
            layers.Normalization(axis=None)(x),
            layers.Normalization(axis=(1, 2), invert=True)(x),
        ],
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def normalization_given(keras: Keras) -> Model:
    """Statistics that the config has: a number, and one for each feature."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Normalization(mean=[0.5, -1.0, 2.0], variance=[2.0, 0.5, 4.0]),
        layers.GRU(3, return_sequences=True),
        layers.Normalization(axis=None, mean=0.25, variance=4.0, invert=True),
        layers.LSTM(2),
    )


@architecture(written_by=KERAS3_AND_215)
def categories(keras: Keras) -> Model:
    """Categories as zeros and ones, beside a sequence."""
    layers = keras.layers
    one, several = keras.Input((1,), dtype="int32"), keras.Input((3,), dtype="int32")
    return keras.Model(
        [one, several],
        [
            layers.Dense(2)(layers.CategoryEncoding(11, output_mode="one_hot")(one)),
            layers.CategoryEncoding(11, output_mode="multi_hot")(several),
            layers.CategoryEncoding(11, output_mode="count")(several),
        ],
    )


@architecture(written_by=KERAS3_AND_215)
def bins(keras: Keras) -> Model:
    """Numbers in bins, which an Embedding and an LSTM read."""
    layers = keras.layers
    x = keras.Input((4,))
    found = layers.Discretization([-1.0, -0.25, 0.1, 1.5])(x)
    encoded = layers.Discretization([-0.5, 0.5], output_mode="multi_hot")(x)
    return keras.Model(x, [layers.LSTM(2)(layers.Embedding(5, 3)(found)), encoded])


@architecture(written_by=KERAS3_AND_215)
def masks_of_values(keras: Keras) -> Model:
    """A mask that goes through what prepares values: in Keras 3 through all, before through one."""
    layers = keras.layers
    x = keras.Input((None, 3))
    masked = layers.Masking()(x)
    return keras.Model(
        x,
        [
            layers.LSTM(2)(layers.Rescaling(0.5)(masked)),
            layers.LSTM(2)(layers.Normalization(mean=0.5, variance=2.0)(masked)),
            layers.LSTM(2)(layers.Identity()(masked)),
            layers.LSTM(2)(layers.ActivityRegularization(l1=0.1)(masked)),
            layers.LSTM(2)(layers.UnitNormalization()(masked)),
        ],
    )


@architecture()
def values_each_step(keras: Keras) -> Model:
    """Everything that normalizes or prepares values, on each step."""
    layers = keras.layers
    wrap = layers.TimeDistributed
    return chain(
        keras,
        (None, 2, 4),
        wrap(layers.Rescaling([0.5, 1.0, 2.0, -1.0])),
        wrap(layers.GroupNormalization(2)),
        wrap(layers.Conv1D(4, 2, padding="same")),
        wrap(layers.GroupNormalization(2)),
        wrap(layers.Identity()),
        wrap(layers.UnitNormalization(axis=1)),
        wrap(layers.Conv1D(4, 2, padding="same")),
        wrap(layers.RMSNormalization()),
        wrap(layers.Normalization(mean=0.5, variance=2.0)),
        wrap(layers.Flatten()),
        layers.LSTM(2),
    )
