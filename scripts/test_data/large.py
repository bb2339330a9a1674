"""Names so many and long that HDF5 splits the attribute that lists them, above 64512 bytes."""

from scripts.test_data.catalogue import HDF5, Keras, Model, architecture, chain


def long_name(i: int) -> str:
    """A name of 3600 characters that ends in a number."""
    return f"{'long_' * 720}{i:02}"


@architecture(formats=HDF5)
def split_weight_names(keras: Keras) -> Model:
    """A nested model whose weight_names become weight_names0 and weight_names1."""
    layers = keras.layers
    inner = chain(keras, (2,), *(layers.BatchNormalization(name=long_name(i)) for i in range(5)))
    return chain(keras, (None, 2), layers.LSTM(2), inner, layers.Dense(1))
