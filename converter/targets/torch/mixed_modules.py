"""Mixed precision; the text of a class is copied into a generated file that needs it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Mixed(nn.Module):
    """A module that computes in another dtype than its parameters have: mixed precision.

    They are cast each time, so that training changes them as they are, and so are buffers.
    Eager, under torch.compile and torch.export; that warns of the list of weights of nn.LSTM.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, *inputs: Tensor | None, **settings: bool) -> Tensor | tuple[Tensor, ...]:
        """As that of the module; inputs are of `dtype`."""
        own = {
            name: tensor.to(self.dtype) if tensor.is_floating_point() else tensor
            for name, tensor in self.module.state_dict(keep_vars=True).items()
        }
        results: Tensor | tuple[Tensor, ...] = functional_call(self.module, own, inputs, settings)
        return results
