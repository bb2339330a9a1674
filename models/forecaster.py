"""A stacked LSTM forecaster: from a history of five measurements to the next value of one of them.

For load, price or sensor forecasting. A reader learns how recurrent layers stack: each layer but
the last hands its whole sequence to the next (`return_sequences=True`), the last one its last step
alone, and a Dense without activation turns that into a number of any size.

`nn.LSTM(5, 32, num_layers=3, dropout=0.2)` is PyTorch's own stack, for layers of one size. Here
they narrow, so each layer is a module, and can be read, frozen or replaced by the name that it has
in Keras.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

from torch import Tensor, nn

from models.mapping import Layers, dense, lstm

if TYPE_CHECKING:
    import keras


def keras_model() -> "keras.Model":
    """Five features, any length; three LSTM layers with dropout between them."""
    import keras

    return keras.Sequential(
        [
            keras.Input((None, 5), name="x"),
            keras.layers.LSTM(32, return_sequences=True, name="lstm_1"),
            keras.layers.Dropout(0.2, name="dropout_1"),
            keras.layers.LSTM(24, return_sequences=True, name="lstm_2"),
            keras.layers.Dropout(0.2, name="dropout_2"),
            keras.layers.LSTM(16, name="lstm_3"),
            keras.layers.Dense(1, name="head"),
        ],
        name="forecaster",
    )


class Forecaster(nn.Module):
    """x (batch, time, 5) -> (batch, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm_1 = nn.LSTM(5, 32, batch_first=True)
        self.lstm_1.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.dropout_1 = nn.Dropout(0.2)
        self.lstm_2 = nn.LSTM(32, 24, batch_first=True)
        self.lstm_2.bias_hh_l0.requires_grad_(False)
        self.dropout_2 = nn.Dropout(0.2)
        self.lstm_3 = nn.LSTM(24, 16, batch_first=True)
        self.lstm_3.bias_hh_l0.requires_grad_(False)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        sequence, _ = self.lstm_1(x)  # (batch, time, 32)
        sequence, _ = self.lstm_2(self.dropout_1(sequence))  # (batch, time, 24)
        sequence, _ = self.lstm_3(self.dropout_2(sequence))  # (batch, time, 16)
        return self.head(sequence[:, -1])  # lstm_3 has return_sequences=False


def copy_weights(keras_model: Layers, module: Forecaster) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.lstm_1.load_state_dict(lstm(*keras_model.get_layer("lstm_1").get_weights()))
    module.lstm_2.load_state_dict(lstm(*keras_model.get_layer("lstm_2").get_weights()))
    module.lstm_3.load_state_dict(lstm(*keras_model.get_layer("lstm_3").get_weights()))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
