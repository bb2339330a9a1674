"""Files of the Keras that is installed: every array where Keras has it, to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from converter.description import Era
from converter.judge import judge
from converter.readers import read

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ERAS = {"keras": Era.KERAS_3, "tf_keras": Era.TF_KERAS}
ROUNDING = 1e-5
"""Of the largest output: Keras's float32 over two passes of five steps. Measured: 3e-7."""


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each Keras, with what it saved: once in a session."""
    for package in ("tensorflow", *ERAS):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the workers share it
    folder /= "keras-files"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "complete").exists():
            environment = {
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                "CUDA_VISIBLE_DEVICES": "-1",
                "TF_CPP_MIN_LOG_LEVEL": "2",
            }
            for which in ERAS:
                (folder / which).mkdir(exist_ok=True)
                done = subprocess.run(
                    [sys.executable, "-m", "tests.readers.keras_files", which, folder / which],
                    cwd=ROOT,
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                assert done.returncode == 0, done.stderr
            (folder / "complete").touch()
    return folder


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", ["branches", "stack"])
@pytest.mark.parametrize("which", ERAS)
def test_every_array_is_where_keras_has_it(which: str, name: str, ending: str, saved: Path) -> None:
    path = saved / which / f"{name}.{ending}"
    model = read(path)
    assert model.source.era is ERAS[which]
    recorded = dict(np.load(path.with_suffix(".npz")))
    for layer in model.layers:
        for k, weight in enumerate(layer.weights.values()):
            (stored,) = weight.stored
            assert stored.read().tobytes() == recorded.pop(f"{layer.name}|{k}").tobytes()
    assert {key for key in recorded if key[0] not in "xy"} == set()


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", ["branches", "stack"])
@pytest.mark.parametrize("which", ERAS)
def test_the_answers_are_those_of_keras(which: str, name: str, ending: str, saved: Path) -> None:
    path = saved / which / f"{name}.{ending}"
    recorded = np.load(path.with_suffix(".npz"))
    answers = judge(read(path), recorded["x"])
    for k, y in enumerate(answers if isinstance(answers, tuple) else (answers,)):
        assert np.abs(y - recorded[f"y{k}"]).max() < ROUNDING * np.abs(recorded[f"y{k}"]).max()


@pytest.mark.parametrize("which", ERAS)
def test_what_is_frozen_is_known(which: str, saved: Path) -> None:
    for ending in ("keras", "h5"):
        model = read(saved / which / f"branches.{ending}")
        frozen = [layer.name for layer in model.layers if not layer.trainable]
        assert len(frozen) == 1
        assert frozen[0].startswith("encoder/dense")


@pytest.mark.parametrize("ending", ["", ".keras"])
@pytest.mark.parametrize("name", ["branches", "stack", "float16", "bfloat16"])
def test_weights_in_npz_are_those_in_hdf5_to_the_bit(name: str, ending: str, saved: Path) -> None:
    both = [read(saved / "keras" / form / f"{name}{ending}") for form in ("npz", "h5")]
    pickled, plain = (
        [
            (weight.name, array.dtype, array.shape, array.tobytes())
            for layer in model.layers
            for part in layer.weights.values()
            for weight in part.stored
            for array in [weight.read()]
        ]
        for model in both
    )
    assert len(pickled) > 4
    assert pickled == plain
    assert [layer.name for layer in both[0].layers] == [layer.name for layer in both[1].layers]


def test_an_architecture_takes_the_weights_of_an_archive_with_npz(saved: Path) -> None:
    folder = saved / "keras" / "npz"
    config = json.loads((folder / "stack/config.json").read_text())
    apart = read(folder / "stack.keras", arch=config)
    x = np.load(saved / "keras/stack.npz")["x"]
    assert np.array_equal(judge(apart, x), judge(read(folder / "stack"), x))
