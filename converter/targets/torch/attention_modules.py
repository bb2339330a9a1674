"""Attention as Keras computes it, and EinsumDense; copied as the text of modules.py is.

All of it works in eager mode, under torch.compile and through torch.export.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn


class Attention(nn.Module):
    """Attention of each step of a query to the steps of a value, by the product of the two.

    As in Keras, a score that is masked is 1e9 less (in float16, which has no such number, 65504):
    where all of them are, the weights are even.
    """

    def __init__(self, dropout: float = 0.0, causal: bool = False) -> None:
        super().__init__()
        self.dropout = dropout
        self.causal = causal

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """(batch, T, S)."""
        return query @ key.transpose(1, 2)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(batch, T, features), and the weights (batch, T, S).

        Steps of the query whose mask is False give zeros, those of the value weigh nothing.
        """
        scores = self.scores(query, key)
        mask = None if value_mask is None else value_mask.unsqueeze(1)
        if self.causal:
            past = torch.ones_like(scores[0], dtype=torch.bool).tril()
            mask = past if mask is None else mask & past
        if mask is not None:
            most = 65504.0 if scores.dtype is torch.float16 else 1e9
            scores = torch.where(mask, scores, scores - most)
        weights = scores.softmax(-1)
        output = F.dropout(weights, self.dropout, self.training) @ value
        if query_mask is not None:
            output = torch.where(query_mask.unsqueeze(2), output, 0)
        return output, weights


class ScaledAttention(Attention):
    """Attention by scale (query key)."""

    def __init__(self, dropout: float = 0.0, causal: bool = False) -> None:
        super().__init__(dropout, causal)
        self.scale = nn.Parameter(torch.ones(()))

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """(batch, T, S)."""
        return query @ key.transpose(1, 2) * self.scale


class ConcatAttention(Attention):
    """Attention by factor sum(tanh(scale (query + key)))."""

    def __init__(self, scale: bool, dropout: float = 0.0, causal: bool = False) -> None:
        super().__init__(dropout, causal)
        self.scale = nn.Parameter(torch.ones(())) if scale else 1.0
        self.factor = nn.Parameter(torch.ones(()))

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """(batch, T, S)."""
        both = query.unsqueeze(2) + key.unsqueeze(1)
        return torch.tanh(self.scale * both).sum(-1) * self.factor


class AdditiveAttention(Attention):
    """Attention by sum(scale tanh(query + key)), with a scale for each feature."""

    def __init__(
        self,
        features: int,
        scale: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        super().__init__(dropout, causal)
        self.scale = nn.Parameter(torch.ones(features)) if scale else 1.0

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """(batch, T, S)."""
        both = query.unsqueeze(2) + key.unsqueeze(1)
        return (self.scale * torch.tanh(both)).sum(-1)


class MultiHeadAttention(nn.Module):
    """nn.MultiheadAttention with batch_first=True, projections of any size, and any mask.

    Over the axis before the features; those before it are the batch's. `low` is added to a score
    that is masked, so that where all of them are the weights are even, or with `zero` zeros.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        kdim: int | None = None,
        vdim: int | None = None,
        output_dim: int | None = None,
        key_heads: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
        low: float = -1e38,
        zero: bool = False,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.groups = num_heads // (key_heads or num_heads)
        self.dropout = dropout
        self.causal = causal
        self.low = low
        self.zero = zero
        self.scale = key_dim**-0.5 if scale is None else scale
        shared = num_heads // self.groups
        self.query = nn.Linear(embed_dim, num_heads * key_dim, bias)
        self.key = nn.Linear(kdim or embed_dim, shared * key_dim, bias)
        self.value = nn.Linear(vdim or embed_dim, shared * self.value_dim, bias)
        self.output = nn.Linear(
            num_heads * self.value_dim,
            output_dim or embed_dim,
            bias,
        )

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, T, output_dim), and the weights (batch, heads, T, S) if they are needed.

        A mask is True where a score counts, (batch, T, S) or broadcast to it.
        """
        q = self.query(query).unflatten(-1, (-1, self.key_dim)).transpose(-3, -2)
        k = self.key(key).unflatten(-1, (-1, self.key_dim)).transpose(-3, -2)
        v = self.value(value).unflatten(-1, (-1, self.value_dim)).transpose(-3, -2)
        if self.groups > 1:
            k = k.repeat_interleave(self.groups, -3)
            v = v.repeat_interleave(self.groups, -3)
        if self.causal and (mask is not None or need_weights):
            past = torch.ones(
                q.shape[-2],
                k.shape[-2],
                dtype=torch.bool,
                device=q.device,
            )
            mask = past.tril() if mask is None else mask & past.tril()
        lower = None
        if mask is not None:
            while 2 < mask.dim() < q.dim():
                mask = mask.unsqueeze(-3)
            fits = self.low >= torch.finfo(q.dtype).min
            lower = (1 - mask.to(q.dtype if fits else torch.float32)) * self.low
        half = q.dtype in (torch.float16, torch.bfloat16)
        dropout = self.dropout if self.training else 0.0
        weights = None
        lowered = half and mask is not None  # rounded once a score is lower
        if need_weights or lowered:
            scores = q @ k.transpose(-2, -1) * self.scale
            scores = scores if lower is None else scores + lower
            weights = scores.softmax(-1).to(v.dtype)
            if mask is not None and self.zero:
                weights = torch.where(mask, weights, 0)
            output = F.dropout(weights, dropout) @ v
        else:
            causal = self.causal and mask is None
            output = F.scaled_dot_product_attention(
                q,
                k,
                v,
                lower,
                dropout,
                causal,
                scale=self.scale,
            )
            if mask is not None and self.zero:
                output = torch.where(mask.any(-1, keepdim=True), output, 0)
        return self.output(output.transpose(-3, -2).flatten(-2)), weights


class EinsumDense(nn.Module):
    """einsum(equation, x, weight) + bias."""

    def __init__(
        self,
        equation: str,
        weight: tuple[int, ...],
        bias: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.equation = equation
        self.weight = nn.Parameter(torch.empty(weight))
        self.bias = None if bias is None else nn.Parameter(torch.zeros(bias))
        nn.init.xavier_uniform_(self.weight.view(weight[0], -1))

    def forward(self, x: Tensor) -> Tensor:
        """Of x, of the letters before the comma."""
        product = torch.einsum(self.equation, x, self.weight)
        return product if self.bias is None else product + self.bias
