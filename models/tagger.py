"""A tagger: the words of a sentence to the probabilities of seven tags for each of them.

A reader learns what a mask means to a recurrent layer: `mask_zero=True` says that word 0 is
padding, which the LSTM skips, so that its backward half begins at the last real word.
`pack_padded_sequence` does the same in PyTorch where the padding is at the end. It wants lengths
of 1 and more: a sentence of nothing but padding is read for one step, and thrown away with the
other masked steps. Bidirectional returns zeros there, so the head gives its bias.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

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
        lengths = mask.sum(1).clamp(min=1).cpu()
        x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = self.lstm(x)
        steps = tokens.shape[1]
        x, _ = pad_packed_sequence(x, batch_first=True, total_length=steps)
        x = torch.where(mask.unsqueeze(-1), x, 0)  # (batch, time, 32)
        return self.head(x).softmax(-1)


def copy_weights(keras_model: Layers, module: Tagger) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.embedding.load_state_dict(embedding(*keras_model.get_layer("embedding").get_weights()))
    both = keras_model.get_layer("lstm").get_weights()  # three forward, then three backward
    module.lstm.load_state_dict(lstm(*both[:3]) | lstm(*both[3:], direction="_reverse"))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
