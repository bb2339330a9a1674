"""Keras's answers, asked for once in a session: a process for each Keras, at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]


def asked_once(
    factory: pytest.TempPathFactory, name: str, commands: Mapping[str, Sequence[str]]
) -> Path:
    """The folder with every answer; the workers of a session share it.

    Args:
        factory: Of the session.
        name: Of the folder; "{folder}" in a command stands for it.
        commands: For each Keras, the module and its arguments; "torch" is Keras 3 on PyTorch,
            for what TensorFlow cannot compute. Each has a folder of its name.
    """
    for package in ("keras", "tensorflow", "tf_keras"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}")
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= name
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "complete").exists():
            _ask(folder, commands)
            (folder / "complete").touch()
    return folder


def _ask(folder: Path, commands: Mapping[str, Sequence[str]]) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    for who in commands:
        (folder / who).mkdir(exist_ok=True)
    children = {
        who: subprocess.Popen(
            [sys.executable, "-m", *(word.format(folder=folder) for word in command)],
            cwd=ROOT,
            env=environment | {"KERAS_BACKEND": "torch" if who == "torch" else "tensorflow"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who, command in commands.items()
    }
    for who, child in children.items():
        _, said = child.communicate()
        assert child.returncode == 0, f"{who}: {said}"
