"""An interpreter: a translator that looks back at every word of the sentence.

The decoder begins with the encoder's states, and compares each of its own with what the encoder
gave at each word; the mean of those, weighed by a softmax, stands beside it when the next word is
chosen. A reader learns that Keras's Attention is a function in PyTorch: it has no weights, and
does not divide by the root of the features, so `scale=1.0`.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn

from models.mapping import Layers, dense, embedding, lstm

if TYPE_CHECKING:
    import keras


def keras_model() -> "keras.Model":
    """Vocabularies of 300 and 400 words, sentences of any length."""
    import keras

    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    x = keras.layers.Embedding(300, 16, name="source_words")(source)
    encoder = keras.layers.LSTM(24, return_sequences=True, return_state=True, name="encoder")
    x, h, c = encoder(x)
    y = keras.layers.Embedding(400, 16, name="target_words")(target)
    decoder = keras.layers.LSTM(24, return_sequences=True, name="decoder")
    y = decoder(y, initial_state=[h, c])
    context = keras.layers.Attention(name="attention")([y, x])
    y = keras.layers.Concatenate(name="both")([y, context])
    y = keras.layers.Dense(400, activation="softmax", name="head")(y)
    return keras.Model([source, target], y, name="interpreter")


class Interpreter(nn.Module):
    """source (batch, time), target (batch, time) -> (batch, time, 400)."""

    def __init__(self) -> None:
        super().__init__()
        self.source_words = nn.Embedding(300, 16)
        self.target_words = nn.Embedding(400, 16)
        self.encoder = nn.LSTM(16, 24, batch_first=True)
        self.encoder.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.decoder = nn.LSTM(16, 24, batch_first=True)
        self.decoder.bias_hh_l0.requires_grad_(False)
        self.head = nn.Linear(48, 400)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        x = self.source_words(source)  # (batch, time, 16)
        y = self.target_words(target)  # (batch, time, 16)
        x, (h, c) = self.encoder(x)  # x (batch, time, 24), h (1, batch, 24)
        y, _ = self.decoder(y, (h, c))  # (batch, time, 24)
        context = F.scaled_dot_product_attention(y, x, x, scale=1.0)
        y = torch.cat((y, context), -1)  # (batch, time, 48)
        return self.head(y).softmax(-1)


def copy_weights(keras_model: Layers, module: Interpreter) -> None:
    """The Keras model's weights in the PyTorch module."""
    for name in ("source_words", "target_words"):
        words = embedding(*keras_model.get_layer(name).get_weights())
        module.get_submodule(name).load_state_dict(words)
    for name in ("encoder", "decoder"):
        states = lstm(*keras_model.get_layer(name).get_weights())
        module.get_submodule(name).load_state_dict(states)
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
