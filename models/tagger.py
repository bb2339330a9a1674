"""A tagger: the words of a sentence to the probabilities of seven tags for each of them.

A reader learns what a mask means to a recurrent layer: `mask_zero=True` says that word 0 is
padding, which the LSTM skips, so that its backward half begins at the last real word.
With the padding at the end, the forward half may read it, since that changes nothing before; for
the backward half each sentence is turned round within its length. (`pack_padded_sequence` would
also do, and takes half as long again on a CPU.) Bidirectional returns zeros where words are
masked, so the head gives its bias there.
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
    """A vocabulary of 500 words, sentences of any length, padded with 0 at their end."""
    import keras

    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="tokens"),
            keras.layers.Embedding(500, 24, mask_zero=True, name="embedding"),
            keras.layers.Bidirectional(
                keras.layers.LSTM(16, return_sequences=True, name="half"), name="lstm"
            ),
            keras.layers.Dense(7, activation="softmax", name="head"),
        ],
        name="tagger",
    )


class Tagger(nn.Module):
    """tokens (batch, time), padded with 0 at their end -> (batch, time, 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(500, 24)
        self.lstm = nn.LSTM(24, 16, batch_first=True, bidirectional=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.lstm.bias_hh_l0_reverse.requires_grad_(False)
        self.head = nn.Linear(32, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        mask = tokens != 0  # (batch, time)
        x = self.embedding(tokens)  # (batch, time, 24)
        rows = torch.arange(len(x)).unsqueeze(1)
        steps = torch.arange(x.shape[1])
        turned = (mask.sum(1, keepdim=True) - 1 - steps).clamp(min=0)
        ahead = self.read(x, 0)
        back = self.read(x[rows, turned], 1)[rows, turned]
        x = torch.cat((ahead, back), -1)
        x = torch.where(mask.unsqueeze(-1), x, 0)  # (batch, time, 32)
        return self.head(x).softmax(-1)

    def read(self, x: Tensor, direction: int) -> Tensor:
        """The outputs of one half of the LSTM, called as nn.LSTM calls it."""
        zeros = x.new_zeros(1, len(x), 16)
        weights: list[Tensor] = [*self.lstm.all_weights[direction]]
        options = (True, 1, 0.0, self.training, False, True)
        return torch.lstm(x, (zeros, zeros), weights, *options)[0]


def copy_weights(keras_model: Layers, module: Tagger) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.embedding.load_state_dict(embedding(*keras_model.get_layer("embedding").get_weights()))
    both = keras_model.get_layer("lstm").get_weights()  # three forward, then three backward
    module.lstm.load_state_dict(lstm(*both[:3]) | lstm(*both[3:], direction="_reverse"))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
