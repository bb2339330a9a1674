"""Checkpoints made to harm, or damaged on purpose: nothing runs, and the error says what it is."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from converter.errors import ConverterError
from converter.readers import read
from converter.readers.file import InMemory
from converter.readers.torch import checkpoint

PREFIX = b"\x80\x02"
ORDERED = b"ccollections\nOrderedDict\n)R"
STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0%sX\x03\0\0\0cpuK%ctQ"


class Marking:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"mkdir {self.path}",)


def tensor(
    key: bytes = b"0",
    count: int = 6,
    offset: bytes = b"K\0",
    shape: bytes = b"K\x02K\x03\x86",
    strides: bytes = b"K\x03K\x01\x86",
) -> bytes:
    """The opcodes of a tensor of floats."""
    storage = STORAGE % (key, count)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + (storage + offset + shape + strides + b"\x89" + ORDERED)
        + b"tR"
    )


def entry(name: bytes, value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(name)) + name + value + b"s"


def pickled(*entries: bytes) -> bytes:
    return PREFIX + b"}" + b"".join(entries) + b"."


GOOD = pickled(entry(b"a", tensor()))


def archive(
    data: bytes = GOOD,
    more: dict[str, bytes] | None = None,
    storages: dict[str, bytes] | None = None,
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    file = io.BytesIO()
    members = {"m/data.pkl": data, "m/version": b"3\n"}
    for key, raw in ({"0": bytes(24)} if storages is None else storages).items():
        members[f"m/data/{key}"] = raw
    with zipfile.ZipFile(file, "w", method) as zipped:
        for name, raw in (members | (more or {})).items():
            zipped.writestr(name, raw)
    return file.getvalue()


def legacy(data: bytes = GOOD, keys: object = ("0",), storages: bytes | None = None) -> bytes:
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    raw = struct.pack("<q", 6) + bytes(24) if storages is None else storages
    keys_pickled = pickle.dumps(list(keys) if isinstance(keys, tuple) else keys, 2)
    head = checkpoint.LEGACY_MAGIC + checkpoint.LEGACY_VERSION
    return head + pickle.dumps(machine, 2) + data + keys_pickled + raw


def safetensors(header: object, data: bytes = bytes(24)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry_of(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} | changes


def said(data: bytes) -> str:
    """The code and the context of the error; "read" if there is none."""
    file = InMemory.of(data)
    try:
        if not checkpoint.is_checkpoint(file):
            read(data)
        for stored in checkpoint.read(file).tensors.values():
            stored.read()
    except ConverterError as error:
        texts = [error.message, error.context, error.hint, error.code]
        assert all(0 < len(text) < 2000 and text.isprintable() for text in texts), texts
        return f"{error.code}: {error.context}"
    return "read"


@pytest.mark.parametrize(
    "data", [archive(), legacy(), safetensors({"a": entry_of()})], ids=["zip", "legacy", "tensors"]
)
def test_the_valid_twins_are_read(data: bytes) -> None:
    assert said(data) == "read"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("wrapped", [archive, legacy, lambda stream: stream])
def test_a_pickle_that_would_run_a_command_is_refused_by_name(
    wrapped: Callable[[bytes], bytes], protocol: int, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    stream = pickle.dumps({"a": Marking(str(marker))}, protocol)
    found = said(wrapped(stream))
    if wrapped in (archive, legacy):
        assert found == "pickle-global: it calls 'posix.system', which no array needs"
    else:
        assert found.startswith("pickle-file: a pickle that torch.save did not write; nothing")
    assert not marker.exists()
    pickle.loads(stream)
    assert marker.exists()


def test_an_object_that_would_run_something_when_it_is_made_is_only_a_name() -> None:
    made = b"csubprocess\nPopen\nX\x04\0\0\0true\x85\x81}X\x01\0\0\0aK\x01sb"
    found = checkpoint.read(InMemory.of(archive(pickled(entry(b"it", made)), storages={})))
    assert dict(found.held) == {"it": "subprocess.Popen"}


PICKLES = [
    (pickled(entry(b"a", tensor(shape=b"K\x02K\x04\x86"))), "ends at 6, in a storage of 6"),
    (pickled(entry(b"a", tensor(offset=b"K\x01"))), "ends at 6, in a storage of 6"),
    (pickled(entry(b"a", tensor(offset=b"J\xff\xff\xff\xff"))), "a shape or strides that are none"),
    (
        pickled(entry(b"a", tensor(strides=b"K\x03J\xff\xff\xff\xff\x86"))),
        "a shape or strides that are none",
    ),
    (pickled(entry(b"a", tensor(strides=b"K\x01\x85"))), "2 axes and 1 strides"),
    (
        pickled(entry(b"a", tensor(shape=b"J\0\0\0\x10K\x03\x86", strides=b"K\0K\0\x86"))),
        "elements,",
    ),
    (pickled(entry(b"a", tensor(count=7))), "of 28 bytes, which has 24"),
    (pickled(entry(b"a", tensor(key=b"1"))), "'1', which is not in the file"),
    (pickled(entry(b"a", tensor(key=b"."))), "'.', which is not in the file"),
    (pickled(entry(b"a", tensor()), entry(b"a", tensor())), "two values for the key 'a'"),
    (
        pickled(entry(b"a/b", tensor()), entry(b"a", b"}" + entry(b"b", tensor()))),
        "two tensors 'a/b'",
    ),
    (GOOD.replace(b"FloatStorage", b"NullStorage"), "a storage of the class 'NullStorage'"),
    (GOOD.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"), "it calls 'torch._utils._reb"),
    (GOOD.replace(b"X\x07\0\0\0storage", b"X\x07\0\0\0Storage"), "outside that is no storage"),
    (pickled(entry(b"a", b"]" * 300 + b"a" * 299)), "nested over 100 levels"),
    (PREFIX + b"}q\0" + entry(b"a", b"h\0") + b".", "storages that no tensor has"),
    (PREFIX + b"(" * 600_000 + b".", "over 500000 opcodes"),
    (PREFIX + b"}" + b")" + b"\x85" * 1000 + b"Ns.", "a tuple as a key"),
    (GOOD + b"more", "something behind the pickle"),
    (GOOD[:-1], "1 bytes at byte"),
    (b"", "1 bytes at byte 0"),
    (PREFIX + b"}.", "storages that no tensor has: data/0"),
]


@pytest.mark.parametrize(("stream", "reason"), PICKLES, ids=range(len(PICKLES)))
def test_a_pickle_that_does_not_fit_its_file_is_refused(stream: bytes, reason: str) -> None:
    assert reason in said(archive(stream))


def test_a_cycle_is_read_once() -> None:
    stream = PREFIX + b"}q\0" + entry(b"a", b"h\0") + entry(b"b", tensor()) + b"."
    assert said(archive(stream)) == "read"


def test_dictionaries_that_name_each_other_twice_are_read_once_each() -> None:
    levels = b"}" + entry(b"a", tensor()) + b"q\x01"
    for _ in range(60):
        levels = b"}" + entry(b"l", levels) + entry(b"r", b"h\x01") + b"q\x01"
    found = checkpoint.read(InMemory.of(archive(PREFIX + levels + b".")))
    assert list(found.tensors) == ["l/" * 60 + "a"]
    assert len(found.held) == 60


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (archive(more={"other/data.pkl": GOOD}), "of 2 checkpoints"),
        (archive(more={"../x": b""}), "others beside it"),
        (archive(storages={"0": bytes(24), "1": b"x"}), "storages that no tensor has: data/1"),
        (archive(storages={}), "'0', which is not in the file"),
        (archive(method=zipfile.ZIP_DEFLATED), "compression method 8; stored are read"),
        (archive(more={"m/byteorder": b"middle"}), "neither little nor big"),
        (legacy(keys=("1",)), "not those of its tensors"),
        (legacy(keys=("0", "0")), "not those of its tensors"),
        (legacy(keys={"0": 1}), "not those of its tensors"),
        (legacy(storages=struct.pack("<q", 7) + bytes(28)), "expected 6 elements"),
        (legacy(storages=struct.pack("<q", 6) + bytes(23)), "expected 6 elements"),
        (legacy(storages=struct.pack("<q", 6) + bytes(25)), "1 bytes behind the last storage"),
        (legacy() + b"x", "1 bytes behind the last storage"),
        (legacy(GOOD.replace(b"K\x06tQ", b"K\x06(K\x01ttQ")), "a view of another"),
        (checkpoint.LEGACY_MAGIC + b"\x80\x02M\xea\x03.", "a version that is not 1001"),
    ],
    ids=range(15),
)
def test_a_container_that_does_not_fit_together_is_refused(data: bytes, reason: str) -> None:
    assert reason in said(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (safetensors({"a": entry_of(shape=[2, 4])}), "(2, 4) of float32 in 24 bytes"),
        (safetensors({"a": entry_of(shape=[2**40, 2**40])}), "in 24 bytes"),
        (safetensors({"a": entry_of(shape=[-2, -3])}), "the shape or place of tensor 'a'"),
        (safetensors({"a": entry_of(shape=[True, 6])}), "the shape or place of tensor 'a'"),
        (safetensors({"a": entry_of(data_offsets=[0, 2**70])}), "a number of 22 digits"),
        (safetensors({"a": entry_of(data_offsets=[24, 48])}), "bytes of no tensor, or of two"),
        (safetensors({"a": entry_of(), "b": entry_of()}), "bytes of no tensor, or of two"),
        (safetensors({"a": entry_of()}, bytes(25)), "25 bytes of tensors; its header has 24"),
        (safetensors({"a": entry_of()}, bytes(23)), "23 bytes of tensors; its header has 24"),
        (safetensors({"a": entry_of(dtype="F4")}), "'F4'; read are F64"),
        (safetensors({"a": entry_of(more=1)}), "without dtype, shape and data_offsets"),
        (safetensors({"a": 1}), "without dtype, shape and data_offsets"),
        (safetensors(b'{"a":1,"a":2}'), "two values for the key"),
        (safetensors(b'{"a":' * 2000 + b"1" + b"}" * 2000, b""), "levels deep"),
        (safetensors(b"{]", b""), "Expecting property name"),
    ],
    ids=range(15),
)
def test_a_safetensors_file_that_does_not_fit_together_is_refused(data: bytes, reason: str) -> None:
    assert reason in said(data)


def test_a_tar_is_refused_as_what_it_is() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("pickle"))
    assert said(file.getvalue()).startswith("pickle-file: a tar archive, as PyTorch wrote")


def test_code_that_unpacks_without_end_is_not_unpacked() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w") as zipped:
        zipped.writestr("m/data.pkl", GOOD)
        zipped.writestr("m/data/0", bytes(24))
        for k in range(2):
            zipped.writestr(f"m/code/{k}.py", bytes(60 * 2**20), zipfile.ZIP_DEFLATED, 1)
    tracemalloc.start()
    try:
        assert said(bomb.getvalue()) == "read"
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def bombs() -> dict[str, tuple[bytes, str]]:
    """Files that would run something, or take all memory or time."""
    marking = pickle.dumps({"a": Marking("marker")}, 2)
    wide = PREFIX + b"}" * 499_000
    nested = PREFIX + b"]" * 200_000 + b"a" * 199_999 + b"."
    claim = PREFIX + b"X\xff\xff\xff\x7f."
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w") as zipped:
        zipped.writestr("m/data.pkl", bytes(200 * 2**20), zipfile.ZIP_DEFLATED, 1)
    huge = {"a": entry_of(shape=[2**31, 2**31], data_offsets=[0, 2**62])}
    return {
        "zip": (archive(marking), "pickle-global"),
        "legacy": (legacy(marking), "pickle-global"),
        "wide": (archive(wide, storages={}), "pickle"),
        "nested": (archive(nested, storages={}), "checkpoint"),
        "claim": (archive(claim), "pickle"),
        "bomb": (bomb.getvalue(), "compression"),
        "huge": (safetensors(huge), "safetensors"),
        "good": (archive(), "1 tensors"),
    }


def test_nothing_runs_and_little_memory_and_time_are_taken(tmp_path: Path) -> None:
    (tmp_path / "valid").write_bytes(archive())
    for name, (data, _) in bombs().items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.readers.torch.watched", tmp_path / "valid"),
            *(tmp_path / name for name in bombs()),
        ],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = {
        line.split(" ", 1)[0]: line.split(" ", 1)[1].strip() for line in done.stdout.splitlines()
    }
    assert found == {name: code for name, (_, code) in bombs().items()}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*bombs(), "valid"])
