"""The table of files that are to be refused by name, and how a good file is made into one.

A function in `damaged` or `unsupported` writes one file, or the same in both formats: the suffix
of its path says which.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py

from scripts.test_data import manifest
from scripts.test_data.catalogue import Keras, Model, chain
from scripts.test_data.weights import draw

Make = Callable[[Keras, Path], None]

FILES: dict[str, Make] = {}


def bad(*names: str) -> Callable[[Make], Make]:
    """Enters the files that the decorated function writes; its docstring says what is wrong."""

    def enter(make: Make) -> Make:
        for name in names:
            if name in FILES:
                raise ValueError(f"two functions write {name!r}")
            FILES[name] = make
        return make

    return enter


def write_all(keras: Keras, written_by: str, only: str | None) -> None:
    """Writes every file of tests/data/bad, or those whose name begins with `only` and a dot."""
    folder = manifest.DATA / "bad"
    folder.mkdir(parents=True, exist_ok=True)
    rows = manifest.read()
    for name, make in FILES.items():
        if only not in (None, manifest.stem(name)):
            continue
        path = folder / name
        keras.backend.clear_session()
        make(keras, path)
        rows["files"][manifest.key(path)] = manifest.row(path, written_by)
        rows["about"].setdefault(manifest.stem(name), (make.__doc__ or "").splitlines()[0])
        print(f"{manifest.key(path)}: {path.stat().st_size} bytes")
    if only is None:
        for path in folder.iterdir():
            if path.name not in FILES:
                path.unlink()
    manifest.write(rows)


def save(model: Model, path: Path) -> None:
    """Saves `model` with weights that its path decides."""
    draw(model, path.name.split(".")[0])
    model.save(path)


def small(keras: Keras, path: Path) -> None:
    """A good model: three features, an LSTM of two units, a Dense."""
    save(chain(keras, (None, 3), keras.layers.LSTM(2), keras.layers.Dense(1)), path)


def edit_weights(path: Path, change: Callable[[h5py.Group], None]) -> None:
    """Changes the HDF5 file of weights that `path` is, or has in it."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            change(file["model_weights"])
        return
    members = read_members(path)
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    write_members(path, members | {"model.weights.h5": buffer.getvalue()})


def edit_config(path: Path, change: Callable[[str], str]) -> None:
    """Changes the text of a model's config."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = change(file.attrs["model_config"])
        return
    members = read_members(path)
    text = change(members["config.json"].decode())
    write_members(path, members | {"config.json": text.encode()})


def read_members(path: Path) -> dict[str, bytes]:
    """The members of an archive, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, members: dict[str, bytes]) -> None:
    """An archive of these members, uncompressed as Keras writes it, always the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
