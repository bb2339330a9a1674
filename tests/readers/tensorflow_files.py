"""Checkpoints, SavedModels and models of TensorFlow.js, made without any of them.

They are written from the published formats: doc/table_format.md of LevelDB, tensor_bundle.proto,
trackable_object_graph.proto, saved_model.proto and saved_metadata.proto. Every part of them can be
replaced by a wrong one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converter.description import Model
from converter.gates import Array
from converter.readers.crc32c import crc32c, masked
from converter.readers.file import File
from converter.readers.keras import checkpoint as reader
from converter.readers.keras.architecture import read_model
from converter.readers.keras.era import Writer
from tests.readers.files import BIAS, DENSE, DENSE_BIAS, KERNEL, RECURRENT, SMALL, Config

KINDS = {"float32": 1, "float64": 2, "int32": 3, "float16": 19}
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"

SMALL_OBJECTS: dict[str, Array] = {
    "layer-0/cell/kernel": KERNEL,
    "layer-0/cell/recurrent_kernel": RECURRENT,
    "layer-0/cell/bias": BIAS,
    "layer-1/kernel": DENSE,
    "layer-1/bias": DENSE_BIAS,
}
"""The weights of `SMALL` by the paths of their objects."""


def varint(value: int) -> bytes:
    """A whole number, seven bits to a byte."""
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a message: a number, or bytes, text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def block(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A block of a table: each key shares what it can with the one before it."""
    data, last = b"", b""
    for key, value in pairs:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        sizes = varint(shared) + varint(len(key) - shared) + varint(len(value))
        data += sizes + key[shared:] + value
        last = key
    return data + struct.pack("<II", 0, 1)


def table(pairs: Iterable[tuple[bytes, bytes]], *, kind: int = 0, each: int = 3) -> bytes:
    """A table, `each` keys to a block, which say that they are of compression `kind`."""
    ordered = list(pairs)
    found = b""

    def add(content: bytes) -> bytes:
        nonlocal found
        place = varint(len(found)) + varint(len(content))
        content += bytes([kind])
        found += content + struct.pack("<I", masked(crc32c(content)))
        return place

    index = []
    for start in range(0, len(ordered), each):
        part = ordered[start : start + each]
        index.append((part[-1][0], add(block(part))))
    footer = add(block([])) + add(block(index))
    return found + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def entry(**parts: Any) -> bytes:
    """A BundleEntryProto."""
    shape = b"".join(field(2, field(1, n)) for n in parts["shape"])
    numbers = (("kind", 1), ("shard", 3), ("offset", 4), ("size", 5))
    data = field(2, shape) + b"".join(field(number, parts[name]) for name, number in numbers)
    data += varint(6 << 3 | 5) + struct.pack("<I", parts["checksum"])
    return data + parts.get("more", b"")


def objects(paths: Iterable[str], more: Mapping[str, str] | None = None) -> bytes:
    """A TrackableObjectGraph with an object for every part of every path.

    Args:
        paths: Each ends at a value, whose key is the path itself.
        more: Paths of further objects, each the same as the one of another path.
    """
    numbers: dict[str, int] = {"": 0}
    edges: dict[int, dict[str, int]] = {0: {}}
    keys: dict[int, str] = {}
    for path in paths:
        parts = path.split("/")
        for k, part in enumerate(parts):
            here, parent = "/".join(parts[: k + 1]), "/".join(parts[:k])
            if here not in numbers:
                numbers[here] = len(numbers)
                edges[numbers[here]] = {}
                edges[numbers[parent]][part] = numbers[here]
        keys[numbers[path]] = path + VALUE
    for path, same in (more or {}).items():
        parent, _, name = path.rpartition("/")
        edges[numbers[parent]][name] = numbers[same]
    data = b""
    for number, children in edges.items():
        node = b"".join(
            field(1, field(1, child) + field(2, name)) for name, child in children.items()
        )
        if number in keys:
            value = field(1, "VARIABLE_VALUE") + field(2, "a name") + field(3, keys[number])
            node += field(2, value)
        data += field(1, node)
    return data


