"""From an ONNX file to every target, with the original itself in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import converter
from converter.cli import run
from converter.description import Weight
from converter.verify import original
from converter.verify.verdict import Status
from tests.readers.onnx.nodes import graph

TARGETS = {"pytorch": "model", "onnx": "model.onnx", "keras": "model.keras"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An LSTM and a Dense, as somebody else would have exported them."""
    generator = np.random.default_rng(5)
    stored = {
        name: generator.normal(size=shape).astype(np.float32)
        for name, shape in {"W": (1, 12, 4), "R": (1, 12, 3), "B": (1, 24), "w": (3, 2)}.items()
    }
    stored["axis"] = np.array([0], np.int64)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "W", "R", "B"], ["", "h"], name="lstm", hidden_size=3),
        helper.make_node("Squeeze", ["h", "axis"], ["last"]),
        helper.make_node("MatMul", ["last", "w"], ["y"], name="head"),
    ]
    path = tmp_path / "given.onnx"
    path.write_bytes(graph(nodes, {"x": ("batch", "time", 4)}, {"y": ("batch", 2)}, stored))
    return path


@pytest.mark.parametrize("to", TARGETS)
def test_a_file_becomes_every_target_and_the_original_runs_beside_it(
    to: str, file: Path, tmp_path: Path
) -> None:
    done = converter.convert(file, to=to, out=tmp_path / TARGETS[to])
    assert done.verdict is not None
    assert done.verdict.status is Status.EQUAL
    assert done.verdict.reason.endswith("; the original in onnxruntime answers likewise")
    assert [value.name for value in done.model.outputs] == ["y"]
    assert [layer.name for layer in done.model.layers] == ["lstm", "head"]
    cases = {one.case for one in done.verdict.comparisons}
    assert {f"{case}, the original" for case in cases if "," not in case} <= cases


def test_what_was_converted_can_be_verified_again(file: Path, tmp_path: Path) -> None:
    done = converter.convert(file, to="onnx", out=tmp_path / "model.onnx")
    again = converter.verify(file, tmp_path / "model.onnx")
    assert done.verdict is not None
    assert (again.status, again.reason) == (done.verdict.status, done.verdict.reason)


def test_an_original_that_answers_otherwise_differs(file: Path, tmp_path: Path) -> None:
    done = converter.convert(file, to="pytorch", out=tmp_path / "model")
    model = done.model.map_weights(lambda _layer, _part, weight: Weight.of(weight.read().copy()))
    proto = onnx.load(file)
    (weight,) = (one for one in proto.graph.initializer if one.name == "W")
    array = numpy_helper.to_array(weight).reshape(4, 3, 4)[[1, 0, 2, 3]].reshape(1, 12, 4)
    weight.CopyFrom(numpy_helper.from_array(array, "W"))
    file.write_bytes(proto.SerializeToString())
    assert done.verdict is not None
    found = original.with_file(done.verdict, model)
    assert found.status is Status.DIFFERS
    assert found.reason.startswith("the original in onnxruntime: output 'y', case ")


def test_the_command_says_who_wrote_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(file), "--no-values"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["form", "ONNX"] in lines
    assert ["written", "by", "nobody", "says"] in lines
    assert ["lstm", "LSTM(3)"] in [line[:2] for line in lines]
