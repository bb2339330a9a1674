"""What torch.onnx writes, by both of its exporters: nn.LSTM again, the same weights and answers."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper

import converter
from converter.description import Model, Recurrent, WithinLength
from converter.errors import UnsupportedError
from converter.targets.keras import write_model
from scripts.test_data.exported import FOLDER, Export, answers, as_trace
from scripts.test_data.exported import exports as made
from tests.readers.onnx.nodes import distance, graph, ran

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


OF_KERAS = {
    "keras_lstm": ["Recurrent", "Dense"],
    "keras_stacked": ["Recurrent", "Recurrent"],
    "keras_both_ways": ["Recurrent", "Dense"],
    "keras_backwards": ["Recurrent", "Rescaling"],
    "keras_started": ["Recurrent"],
}
"""What tf2onnx writes with a recurrent node, in layers."""


@pytest.mark.parametrize("name", OF_KERAS)
def test_what_tf2onnx_writes_is_read_as_layers_of_keras(name: str) -> None:
    recorded = np.load(FOLDER / f"{name}.npz")
    model = converter.read(FOLDER / f"{name}.onnx")
    assert [type(one).__name__ for one in model.layers] == OF_KERAS[name]
    inputs = [recorded[key] for key in recorded if key.startswith("x.")]
    expected = [recorded[key] for key in recorded if key.startswith("y.")]
    assert distance(converter.judge(model, *inputs), expected) < FLOAT32
    written = write_model(model)
    stored = Counter(
        np.ascontiguousarray(array).tobytes()
        for placement in written.placements
        for _, array in placement.tensors()
    )
    arrays = Counter(recorded[key].tobytes() for key in recorded if key.startswith("w."))
    if name != "keras_backwards":  # tf2onnx has multiplied its normalization out
        assert stored == arrays


def test_what_reads_backwards_is_a_layer_that_does() -> None:
    (layer, _) = converter.read(FOLDER / "keras_backwards.onnx").layers
    assert isinstance(layer, Recurrent)
    assert layer.forward.go_backwards


def test_a_loop_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError) as caught:
        converter.read(FOLDER / "keras_gru.onnx")
    assert caught.value.context == "a node of the kind Loop, which is not read"


def quantized(kind: str) -> bytes:
    """An LSTM of which W is of 8 bits."""
    generator = np.random.default_rng(3)
    stored = {
        "q": generator.integers(-128, 128, (1, 12, 4)).astype(np.int8),
        "s": np.array(0.013, np.float32),
        "z": np.array(3, np.int8),
        "R": generator.normal(size=(1, 12, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["W"]),
        helper.make_node("LSTM", ["x", "W", "R"], ["", "h"], hidden_size=3),
    ]
    if kind:
        whole = ["x", "q", "q", "", "", "", "", "", "s", "z", "s", "z"]
        nodes = [helper.make_node(kind, whole, ["", "h"], domain="com.microsoft", hidden_size=3)]
    return graph(nodes, {"x": ("time", "batch", 4)}, {"h": (1, "batch", 3)}, stored)


def test_weights_of_8_bits_are_what_they_stand_for() -> None:
    x = np.random.default_rng(4).normal(size=(5, 2, 4)).astype(np.float32)
    file = quantized("")
    assert distance(converter.judge(converter.read(file), x), ran(file, x)) < FLOAT32


def test_a_node_that_computes_in_8_bits_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError) as caught:
        converter.read(quantized("DynamicQuantizeLSTM"))
    said = "a node of the kind com.microsoft:DynamicQuantizeLSTM, which is not read"
    assert caught.value.context == said


def test_half_precision_is_refused_by_name() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    file = graph([node], {"x": (["n", 3], "float16")}, {"y": (["n", 3], "float16")}, {})
    with pytest.raises(UnsupportedError) as caught:
        converter.read(file)
    assert caught.value.message == "input 'x' of the model in memory is not read"
    assert caught.value.context == "a tensor of float16"


def test_a_part_in_half_precision_is_refused_by_name() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=10),
        helper.make_node("Relu", ["half"], ["above"]),
        helper.make_node("Cast", ["above"], ["y"], to=1),
    ]
    with pytest.raises(UnsupportedError) as caught:
        converter.read(graph(nodes, {"x": ("n", 3)}, {"y": ("n", 3)}, {}))
    assert caught.value.context == "a cast to float16; what is read is in float32"
