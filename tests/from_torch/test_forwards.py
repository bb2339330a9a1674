"""A module that is read means what it computes, in layers that one would write."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import converter
from converter.description import Layer, Merge, Model, Recurrent
from converter.gates import Array
from converter.judge import Judge
from converter.readers.torch.exported.flat import Flat
from converter.verify.comparison import answers_of_judge
from converter.verify.inputs import Case as Inputs
from converter.verify.inputs import cases
from tests.from_torch.forwards import CASES as FORWARDS
from tests.from_torch.forwards import RECURRENT, Case
from tests.from_torch.forwards_windows import MORE

CASES = {**FORWARDS, **MORE}

EXACT = 1e-12
"""Of the largest output, in float64: two libraries that add in their own order."""

SHOWS = 1e-6
"""What a change must move at least."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """For models this small, handing work to threads costs more than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Read:
    """A case that was read.

    Attributes:
        inputs: Of a verification.
        expected: What the judge says to each.
    """

    case: Case
    module: nn.Module
    model: Model
    inputs: list[Inputs]
    expected: list[list[Array]]

    def distance(self, module: nn.Module) -> float:
        """How far a module is from the judge, at most, as a part of the largest output."""
        flat = Flat(module, self.case.example)
        far = scale = 0.0
        for inputs, expected in zip(self.inputs, self.expected, strict=True):
            with torch.no_grad():
                given = flat(*(torch.from_numpy(array) for array in inputs.arrays))
            for own, other in zip(given, expected, strict=True):
                assert own.shape == other.shape
                far = max(far, float(np.abs(own.numpy() - other).max(initial=0)))
                scale = max(scale, float(np.abs(other).max(initial=0)))
        return far / scale


@cache
def read(name: str) -> Read:
    case = CASES[name]
    module = case.module()
    model = converter.read(module, case.example)
    every = list(cases(model))
    inputs = [*every[:4], *(one for one in every[4:] if "x10" in one.name)]
    return Read(case, module, model, inputs, answers_of_judge(Judge(model), inputs))


def words(layer: Layer) -> str:
    """A layer in a few words: "rnn LSTM(4, return_sequences)"."""
    if not isinstance(layer, Recurrent):
        return f"{layer.name} {type(layer).__name__}"
    two = "Bidirectional " if layer.merge is Merge.CONCAT else ""
    cell = layer.cell.name
    options = [one for one in ("return_sequences", "return_state") if getattr(layer, one)]
    return f"{layer.name} {two}{cell}({', '.join([str(layer.units), *options])})"


@pytest.mark.parametrize("name", CASES)
def test_a_module_is_read_as_one_would_write_it(name: str) -> None:
    assert tuple(words(layer) for layer in read(name).model.layers) == CASES[name].layers


@pytest.mark.parametrize("name", CASES)
def test_the_judge_answers_what_the_module_answers(name: str) -> None:
    assert read(name).distance(read(name).module) <= EXACT


@pytest.mark.parametrize("name", CASES)
def test_another_number_in_any_weight_shows(name: str) -> None:
    module = copy.deepcopy(read(name).module)
    silent = []
    for weight, tensor in module.named_parameters():
        number = tensor.data.view(-1)[tensor.numel() // 2 :][:1]
        before = number.clone()
        number += 0.1
        if read(name).distance(module) < SHOWS:
            silent.append(weight)
        number.copy_(before)
    assert tuple(silent) == CASES[name].silent


@pytest.mark.parametrize("name", RECURRENT)
def test_both_biases_come_back_to_the_bit(name: str) -> None:
    case = RECURRENT[name]
    module = case.module().float()
    model = converter.read(module, tuple(_float(one) for one in case.example))
    written = converter.to_torch(model).state_dict()
    there = sorted(array.numpy().tobytes() for array in written.values())
    assert there == sorted(array.numpy().tobytes() for array in module.state_dict().values())


def _float(one: object) -> object:
    if isinstance(one, tuple):
        return tuple(map(_float, one))
    return one.float() if isinstance(one, torch.Tensor) and one.is_floating_point() else one


def test_a_module_is_left_as_it_was() -> None:
    case = CASES["dropped"]
    module = case.module().train()
    before = {name: array.clone() for name, array in module.state_dict().items()}
    converter.read(module, case.example)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(array, before[name]) for name, array in module.state_dict().items())


def test_weights_that_changed_after_reading_are_not_mixed() -> None:
    case = CASES["a head"]
    module = case.module()
    model = converter.read(module, case.example)
    with torch.no_grad():
        module.get_parameter("head.weight").add_(1)
    with pytest.raises(converter.ReadError, match=r"error\[changed\]"):
        converter.judge(model, case.example[0].numpy())


@pytest.mark.parametrize("shape", [(1, 7, 3), (2, 1, 3), (1, 1, 3)])
def test_batch_and_time_are_free_also_where_the_example_has_one_of_them(
    shape: tuple[int, ...],
) -> None:
    case = CASES["the sequence"]
    model = converter.read(case.module(), torch.zeros(shape, dtype=torch.float64))
    assert model.inputs[0].shape == (None, None, 3)
