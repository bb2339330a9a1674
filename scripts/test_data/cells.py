"""RNN of one cell, and of stacked ones: what the layers LSTM, GRU and SimpleRNN are made of."""

from scripts.test_data.catalogue import (
    ALL_KERAS,
    BOTH,
    KERAS3_AND_215,
    Keras,
    Model,
    architecture,
    chain,
    fan,
)


@architecture(written_by=ALL_KERAS, formats=BOTH)
def cells(keras: Keras) -> Model:
    """RNN of each cell, by itself and in two directions."""
    layers = keras.layers
    return fan(
        keras,
        (None, 3),
        layers.RNN(layers.LSTMCell(4)),
        layers.RNN(layers.GRUCell(2, reset_after=True), return_sequences=True),
        layers.RNN(layers.GRUCell(2, reset_after=False, use_bias=False), go_backwards=True),
        layers.RNN(layers.SimpleRNNCell(3, activation="relu"), return_sequences=True),
        layers.Bidirectional(layers.RNN(layers.LSTMCell(2), return_sequences=True)),
    )


@architecture(written_by=ALL_KERAS, formats=BOTH)
def cells_stacked(keras: Keras) -> Model:
    """RNN of two LSTMCells of one size, and of one cell in the place of several; a Dense."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.RNN([layers.LSTMCell(4), layers.LSTMCell(4)], return_sequences=True),
        layers.RNN([layers.GRUCell(2)]),
        layers.Dense(2),
    )


@architecture(written_by=KERAS3_AND_215)
def cells_states(keras: Keras) -> Model:
    """Different cells stacked, with their last states; read from the end and masked, too."""
    layers = keras.layers
    x = keras.Input((None, 3))
    mixed = layers.RNN(
        [layers.LSTMCell(3), layers.GRUCell(2), layers.SimpleRNNCell(4)],
        return_sequences=True,
        return_state=True,
    )(x)
    backwards = layers.RNN([layers.LSTMCell(2), layers.LSTMCell(2)], go_backwards=True)(x)
    masked = layers.RNN([layers.LSTMCell(2), layers.LSTMCell(3)])(layers.Masking()(x))
    return keras.Model(x, [*flat(mixed), backwards, masked])


@architecture(formats=BOTH)
def cells_started(keras: Keras) -> Model:
    """Stacked cells that start from given states."""
    layers = keras.layers
    x = keras.Input((None, 3))
    h, c, other = (keras.Input((size,)) for size in (3, 3, 2))
    stack = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_state=True)
    return keras.Model([x, h, c, other], flat(stack(x, initial_state=[[h, c], other])))


def flat(outputs: object) -> list[object]:
    """The tensors of nested lists, in order: Keras nests the states of each cell."""
    if isinstance(outputs, list | tuple):
        return [one for output in outputs for one in flat(output)]
    return [outputs]


@architecture(npz=True)
def weights_in_npz(keras: Keras) -> Model:
    """Weights in model.weights.npz, as without h5py: pickles, which Keras 3.9 and later refuse."""
    layers = keras.layers
    both = layers.Bidirectional(layers.LSTM(2, kernel_regularizer="l2"))
    return chain(keras, (None, 3), layers.GRU(2, return_sequences=True), both, layers.Dense(2))
