"""Files appear whole or not at all, whatever fails, is killed or is there already."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from converter.errors import OutputError
from converter.output import staged

NAMES = ("model.py", "model.safetensors", "conversion.json")
OLD = {name: f"old {name}".encode() for name in NAMES}
NEW = {name: f"new {name}, and longer".encode() for name in NAMES}
OTHERS = {"notes.txt": b"mine", "zz/deep.txt": b"mine too"}

BEFORE: dict[str, dict[str, bytes] | None] = {
    "no folder": None,
    "an empty folder": {},
    "a folder of others": OTHERS,
    "all files": OTHERS | OLD,
    "one file": OTHERS | {"model.safetensors": OLD["model.safetensors"]},
}


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush takes long on a disk that is busy, and shows nothing without a power cut."""
    monkeypatch.setattr(os, "fsync", os.fstat)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def fill(folder: Path, files: dict[str, bytes] | None) -> None:
    if files is None:
        return
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def content(folder: Path) -> dict[str, bytes] | None:
    """What a user sees: every file but those of an unfinished run."""
    if not folder.exists():
        return None
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".ifco-partial" not in path.as_posix()
    }


def leftovers(folder: Path) -> list[Path]:
    return list(folder.parent.rglob("*.ifco-partial"))


def write(folder: Path, files: dict[str, bytes], *, source: str = "", force: bool = False) -> None:
    """One run, as `convert` makes it."""
    with staged(folder, tuple(files), source=source, force=force) as staging:
        for name, data in files.items():
            staging.write(name, lambda file, data=data: file.write(data), len(data))
        staging.commit()


def meanwhile(folder: Path, happen: Callable[[], object], *, force: bool = False) -> None:
    """A run during which something happens."""
    with staged(folder, NAMES, source="", force=force) as staging:
        staging.write("model.py", lambda file: file.write(b"new"))
        happen()
        staging.commit()


def abandon(folder: Path) -> None:
    """A run that writes nothing, such as one whose models differ: it undoes what dead runs left."""
    with staged(folder, (), source="", force=False):
        pass


def refusal(folder: Path, *, source: str = "", force: bool = False) -> str:
    with pytest.raises(OutputError) as refused:
        write(folder, NEW, source=source, force=force)
    return str(refused.value)


# What is written, and what stays


@pytest.mark.parametrize("before", ["no folder", "an empty folder", "a folder of others"])
def test_new_files_need_no_force(folder: Path, before: str) -> None:
    fill(folder, BEFORE[before])
    write(folder, NEW)
    assert content(folder) == (BEFORE[before] or {}) | NEW
    assert not leftovers(folder)


@pytest.mark.parametrize("before", ["all files", "one file"])
def test_force_replaces_files_and_keeps_others(folder: Path, before: str) -> None:
    fill(folder, BEFORE[before])
    write(folder, NEW, force=True)
    assert content(folder) == OTHERS | NEW
    assert not leftovers(folder)


@pytest.mark.parametrize("before", BEFORE)
def test_what_is_not_committed_never_was(folder: Path, before: str) -> None:
    fill(folder, BEFORE[before])
    with staged(folder, NAMES, source="", force=True) as staging:
        staging.write("model.py", lambda file: file.write(b"new"))
    assert content(folder) == BEFORE[before]
    assert not leftovers(folder)


@pytest.mark.parametrize("before", BEFORE)
def test_a_fault_of_the_caller_leaves_what_was_there(folder: Path, before: str) -> None:
    fill(folder, BEFORE[before])
    with pytest.raises(ZeroDivisionError):
        meanwhile(folder, lambda: 1 / 0, force=True)
    assert content(folder) == BEFORE[before]
    assert not leftovers(folder)


def test_parents_that_are_missing_are_made(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "out", NEW)
    assert content(tmp_path / "a" / "b" / "out") == NEW


def test_parents_are_removed_again_where_nothing_was_written(tmp_path: Path) -> None:
    abandon(tmp_path / "a" / "b" / "out")
    assert not list(tmp_path.iterdir())


def test_parents_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    abandon(tmp_path / "a" / "b" / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_the_folder_in_which_one_is_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, OTHERS)
    monkeypatch.chdir(folder)
    write(Path(), NEW)
    assert content(folder) == OTHERS | NEW


