"""Models of every dtype policy: what Keras answers, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import converter
from converter.description import LayerNormalization
from converter.runtimes import onnxruntime
from converter.targets.onnx import write_graph
from converter.verify import Status
from tests.dtypes.answers import Saved, computing_in

COUNTS = {"keras": 70, "torch": 28, "tf_keras": 28}
"""The models of each Keras."""

EXACT = 1e-12
"""Of the largest output, in float64 throughout: rounding over 6 steps is below 1e-14."""

WHOLLY_FLOAT64 = ("branches", "forecaster", "masked", "other_cells", "translator")


def models(folder: Path) -> dict[str, Saved]:
    return {path.stem: Saved(path) for path in sorted(folder.iterdir()) if path.suffix != ".npz"}


@pytest.fixture
def keras(saved: Path) -> dict[str, Saved]:
    return models(saved / "keras")


@pytest.mark.parametrize("who", COUNTS)
def test_keras_answers_as_the_judge(who: str, saved: Path) -> None:
    found = {name: one.held(one.outputs) for name, one in models(saved / who).items()}
    assert {name: one for name, one in found.items() if any(part.reason for part in one)} == {}
    assert len(found) == COUNTS[who]


@pytest.mark.parametrize("who", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", WHOLLY_FLOAT64)
def test_float64_is_float64_throughout(who: str, name: str, saved: Path) -> None:
    one = models(saved / who)[f"float64-{name}"]
    (given,), (expected,) = one.judged(), one.outputs
    assert np.abs(given - expected).max() < EXACT * np.abs(expected).max()
    (narrow,) = one.judged(computing_in(one.model, "float16"))
    assert np.abs(narrow - expected).max() > 1e-4 * np.abs(expected).max()


def test_the_module_answers_as_keras_and_in_its_dtypes(keras: dict[str, Saved]) -> None:
    for name, one in keras.items():
        made = one.made()
        assert [part.reason for part in one.held(made)] == [""] * len(made), name
        assert [part.dtype for part in made] == [part.dtype for part in one.outputs], name


def test_an_onnx_file_answers_as_keras_in_float16(keras: dict[str, Saved]) -> None:
    names = [name for name in keras if name.startswith(("float16", "mixed_float16"))]
    for name in names:
        if name.endswith("one_sum"):  # a layer of it is in float64
            continue
        one = keras[name]
        made = onnxruntime.open(write_graph(one.model).bytes()).run(one.inputs)
        assert [part.reason for part in one.held(made)] == [""] * len(made), name
        assert [part.dtype for part in made] == [part.dtype for part in one.outputs], name
    assert len(names) == 28


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_what_is_rounded_once_is_rounded_as_keras_does(
    policy: str, keras: dict[str, Saved]
) -> None:
    for name in ("one_activation", "one_sum"):
        one = keras[f"{policy}-{name}"]
        assert one.judged()[0].tolist() == one.outputs[0].astype(np.float64).tolist()
        loose = one.judged(computing_in(one.model, "float64"))
        assert loose[0].tolist() != one.outputs[0].astype(np.float64).tolist()


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_a_mask_is_made_of_what_is_rounded(policy: str, keras: dict[str, Saved]) -> None:
    """A step of -0.9999 is masked, since it is -1 in half precision."""
    one = keras[f"{policy}-masked"]
    expected = one.outputs[0].astype(np.float64)
    far = [
        np.abs(one.judged(model)[0] - expected)[2].max()
        for model in (one.model, computing_in(one.model, "float64"))
    ]
    assert far[0] < far[1] / 4


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_another_dtype_of_an_output_shows(policy: str, keras: dict[str, Saved]) -> None:
    one = keras[f"{policy}-one_activation"]
    made = one.made(computing_in(one.model, "float32"))
    (held,) = one.held(made)
    assert held.reason == f"dtype float32; expected {policy.removeprefix('mixed_')}"


def test_weights_and_states_that_are_not_rounded_show_in_the_sum(keras: dict[str, Saved]) -> None:
    """One model may be near by chance; over all of them, the judge that rounds is nearer."""
    rounds, does_not = [], []
    for name, one in keras.items():
        if "float64" in name or "convolved" in name:
            continue
        loose = one.judged(computing_in(one.model, "float64"))
        for given, other, expected in zip(one.judged(), loose, one.outputs, strict=True):
            wide = expected.astype(np.float64)
            scale = np.abs(wide).max()
            rounds.append(np.abs(given - wide).mean() / scale)
            does_not.append(np.abs(other - wide).mean() / scale)
    assert sum(rounds) < 0.6 * sum(does_not)


def test_a_normalization_takes_its_input_as_it_is_in_keras_3_alone(saved: Path) -> None:
    for who, autocast in (("keras", False), ("tf_keras", True)):
        one = models(saved / who)["mixed_float16-one_norm"]
        (layer,) = (one for one in one.model.layers if isinstance(one, LayerNormalization))
        assert layer.autocast is autocast


@pytest.mark.parametrize(
    "name",
    [
        "float64-translator",
        "float16-forecaster",
        "bfloat16-tagger",
        "mixed_float16-convolved",
        "mixed_bfloat16-one_lstm",
    ],
)
def test_a_conversion_is_equal_and_every_array_is_there(
    name: str, keras: dict[str, Saved], tmp_path: Path
) -> None:
    one = keras[name]
    verdict = converter.convert(one.path, out=tmp_path / "out").verdict
    assert verdict is not None
    assert verdict.status is Status.EQUAL
    stored = {
        s.name: s for layer in one.model.layers for w in layer.weights.values() for s in w.stored
    }
    assert verdict.arrays == len(stored)
    assert {str(s.dtype) for s in stored.values()} <= {name.split("-")[0], "float32"}


def test_bfloat16_is_read_bit_for_bit(keras: dict[str, Saved]) -> None:
    model = keras["bfloat16-one_lstm"].model
    kernel = model.layer(model.layers[1].name).weights["forward.kernel"].read()
    assert kernel.dtype.name == "bfloat16"
    bits = kernel.view(np.uint16).astype(np.uint32) << 16
    assert (kernel.astype(np.float32) == bits.view(np.float32)).all()
    assert np.unique(kernel.view(np.uint16)).size > 40
