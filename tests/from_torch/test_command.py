"""The command on code that builds a module: run if somebody says so, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command

CODE = """
import torch
from torch import nn

open("it ran", "w").close()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0][:, -1]


def build():
    return Net(), (torch.randn(2, 7, 3),)


def alone():
    return Net()


def nothing():
    return 3


def broken():
    raise RuntimeError("no such data")
"""


@pytest.fixture
def ifco(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "built_here.py").write_text(CODE)
    return Command(capsys)


def test_code_is_not_run_unless_somebody_says_so(ifco: Command) -> None:
    done = ifco("convert built_here:build")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error[run-code]: built_here:build is code, which is not run unless you say so\n"
        "  found: a function of a Python module, and no file of that name\n"
        "  help:  ifco convert built_here:build --run-code\n"
    )
    assert not Path("it ran").exists()


def test_a_module_becomes_pytorch(ifco: Command) -> None:
    done = ifco("convert built_here:build --run-code")
    assert done.code == 0, done.err
    assert "so are those of the module that was read" in " ".join(done.out.split())
    assert (
        "self.rnn = nn.LSTM(3, 4, batch_first=True)"
        in Path("built_here-pytorch/model.py").read_text()
    )


@pytest.mark.parametrize(
    ("name", "code", "exit_code"),
    [
        ("alone", "example-inputs", 2),
        ("nothing", "no-module", 3),
        ("broken", "build-fails", 3),
        ("missing", "no-such-function", 2),
    ],
)
def test_code_that_builds_none_is_refused(
    ifco: Command, name: str, code: str, exit_code: int
) -> None:
    done = ifco(f"convert built_here:{name} --run-code")
    assert done.code == exit_code
    assert f"error[{code}]" in done.err
    assert not Path("built_here-pytorch").exists()
