"""Keras's answers about cells and convolutional LSTMs, asked for once in a session."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]

KERAS = {"keras": "tensorflow", "torch": "torch", "tf_keras": "tensorflow"}
"""Who is asked, on which backend; "torch" is Keras 3 for what TensorFlow cannot compute."""


def ask(folder: Path) -> None:
    """Let every Keras save its models and answers: a process each, at the same time."""
    children = {}
    for who, backend in KERAS.items():
        (folder / who).mkdir()
        module = "tf_keras" if who == "tf_keras" else "keras"
        children[who] = subprocess.Popen(
            [sys.executable, "-m", "tests.cells.keras_cells", module, str(folder / who)],
            cwd=ROOT,
            env=os.environ
            | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": backend},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    for who, child in children.items():
        _, said = child.communicate()
        assert child.returncode == 0, f"{who}: {said}"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each Keras, with its models and answers."""
    for package in ("keras", "tensorflow", "tf_keras"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers share it
    folder /= "cells"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "complete").exists():
            ask(folder)
            (folder / "complete").touch()
    return folder
