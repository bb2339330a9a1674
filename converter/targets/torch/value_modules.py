"""What prepares values and torch.nn lacks; its text is copied as that of modules.py is."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def unit(x: Tensor, dim: int | tuple[int, ...], eps: float) -> Tensor:
    """F.normalize as Keras computes it in half precision, where squares may be 0 or infinite."""
    inverse = x.square().sum(dim, keepdim=True).rsqrt()
    return x * torch.minimum(inverse, inverse.new_tensor(1 / eps))


class DeviationNorm(nn.Module):
    """nn.LayerNorm that leaves the mean where it is, and has no bias: rms_scaling in Keras."""

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float) -> None:
        super().__init__()
        shape = normalized_shape
        shape = (shape,) if isinstance(shape, int) else shape
        self.axes = tuple(range(-len(shape), 0))
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Of x, in float32 where it is in half precision."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance = wide.var(self.axes, correction=0, keepdim=True)
        return (wide * torch.rsqrt(variance + self.eps) * self.weight).to(x.dtype)


class Normalization(nn.Module):
    """(x - mean) / max(sqrt(variance), 1e-7) of known statistics, or the inverse."""

    mean: Tensor
    variance: Tensor

    def __init__(self, *shape: int, invert: bool = False) -> None:
        super().__init__()
        self.invert = invert
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Of x, whose last axes are those of the statistics."""
        deviation = self.variance.sqrt().clamp(min=1e-7)
        if self.invert:
            return x * deviation + self.mean
        return (x - self.mean) / deviation
