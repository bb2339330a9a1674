"""Masks and initial states: what Keras 3 and tf_keras answer, in the judge and in PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import converter
from converter.description import Call, Model

ROOT = Path(__file__).parents[2]

EXACT = 1e-12
"""Of the largest output, in float64: rounding over 7 steps is below 1e-14."""

FLOAT32 = 1e-5
"""Of the largest output, in float32: measured below 1e-6."""

NAMES = [
    "lstm_last", "lstm_sequences", "gru_sequences", "gru_before", "rnn_last", "softsign",
    "stacked", "other_value", "zeros_sequences", "zeros_last", "zeros_softsign", "backwards",
    "backwards_last", "both_last", "both_sequences", "both_sum", "both_softsign",
    "both_stacked", "two_cells", "dense_between", "lost_in_a_convolution", "tagger", "residual",
    "states", "started", "both_started", "translator",
]  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each Keras; both run at once."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("keras", "tf_keras")}
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.masks.keras_masks", name, str(folder)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for name, folder in folders.items()
    ]  # fmt: skip
    for child in children:
        said, _ = child.communicate(timeout=300)
        assert child.returncode == 0, said.decode()[-2000:]
    return folders


def model_of(folder: Path, name: str) -> Model:
    return converter.read(next(path for path in folder.glob(f"{name}.*") if path.suffix != ".npz"))


def arrays(folder: Path, name: str, kind: str) -> list[np.ndarray]:
    recorded = np.load(folder / f"{name}.npz")
    count = sum(key.startswith(kind) for key in recorded)
    return [recorded[f"{kind}{i}"] for i in range(count)]


def distance(given: object, expected: list[np.ndarray]) -> float:
    answers = given if isinstance(given, tuple) else (given,)
    assert [np.shape(one) for one in answers] == [one.shape for one in expected]
    return max(
        float(np.abs(np.asarray(one) - other).max() / np.abs(other).max())
        for one, other in zip(answers, expected, strict=True)
    )


def judged(model: Model, folder: Path, name: str, kind: str) -> float:
    answers = converter.judge(model, *arrays(folder, name, "in"))
    return distance(answers, arrays(folder, name, kind))


@pytest.mark.parametrize("name", NAMES)
def test_keras_3_means_what_the_judge_computes_and_the_module_too(
    saved: dict[str, Path], name: str
) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    assert judged(model, folder, name, "exact") < EXACT
    module = converter.to_torch(model)
    with torch.inference_mode():
        given = module(*map(torch.from_numpy, arrays(folder, name, "in")))
    assert distance(given, arrays(folder, name, "out")) < FLOAT32


@pytest.mark.parametrize("name", NAMES)
def test_tf_keras_means_what_the_judge_computes(saved: dict[str, Path], name: str) -> None:
    folder = saved["tf_keras"]
    assert judged(model_of(folder, name), folder, name, "out") < FLOAT32


GIVEN_STATES = {"started", "both_started"}

USES_A_MASK = sorted(set(NAMES) - {"lost_in_a_convolution"} - GIVEN_STATES)


@pytest.mark.parametrize("name", sorted(GIVEN_STATES))
def test_keras_3_gives_no_mask_to_a_layer_that_is_given_its_states(
    saved: dict[str, Path], name: str
) -> None:
    # layer.py of Keras 3 passes a mask on only where one argument is a tensor.
    assert not any(call.mask for call in model_of(saved["keras"], name).calls)
    assert any(call.mask for call in model_of(saved["tf_keras"], name).calls)


@pytest.mark.parametrize("name", USES_A_MASK)
def test_a_mask_that_is_ignored_shows(saved: dict[str, Path], name: str) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    blind = replace(model, calls=tuple(replace(call, masks=()) for call in model.calls))
    assert judged(blind, folder, name, "exact") > 1e-3


def with_recurrent(model: Model, **changes: object) -> Model:
    """The same with other settings of its recurrent layers that use a mask."""
    layers = {call.layer.name: replace(call.layer, **changes) for call in model.calls if call.mask}
    calls: tuple[Call, ...] = tuple(
        replace(call, layer=layers.get(call.layer.name, call.layer)) for call in model.calls
    )
    return replace(model, calls=calls)


@pytest.mark.parametrize(
    "name", ["lstm_sequences", "zeros_sequences", "zeros_last", "both_sequences", "tagger"]
)
def test_zeros_in_place_of_repeated_outputs_show(saved: dict[str, Path], name: str) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    (flag,) = {call.layer.zero_output_for_mask for call in model.calls if call.mask}
    other = with_recurrent(model, zero_output_for_mask=not flag)
    assert judged(other, folder, name, "exact") > 1e-3


def test_states_exchanged_show(saved: dict[str, Path]) -> None:
    folder = saved["keras"]
    model = model_of(folder, "started")
    x, h, c = arrays(folder, "started", "in")
    answers = converter.judge(model, x, c, h)
    assert distance(answers, arrays(folder, "started", "exact")) > 1e-3


def test_a_masked_lstm_is_one_call_in_the_source(saved: dict[str, Path]) -> None:
    text = converter.to_torch_source(model_of(saved["keras"], "tagger"))
    assert "    mask = tokens != 0  # (batch, time)" in text
    assert "x, _ = masked(self.both, self.words(tokens), mask)" in text


@pytest.mark.parametrize("name", USES_A_MASK)
def test_convert_verifies_with_masked_steps(
    saved: dict[str, Path], name: str, tmp_path: Path
) -> None:
    source = next(saved["keras"].glob(f"{name}.keras"))
    verdict = converter.convert(source, out=tmp_path / "out").verdict
    assert verdict is not None
    assert verdict.status is converter.Status.EQUAL, verdict.reason
    assert any("masked" in one.case for one in verdict.comparisons)
