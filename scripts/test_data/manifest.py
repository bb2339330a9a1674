"""tests/data/MANIFEST.json: which Keras wrote each file, its SHA-256, and what it shows."""

import hashlib
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "tests" / "data"
MANIFEST = DATA / "MANIFEST.json"

Manifest = dict[str, dict[str, Any]]


def read() -> Manifest:
    """The manifest as it is, empty where there is none.

    `about` says in a line what a model shows, by its name; `files` has a row a file, by its
    path; `refused` has what Keras would not write.
    """
    if not MANIFEST.exists():
        return {"about": {}, "files": {}, "refused": {}}
    manifest: Manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return manifest


def write(manifest: Manifest) -> None:
    """Writes it sorted, a line a row, without the files that are no longer there."""
    there = {path: row for path, row in manifest["files"].items() if (DATA / path).exists()}
    names = {
        part.split(".")[0] for path in [*there, *manifest["refused"]] for part in path.split("/")
    }
    about = {name: text for name, text in manifest["about"].items() if name in names}
    parts = {"about": about, "files": there, "refused": manifest["refused"]}
    MANIFEST.write_text(
        "{\n" + ",\n".join(section(title, rows) for title, rows in parts.items()) + "\n}\n",
        encoding="utf-8",
    )


def section(title: str, rows: dict[str, Any]) -> str:
    """One part of the manifest, a line a row."""
    lines = (f"  {dumped(key)}: {dumped(row)}" for key, row in sorted(rows.items()))
    return f" {dumped(title)}: {{\n" + ",\n".join(lines) + "\n }"


def dumped(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def stem(path: str) -> str:
    """The name of a model, from the path of one of its files."""
    return path.rsplit("/", 1)[-1].split(".")[0]


def key(path: Path) -> str:
    """A file as the manifest calls it."""
    return path.relative_to(DATA).as_posix()


def row(path: Path, written_by: str, **more: Any) -> dict[str, Any]:
    """What the manifest says of one file."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"written_by": written_by, "sha256": digest, **more}
