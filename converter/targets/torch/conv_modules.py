"""The convolutional LSTM that torch.nn lacks; its text is copied as that of modules.py is."""

# mypy: disable-error-code="arg-type, no-any-return"
# Options are handed on to the class that it derives from; F.conv2d is found by its name.

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn

from converter.targets.torch.modules import pad_same


class ConvLSTM(nn.Module):
    """A convolutional LSTM, called like nn.LSTM with batch_first=True.

    x and the sequence are (batch, time, channels, ...), h and c (batch, channels, ...).
    The window over h is as large as that over x; it moves by 1 and keeps the shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...] | None = None,
        padding: str = "valid",
        dilation: tuple[int, ...] | None = None,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride or (1,) * len(kernel_size)
        self.padding = padding
        self.dilation = dilation or (1,) * len(kernel_size)
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        conv = getattr(nn, f"Conv{len(kernel_size)}d")
        odd = all(n % 2 for n in kernel_size)  # of even ones PyTorch copies, and warns
        same = "same" if odd else 0
        self.input = conv(
            in_channels,
            4 * out_channels,
            kernel_size,
            self.stride,
            padding=same if padding == "same" and max(self.stride) == 1 else 0,
            dilation=self.dilation,
            bias=bias,
        )
        sizes = out_channels, 4 * out_channels, kernel_size
        self.recurrent = conv(*sizes, padding=same, bias=False)
        pairs = [((n - 1) // 2, n // 2) for n in reversed(kernel_size)]
        self.sides = [side for pair in pairs for side in pair]

    def convolve(self, x: Tensor) -> Tensor:
        """The product of the input, of every step at once."""
        steps = x.flatten(0, 1)
        if self.padding == "same" and self.input.padding != "same":
            sizes = self.kernel_size, self.stride
            steps = pad_same(steps, *sizes, dilations=self.dilation)
        return self.input(steps).unflatten(0, x.shape[:2])

    def recurrence(self, h: Tensor) -> Callable[[Tensor], Tensor]:
        """What gives the product of a state like h."""
        if self.recurrent.padding == "same":
            return self.recurrent
        return lambda h: self.recurrent(F.pad(h, self.sides))

    def forward(
        self,
        x: Tensor,
        initial: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As nn.LSTM: (sequence, (h, c)).

        Where the mask is False a step leaves the state and repeats the output before it. It
        is (batch, time), or has axes of h behind these.
        """
        products = self.convolve(x)
        if initial is None:
            zeros = torch.zeros_like(products[:, 0].chunk(4, 1)[0])
            initial = zeros, zeros
        h, c = initial
        product_of = self.recurrence(h)
        output = torch.zeros_like(h)
        outputs = []
        for k, product in enumerate(products.unbind(1)):
            gates = product + product_of(h)
            i, f, g, o = gates.chunk(4, 1)
            i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
            new_c = f * c + i * self.activation(g)
            new_h = o * self.activation(new_c)
            if mask is None:
                h, c, output = new_h, new_c, new_h
            else:
                now = mask[:, k].view(*mask[:, k].shape, *[1] * (x.dim() - mask.dim()))
                pairs = (new_h, h), (new_c, c), (new_h, output)
                h, c, output = (torch.where(now, *pair) for pair in pairs)
            outputs.append(output)
        return torch.stack(outputs, 1), (h, c)


class DropoutConvLSTM(ConvLSTM):
    """ConvLSTM with Keras's dropout: in training, drawn once a sequence for each gate."""

    def __init__(
        self,
        *sizes: int | tuple[int, ...],
        input_rate: float = 0.0,
        recurrent_rate: float = 0.0,
        **options: object,
    ) -> None:
        super().__init__(*sizes, **options)
        self.input_rate = input_rate
        self.recurrent_rate = recurrent_rate
        self.function = getattr(F, f"conv{len(self.kernel_size)}d")

    def convolve(self, x: Tensor) -> Tensor:
        """The product of the input, of every step at once."""
        if not self.training:
            return super().convolve(x)
        batch, _, channels, *axes = x.shape
        kept = F.dropout(x.new_ones(batch, 1, 4 * channels, *axes), self.input_rate)
        steps = (torch.cat([x] * 4, 2) * kept).flatten(0, 1)
        if self.padding == "same":
            sizes = self.kernel_size, self.stride
            steps = pad_same(steps, *sizes, dilations=self.dilation)
        own = self.input.weight, self.input.bias, self.stride, 0, self.dilation, 4
        return self.function(steps, *own).unflatten(0, x.shape[:2])

    def recurrence(self, h: Tensor) -> Callable[[Tensor], Tensor]:
        """What gives the product of a state like h."""
        if not self.training:
            return super().recurrence(h)
        batch, channels, *axes = h.shape
        kept = F.dropout(h.new_ones(batch, 4 * channels, *axes), self.recurrent_rate)

        def product(h: Tensor) -> Tensor:
            dropped = F.pad(torch.cat([h] * 4, 1) * kept, self.sides)
            return self.function(dropped, self.recurrent.weight, groups=4)

        return product