def test_an_existing_folder_needs_nothing_of_its_parent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a mount of its own: nothing is renamed across its border."""
    fill(folder, OTHERS | OLD)
    made: list[Path] = []
    mkdir = os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda path, *rest: made.append(Path(path)) or mkdir(path))
    write(folder, NEW, force=True)
    assert made
    assert all(path.is_relative_to(folder) for path in made)


def test_a_link_to_a_folder_is_followed(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", OTHERS)
    folder.symlink_to(tmp_path / "elsewhere")
    write(folder, NEW)
    assert folder.is_symlink()
    assert content(tmp_path / "elsewhere") == OTHERS | NEW


def test_a_file_on_the_way_is_no_part_of_the_output(folder: Path) -> None:
    with staged(folder, ("model.keras",), source="", force=False) as staging:
        scratch = staging.scratch("weights.h5")
        scratch.write_bytes(b"on the way")
        staging.write("model.keras", lambda file: file.write(scratch.read_bytes()[:2]))
        staging.commit()
    assert content(folder) == {"model.keras": b"on"}
    assert not leftovers(folder)


@pytest.mark.parametrize("before", ["no folder", "all files"])
def test_a_file_on_the_way_can_become_the_output(folder: Path, before: str) -> None:
    fill(folder, BEFORE[before])
    with staged(folder, NAMES[:1], source="", force=True) as staging:
        scratch = staging.scratch("any name")
        scratch.write_bytes(b"new")
        staging.adopt(NAMES[0], scratch)
        staging.commit()
    assert content(folder) == (BEFORE[before] or {}) | {NAMES[0]: b"new"}
    assert not leftovers(folder)


# One file in a folder that holds others too


def write_alone(folder: Path, name: str, data: bytes, *, force: bool = False) -> None:
    with staged(folder, (name,), source="", force=force, alone=name) as staging:
        staging.write(name, lambda file: file.write(data))
        staging.commit()


@pytest.mark.parametrize("before", ["no folder", "an empty folder", "a folder of others"])
def test_a_file_alone_is_put_beside_others(folder: Path, before: str) -> None:
    fill(folder, BEFORE[before])
    write_alone(folder, "model.keras", b"new")
    assert content(folder) == (BEFORE[before] or {}) | {"model.keras": b"new"}
    assert not leftovers(folder)


def test_a_file_alone_is_replaced_by_force_only(folder: Path) -> None:
    fill(folder, {"model.keras": b"old"})
    with pytest.raises(OutputError) as refused:
        write_alone(folder, "model.keras", b"new")
    assert refused.value.code == "output-exists"
    write_alone(folder, "model.keras", b"new", force=True)
    assert content(folder) == {"model.keras": b"new"}


@pytest.mark.parametrize("before", ["no folder", "an empty folder"])
def test_two_files_are_written_into_one_folder_at_the_same_time(folder: Path, before: str) -> None:
    """Many models, converted side by side."""
    fill(folder, BEFORE[before])
    with staged(folder, ("a.keras",), source="", force=False, alone="a.keras") as staging:
        write_alone(folder, "b.keras", b"b")
        staging.write("a.keras", lambda file: file.write(b"a"))
        staging.commit()
    assert content(folder) == {"a.keras": b"a", "b.keras": b"b"}
    assert not leftovers(folder)


def test_two_runs_of_the_same_file_keep_apart(folder: Path) -> None:
    with staged(folder, ("a.keras",), source="", force=False, alone="a.keras") as staging:
        with pytest.raises(OutputError) as refused:
            write_alone(folder, "a.keras", b"b", force=True)
        staging.write("a.keras", lambda file: file.write(b"a"))
        staging.commit()
    assert refused.value.code == "output-in-use"
    assert content(folder) == {"a.keras": b"a"}


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with staged(tmp_path / "a" / "b", ("x",), source="", force=False, alone="x"):
        pass
    assert not list(tmp_path.iterdir())


# Modes


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_new_files_are_as_the_umask_says(
    folder: Path, umask: Callable[[int], int], mask: int
) -> None:
    umask(mask)
    write(folder, NEW)
    assert {mode(folder / name) for name in NAMES} == {0o666 & ~mask}
    assert mode(folder) == 0o777 & ~mask


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o444, 0o755])
def test_replaced_files_keep_their_mode(
    folder: Path, umask: Callable[[int], int], bits: int
) -> None:
    umask(0o022)
    fill(folder, {"model.py": b"old"})
    (folder / "model.py").chmod(bits)
    write(folder, NEW, force=True)
    assert mode(folder / "model.py") == bits
    assert mode(folder / "model.safetensors") == 0o644


def test_files_that_are_put_back_keep_their_mode(folder: Path, faults: FaultsType) -> None:
    fill(folder, OLD)
    (folder / "model.py").chmod(0o640)
    faults(name="replace", at=2)
    refusal(folder, force=True)
    assert mode(folder / "model.py") == 0o640


def test_a_file_with_a_second_name_is_replaced_under_one_only(folder: Path, tmp_path: Path) -> None:
    fill(folder, OLD)
    (tmp_path / "backup").hardlink_to(folder / "model.py")
    write(folder, NEW, force=True)
    assert (tmp_path / "backup").read_bytes() == OLD["model.py"]
    assert (folder / "model.py").stat().st_nlink == 1


# What is refused


def test_a_file_that_exists_is_refused(folder: Path) -> None:
    fill(folder, {"model.safetensors": b"old"})
    assert refusal(folder) == (
        f"error[output-exists]: cannot write {folder}/model.safetensors\n"
        "  found: it exists\n"
        "  help:  --force replaces it"
    )
    assert content(folder) == {"model.safetensors": b"old"}
    assert not leftovers(folder)


@pytest.mark.parametrize("target", ["file", "folder", "nothing", "input"])
@pytest.mark.parametrize("force", [False, True])
def test_a_link_is_refused(folder: Path, tmp_path: Path, target: str, force: bool) -> None:
    (tmp_path / "file").write_bytes(b"theirs")
    (tmp_path / "input").write_bytes(b"source")
    (tmp_path / "folder").mkdir()
    fill(folder, {})
    (folder / "model.py").symlink_to(tmp_path / target)
    assert refusal(folder, source=str(tmp_path / "input"), force=force) == (
        f"error[output-is-a-link]: cannot write {folder}/model.py\n"
        "  found: a symbolic link\n"
        "  help:  name what it points to"
    )
    assert (folder / "model.py").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert not (tmp_path / "nothing").exists()


def test_a_link_to_nothing_is_no_place_for_a_folder(folder: Path, tmp_path: Path) -> None:
    folder.symlink_to(tmp_path / "nothing")
    assert refusal(folder) == (
        f"error[output-is-a-link]: cannot write {folder}\n"
        "  found: a symbolic link\n"
        "  help:  name what it points to"
    )
    assert not (tmp_path / "nothing").exists()


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [make_fifo, make_folder])
@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_never_replaced(
    folder: Path, make: Callable[[Path], None], force: bool
) -> None:
    fill(folder, {})
    make(folder / "conversion.json")
    kind = (folder / "conversion.json").stat().st_mode
    assert refusal(folder, force=force) == (
        f"error[output-not-a-file]: cannot write {folder}/conversion.json\n"
        "  found: not a regular file\n"
        "  help:  choose another --out"
    )
    assert (folder / "conversion.json").stat().st_mode == kind


@pytest.mark.parametrize("force", [False, True])
def test_a_device_is_no_folder(force: bool) -> None:
    assert refusal(Path("/dev/null"), force=force) == (
        "error[output-not-a-folder]: cannot write /dev/null\n"
        "  found: not a folder\n"
        "  help:  name a folder with --out"
    )
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_file_is_no_folder(folder: Path) -> None:
    folder.write_bytes(b"theirs")
    assert refusal(folder, force=True).startswith("error[output-not-a-folder]")
    assert folder.read_bytes() == b"theirs"


def test_a_file_is_no_parent(folder: Path) -> None:
    folder.write_bytes(b"theirs")
    assert refusal(folder / "deep" / "out", force=True) == (
        f"error[cannot-write]: cannot write {folder}/deep/out\n"
        f"  found: Not a directory: {folder}/deep\n"
        "  help:  choose another --out; what was there before is unchanged"
    )
    assert folder.read_bytes() == b"theirs"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("hard_link", [False, True])
def test_the_input_is_never_replaced(
    folder: Path, tmp_path: Path, force: bool, hard_link: bool
) -> None:
    fill(folder, {"model.safetensors": b"source"})
    source = folder / "model.safetensors"
    if hard_link:
        source = tmp_path / "source.safetensors"
        source.hardlink_to(folder / "model.safetensors")
    assert refusal(folder, source=str(source), force=force) == (
        f"error[output-is-the-input]: cannot write {folder}/model.safetensors\n"
        "  found: the input itself\n"
        "  help:  choose another --out"
    )
    assert source.read_bytes() == b"source"


def test_the_input_is_never_written_into(folder: Path) -> None:
    """A SavedModel is a folder."""
    fill(folder, OTHERS)
    assert refusal(folder, source=str(folder), force=True) == (
        f"error[output-is-the-input]: cannot write {folder}\n"
        "  found: the input itself\n"
        "  help:  choose another --out"
    )
    assert content(folder) == OTHERS


def test_beside_the_input_is_no_trouble(folder: Path) -> None:
    fill(folder, {"model.keras": b"source"})
    write(folder, NEW, source=str(folder / "model.keras"))
    assert content(folder) == {"model.keras": b"source"} | NEW


def test_a_parent_that_refuses_is_named(folder: Path, faults: FaultsType) -> None:
    faults(name="mkdir", at=2, error=errno.EACCES)
    assert refusal(folder) == (
        f"error[cannot-write]: cannot write {folder}\n"
        f"  found: Permission denied: {folder.parent}/.out.ifco-partial\n"
        "  help:  choose another --out; what was there before is unchanged"
    )


def test_a_file_in_the_place_of_the_run_s_own_folder_is_named(folder: Path) -> None:
    fill(folder, {".ifco-partial": b"theirs"})
    assert refusal(folder) == (
        f"error[cannot-write]: cannot write {folder}\n"
        f"  found: Not a directory: {folder}/.ifco-partial/lock\n"
        "  help:  choose another --out; what was there before is unchanged"
    )
    assert (folder / ".ifco-partial").read_bytes() == b"theirs"


def test_a_name_too_long_for_the_disk_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("x" * 300)) == (
        f"error[cannot-write]: cannot write {tmp_path}/{'x' * 300}\n"
        f"  found: File name too long: {tmp_path}/{'x' * 300}\n"
        "  help:  choose another --out; what was there before is unchanged"
    )


def test_a_file_that_appears_while_the_run_works_is_not_replaced(folder: Path) -> None:
    fill(folder, {})
    with pytest.raises(OutputError) as refused:
        meanwhile(folder, lambda: (folder / "model.py").write_bytes(b"theirs"))
    assert refused.value.code == "output-exists"
    assert content(folder) == {"model.py": b"theirs"}


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_appears_while_the_run_works_is_not_replaced(
    folder: Path, force: bool
) -> None:
    with pytest.raises(OutputError):
        meanwhile(folder, lambda: fill(folder, OTHERS | OLD), force=force)
    assert content(folder) == OTHERS | OLD
    assert not leftovers(folder)


# Faults of the disk: one at each call, then all from each call on


CHANGES = ("chmod", "fsync", "link", "mkdir", "open", "rename", "replace", "rmdir", "unlink")
"""The functions of `os` through which a run changes the disk, `write` and `flock` apart."""


class Faults:
    """Counts the calls that change the disk, and does something at one of them.

    Attributes:
        failed: The name of the call at which it did.
    """

    def __init__(self) -> None:
        self.count = 0
        self.failed = ""
        self.at = 0
        self.name = ""
        self.act: Callable[[str | None], None] = lambda _: None
        self.always = False

    def arm(
        self, act: Callable[[], None], at: int, *, name: str = "", always: bool = False
    ) -> None:
        """Do `act` at the call number `at`, of those called `name`; `always`: and at all later."""
        self.count, self.failed = 0, ""
        self.act, self.at, self.name, self.always = act, at, name, always

    def disarm(self) -> None:
        self.at = 0

    def step(self, name: str, path: object = None) -> None:
        if self.name not in ("", name):
            return
        self.count += 1
        if self.at and (self.count == self.at or (self.always and self.count > self.at)):
            self.failed = self.failed or name
            self.act(str(path) if isinstance(path, str | Path) else None)

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            self.step(name, args[0])
            return function(*args, **options)

        return wrapped

    def install(self, replace: Callable[[Any, str, Any], None]) -> None:
        for name in CHANGES:
            replace(os, name, self.wrap(name, getattr(os, name)))

    def run(self, folder: Path) -> None:
        """A run in which each write is a call too."""
        with staged(folder, NAMES, source="", force=True) as staging:
            for name, data in NEW.items():
                staging.write(name, lambda file, data=data: self.written(file, data), len(data))
            staging.commit()

    def outcome(self, folder: Path) -> str:
        """The code of the error with which a run ends, "" if it is done."""
        try:
            self.run(folder)
        except OutputError as error:
            return error.code
        return ""

    def written(self, file: Any, data: bytes) -> None:
        for start in range(0, len(data), 8):
            self.step("write")
            file.write(data[start : start + 8])


def failing(error: int) -> Callable[[str | None], None]:
    def fail(path: str | None) -> None:
        raise OSError(error, os.strerror(error), path)

    return fail


def interrupt(_path: str | None) -> None:
    raise KeyboardInterrupt


def kill(_path: str | None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


FaultsType = Callable[..., Faults]


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> FaultsType:
    """`faults(name="link", at=2)`: the second call of os.link fails."""
    installed = Faults()
    installed.install(monkeypatch.setattr)

    def arm(*, name: str = "", at: int, error: int = errno.ENOSPC) -> Faults:
        installed.arm(failing(error), at, name=name)
        return installed

    return arm


def after(before: str) -> dict[str, bytes]:
    return (BEFORE[before] or {}) | NEW


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("before", BEFORE)
def test_a_fault_at_any_call_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, error: int
) -> None:
    """An error means the old; only a file that cannot be removed is left over, for the next run."""
    faults = Faults()
    faults.install(monkeypatch.setattr)
    failed: list[str] = []
    while True:
        folder = tmp_path / str(len(failed)) / "out"
        faults.disarm()
        fill(folder, BEFORE[before])
        faults.arm(failing(error), len(failed) + 1)
        fault = faults.outcome(folder)
        assert fault in ("", "cannot-write")
        assert content(folder) == (BEFORE[before] if fault else after(before)), faults.failed
        if not faults.failed:
            break
        assert not leftovers(folder) or faults.failed in {"open", "rmdir", "unlink"}
        state = content(folder)
        abandon(folder)
        assert not leftovers(folder)
        assert content(folder) == state
        failed.append(faults.failed)
    assert {"fsync", "mkdir", "open", "rmdir", "unlink", "write"} <= set(failed)


@pytest.mark.parametrize("before", BEFORE)
def test_a_disk_that_fails_for_good_leaves_what_the_next_run_puts_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    faults = Faults()
    faults.install(monkeypatch.setattr)
    for at in range(1, 1000):
        folder = tmp_path / str(at) / "out"
        faults.disarm()
        fill(folder, BEFORE[before])
        faults.arm(failing(errno.EIO), at, always=True)
        fault = faults.outcome(folder)
        if fault != "cannot-put-back":
            assert content(folder) in (BEFORE[before], after(before)), faults.failed
        if not faults.failed:
            break
        faults.disarm()
        abandon(folder)
        assert content(folder) in (BEFORE[before], after(before)), at
        assert not leftovers(folder)
    assert at > 20


def test_a_disk_that_cannot_even_put_back_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults()
    faults.install(monkeypatch.setattr)
    fill(folder, OLD)
    faults.arm(failing(errno.EIO), 2, name="replace", always=True)
    with pytest.raises(OutputError) as refused:
        faults.run(folder)
    assert str(refused.value) == (
        f"error[cannot-put-back]: cannot put back what was in {folder}\n"
        f"  found: Input/output error: {folder}/.ifco-partial/work/passing\n"
        "  help:  convert to the same --out again when the disk is well: it is put back first"
    )
    faults.disarm()
    write(folder, NEW, force=True)
    assert content(folder) == NEW


@pytest.mark.parametrize("before", BEFORE)
def test_an_interrupt_at_any_call_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    faults = Faults()
    faults.install(monkeypatch.setattr)
    for at in range(1, 1000):
        folder = tmp_path / str(at) / "out"
        faults.disarm()
        fill(folder, BEFORE[before])
        faults.arm(interrupt, at)
        try:
            faults.run(folder)
        except KeyboardInterrupt:
            assert content(folder) in (BEFORE[before], after(before)), (at, faults.failed)
            abandon(folder)
            assert content(folder) in (BEFORE[before], after(before)), (at, faults.failed)
            assert not leftovers(folder)
        else:
            break
    assert at > 20


def test_a_full_disk_is_named_with_the_bytes_that_it_takes(
    folder: Path, faults: FaultsType
) -> None:
    fill(folder, OLD)
    faults(name="fsync", at=2)
    assert refusal(folder, force=True) == (
        f"error[cannot-write]: cannot write {folder}/model.safetensors\n"
        "  found: No space left on device; it takes at least 33 bytes\n"
        "  help:  free some space or choose another --out; what was there before is unchanged"
    )


@pytest.mark.parametrize("before", BEFORE)
def test_a_disk_without_hard_links_will_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    fill(folder, BEFORE[before])
    monkeypatch.setattr(os, "link", lambda *_: failing(errno.EPERM)(None))
    write(folder, NEW, force=True)
    assert content(folder) == after(before)
    assert not leftovers(folder)


def test_a_disk_without_hard_links_puts_back_too(
    folder: Path, faults: FaultsType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, OLD)
    faults(name="replace", at=3)
    monkeypatch.setattr(os, "link", lambda *_: failing(errno.EPERM)(None))
    refusal(folder, force=True)
    assert content(folder) == OLD


def test_a_disk_without_locks_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: failing(errno.ENOLCK)(None))
    write(folder, NEW)
    assert content(folder) == NEW


def test_a_disk_that_flushes_no_folders_will_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def files_only(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            failing(errno.EINVAL)(None)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    write(folder, NEW)
    assert content(folder) == NEW


@pytest.mark.parametrize("before", ["no folder", "all files"])
def test_everything_is_flushed_before_it_is_renamed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    fill(folder, BEFORE[before])
    done: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        function = getattr(os, name)

        def note(*args: Any) -> Any:
            path = args[0]
            if name == "fsync":
                path = Path(f"/proc/self/fd/{path}").readlink()
            done.append(f"{name} {Path(path).name}")
            return function(*args)

        return note

    for name in ("fsync", "rename", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    write(folder, NEW, force=True)
    expected = [f"fsync {name}" for name in NAMES] + ["fsync new"]
    if before == "no folder":
        expected += ["rename new", f"fsync {folder.parent.name}"]
    else:
        expected += ["fsync draft", "rename draft", "fsync work"]
        expected += ["replace passing"] * 3
        expected += ["fsync out", "rename before", "fsync work"]
    assert done == expected


# Other processes


ROOT = Path(__file__).parents[1]


PROGRAM = """
from tests.test_output import *
os.fsync = os.fstat
"""


def child(program: str, *args: str | Path, **options: Any) -> subprocess.Popen[str]:
    """A process of its own that runs a function of this module."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + program, *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def died(run: Callable[[Faults], None], at: int, name: str = "") -> bool:
    """Whether a process that runs this dies at the call number `at`, of those called `name`."""
    if (pid := os.fork()) == 0:
        faults = Faults()
        faults.install(setattr)
        faults.arm(kill, at, name=name)
        run(faults)
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


