from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

from converter import __version__, cli
from converter.artefacts import TARGETS
from converter.conversion import Conversion
from converter.description import Era, Model
from converter.errors import FormatError, UnsupportedError
from converter.verify.verdict import Status, Verdict
from tests.cli.command import Command
from tests.report.models import question
from tests.report.terminal import Terminal
from tests.report.test_inspection_text import QUESTION
from tests.report.test_text import EQUAL


class Library:
    """Stands for what the commands call, and keeps what they called it with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.verdict: Verdict | None = EQUAL
        self.fails: Exception | None = None
        for module, name in (("readers", "read"), ("conversion", "convert"), ("verify", "verify")):
            monkeypatch.setattr(import_module(f"converter.{module}"), name, getattr(self, name))

    def called(self, *given: Any) -> None:
        self.calls.append(given)
        if self.fails is not None:
            raise self.fails

    def read(
        self,
        source: Path,
        example_inputs: object = None,
        *,
        era: Era | None = None,
        arch: Path | None = None,
    ) -> Model:
        self.called("read", source, era)
        return question()

    def convert(self, source: Path, **given: Any) -> Conversion:
        self.called("convert", source, given)
        verdict = self.verdict if given["verify"] else None
        return Conversion(
            model=question(),
            folder=given["out"],
            files=(given["out"] / "model.py",),
            record={"schema": 1},
            verdict=verdict,
        )

    def verify(
        self,
        source: Path,
        artefact: Path,
        *,
        era: Era | None = None,
        arch: Path | None = None,
        keras_python: Path | None = None,
        state: str = "kept",
        precision: str = "source",
        half_io: bool = False,
        quantize: str = "none",
        max_deviation: float | None = None,
    ) -> Verdict:
        self.called("verify", source, artefact, era)
        assert self.verdict is not None
        return self.verdict


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    return Library(monkeypatch)


def test_inspect_answers_the_question(ifco: Command, library: Library) -> None:
    done = ifco("inspect models/question.keras")
    assert (done.code, done.out, done.err) == (0, QUESTION, "")
    assert library.calls == [("read", Path("models/question.keras"), None)]


def test_inspect_without_numbers(ifco: Command, library: Library) -> None:
    done = ifco("inspect models/question.keras --no-values")
    assert done.out == QUESTION[: QUESTION.index("\n  numbers ")]


def test_inspect_as_json(ifco: Command, library: Library) -> None:
    done = ifco("inspect models/question.keras --format json")
    assert (done.code, done.err) == (0, "")
    assert (done.json["keras_parameters"], done.json["torch_parameters"]) == (16, 20)


@pytest.mark.parametrize("era", list(Era), ids=lambda era: era.name)
def test_every_era_can_be_said(ifco: Command, library: Library, era: Era) -> None:
    typed = era.name.lower().replace("_", "-")
    assert ifco(f"inspect a.h5 --era {typed}").code == 0
    assert library.calls == [("read", Path("a.h5"), era)]


def test_convert_writes_beside_you(ifco: Command, library: Library) -> None:
    done = ifco("convert models/question.keras")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "converted models/question.keras\n"
        "  question-pytorch/model.py    the network, to be read and changed\n"
        "\n"
        "equal: model.keras and out/model.py\n"
        "  every output of every case is as near to float64 as float32 rounding explains\n"
        "  largest error  2.38e-07, 0.125 of the tolerance 1.9e-06\n"
        "                 2.5 units in the last place\n"
        "  where          output 'y', case batch=3 time=7 normal, at (2, 0)\n"
        "  compared       1 output of 2 cases\n"
        "  arrays         all 3 bit for bit\n"
    )
    assert library.calls == [
        (
            "convert",
            Path("models/question.keras"),
            {
                "example_inputs": None,
                "to": "pytorch",
                "out": Path("question-pytorch"),
                "force": False,
                "verify": True,
                "era": None,
                "arch": None,
                "keras_python": None,
                "opset": None,
                "state": "kept",
                "precision": "source",
                "half_io": False,
                "quantize": "none",
                "max_deviation": None,
            },
        )
    ]


def test_a_terminal_sees_what_is_being_done(
    ifco: Command, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    done = ifco("convert a.h5 --format json")
    assert done.json["schema"] == 1
    assert "converting a.h5" in terminal.getvalue()


def test_convert_takes_what_is_typed(ifco: Command, library: Library) -> None:
    done = ifco("convert a.h5 --to pytorch --out b --force --no-verify --era keras-2 --format json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "schema": 1,
        "folder": "b",
        "written": ["b/model.py"],
        "record": {"schema": 1},
    }
    ((_, _, given),) = library.calls
    assert given == {
        "example_inputs": None,
        "to": "pytorch",
        "out": Path("b"),
        "force": True,
        "verify": False,
        "era": Era.KERAS_2,
        "arch": None,
        "keras_python": None,
        "opset": None,
        "state": "kept",
        "precision": "source",
        "half_io": False,
        "quantize": "none",
        "max_deviation": None,
    }


def test_verify_as_json(ifco: Command, library: Library) -> None:
    done = ifco("verify a.h5 b --format=json")
    assert (done.code, done.err) == (0, "")
    assert done.json["status"] == "equal"
    assert library.calls == [("verify", Path("a.h5"), Path("b"), None)]


def test_a_verdict_is_also_written_as_html(ifco: Command, library: Library) -> None:
    done = ifco("verify a.h5 b --report report.html")
    assert (done.code, done.err) == (0, "")
    assert "Equal</span>: model.keras and out/model.py" in Path("report.html").read_text()


CODES = [("equal", 0), ("differs", 1), ("undecided", 4), ("inconclusive", 4)]


@pytest.mark.parametrize(("status", "code"), CODES)
@pytest.mark.parametrize("typed", ["verify a b", "convert a"])
def test_the_exit_code_is_the_verdict(
    ifco: Command, library: Library, typed: str, status: str, code: int
) -> None:
    library.verdict = Verdict(
        status=Status(status), original="a", artefact="b", reason="because it is so"
    )
    done = ifco(typed)
    assert done.code == code
    assert f"{status}: a and b\n" in done.out
    assert "because it is so" in done.out
    done = ifco(f"{typed} --exit-zero")
    assert done.code == 0
    assert f"{status}: a and b\n" in done.out


def test_what_was_not_verified_is_not_called_equal(ifco: Command, library: Library) -> None:
    done = ifco("convert a.h5 --no-verify")
    assert done.code == 0
    assert "equal" not in done.out
    assert "not verified: models/question.keras\n" in done.out


def test_an_error_has_four_parts_on_stderr(ifco: Command, library: Library) -> None:
    library.fails = UnsupportedError(
        "layer 'scale' of model.keras is a Lambda: its Python code is in the file",
        context="312 bytes of marshalled code; it is never run",
        hint="replace it by a named layer",
        code="lambda-layer",
    )
    done = ifco("convert model.keras")
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        "error[lambda-layer]: layer 'scale' of model.keras is a Lambda: its Python code is in the "
        "file\n"
        "  found: 312 bytes of marshalled code; it is never run\n"
        "  help:  replace it by a named layer\n"
    )


def test_an_error_is_json_where_json_was_asked_for(ifco: Command, library: Library) -> None:
    library.fails = FormatError("a", context="b", hint="c", code="d")
    done = ifco("inspect model.keras --format json")
    assert done.code == 3
    assert done.json == {
        "schema": 1,
        "error": {"code": "d", "message": "a", "found": "b", "help": "c"},
    }
    assert done.err == "error[d]: a\n  found: b\n  help:  c\n"


USAGE = [
    (
        "convert model.h5 --to tea",
        'Invalid value "tea" for --to. Choose from: "pytorch", "onnx", "keras", "h5", '
        '"weights.h5", "state-dict", "keras-weights", "keras-source".',
        "ifco convert --help",
    ),
    (
        "convert model.h5 --frce",
        "Unknown option: --frce. Did you mean --force?",
        "ifco convert --help",
    ),
    ("convert", 'Command "convert" parameter MODEL requires an argument.', "ifco convert --help"),
    (
        "verify",
        'Command "verify" parameter ORIGINAL requires an argument.',
        "ifco verify --help",
    ),
    ("inspect a.h5 b.h5", "Unused Tokens: ['b.h5'].", "ifco inspect --help"),
    (
        "inspect a.h5 --era keras-4",
        'Invalid value "keras-4" for --era. Choose from: "keras-1", "keras-2", "tf-keras", '
        '"keras-3". Did you mean "keras-3"?',
        "ifco inspect --help",
    ),
    (
        "inspct a.h5",
        'Unknown command "inspct". Did you mean "inspect"? Available commands: convert, inspect, '
        "verify, compare, doctor.",
        "ifco --help",
    ),
]


@pytest.mark.parametrize(("typed", "message", "hint"), USAGE, ids=[typed for typed, _, _ in USAGE])
def test_wrong_usage_is_explained(
    ifco: Command, library: Library, typed: str, message: str, hint: str
) -> None:
    done = ifco(typed)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error[usage]: {message}\n  found: ifco {typed}\n  help:  {hint}\n"
    assert library.calls == []


def test_wrong_usage_is_json_where_json_was_asked_for(ifco: Command, library: Library) -> None:
    done = ifco("convert a.h5 --format json --to tea")
    assert done.code == 2
    assert done.json["error"]["code"] == "usage"


def test_what_to_offers_is_what_the_library_writes() -> None:
    assert get_args(cli.To) == tuple(TARGETS)


def test_the_version(ifco: Command) -> None:
    assert ifco("--version").out == f"{__version__}\n"


@pytest.mark.parametrize("typed", ["", "--help"])
def test_the_help_lists_the_commands(ifco: Command, typed: str) -> None:
    done = ifco(typed)
    assert (done.code, done.err) == (0, "")
    for line in (
        "Usage: ifco COMMAND",
        "  inspect     Show what is in a saved model: layers, parameters, and each",
        "Every option can also stand in [tool.ifco] of pyproject.toml.",
    ):
        assert line in done.out.splitlines()


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_a_command_has_every_option(ifco: Command, command: str) -> None:
    done = ifco(f"{command} --help")
    assert done.code == 0
    for option in cli.options_of(cli.COMMANDS[command]):
        assert f"  --{option}" in done.out
    assert (cli.COMMANDS[command].__doc__ or "").split(":")[0].split("\n")[0][:40] in done.out
