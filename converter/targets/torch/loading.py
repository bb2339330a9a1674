"""The generated text as a module in memory, with weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import numpy as np
import torch
from torch import nn

from converter.gates import Array
from converter.targets.torch.source import Source
from converter.targets.torch.writing import class_of, file_text


def module_of(source: Source, tensors: Mapping[str, Array] | None = None) -> nn.Module:
    """The model's class, made by executing the text, with its weights, in eval mode.

    Args:
        source: What was written.
        tensors: Instead of the model's own weights, those of a file.
    """
    namespace = ModuleType(class_of(source))
    exec(compile(file_text(source), "model.py", "exec"), namespace.__dict__)
    module: nn.Module = getattr(namespace, class_of(source))()
    arrays = {name: array for placement in source.placements for name, array in placement.tensors()}
    if tensors is not None:
        arrays = {name: tensors[name] for name in arrays}
    module.load_state_dict({name: _tensor(array) for name, array in arrays.items()})
    return module.eval()


def _tensor(array: Array) -> torch.Tensor:
    """What a parameter copies; of bfloat16, which NumPy and PyTorch do not share, in float32."""
    kind = np.float32 if array.dtype.name == "bfloat16" else array.dtype
    return torch.from_numpy(np.array(array, kind, order="C"))
