"""Keras's answers about operations outside layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.asking import asked_once


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each Keras, with its models and answers."""
    commands = {
        who: ("tests.operations.keras_operations", who, f"{{folder}}/{who}")
        for who in ("keras", "tf_keras")
    }
    return asked_once(tmp_path_factory, "operations", commands)
