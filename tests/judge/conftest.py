"""Keras's answers, asked for once in a session."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock

from tests.judge.answers import Answers
from tests.judge.cases import KERAS_3

ROOT = Path(__file__).parents[2]


def ask(folder: Path) -> None:
    """Let every Keras write its answers: a process each, at the same time."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    children = {
        who: subprocess.Popen(
            [sys.executable, "-m", "tests.judge.keras_answers", who, str(folder / f"{who}.npz")],
            cwd=ROOT,
            env=environment | {"KERAS_BACKEND": "torch" if who == "torch" else "tensorflow"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who in (*KERAS_3, "tf_keras")
    }
    for who, child in children.items():
        _, said = child.communicate()
        assert child.returncode == 0, f"{who}: {said}"


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    for package in ("keras", "tensorflow", "tf_keras"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers share it
    folder /= "keras-answers"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "complete").exists():
            ask(folder)
            (folder / "complete").touch()
    return Answers(folder)
