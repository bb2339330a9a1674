"""What torch.onnx writes, by both of its exporters: nn.LSTM again, the same weights and answers."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import converter
from converter.description import Model, Recurrent, WithinLength
from converter.errors import UnsupportedError
from scripts.test_data.exported import FOLDER, Export, answers, as_trace
from scripts.test_data.exported import exports as made
from tests.readers.onnx.nodes import distance

FLOAT32 = 1e-6
"""Of the largest output: measured below 4e-7."""

LAYERS = {
    "words": ["Embedding words", "Recurrent lstm", "Dense head"],
    "last": ["Recurrent gru", "Dense head"],
    "both_ways": ["Recurrent lstm", "Recurrent lstm_1", "Concatenate", "Dense head"],
    "started": ["Squeeze", "Squeeze", "Recurrent lstm", "ExpandDims", "ExpandDims"],
    "plain": ["Recurrent rnn", "GlobalPooling"],
    "windows": ["Convolution window", "Pooling pool", "Recurrent lstm", "Dense head"],
    "lengths": ["Cast", "WithinLength", "Recurrent lstm", "Stack"],
}
"""The layers of each module, and the names of those that it has itself."""

OF_GRAPHS = ["words", "last", "both_ways", "windows"]
"""Those of which torch.export keeps the recurrent node and the free lengths."""

UNROLLED = {
    "plain": "a node of the kind SplitToSequence, which is not read",
}
"""What torch.export writes in steps, and is refused by name."""


@cache
def exports() -> dict[str, Export]:
    return made()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what the older exporter writes."""
    folder = tmp_path_factory.mktemp("traced")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, one in exports().items():
            as_trace(one, folder / f"{name}.onnx")
    return folder


def shown(model: Model, names: list[str]) -> list[str]:
    """The layers, with their names where these are the module's own."""
    own = {name.split()[1] for name in names if " " in name}
    return [
        f"{type(one).__name__} {one.name}" if one.name in own else type(one).__name__
        for one in model.layers
    ]


def parameters(module: torch.nn.Module) -> Counter[bytes]:
    return Counter(value.numpy().tobytes() for value in module.state_dict().values())


@pytest.mark.parametrize("name", LAYERS)
def test_a_traced_module_is_read_as_its_modules(name: str, traced: Path) -> None:
    one = exports()[name]
    model = converter.read(traced / f"{name}.onnx")
    assert shown(model, LAYERS[name]) == LAYERS[name]
    module = converter.to_torch(model)
    assert parameters(module) == parameters(one.module)
    expected = answers(one)
    with torch.inference_mode():
        assert distance(module(*one.inputs), expected) < FLOAT32
    assert distance(converter.judge(model, *(x.numpy() for x in one.inputs)), expected) < FLOAT32


@pytest.mark.parametrize("name", OF_GRAPHS)
def test_an_exported_graph_is_read_as_its_modules(name: str) -> None:
    recorded = np.load(FOLDER / f"{name}.npz")
    model = converter.read(FOLDER / f"{name}.onnx")
    assert shown(model, LAYERS[name]) == LAYERS[name]
    module = converter.to_torch(model)
    state = [recorded[key] for key in recorded if key.startswith("w.")]
    assert parameters(module) == Counter(array.tobytes() for array in state)
    inputs = [recorded[key] for key in recorded if key.startswith("x.")]
    expected = [recorded[key] for key in recorded if key.startswith("y.")]
    with torch.inference_mode():
        given = module(*map(torch.from_numpy, inputs))
    assert distance(given, expected) < FLOAT32
    swapped = {
        key: value.roll(1, 0) if "weight_ih_l0" in key else value
        for key, value in module.state_dict().items()
    }
    module.load_state_dict(swapped)
    with torch.inference_mode():
        assert distance(module(*map(torch.from_numpy, inputs)), expected) > 1e3 * FLOAT32


@pytest.mark.parametrize("name", UNROLLED)
def test_what_is_written_in_steps_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        converter.read(FOLDER / f"{name}.onnx")
    assert caught.value.context == UNROLLED[name]


def test_a_length_that_was_frozen_stays_frozen() -> None:
    # torch.export has made 7 steps of a free length, and onnxruntime takes no other.
    model = converter.read(FOLDER / "started.onnx")
    assert [value.shape for value in model.inputs] == [(None, None, 4), (1, None, 5), (1, None, 5)]
    assert model.outputs[0].shape == (7, None, 5)
    recorded = np.load(FOLDER / "started.npz")
    given = converter.judge(model, *(recorded[f"x.{k}"] for k in range(3)))
    assert distance(given, [recorded[f"y.{k}"] for k in range(3)]) < FLOAT32


def test_lengths_of_packed_sequences_are_a_mask(traced: Path) -> None:
    model = converter.read(traced / "lengths.onnx")
    (made,) = (call for call in model.calls if isinstance(call.layer, WithinLength))
    (lstm,) = (call for call in model.calls if isinstance(call.layer, Recurrent))
    assert lstm.mask == made.outputs[0]
    source = converter.to_torch_source(model)
    assert "torch.arange(x.shape[1], device=x.device) < " in source
