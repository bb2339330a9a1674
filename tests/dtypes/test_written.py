"""Models of half precision, written for Keras: what Keras answers then."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.errors import UnsupportedError
from converter.precision import with_precision
from converter.runtimes.keras import Job, run
from converter.targets.keras import write_model
from tests.dtypes.answers import Saved, computing_in
from tests.targets.keras.keras_files import put


@pytest.fixture
def originals(saved: Path) -> dict[str, Saved]:
    """Those of float16, of each family, and some operations."""
    paths = sorted((saved / "keras").glob("float16-*.keras"))
    found = {
        path.stem: Saved(path)
        for path in paths
        if "operation" not in path.stem or path.stem.startswith("float16-operation_c")
    }
    assert len(found) > 40
    return found


def test_keras_answers_as_before(originals: dict[str, Saved], tmp_path: Path) -> None:
    wrong = originals["float16-group_norm"]
    jobs = [
        Job(put(write_model(one.model), tmp_path / f"{name}.keras"), [one.inputs])
        for name, one in originals.items()
    ]
    wide = write_model(computing_in(wrong.model, "float64"))
    jobs.append(Job(put(wide, tmp_path / "wrong.keras"), [wrong.inputs]))
    *answers, other = run(jobs).outputs
    for (name, one), given in zip(originals.items(), answers, strict=True):
        assert isinstance(given, list), (name, given)
        assert [part.reason for part in one.held(given[0])] == [""] * len(one.outputs), name
    assert isinstance(other, list)
    assert [part.reason for part in wrong.held(other[0])] == ["dtype float64; expected float16"]


def test_what_keras_computes_in_float32_alone_is_refused(originals: dict[str, Saved]) -> None:
    wide = with_precision(originals["float16-up_sampling"].model, "float64")
    with pytest.raises(UnsupportedError, match="TensorFlow resizes in float32") as caught:
        write_model(wide)
    assert caught.value.code == "keras-dtype"
