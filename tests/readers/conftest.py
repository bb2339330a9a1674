"""Fixtures of the readers: where to write a file, and how to read a model that has one layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter.description import Era, Layer
from converter.errors import ConverterError
from converter.gates import Array
from converter.readers import read
from tests.asking import asked_once
from tests.readers.files import archive, given, layer, sequential
from tests.readers.live_keras import KERAS

One = Callable[..., Layer]


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what each Keras made and found."""
    commands = {who: ("tests.readers.live_keras", who, f"{{folder}}/{who}") for who in KERAS}
    return asked_once(tmp_path_factory, "live", commands)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a model may be written; its name says nothing."""
    return tmp_path / "model"


@pytest.fixture
def one(file: Path) -> One:
    """Reads a layer out of a model of nothing else."""

    def read_one(
        kind: str,
        *weights: Array,
        shape: tuple[int | None, ...] = (None, None, 3),
        version: str = "3.15.1",
        era: Era | None = None,
        inside: str = "",
        **settings: Any,
    ) -> Layer:
        from converter.readers.keras.folders import snake_case

        folder = f"layers/{snake_case(kind)}/{inside}vars"
        config = sequential(given(shape), layer(kind, "it", **settings))
        arrays = {f"{folder}/{k}": array for k, array in enumerate(weights)}
        (found,) = read(archive(file, config, arrays, version=version), era=era).layers
        return found

    return read_one


@pytest.fixture
def error_of(file: Path) -> Callable[..., str]:
    """The whole text of the error that something raises; the file in it is "model"."""

    def text(raises: Callable[[], object]) -> str:
        with pytest.raises(ConverterError) as caught:
            raises()
        return str(caught.value).replace(str(file), "model")

    return text
