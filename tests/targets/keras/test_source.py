"""Keras code: it reads as if written by hand, and Keras that executes it answers as the model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import converter
from converter.errors import ConverterError
from converter.runtimes import keras
from converter.targets.keras import Written, write_file, write_model
from converter.targets.keras.arguments import default_of
from converter.targets.keras.source import source_text
from converter.verify import verify
from converter.verify.inputs import cases
from converter.verify.verdict import Status
from tests.targets.keras.keras_files import DATA

ROOT = Path(__file__).parents[3]

BOTH_WAYS = '''\
"""activity_classifier, written by ifco 0.1.0 from bidirectional.keras.

Source sha256 335e7f3412795018.
Weights: model.weights.h5 beside this file. Needs Keras 3 only.
"""

from pathlib import Path

import keras
from keras import layers


def build() -> keras.Model:
    """sensors (batch, time, 6) -> (batch, 4)."""
    sensors = keras.Input((None, 6), name="sensors")
    x = layers.Bidirectional(layers.LSTM(16), name="both_ways")(sensors)
    x = layers.Dropout(0.3, name="dropout")(x)
    x = layers.Dense(4, activation="softmax", name="activity")(x)
    return keras.Model(sensors, x, name="activity_classifier")


def load(path: Path = Path(__file__).with_name("model.weights.h5")) -> keras.Model:
    """The model with its weights."""
    model = build()
    model.load_weights(path)
    return model
'''

EXECUTED = (
    "examples/bidirectional.keras",
    "examples/forecaster.h5",
    "cudnn/cudnn_lstm.h5",
    "keras3/attention_masked.keras",
    "keras3/attention_heads_masked.keras",
    "keras215/operations_around_cells.keras",
    "keras215/operations_of_shapes.h5",
)
"""Of every kind: wrappers, states, masks that are passed on and masks that are given, operations,
a Pipeline as an activation. Of tests/data, 133 were executed so once: each as near as these."""


@cache
def written(name: str) -> Written:
    return write_model(converter.read(DATA / name))


def names() -> list[str]:
    paths = (path for path in DATA.rglob("*") if path.suffix in (".keras", ".h5"))
    return sorted(path.relative_to(DATA).as_posix() for path in paths if "bad" not in path.parts)


@cache
def models() -> dict[str, Written]:
    """Every model of tests/data that a Keras file can hold."""
    found = {}
    for name in names():
        try:
            found[name] = written(name)
        except ConverterError:
            continue
    return found


def put(one: Written, folder: Path, text: str | None = None) -> None:
    """The folder that convert writes, and inputs."""
    folder.mkdir()
    (folder / "model.py").write_text(source_text(one) if text is None else text)
    write_file(folder / "model.weights.h5", one, "weights.h5")
    np.savez(folder / "inputs.npz", *next(iter(cases(one.model))).arrays)


def settings_of(value: Any) -> Iterator[tuple[str, str]]:
    """Every class of layers with its arguments, in a config."""
    if isinstance(value, dict):
        if value.get("module") == "keras.layers" and isinstance(value.get("config"), dict):
            yield from ((value["class_name"], key) for key in value["config"])
        for one in value.values():
            yield from settings_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from settings_of(one)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Keras says, in one process."""
    if find_spec("keras") is None:
        pytest.skip("needs keras")
    folder = tmp_path_factory.mktemp("source")
    for k, name in enumerate(EXECUTED):
        put(written(name), folder / str(k))
    wrong = source_text(written(EXECUTED[2])).replace(", go_backwards=True", "")
    assert wrong != source_text(written(EXECUTED[2]))
    put(written(EXECUTED[2]), folder / "wrong", wrong)
    arguments: dict[str, set[str]] = {}
    for one in models().values():
        for kind, key in settings_of(one.config):
            if key not in ("name", "trainable", "dtype") and kind not in ("InputLayer", "Pipeline"):
                arguments.setdefault(kind, set()).add(key)
    text = json.dumps({kind: sorted(keys) for kind, keys in arguments.items()})
    (folder / "arguments.json").write_text(text)
    subprocess.run(
        [sys.executable, "-m", "tests.targets.keras.source_in_keras", str(folder)],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"},
        check=True,
        capture_output=True,
    )
    return folder


