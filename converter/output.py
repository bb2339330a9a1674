"""Files that appear whole or not at all.

They are written into a folder beside their place, flushed to the disk, and renamed into it; a run
that fails or is killed leaves what was there before.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from converter.errors import OutputError

PARTIAL = re.compile(r"^\.(?P<name>.+)\.(?P<pid>\d+)\.ifco-(?P<kind>partial|before)$")
"""The names of what a run has not finished: recognised and undone by the next."""


class Staging:
    """A folder in which an output is made, before it is put in its place.

    Attributes:
        path: Write here. It lies beside the place, on the same disk.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder = folder
        self.path = path
        self.names: list[str] = []

    def write(self, name: str, write: Callable[[BinaryIO], None]) -> None:
        """Write one file of the output, and flush it to the disk."""
        self.names.append(name)
        with _named_faults(self.folder / name), (self.path / name).open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """Put the files in their place, all or none."""
        with _named_faults(self.folder):
            if self.folder.exists():
                _replace_all(self.folder, self.path, self.names)
            else:
                self.path.rename(self.folder)
                _sync(self.folder.parent)


@contextmanager
def staged(folder: Path, names: Sequence[str], *, source: str, force: bool) -> Iterator[Staging]:
    """A `Staging` for files of these names; what it holds is removed unless it is committed.

    Args:
        folder: Made if it does not exist; other files in it stay.
        names: The files that will be written.
        source: The input, which is never replaced.
        force: Replace files that exist.

    Raises:
        OutputError: A file exists and `force` is False, it is the input, a link or a device, or
            the disk refuses.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise _refusal(folder, "a file", "name a folder with --out", "output-not-a-folder")
    with _named_faults(folder):
        _undo_leftovers(folder)
    for name in names:
        _check(folder / name, source=source, force=force)
    missing = [path for path in folder.parents if not path.exists()]
    path = folder.parent / f".{folder.name}.{os.getpid()}.ifco-partial"
    try:
        with _named_faults(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        yield Staging(folder, path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        for parent in missing:  # from the inside out, those that are still empty
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()


def _check(path: Path, *, source: str, force: bool) -> None:
    """Refuse a place that must not be written to."""
    if path.is_symlink():
        raise _refusal(path, "a symbolic link", "name what it points to", "output-is-a-link")
    if not path.exists():
        return
    if source and Path(source).exists() and path.samefile(source):
        raise _refusal(path, "the input itself", "choose another --out", "output-is-the-input")
    if not path.is_file():
        raise _refusal(path, "not a regular file", "choose another --out", "output-not-a-file")
    if not force:
        raise _refusal(path, "it exists", "--force replaces it", "output-exists")


def _refusal(path: Path, found: str, hint: str, code: str) -> OutputError:
    return OutputError(f"cannot write {path}", context=found, hint=hint, code=code)


@contextmanager
def _named_faults(path: Path) -> Iterator[None]:
    """Faults of the disk as errors with four parts."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}",
            context=error.strerror or str(error),
            hint="free space or choose another --out; what was there before is unchanged",
            code="cannot-write",
        ) from error


def _replace_all(folder: Path, staging: Path, names: Sequence[str]) -> None:
    """Every file to its place; if one fails, those before it go back."""
    before = {name: folder / f".{name}.{os.getpid()}.ifco-before" for name in names}
    placed: list[str] = []
    try:
        for name in names:
            if (folder / name).exists():
                (staging / name).chmod(stat.S_IMODE((folder / name).stat().st_mode))
                os.link(folder / name, before[name])
        _sync(folder)
        for name in names:
            (staging / name).replace(folder / name)
            placed.append(name)
        _sync(folder)
    except OSError:
        for name in placed:
            if before[name].exists():
                before[name].replace(folder / name)
            else:
                (folder / name).unlink()
        raise
    finally:
        for path in before.values():
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """What was renamed, on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _undo_leftovers(folder: Path) -> None:
    """Undo what killed runs began: put back files that were to be replaced, remove the rest."""
    for path in folder.parent.glob(f".{folder.name}.*.ifco-partial"):
        if _is_of_a_dead_run(path):
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".*.ifco-before"):
        if _is_of_a_dead_run(path):
            path.replace(folder / PARTIAL.match(path.name)["name"])  # type: ignore[index]


def _is_of_a_dead_run(path: Path) -> bool:
    """Whether the name says that it is a run's, and that process is gone."""
    match = PARTIAL.match(path.name)
    if match is None:
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
