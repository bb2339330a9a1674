"""The command as it is typed."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

import pytest

from converter import cli


@dataclass(frozen=True)
class Done:
    """What a command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """`command("inspect model.keras")` runs it in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, typed: str) -> Done:
        self.capsys.readouterr()
        code = cli.run(shlex.split(typed))
        out, err = self.capsys.readouterr()
        return Done(code, out, err)
