"""A worker, seen from the process that asks it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from converter.compare.worker import typed
from converter.gates import Array

SCRIPT = Path(__file__).with_name("worker.py")

LONGEST = 600
"""Seconds after which an answer is given up."""


class WorkerFailure(Exception):  # noqa: N818  the runtime's own answer, not an error of ours
    """A worker answered that it cannot, or answered nothing.

    Attributes:
        missing: What is not there, "" if that is not the reason.
    """

    def __init__(self, text: str, missing: str = "") -> None:
        super().__init__(text)
        self.missing = missing


class Worker:
    """A process that runs one runtime.

    Args:
        folder: For what it prints.
        python: The interpreter that has the runtime; by default this one.
        threads: That its libraries may use.
        script: What it executes.
        environment: What is set for it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        python: str | os.PathLike[str] | None = None,
        threads: int = 1,
        script: Path = SCRIPT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log = tempfile.TemporaryFile("w+", dir=folder, encoding="utf-8", errors="replace")  # noqa: SIM115  closed with the process
        try:
            self._process = subprocess.Popen(
                [os.fspath(python or sys.executable), str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
                env={**os.environ, **limits(threads), **(environment or {})},
                cwd=folder,
            )
        except OSError as error:
            self._log.close()
            raise WorkerFailure(f"{python} cannot be run: {error.strerror or error}") from error
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def ask(self, request: Mapping[str, Any], timeout: float = LONGEST) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            WorkerFailure: It cannot, or answers nothing.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:  # it has ended: what it said last is read below
            pass
        try:
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise WorkerFailure(f"no answer after {timeout:g} seconds") from None
        if not line:
            self._answers.put(line)  # the next one that asks hears the same
            raise WorkerFailure(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerFailure(answer["error"], answer.get("missing", ""))
        return answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was never read by a process that has ended
                    continue

    def _listen(self, stream: IO[str]) -> None:
        try:
            for line in stream:
                self._answers.put(line)
        except ValueError:  # closed
            return
        self._answers.put("")

    def _last_words(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines() or ["it said nothing"]
        return f"it ended with exit code {code}: {lines[-1]}"


def limits(threads: int) -> dict[str, str]:
    """The environment in which libraries use no more threads; the frameworks are told as well."""
    return {
        **{f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS")},
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONIOENCODING": "utf-8",
    }


def save_cases(path: Path, cases: Sequence[Sequence[Array]]) -> None:
    """Inputs in a file, as a worker reads them."""
    arrays = {f"{c}_{k}": array for c, case in enumerate(cases) for k, array in enumerate(case)}
    np.savez(path, allow_pickle=False, **arrays)


def read_cases(path: Path, count: int) -> list[list[Array]]:
    """The outputs of each case, as a worker writes them."""
    found: list[list[Array]] = [[] for _ in range(count)]
    with np.load(path) as arrays:
        for name in arrays.files:  # in the order of the outputs
            found[int(name.split("_")[0])].append(typed(arrays[name]))
    return found
