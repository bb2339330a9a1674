"""The PyTorch halves of the twins, read back: what they compute, in layers of their names."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import converter
from converter.judge import Judge
from converter.verify.inputs import cases

EXACT = 1e-12
"""Of the largest output, in float64."""

SHOWS = 1e-6

WORDS = torch.zeros(2, 7, dtype=torch.int64)

TWINS: dict[str, tuple[tuple[Tensor, ...], tuple[str, ...]]] = {
    "question": ((torch.zeros(2, 1, 2),), ("lstm",)),
    "forecaster": (
        (torch.zeros(2, 7, 5),),
        ("lstm_1", "dropout_1", "lstm_2", "dropout_2", "lstm_3", "head"),
    ),
    "sentiment": ((WORDS,), ("embedding", "lstm", "dropout", "head", "sigmoid")),
    "characters": ((WORDS,), ("embedding", "gru_1", "dropout", "gru_2", "head", "softmax")),
    "cnn_lstm": (
        (torch.zeros(2, 12, 6),),
        ("conv", "relu", "pool", "norm", "lstm", "dropout", "head", "softmax"),
    ),
    "translator": (
        (WORDS, WORDS),
        ("source_words", "target_words", "encoder", "decoder", "head", "softmax"),
    ),
    "interpreter": (
        (WORDS, WORDS),
        (
            "source_words",
            "target_words",
            "encoder",
            "decoder",
            "scaled_dot_product_attention",
            "cat",
            "head",
            "softmax",
        ),
    ),
    "stream": ((torch.zeros(2, 7, 4),), ("lstm", "head")),
    "stacked": ((torch.zeros(2, 7, 5),), ("cells_lower", "cells_upper", "head")),
}


def twin(name: str) -> nn.Module:
    torch.manual_seed(0)
    kind = getattr(import_module(f"models.{name}"), name.title().replace("_", ""))
    module: nn.Module = kind().double().eval()
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not key.endswith("running_var"):
                tensor.copy_(torch.randn_like(tensor) * 0.3)
    return module


def example(name: str) -> tuple[Tensor, ...]:
    given, _ = TWINS[name]
    return tuple(one.double() if one.is_floating_point() else one for one in given)


def distance(model: converter.Model, module: nn.Module) -> float:
    """From the judge to the module, at most, as a part of the largest output."""
    far = scale = 0.0
    judge = Judge(model)
    for case in list(cases(model))[:3]:
        with torch.no_grad():
            given = module(*map(torch.from_numpy, case.arrays)).numpy()
        expected = judge.run(case.arrays)[model.outputs[0].name]
        far = max(far, float(np.abs(given - expected).max()))
        scale = max(scale, float(np.abs(expected).max()))
    return far / scale


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_its_module_in_layers_of_the_same_names(name: str) -> None:
    module = twin(name)
    model = converter.read(module, example(name))
    assert tuple(layer.name for layer in model.layers) == TWINS[name][1]
    assert distance(model, module) <= EXACT


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_with_one_other_number_is_another(name: str) -> None:
    module = twin(name)
    model = converter.read(twin(name), example(name))
    with torch.no_grad():
        next(iter(module.parameters())).view(-1)[-1] += 0.1
    if name in ("sentiment", "characters", "translator", "interpreter"):
        with torch.no_grad():  # the last word is seldom drawn
            next(iter(module.parameters())).add_(0.1)
    assert distance(model, module) > SHOWS
