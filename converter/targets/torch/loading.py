"""Weights into an nn.Module."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from converter.targets.torch.source import Source


def tensors_of(source: Source) -> dict[str, Tensor]:
    """Every tensor of the state dict, each with memory of its own."""
    return {
        name: torch.from_numpy(np.array(array, order="C"))
        for placement in source.placements
        for name, array in placement.tensors()
    }


def module_of(kind: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> nn.Module:
    """A module of a generated class with these weights, in eval mode."""
    module = kind()
    module.load_state_dict(tensors)
    return module.eval()
