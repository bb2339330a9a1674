"""Keras: loads a Keras file in a process of its own, and runs it.

Keras is never imported here: people who migrate have an old environment that cannot live beside a
modern torch, and TensorFlow and torch in one process fight over threads.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from converter.dtypes import numpy_dtype
from converter.errors import MissingExtraError, UsageError
from converter.gates import Array

RUNNER = Path(__file__).with_name("keras_runner.py")
LONGEST = 600
"""Seconds after which a run is given up."""

Cases = Sequence[Sequence[Array]]


@dataclass(frozen=True, slots=True)
class Job:
    """A file and the inputs to run it on.

    Attributes:
        config: Of the model, where the file has weights alone.
    """

    path: Path
    cases: Cases
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """What Keras raised for a job.

    Attributes:
        loaded: It loaded the file, and could not run it.
    """

    loaded: bool
    text: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What Keras said.

    Attributes:
        keras: Which it was: "Keras 3.15.1 (tensorflow)".
        outputs: For each job and case, the outputs; or what went wrong in that job.
    """

    keras: str
    outputs: tuple[list[list[Array]] | Failure, ...]


def is_here() -> bool:
    """Whether this interpreter has Keras; nothing is imported to know."""
    return find_spec("keras") is not None


def run(
    jobs: Sequence[Job],
    *,
    python: str | os.PathLike[str] | None = None,
    package: str = "keras",
    backend: str = "",
) -> Answers:
    """Load each file and run its cases, all in one process.

    Args:
        jobs: What to run.
        python: Another interpreter that has Keras.
        package: "keras", or "tf_keras".
        backend: Of Keras 3; as it is configured, or what is installed, without it.

    Raises:
        UsageError: There is no such interpreter.
        MissingExtraError: It has no Keras, or one that does not start.
    """
    with tempfile.TemporaryDirectory(prefix="ifco-keras-") as folder:
        place = Path(folder)
        models = [_request(job, place, k) for k, job in enumerate(jobs)]
        request, result = place / "request.json", place / "result.json"
        request.write_text(json.dumps({"package": package, "models": models}))
        done = _execute(python or sys.executable, request, result, backend)
        if not result.is_file():
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise MissingExtraError(
                f"Keras does not start in {python or sys.executable}",
                context=f"exit code {done.returncode}: {lines[-1]}",
                hint='pip install "ifco[keras]" there, or give another --keras-python',
                code="keras-python",
            )
        said = json.loads(result.read_text())
        outputs = tuple(
            Failure(failure["step"] == "run", _in_a_line(failure["text"]))
            if failure
            else _read(Path(model["answers"]), len(job.cases))
            for failure, model, job in zip(said["failures"], models, jobs, strict=True)
        )
    name = {"keras": "Keras"}.get(package, package)
    return Answers(f"{name} {said['version']} ({said['backend']})", outputs)


def _in_a_line(text: str, longest: int = 300) -> str:
    """What Keras says, without the colours and the stack that it says it with."""
    plain = " ".join(re.sub("\x1b\\[[0-9;]*m", "", text).split())
    return plain if len(plain) <= longest else f"{plain[:longest]}..."


def _request(job: Job, place: Path, number: int) -> dict[str, Any]:
    inputs = place / f"{number}-in.npz"
    arrays = {
        f"{c}_{k}": array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        for c, case in enumerate(job.cases)
        for k, array in enumerate(case)
    }
    np.savez(inputs, allow_pickle=False, **arrays)
    return {
        "path": str(job.path.absolute()),
        "config": job.config,
        "inputs": str(inputs),
        "counts": [len(case) for case in job.cases],
        "answers": str(place / f"{number}-out.npz"),
    }


def _execute(
    python: str | os.PathLike[str], request: Path, result: Path, backend: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    if backend:
        environment["KERAS_BACKEND"] = backend
    command = [os.fspath(python), str(RUNNER), str(request), str(result)]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST,
            check=False,
            env=environment,
            cwd=request.parent,
        )
    except OSError as error:
        raise UsageError(
            f"{python} cannot be run",
            context=error.strerror or str(error),
            hint="--keras-python is the path of a Python that has Keras",
            code="keras-python",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise MissingExtraError(
            f"Keras in {python} did not answer",
            context=f"nothing after {LONGEST} seconds",
            hint="try a smaller model, or another --keras-python",
            code="keras-python",
        ) from error


def _read(path: Path, count: int) -> list[list[Array]]:
    """The outputs of each case."""
    with np.load(path) as arrays:
        found: list[list[Array]] = [[] for _ in range(count)]
        for name in arrays.files:  # in the order of the outputs
            found[int(name.split("_")[0])].append(_of_keras(arrays[name]))
    return found


def _of_keras(array: Array) -> Array:
    """An output; bfloat16 comes out of the file as two bytes without a meaning."""
    return array.view(numpy_dtype("bfloat16")) if array.dtype == np.dtype("V2") else array
