"""A video classifier: small pictures of one colour, as many as there are, to one of six gestures.

A convolution finds edges in each picture, two ConvLSTMs what moves, and the mean over the places
that are left says which gesture it was. A reader learns that TimeDistributed is a reshape, since
time and batch are one axis to a module that looks at one picture; that PyTorch has no ConvLSTM, and
how short one is: an LSTM whose two products are convolutions, of the gates i f g o side by side,
where that over the state always keeps its shape. Keras has the channels last, PyTorch before rows
and columns: one move at the beginning, and the mean needs none back.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.mapping import Layers, conv2d, conv_lstm, dense

if TYPE_CHECKING:
    import keras


def keras_model() -> "keras.Model":
    """Pictures of 12 rows and 16 columns."""
    import keras

    return keras.Sequential(
        [
            keras.Input((None, 12, 16, 1), name="x"),
            keras.layers.TimeDistributed(
                keras.layers.Conv2D(8, 3, padding="same", activation="relu"), name="edges"
            ),
            keras.layers.TimeDistributed(keras.layers.MaxPooling2D(2), name="pool"),
            keras.layers.ConvLSTM2D(12, 3, padding="same", return_sequences=True, name="motion"),
            keras.layers.ConvLSTM2D(12, 3, name="gesture"),
            keras.layers.GlobalAveragePooling2D(name="mean"),
            keras.layers.Dense(6, activation="softmax", name="head"),
        ],
        name="video",
    )


class ConvLSTM(nn.Module):
    """x (batch, time, channels, rows, columns) -> sequence, (h, c): as nn.LSTM."""

    def __init__(
        self, channels: int, units: int, size: tuple[int, int], padding: str | int = 0
    ) -> None:
        super().__init__()
        self.input = nn.Conv2d(channels, 4 * units, size, padding=padding)
        self.recurrent = nn.Conv2d(units, 4 * units, size, padding="same", bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        products = self.input(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        h = c = torch.zeros_like(products[:, 0].chunk(4, 1)[0])
        outputs = []
        for product in products.unbind(1):
            i, f, g, o = (product + self.recurrent(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1), (h, c)


class Video(nn.Module):
    """x (batch, time, 12, 16, 1) -> (batch, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 8, 3, padding="same")
        self.pool = nn.MaxPool2d(2)
        self.motion = ConvLSTM(8, 12, (3, 3), padding="same")
        self.gesture = ConvLSTM(12, 12, (3, 3))
        self.head = nn.Linear(12, 6)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.shape[1]
        x = x.flatten(0, 1).movedim(-1, 1)  # (batch * time, 1, 12, 16)
        x = self.pool(torch.relu(self.edges(x))).unflatten(0, (-1, steps))
        x, _ = self.motion(x)  # (batch, time, 12, 6, 8)
        _, (x, _) = self.gesture(x)  # (batch, 12, 4, 6)
        return self.head(x.mean((2, 3))).softmax(-1)


def copy_weights(keras_model: Layers, module: Video) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.edges.load_state_dict(conv2d(*keras_model.get_layer("edges").get_weights()))
    module.motion.load_state_dict(conv_lstm(*keras_model.get_layer("motion").get_weights()))
    module.gesture.load_state_dict(conv_lstm(*keras_model.get_layer("gesture").get_weights()))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
