"""Models of every dtype policy: what Keras answers, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import converter
from converter.description import LayerNormalization
from converter.errors import UnsupportedError
from converter.runtimes import onnxruntime
from converter.targets.onnx import write_graph
from converter.verify import Status
from tests.dtypes.answers import Saved, computing_in

COUNTS = {"keras": 248, "torch": 28, "tf_keras": 50}
"""The models of each Keras."""

UNREAD = {
    "keras": ("float64-up_sampling",),
    "torch": (),
    "tf_keras": ("mixed_float16-up_sampling",),
}
"""Models that are refused."""

EXACT = 1e-12
"""Of the largest output, in float64 throughout: rounding over 6 steps is below 1e-14."""

WHOLLY_FLOAT64 = ("branches", "forecaster", "masked", "other_cells", "translator")


def models(folder: Path) -> dict[str, Saved]:
    paths = sorted(path for path in folder.iterdir() if path.suffix != ".npz")
    return {path.stem: Saved(path) for path in paths if path.stem not in UNREAD[folder.name]}


@pytest.fixture
def keras(saved: Path) -> dict[str, Saved]:
    return models(saved / "keras")


@pytest.mark.parametrize("who", COUNTS)
def test_keras_answers_as_the_judge(who: str, saved: Path) -> None:
    found = {name: one.held(one.outputs) for name, one in models(saved / who).items()}
    assert {name: one for name, one in found.items() if any(part.reason for part in one)} == {}
    assert len(found) == COUNTS[who]


@pytest.mark.parametrize("who", COUNTS)
def test_each_tensor_has_the_dtype_that_keras_gives(who: str, saved: Path) -> None:
    for name, one in models(saved / who).items():
        declared = [value.dtype.replace("int64", "int32") for value in one.model.outputs]
        given = [dtype.replace("int64", "int32") for dtype in one.recorded["dtypes"].tolist()]
        assert declared == given, name


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
        for part, expected in zip(made, one.outputs, strict=True):
            assert part.dtype == expected.dtype or part.dtype.kind == expected.dtype.kind == "i", (
                name
            )


NOT_IN_ONNX = {
    "float16-attention_masked": "masked scores",
    "float16-attention_of_nothing": "masked scores",
    "float16-dot": "a norm",
    "float16-dropped_heads_of_nothing": "masked scores",
    "float16-heads_masked": "masked scores",
    "float16-heads_of_nothing": "masked scores",
    "float16-one_sum": "runs such nodes in float32 and float16 alone",
    "float16-operation_expm1": "expm1 of float16",
    "float16-operation_remainders": "mod of float16",
    "float16-softmax_of_nothing": "masked scores",
    "float16-unit_norm": "a norm",
    "mixed_float16-one_sum": "runs such nodes in float32 and float16 alone",
}
"""What is refused, and why."""


def test_an_onnx_file_answers_as_keras_in_float16(keras: dict[str, Saved]) -> None:
    names = {name for name in keras if name.startswith(("float16", "mixed_float16"))}
    for name in names - NOT_IN_ONNX.keys():
        one = keras[name]
        made = onnxruntime.open(write_graph(one.model).bytes()).run(one.inputs)
        assert [part.reason for part in one.held(made)] == [""] * len(made), name
        for part, expected in zip(made, one.outputs, strict=True):
            whole = part.dtype.kind == expected.dtype.kind == "i"
            assert whole or part.dtype == expected.dtype, name
    assert len(names) > 100


def test_what_onnxruntime_rounds_elsewhere_is_refused(keras: dict[str, Saved]) -> None:
    for name, found in NOT_IN_ONNX.items():
        with pytest.raises(UnsupportedError, match=found) as caught:
            write_graph(keras[name].model)
        assert caught.value.code == "onnx-dtype"


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


@pytest.mark.parametrize(
    ("who", "name"),
    [
        ("keras", "float16-attention_of_nothing"),
        ("keras", "float16-heads_of_nothing"),
        ("tf_keras", "mixed_float16-dropped_heads_of_nothing"),
        ("tf_keras", "mixed_float16-softmax_of_nothing"),
    ],
)
def test_a_row_that_is_masked_whole_is_what_it_is_in_float16(
    who: str, name: str, saved: Path
) -> None:
    """The mean; of float64, in which a score of 1e9 less is still one, something else."""
    one = models(saved / who)[name]
    expected = one.outputs[0].astype(np.float64)[1]
    far = [
        np.abs(one.judged(model)[0][1] - expected).max()
        for model in (one.model, computing_in(one.model, "float64"))
    ]
    assert far[0] < 0.005
    assert ("heads_of" in name and who == "keras") or far[1] > 0.05


def test_a_zero_has_no_direction_in_half_precision(keras: dict[str, Saved]) -> None:
    """0 / 0, where float32 divides by the least norm instead."""
    one = keras["float16-unit_norm"]
    assert np.isnan(one.outputs[0][2, 2].astype(np.float64)).all()
    assert np.isnan(one.judged()[0][2, 2]).all()
    assert (one.judged(computing_in(one.model, "float32"))[0][2, 2] == 0).all()


def test_what_tensorflow_resizes_in_float32_is_refused_in_another_dtype(saved: Path) -> None:
    for who, suffix in (("keras", "keras"), ("tf_keras", "h5")):
        for name in UNREAD[who]:
            with pytest.raises(UnsupportedError, match="interpolates in float32") as caught:
                converter.read(saved / who / f"{name}.{suffix}")
            assert caught.value.code == "dtype-policy"


def test_weights_and_states_that_are_not_rounded_show_in_the_sum(keras: dict[str, Saved]) -> None:
    """One model may be near by chance; over all of them, the judge that rounds is nearer."""
    rounds, does_not = [], []
    for name, one in keras.items():
        if "float64" in name or "convolved" in name or "operation" in name or "unit" in name:
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
        "bfloat16-one_lstm",
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
