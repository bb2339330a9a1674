"""Checkpoints that are cut off, changed or made to harm: a named error, or the right arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.errors import ConverterError, FormatError, UnsupportedError
from converter.readers import table
from converter.readers.crc32c import crc32c
from converter.readers.keras.slices import key_of
from tests.readers.tensorflow_files import GRAPH, SMALL_OBJECTS, field, objects, of
from tests.readers.tensorflow_files import checkpoint as make
from tests.readers.tensorflow_files import table as written

Error = Callable[[Callable[[], object]], str]


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "offset": (
        {"offset": 10_000},
        "error[cut-off]: 'layer-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE' in "
        "x.data-00000-of-00001 is cut off\n  found: 96 bytes at 10000 in a file of ",
    ),
    "size": ({"size": 2**62}, "error[cut-off]: 'layer-0/cell/kernel/.ATTRIBUTES"),
    "overlap": (
        {"offset": 4},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: 'layer-0/cell/recurrent_kernel/.ATTRIBUTES/VARIABLE_VALUE' overlaps what is "
        "before it in x.data-00000-of-00001\n",
    ),
    "negative": (
        {"offset": -4},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: 'layer-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE' has a negative size, or too "
        "many axes\n",
    ),
    "shard": (
        {"shard": 3},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: 'layer-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE' in shard 3 of 1\n",
    ),
    "shape": (
        {"shape": (3, 8), "size": 32},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: 32 bytes for 'layer-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE' of shape (3, 8)\n",
    ),
    "huge": ({"shape": (2**40, 2**40)}, "error[shape]: kernel of layer 'lstm'"),
    "text": (
        {"kind": 7},
        "error[dtype]: 'layer-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE' in x.index is not of "
        "plain numbers\n  found: type 7 of TensorFlow\n",
    ),
    "slices": (
        {"more": field(7, field(1, field(2, 3)) + field(1, b""))},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: 'layer-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE' lacks a slice\n",
    ),
    "half": (
        {"more": field(7, field(1, field(2, 2)) + field(1, b""))},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: slices of 16 numbers for 24\n",
    ),
    "beyond": (
        {"more": field(7, field(1, field(1, 2) + field(2, 3)) + field(1, b""))},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: a slice from 2 on, of 3, in an axis of 3\n",
    ),
    "twice": (
        {"more": 2 * field(7, field(1, field(2, 2)) + field(1, b""))},
        "error[checkpoint]: x.index is not an index that TensorFlow wrote, or is damaged\n"
        "  found: slices that are over each other\n",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_an_entry_that_cannot_be_is_refused(name: str, tmp_path: Path, error_of: Error) -> None:
    change, expected = DAMAGED[name]
    index = make(tmp_path / "x", SMALL_OBJECTS, changes={"layer-0/cell/kernel": change})
    assert error_of(lambda: of(index)).replace(f"{tmp_path}/", "").startswith(expected)


def test_a_wrong_checksum_is_noticed_when_the_array_is_read(
    tmp_path: Path, error_of: Error
) -> None:
    index = make(tmp_path / "x", SMALL_OBJECTS)
    shard = tmp_path / "x.data-00000-of-00001"
    raw = bytearray(shard.read_bytes())
    raw[5] ^= 1
    shard.write_bytes(raw)
    weight = of(index).layers[0].weights["forward.kernel"]
    assert error_of(weight.read).replace(f"{tmp_path}/", "") == (
        "error[checksum]: 'layer-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE' in "
        "x.data-00000-of-00001 is damaged\n"
        "  found: its checksum is another one\n"
        "  help:  copy or download the file again; the original may be whole"
    )


def test_the_graph_of_objects_has_a_checksum_too(tmp_path: Path) -> None:
    index = make(tmp_path / "x", SMALL_OBJECTS, changes={GRAPH: {"checksum": 1}})
    with pytest.raises(FormatError, match="is damaged"):
        of(index)


def test_a_missing_shard_is_named(tmp_path: Path, error_of: Error) -> None:
    index = make(tmp_path / "x", SMALL_OBJECTS, shards=2)
    (tmp_path / "x.data-00001-of-00002").unlink()
    assert error_of(lambda: of(index)).replace(f"{tmp_path}/", "") == (
        "error[missing-shard]: x.index has no data beside it\n"
        "  found: no 'x.data-00001-of-00002'\n"
        "  help:  copy all files of the checkpoint, and leave them their names"
    )


def test_a_shard_that_is_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    index = make(tmp_path / "in" / "x", SMALL_OBJECTS)
    shard = tmp_path / "in" / "x.data-00000-of-00001"
    shard.rename(tmp_path / "secret")
    shard.symlink_to(tmp_path / "secret")
    with pytest.raises(FormatError, match="names a file that is not beside it"):
        of(index)


def test_a_folder_whose_files_all_link_to_one_place_is_read(tmp_path: Path) -> None:
    # As a download cache keeps them.
    make(tmp_path / "blobs" / "x", SMALL_OBJECTS)
    (tmp_path / "snapshot").mkdir()
    for path in (tmp_path / "blobs").iterdir():
        (tmp_path / "snapshot" / path.name).symlink_to(path)
    assert len(of(tmp_path / "snapshot" / "x.index").layers) == 2


def test_a_compressed_index_is_refused_by_name(tmp_path: Path, error_of: Error) -> None:
    index = make(tmp_path / "x", SMALL_OBJECTS, kind=1)
    assert error_of(lambda: of(index)).replace(f"{tmp_path}/", "") == (
        "error[compressed-index]: x.index is compressed with Snappy, which is not read\n"
        f"  found: the block at {_index_block(index)}\n"
        "  help:  TensorFlow itself writes it uncompressed; save the model again with it"
    )
    index = make(tmp_path / "x", SMALL_OBJECTS, kind=2)
    with pytest.raises(FormatError) as caught:
        of(index)
    assert caught.value.context == "a block of compression 2"


def _index_block(index: Path) -> int:
    from converter.readers.wire import varint

    footer = memoryview(index.read_bytes()[-48:])
    at = 0
    for _ in range(2):
        _, at = varint(footer, at)
    return varint(footer, at)[0]


def test_a_table_gives_every_key_whatever_the_blocks_are() -> None:
    pairs = [(f"key/{k:04d}".encode(), bytes([k % 256]) * (k % 7)) for k in range(300)]
    for each in (1, 3, 16, 1000):
        assert table.read(written(pairs, each=each), "x.index") == dict(pairs)


def test_keys_out_of_order_are_refused() -> None:
    with pytest.raises(FormatError) as caught:
        table.read(written([(b"b", b""), (b"a", b"")]), "x.index")
    assert caught.value.context == "'a' behind a later key"


def test_keys_that_share_more_than_there_is_are_refused() -> None:
    pairs = [(bytes([65 + k]) * 5000, b"") for k in range(2)]
    with pytest.raises(FormatError) as caught:
        table.read(written(pairs), "x.index")
    assert caught.value.context == "a key that cannot be"


def test_an_index_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    index = make(tmp_path / "x", SMALL_OBJECTS)
    whole = index.read_bytes()
    for size in range(1, len(whole)):
        index.write_bytes(whole[:size])
        with pytest.raises(FormatError):
            of(index)


def test_any_flipped_bit_of_an_index_is_noticed(tmp_path: Path) -> None:
    index = make(tmp_path / "x", SMALL_OBJECTS)
    whole = index.read_bytes()
    unused = range(len(whole) - 48, len(whole) - 8)  # handles, one of which nobody follows
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << (at % 8)
        index.write_bytes(changed)
        try:
            model = of(index)
        except (FormatError, UnsupportedError):
            continue
        assert at in unused or _in_metaindex(whole, at)
        assert len(model.layers) == 2


def _in_metaindex(whole: bytes, at: int) -> bool:
    from converter.readers.wire import varint

    footer = memoryview(whole[-48:])
    offset, k = varint(footer, 0)
    size, _ = varint(footer, k)
    return offset <= at < offset + size + table.TRAILER


@pytest.mark.parametrize(
    "graph",
    [
        b"",
        b"\xff",
        b"\x0a\x02\x0a\xff",
        objects(SMALL_OBJECTS)[:-3],
        objects(["layer-0/cell/other", "layer-1/kernel"]),
        objects(SMALL_OBJECTS, {"layer-0/cell/again": "layer-0"}),
        objects(SMALL_OBJECTS, {"layer-0/cell/kernel": ""}),
    ],
)
def test_a_graph_of_objects_that_cannot_be_is_refused_or_read(graph: bytes, tmp_path: Path) -> None:
    index = make(tmp_path / "x", SMALL_OBJECTS, graph=graph)
    try:
        said = str(len(of(index).layers))
    except ConverterError as error:
        said = error.code
    assert said in {"2", "object-graph", "no-layers", "missing-weight"}


def test_the_key_of_a_slice_is_that_of_tensorflow() -> None:
    # From a real index, and ordered_code.cc: 63 takes one byte, 64 takes two.
    assert key_of("a/b", ((1, 1), (5, 3))).encode("utf-8", "surrogateescape") == (
        b"\0a/b\0\1\1\2\x81\x81\x85\x83"
    )
    code = key_of("", ((0, -1), (63, 64))).encode("utf-8", "surrogateescape")
    assert code == b"\0\0\1\1\2\x80\x7f\xbf\xc0\x40"


@pytest.mark.parametrize(
    ("text", "checksum"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_the_checksum_is_that_of_the_standard(text: bytes, checksum: int) -> None:
    # RFC 3720, B.4.
    assert crc32c(text) == checksum


@pytest.mark.parametrize("size", [1, 3, 4, 255, 256, 257, 4096, 70_000, 5 * 2**20])
def test_a_checksum_may_be_taken_in_parts(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    for cut in (0, 1, size // 3, size):
        assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data)
    changed = bytearray(data)
    changed[size // 2] ^= 4
    assert crc32c(bytes(changed)) != crc32c(data)
