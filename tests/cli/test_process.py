"""What only a process of its own can show: streams, signals, time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IFCO = [sys.executable, "-m", "converter.cli"]

# A model of many layers, so that its text is longer than a pipe holds.
MANY_LAYERS = """
import sys
import converter.readers
from converter import cli
from converter.description import Value
from tests.report.models import chain, dense

def read(path, example_inputs=None, *, era=None, arch=None):
    return chain(Value("x", (None, 2)), *[dense(2, 2, name=f"dense_{k}") for k in range(5000)])

converter.readers.read = read
sys.argv = ["ifco", "inspect", "a.h5"]
sys.exit(cli.main())
"""


def run(*command: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command, **{"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60, **settings}
    )


def test_the_module_can_be_run() -> None:
    done = run(*IFCO, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.1.0\n", "")


def test_wrong_usage_ends_the_process_with_2() -> None:
    done = run(*IFCO, "convert", "a.h5", "--to", "tea")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_ends_with_3_and_no_traceback() -> None:
    done = run(*IFCO, "inspect", "no-such-file.keras")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error[")
    assert "no-such-file.keras" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MANY_LAYERS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert (process.wait(60), errors) == (141, b"")


def test_a_full_disk_is_an_error_in_four_parts() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with full.open("w") as stream:
        done = run(
            sys.executable,
            "-c",
            MANY_LAYERS,
            stdout=stream,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    assert done.returncode == 3
    assert done.stderr == (
        "error[stdout]: the result cannot be printed\n"
        "  found: stdout: No space left on device\n"
        "  help:  free some space, or send stdout elsewhere\n"
    )


WAITS = """
import sys, time
import converter.readers
from converter import cli

def read(path, example_inputs=None, *, era=None, arch=None):
    print("reading", file=sys.stderr, flush=True)
    time.sleep(60)

converter.readers.read = read
sys.argv = ["ifco", "inspect", "a.h5"]
sys.exit(cli.main())
"""


def test_ctrl_c_ends_it_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"reading\n"
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stderr.read()) == (130, b"")


BREAKS = """
import sys
import converter.readers
from converter import cli

def read(path, example_inputs=None, *, era=None, arch=None):
    raise ZeroDivisionError("nobody thought of this")

converter.readers.read = read
sys.argv = ["ifco", "inspect", "a.h5"]
sys.exit(cli.main())
"""


def test_a_mistake_of_ours_is_shown_whole_and_is_no_verdict() -> None:
    done = run(sys.executable, "-c", BREAKS)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith(
        "error[internal]: ifco has a mistake: this should not have happened\n"
        "  found: ZeroDivisionError: nobody thought of this\n"
        "  help:  report it with the lines above and the model's config\n"
    )


def test_a_terminal_that_knows_only_ascii_gets_what_it_can_show() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    question = MANY_LAYERS.replace(
        "return chain(",
        "from tests.report.models import question; return question(); return chain(",
    )
    done = run(sys.executable, "-c", question, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4*F*U + 4*U*U + 4*U = 8 + 4 + 4 = 16" in done.stdout
