"""What Keras drops in training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.asking import asked_once


@pytest.fixture(scope="session")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each Keras, with its models, masks and answers."""
    commands = {
        who: ("tests.dropout.keras_dropout", who, f"{{folder}}/{who}")
        for who in ("keras", "tf_keras")
    }
    return asked_once(tmp_path_factory, "dropout", commands)
