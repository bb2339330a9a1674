"""Stacked cells: five measurements and their history to the next value, by cells in one layer.

Keras's RNN takes a list of cells and runs all of them at each step, before it goes to the next. A
reader learns that this is the same as one whole LSTM on the sequence of another, which PyTorch
computes in one call each: the upper cell never speaks to the lower one. The list has one set of
weights, the lower cell's three arrays and then the upper one's. `nn.LSTM(num_layers=2)` would be
shorter, but gives both as many units.
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
    """Five features, sequences of any length."""
    import keras

    lower = keras.layers.LSTMCell(24, name="lower")
    upper = keras.layers.LSTMCell(16, name="upper")
    return keras.Sequential(
        [
            keras.Input((None, 5), name="x"),
            keras.layers.RNN([lower, upper], name="cells"),
            keras.layers.Dense(1, name="head"),
        ],
        name="stacked",
    )


class Stacked(nn.Module):
    """x (batch, time, 5) -> (batch, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.cells_lower = nn.LSTM(5, 24, batch_first=True)
        self.cells_lower.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.cells_upper = nn.LSTM(24, 16, batch_first=True)
        self.cells_upper.bias_hh_l0.requires_grad_(False)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.cells_lower(x)  # (batch, time, 24)
        sequence, _ = self.cells_upper(x)  # (batch, time, 16)
        return self.head(sequence[:, -1])  # cells has return_sequences=False


def copy_weights(keras_model: Layers, module: Stacked) -> None:
    """The Keras model's weights in the PyTorch module."""
    both = keras_model.get_layer("cells").get_weights()  # three lower, then three upper
    module.cells_lower.load_state_dict(lstm(*both[:3]))
    module.cells_upper.load_state_dict(lstm(*both[3:]))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
