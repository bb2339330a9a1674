"""An ONNX file as it stands: nodes, stored tensors, inputs and outputs (onnx.proto).

Read from the wire format, so that no array is in memory before it is asked for, and that a file of
more than 2 GB is like any other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from converter.description import Stored
from converter.dtypes import numpy_dtype
from converter.errors import FormatError
from converter.gates import Array
from converter.readers.beside import beside
from converter.readers.file import Content, File, Part
from converter.readers.strict import named
from converter.readers.wire import Message, WireError, fields, varint

MAX_NODES = 200_000
MAX_DEPTH = 8
"""Of graphs in graphs: an If in a Loop is three."""

SCOPES = "pkg.torch.onnx.name_scopes"
"""The note of a node, since PyTorch 2.7, that names the modules which it comes from."""

DTYPES: Mapping[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
}
"""TensorProto.DataType, those that are read."""

UNREAD: Mapping[int, str] = {8: "string", 14: "complex64", 15: "complex128"}
"""Others, by which a refusal names them; what is not here is a format of 8 bits or less."""

IN_INT32 = {"bool", "int8", "uint8", "int16", "uint16", "int32", "float16", "bfloat16"}
"""What `int32_data` may hold."""

Attribute = Any
"""A number, a text, a `Stored`, a `Graph`, or a tuple of numbers or texts."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node.

    Attributes:
        kind: "LSTM"; with its domain in front, if that is not ONNX's own.
        inputs: Names; "" for one that is left out.
        outputs: Likewise.
        scope: The modules that it stands in, as torch.onnx writes them down.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    scope: str = ""

    @property
    def where(self) -> str:
        """What an error calls it."""
        own = self.name or next((name for name in self.outputs if name), "")
        return f"node {named(own)} ({self.kind})"


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or an output of a graph.

    Attributes:
        dtype: "float32"; "" where it is not said.
        shape: A size, or a name where it is free ("" for none); None where nothing is said.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph of a file, or one inside a node."""

    name: str
    nodes: tuple[Node, ...]
    stored: Mapping[str, Stored]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A file.

    Attributes:
        producer: Who wrote it, and the version: "pytorch 2.13.0".
        opset: Of ONNX's own operators.
        metadata: What it says of itself.
        beside: The files that hold its data, by their names.
    """

    graph: Graph
    producer: str
    opset: int
    metadata: Mapping[str, str]
    beside: Mapping[str, File] = field(default_factory=dict)


def read_document(file: File) -> Document:
    """The nodes and tensors of a file.

    Raises:
        FormatError: It is no ONNX file, or is damaged.
    """
    try:
        return _Reading(file).document()
    except (WireError, UnicodeDecodeError, struct.error) as error:
        raise malformed(file.path, str(error)) from error


def malformed(path: str, context: str) -> FormatError:
    """The error for a file that is not as ONNX says."""
    return FormatError(
        f"{path} is not an ONNX file",
        context=context,
        hint="it may be damaged or cut off; export the model again",
        code="not-onnx",
    )


class _Message:
    """The fields of a message by their numbers, each a list."""

    def __init__(self, data: Message) -> None:
        self.found: dict[int, list[int | Message]] = {}
        for number, value in fields(data):
            self.found.setdefault(number, []).append(value)

    def messages(self, number: int) -> Iterator[Message]:
        for value in self.found.get(number, ()):
            if isinstance(value, int):
                raise WireError(f"a number in field {number}")
            yield value

    def text(self, number: int) -> str:
        last = b""
        for value in self.messages(number):
            last = bytes(value)
        return last.decode()

    def number(self, number: int) -> int:
        values = self.numbers(number)
        return values[-1] if values else 0

    def numbers(self, number: int) -> list[int]:
        """Whole numbers, signed; packed or not."""
        every: list[int] = []
        for value in self.found.get(number, ()):
            if isinstance(value, int):
                every.append(value)
                continue
            at = 0
            while at < len(value):
                one, at = varint(value, at)
                every.append(one)
        return [one - 2**64 if one >= 2**63 else one for one in every]

    def floats(self, number: int) -> list[float]:
        """Floats, packed or not."""
        every: list[float] = []
        for value in self.found.get(number, ()):
            data = value.to_bytes(4, "little") if isinstance(value, int) else bytes(value)
            every += struct.unpack(f"<{len(data) // 4}f", data)
        return every


