"""Keras's answers in every dtype policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.asking import asked_once


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each Keras, with its models and answers."""
    commands = {
        who: (
            "tests.dtypes.keras_dtypes",
            "tf_keras" if who == "tf_keras" else "keras",
            f"{{folder}}/{who}",
        )
        for who in ("keras", "torch", "tf_keras")
    }
    return asked_once(tmp_path_factory, "dtypes", commands)
