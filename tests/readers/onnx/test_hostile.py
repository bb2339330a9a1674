"""Strangers' ONNX files: an error that names what is wrong, and nothing read that is not theirs."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import converter
from converter.description import Recurrent
from converter.errors import ConverterError, FormatError, ReadError, UnsupportedError
from tests.readers.onnx.nodes import graph

GENERATOR = np.random.default_rng(0)
ARRAYS = {
    "W": GENERATOR.normal(size=(1, 12, 4)).astype(np.float32),
    "R": GENERATOR.normal(size=(1, 12, 3)).astype(np.float32),
}
LSTM = helper.make_node("LSTM", ["x", "W", "R"], ["", "h"], name="lstm", hidden_size=3)
SECRET = b"a secret that lies elsewhere, and is 576 bytes long" + bytes(525)


def proto() -> onnx.ModelProto:
    file = graph([LSTM], {"x": ("time", "batch", 4)}, {"h": (1, "batch", 3)}, ARRAYS)
    return onnx.ModelProto.FromString(file)


def beside(folder: Path, location: str, **said: str) -> Path:
    """A file whose W lies in another file."""
    model = proto()
    (weight,) = (one for one in model.graph.initializer if one.name == "W")
    data = weight.raw_data
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": "0", "length": str(len(data)), **said}
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    (folder / "weights.bin").write_bytes(data)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def read_whole(source: Path | bytes) -> None:
    """A model and every array of it."""
    for layer in converter.read(source).layers:
        for weight in layer.weights.values():
            weight.read()


def refused(source: Path | bytes) -> ConverterError:
    with pytest.raises(ConverterError) as caught:
        read_whole(source)
    assert isinstance(caught.value, FormatError | ReadError | UnsupportedError)
    assert SECRET[:20].decode() not in str(caught.value)
    return caught.value


def test_arrays_beside_a_file_are_those_inside_it(tmp_path: Path) -> None:
    path = beside(tmp_path, "weights.bin")
    (layer,) = (one for one in converter.read(path).layers if isinstance(one, Recurrent))
    (stored,) = layer.forward.kernel.stored
    assert np.array_equal(stored.read(), ARRAYS["W"][0])
    inside = converter.read(proto().SerializeToString())
    assert converter.read(path).source.sha256 != inside.source.sha256
    assert not isinstance(layer.forward.kernel.stored[0].read().base, type(None))


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("../secret.bin", "outside"),
        ("/etc/hostname", "outside"),
        ("link.bin", "outside"),
        ("linked/secret.bin", "outside"),
        ("sub/../../secret.bin", "outside"),
        ("C:\\secret.bin", "outside"),
        ("", "outside"),
        ("x" * 5000, "outside"),
        ("missing.bin", "not-found"),
        ("fifo", "not-a-file"),
        (".", "outside"),
    ],
)
def test_no_other_files_are_read(location: str, code: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(SECRET)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo")
    assert refused(beside(folder, location)).code == code


@pytest.mark.parametrize(
    "said",
    [
        {"offset": "-4"},
        {"offset": "1000000"},
        {"length": str(2**62)},
        {"offset": str(2**62), "length": "192"},
        {"length": "188"},
        {"length": "-5"},
        {"offset": "none"},
        {"length": "9" * 4000},
    ],
)
def test_arrays_are_where_their_file_says_or_nowhere(said: dict[str, str], tmp_path: Path) -> None:
    assert refused(beside(tmp_path, "weights.bin", **said)).code == "not-onnx"


def test_arrays_beside_a_file_in_memory_are_refused(tmp_path: Path) -> None:
    assert refused(beside(tmp_path, "weights.bin").read_bytes()).code == "outside"


def with_weight(**changes: object) -> bytes:
    """The file, with fields of W changed."""
    model = proto()
    (weight,) = (one for one in model.graph.initializer if one.name == "W")
    for name, value in changes.items():
        if name == "dims":
            del weight.dims[:]
            weight.dims.extend(value)  # type: ignore[arg-type]
        else:
            setattr(weight, name, value)
    return model.SerializeToString()


@pytest.mark.parametrize(
    "changes",
    [
        {"dims": [1, 12, 5]},
        {"dims": [-1, 12, 4]},
        {"dims": [2**40, 2**40]},
        {"dims": [2**62, 4]},
        {"dims": []},
        {"raw_data": b""},
        {"raw_data": bytes(193)},
        {"data_type": TensorProto.DOUBLE},
        {"data_type": 0},
        {"data_type": TensorProto.STRING},
        {"data_type": 99},
    ],
)
def test_a_tensor_has_the_bytes_that_its_shape_says(changes: dict[str, object]) -> None:
    assert refused(with_weight(**changes)).code in ("not-onnx", "onnx-graph")


@pytest.mark.parametrize("dims", [[1, 4, 12], [12, 4], [1, 12, 2, 2], [4, 12, 1]])
def test_weights_have_the_shapes_of_one_cell(dims: list[int]) -> None:
    assert refused(with_weight(dims=dims)).code == "onnx-graph"


def nested(depth: int) -> onnx.NodeProto:
    """Graphs in graphs."""
    inner = helper.make_graph([], "inside", [], [])
    for _ in range(depth):
        node = helper.make_node("Loop", [], [], body=inner)
        inner = helper.make_graph([node], "inside", [], [])
    return helper.make_node("Loop", [], [], body=inner)


def attribute(node: onnx.NodeProto, name: str, value: object) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    kept = [one for one in copy.attribute if one.name != name]
    del copy.attribute[:]
    copy.attribute.extend([*kept, helper.make_attribute(name, value)])
    return copy


SMALL = {"a": np.array([1, 1], np.int64), "n": np.array([2**40], np.int64)}

NODES: dict[str, tuple[list[onnx.NodeProto], str]] = {
    "hidden_size": ([attribute(LSTM, "hidden_size", 2**40)], "onnx-graph"),
    "direction": ([attribute(LSTM, "direction", "sideways")], "onnx-graph"),
    "activations": ([attribute(LSTM, "activations", ["os.system"] * 3)], "onnx-node"),
    "an attribute": ([attribute(LSTM, "script", "import os")], "onnx-node"),
    "a kind": ([helper.make_node("PyFunc", ["x"], ["h"])], "onnx-node"),
    "a domain": ([helper.make_node("LSTM", ["x"], ["h"], domain="evil")], "onnx-node"),
    "no input": ([helper.make_node("Relu", ["nowhere"], ["h"])], "onnx-graph"),
    "a cycle": (
        [helper.make_node("Relu", ["h"], ["y"]), helper.make_node("Relu", ["y"], ["h"])],
        "onnx-graph",
    ),
    "graphs in graphs": ([nested(30)], "not-onnx"),
    "an axis": ([helper.make_node("Concat", ["x", "x"], ["h"], axis=2**40)], "onnx-graph"),
    "a permutation": ([helper.make_node("Transpose", ["x"], ["h"], perm=[0, 0, 7])], "onnx-graph"),
    "tiles": (
        [helper.make_node("Tile", ["a", "n"], ["t"]), helper.make_node("Add", ["x", "t"], ["h"])],
        "onnx-node",
    ),
    "a range": (
        [
            helper.make_node("Range", ["zero", "many", "one"], ["t"]),
            helper.make_node("Add", ["x", "t"], ["h"]),
        ],
        "onnx-node",
    ),
    "zeros": (
        [
            helper.make_node("ConstantOfShape", ["n"], ["t"]),
            helper.make_node("Gather", ["t", "x"], ["h"]),
        ],
        "onnx-node",
    ),
    "doubled": (
        [
            helper.make_node("Concat", [f"d{k}"] * 2, [f"d{k + 1}"], axis=0) if k else
            helper.make_node("Concat", ["a", "a"], ["d1"], axis=0)
            for k in range(60)
        ],
        "onnx-node",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_no_node_makes_more_than_its_file_holds(name: str) -> None:
    nodes, code = NODES[name]
    scalars = {"zero": np.int64(0), "many": np.int64(2**50), "one": np.int64(1)}
    stored = {**ARRAYS, **SMALL, **{key: np.array(value) for key, value in scalars.items()}}
    file = graph(nodes, {"x": ("time", "batch", 4)}, {"h": None}, stored)
    tracemalloc.start()
    begun = time.monotonic()
    error = refused(file)
    assert time.monotonic() - begun < 10
    assert tracemalloc.get_traced_memory()[1] < 2 * 2**30
    tracemalloc.stop()
    assert error.code == code, error


def test_a_sum_that_is_broadcast_is_not_made(tmp_path: Path) -> None:
    wide = {
        f"c{k}": np.ones([60000 if j == k else 1 for j in range(3)], np.float32) for k in range(3)
    }
    nodes = [
        helper.make_node("Add", ["c0", "c1"], ["s"]),
        helper.make_node("Add", ["s", "c2"], ["t"]),
        helper.make_node("Add", ["x", "t"], ["h"]),
    ]
    file = graph(nodes, {"x": (1, 1, 1)}, {"h": None}, wide)
    assert refused(file).code == "onnx-node"


@pytest.mark.parametrize("text", ["[", '[["x"]]', '{"a": 1}', "[" * 5000, '[["x", 3]]'])
def test_metadata_is_data(text: str) -> None:
    model = proto()
    model.metadata_props.add(key="ifco.states", value=text)
    if text.startswith(('[["', "{")):
        read_whole(model.SerializeToString())  # no states of this file
    else:
        assert refused(model.SerializeToString()).code == "json"


WHOLE = proto().SerializeToString()


@pytest.mark.parametrize("size", range(1, len(WHOLE), 7))
def test_a_file_that_is_cut_off_is_refused(size: int) -> None:
    refused(WHOLE[:size])


def mutated(generator: np.random.Generator) -> bytes:
    """The file with some bits, bytes or lengths changed."""
    data = bytearray(WHOLE)
    for _ in range(generator.integers(1, 4)):
        at = int(generator.integers(0, len(data)))
        match generator.integers(0, 4):
            case 0:
                data[at] ^= 1 << int(generator.integers(0, 8))
            case 1:
                data[at] = int(generator.integers(0, 256))
            case 2:
                del data[at : at + int(generator.integers(1, 9))]
            case _:
                data[at:at] = struct.pack("<Q", int(generator.integers(0, 2**63)))
    return bytes(data)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_changed_an_error_is_one_of_ours(seed: int) -> None:
    generator = np.random.default_rng(seed)
    read = 0
    for _ in range(100):
        data = mutated(generator)
        try:
            read_whole(data)
            read += 1
        except ConverterError:
            pass
    assert read  # a bit of a weight is as good as another


def test_names_are_no_code() -> None:
    name = "x'); import os  # "
    node = helper.make_node(
        "LSTM", [name, "W", "R"], ["", "h"], name=f"../../{name}", hidden_size=3
    )
    file = graph([node], {name: ("time", "batch", 4)}, {"h": (1, "batch", 3)}, ARRAYS)
    source = converter.to_torch_source(converter.read(file))
    assert "import os" not in source.replace("from pathlib import Path", "")
    compile(source, "model.py", "exec")


def test_a_file_of_no_graph_says_so() -> None:
    assert refused(b"\x08\x08").message == "the model in memory is not an ONNX file"
    assert refused(b"\x08" * 100).code == "not-onnx"


def test_every_dtype_of_a_tensor_is_read_as_it_is() -> None:
    array = np.array([[1.5, -2.25], [0.1, 3.0]], np.float32)
    for typed in (False, True):
        model = proto()
        tensor = numpy_helper.from_array(array, "w")
        if typed:
            tensor.ClearField("raw_data")
            tensor.float_data.extend(array.reshape(-1).tolist())
        model.graph.initializer.append(tensor)
        node = helper.make_node("MatMul", ["v", "w"], ["z"])
        model.graph.node.append(node)
        model.graph.input.append(helper.make_tensor_value_info("v", 1, ["n", 2]))
        model.graph.output.append(helper.make_tensor_value_info("z", 1, ["n", 2]))
        (dense,) = (
            one
            for one in converter.read(model.SerializeToString()).layers
            if "kernel" in one.weights
        )
        assert np.array_equal(dense.weights["kernel"].read(), array)
