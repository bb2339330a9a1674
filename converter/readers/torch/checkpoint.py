"""A file of tensors that PyTorch saved, or safetensors: every tensor by its name.

    ZIP           torch.save since 1.6: data.pkl and a member for each storage
    TorchScript   torch.jit.save: likewise, with code beside them, which is not looked at
    legacy        torch.save before 1.6: pickles one after the other, then the storages
    safetensors   a JSON header, then the tensors

No pickle is run: see `converter.readers.torch.pickles`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from converter.description import Stored
from converter.errors import FormatError
from converter.gates import Array
from converter.readers import zipped
from converter.readers.file import Content, File, Part
from converter.readers.pickle_language import Arguments, refuse
from converter.readers.pickled import read_first
from converter.readers.strict import named
from converter.readers.torch import safetensors
from converter.readers.torch.naming import named_tensors
from converter.readers.torch.pickles import HINT, MAX_STEPS, Storage, Tensor, language

ZIP = "PyTorch checkpoint"
SCRIPT = "TorchScript archive"
LEGACY = "PyTorch checkpoint of before 1.6"
SAFETENSORS = "safetensors"

WRITER = zipped.Writer("PyTorch", HINT)
DATA, CONSTANTS, ORDER = "data.pkl", "constants.pkl", "byteorder"
ORDERS = {b"little": "<", b"big": ">"}
MAX_PICKLE = 32 * 2**20
"""Bytes; a tensor takes some hundred of them."""

# The pickles of 0x1950A86A20F9469CFC6C and 1001, with which torch.save before 1.6 begins.
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_VERSION = b"\x80\x02M\xe9\x03."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is in such a file.

    Attributes:
        form: One of the four.
        tensors: By their names: "model/lstm.weight_ih_l0", with a slash between containers.
        held: What is there and is no plain tensor, by its name: what it is, in words.
    """

    path: str
    sha256: str
    form: str
    tensors: Mapping[str, Stored]
    held: Mapping[str, str]


def is_checkpoint(file: File) -> bool:
    """Whether a file looks as one of them does."""
    if file.head.startswith(zipped.MAGIC):
        return any(name.partition("/")[2] == DATA for name in zipped.names(file))
    return LEGACY_MAGIC.startswith(file.head[: len(LEGACY_MAGIC)]) or safetensors.is_one(file)


def read(file: File) -> Checkpoint:
    """What is in a file of which `is_checkpoint` is true.

    Raises:
        FormatError: It is damaged, or has what is not data.
    """
    if file.head.startswith(zipped.MAGIC):
        return _zip(file)
    if safetensors.is_one(file):
        tensors = safetensors.read(file)
        return Checkpoint(
            path=file.path, sha256=file.sha256, form=SAFETENSORS, tensors=tensors, held={}
        )
    return _legacy(file)


def without_architecture(file: File) -> FormatError:
    """The error for a checkpoint that no architecture is given for."""
    return FormatError(
        f"{file.path} has weights and no architecture",
        context="tensors of PyTorch",
        hint="--arch model.json makes it a whole model, --to keras-weights takes the layers out; "
        "ifco inspect shows them",
        code="no-architecture",
    )


def foreign(file: File) -> FormatError | None:
    """Why a file is not read that is a pickle or a tar, as PyTorch's first versions wrote; or None.

    Both would have to be run.
    """
    if file.head[:1] == b"\x80" and file.head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        found = "a pickle that torch.save did not write"
    elif _is_tar(file):
        found = "a tar archive, as PyTorch wrote before 0.1.10"
    else:
        return None
    return FormatError(
        f"{file.path} is not a checkpoint that is read",
        context=f"{found}; nothing in it is run",
        hint=HINT,
        code="pickle-file",
    )


def _is_tar(file: File) -> bool:
    with file.open() as handle:
        handle.seek(257)
        return handle.read(5) == b"ustar"


def _wanted(name: str) -> bool:
    """Pickles and storages; not code."""
    inside = name.partition("/")[2]
    return inside in (DATA, CONSTANTS, ORDER) or inside.startswith(("data/", "constants/"))


def _zip(file: File) -> Checkpoint:
    contents = zipped.members(file, ("*",), packed=False, wanted=_wanted, writer=WRITER)
    folders = [name.partition("/")[0] for name in contents if name.partition("/")[2] == DATA]
    all_names = zipped.names(file)
    if len(folders) != 1 or not all(name.startswith(f"{folders[0]}/") for name in all_names):
        raise _damaged(file.path, f"the members of {len(folders)} checkpoints, or others beside it")
    inside = {name.partition("/")[2]: content for name, content in contents.items()}
    script = CONSTANTS in inside
    order = _order(file.path, inside.get(ORDER))
    storages = {name: content for name, content in inside.items() if not _is_said(name)}
    used: set[str] = set()
    tensors: dict[str, Stored] = {}
    held: dict[str, str] = {}
    for pickle in (DATA, CONSTANTS) if script else (DATA,):
        folder = "constants" if pickle == CONSTANTS and "constants/0" in storages else "data"

        def take(storage: Storage, rest: Arguments, folder: str = folder) -> Storage:
            content = storages.get(f"{folder}/{storage.key}")
            if rest or content is None:
                refuse(f"the storage {named(storage.key)}, which is not in the file")
            if content.size != storage.size:
                refuse(
                    f"the storage {named(storage.key)} of {storage.size} bytes, "
                    f"which has {content.size}"
                )
            used.add(f"{folder}/{storage.key}")
            return storage

        value = _unpickled(file, inside[pickle], pickle, take)
        at = "constants" if pickle == CONSTANTS else ""
        found, more = named_tensors(value, file.path, at)
        held |= more
        for name, tensor in found.items():
            content = storages[f"{folder}/{tensor.storage.key}"]
            if name in tensors:
                raise _damaged(file.path, f"two tensors {named(name)}")
            tensors[name] = stored(name, tensor, content, 0, order)
    if left := sorted(storages.keys() - used):
        raise _damaged(file.path, f"storages that no tensor has: {', '.join(left[:8])}")
    return Checkpoint(
        path=file.path,
        sha256=file.sha256,
        form=SCRIPT if script else ZIP,
        tensors=tensors,
        held=held,
    )


