"""What `ifco inspect` shows of a file of weights that has no architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from converter.readers.file import File
from converter.readers.keras.alone import read_alone
from converter.readers.torch import checkpoint
from converter.report.alone import alone_as_dict, show_alone
from converter.report.checkpoint import checkpoint_as_dict, show_checkpoint

Views = tuple[Callable[[Console], None], Callable[[], dict[str, Any]]]
"""It as text, and as plain values."""


def looked_into(path: Path) -> Views | None:
    """The views of a file; None where it is of a form that is not looked into."""
    if not path.is_file():
        return None
    file = File.at(path)
    if checkpoint.is_checkpoint(file):
        held = checkpoint.read(file)
        return lambda console: show_checkpoint(console, held), lambda: checkpoint_as_dict(held)
    found = read_alone(file)
    if found is None:
        return None
    return lambda console: show_alone(console, found), lambda: alone_as_dict(found)
