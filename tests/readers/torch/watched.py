"""Run as a module: reads checkpoints while a hook watches, in little memory.

python -m tests.readers.torch.watched VALID FILE...: the valid one is read first, then the limits
are set. For each file a line says what became of it.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

from converter.errors import ConverterError
from converter.readers.file import File
from converter.readers.torch import checkpoint
from converter.readers.torch.layers import take_layers

MORE = 64 * 2**20
FORBIDDEN = ("exec", "compile", "marshal.", "pickle.", "socket.", "subprocess.", "os.system")
FRAMEWORKS = ("torch", "tensorflow", "keras", "pickle")


def read(path: Path) -> str:
    """The number of tensors, or the code of the error."""
    file = File.at(path)
    try:
        if not checkpoint.is_checkpoint(file):
            return "no checkpoint"
        tensors = checkpoint.read(file).tensors
        take_layers(tensors)
        for stored in tensors.values():
            stored.read()
    except ConverterError as error:
        return error.code
    return f"{len(tensors)} tensors"


def main(valid: Path, *paths: Path) -> None:
    """Read them all."""
    read(valid)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    allowed = {str(path) for path in paths}

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        name = str(arguments[0]) if arguments else ""
        if event.startswith(FORBIDDEN) or (event == "import" and name in FRAMEWORKS):
            raise SystemExit(f"{event} {name}")
        if event == "open" and name not in allowed and not name.isdigit():  # it is open already
            raise SystemExit(f"open {name}")

    sys.addaudithook(watch)
    for path in paths:
        start = time.perf_counter()
        found = read(path)
        print(path.name, found, "slow" if time.perf_counter() - start > 10 else "")  # noqa: T201


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
