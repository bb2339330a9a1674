"""How far the PyTorch that is written for a layer is from Keras, both in float64."""

from __future__ import annotations

import numpy as np
import torch

import converter
from converter.description import Model
from tests.judge.answers import Answer


def torch_difference(answer: Answer, model: Model | None = None) -> float:
    """In parts of the largest element; `model` as in `difference`."""
    torch.set_default_dtype(torch.float64)  # else its weights are rounded to float32
    try:
        return _largest(answer, converter.to_torch(model or answer.model))
    finally:
        torch.set_default_dtype(torch.float32)


def _largest(answer: Answer, module: torch.nn.Module) -> float:
    largest = 0.0
    for call in answer.calls:
        with torch.inference_mode():
            given = module(*(torch.from_numpy(array.copy()) for array in call.inputs))
        outputs = given if isinstance(given, tuple) else (given,)
        assert [output.shape for output in outputs] == [array.shape for array in call.outputs]
        for output, expected in zip(outputs, call.outputs, strict=True):
            scale = np.abs(expected).max() or 1.0
            largest = max(largest, float(np.abs(output.numpy() - expected).max() / scale))
    return largest
