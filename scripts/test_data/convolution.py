"""Convolutions with their paddings, strides, dilations and groups."""

from scripts.test_data.catalogue import BOTH, KERAS3_AND_215, Keras, Model, architecture, chain, fan


@architecture(formats=BOTH, lengths=(4, 5, 8))
def conv1d(keras: Keras) -> Model:
    """A Conv1D without padding, then an LSTM."""
    layers = keras.layers
    return chain(keras, (None, 3), layers.Conv1D(4, 3, activation="relu"), layers.LSTM(2))


@architecture(lengths=(5, 6, 9))
def conv1d_valid(keras: Keras) -> Model:
    """Strides, dilation, groups, no bias, each without padding."""
    layers = keras.layers
    return fan(
        keras,
        (None, 4),
        layers.Conv1D(2, 1),
        layers.Conv1D(2, 2, use_bias=False),
        layers.Conv1D(3, 3, strides=2),
        layers.Conv1D(3, 3, dilation_rate=2, activation="tanh"),
        layers.Conv1D(4, 2, groups=2),
    )


@architecture()
def conv1d_same(keras: Keras) -> Model:
    """padding="same" with even and odd kernels, strides, dilation: a free axis of any length."""
    layers = keras.layers
    return fan(
        keras,
        (None, 2),
        layers.Conv1D(2, 3, padding="same"),
        layers.Conv1D(2, 4, padding="same"),
        layers.Conv1D(2, 3, padding="same", strides=2),
        layers.Conv1D(2, 2, padding="same", strides=3),
        layers.Conv1D(2, 3, padding="same", dilation_rate=2),
    )


@architecture()
def conv1d_causal(keras: Keras) -> Model:
    """padding="causal" with strides, dilation, groups."""
    layers = keras.layers
    return fan(
        keras,
        (None, 2),
        layers.Conv1D(2, 3, padding="causal"),
        layers.Conv1D(2, 2, padding="causal", strides=2),
        layers.Conv1D(2, 3, padding="causal", dilation_rate=2),
        layers.Conv1D(4, 2, padding="causal", groups=2, activation="elu"),
    )


@architecture()
def conv1d_wavenet(keras: Keras) -> Model:
    """Causal convolutions of growing dilation, added up, before a GRU."""
    layers = keras.layers
    x = keras.Input((None, 3))
    first = layers.Conv1D(3, 2, padding="causal", activation="tanh")(x)
    second = layers.Conv1D(3, 2, padding="causal", dilation_rate=2, activation="tanh")(first)
    return keras.Model(x, layers.GRU(2)(layers.Add()([x, first, second])))


@architecture()
def conv2d(keras: Keras) -> Model:
    """Convolution, pooling, Flatten, Dense: the order of Flatten shows."""
    layers = keras.layers
    return chain(
        keras,
        (6, 5, 2),
        layers.Conv2D(3, (3, 2), activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(3),
    )


@architecture()
def conv2d_options(keras: Keras) -> Model:
    """padding="same" with strides and even kernels, dilation, groups, no bias."""
    layers = keras.layers
    return fan(
        keras,
        (4, 5, 2),
        layers.Conv2D(2, 1, use_bias=False),
        layers.Conv2D(2, (2, 3), strides=(2, 1)),
        layers.Conv2D(2, 2, padding="same"),
        layers.Conv2D(2, (3, 2), padding="same", strides=2),
        layers.Conv2D(2, 2, padding="same", dilation_rate=(2, 1)),
        layers.Conv2D(2, 2, groups=2, activation="tanh"),
    )


@architecture(lengths=(3, 4, 6))
def conv2d_free(keras: Keras) -> Model:
    """An image of any size, padded so that its size stays, then only halved."""
    layers = keras.layers
    return chain(
        keras,
        (None, None, 1),
        layers.Conv2D(2, 3, padding="same"),
        layers.Conv2D(2, 3, padding="same", strides=2, activation="relu"),
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def conv_by_channel(keras: Keras) -> Model:
    """SeparableConv1D and DepthwiseConv1D before an LSTM: one filter a channel, and two."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.SeparableConv1D(4, 3, padding="same", activation="relu"),
        layers.DepthwiseConv1D(2, padding="same", depth_multiplier=2),
        layers.SeparableConv1D(3, 2, strides=2, padding="same", depth_multiplier=2, use_bias=False),
        layers.LSTM(2),
    )


@architecture()
def conv2d_by_channel(keras: Keras) -> Model:
    """SeparableConv2D and DepthwiseConv2D: strides, dilation, no bias."""
    layers = keras.layers
    return fan(
        keras,
        (6, 5, 2),
        layers.SeparableConv2D(3, (3, 2), padding="same", depth_multiplier=2),
        layers.SeparableConv2D(2, 2, strides=2, use_bias=False, activation="tanh"),
        layers.DepthwiseConv2D((2, 3), strides=2, padding="same"),
        layers.DepthwiseConv2D(2, dilation_rate=2, use_bias=False, depth_multiplier=3),
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def conv1d_transpose(keras: Keras) -> Model:
    """A sequence that is made shorter, an LSTM over it, and made longer again."""
    layers = keras.layers
    return chain(
        keras,
        (None, 2),
        layers.Conv1D(3, 3, strides=2, padding="same", activation="relu"),
        layers.LSTM(3, return_sequences=True),
        layers.Conv1DTranspose(3, 3, strides=2, padding="same", activation="relu"),
        layers.Conv1DTranspose(2, 4, strides=3, padding="same", output_padding=1, use_bias=False),
        layers.Conv1DTranspose(2, 2, strides=3, activation="softmax"),
    )


@architecture()
def conv_transpose_images(keras: Keras) -> Model:
    """Conv2DTranspose and Conv3DTranspose, even and odd windows, with and without padding."""
    layers = keras.layers
    image, volume = keras.Input((3, 4, 2)), keras.Input((2, 3, 2, 2))
    return keras.Model(
        [image, volume],
        [
            layers.Conv2DTranspose(2, (3, 2), strides=2, padding="same")(image),
            layers.Conv2DTranspose(2, (2, 3), strides=(1, 3), output_padding=(0, 2))(image),
            layers.Conv3DTranspose(2, (2, 3, 1), strides=(1, 2, 2), padding="same")(volume),
        ],
    )
