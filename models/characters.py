"""A language model of characters: at each step, the probability of every next character.

For generating text one character after another. A reader learns the GRU of today's Keras
(`reset_after=True`), which is PyTorch's: its gates are stacked z r h there and r z n here, and its
two biases are both true ones, to be kept apart and trained, because the reset gate multiplies the
second one but not the first. And how a Dense works on a whole sequence: on the last axis of each
step, with one softmax a step.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

from torch import Tensor, nn

from models.mapping import Layers, dense, embedding, gru

if TYPE_CHECKING:
    import keras


def keras_model() -> "keras.Model":
    """65 characters (letters, marks, space and line break), text of any length."""
    import keras

    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="tokens"),
            keras.layers.Embedding(65, 24, name="embedding"),
            keras.layers.GRU(48, return_sequences=True, reset_after=True, name="gru_1"),
            keras.layers.Dropout(0.1, name="dropout"),
            keras.layers.GRU(48, return_sequences=True, reset_after=True, name="gru_2"),
            keras.layers.Dense(65, activation="softmax", name="head"),
        ],
        name="characters",
    )


class Characters(nn.Module):
    """tokens (batch, time) -> (batch, time, 65)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(65, 24)
        self.gru_1 = nn.GRU(24, 48, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.gru_2 = nn.GRU(48, 48, batch_first=True)
        self.head = nn.Linear(48, 65)

    def forward(self, tokens: Tensor) -> Tensor:
        sequence, _ = self.gru_1(self.embedding(tokens))  # (batch, time, 48)
        sequence, _ = self.gru_2(self.dropout(sequence))  # (batch, time, 48)
        return self.head(sequence).softmax(-1)


def copy_weights(keras_model: Layers, module: Characters) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.embedding.load_state_dict(embedding(*keras_model.get_layer("embedding").get_weights()))
    module.gru_1.load_state_dict(gru(*keras_model.get_layer("gru_1").get_weights()))
    module.gru_2.load_state_dict(gru(*keras_model.get_layer("gru_2").get_weights()))
    module.head.load_state_dict(dense(*keras_model.get_layer("head").get_weights()))
