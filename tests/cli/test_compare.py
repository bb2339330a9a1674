"""`ifco compare` as it is typed, in the runtimes that are here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.command import Command

EXAMPLE = Path(__file__).parents[2] / "tests/data/examples/forecaster.h5"
QUICK = "compare forecaster.h5 --runtimes onnxruntime --rounds 1 --batches 1 --times 2"


@pytest.fixture(autouse=True)
def example(ifco: Command) -> None:
    pytest.importorskip("onnxruntime")
    shutil.copy(EXAMPLE, Path.cwd())


def test_the_verdict_comes_first(ifco: Command) -> None:
    done = ifco(QUICK)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("equal: forecaster.h5 is the same model in onnxruntime:cpu\n")


@pytest.mark.parametrize(("option", "code"), [("", 0), ("--require-placement", 1)])
def test_a_provider_that_is_not_there_fails_a_run_that_requires_it(
    ifco: Command, option: str, code: int
) -> None:
    done = ifco(f"{QUICK} --providers cpu,cuda {option}")
    assert done.code == code
    assert "onnxruntime has no CUDAExecutionProvider here" in done.out
    assert "  help:  onnxruntime-gpu brings it; it needs an NVIDIA GPU" in done.out


def test_a_provider_that_is_there_does_not(ifco: Command) -> None:
    assert ifco(f"{QUICK} --providers cpu --require-placement").code == 0


def test_a_report_is_written_beside_the_result(ifco: Command) -> None:
    done = ifco(f"{QUICK} --report report.html --format markdown")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("**equal**: forecaster.h5 is the same model in")
    text = Path("report.html").read_text()
    assert "Equal</span>: forecaster.h5 is the same model in onnxruntime:cpu" in text
    again = ifco(f"{QUICK} --report report.html")
    assert again.code == 3
    assert again.err.startswith("error[output-exists]")


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("--batches one", "error[usage]: --batches takes numbers with commas between\n"),
        ("--python openvino", "error[usage]: --python takes names and paths with commas between\n"),
        ("--providers abacus", "error[unknown-provider]: there is no provider 'abacus'\n"),
    ],
)
def test_wrong_usage_is_explained(ifco: Command, typed: str, error: str) -> None:
    done = ifco(f"compare forecaster.h5 {typed}")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(error)
