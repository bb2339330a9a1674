"""Layers that make sequences, images and volumes longer or shorter."""

from scripts.test_data.catalogue import BOTH, KERAS3_AND_215, Keras, Model, architecture, chain


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def resizing_1d(keras: Keras) -> Model:
    """Zeros in front of a sequence, each step three times, some left out, then an LSTM."""
    layers = keras.layers
    return chain(
        keras,
        (None, 2),
        layers.ZeroPadding1D((2, 1)),
        layers.Conv1D(3, 2),
        layers.UpSampling1D(3),
        layers.Cropping1D((1, 2)),
        layers.LSTM(2),
    )


@architecture(written_by=KERAS3_AND_215)
def resizing_2d(keras: Keras) -> Model:
    """Between convolutions, whose channels stay where they are."""
    layers = keras.layers
    return chain(
        keras,
        (4, 3, 2),
        layers.ZeroPadding2D(((1, 0), (2, 1))),
        layers.Conv2D(3, 2),
        layers.UpSampling2D((2, 3)),
        layers.Cropping2D(((0, 1), (2, 0))),
        layers.Conv2D(2, 2, activation="relu"),
        layers.Cropping2D(1),
        layers.ZeroPadding2D((0, 1)),
        layers.Flatten(),
        layers.Dense(2),
    )


@architecture(written_by=KERAS3_AND_215, exact=False)
def resizing_bilinear(keras: Keras) -> Model:
    """UpSampling2D with what lies in between; TensorFlow computes that in float32."""
    layers = keras.layers
    return chain(
        keras,
        (3, 4, 2),
        layers.UpSampling2D((3, 2), interpolation="bilinear"),
        layers.Conv2D(2, 3),
        layers.UpSampling2D(2, interpolation="bilinear"),
    )


@architecture()
def resizing_3d(keras: Keras) -> Model:
    """A volume."""
    layers = keras.layers
    return chain(
        keras,
        (2, 3, 2, 2),
        layers.ZeroPadding3D(((1, 0), (0, 2), (1, 1))),
        layers.UpSampling3D((1, 2, 1)),
        layers.Cropping3D(((0, 1), (1, 0), (2, 0))),
        layers.Conv3D(2, 2),
    )


@architecture()
def resizing_each_step(keras: Keras) -> Model:
    """Everything that changes an image, on each of a sequence of them."""
    layers = keras.layers
    wrap = layers.TimeDistributed
    return chain(
        keras,
        (None, 4, 4, 2),
        wrap(layers.ZeroPadding2D(1)),
        wrap(layers.SeparableConv2D(3, 3, strides=2, padding="same")),
        wrap(layers.DepthwiseConv2D(2)),
        wrap(layers.UpSampling2D(2)),
        wrap(layers.Conv2DTranspose(2, 3, strides=2, padding="same")),
        wrap(layers.Cropping2D(((1, 2), (0, 3)))),
        wrap(layers.Flatten()),
        layers.GRU(2),
    )
