"""A sentiment classifier: word numbers of a review to the probability that it is a good one.

A reader learns what `Bidirectional` means without `return_sequences`: the last output of the
forward half, which has read the whole review, beside the last output of the backward half, which
has read it too, but ended at the first word. In PyTorch's sequence of both halves the last step
holds a backward half that has read one word only, so `sequence[:, -1]` looks right and is wrong:
the final states are in h. No mask: padding is read like any other word.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.mapping import Layers, dense, embedding, lstm

if TYPE_CHECKING:
    import keras


def keras_model() -> "keras.Model":
    """A vocabulary of 2000 words, reviews of any length."""
    import keras

    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="tokens"),
            keras.layers.Embedding(2000, 32, name="embedding"),
            keras.layers.Bidirectional(keras.layers.LSTM(16, name="half"), name="lstm"),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(1, activation="sigmoid", name="head"),
        ],
        name="sentiment",
    )


class Sentiment(nn.Module):
    """tokens (batch, time) -> (batch, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2000, 32)
        self.lstm = nn.LSTM(32, 16, batch_first=True, bidirectional=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.lstm.bias_hh_l0_reverse.requires_grad_(False)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(32, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (h, _) = self.lstm(self.embedding(tokens))  # h (2, batch, 16)
        x = torch.cat((h[0], h[1]), -1)  # (batch, 32): each direction's final state
        return torch.sigmoid(self.head(self.dropout(x)))


def copy_weights(keras_model: Layers, module: Sentiment) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.embedding.load_state_dict(embedding(*keras_model.get_layer("embedding").get_weights()))
    both = keras_model.get_layer("lstm").get_weights()  # three forward, then three backward
    module.lstm.load_state_dict(lstm(*both[:3]) | lstm(*both[3:], direction="_reverse"))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
