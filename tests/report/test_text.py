from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from converter.conversion import Conversion
from converter.errors import ReadError
from converter.report.text import show_conversion, show_error, show_verdict
from converter.verify.verdict import Comparison, Status, Verdict
from tests.report.models import question
from tests.report.terminal import in_a_log, on_a_terminal

NEAR = Comparison(
    case="batch=3 time=7 normal",
    output="y",
    shape=(3, 1),
    error=2.384e-07,
    tolerance=1.9e-06,
    units=2.5,
    where=(2, 0),
)
FAR = replace(NEAR, case="batch=1 time=1 zeros", error=0.51, reason="0.51 away from the judge")
EQUAL = Verdict(
    status=Status.EQUAL,
    original="model.keras",
    artefact="out/model.py",
    reason="every output of every case is as near to float64 as float32 rounding explains",
    comparisons=(replace(NEAR, error=0.0, case="batch=1 time=1 zeros"), NEAR),
    arrays=3,
)


def text(verdict: Verdict) -> str:
    return in_a_log(lambda console: show_verdict(console, verdict))


def test_equal() -> None:
    assert text(EQUAL) == (
        "equal: model.keras and out/model.py\n"
        "  every output of every case is as near to float64 as float32 rounding explains\n"
        "  largest error  2.38e-07, 0.125 of the tolerance 1.9e-06\n"
        "                 2.5 units in the last place\n"
        "  where          output 'y', case batch=3 time=7 normal, at (2, 0)\n"
        "  compared       1 output of 2 cases\n"
        "  arrays         all 3 bit for bit\n"
    )


def test_differs() -> None:
    verdict = replace(
        EQUAL, status=Status.DIFFERS, comparisons=(NEAR, FAR), reason="...", layer="lstm_1"
    )
    assert text(verdict) == (
        "differs: model.keras and out/model.py, output 'y', case batch=1 time=1 zeros\n"
        "  found: 0.51 away from the judge\n"
        "  help:  look at layer 'lstm_1': it is the first that differs\n"
        "  largest error  0.51, 2.68e+05 of the tolerance 1.9e-06\n"
        "                 2.5 units in the last place\n"
        "  where          output 'y', case batch=1 time=1 zeros, at (2, 0)\n"
        "  compared       1 output of 2 cases\n"
        "  arrays         all 3 bit for bit\n"
    )


def test_arrays_that_differ_are_named() -> None:
    verdict = replace(
        EQUAL,
        status=Status.DIFFERS,
        reason="1 of 3 arrays of the source are not in it bit for bit",
        comparisons=(NEAR,),
        wrong_arrays=("layers/lstm/cell/vars/0",),
    )
    assert text(verdict) == (
        "differs: model.keras and out/model.py\n"
        "  found: 1 of 3 arrays of the source are not in it bit for bit\n"
        "  help:  --format json has every comparison\n"
        "  largest error  2.38e-07, 0.125 of the tolerance 1.9e-06\n"
        "                 2.5 units in the last place\n"
        "  where          output 'y', case batch=3 time=7 normal, at (2, 0)\n"
        "  compared       1 output of 1 case\n"
        "  arrays         not bit for bit: layers/lstm/cell/vars/0\n"
    )


def test_a_shape_that_differs_has_no_tolerance() -> None:
    shape = Comparison(
        case="batch=3 time=7",
        output="y",
        shape=(3, 1, 4),
        reason="shape (3, 1, 4); expected (3, 7, 4)",
    )
    lines = text(replace(EQUAL, status=Status.DIFFERS, comparisons=(NEAR, shape), arrays=0))
    assert lines.startswith(
        "differs: model.keras and out/model.py, output 'y', case batch=3 time=7\n"
        "  found: shape (3, 1, 4); expected (3, 7, 4)\n"
    )
    assert "  largest error  not measured: shape (3, 1, 4); expected (3, 7, 4)\n" in lines
    assert "tolerance" not in lines
    assert "units in the last place" not in lines


