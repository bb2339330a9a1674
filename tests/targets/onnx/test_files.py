"""The file: its bytes, what lies beside it, what it says of itself, and its verdict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import converter
from converter import onnx_file
from converter.artefacts import Options
from converter.description import Merge, Model
from converter.errors import FormatError, OutputError, UsageError
from converter.metadata import SOURCE_SHA256, STATES, TEST_VECTOR
from converter.onnx_file import OnnxFile
from converter.output import staged
from converter.targets.onnx import write_graph
from converter.targets.onnx.stored import read_stored
from converter.verify import verify
from converter.verify.onnx import verify_alone, verify_onnx
from converter.verify.verdict import Status
from tests.models_by_hand import Maker, chain
from tests.targets.onnx.running import kinds, wrong

EXAMPLE = Path(__file__).parents[2] / "data" / "examples" / "bidirectional.keras"


def tagger() -> Model:
    maker = Maker()
    layer = maker.lstm("tags", 3, 4, merge=Merge.CONCAT, return_sequences=True)
    return chain(layer, maker.dense("head", 8, 2))


def put(model: Model, folder: Path, *, largest: int = onnx_file.LARGEST) -> Path:
    artefact = OnnxFile(model, "model.onnx", Options(), largest=largest)
    with staged(folder, artefact.names, source="", force=False, alone="model.onnx") as staging:
        artefact.write(staging)
        staging.commit()
    return folder / "model.onnx"


def test_the_file_is_what_the_package_onnx_would_write_of_it(tmp_path: Path) -> None:
    path = put(tagger(), tmp_path)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert sorted(proto.SerializeToString()) == sorted(path.read_bytes())
    assert put(tagger(), tmp_path / "again").read_bytes() == path.read_bytes()


def test_inputs_outputs_and_nodes_bear_the_layers_names(tmp_path: Path) -> None:
    graph = onnx.load(put(tagger(), tmp_path)).graph
    shapes = {
        one.name: [size.dim_param or size.dim_value for size in one.type.tensor_type.shape.dim]
        for one in (*graph.input, *graph.output)
    }
    assert shapes == {"x": ["batch", "time", 3], "head": ["batch", "time", 2]}
    assert {"tags", "head"} <= {node.name for node in graph.node}
    assert {"tags_W", "tags_R", "tags_B", "head_kernel"} <= {one.name for one in graph.initializer}


def test_names_are_identifiers_and_no_two_the_same() -> None:
    maker = Maker()
    model = chain(maker.lstm("a/b", 3, 4, return_sequences=True), maker.lstm("a b", 4, 2))
    written = write_graph(model)
    proto = written.whole()
    names = [one.name for one in proto.graph.initializer]
    names += [name for node in proto.graph.node for name in node.output if name]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)
    assert written.names == {"a/b": "a_b", "a b": "a_b_2"}


def test_weights_that_are_too_many_lie_beside_the_file(tmp_path: Path) -> None:
    path = put(tagger(), tmp_path, largest=100)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert path.stat().st_size < 40_000
    onnx.checker.check_model(path, full_check=True)
    verdict = verify_onnx(write_graph(tagger()), path)
    assert verdict.status is Status.EQUAL
    assert verdict.arrays == 8
    assert verify_alone(path).status is Status.EQUAL


def test_a_file_that_lies_beside_and_is_changed_differs(tmp_path: Path) -> None:
    path = put(tagger(), tmp_path, largest=100)
    data = path.with_name("model.onnx.data")
    array = np.fromfile(data, "<f4")
    array[0] += 1
    array.tofile(data)
    assert verify_onnx(write_graph(tagger()), path).wrong_arrays == ("tags/forward/kernel",)
    assert verify_alone(path).status is Status.DIFFERS
    path.with_name("model.onnx.data").rename(tmp_path / "other")
    with pytest.raises(FormatError) as caught:
        read_stored(path)
    assert caught.value.code == "onnx-data"


def test_data_elsewhere_is_not_read(tmp_path: Path) -> None:
    path = put(tagger(), tmp_path / "in", largest=100)
    proto = onnx.load(path, load_external_data=False)
    for one in proto.graph.initializer:
        for pair in one.external_data:
            if pair.key == "location":
                pair.value = "../model.onnx.data"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(FormatError) as caught:
        read_stored(path)
    assert "../model.onnx.data" in str(caught.value)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08 nothing of the kind")
    with pytest.raises(FormatError) as caught:
        verify_alone(path)
    assert caught.value.code in {"not-onnx", "no-test-vector"}


def change(path: Path, name: str, index: tuple[int, ...]) -> None:
    """One number of one stored tensor moved by its last place."""
    proto = onnx.load(path)
    (stored,) = [one for one in proto.graph.initializer if one.name == name]
    array = numpy_helper.to_array(stored).copy()
    array[index] = np.nextafter(array[index], np.float32(9))
    stored.raw_data = array.tobytes()
    path.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize(
    ("name", "index", "array", "layer"),
    [
        ("tags_W", (0, 5, 1), "tags/forward/kernel", "tags"),
        ("tags_W", (1, 0, 0), "tags/backward/kernel", "tags"),
        ("tags_B", (1, 30), "tags/backward/bias", "tags"),  # a recurrent bias, which is zero
        ("head_kernel", (0, 0), "head/kernel", "head"),
    ],
)
def test_a_bit_of_a_weight_that_is_changed_is_found(
    tmp_path: Path, name: str, index: tuple[int, ...], array: str, layer: str
) -> None:
    path = put(tagger(), tmp_path)
    change(path, name, index)
    verdict = verify_onnx(write_graph(tagger()), path)
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, layer)
    assert verdict.wrong_arrays == (array,)


def test_a_file_alone_tells_whether_it_still_computes_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    converter.to_onnx(converter.read(EXAMPLE), path)
    verdict = converter.verify(path)
    assert (verdict.status, verdict.original) == (Status.EQUAL, "bidirectional.keras")
    assert verdict.comparisons
    proto = onnx.load(path)
    (node,) = [node for node in proto.graph.node if node.op_type == "LSTM"]
    node.input[1], node.input[2] = node.input[1], node.input[2]
    said = {one.key: one.value for one in proto.metadata_props}
    assert said[SOURCE_SHA256] == converter.read(EXAMPLE).source.sha256
    bias = next(one for one in proto.graph.initializer if one.name == node.input[3])
    bias.raw_data = bytes(len(bias.raw_data))
    path.write_bytes(proto.SerializeToString())
    assert converter.verify(path).status is Status.DIFFERS


def test_a_file_without_a_test_vector_is_refused_alone(tmp_path: Path) -> None:
    path = put(tagger(), tmp_path)
    proto = onnx.load(path)
    kept = [one for one in proto.metadata_props if one.key != TEST_VECTOR]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(FormatError) as caught:
        verify_alone(path)
    assert caught.value.code == "no-test-vector"


def test_states_are_told_in_the_metadata() -> None:
    layer = Maker().lstm("stream", 3, 4, stateful=True)
    proto = write_graph(chain(layer, shape=(2, None, 3))).whole()
    said = {one.key: one.value for one in proto.metadata_props}
    assert json.loads(said[STATES]) == [
        ["stream_h", "stream_h_next"],
        ["stream_c", "stream_c_next"],
    ]
    assert [one.name for one in proto.graph.input] == ["x", "stream_h", "stream_c"]


def test_a_message_without_a_path_is_refused_where_it_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(OnnxFile.__init__, "__kwdefaults__", {"largest": 10})
    with pytest.raises(OutputError) as caught:
        converter.to_onnx(tagger())
    assert caught.value.code == "onnx-too-large"


def test_convert_and_verify_take_the_target(tmp_path: Path) -> None:
    done = converter.convert(EXAMPLE, to="onnx", out=tmp_path / "model.onnx", opset=18)
    assert done.verdict is not None
    assert done.verdict.status is Status.EQUAL
    assert done.record["opset"] == 18
    assert done.record["scan"] == {}
    assert verify(EXAMPLE, tmp_path / "model.onnx").status is Status.EQUAL
    other = EXAMPLE.with_name("forecaster.h5")
    assert verify(other, tmp_path / "model.onnx").status is Status.DIFFERS


@pytest.mark.parametrize("opset", [14, 99])
def test_an_opset_that_cannot_be_written_is_refused(opset: int) -> None:
    with pytest.raises(UsageError) as caught:
        write_graph(tagger(), opset)
    assert caught.value.code == "opset"
    assert f"there is no opset {opset} to write" in str(caught.value)


@pytest.mark.parametrize("opset", [15, 16, 17, 18, 20, 21, 23, 25])
def test_every_opset_is_written_and_run(opset: int) -> None:
    assert wrong(tagger(), opset=opset) == []


@pytest.mark.parametrize("optimization", ["none", "basic", "extended", "all"])
def test_every_level_of_optimization_answers_the_same(optimization: str) -> None:
    assert wrong(tagger(), optimization=optimization) == []


def test_a_stack_of_layers_stays_in_the_order_of_time_between_them() -> None:
    maker = Maker()
    model = chain(
        maker.lstm("first", 3, 4, return_sequences=True),
        maker.gru("second", 4, 5, return_sequences=True),
        maker.lstm("third", 5, 2),
        maker.dense("head", 2, 1),
    )
    assert kinds(model) == [
        "Transpose", "LSTM", "Squeeze", "GRU", "Squeeze", "LSTM", "Squeeze", "Gemm",
    ]  # fmt: skip


def test_the_newest_opset_is_one_that_onnxruntime_runs() -> None:
    assert onnxruntime.__version__
    assert wrong(tagger(), opset=onnx.defs.onnx_opset_version()) == []


@pytest.mark.parametrize(("dtype", "casts"), [("float64", 5), ("float16", 5), (">f4", 0)])
def test_weights_that_the_source_stores_otherwise_are_kept_as_they_are(
    tmp_path: Path, dtype: str, casts: int
) -> None:
    maker = Maker(dtype=dtype)
    model = chain(maker.lstm("lstm", 3, 4), maker.dense("dense", 4, 2))
    verdict = verify_onnx(write_graph(model), put(model, tmp_path))
    assert (verdict.status, verdict.arrays) == (Status.EQUAL, 5)
    assert kinds(model).count("Cast") == casts
