"""Cells of ONNX that no layer of Keras has; their text is copied as that of modules.py is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from converter.targets.torch.modules import Bias, Recurrence, States


class VariantLSTM(Recurrence):
    """An LSTM with peepholes, coupled gates, or another activation of its state.

    With peepholes, weight_ph (3, hidden_size) is what i, f and o see of the cell state. Coupled, f
    is 1 - i.
    """

    gates = (True, True, False, True)
    states = 2
    beside = "weight_ph"

    def __init__(
        self,
        *sizes: int,
        peepholes: bool = False,
        coupled: bool = False,
        state_activation: Callable[[Tensor], Tensor] = torch.tanh,
        **options: bool | Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__(*sizes, **options)  # type: ignore[arg-type]
        self.coupled = coupled
        self.state_activation = state_activation
        for direction in self.directions if peepholes else ():
            weight = nn.Parameter(torch.zeros(3, self.hidden_size))
            self.register_parameter(f"weight_ph{direction}", weight)

    def step(self, x: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """Gates i, f, g, o; `bias` is the peepholes' weight."""
        h, c = state
        i, f, g, o = torch.addmm(x, h, weight.T).chunk(4, 1)
        if bias is not None:
            i, f = i + bias[0] * c, f + bias[1] * c
        i = self.recurrent_activation(i)
        f = 1 - i if self.coupled else self.recurrent_activation(f)
        c = f * c + i * self.activation(g)
        o = self.recurrent_activation(o if bias is None else o + bias[2] * c)
        return o * self.state_activation(c), c


class Clipped(nn.Module):
    """An activation of what is kept within -limit and limit."""

    def __init__(self, activation: Callable[[Tensor], Tensor], limit: float) -> None:
        super().__init__()
        self.activation = activation
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        return self.activation(x.clamp(-self.limit, self.limit))
