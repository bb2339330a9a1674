"""The ZIP archive: three members, each once, whole, and in their own places."""

from __future__ import annotations

import io
import json
import stat
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converter.description import Dense
from converter.errors import FormatError
from converter.readers import read, zipped
from converter.readers.keras import npz
from tests.readers.files import (
    CONFIG,
    DENSE,
    METADATA,
    SMALL,
    SMALL_WEIGHTS,
    WEIGHTS,
    archive,
    small,
    stored,
)

Error = Callable[[Callable[[], object]], str]

DAMAGED = "  help:  copy or download the file again; the original may be whole"
AGAIN = "  help:  save the model again with model.save"


def rewritten(path: Path, change: Callable[[zipfile.ZipFile, str, bytes], None]) -> Path:
    """The small model, each member written by `change`."""
    with zipfile.ZipFile(small(path)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice
        for name, data in members.items():
            change(new, name, data)
    return path


def patched(path: Path, old: bytes, new: bytes, count: int = -1) -> Path:
    """The small model with some bytes replaced."""
    data = small(path).read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, count))
    return path


def test_a_compressed_archive_is_read_too(file: Path) -> None:
    packed = read(archive(file, SMALL, SMALL_WEIGHTS, method=zipfile.ZIP_DEFLATED))
    found = {
        stored.name: stored.read()
        for part in packed.layers
        for weight in part.weights.values()
        for stored in weight.stored
    }
    assert found.keys() == SMALL_WEIGHTS.keys()
    assert all(np.array_equal(found[name], array) for name, array in SMALL_WEIGHTS.items())


def test_another_zip_archive_is_no_model(file: Path, error_of: Error) -> None:
    for name in (CONFIG, METADATA, WEIGHTS):
        path = archive(file, SMALL, SMALL_WEIGHTS, replaced={name: None})
        assert error_of(lambda path=path: read(path)) == (
            "error[not-a-model]: model is a ZIP archive, but not one of Keras\n"
            f"  found: no {name} in it\n"
            "  help:  give a .keras or .h5 file that model.save wrote"
        )


@pytest.mark.parametrize(
    "name", ["assets/x.txt", "../config.json", "/etc/passwd", "weights.npz", "config.json/x"]
)
def test_a_member_that_keras_does_not_write_is_refused(
    name: str, file: Path, error_of: Error
) -> None:
    path = archive(file, SMALL, SMALL_WEIGHTS, replaced={name: b"x"})
    assert error_of(lambda: read(path)) == (
        f"error[unknown-member]: model has the member '{name}'\n"
        "  found: expected config.json, metadata.json, model.weights.h5, model.weights.npz "
        "and nothing else\n" + AGAIN
    )


def test_an_archive_with_the_weights_of_two_models_is_refused(
    file: Path, tmp_path: Path, error_of: Error
) -> None:
    said = (
        "error[two-weights]: model has the weights of two models\n"
        "  found: model.weights.h5 and model.weights.npz; Keras writes one of them\n" + AGAIN
    )
    path = archive(file, SMALL, SMALL_WEIGHTS, replaced={npz.NAME: b"x"})
    assert error_of(lambda: read(path)) == said
    file.unlink()
    with zipfile.ZipFile(archive(tmp_path / "zip", SMALL, SMALL_WEIGHTS)) as whole:
        whole.extractall(file)
    assert read(file).layers
    (file / npz.NAME).write_bytes(b"x")
    assert error_of(lambda: read(file)) == said


