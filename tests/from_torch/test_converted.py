"""A module that was converted from Keras is read back: to the bit, its cells and masks included."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import converter
from converter.activations import ACTIVATIONS, Activation
from converter.description import Dropout, Model, Recurrent
from converter.errors import UnsupportedError
from converter.gates import Cell
from converter.readers.torch.exported.activations import activation_of
from converter.targets.keras import write_model
from converter.targets.torch import file_text, write_source
from converter.targets.torch.loading import class_of
from converter.verify.inputs import drawn

DATA = Path(__file__).parents[1] / "data"

FILES = (
    "keras3/lstm.keras",
    "keras3/gru.keras",
    "keras3/rnn.keras",
    "keras3/lstm_stacked.keras",
    "keras3/lstm_states.keras",
    "keras3/lstm_recurrent_activations.keras",
    "keras3/rnn_activations.keras",
    "keras3/bidirectional_gru_before_merges.keras",
    "keras3/bidirectional_states.keras",
    "keras3/lstm_dropout.keras",
    "keras3/masked_words.keras",
    "keras3/masked_steps.keras",
    "tfkeras/masks_joined.h5",
    "keras215/gru.h5",
)


def read_back(model: Model) -> Model:
    example = tuple(torch.from_numpy(array) for array in drawn(model, 2, 5))
    return converter.read(converter.to_torch(model), example)


def bits(model: Model) -> list[bytes]:
    """Every array of the model as Keras stores it, in any order."""
    placements = write_model(model).placements
    return sorted(array.tobytes() for one in placements for _, array in one.tensors())


def answers(model: Model, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    given = converter.judge(model, *inputs)
    return list(given) if isinstance(given, tuple) else [given]


@pytest.mark.parametrize("name", FILES)
def test_arrays_come_back_to_the_bit_and_answers_are_the_same(name: str) -> None:
    model = converter.read(DATA / name)
    back = read_back(model)
    assert bits(back) == bits(model)
    inputs = drawn(model, 3, 6, seed=1)
    for own, other in zip(answers(model, inputs), answers(back, inputs), strict=True):
        assert np.array_equal(own, other)


def test_a_cell_comes_back_with_its_activation_and_its_reset() -> None:
    back = read_back(converter.read(DATA / "keras215" / "gru.h5"))
    ways = {layer.cell for layer in back.layers if isinstance(layer, Recurrent)}
    assert Cell.GRU in ways
    hard = read_back(converter.read(DATA / "keras3" / "lstm_recurrent_activations.keras"))
    kinds = [
        layer.forward.recurrent_activation.kind
        for layer in hard.layers
        if isinstance(layer, Recurrent)
    ]
    assert kinds == ["hard_sigmoid", "relu", "tanh", "softsign"]


def dropped(model: Model) -> list[tuple[object, ...]]:
    """What layers drop in training: a rate, the shape of its mask, and of states."""
    found: list[tuple[object, ...]] = []
    for layer in model.layers:
        if isinstance(layer, Dropout):
            found.append((layer.rate, layer.noise_shape))
        if isinstance(layer, Recurrent) and layer.forward.recurrent_dropout:
            one = layer.forward
            found.append((one.dropout, one.recurrent_dropout, one.drops))
    return found


def test_what_is_dropped_in_training_comes_back() -> None:
    model = converter.read(DATA / "keras3" / "lstm_dropout.keras")
    back = read_back(model)
    assert any(len(one) == 3 for one in dropped(back))
    inside = [one for one in dropped(model) if len(one) == 3]
    assert [one for one in dropped(back) if len(one) == 3] == inside
    alone = [
        (layer.forward.dropout, (None, 1, None))
        for layer in model.layers
        if isinstance(layer, Recurrent)
        and layer.forward.dropout
        and not layer.forward.recurrent_dropout
    ]
    assert [one for one in dropped(back) if len(one) == 2 and one[1]] == alone


def made(text: str, model: Model) -> nn.Module:
    """A module of such a file, with weights as they are drawn."""
    namespace = ModuleType("changed")
    exec(compile(text, "model.py", "exec"), namespace.__dict__)
    module: nn.Module = getattr(namespace, class_of(write_source(model)))()
    return module.eval()


@pytest.mark.parametrize(
    ("name", "ours", "other"),
    [
        ("keras3/lstm_recurrent_activations.keras", "c = f * c + i *", "c = f * c - i *"),
        ("keras3/masked_words.keras", "counts.cumsum(1) - 1", "counts.cumsum(1) - 2"),
    ],
)
def test_what_has_the_name_of_ours_and_other_code_is_not_taken_for_ours(
    name: str, ours: str, other: str
) -> None:
    model = converter.read(DATA / name)
    text = file_text(write_source(model))
    example = tuple(torch.from_numpy(array) for array in drawn(model, 2, 5))
    assert converter.read(made(text, model), example).layers
    assert text.count(ours) == 1
    with pytest.raises(UnsupportedError):
        converter.read(made(text.replace(ours, other), model), example)


def test_a_module_runs_as_before_when_it_was_read() -> None:
    model = converter.read(DATA / "keras3" / "masked_words.keras")
    module: Any = converter.to_torch(model)
    example = tuple(torch.from_numpy(array) for array in drawn(model, 2, 5))
    with torch.no_grad():
        before = module(*example)
        converter.read(module, example)
        assert torch.equal(module(*example), before)
    assert all("forward" not in one.__dict__ for one in module.modules())


@pytest.mark.parametrize("kind", [kind for kind in ACTIVATIONS if kind != "sparsemax"])
def test_every_activation_is_known_by_what_it_does(kind: str) -> None:
    activation = Activation.of(kind)
    text = activation.torch.replace("{x}", "x")
    function = eval(f"lambda x: {text}", {"torch": torch, "F": torch.nn.functional})
    assert activation_of(function) == activation


def test_an_activation_of_other_numbers_is_known_and_another_function_is_not() -> None:
    def hard(x: torch.Tensor) -> torch.Tensor:
        return (x * 0.25 + 0.5).clamp(0, 1)

    assert activation_of(hard) == Activation.of("hard_sigmoid", alpha=0.25, beta=0.5)
    assert activation_of(lambda x: hard(x) + 0.0) is None
    assert activation_of(lambda x: x if x.sum() > 0 else -x) is None
