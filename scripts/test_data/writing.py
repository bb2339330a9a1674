"""Writing an architecture: its model in each format, and the answers beside it."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from scripts.test_data import examples, manifest
from scripts.test_data.answers import answer, inputs_of, recorded
from scripts.test_data.catalogue import (
    ARCHITECTURES,
    BOTH,
    Architecture,
    Keras,
    Model,
    is_keras2,
)
from scripts.test_data.weights import draw

# Keras 2 always writes both: its two formats differ more than those of Keras 3.
FORMATS: dict[str, tuple[str, ...]] = {"keras3": (), "keras215": BOTH, "tfkeras": BOTH}

EXAMPLES = {"bidirectional": "keras3", "forecaster": "keras215"}


def write_all(keras: Keras, who: str, written_by: str, only: str | None) -> None:
    """Writes every architecture that this Keras writes, or `only` that one."""
    rows = manifest.read()
    folder = manifest.DATA / who
    folder.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()
    for architecture in ARCHITECTURES.values():
        if who in architecture.written_by and only in (None, architecture.name):
            formats = FORMATS[who] or architecture.formats
            written |= write(keras, architecture, formats, folder, written_by, rows)
    for name, whose in EXAMPLES.items():
        if whose == who and only in (None, name):
            formats = ("h5",) if is_keras2(keras) else ("keras",)
            examples_folder = manifest.DATA / "examples"
            write(keras, example(name), formats, examples_folder, written_by, rows)
    if only is None:
        for path in set(folder.iterdir()) - written:
            path.unlink()
    manifest.write(rows)


def example(name: str) -> Architecture:
    """An example model as an architecture."""
    build = getattr(examples, name)
    return Architecture(
        name=name,
        about=build.__doc__,
        build=build,
        written_by=(EXAMPLES[name],),
        formats=(),
        lengths=(1, 7, 24),
        vocabulary=0,
        exact=True,
    )


def write(
    keras: Keras,
    architecture: Architecture,
    formats: tuple[str, ...],
    folder: Path,
    written_by: str,
    rows: manifest.Manifest,
) -> set[Path]:
    """Writes one architecture into `folder`, and its rows into the manifest.

    The model is saved before it is called for the first time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keras.backend.clear_session()
    model = architecture.build(keras)
    draw(model, architecture.name)
    if architecture.finish is not None:
        architecture.finish(keras, model)
    saved: list[Path] = []
    for suffix in formats:
        path = folder / f"{architecture.name}.{suffix}"
        key = manifest.key(path)
        rows["refused"].pop(key, None)
        try:
            save(model, path, npz=architecture.npz)
        except Exception as error:  # what Keras refuses is recorded, whatever it raises
            path.unlink(missing_ok=True)
            rows["refused"][key] = {"written_by": written_by, "because": first_line(error)}
            print(f"{key}: refused: {first_line(error)}")
        else:
            saved.append(path)
    arrays: dict[str, Any] = recorded(keras, architecture, model)
    answers = folder / f"{architecture.name}.npz"
    np.savez_compressed(answers, **arrays)
    for path in saved:
        trouble = opened_again(keras, architecture, model, path, arrays)
        more = {"opened_again": trouble} if trouble else {}
        rows["files"][manifest.key(path)] = manifest.row(path, written_by, **more)
        print(f"{manifest.key(path)}: {path.stat().st_size} bytes {trouble}".rstrip())
    rows["files"][manifest.key(answers)] = manifest.row(answers, written_by)
    rows["about"][architecture.name] = architecture.about.strip().splitlines()[0]
    return {*saved, answers}


def save(model: Model, path: Path, *, npz: bool) -> None:
    """Saves the model; weights in `.npz` only Keras's own function writes."""
    if npz:
        importlib.import_module("keras.src.saving.saving_lib").save_model(
            model, path, weights_format="npz"
        )
    else:
        model.save(path)


def opened_again(
    keras: Keras,
    architecture: Architecture,
    model: Model,
    path: Path,
    arrays: dict[str, Any],
) -> str:
    """What goes wrong where this Keras opens its own file; empty where it answers the same."""
    keras.backend.clear_session()
    try:
        again = keras.models.load_model(path, compile=False)
    except Exception as error:  # what Keras refuses is recorded, whatever it raises
        return f"refused: {first_line(error)}"
    worst = 0.0
    for k, given in enumerate(inputs_of(model, architecture)):
        for i, output in enumerate(answer(keras, again, given, "float32")):
            expected = arrays[f"case{k}_out{i}"]
            if output.shape != expected.shape:
                return f"output {i} has shape {output.shape}, not {expected.shape}"
            worst = max(worst, float(np.max(np.abs(output - expected), initial=0.0)))
    return "" if worst < 1e-5 else f"answers otherwise, by {worst:.2g}"


def first_line(error: Exception) -> str:
    """What an error says, short."""
    text = str(error).strip() or type(error).__name__
    return f"{type(error).__name__}: {text.splitlines()[0][:200]}"
