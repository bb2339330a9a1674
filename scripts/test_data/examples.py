"""The two models for people: what the demonstration converts and the documentation shows."""

from scripts.test_data.catalogue import Keras, Model


def bidirectional(keras: Keras) -> Model:
    """Activity from six motion sensors: a bidirectional LSTM, then a choice of four."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, 6), name="sensors"),
            layers.Bidirectional(layers.LSTM(16), name="both_ways"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(4, activation="softmax", name="activity"),
        ],
        name="activity_classifier",
    )


def forecaster(keras: Keras) -> Model:
    """The next value from five measurements an hour: two LSTMs as Keras 2 once built them."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, 5), name="measurements"),
            layers.LSTM(
                16, return_sequences=True, recurrent_activation="hard_sigmoid", name="hours"
            ),
            layers.LSTM(8, recurrent_activation="hard_sigmoid", name="days"),
            layers.Dense(1, name="forecast"),
        ],
        name="forecaster",
    )
