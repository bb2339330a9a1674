"""A CNN-LSTM: windows of six motion sensors to one of six activities (walking, sitting, ...).

The convolution finds short patterns, the pooling halves the length, the LSTM reads what is left. A
reader learns where the axes go: Keras keeps (batch, time, channels) throughout, PyTorch's Conv1d,
MaxPool1d and BatchNorm1d want (batch, channels, time) and its LSTM doesn't, so one transpose before
and one after. Neither convolution nor pooling pads: a kernel of 5 costs 4 steps, and of an odd
length the pooling drops the last step.

Batch normalization has two traps. Keras's epsilon is 1e-3 and PyTorch's 1e-5. Keras's momentum 0.99
is the share of the old mean that is kept, PyTorch's 0.01 the share of the new one that comes in.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.mapping import Layers, batch_norm, conv1d, dense, lstm

if TYPE_CHECKING:
    import keras


def keras_model() -> "keras.Model":
    """Six channels, windows of 6 steps or more."""
    import keras

    return keras.Sequential(
        [
            keras.Input((None, 6), name="x"),
            keras.layers.Conv1D(16, 5, activation="relu", name="conv"),
            keras.layers.MaxPooling1D(2, name="pool"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.LSTM(24, name="lstm"),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(6, activation="softmax", name="head"),
        ],
        name="cnn_lstm",
    )


class CnnLstm(nn.Module):
    """x (batch, time, 6) -> (batch, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(6, 16, 5)
        self.pool = nn.MaxPool1d(2)
        self.norm = nn.BatchNorm1d(16, eps=0.001, momentum=0.01)
        self.lstm = nn.LSTM(16, 24, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(24, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x.transpose(1, 2)))  # (batch, 16, time - 4)
        x = self.norm(self.pool(x)).transpose(1, 2)  # (batch, (time - 4) // 2, 16)
        sequence, _ = self.lstm(x)  # (batch, (time - 4) // 2, 24)
        x = self.dropout(sequence[:, -1])  # lstm has return_sequences=False
        return self.head(x).softmax(-1)


def copy_weights(keras_model: Layers, module: CnnLstm) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.conv.load_state_dict(conv1d(*keras_model.get_layer("conv").get_weights()))
    module.norm.load_state_dict(batch_norm(*keras_model.get_layer("norm").get_weights()))
    module.lstm.load_state_dict(lstm(*keras_model.get_layer("lstm").get_weights()))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