def _is_said(name: str) -> bool:
    return name in (DATA, CONSTANTS, ORDER)


def _order(path: str, content: Content | None) -> str:
    """The order of bytes: little-endian where nothing says it, as before PyTorch 2.1."""
    if content is None:
        return "<"
    said = b""
    if content.size < 16:
        with content.open() as handle:
            said = handle.read()
    if said not in ORDERS:
        raise _damaged(path, "an order of bytes that is neither little nor big")
    return ORDERS[said]


def _unpickled(
    file: File, content: Content, name: str, take: Callable[[Storage, Arguments], Storage]
) -> object:
    """The value of a member."""
    what = f"{name} of {file.path}"
    if content.size > MAX_PICKLE:
        raise _too_large(what, content.size)
    stream = memoryview(content.array(0, (content.size,), np.dtype(np.uint8)))  # type: ignore[arg-type]
    value, size = read_first(stream, language(take), what)
    if size != content.size:
        raise _damaged(file.path, f"something behind the pickle of {name}")
    return value


def stored(name: str, tensor: Tensor, content: Content, start: int, order: str = "<") -> Stored:
    """A tensor as an array, read when it is asked for.

    Args:
        name: Its own.
        tensor: Where it is in its storage.
        content: What holds the storage.
        start: Where that begins in it, in bytes.
        order: Of the bytes of a number.
    """
    dtype = tensor.dtype
    raw: np.dtype[Any] = dtype.newbyteorder(">") if order == ">" else dtype

    def read() -> Array:
        if not np.prod(tensor.shape, dtype=np.int64):
            return _frozen(np.empty(tensor.shape, dtype))
        array: Array
        if tensor.in_order:
            place = start + tensor.offset * raw.itemsize
            array = content.array(place, tensor.shape, raw)
        else:
            whole = content.array(start, (tensor.storage.size // raw.itemsize,), raw)
            steps = tuple(step * raw.itemsize for step in tensor.strides)
            array = as_strided(whole[tensor.offset :], tensor.shape, steps, writeable=False)
        return array if raw == dtype else _frozen(array.astype(dtype))

    return Stored(name, tensor.shape, dtype, read)


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _legacy(file: File) -> Checkpoint:
    """Five pickles: a number, a version, what the machine was, the value, the keys of storages."""
    content = Part(file, 0, file.size)
    whole = memoryview(content.array(0, (file.size,), np.dtype(np.uint8)))  # type: ignore[arg-type]
    head = len(LEGACY_MAGIC) + len(LEGACY_VERSION)
    if bytes(whole[:head]) != LEGACY_MAGIC + LEGACY_VERSION:
        raise _damaged(file.path, "a version that is not 1001")
    storages: dict[str, Storage] = {}

    def take(storage: Storage, rest: Arguments) -> Storage:
        if rest not in ((), (None,)):
            refuse("a storage that is a view of another")
        first = storages.setdefault(storage.key, storage)
        if (first.dtype, first.count) != (storage.dtype, storage.count):
            refuse(f"two storages {named(storage.key)}")
        return first

    def next_value(what: str, position: int) -> tuple[object, int]:
        stream = whole[position : position + MAX_PICKLE]
        value, size = read_first(stream, language(take), f"{what} of {file.path}")
        return value, position + size

    machine, position = next_value("the sizes of types", head)
    value, position = next_value("the pickle", position)
    keys, position = next_value("the list of storages", position)
    little = machine.get("little_endian") if isinstance(machine, dict) else None
    if not isinstance(little, bool):
        raise _damaged(file.path, "an order of bytes that is neither little nor big")
    texts = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    if sorted(texts) != sorted(storages) or not isinstance(keys, list) or len(texts) != len(keys):
        raise _damaged(file.path, "storages in the list that are not those of its tensors")
    starts: dict[str, int] = {}
    for key in texts:
        count = int.from_bytes(whole[position : position + 8], "little")
        starts[key] = position + 8
        position = starts[key] + storages[key].size
        if count != storages[key].count or position > file.size:
            raise _damaged(
                file.path, f"the storage {named(key)}, expected {storages[key].count} elements"
            )
    if position != file.size:
        raise _damaged(file.path, f"{file.size - position} bytes behind the last storage")
    found, held = named_tensors(value, file.path)
    return Checkpoint(
        path=file.path,
        sha256=file.sha256,
        form=LEGACY,
        tensors={
            name: stored(name, tensor, content, starts[tensor.storage.key], "<" if little else ">")
            for name, tensor in found.items()
        },
        held=held,
    )


def _damaged(path: str, context: str) -> FormatError:
    return FormatError(
        f"{path} is a damaged checkpoint",
        context=context,
        hint="copy or download the file again; the original may be whole",
        code="checkpoint",
    )


def _too_large(what: str, size: int) -> FormatError:
    return FormatError(
        f"{what} is too large",
        context=f"{size} bytes; at most {MAX_PICKLE}, and {MAX_STEPS} steps, are read",
        hint=HINT,
        code="too-large",
    )
