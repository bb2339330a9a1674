"""A source becomes an artefact: read, written, verified, put in its place."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from converter.description import Era, Model
from converter.errors import UsageError
from converter.ledger import entries
from converter.output import Staging, staged
from converter.targets.tensors import write_tensors
from converter.targets.torch import Source, file_text, write_source
from converter.verify.verdict import Status, Verdict

TARGETS = ("pytorch",)
"""What `convert` can write."""

FILES = ("model.py", "model.safetensors", "conversion.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What `convert` did.

    Attributes:
        model: What was read.
        folder: Where the files are; they are not there if the verdict is `differs`.
        files: Those that were written.
        record: What conversion.json says.
        verdict: None without verification.
    """

    model: Model
    folder: Path
    files: tuple[Path, ...]
    record: dict[str, Any]
    verdict: Verdict | None


def convert(
    source: str | os.PathLike[str],
    *,
    to: str = "pytorch",
    out: str | os.PathLike[str],
    force: bool = False,
    verify: bool = True,
    era: Era | None = None,
) -> Conversion:
    """Convert a saved model, and verify what was written.

    The files are put in their place together, after the verification, and only if it does not
    say `differs`.

    Args:
        source: The saved model.
        to: One of `TARGETS`.
        out: The folder for model.py, model.safetensors and conversion.json.
        force: Replace files that exist.
        verify: Execute what was written, and hold it against the judge.
        era: Which Keras the source means, where the file does not say the truth.

    Raises:
        ConverterError: It cannot be read, expressed or written.
    """
    if to not in TARGETS:
        raise UsageError(
            f"there is no target '{to}'",
            context=f"--to {to}",
            hint=f"one of: {', '.join(TARGETS)}",
            code="unknown-target",
        )
    from converter.readers import read

    model = read(source, era=era)
    written = write_source(model)
    folder = Path(out)
    with staged(folder, FILES, source=model.source.path, force=force) as staging:
        _write_torch(written, staging)
        verdict = _verified(model, staging.path, folder) if verify else None
        record = _record(written, staging, verdict)
        text = _json(record)
        staging.write(FILES[2], lambda file: _ignore(file.write(text)), len(text))
        if verdict is None or verdict.status is not Status.DIFFERS:
            staging.commit()
            files = tuple(folder / name for name in FILES)
        else:
            files = ()
    return Conversion(model=model, folder=folder, files=files, record=record, verdict=verdict)


def _ignore(_: object) -> None:
    """For a callback that gives nothing."""


def _verified(model: Model, staging: Path, folder: Path) -> Verdict:
    """The verdict on the files that were written, read back from the disk."""
    from converter.verify import verify_folder

    return verify_folder(model, staging, name=str(folder / FILES[0]))


def _write_torch(written: Source, staging: Staging) -> None:
    """model.py and model.safetensors, one array in memory at a time."""
    text = file_text(written).encode()
    staging.write(FILES[0], lambda file: _ignore(file.write(text)), len(text))
    placements = {name: one for one in written.placements for name in one.names}
    tensors = {
        name: (shape, one.weight.dtype)
        for one in written.placements
        for name, shape in one.shapes().items()
    }
    staging.write(
        FILES[1],
        lambda file: write_tensors(file, tensors, lambda name: placements[name].tensor(name)),
        sum(prod(shape) * dtype.itemsize for shape, dtype in tensors.values()),
    )


def _record(written: Source, staging: Staging, verdict: Verdict | None) -> dict[str, Any]:
    """conversion.json: where everything went, and what is not the source's."""
    from converter import __version__

    origin = written.model.source
    return {
        "schema": 1,
        "ifco": __version__,
        "target": "pytorch",
        "source": {
            "file": Path(origin.path).name,
            "sha256": origin.sha256,
            "form": origin.form,
            "version": origin.version,
            "era": origin.era.value,
        },
        "files": {name: _file_sha256(staging.path / name) for name in FILES[:2]},
        "modules": written.module_names,
        "tensors": [entry.as_dict() for entry in entries(written.placements)],
        "added": [name for one in written.placements if one.added for name in one.names],
        "dropped": list(origin.dropped),
        "verdict": None if verdict is None else verdict.as_dict(),
    }


def _json(record: dict[str, Any]) -> bytes:
    """As readable text; half of a surrogate pair, which UTF-8 has not, as JSON's escape."""
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
