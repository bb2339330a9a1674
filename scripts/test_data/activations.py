"""Every activation of Keras, as the layer Activation and as layers of their own."""

from scripts.test_data.catalogue import (
    BOTH,
    KERAS3_AND_215,
    Keras,
    Model,
    architecture,
    fan,
    is_keras2,
)

COMMON = (
    "elu",
    "exponential",
    "hard_sigmoid",
    "linear",
    "relu",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
)

ONLY_KERAS3 = (
    "celu",
    "glu",
    "hard_shrink",
    "hard_silu",
    "hard_tanh",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu6",
    "silu",
    "soft_shrink",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh_shrink",
)


@architecture()
def activations(keras: Keras) -> Model:
    """The activations that Keras 2 and Keras 3 share; hard_sigmoid differs between them."""
    return fan(keras, (None, 3), *(keras.layers.Activation(name) for name in COMMON))


@architecture()
def activations_of_keras3(keras: Keras) -> Model:
    """The activations that came with Keras 3."""
    known = [name for name in ONLY_KERAS3 if hasattr(keras.activations, name)]
    return fan(keras, (None, 2), *(keras.layers.Activation(name) for name in known))


@architecture(written_by=KERAS3_AND_215)
def activation_layers(keras: Keras) -> Model:
    """ReLU, ELU, Softmax with their parameters."""
    layers = keras.layers
    return fan(
        keras,
        (None, 3),
        layers.ReLU(),
        layers.ReLU(max_value=1.5),
        layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.5),
        layers.ELU(),
        layers.ELU(alpha=0.6),
        layers.Softmax(),
        layers.Softmax(axis=1),
    )


@architecture(formats=BOTH)
def softmax_axes(keras: Keras) -> Model:
    """Softmax over two axes at once, over the first one after the batch."""
    layers = keras.layers
    return fan(
        keras,
        (3, 4, 2),
        layers.Softmax(axis=[1, 2]),
        layers.Softmax(axis=1),
        layers.Softmax(axis=-2),
    )


@architecture(formats=BOTH)
def prelu(keras: Keras) -> Model:
    """PReLU with a slope for each number, for each channel, and for all of them."""
    layers = keras.layers
    free = keras.Input((None, 3))
    fixed = keras.Input((4, 3))
    image = keras.Input((3, 2, 2))
    return keras.Model(
        [free, fixed, image],
        [
            layers.PReLU(shared_axes=[1])(free),
            layers.PReLU()(fixed),
            layers.PReLU(shared_axes=[1, 2])(fixed),
            layers.PReLU(shared_axes=[1, 2])(image),
            layers.PReLU(shared_axes=[2])(image),
        ],
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH, exact=False)
def gelu_and_leaky_relu(keras: Keras) -> Model:
    """Those with constants: as layers, whose slope Keras 2 calls alpha, and inside of others."""
    layers = keras.layers
    slope = "alpha" if is_keras2(keras) else "negative_slope"
    return fan(
        keras,
        (None, 3),
        layers.Activation("gelu"),
        layers.LeakyReLU(),
        layers.LeakyReLU(**{slope: 0.07}),
        layers.ReLU(negative_slope=0.2),
        layers.Dense(2, activation=layers.LeakyReLU()),
        layers.LSTM(2, activation="gelu", return_sequences=True),
    )


@architecture(exact=False)
def leaky_relu(keras: Keras) -> Model:
    """leaky_relu by name, which came with Keras 3."""
    layers = keras.layers
    return fan(
        keras,
        (None, 2),
        layers.Activation("leaky_relu"),
        layers.Dense(2, activation="leaky_relu"),
        layers.GRU(2, activation="leaky_relu", recurrent_activation="softsign"),
    )
