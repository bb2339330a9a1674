"""Files that appear whole or not at all.

A run writes into a folder of its own, flushes what it wrote to the disk, and moves it into its
place. A run that fails leaves what was there before; one that is killed is undone by the next.

    .NAME.ifco-partial/   beside a folder that does not exist yet, or .ifco-partial/ inside one;
    │                     .NAME.ifco-partial/ beside a file of that name
    ├── lock              held while the run lives: its folder is nobody else's
    └── work/
        ├── scratch/      what it needs on its way
        ├── new/          what is written
        └── before/       what it takes the place of; while this stands, it is to be put back
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from converter.errors import OutputError

PARTIAL = ".ifco-partial"
ATTEMPTS = 100
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Staging:
    """A folder in which an output is made, before it is put in its place.

    Attributes:
        path: Write here. It lies beside or inside the place, on the same disk.
    """

    def __init__(self, folder: Path, work: Path, check: Callable[[], None]) -> None:
        self.folder = folder
        self.path = work / "new"
        self._work = work
        self._check = check

    def write(self, name: str, write: Callable[[BinaryIO], object], size: int = 0) -> None:
        """Write one file of the output, and flush it to the disk.

        Args:
            name: Of the file.
            write: Writes it; what it gives back does not matter.
            size: How many bytes it takes at least, for a disk that is full.
        """
        with _named_faults(self.folder / name, size), (self.path / name).open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())

    def scratch(self, name: str) -> Path:
        """A place for a file that is needed on the way, and is no part of the output."""
        folder = self._work / "scratch"
        with _named_faults(self.folder / name):
            folder.mkdir(exist_ok=True)
        return folder / name

    def adopt(self, name: str, path: Path) -> None:
        """Make a file of the output of one in `scratch`, and flush it to the disk."""
        with _named_faults(self.folder / name):
            path.rename(self.path / name)
            _sync(self.path / name)

    def commit(self) -> None:
        """Put the files in their place, all or none."""
        with _named_faults(self.folder):
            self._check()  # once more: it was long ago
            _sync(self.path)
            if self._work.is_relative_to(self.folder):
                _replace_all(self.folder, self._work)
            else:
                _appear(self.path, self.folder)


@contextmanager
def staged(
    folder: Path, names: Sequence[str], *, source: str, force: bool, alone: str = ""
) -> Iterator[Staging]:
    """A `Staging` for files of these names; what it holds is removed unless it is committed.

    Args:
        folder: Made if it does not exist; other files in it stay.
        names: The files that will be written.
        source: The input, which is never replaced.
        force: Replace files that exist.
        alone: The file that the output is, where the folder holds others' too: runs that write
            other files there do not wait for each other.

    Raises:
        OutputError: A file exists and `force` is False, it is the input, a link or a device,
            another run is writing there, or the disk refuses.
    """
    folder = folder.absolute()

    def check() -> None:
        for name in names:
            _check(folder / name, source=source, force=force)

    with _named_faults(folder):
        _check_folder(folder, source)
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        beside = folder.parent / f".{folder.name}{PARTIAL}"
        inside = folder / (f".{alone}{PARTIAL}" if alone else PARTIAL)
        home = inside if alone or folder.exists() else beside
    try:
        if home != beside and beside.exists():  # left by a run that found no folder
            with suppress(OutputError), _held(beside, folder):
                _remove(beside)
        with _held(home, folder):
            try:
                with _named_faults(folder):
                    _clear(folder, home)
                    check()
                    (home / "work" / "new").mkdir(parents=True)
                yield Staging(folder, home / "work", check)
            finally:
                with _named_faults(folder, undoing=True):
                    _clear(folder, home)
                _remove(home)
    finally:
        for one in missing:  # from the inside out, those that are empty
            with suppress(OSError):
                one.rmdir()


def _check_folder(folder: Path, source: str) -> None:
    """Refuse a place where no folder can be, and the input."""
    if folder.is_symlink() and not folder.exists():
        raise _refusal(folder, "a symbolic link", "name what it points to", "output-is-a-link")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise _refusal(folder, "not a folder", "name a folder with --out", "output-not-a-folder")
    if source and Path(source).exists() and folder.samefile(source):
        raise _refusal(folder, "the input itself", "choose another --out", "output-is-the-input")


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
def _named_faults(path: Path, size: int = 0, *, undoing: bool = False) -> Iterator[None]:
    """Faults of the disk as errors with four parts."""
    try:
        yield
    except OSError as error:
        found = error.strerror or str(error)
        if error.filename is not None:
            found += f": {error.filename}"
        if undoing:
            raise OutputError(
                f"cannot put back what was in {path}",
                context=found,
                hint="convert to the same --out again when the disk is well: it is put back first",
                code="cannot-put-back",
            ) from error
        remedy = "choose another --out"
        if error.errno in FULL:
            remedy = f"free some space or {remedy}"
            found += f"; it takes at least {size} bytes" if size else ""
        raise OutputError(
            f"cannot write {path}",
            context=found,
            hint=f"{remedy}; what was there before is unchanged",
            code="cannot-write",
        ) from error


def _appear(new: Path, folder: Path) -> None:
    """A folder that was not there."""
    new.rename(folder)
    try:
        _sync(folder.parent)
    except OSError:
        folder.rename(new)
        raise


def _replace_all(folder: Path, work: Path) -> None:
    """Every new file to its place; `_clear` undoes it as long as `before` stands."""
    new, draft, before, spent = (work / name for name in ("new", "draft", "before", "spent"))
    draft.mkdir()
    for path in sorted(new.iterdir()):
        place = folder / path.name
        if place.exists():
            path.chmod(stat.S_IMODE(place.stat().st_mode))
            _twin(place, draft / path.name)
    _sync(draft)
    draft.rename(before)
    _sync(work)
    for path in sorted(new.iterdir()):
        _put(path, folder / path.name, work)
    _sync(folder)
    before.rename(spent)
    try:
        _sync(work)
    except OSError:
        spent.rename(before)
        raise


def _clear(folder: Path, home: Path) -> None:
    """Put back what an unfinished run has replaced, and remove what it wrote."""
    work = home / "work"
    new, before = work / "new", work / "before"
    if before.is_dir():
        for path in sorted(new.iterdir()):
            place = folder / path.name
            if (before / path.name).exists():
                _put(before / path.name, place, work)
            else:
                place.unlink(missing_ok=True)
        _sync(folder)
        before.rename(work / "spent")  # at once: half of it must not be put back
        _sync(work)
    shutil.rmtree(work, ignore_errors=True)


def _put(path: Path, place: Path, work: Path) -> None:
    """Put a file in a place at once; it stays where it is too."""
    passing = work / "passing"
    passing.unlink(missing_ok=True)  # it stays where both are one file already
    _twin(path, passing)
    passing.replace(place)


def _twin(path: Path, other: Path) -> None:
    """A second name for a file, or a copy on a disk that has no such thing."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copy2(path, other)
        _sync(other)


