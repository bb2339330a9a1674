"""A saved model becomes files that say where everything went, all of them or none."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
import torch
from safetensors.numpy import load_file

import converter
from converter.errors import ConverterError
from converter.gates import LAYOUTS, Cell, Layout
from converter.verify.verdict import Status

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "tests" / "data" / "examples"
SOURCE = EXAMPLES / "forecaster.h5"
OTHER = EXAMPLES / "bidirectional.keras"
NAMES = ["conversion.json", "model.py", "model.safetensors"]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refused(source: Path, out: Path, **options: object) -> ConverterError:
    with pytest.raises(ConverterError) as caught:
        converter.convert(source, out=out, **options)
    return caught.value


# What is written


@pytest.mark.parametrize("source", ["forecaster.h5", "bidirectional.keras"])
def test_a_conversion_is_three_files_and_a_verdict(out: Path, source: str) -> None:
    done = converter.convert(EXAMPLES / source, out=out)
    assert sorted(content(out)) == NAMES
    assert sorted(done.files) == [out / name for name in NAMES]
    assert done.folder == out
    assert done.verdict is not None
    assert (done.verdict.status, done.verdict.wrong_arrays) == (Status.EQUAL, ())
    assert done.verdict.artefact == f"{out}/model.py"
    assert done.verdict.original == source
    assert not list(out.parent.rglob("*.ifco-partial"))


def test_what_was_written_is_the_source_of_to_torch_and_runs_by_itself(out: Path) -> None:
    done = converter.convert(SOURCE, out=out)
    assert (out / "model.py").read_text() == converter.to_torch_source(done.model)
    program = (
        "import sys, torch, model\n"
        "assert 'converter' not in sys.modules\n"
        "print(tuple(model.load()(torch.zeros(2, 9, 5)).shape))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=out, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("(2, 1)\n", "")


def test_what_is_there_already_stays(out: Path) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    converter.convert(SOURCE, out=out, verify=False)
    assert sorted(content(out)) == [*NAMES, "notes.txt"]
    assert (out / "notes.txt").read_text() == "mine"


def test_the_same_input_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another folder, on another day: nothing of either is in them."""
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        converter.convert(SOURCE, out="out")
        made.append(content(Path("out")))
    assert made[0] == made[1]
    record = (tmp_path / "first" / "out" / "conversion.json").read_text()
    assert str(tmp_path) not in record
    assert str(ROOT) not in record


# The record


