"""Every saved model of tests/data as every Keras file: read back, the same model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import converter
from converter.errors import UnsupportedError
from converter.judge import Judge
from converter.ledger import wrong_arrays
from converter.targets.keras import write_model
from converter.verify.comparison import answers_of_judge
from converter.verify.inputs import cases
from tests.targets.keras.keras_files import DATA, dialect_of, put

FILES = sorted(
    path.relative_to(DATA).as_posix()
    for folder in ("cudnn", "examples", "keras215", "keras3", "tfkeras")
    for path in (DATA / folder).glob("*")
    if path.suffix in {".keras", ".h5"} and not path.stem.endswith("_weights")
)


NOT_LEGACY = frozenset(
    {
        "legacy-activation",
        "legacy-arguments",
        "legacy-axes",
        "legacy-layer",
        "legacy-norm",
        "legacy-bidirectional",
        "legacy-operation",
    }
)
"""What tf_keras and Keras 3 do not both understand."""

NOT_IN_KERAS_3 = {
    "keras215/attention_heads_masked.h5": "mask",
    "keras215/attention_heads_masked.keras": "mask",
    "keras215/masks_of_values.h5": "mask",
    "keras215/masks_of_values.keras": "mask",
    "keras215/time_distributed_branches.h5": "mask",
    "keras215/time_distributed_branches.keras": "mask",
    "keras3/time_distributed_branches.keras": "mask",
}
"""What no file for Keras 3 can say, by the code of its error.

There, masks go through more, and a row of scores that is masked whole is computed otherwise.
"""

EXACT = 1e-12
"""Of the largest output, in float64: both are judges of one model."""


def same(name: str, suffix: str, folder: Path) -> None:
    """Write, read back, compare every array by its bits and the outputs of a case."""
    model = converter.read(DATA / name)
    written = write_model(model, dialect_of(suffix))
    back = converter.read(put(written, folder / f"model{suffix}"))
    stored = [
        one for layer in back.layers for weight in layer.weights.values() for one in weight.stored
    ]
    assert list(wrong_arrays(written.placements, {one.name: one.read() for one in stored})) == []
    assert len(stored) == sum(len(one.names) for one in written.placements)
    frozen = {layer.name: layer.trainable for layer in back.layers if layer.weights}
    assert frozen == {
        written.names[layer.name]: layer.trainable for layer in model.layers if layer.weights
    }
    case = [next(iter(cases(model)))]
    ((expected,), (given,)) = (answers_of_judge(Judge(one), case) for one in (model, back))
    for one, other in zip(given, expected, strict=True):
        tolerance = EXACT if not any(place.lossy for place in written.placements) else 1e-6
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_IN_KERAS_3])
def test_an_archive_is_the_same_model(name: str, tmp_path: Path) -> None:
    same(name, ".keras", tmp_path)


@pytest.mark.parametrize("name", NOT_IN_KERAS_3)
def test_what_keras_3_would_compute_otherwise_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        write_model(converter.read(DATA / name))
    assert caught.value.code == NOT_IN_KERAS_3[name]


@pytest.mark.parametrize(
    "name", [name for name in FILES if name.endswith(".keras") and name not in NOT_IN_KERAS_3]
)
def test_a_legacy_file_is_the_same_model_or_refused(name: str, tmp_path: Path) -> None:
    code = refusal(name)
    if code:
        assert code in NOT_LEGACY
    else:
        same(name, ".h5", tmp_path)


def refusal(name: str) -> str:
    """The code of the error with which a legacy file is refused; "" without one."""
    try:
        write_model(converter.read(DATA / name), dialect_of(".h5"))
    except UnsupportedError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("name", "code"),
    [("softmax_axes", "legacy-activation"), ("layer_normalization_axes", "legacy-axes")],
)
def test_several_axes_are_lost_in_a_legacy_file(name: str, code: str) -> None:
    assert refusal(f"keras3/{name}.keras") == code


def test_most_models_can_be_said_in_a_legacy_file() -> None:
    refused = [name for name in FILES if refusal(name)]
    assert 0 < len(refused) < len(FILES) / 4