def _sync(path: Path) -> None:
    """A file, or what was renamed in a folder, on the disk too."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a disk that flushes no folders
            raise
    finally:
        os.close(handle)


@contextmanager
def _held(home: Path, folder: Path) -> Iterator[None]:
    """A run's folder, made or taken over from a dead run, and kept from others.

    Raises:
        OutputError: A living run has it, or it cannot be made.
    """
    with _named_faults(folder):
        handle = _lock(home)
    if handle is None:
        found = f"another run is writing there, into {home}"
        raise _refusal(folder, found, "wait until it has ended", "output-in-use")
    try:
        yield
    finally:
        os.close(handle)


def _lock(home: Path) -> int | None:
    """A handle that holds the lock of a run's folder; None if a living run holds it."""
    if home.is_symlink():
        raise _refusal(home, "a symbolic link", "remove it", "output-is-a-link")
    for left in reversed(range(ATTEMPTS)):
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                home.mkdir()
            handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            if not left:
                raise
            continue  # a run has just ended and removed the folder
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            return handle  # a disk without locks, where a living run and a dead one look the same
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # its run has just ended and removed the lock
    return None


def _remove(home: Path) -> None:
    """Remove a run's folder; the lock goes last, so that nobody takes the folder before."""
    shutil.rmtree(home / "work", ignore_errors=True)
    with suppress(OSError):
        (home / "lock").unlink()
        home.rmdir()
