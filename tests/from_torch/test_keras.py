"""What is written of modules for Keras 3, loaded and run by Keras itself: the module's answers."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import converter
from converter.gates import Array
from converter.readers.torch.exported.flat import Flat
from converter.runtimes import keras
from converter.verify.inputs import cases
from tests.from_torch.forwards import CASES, Case
from tests.from_torch.forwards_windows import MORE

FLOAT32 = 1e-5
"""Of the largest output: the rounding of either, measured below 2e-6."""

SHOWS = 100 * FLOAT32

EVERY = {**CASES, **MORE}

BACKENDS = {
    "tensorflow": (
        "everything",
        "states in and out",
        "two layers",
        "both last states, transposed",
        "a relu RNN",
        "an encoder and a decoder",
        "steps one by one",
        "a CNN-LSTM",
        "a network of pictures",
        "pictures one after another",
        "normalized layers",
        "a transformer's layer",
        "two packed layers of both",
        "packed, and begun with states",
    ),
    "torch": (
        "the last step",
        "both last states",
        "states in and out",
        "a CNN-LSTM",
        "a network of pictures",
        "attention in heads",
        "a packed sequence, padded again",
    ),
}
"""What is asked of each."""

ALL = {name: EVERY[name] for names in BACKENDS.values() for name in names}


@dataclass(frozen=True)
class Written:
    path: Path
    inputs: list[tuple[Array, ...]]
    expected: list[list[Array]]


def write(name: str, case: Case, folder: Path) -> Written:
    module = case.module().float()
    example = single(case.example)
    model = converter.read(module, example)
    path = folder / f"{len(list(folder.iterdir()))}.keras"
    converter.convert(module, example, to="keras", out=path, verify=False)
    inputs = [one.arrays for one in cases(model)][:2]
    return Written(path, inputs, [answers(module, example, arrays) for arrays in inputs])


def single(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(single, value))
    assert isinstance(value, torch.Tensor)
    return value.float() if value.is_floating_point() else value


def answers(module: nn.Module, example: object, arrays: tuple[Array, ...]) -> list[Array]:
    with torch.no_grad():
        given = Flat(module, example)(*map(torch.from_numpy, arrays))
    return [one.numpy() for one in given]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    for package in ("keras", "tensorflow"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}")
    folder = tmp_path_factory.mktemp("from_torch")
    return {name: write(name, case, folder) for name, case in ALL.items()}


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_answers_what_the_module_answers(backend: str, written: dict[str, Written]) -> None:
    asked = {name: written[name] for name in BACKENDS[backend]}
    jobs = [keras.Job(one.path, one.inputs) for one in asked.values()]
    said = keras.run(jobs, backend=backend)
    far = {}
    for (name, one), outputs in zip(asked.items(), said.outputs, strict=True):
        assert not isinstance(outputs, keras.Failure), f"{name}: {outputs}"
        far[name] = max(
            distance(given, expected)
            for own, other in zip(outputs, one.expected, strict=True)
            for given, expected in zip(own, other, strict=True)
        )
        backwards = [one.expected[0][0], outputs[0][0][..., ::-1]]
        assert distance(*backwards) > SHOWS, name  # its features the other way round
    assert {name: error for name, error in far.items() if error > FLOAT32} == {}


def distance(one: Array, other: Array) -> float:
    assert one.shape == other.shape
    scale = float(np.abs(other).max(initial=0)) or 1.0
    return float(np.abs(one - other).max(initial=0)) / scale