def distance(folder: Path, one: Written) -> float:
    """The largest error as a part of the largest output."""
    with np.load(folder / "inputs.npz") as file:
        given = [file[f"arr_{k}"] for k in range(len(file.files))]
    answers = converter.judge(one.model, *given)
    expected = answers if isinstance(answers, tuple) else (answers,)
    with np.load(folder / "answers.npz") as file:
        found = [file[f"arr_{k}"] for k in range(len(file.files))]
    assert [one.shape for one in found] == [one.shape for one in expected]
    return max(
        float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-9))
        for a, b in zip(expected, found, strict=True)
    )


@pytest.mark.parametrize("name", EXECUTED)
def test_keras_executes_the_code_and_answers_as_the_model(name: str, asked: Path) -> None:
    # Float32 of Keras; measured 1e-6.
    assert distance(asked / str(EXECUTED.index(name)), written(name)) < 1e-5


def test_code_with_an_argument_left_out_answers_otherwise(asked: Path) -> None:
    assert distance(asked / "wrong", written(EXECUTED[2])) > 1e-3


def test_the_defaults_are_those_of_keras(asked: Path) -> None:
    """`strides` of a pooling layer, which are the size by default, are not in the table."""
    found = json.loads((asked / "defaults.json").read_text())
    assert len(found) > 60
    alike = {"linear": None, "channels_last": None}
    for kind, keys in found.items():
        for key, own in keys.items():
            ours = default_of(kind, key)
            if ours is ... or (key == "strides" and kind.endswith(("Pooling1D", "Pooling2D"))):
                continue
            if key == "zero_output_for_mask":  # taken out of the keywords: recurrent layers, rnn.py
                assert (own, ours) == ([], False)
                continue
            value = own[0] if own else ...
            flat = set(value) if isinstance(value, list) else {value}
            assert flat in ({ours}, {alike.get(ours, ours)}), (kind, key)


def test_code_reads_as_if_written_by_hand() -> None:
    assert source_text(written("examples/bidirectional.keras")) == BOTH_WAYS


def test_the_formatter_changes_nothing_in_the_code_of_any_model(tmp_path: Path) -> None:
    assert len(models()) > 300
    for k, one in enumerate(models().values()):
        (tmp_path / f"{k}.py").write_text(source_text(one))
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "format", "--isolated", "--diff", tmp_path], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    done = subprocess.run(
        [ruff, "check", "--isolated", "--select", "E,F,I,N", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[:2000]


def test_names_out_of_a_file_are_text_in_the_code() -> None:
    name = "a\"'); import os #\n\\"
    model = converter.read(DATA / "examples/bidirectional.keras")
    text = source_text(write_model(renamed(model, name)))
    compiled = compile(text, "model.py", "exec")
    assert "import os" not in [line.strip() for line in text.splitlines()]
    assert any(name in str(one.co_consts) or name in one.co_consts for one in codes(compiled))


def codes(code: Any) -> Iterator[Any]:
    yield code
    for one in code.co_consts:
        if hasattr(one, "co_consts"):
            yield from codes(one)


def renamed(model: converter.Model, name: str) -> converter.Model:
    """With that name for the first layer."""
    from dataclasses import replace

    first, *others = model.calls
    call = replace(first, layer=replace(first.layer, name=name))
    return replace(model, calls=(call, *others))


@pytest.fixture
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none."""
    monkeypatch.setattr(keras, "is_here", lambda: False)


@pytest.mark.usefixtures("without_keras")
def test_code_that_no_keras_has_executed_is_not_called_equal(tmp_path: Path) -> None:
    source = DATA / "examples/bidirectional.keras"
    done = converter.convert(source, to="keras-source", out=tmp_path / "code")
    assert done.verdict is not None
    assert done.verdict.status is Status.UNDECIDED
    assert done.verdict.reason.startswith("no Keras has executed the code")
    assert sorted(path.name for path in done.files) == [
        "conversion.json",
        "model.py",
        "model.weights.h5",
    ]
    assert verify(source, tmp_path / "code").status is Status.UNDECIDED
    other = DATA / "examples/forecaster.h5"
    converter.convert(other, to="keras-source", out=tmp_path / "other", verify=False)
    (tmp_path / "other/model.weights.h5").replace(tmp_path / "code/model.weights.h5")
    assert verify(source, tmp_path / "code").status is Status.DIFFERS
