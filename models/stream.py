"""A stream: measurements of two machines as they come, a piece at a time, to two numbers a step.

A reader learns what `stateful=True` means: the states at the end of one call are those at the
beginning of the next, so that a sequence may be read in pieces, until somebody says that another
one begins (`reset_states`). The number of sequences is fixed, since each has its own state. In
PyTorch the states are buffers: they go where the module goes, are no parameters, and are not part
of the weights that are saved, as in Keras. `detach` ends the gradient at the piece that is read.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.mapping import Layers, dense, lstm

if TYPE_CHECKING:
    import keras


def keras_model() -> "keras.Model":
    """Two sequences of four features, in pieces of any length."""
    import keras

    return keras.Sequential(
        [
            keras.Input(batch_shape=(2, None, 4), name="x"),
            keras.layers.LSTM(24, return_sequences=True, stateful=True, name="lstm"),
            keras.layers.Dense(2, name="head"),
        ],
        name="stream",
    )


class Stream(nn.Module):
    """x (2, time, 4) -> (2, time, 2)."""

    lstm_h: Tensor
    lstm_c: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 24, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.register_buffer("lstm_h", torch.zeros(1, 2, 24), persistent=False)
        self.register_buffer("lstm_c", torch.zeros(1, 2, 24), persistent=False)
        self.head = nn.Linear(24, 2)

    def reset_states(self) -> None:
        """Begin a new sequence."""
        self.lstm_h = torch.zeros_like(self.lstm_h)
        self.lstm_c = torch.zeros_like(self.lstm_c)

    def forward(self, x: Tensor) -> Tensor:
        x, (h, c) = self.lstm(x, (self.lstm_h, self.lstm_c))  # (2, time, 24)
        self.lstm_h, self.lstm_c = h.detach(), c.detach()
        return self.head(x)


def copy_weights(keras_model: Layers, module: Stream) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.lstm.load_state_dict(lstm(*keras_model.get_layer("lstm").get_weights()))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