def test_two_members_of_one_name_are_refused(file: Path, error_of: Error) -> None:
    def twice(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        new.writestr(name, data)
        if name == CONFIG:
            new.writestr(name, data)

    path = rewritten(file, twice)
    assert error_of(lambda: read(path)) == (
        "error[duplicate-member]: the member 'config.json' of model is not as Keras writes it\n"
        "  found: two members of that name\n" + AGAIN
    )


def test_an_encrypted_member_is_refused(file: Path, error_of: Error) -> None:
    data = bytearray(small(file).read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    file.write_bytes(data)
    assert error_of(lambda: read(file)) == (
        "error[encrypted]: the member 'metadata.json' of model is not as Keras writes it\n"
        "  found: it is encrypted\n" + AGAIN
    )


def test_an_unknown_compression_is_refused(file: Path, error_of: Error) -> None:
    path = archive(file, SMALL, SMALL_WEIGHTS, method=zipfile.ZIP_LZMA)
    assert error_of(lambda: read(path)) == (
        "error[compression]: the member 'metadata.json' of model is not as Keras writes it\n"
        "  found: compression method 14; stored and deflate are read\n" + AGAIN
    )


def test_a_link_is_refused(file: Path, error_of: Error) -> None:
    def link(new: zipfile.ZipFile, name: str, data: bytes) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        new.writestr(info if name == CONFIG else name, data)

    path = rewritten(file, link)
    assert error_of(lambda: read(path)) == (
        "error[member-type]: the member 'config.json' of model is not as Keras writes it\n"
        "  found: file type 0o120000, as of a link\n" + AGAIN
    )


def test_a_wrong_checksum_is_noticed(file: Path, error_of: Error) -> None:
    path = patched(file, DENSE.tobytes(), (DENSE + 1).tobytes())
    text = error_of(lambda: read(path))
    assert text.startswith("error[checksum]: 'model.weights.h5' in model is damaged\n  found: ")
    with zipfile.ZipFile(file) as opened:
        info = opened.getinfo(WEIGHTS)
        place = info.header_offset + 30 + len(WEIGHTS)
    found = zlib.crc32(path.read_bytes()[place : place + info.file_size])
    assert text.endswith(
        f"{info.file_size} bytes with the checksum {found:08x}; "
        f"expected {info.file_size} bytes with {info.CRC:08x}\n" + DAMAGED
    )


def test_bytes_behind_the_archive_are_refused(file: Path, error_of: Error) -> None:
    with small(file).open("ab") as handle:
        handle.write(b"more")
    assert error_of(lambda: read(file)) == (
        "error[zip]: model is a damaged ZIP archive\n"
        "  found: its end is not the end of an archive\n" + DAMAGED
    )


def test_bytes_before_the_archive_are_refused(file: Path, error_of: Error) -> None:
    file.write_bytes(b"#!/bin/sh\n" + small(file).read_bytes())
    assert error_of(lambda: read(file)).startswith("error[not-a-model]")


def test_members_that_overlap_are_refused(file: Path, error_of: Error) -> None:
    data = bytearray(small(file).read_bytes())
    first = data.index(b"PK\x01\x02")
    size = struct.unpack_from("<L", data, first + 20)[0]
    struct.pack_into("<2L", data, first + 20, size + 400, size + 400)
    file.write_bytes(data)
    assert error_of(lambda: read(file)) == (
        "error[zip]: model is a damaged ZIP archive\n  found: members that overlap\n" + DAMAGED
    )


def test_a_member_that_reaches_into_the_list_is_refused(file: Path, error_of: Error) -> None:
    data = bytearray(small(file).read_bytes())
    last = data.rindex(b"PK\x01\x02")
    size = struct.unpack_from("<L", data, last + 20)[0]
    struct.pack_into("<2L", data, last + 20, size + 1, size + 1)
    file.write_bytes(data)
    assert "members that overlap" in error_of(lambda: read(file))


def test_two_headers_that_differ_are_refused(file: Path, error_of: Error) -> None:
    path = patched(file, b"metadata.json", b"metadatb.json", 1)
    assert error_of(lambda: read(path)) == (
        "error[zip]: model is a damaged ZIP archive\n"
        "  found: two headers of 'metadata.json' that differ\n" + DAMAGED
    )


def test_a_member_without_a_header_is_refused(file: Path, error_of: Error) -> None:
    data = bytearray(small(file).read_bytes())
    struct.pack_into("<L", data, data.rindex(b"PK\x01\x02") + 42, 7)
    file.write_bytes(data)
    assert error_of(lambda: read(file)) == (
        "error[zip]: model is a damaged ZIP archive\n"
        "  found: no header where 'model.weights.h5' should begin\n" + DAMAGED
    )


def test_many_members_are_refused_before_they_are_listed(file: Path, error_of: Error) -> None:
    with zipfile.ZipFile(file, "w") as opened:
        for k in range(25_000):
            opened.writestr(f"{k}", b"")
    size = len(file.read_bytes()) - opened.start_dir - 22
    assert error_of(lambda: read(file)) == (
        "error[too-many-members]: model is an archive with too many members\n"
        f"  found: a list of members of {size} bytes; at most 1048576 are read\n"
        "  help:  save the model again with model.save"
    )


def test_a_bomb_is_refused_before_it_is_unpacked(file: Path, error_of: Error) -> None:
    path = archive(file, SMALL, bytes(256 * 2**20), method=zipfile.ZIP_DEFLATED)  # 256 MiB of zeros
    with zipfile.ZipFile(path) as opened:
        packed = opened.getinfo(WEIGHTS).compress_size
    tracemalloc.start()
    text = error_of(lambda: read(path))
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert text == (
        "error[unpacked-size]: the member 'model.weights.h5' of model is not as Keras writes it\n"
        f"  found: 268435456 bytes, packed into {packed}\n" + AGAIN
    )


def test_a_config_that_is_larger_than_it_says_is_refused(file: Path, error_of: Error) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(bytes(10**6)) + packed.flush()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(CONFIG, body)
    data = bytearray(buffer.getvalue())
    for place, method, sizes in ((0, 8, 18), (data.index(b"PK\x01\x02"), 10, 20)):
        struct.pack_into("<H", data, place + method, 8)
        struct.pack_into("<2L", data, place + sizes, len(body), 100)
    file.write_bytes(data)
    assert error_of(lambda: read(file)).startswith("error[checksum]: 'config.json' in model is")


def test_a_config_over_the_limit_is_refused(file: Path, error_of: Error) -> None:
    path = archive(file, b" " * (16 * 2**20 + 1), {})
    assert error_of(lambda: read(path)) == (
        "error[too-large]: config.json of model is too large\n"
        "  found: 16777217 bytes; at most 16777216 are read\n"
        "  help:  the file may be damaged; save the model again"
    )


@pytest.mark.parametrize("metadata", [b"{}", b"[]", b'{"keras_version": 3}', b"null"])
def test_an_archive_must_say_its_version(metadata: bytes, file: Path, error_of: Error) -> None:
    path = archive(file, SMALL, SMALL_WEIGHTS, replaced={METADATA: metadata})
    assert error_of(lambda: read(path)) == (
        "error[config]: metadata.json of model is not as Keras writes it\n"
        f"  found: {metadata.decode()}; expected a keras_version\n"
        "  help:  the file may be damaged; save the model again"
    )


def test_a_checksum_that_is_right_is_accepted_in_every_chunk(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipped, "CHUNK", 7)
    read(small(file))
    read(archive(file, SMALL, SMALL_WEIGHTS, method=zipfile.ZIP_DEFLATED))
    with pytest.raises(FormatError, match="damaged"):
        read(patched(file, DENSE.tobytes(), (DENSE + 1).tobytes()))


def test_weights_that_are_no_hdf5_are_refused(file: Path, error_of: Error) -> None:
    path = archive(file, SMALL, b"not HDF5 at all")
    assert error_of(lambda: read(path)) == (
        "error[hdf5]: model is a damaged HDF5 file\n  found: from the start\n" + DAMAGED
    )


def test_an_array_at_an_odd_place_is_copied(file: Path) -> None:
    for shift in range(4):
        with zipfile.ZipFile(file, "w") as opened:
            for name, data in {
                METADATA: b'{"keras_version": "3.0.0"}' + b" " * shift,
                CONFIG: json.dumps(SMALL).encode(),
                WEIGHTS: stored(SMALL_WEIGHTS),
            }.items():
                opened.writestr(name, data)
        dense = read(file).layer("dense")
        assert isinstance(dense, Dense)
        assert dense.kernel.read().flags.aligned
        assert np.array_equal(dense.kernel.read(), DENSE)