def checkpoint(
    prefix: Path,
    arrays: Mapping[str, Array],
    *,
    shards: int = 1,
    graph: bytes | None = None,
    order: int = 0,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    kind: int = 0,
) -> Path:
    """`PREFIX.index` and its shards; gives the path of the index.

    Args:
        prefix: Where to.
        arrays: By the paths of their objects.
        shards: Over how many the arrays are dealt out.
        graph: Instead of the objects of those paths.
        order: 1 for big-endian numbers.
        changes: What an entry says otherwise, by its path.
        kind: The compression that the index says that it has.
    """
    data = [bytearray() for _ in range(shards)]
    entries: dict[str, dict[str, Any]] = {}
    for k, (path, array) in enumerate(arrays.items()):
        raw = array.astype(array.dtype.newbyteorder("<>"[order])).tobytes()
        shard = k % shards
        entries[path + VALUE] = {
            "kind": KINDS[array.dtype.name],
            "shape": array.shape,
            "shard": shard,
            "offset": len(data[shard]),
            "size": len(raw),
            "checksum": masked(crc32c(raw)),
            **(changes or {}).get(path, {}),
        }
        data[shard] += raw
    text = objects(arrays) if graph is None else graph
    length = struct.pack("<I", len(text))
    length += struct.pack("<I", masked(crc32c(length)))
    raw = varint(len(text)) + length[4:] + text
    entries[GRAPH] = {
        "kind": 7,
        "shape": (),
        "shard": shards - 1,
        "offset": len(data[-1]),
        "size": len(raw),
        "checksum": masked(crc32c(length + text)),
        **(changes or {}).get(GRAPH, {}),
    }
    data[-1] += raw
    pairs = {key.encode(): entry(**parts) for key, parts in entries.items()}
    pairs[b""] = field(1, shards) + (field(2, order) if order else b"") + field(3, field(1, 1))
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for k, content in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{k:05d}-of-{shards:05d}").write_bytes(content)
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(table(sorted(pairs.items()), kind=kind))
    return index


def metadata(config: object, version: str = "2.15.0", **more: Any) -> str:
    """The JSON of a model's object, as Keras 2 writes it."""
    return json.dumps({"keras_version": version, "backend": "tensorflow", **config, **more})


def saved_model(
    folder: Path,
    config: Config = SMALL,
    arrays: Mapping[str, Array] = SMALL_OBJECTS,
    *,
    inside: bool = False,
    identifier: str = "_tf_keras_sequential",
    text: str | None = None,
    graph: bytes = b"",
    **options: Any,
) -> Path:
    """A SavedModel.

    Args:
        folder: Where to.
        config: Of the model.
        arrays: By the paths of their objects.
        inside: The metadata stand in saved_model.pb, as before TensorFlow 2.5.
        identifier: Of the first object.
        text: The metadata instead of those of `config`.
        graph: A GraphDef.
        options: Of `checkpoint`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = (
        metadata({key: config[key] for key in ("class_name", "config")}) if text is None else text
    )
    user = field(1, identifier) + field(2, field(1, 1)) + (field(3, text) if inside else b"")
    first = field(1, field(1, 1) + field(2, "layer-0")) + field(4, user)
    whole = field(1, field(5, "2.15.1")) + field(2, graph) + field(7, field(1, first))
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, whole))
    if not inside:
        node = field(2, 0) + field(3, "root") + field(4, identifier) + field(5, text)
        other = field(2, 1) + field(3, "root.layer-0") + field(4, "_tf_keras_layer")
        (folder / "keras_metadata.pb").write_bytes(field(1, other) + field(1, node))
    checkpoint(folder / "variables" / "variables", arrays, **options)
    return folder


def layers_model(
    folder: Path,
    topology: object,
    groups: Mapping[str, Mapping[str, Array]],
    *,
    manifest: object = None,
    **more: Any,
) -> Path:
    """A layers model of TensorFlow.js: for each shard, its weights by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, weights in groups.items():
        (folder / name).write_bytes(b"".join(array.tobytes() for array in weights.values()))
    said = [
        {
            "paths": [name],
            "weights": [
                {"name": key, "shape": list(array.shape), "dtype": array.dtype.name}
                for key, array in weights.items()
            ],
        }
        for name, weights in groups.items()
    ]
    document = {
        **more,
        "modelTopology": topology,
        "weightsManifest": said if manifest is None else manifest,
    }
    (folder / "model.json").write_text(json.dumps(document))
    return folder


def recorded(path: Path) -> dict[str, np.ndarray]:
    """What is recorded beside a model of the test data."""
    return dict(np.load(path.with_name(f"{path.name}.npz")))


def of(index: Path, config: Config = SMALL) -> Model:
    """The model of a config with the weights of a checkpoint."""
    document = {key: config[key] for key in ("class_name", "config")}
    writer = Writer.of(config.get("keras_version", "2.15.0"), "model.json")
    return reader.read(File.at(index), read_model(document, "model.json"), writer)
