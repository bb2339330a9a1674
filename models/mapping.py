"""What each Keras layer's arrays are called, and how they lie, in its PyTorch module.

Every function takes what `layer.get_weights()` returns, in that order, and returns the state dict
of one PyTorch module, for `load_state_dict`, which checks that every name is there and every shape
fits. Shapes use I inputs, H units, O outputs.

Written from the frameworks' own documentation: keras/src/layers, and the "Attributes" sections of
torch.nn.LSTM, GRU, Linear, Conv1d, Conv2d, BatchNorm1d and Embedding.
"""

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]


class Layers(Protocol):
    """What `copy_weights` needs of a Keras model, so that recorded weights serve as well."""

    def get_layer(self, name: str) -> Any:
        """The layer of that name; its `get_weights()` are the arrays."""


def lstm(
    kernel: Array, recurrent_kernel: Array, bias: Array, *, direction: str = ""
) -> dict[str, Tensor]:
    """An LSTM, or one direction of it: `direction` is "" or "_reverse".

    Keras stacks the gates i f c o in columns: kernel (I, 4H), recurrent_kernel (H, 4H), bias (4H,).
    PyTorch stacks them i f g o in rows: weight_ih (4H, I), weight_hh (4H, H). Its g is Keras's c,
    so the order is the same and a transpose is all that the matrices need. PyTorch adds a second
    bias to the first; Keras has one, so the second is zero.
    """
    return {
        f"weight_ih_l0{direction}": torch.from_numpy(kernel.T),
        f"weight_hh_l0{direction}": torch.from_numpy(recurrent_kernel.T),
        f"bias_ih_l0{direction}": torch.from_numpy(bias),
        f"bias_hh_l0{direction}": torch.zeros(bias.shape),
    }


def gru(kernel: Array, recurrent_kernel: Array, bias: Array) -> dict[str, Tensor]:
    """A GRU with `reset_after=True`, the only one that torch.nn.GRU computes.

    Keras stacks the gates z r h in columns: kernel (I, 3H), recurrent_kernel (H, 3H). PyTorch
    stacks them r z n in rows, where n is Keras's h. Both have two true biases, because the reset
    gate multiplies the second one: bias[0] is added to the input's product, bias[1] to the state's.
    """

    def r_z_n(z_r_h: Array) -> Tensor:
        z, r, h = np.split(z_r_h, 3, axis=-1)
        return torch.from_numpy(np.concatenate([r, z, h], axis=-1).T)

    return {
        "weight_ih_l0": r_z_n(kernel),
        "weight_hh_l0": r_z_n(recurrent_kernel),
        "bias_ih_l0": r_z_n(bias[0]),
        "bias_hh_l0": r_z_n(bias[1]),
    }


def dense(kernel: Array, bias: Array) -> dict[str, Tensor]:
    """A Dense: kernel (I, O) becomes weight (O, I)."""
    return {"weight": torch.from_numpy(kernel.T), "bias": torch.from_numpy(bias)}


def embedding(embeddings: Array) -> dict[str, Tensor]:
    """An Embedding: a row for each token in both."""
    return {"weight": torch.from_numpy(embeddings)}


def conv1d(kernel: Array, bias: Array) -> dict[str, Tensor]:
    """A Conv1D: kernel (width, I, O) becomes weight (O, I, width).

    Both slide the kernel without flipping it, so its width keeps its direction.
    """
    return {"weight": torch.from_numpy(kernel.transpose(2, 1, 0)), "bias": torch.from_numpy(bias)}


def conv2d(kernel: Array, bias: Array) -> dict[str, Tensor]:
    """A Conv2D: kernel (rows, columns, I, O) becomes weight (O, I, rows, columns)."""
    weight = kernel.transpose(3, 2, 0, 1)
    return {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)}


def conv_lstm(kernel: Array, recurrent_kernel: Array, bias: Array) -> dict[str, Tensor]:
    """A ConvLSTM2D: two convolutions, of which that over the state has no bias.

    Keras stacks the gates i f c o in the last axis: kernel (rows, columns, I, 4H),
    recurrent_kernel (rows, columns, H, 4H), bias (4H,). PyTorch has no such layer; a class that
    splits its gates i f g o, as nn.LSTM does, has them in the same order.
    """
    weight = recurrent_kernel.transpose(3, 2, 0, 1)
    return {
        **{f"input.{name}": array for name, array in conv2d(kernel, bias).items()},
        "recurrent.weight": torch.from_numpy(weight),
    }


def batch_norm(
    gamma: Array, beta: Array, moving_mean: Array, moving_variance: Array
) -> dict[str, Tensor]:
    """A BatchNormalization; PyTorch also counts the training batches, of which it has seen none."""
    return {
        "weight": torch.from_numpy(gamma),
        "bias": torch.from_numpy(beta),
        "running_mean": torch.from_numpy(moving_mean),
        "running_var": torch.from_numpy(moving_variance),
        "num_batches_tracked": torch.tensor(0),
    }