def wrong_now(folder: Path, before: str) -> str:
    """What the next run does not put right."""
    abandon(folder)
    left = leftovers(folder)
    return f"{content(folder)}, {left}" if left or content(folder) not in ends(before) else ""


def ends(before: str) -> tuple[dict[str, bytes] | None, ...]:
    return BEFORE[before], after(before)


def kill_at_every_call(root: Path) -> None:
    """Prints what is wrong after a kill at each call and the next run, and how many there were."""
    wrong: list[str] = []
    kills: dict[str, int] = {}
    for before, files in BEFORE.items():
        at, dead = 0, True
        while dead:
            at += 1
            folder = root / before / str(at) / "out"
            fill(folder, files)
            dead = died(lambda faults, folder=folder: faults.run(folder), at)
            wrong.append(wrong_now(folder, before))
        kills[before] = at - 1
    sys.stdout.write(json.dumps({"wrong": [*filter(None, wrong)], "kills": kills}))


def test_a_kill_at_any_call_leaves_what_the_next_run_puts_right(tmp_path: Path) -> None:
    result = json.loads(said(child("kill_at_every_call(Path(sys.argv[1]))", tmp_path)))
    assert result["wrong"] == []
    assert result["kills"].keys() == BEFORE.keys()
    assert min(result["kills"].values()) > 20


