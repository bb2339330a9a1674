"""The LSTM of the question this project began with: several features in a step.

What does a Keras LSTM do when its input has several features a step? `LSTM(1)` has 12 parameters
when a step is one number and 16 when it is two. It does not run once for each feature: a step is a
vector x of F features, and each of the four gates (i, f, c, o) is a small dense layer on x and on
the previous output h, U units wide:

    gate = activation(x @ kernel + h @ recurrent_kernel + bias)
                      F * U         U * U                 U      parameters, four times

    features  Keras 4 (F U + U U + U)  PyTorch 4 (F U + U U + 2 U)
        1              12                          16
        2              16                          20

So a second feature costs one more weight in each gate: four. PyTorch's four more are a second bias
that is added to the first. It adds nothing that one bias can't say, so a model that came from Keras
keeps it at zero.

One step also shows which parameters a first step can't feel. It begins with h = 0 and c = 0, so
recurrent_kernel multiplies zero and the forget gate keeps a share of nothing: the answer is
sigmoid(o) * tanh(sigmoid(i) * tanh(c)), six numbers of the twelve.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

from typing import TYPE_CHECKING

from torch import Tensor, nn

from models.mapping import Layers, lstm

if TYPE_CHECKING:
    import keras


def keras_model(features: int = 2) -> "keras.Model":
    """One unit, one step, one or two features."""
    import keras

    return keras.Sequential(
        [
            keras.Input((1, features), name="x"),
            keras.layers.LSTM(1, name="lstm"),
        ],
        name="question",
    )


class Question(nn.Module):
    """x (batch, 1, features) -> (batch, 1)."""

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, 1, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias

    def forward(self, x: Tensor) -> Tensor:
        sequence, _ = self.lstm(x)  # (batch, 1, 1)
        return sequence[:, -1]  # lstm has return_sequences=False


def copy_weights(keras_model: Layers, module: Question) -> None:
    """The Keras model's weights in the PyTorch module."""
    module.lstm.load_state_dict(lstm(*keras_model.get_layer("lstm").get_weights()))