class _Reading:
    def __init__(self, file: File) -> None:
        self.file = file
        self.whole = Part(file, 0, file.size)
        self.bytes = self.whole.array(0, (file.size,), np.dtype(np.uint8))
        self.start = self.bytes.__array_interface__["data"][0]
        self.nodes = 0
        self.beside: dict[str, File] = {}

    def document(self) -> Document:
        model = _Message(Message(self.bytes.data))
        graphs = list(model.messages(7))
        if not model.number(1) or len(graphs) != 1:
            raise malformed(self.file.path, f"{len(graphs)} graphs; expected a version and one")
        opset = 1
        for one in map(_Message, model.messages(8)):
            if one.text(1) in ("", "ai.onnx"):
                opset = one.number(2)
        entries = map(_Message, model.messages(14))
        return Document(
            graph=self.graph(graphs[0]),
            producer=" ".join(text for text in (model.text(2), model.text(3)) if text),
            opset=opset,
            metadata={one.text(1): one.text(2) for one in entries},
            beside=self.beside,
        )

    def graph(self, data: Message, depth: int = 0) -> Graph:
        if depth > MAX_DEPTH:
            raise malformed(self.file.path, f"graphs over {MAX_DEPTH} levels deep")
        message = _Message(data)
        if message.found.get(15):
            raise malformed(self.file.path, "a sparse tensor, which is not read")
        stored: dict[str, Stored] = {}
        for one in map(self.tensor, message.messages(5)):
            if one.name in stored:
                raise malformed(self.file.path, f"two tensors of the name {named(one.name)}")
            stored[one.name] = one
        nodes = tuple(self.node(one, depth) for one in message.messages(1))
        return Graph(
            name=message.text(2),
            nodes=nodes,
            stored=stored,
            inputs=tuple(map(self.described, message.messages(11))),
            outputs=tuple(map(self.described, message.messages(12))),
        )

    def node(self, data: Message, depth: int) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise malformed(self.file.path, f"over {MAX_NODES} nodes")
        message = _Message(data)
        domain, kind = message.text(7), message.text(4)
        notes = map(_Message, message.messages(9))
        return Node(
            kind=kind if domain in ("", "ai.onnx") else f"{domain}:{kind}",
            name=message.text(3),
            inputs=tuple(bytes(one).decode() for one in message.messages(1)),
            outputs=tuple(bytes(one).decode() for one in message.messages(2)),
            attributes=dict(self.attribute(one, depth) for one in message.messages(5)),
            scope=next((one.text(2) for one in notes if one.text(1) == SCOPES), ""),
        )

    def attribute(self, data: Message, depth: int) -> tuple[str, Attribute]:
        message = _Message(data)
        texts = (bytes(one).decode() for one in message.messages(9))
        readers: Mapping[int, Callable[[], Attribute]] = {
            1: lambda: (message.floats(2) or [0.0])[-1],
            2: lambda: message.number(3),
            3: lambda: message.text(4),
            4: lambda: self.tensor(next(message.messages(5), Message(b""))),
            5: lambda: self.graph(next(message.messages(6), Message(b"")), depth + 1),
            6: lambda: tuple(message.floats(7)),
            7: lambda: tuple(message.numbers(8)),
            8: lambda: tuple(texts),
        }
        kind = message.number(20) or next((k for k in readers if message.found.get(k + 1)), 0)
        name = message.text(1)
        if message.found.get(21) or kind not in readers:
            raise malformed(self.file.path, f"attribute {named(name)} of an unknown kind, {kind}")
        return name, readers[kind]()

    def described(self, data: Message) -> Tensor:
        message = _Message(data)
        kind = _Message(next(iter(message.messages(2)), Message(b"")))
        tensor = _Message(next(iter(kind.messages(1)), Message(b"")))
        shape: tuple[int | str, ...] | None = None
        for one in tensor.messages(2):
            dims = map(_Message, _Message(one).messages(1))
            shape = tuple(dim.number(1) if 1 in dim.found else dim.text(2) for dim in dims)
        code = tensor.number(1)
        return Tensor(message.text(1), DTYPES.get(code, UNREAD.get(code, "")), shape)

    def tensor(self, data: Message) -> Stored:
        """A stored tensor, which has as many bytes as its shape says."""
        message = _Message(data)
        name, code = message.text(8), message.number(2)
        shape = tuple(message.numbers(1))
        if code not in DTYPES:
            kind = UNREAD.get(code, f"type {code}")
            return Stored(
                name, shape, np.dtype(object), lambda: _unread(self.file.path, name, kind)
            )
        dtype = numpy_dtype(DTYPES[code]).newbyteorder("<")
        if any(size < 0 for size in shape) or prod(shape) > 2**48:
            raise malformed(self.file.path, f"tensor {named(name)} has the shape {shape}")
        content: Content = self.whole
        offset, size = 0, 0
        raw = message.found.get(9)
        if message.number(14) == 1:
            content, offset, size = self.external(name, message)
        elif raw:
            data_of = raw[-1]
            if isinstance(data_of, int):
                raise WireError("a number in field 9")
            offset, size = self.place(data_of), len(data_of)
        else:
            return self.typed(name, shape, DTYPES[code], message)
        if size != prod(shape) * dtype.itemsize:
            expected = prod(shape) * dtype.itemsize
            raise malformed(
                self.file.path, f"tensor {named(name)} has {size} bytes; its shape says {expected}"
            )
        return Stored(name, shape, dtype, lambda: content.array(offset, shape, dtype))

    def place(self, data: Message) -> int:
        """Where in the file bytes of it are."""
        if not len(data):
            return 0
        address: int = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
        return address - int(self.start)

    def typed(self, name: str, shape: tuple[int, ...], kind: str, message: _Message) -> Stored:
        """A tensor whose numbers are fields of its kind."""
        numbers: list[int] | list[float]
        if kind == "float32":
            numbers = message.floats(4)
        elif kind == "float64":
            numbers = _doubles(message)
        elif kind in IN_INT32:
            numbers = message.numbers(5)
        else:
            numbers = message.numbers(7 if kind == "int64" else 11)
        if len(numbers) != prod(shape):
            raise malformed(
                self.file.path,
                f"tensor {named(name)} has {len(numbers)} numbers; its shape is {shape}",
            )
        dtype = numpy_dtype(kind)
        try:
            if kind in ("float16", "bfloat16"):
                array = np.array(numbers, np.uint16).view(dtype)
            else:
                array = np.array(numbers, dtype)
        except OverflowError as error:
            raise malformed(self.file.path, f"tensor {named(name)}: {error}") from error
        return Stored.of(name, array.reshape(shape))

    def external(self, name: str, message: _Message) -> tuple[Content, int, int]:
        """Where the bytes of a tensor are that lie in another file of the same folder."""
        said = {one.text(1): one.text(2) for one in map(_Message, message.messages(13))}
        location = said.get("location", "")
        try:
            offset = int(said.get("offset", "0"))
            length = int(said["length"]) if "length" in said else None
        except ValueError as error:
            raise malformed(self.file.path, f"tensor {named(name)}: {error}") from error
        if location not in self.beside:
            self.beside[location] = beside(self.file, location)
        other = self.beside[location]
        if length is None:
            kind = numpy_dtype(DTYPES[message.number(2)])
            length = prod(message.numbers(1)) * kind.itemsize
        if offset < 0 or not 0 <= length <= other.size - offset:
            raise malformed(
                self.file.path,
                f"tensor {named(name)} is {length} bytes at {offset} of {other.path}, which has "
                f"{other.size}",
            )
        return Part(other, 0, other.size), offset, length


def _doubles(message: _Message) -> list[float]:
    every: list[float] = []
    for value in message.found.get(10, ()):
        data = value.to_bytes(8, "little") if isinstance(value, int) else bytes(value)
        every += struct.unpack(f"<{len(data) // 8}d", data)
    return every


def _unread(path: str, name: str, kind: str) -> Array:
    raise malformed(path, f"tensor {named(name)} is of {kind}, which is not read")
