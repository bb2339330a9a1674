"""Keras's answers about every layer."""

from __future__ import annotations

import pytest

from tests.asking import asked_once
from tests.judge.answers import Answers
from tests.judge.cases import KERAS_3


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    commands = {
        who: ("tests.judge.keras_answers", who, f"{{folder}}/{who}.npz")
        for who in (*KERAS_3, "tf_keras")
    }
    return Answers(asked_once(tmp_path_factory, "keras-answers", commands))