def kill_twice(root: Path) -> None:
    """A run is killed at each replacement, and the next one, which undoes it, at each call."""
    wrong: list[str] = []
    tried = 0
    for first in (1, 2, 3):
        second, dead = 0, True
        while dead:
            second += 1
            folder = root / f"{first} {second}" / "out"
            fill(folder, BEFORE["one file"])
            died(lambda faults, folder=folder: faults.run(folder), first, "replace")
            dead = died(lambda _, folder=folder: abandon(folder), second)
            wrong.append(wrong_now(folder, "one file"))
            tried += 1
    sys.stdout.write(json.dumps({"wrong": [*filter(None, wrong)], "tried": tried}))


def test_a_kill_while_a_kill_is_undone_changes_nothing(tmp_path: Path) -> None:
    result = json.loads(said(child("kill_twice(Path(sys.argv[1]))", tmp_path)))
    assert result["wrong"] == []
    assert result["tried"] > 40


def hold(folder: Path) -> None:
    """A run that waits until it is told to go on."""
    with staged(folder, NAMES, source="", force=True) as staging:
        for name in NAMES:
            staging.write(name, lambda file: file.write(b"first"))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        staging.commit()


@pytest.mark.parametrize("before", ["no folder", "all files"])
def test_a_living_run_keeps_its_files_and_a_second_one_is_refused(
    folder: Path, before: str
) -> None:
    fill(folder, BEFORE[before])
    first = child("hold(Path(sys.argv[1]))", folder)
    assert first.stdout
    assert first.stdout.readline() == "ready\n"
    (home,) = leftovers(folder)
    assert refusal(folder, force=True) == (
        f"error[output-in-use]: cannot write {folder}\n"
        f"  found: another run is writing there, into {home}\n"
        "  help:  wait until it has ended"
    )
    assert content(folder) == BEFORE[before]
    first.communicate("go on\n")
    assert first.returncode == 0
    assert content(folder) == (BEFORE[before] or {}) | dict.fromkeys(NAMES, b"first")
    assert not leftovers(folder)


