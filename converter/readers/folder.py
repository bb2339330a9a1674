"""Sources of several files: which of them stands for all."""

from __future__ import annotations

import os
from pathlib import Path

from converter.readers.beside import is_beside
from converter.readers.file import File
from converter.readers.keras import archive, checkpoint, savedmodel, tfjs

NAMES = (savedmodel.FILE, tfjs.FILE, archive.METADATA)


def first_file(source: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The file to begin with.

    Args:
        source: A folder of such files, the name of a checkpoint, or a file, which stands for
            itself. Anything else is given back as it is.
    """
    if not isinstance(source, str | os.PathLike) or not isinstance(os.fspath(source), str):
        return source
    path = Path(source)
    for name in NAMES:
        if (path / name).is_file():
            return path / (archive.CONFIG if name == archive.METADATA else name)
    return checkpoint.index_of(path) or source


def is_unzipped(file: File) -> bool:
    """Whether it is the config.json of an archive that was never zipped."""
    path = Path(file.path)
    return path.name == archive.CONFIG and is_beside(file, archive.METADATA)