def test_the_record_on_the_disk_is_the_one_that_is_given(out: Path) -> None:
    done = converter.convert(SOURCE, out=out)
    text = (out / "conversion.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(done.record))
    assert text.endswith("}\n")


def test_the_record_says_what_was_made_of_what(out: Path) -> None:
    record = converter.convert(SOURCE, out=out).record
    assert (record["schema"], record["ifco"], record["target"]) == (
        1,
        converter.__version__,
        "pytorch",
    )
    assert record["source"]["file"] == "forecaster.h5"
    assert record["source"]["sha256"] == sha256(SOURCE.read_bytes())
    assert record["verdict"]["status"] == "equal"


def test_the_hashes_of_the_files_are_theirs(out: Path) -> None:
    record = converter.convert(SOURCE, out=out, verify=False).record
    files = content(out)
    assert record["files"] == {
        name: sha256(files[name]) for name in ("model.py", "model.safetensors")
    }


@pytest.mark.parametrize("source", ["forecaster.h5", "bidirectional.keras"])
def test_every_tensor_is_in_the_record_once(out: Path, source: str) -> None:
    record = converter.convert(EXAMPLES / source, out=out, verify=False).record
    told = [name for entry in record["tensors"] for name in entry["to"]] + record["added"]
    assert sorted(told) == sorted(load_file(out / "model.safetensors"))


def test_every_array_of_the_source_is_in_the_record_once_with_its_hash(out: Path) -> None:
    record = converter.convert(SOURCE, out=out, verify=False).record
    arrays: dict[str, h5py.Dataset] = {}
    with h5py.File(SOURCE) as file:
        weights = file["model_weights"]
        weights.visititems(
            lambda name, item: arrays.update(
                {name: item[()]} if isinstance(item, h5py.Dataset) else {}
            )
        )
    told = {entry["source"]: entry for entry in record["tensors"]}
    assert sorted(entry["source"] for entry in record["tensors"]) == sorted(arrays)
    for name, array in arrays.items():
        assert told[name]["sha256"] == sha256(array.tobytes())
        assert told[name]["shape"] == list(array.shape)
        assert told[name]["dtype"] == str(array.dtype)


def test_the_record_can_be_written_whatever_the_file_is_called(tmp_path: Path) -> None:
    """A name that is not UTF-8 has half of a surrogate pair for each byte that is none."""
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xe2\x82\xac.h5"))
    shutil.copy(SOURCE, source)
    done = converter.convert(source, out=tmp_path / "out")
    assert done.verdict is not None
    assert done.verdict.status is Status.EQUAL
    text = (tmp_path / "out" / "conversion.json").read_text(encoding="utf-8")
    assert json.loads(text)["source"]["file"] == source.name
    assert "€" in text


# All or nothing


def a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has the gates of nn.LSTM in another order."""
    monkeypatch.setitem(LAYOUTS, (Cell.LSTM, "torch"), Layout("iofc", True, 2, (2, -1)))


def test_nothing_is_written_where_it_would_not_be_the_same(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_mistake(monkeypatch)
    done = converter.convert(OTHER, out=out)
    assert done.verdict is not None
    assert (done.verdict.status, done.verdict.layer) == (Status.DIFFERS, "both_ways")
    assert done.files == ()
    assert not list(out.parent.iterdir())


def test_what_was_there_stays_where_it_would_not_be_the_same(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter.convert(SOURCE, out=out)
    before = content(out)
    a_mistake(monkeypatch)
    done = converter.convert(OTHER, out=out, force=True)
    assert done.files == ()
    assert content(out) == before


def test_a_mistake_is_written_where_nobody_asks(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without verification nothing says that they are the same, and the record says so."""
    a_mistake(monkeypatch)
    done = converter.convert(OTHER, out=out, verify=False)
    assert done.verdict is None
    assert sorted(content(out)) == NAMES
    assert json.loads((out / "conversion.json").read_text())["verdict"] is None


def test_what_exists_is_replaced_by_force_only(out: Path) -> None:
    converter.convert(OTHER, out=out, verify=False)
    before = content(out)
    assert refused(SOURCE, out).code == "output-exists"
    assert content(out) == before
    converter.convert(SOURCE, out=out, force=True, verify=False)
    after = content(out)
    assert sorted(after) == NAMES
    assert all(after[name] != before[name] for name in NAMES)


def test_the_input_is_never_replaced(out: Path) -> None:
    """A reader goes by content; so a Keras file may be called model.safetensors."""
    out.mkdir()
    source = out / "model.safetensors"
    shutil.copy(SOURCE, source)
    assert refused(source, out, force=True).code == "output-is-the-input"
    assert content(out) == {"model.safetensors": SOURCE.read_bytes()}


def test_a_source_that_cannot_be_read_leaves_nothing(out: Path, tmp_path: Path) -> None:
    source = tmp_path / "broken.h5"
    source.write_bytes(SOURCE.read_bytes()[:2000])
    refused(source, out)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.h5"]


def test_a_target_that_does_not_exist_is_refused_before_anything_is_read(
    out: Path, tmp_path: Path
) -> None:
    error = refused(tmp_path / "nothing.h5", out, to="pytorhc")
    assert error.code == "unknown-target"
    assert error.exit_code == 2
    assert "'pytorhc'" in str(error)
    assert "pytorch" in error.hint


# Processes of their own


def child(program: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


CONVERT = """
import sys, converter
done = converter.convert(sys.argv[1], out=sys.argv[2], verify={verify})
print(*sorted({{name.split(".")[0] for name in sys.modules}} & set({asked})))
"""


@pytest.mark.parametrize("source", ["forecaster.h5", "bidirectional.keras"])
def test_without_verification_no_framework_is_loaded(out: Path, source: str) -> None:
    asked = ["torch", "keras", "tensorflow", "tf_keras", "onnx", "onnxruntime"]
    program = CONVERT.format(verify=False, asked=asked)
    ran = child(program, EXAMPLES / source, out)
    assert (ran.stdout, ran.stderr) == ("\n", "")
    assert sorted(content(out)) == NAMES


def test_with_verification_torch_is_and_nothing_else(out: Path) -> None:
    asked = ["torch", "keras", "tensorflow", "tf_keras", "onnxruntime"]
    ran = child(CONVERT.format(verify=True, asked=asked), SOURCE, out)
    assert (ran.stdout, ran.stderr) == ("torch\n", "")


FULL = """
import resource, signal, sys, converter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    converter.convert(sys.argv[1], out=sys.argv[2], verify=False, force=True)
except converter.OutputError as error:
    print(error)
"""


@pytest.mark.parametrize(("room", "name"), [(100, "model.py"), (2500, "model.safetensors")])
def test_a_full_disk_leaves_what_was_there(out: Path, room: int, name: str) -> None:
    converter.convert(SOURCE, out=out, verify=False)
    before = content(out)
    ran = child(FULL, OTHER, out, str(room))
    lines = ran.stdout.split("\n")
    assert lines[0] == f"error[cannot-write]: cannot write {out}/{name}"
    assert lines[1].startswith("  found: File too large; it takes at least ")
    assert content(out) == before