@pytest.mark.parametrize("before", ["no folder", "all files"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_dead_run_left_is_removed_by_the_next(
    folder: Path, before: str, number: signal.Signals
) -> None:
    fill(folder, BEFORE[before])
    first = child("hold(Path(sys.argv[1]))", folder)
    assert first.stdout
    first.stdout.readline()
    first.send_signal(number)
    first.communicate()
    assert content(folder) == BEFORE[before]
    assert leftovers(folder)
    write(folder, NEW, force=True)
    assert content(folder) == after(before)
    assert not leftovers(folder)


def test_what_a_dead_run_left_beside_a_folder_that_is_there_now_is_removed(folder: Path) -> None:
    first = child("hold(Path(sys.argv[1]))", folder)
    assert first.stdout
    first.stdout.readline()
    first.kill()
    first.communicate()
    fill(folder, OTHERS)
    write(folder, NEW)
    assert content(folder) == OTHERS | NEW
    assert not leftovers(folder)


def test_control_c_ends_a_run_and_leaves_what_was_there(folder: Path) -> None:
    fill(folder, OTHERS | OLD)
    first = child("hold(Path(sys.argv[1]))", folder)
    assert first.stdout
    first.stdout.readline()
    first.send_signal(signal.SIGINT)
    _, err = first.communicate()
    assert "KeyboardInterrupt" in err
    assert content(folder) == OTHERS | OLD
    assert not leftovers(folder)


def write_often(folder: Path, who: str) -> None:
    """Prints how often it could write, and how often it was refused."""
    counts = {"written": 0, "output-in-use": 0}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    while counts["written"] < 5:
        try:
            write(folder, dict.fromkeys(NAMES, who.encode()), force=True)
            counts["written"] += 1
        except OutputError as error:
            counts[error.code] += 1
            time.sleep(0.001)
    sys.stdout.write(json.dumps(counts))


def test_of_many_writers_each_writes_whole_or_is_refused(folder: Path) -> None:
    fill(folder, OTHERS)
    writers = [child("write_often(Path(sys.argv[1]), sys.argv[2])", folder, who) for who in "abc"]
    for writer in writers:
        assert writer.stdout
        writer.stdout.readline()
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    counts = [json.loads(said(writer)) for writer in writers]
    assert [count["written"] for count in counts] == [5, 5, 5]
    held = content(folder)
    assert held
    assert held in [OTHERS | dict.fromkeys(NAMES, who.encode()) for who in "abc"]
    assert not leftovers(folder)


@pytest.mark.parametrize("call", ["mkdir", "open", "flock"])
def test_a_run_that_ends_while_the_next_one_begins_leaves_it_a_lock_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Before the folder, between it and the lock's file, and between that and its lock."""
    fill(folder, {})
    first = ExitStack()
    first.enter_context(staged(folder, NAMES, source="", force=False))
    module = fcntl if call == "flock" else os
    real = getattr(module, call)

    def ends_first(*args: Any) -> Any:
        monkeypatch.setattr(module, call, real)
        if call == "mkdir":  # it finds the folder, which is gone when the lock is made
            with pytest.raises(FileExistsError) as found:
                real(*args)
            first.close()
            raise found.value
        first.close()
        return real(*args)

    monkeypatch.setattr(module, call, ends_first)
    with staged(folder, NAMES, source="", force=False):
        assert (folder / ".ifco-partial" / "lock").is_file()
        assert refusal(folder).startswith("error[output-in-use]")


def test_two_runs_of_one_process_keep_apart(folder: Path) -> None:
    """A conversion in each of two threads."""
    fill(folder, OLD)
    with staged(folder, NAMES, source="", force=True) as staging:
        assert refusal(folder, force=True).startswith("error[output-in-use]")
        for name in NAMES:
            staging.write(name, lambda file: file.write(b"first"))
        staging.commit()
    assert content(folder) == dict.fromkeys(NAMES, b"first")


def test_runs_into_different_folders_do_not_meet(tmp_path: Path) -> None:
    with staged(tmp_path / "a", NAMES, source="", force=False) as staging:
        write(tmp_path / "b", NEW)
        for name, data in OLD.items():
            staging.write(name, lambda file, data=data: file.write(data))
        staging.commit()
    assert (content(tmp_path / "a"), content(tmp_path / "b")) == (OLD, NEW)


def test_a_link_in_the_place_of_the_run_s_own_folder_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    fill(tmp_path / "theirs", OTHERS)
    fill(folder, {})
    (folder / ".ifco-partial").symlink_to(tmp_path / "theirs")
    assert refusal(folder) == (
        f"error[output-is-a-link]: cannot write {folder}/.ifco-partial\n"
        "  found: a symbolic link\n"
        "  help:  remove it"
    )
    assert content(tmp_path / "theirs") == OTHERS


def test_a_link_in_the_place_of_the_lock_is_refused(folder: Path, tmp_path: Path) -> None:
    fill(folder / ".ifco-partial", {})
    (folder / ".ifco-partial" / "lock").symlink_to(tmp_path / "nothing")
    assert refusal(folder).startswith(f"error[cannot-write]: cannot write {folder}\n")
    assert not (tmp_path / "nothing").exists()


def write_much(folder: Path) -> None:
    """A limit on the size of files is a disk that is full, for one process."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with staged(folder, NAMES, source="", force=True) as staging:
        staging.write("model.py", lambda file: file.write(b"small"))
        try:
            staging.write("model.safetensors", lambda file: file.write(bytes(100_000)), 100_000)
        except OutputError as error:
            sys.stdout.write(str(error))


@pytest.mark.parametrize("before", BEFORE)
def test_a_disk_that_is_really_full_leaves_what_was_there(folder: Path, before: str) -> None:
    fill(folder, BEFORE[before])
    assert said(child("write_much(Path(sys.argv[1]))", folder)) == (
        f"error[cannot-write]: cannot write {folder}/model.safetensors\n"
        "  found: File too large; it takes at least 100000 bytes\n"
        "  help:  free some space or choose another --out; what was there before is unchanged"
    )
    assert content(folder) == BEFORE[before]
    assert not leftovers(folder)
