from __future__ import annotations

from pathlib import Path

import pytest

from converter.description import Era
from tests.cli.command import Command
from tests.cli.test_commands import Library, library

__all__ = ["library"]


def write(text: str, folder: Path = Path()) -> None:
    (folder / "pyproject.toml").write_text(text)


def given(library: Library) -> dict[str, object]:
    """What `convert` was called with."""
    ((_, _, settings),) = library.calls
    return dict(settings)


def test_an_option_may_stand_in_pyproject(ifco: Command, library: Library) -> None:
    write('[tool.ifco]\nout = "b"\nforce = true\nera = "keras-2"\nverify = false\n')
    assert ifco("convert a.h5").code == 0
    assert given(library) == {
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


def test_a_number_is_a_value(ifco: Command, library: Library) -> None:
    write("[tool.ifco]\nopset = 18\n")
    assert ifco("convert a.h5").code == 0
    assert given(library)["opset"] == 18


def test_what_is_typed_wins(ifco: Command, library: Library) -> None:
    write('[tool.ifco]\nout = "b"\nforce = true\n')
    assert ifco("convert a.h5 --out c --no-force").code == 0
    assert (given(library)["out"], given(library)["force"]) == (Path("c"), False)


def test_the_table_of_a_command_wins_over_that_of_all(ifco: Command, library: Library) -> None:
    write('[tool.ifco]\nera = "keras-1"\n[tool.ifco.convert]\nera = "keras-2"\n')
    assert ifco("convert a.h5").code == 0
    assert given(library)["era"] is Era.KERAS_2
    ifco("inspect a.h5")
    assert library.calls[1] == ("read", Path("a.h5"), Era.KERAS_1)


def test_an_option_of_another_command_is_left_to_it(ifco: Command, library: Library) -> None:
    write('[tool.ifco]\nout = "b"\nformat = "json"\n[tool.ifco.convert]\nforce = true\n')
    assert ifco("inspect a.h5").json["schema"] == 1


def test_the_file_may_lie_above(
    ifco: Command, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[tool.ifco]\nout = "b"\n')
    below = tmp_path / "c" / "d"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert ifco("convert a.h5").code == 0
    assert given(library)["out"] == Path("b")


@pytest.mark.parametrize("key", ["exit_zero", "exit-zero"])
def test_either_dash_will_do(ifco: Command, library: Library, key: str) -> None:
    write(f"[tool.ifco]\n{key} = true\n")
    assert ifco("convert a.h5").code == 0


@pytest.mark.parametrize("text", ["", "[tool.other]\nfrce = true\n", "[project]\nname = 'x'\n"])
def test_a_file_without_a_table_says_nothing(ifco: Command, library: Library, text: str) -> None:
    write(text)
    assert ifco("convert a.h5").code == 0


ALL = (
    "arch, batches, era, exit-zero, force, format, half-io, keras-python, max-deviation, opset, "
    "out, precision, providers, python, quantize, report, require-placement, rounds, run-code, "
    "runtimes, state, threads, times, to, values, verify"
)
WRONG = [
    (
        "[tool.ifco]\nfrce = true\n",
        "frce in [tool.ifco] is no option",
        f"options: {ALL}",
    ),
    (
        "[tool.ifco.inspect]\nforce = true\n",
        "force in [tool.ifco.inspect] is no option",
        "options: arch, era, format, values",
    ),
    (
        "[tool.ifco]\nmodel = 'a.h5'\n",
        "model in [tool.ifco] is no option",
        f"options: {ALL}",
    ),
    (
        "[tool.ifco]\nforce = [1]\n",
        "force in [tool.ifco] has no such value",
        "[1]; expected a string, a number, true or false",
    ),
    ("[tool]\nifco = 3\n", "tool.ifco is not a table", "3"),
    ("[tool.ifco]\nconvert = 3\n", "convert in [tool.ifco] is no option", f"options: {ALL}"),
]


@pytest.mark.parametrize(("text", "message", "found"), WRONG, ids=[text for text, _, _ in WRONG])
def test_a_wrong_configuration_is_explained(
    ifco: Command, library: Library, text: str, message: str, found: str, tmp_path: Path
) -> None:
    write(text)
    done = ifco("convert a.h5")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error[configuration]: {message}: {tmp_path / 'pyproject.toml'}\n"
        f"  found: {found}\n"
        "  help:  ifco COMMAND --help says what each option is\n"
    )
    assert library.calls == []


def test_a_value_that_is_no_choice_is_explained(ifco: Command, library: Library) -> None:
    write('[tool.ifco]\nto = "tea"\n')
    done = ifco("convert a.h5")
    assert done.code == 2
    assert done.err.startswith('error[usage]: Invalid value "tea" for [to] from ')
    assert (
        'pyproject.toml. Choose from: "pytorch", "onnx", "keras", "h5", "weights.h5", '
        '"state-dict", "keras-weights", "keras-source".\n' in done.err
    )


def test_a_file_that_is_no_toml_is_explained(
    ifco: Command, library: Library, tmp_path: Path
) -> None:
    write("[tool.ifco\n")
    done = ifco("convert a.h5")
    assert done.code == 2
    assert done.err.startswith(
        f"error[configuration]: {tmp_path / 'pyproject.toml'} cannot be read\n"
        "  found: Expected ']' at the end of a table declaration"
    )


def test_the_help_works_with_a_wrong_configuration(ifco: Command) -> None:
    write("[tool.ifco\n")
    assert ifco("convert --help").code == 0
