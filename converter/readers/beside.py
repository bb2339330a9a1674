"""The files that lie beside one, by names that stay where it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from converter.errors import FormatError
from converter.readers.file import File, InMemory
from converter.readers.strict import named

MAX_NAME = 1024


def beside(file: File, name: str) -> File:
    """The file of that name, which is relative to the folder of `file`.

    Raises:
        FormatError: The name leads out of the folder, or is a link out of it.
        ReadError: There is no such file.
    """
    parts = PurePosixPath(name).parts
    if (
        isinstance(file, InMemory)
        or not parts
        or len(name) > MAX_NAME
        or ".." in parts
        or any(sign in name for sign in "\\:\0")
        or PurePosixPath(name).is_absolute()
    ):
        raise _outside(file, name)
    folder = Path(file.path).parent
    path = folder.joinpath(*parts)
    # A download cache keeps each file elsewhere, all in one folder, and links to them.
    homes = {os.path.realpath(folder), str(Path(os.path.realpath(file.path)).parent)}
    if not any(_is_in(os.path.realpath(path), home) for home in homes):
        raise _outside(file, name)
    return File.at(path)


def is_beside(file: File, name: str) -> bool:
    """Whether there is a file of that name, in the same folder or further down."""
    return not isinstance(file, InMemory) and os.path.lexists(Path(file.path).parent / name)


class Hashed(Protocol):
    """A file, or what stands for one."""

    @property
    def sha256(self) -> str:
        """In hexadecimal."""


def sha256_of(files: Iterable[tuple[str, Hashed]]) -> str:
    """One hash for several files: that of the lines that `sha256sum` prints for them."""
    lines = "".join(f"{file.sha256}  {name}\n" for name, file in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _is_in(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _outside(file: File, name: str) -> FormatError:
    return FormatError(
        f"{file.path} names a file that is not beside it",
        context=named(name),
        hint="only files in its own folder are read; put them there",
        code="outside",
    )
