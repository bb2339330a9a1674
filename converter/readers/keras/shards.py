"""Weights of Keras 3 in shards: `model.save_weights("NAME.weights.json", max_shard_size=...)`.

The JSON has a `weight_map`: for each folder of weights, the shard or the shards that hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from converter.description import Stored
from converter.errors import FormatError
from converter.readers.beside import beside
from converter.readers.file import File, Part
from converter.readers.keras.hdf5 import Dataset, Hdf5
from converter.readers.keras.weights import damaged
from converter.readers.strict import MAX_BYTES, named, parse, shown, too_large

MAX_SHARDS = 1000
MAP = "weight_map"


def is_map(file: File) -> bool:
    """Whether a file may be such a JSON."""
    return file.head.lstrip().startswith(b"{")


def shards_of(file: File) -> list[tuple[str, File]]:
    """The shards that a map names, each once.

    Raises:
        FormatError: It is no such map, or names a file elsewhere.
    """
    if file.size > MAX_BYTES:
        raise too_large(file.path, file.size)
    with file.open() as handle:
        document = parse(handle.read(), file.path)
    found = document.get(MAP) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise FormatError(
            f"{file.path} has no weights for an architecture",
            context=f"{shown(document)}; expected a {MAP}",
            hint="give what model.save_weights wrote, or a whole model without --arch",
            code="no-weights",
        )
    names: dict[str, None] = {}
    for value in found.values():
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(name, str) for name in listed):
            raise _malformed(file, value)
        names |= dict.fromkeys(listed)
    if not names or len(names) > MAX_SHARDS:
        raise _malformed(file, f"{len(names)} shards")
    return [(name, beside(file, name)) for name in names]


class Shards(Hdf5):
    """Several files as one; a folder that is in two of them is the union of both."""

    def __init__(self, parts: list[Hdf5], path: str) -> None:
        self._path = path
        self._part_of: dict[str, Hdf5] = {}
        for part in parts:
            for name in part.datasets():
                if name in self._part_of:
                    raise damaged(path, f"{named(name)} in two shards")
                self._part_of[name] = part

    @classmethod
    @contextmanager
    def all_opened(cls, files: list[tuple[str, File]], path: str) -> Iterator[Shards]:
        """The shards, until the end of the block."""
        with ExitStack() as stack:
            opened = [
                stack.enter_context(Hdf5.opened(Part(one, 0, one.size), one.path))
                for _, one in files
            ]
            yield cls(opened, path)

    def datasets(self, group: str = "", skip: frozenset[str] = frozenset()) -> list[str]:
        """See `Hdf5`."""
        inside = f"{group}/" if group else ""
        names = (name.removeprefix(inside) for name in self._part_of if name.startswith(inside))
        return sorted(name for name in names if name.split("/", 1)[0] not in skip)

    def dataset(self, path: str) -> Dataset:
        """See `Hdf5`."""
        return self._part_of[path].dataset(path)

    def stored(self, dataset: Dataset, name: str) -> Stored:
        """See `Hdf5`."""
        return self._part_of[dataset.path].stored(dataset, name)


def _malformed(file: File, found: object) -> FormatError:
    return FormatError(
        f"the {MAP} of {file.path} is not as Keras writes it",
        context=f"{shown(found)}; expected names of files",
        hint="the file may be damaged; save the weights again",
        code="weight-map",
    )
