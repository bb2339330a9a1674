"""The archives of Keras 2.12 to 2.14, which call their folders otherwise."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest

from converter.judge import judge
from converter.readers import read
from converter.readers.keras.folders import snake_case
from tests.readers.files import CONFIG, METADATA, WEIGHTS, archive, counted, stored

Error = Callable[[Callable[[], object]], str]

DATA = Path(__file__).parent / "data"
OLD = ["keras212.keras", "keras214.keras"]
EXACT = 1e-6
"""Of the largest output: Keras's own float32 over five steps."""


def weights_of(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive by their paths."""
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as opened, h5py.File(BytesIO(opened.read(WEIGHTS))) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def answers(path: Path, of: Path) -> None:
    """Holds the answer of a model against Keras's."""
    recorded = np.load(of.with_suffix(".npz"))
    y = judge(read(path), recorded["x"])
    assert isinstance(y, np.ndarray)
    assert np.abs(y - recorded["y"]).max() < EXACT * np.abs(recorded["y"]).max()


@pytest.mark.parametrize("name", OLD)
def test_old_archives_are_read(name: str) -> None:
    answers(DATA / name, DATA / name)


@pytest.mark.parametrize("name", OLD)
def test_windows_wrote_backslashes(name: str, file: Path) -> None:
    with zipfile.ZipFile(DATA / name) as opened:
        kept = {member: opened.read(member) for member in (CONFIG, METADATA)}
    backslashes = {
        path.replace("/", "\\", path.count("/") - 2): array
        for path, array in weights_of(DATA / name).items()
    }
    assert any("\\" in path for path in backslashes)
    answers(archive(file, kept[CONFIG], backslashes, replaced=kept), DATA / name)
    stored_names = {
        weight.stored[0].name for part in read(file).layers for weight in part.weights.values()
    }
    assert stored_names == set(backslashes)


@pytest.mark.parametrize("name", OLD)
def test_another_version_counts_otherwise(name: str, file: Path, error_of: Error) -> None:
    other = "2.14.0" if "212" in name else "2.13.1"
    with zipfile.ZipFile(DATA / name) as opened:
        config = opened.read(CONFIG)
    path = archive(file, config, weights_of(DATA / name), version=other)
    assert error_of(lambda: read(path)).startswith(("error[missing-weight]", "error[shape]"))


def test_one_array_may_not_be_there_with_either_slash(file: Path, error_of: Error) -> None:
    with zipfile.ZipFile(DATA / OLD[0]) as opened:
        config = opened.read(CONFIG)
    arrays = weights_of(DATA / OLD[0])
    name = next(iter(arrays))
    turned = {name.replace("/", "\\", 1): counted(2), **arrays}
    path = archive(file, config, stored(turned), version="2.12.0")
    text = error_of(lambda: read(path))
    assert text.startswith("error[weight-names]: the lists of weights in model are not as Keras")
    assert text.endswith(" twice\n  help:  save the model again with model.save")


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("LSTM", "lstm"),
        ("SimpleRNN", "simple_rnn"),
        ("GlobalMaxPooling1D", "global_max_pooling1d"),
        ("PReLU", "p_re_lu"),
        ("LeakyReLU", "leaky_re_lu"),
        ("ELU", "elu"),
        ("InputLayer", "input_layer"),
        ("TimeDistributed", "time_distributed"),
        ("SpatialDropout1D", "spatial_dropout1d"),
        ("BatchNormalization", "batch_normalization"),
    ],
)
def test_folders_are_called_as_keras_calls_them(kind: str, folder: str) -> None:
    assert snake_case(kind) == folder