def test_undecided() -> None:
    verdict = replace(
        EQUAL, status=Status.UNDECIDED, reason="nothing was compared", comparisons=(), arrays=0
    )
    assert text(verdict) == (
        "undecided: model.keras and out/model.py\n"
        "  found: nothing was compared\n"
        "  help:  nothing differed; the inputs could not have shown every mistake\n"
    )


def test_inconclusive() -> None:
    verdict = replace(EQUAL, status=Status.INCONCLUSIVE, reason="too ill", comparisons=(), arrays=0)
    assert text(verdict) == (
        "inconclusive: model.keras and out/model.py\n"
        "  found: too ill\n"
        "  help:  rounding alone moves these outputs too far to say more\n"
    )


@pytest.mark.parametrize(
    ("status", "colour"), [("equal", 32), ("differs", 31), ("undecided", 33), ("inconclusive", 33)]
)
def test_the_word_has_a_colour_on_a_terminal(status: str, colour: int) -> None:
    verdict = replace(EQUAL, status=Status(status))
    shown = on_a_terminal(lambda console: show_verdict(console, verdict), 80)
    assert shown.startswith(f"\x1b[1;{colour}m{status}\x1b[0m: model.keras")


def test_an_error_is_the_text_of_the_error() -> None:
    error = ReadError(
        "a.h5 is no model", context="a [b]picture[/b]", hint="look", code="not-a-model"
    )
    assert in_a_log(lambda console: show_error(console, error)) == f"{error}\n"


def test_an_error_with_a_hostile_name_stays_on_its_lines() -> None:
    error = ReadError("a\nb", context="\x1b[2J", hint="c\r", code="x")
    assert in_a_log(lambda console: show_error(console, error)) == (
        "error[x]: a\\nb\n  found: \\x1b[2J\n  help:  c\\r\n"
    )


def test_a_long_error_is_not_broken_on_a_terminal() -> None:
    error = ReadError("a" * 100, context="b" * 100, hint="c", code="x")
    shown = on_a_terminal(lambda console: show_error(console, error), 80)
    assert "a" * 100 in shown
    assert "b" * 100 in shown


def conversion(folder: Path, verdict: Verdict | None) -> Conversion:
    names = ("model.py", "model.safetensors", "conversion.json")
    files = tuple(folder / name for name in names)
    for size, file in zip((10, 2_345, 67_890_123), files, strict=True):
        with file.open("wb") as stream:
            stream.truncate(size)
    source = replace(question().source, dropped=("optimizer (7 arrays)",))
    model = replace(question(), source=source)
    written = files if verdict is None or verdict.status is not Status.DIFFERS else ()
    return Conversion(model=model, folder=folder, files=written, record={}, verdict=verdict)


def test_a_conversion_lists_its_files_and_then_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = conversion(Path(), EQUAL)
    assert in_a_log(lambda console: show_conversion(console, done)) == (
        "converted models/question.keras\n"
        "  model.py              10 B  the network, to be read and changed\n"
        "  model.safetensors  2.35 kB  its weights\n"
        "  conversion.json    67.9 MB  what became of every array\n"
        "  left out: optimizer (7 arrays)\n"
        "\n"
    ) + text(EQUAL)


def test_without_verification_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my out").mkdir()
    shown = in_a_log(lambda console: show_conversion(console, conversion(Path("my out"), None)))
    assert shown.endswith(
        "\nnot verified: models/question.keras\n"
        "  help:  ifco verify models/question.keras 'my out'\n"
    )


def test_what_differs_is_not_written(tmp_path: Path) -> None:
    verdict = replace(EQUAL, status=Status.DIFFERS, comparisons=(FAR,))
    shown = in_a_log(lambda console: show_conversion(console, conversion(tmp_path, verdict)))
    assert shown.startswith(
        "nothing written for models/question.keras: it would not be the same\n"
        "  left out: optimizer (7 arrays)\n"
        "\n"
        "differs: "
    )
