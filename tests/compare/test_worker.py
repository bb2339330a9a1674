"""The protocol of a worker: in this process with a made-up runtime, and as a process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.compare.process import SCRIPT, Worker, WorkerFailure, limits, read_cases, save_cases
from converter.compare.worker import MOST, serve
from converter.gates import Array


class Doubling:
    """A runtime that doubles what it is given, if it is no NaN."""

    name = "doubling 1.0"
    device = "cpu"
    placed = (("double", "Mul", "cpu"),)

    def place(self, arrays: Sequence[Array]) -> Sequence[Array]:
        return arrays

    def execute(self, placed: Sequence[Array]) -> list[Array]:
        if np.isnan(placed[0]).any():
            raise ArithmeticError("what is\n\x1b[31mthat?\x1b[0m")
        return [2 * one for one in placed]

    def fetch(self, outputs: list[Array]) -> list[Array]:
        return outputs


def answers(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What a worker with the made-up runtime answers, a line each."""
    asked = io.StringIO("".join(json.dumps(one) + "\n" for one in requests))
    out = io.StringIO()
    serve(asked, out, lambda _request: Doubling())
    return [json.loads(line) for line in out.getvalue().splitlines()]


OPEN = {"do": "open"}


def test_what_is_opened_says_what_it_is() -> None:
    (said,) = answers(OPEN)
    assert {key: said[key] for key in ("name", "device", "placed")} == {
        "name": "doubling 1.0",
        "device": "cpu",
        "placed": [["double", "Mul", "cpu"]],
    }
    assert said["loading"] >= 0


def test_every_output_of_every_case_is_answered(tmp_path: Path) -> None:
    cases = [[np.float32([1, 2]), np.float32([[3]])], [np.float32([4]), np.float32([[5, 6]])]]
    inputs, outputs = tmp_path / "in.npz", tmp_path / "out.npz"
    save_cases(inputs, cases)
    request = {"do": "answer", "inputs": str(inputs), "counts": [2, 2], "outputs": str(outputs)}
    assert answers(OPEN, request)[1] == {"cases": 2}
    for given, found in zip(cases, read_cases(outputs, 2), strict=True):
        for one, other in zip(given, found, strict=True):
            np.testing.assert_array_equal(other, 2 * one)


def test_bfloat16_goes_to_and_fro(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    save_cases(tmp_path / "in.npz", [[np.array([1, 2.5], ml_dtypes.bfloat16)]])
    names = {"inputs": str(tmp_path / "in.npz"), "outputs": str(tmp_path / "out.npz")}
    assert answers(OPEN, {"do": "answer", "counts": [1], **names})[1] == {"cases": 1}
    ((found,),) = read_cases(tmp_path / "out.npz", 1)
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, np.array([2, 5], ml_dtypes.bfloat16))


def test_a_call_is_timed_in_three_parts(tmp_path: Path) -> None:
    save_cases(tmp_path / "a.npz", [[np.zeros(3, np.float32)]])
    once = {"do": "time", "inputs": str(tmp_path / "a.npz"), "count": 1, "seconds": 0}
    _, first, many = answers(OPEN, once, {**once, "seconds": 60})
    assert [len(call) for call in first["calls"]] == [3]
    assert len(many["calls"]) == MOST
    assert all(part >= 0 for call in many["calls"] for part in call)


def test_an_error_is_an_answer_on_one_line_and_the_next_request_is_served(tmp_path: Path) -> None:
    save_cases(tmp_path / "a.npz", [[np.float32([np.nan])]])
    wrong = {"do": "time", "inputs": str(tmp_path / "a.npz"), "count": 1, "seconds": 0}
    _, failed, unknown, memory = answers(OPEN, wrong, {"do": "dance"}, {"do": "memory"})
    assert failed == {"error": "ArithmeticError: what is that?", "missing": ""}
    assert answers({"do": "time"})[0]["missing"] == ""  # a KeyError is nothing that is missing
    assert unknown["error"] == "ValueError: nothing is known of 'dance'"
    assert memory["peak"] is None or memory["peak"] > 1e6


ECHO = """
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "die":
        print("the last words", file=sys.stderr)
        os._exit(7)
    if request["do"] == "sleep":
        continue
    print(json.dumps({"threads": os.environ["OMP_NUM_THREADS"], **request}), flush=True)
"""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A worker that gives back what it is asked."""
    path = tmp_path / "echo.py"
    path.write_text(ECHO)
    return path


def test_a_process_is_asked_and_answers(tmp_path: Path, echo: Path) -> None:
    worker = Worker(tmp_path, threads=3, script=echo)
    try:
        assert worker.ask({"do": "ä"}) == {"do": "ä", "threads": "3"}
    finally:
        worker.close()


def test_a_process_that_ends_or_is_silent_says_why(tmp_path: Path, echo: Path) -> None:
    worker = Worker(tmp_path, script=echo)
    try:
        with pytest.raises(WorkerFailure, match=r"^no answer after 0.2 seconds$"):
            worker.ask({"do": "sleep"}, timeout=0.2)
        for _ in range(2):  # asked again, it says the same
            with pytest.raises(WorkerFailure, match=r"^it ended with exit code 7: the last words$"):
                worker.ask({"do": "die"})
    finally:
        worker.close()


def test_a_python_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailure, match="no/python cannot be run"):
        Worker(tmp_path, python="no/python")


def test_the_script_serves_as_a_process_and_keeps_what_others_print_apart(tmp_path: Path) -> None:
    request = json.dumps({"do": "open", "runtime": "json", "path": "", "device": ""})
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        input=request + "\n" + '{"do": "memory"}\n',
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {
        "error": "ModuleNotFoundError: No module named 'converter.runtimes.json'",
        "missing": "converter.runtimes.json",
    }
    assert second["peak"] is None or second["peak"] > 1e6


def test_threads_are_limited_by_the_environment() -> None:
    assert limits(2)["OMP_NUM_THREADS"] == limits(2)["TF_NUM_INTRAOP_THREADS"] == "2"
