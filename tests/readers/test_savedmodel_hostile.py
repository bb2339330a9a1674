"""SavedModels and checkpoints made to harm, or damaged: nothing runs, and the error has a name."""

from __future__ import annotations

import os
import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from converter.errors import ConverterError, FormatError, UnsupportedError
from converter.readers import read, wire
from converter.readers.keras.savedmodel import plain
from converter.readers.wire import WireError
from tests.readers.files import SMALL, given, layer, sequential
from tests.readers.tensorflow_files import SMALL_OBJECTS, field, metadata, objects, saved_model

Error = Callable[[Callable[[], object]], str]

DATA = Path(__file__).parents[1] / "data" / "savedmodel"


def attempt(folder: Path) -> str:
    """What becomes of a folder: "read", or the code of its error. Anything else raises."""
    said, texts = "read", ["fine"]
    try:
        for part in read(folder).layers:
            for weight in part.weights.values():
                weight.read()
    except ConverterError as error:
        said = error.code
        texts = [error.message, error.context, error.hint, error.code]
    assert all(0 < len(text) < 2000 and text.isprintable() for text in texts), texts
    return said


@pytest.mark.parametrize("operation", ["ReadFile", "WriteFile", "PyFunc", "EagerPyFunc"])
def test_a_graph_that_would_do_something_is_stepped_over(operation: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    constant = (
        field(1, "name") + field(2, "Const") + field(5, field(1, "value") + str(marker).encode())
    )
    node = field(1, "harm") + field(2, operation) + field(3, "name")
    graph = field(1, constant) + field(1, node)
    assert attempt(saved_model(tmp_path / "m", graph=graph)) == "read"
    assert not marker.exists()


def test_a_lambda_in_the_metadata_is_refused_and_not_run(tmp_path: Path, error_of: Error) -> None:
    code = {"class_name": "__tuple__", "items": ["4wEAAAAAAAAA", None, None]}
    scale = layer("Lambda", "scale", function=code, function_type="lambda")
    config = sequential(given((None, None, 3)), scale)
    folder = saved_model(tmp_path / "m", config)
    text = error_of(lambda: read(folder)).replace(str(folder), "m")
    assert text.startswith("error[lambda]: ") or "Lambda" in text
    assert "scale" in text


@pytest.mark.parametrize("where", ["metadata", "graph"])
def test_a_class_of_a_module_is_never_looked_up(where: str, tmp_path: Path) -> None:
    harm = {"module": "os", "class_name": "system", "config": {}, "registered_name": "os>system"}
    config = sequential(given((None, None, 3)), {**harm, "config": {"name": "harm"}})
    with pytest.raises(UnsupportedError, match="class that is not known"):
        read(saved_model(tmp_path / "m", config, inside=where == "graph"))


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    # The files of a SavedModel have fixed names, so that only links could.
    folder = saved_model(tmp_path / "m")
    outside = tmp_path / "canary"
    outside.write_bytes(b"canary")
    for name in ("keras_metadata.pb", "variables/variables.index"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name).symlink_to(outside)
        with pytest.raises(FormatError, match="not beside it") as caught:
            read(folder)
        assert "canary" not in str(caught.value)
        (folder / name).unlink()
        (folder / name).write_bytes(kept)
    assert attempt(folder) == "read"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m")
    shard = folder / "variables" / "variables.data-00000-of-00001"
    shard.unlink()
    os.mkfifo(shard)
    assert attempt(folder) == "not-a-file"


def test_variables_that_are_not_there_are_missed(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m")
    (folder / "variables" / "variables.index").unlink()
    assert attempt(folder) == "not-found"


def test_a_declared_size_takes_no_memory(tmp_path: Path) -> None:
    changes = {"layer-0/cell/kernel": {"shape": (2**31, 2**20), "size": 2**53}}
    folder = saved_model(tmp_path / "m", changes=changes)
    tracemalloc.start()
    try:
        assert attempt(folder) == "cut-off"
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_many_names_of_one_layer_are_no_loop(tmp_path: Path) -> None:
    circle = {"layer-0/cell/again": "layer-0", "layer-0/more": "", "layer-1/other": "layer-0"}
    graph = objects(SMALL_OBJECTS, circle)
    assert attempt(saved_model(tmp_path / "m", graph=graph)) in {"read", "surplus-weight"}


@pytest.mark.parametrize("name", ["saved_model.pb", "keras_metadata.pb"])
def test_a_message_that_is_cut_off_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m")
    whole = (folder / name).read_bytes()
    for size in range(0, len(whole), 3):
        (folder / name).write_bytes(whole[:size])
        assert attempt(folder) != "read" or name == "saved_model.pb"


@pytest.mark.parametrize("name", ["saved_model.pb", "keras_metadata.pb"])
def test_any_flipped_bit_is_an_error_or_no_matter(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(DATA / "trained", folder)
    whole = (folder / name).read_bytes()
    generator = random.Random(5)
    for _ in range(100):
        changed = bytearray(whole)
        changed[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        (folder / name).write_bytes(changed)
        attempt(folder)


def test_any_flipped_bit_of_the_weights_is_noticed(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m")
    shard = folder / "variables" / "variables.data-00000-of-00001"
    whole = shard.read_bytes()
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at % 8)
        shard.write_bytes(changed)
        assert attempt(folder) in {"checksum", "checkpoint"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a", "it ends within a number"),
        (b"\x0a\xff\xff\xff\xff\x0f", "a value of 4294967295 bytes where 0 are left"),
        (b"\x0b\x0c", "a value of kind 3"),
        (b"\x02\x00", "a field of number 0"),
        (b"\xff" * 11, "a number of over 10 bytes"),
        (b"\x0d\x00\x00", "a value of 4 bytes where 2 are left"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        list(wire.fields(memoryview(data)))
    assert str(caught.value) == reason


def test_the_fields_of_a_message_are_those_that_were_written() -> None:
    data = field(1, 300) + field(2, "text") + field(3, b"\x00") + field(1, -1)
    assert [
        (n, v if isinstance(v, int) else bytes(v)) for n, v in wire.fields(memoryview(data))
    ] == [
        (1, 300),
        (2, b"text"),
        (3, b"\x00"),
        (1, 2**64 - 1),
    ]
    assert wire.number(memoryview(data), 1) == -1
    assert wire.text(memoryview(data), 2) == "text"
    assert wire.text(memoryview(data), 7) == ""
    for ask in (lambda: wire.text(memoryview(data), 1), lambda: wire.number(memoryview(data), 2)):
        with pytest.raises(WireError):
            ask()


def test_tuples_are_taken_out_of_their_classes_at_any_depth() -> None:
    inner = {
        "class_name": "__tuple__",
        "items": [1, {"class_name": "TensorShape", "items": [None]}],
    }
    assert plain({"a": [inner], "b": {"class_name": "Dense", "items": [2]}}) == {
        "a": [[1, [None]]],
        "b": {"class_name": "Dense", "items": [2]},
    }


def test_metadata_that_are_no_json_are_refused(tmp_path: Path) -> None:
    assert attempt(saved_model(tmp_path / "a", text="{")) == "json"
    assert attempt(saved_model(tmp_path / "b", text="[" * 5000)) == "json"
    assert attempt(saved_model(tmp_path / "c", text=metadata(SMALL, "not a version"))) == "version"
    assert attempt(saved_model(tmp_path / "d", text=metadata({"class_name": 3}))) == "config"
