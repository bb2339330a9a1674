"""Every saved model in tests/data, judged and made into PyTorch and ONNX: Keras's answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import converter
from tests.targets.onnx.running import opened

DATA = Path(__file__).parent / "data"
FILES = sorted(
    path.relative_to(DATA).as_posix()
    for folder in ("examples", "keras215", "keras3", "tfkeras")
    for path in (DATA / folder).glob("*")
    if path.suffix in {".keras", ".h5"}
)

REFUSED = {}
"""What is not expressed, by the code of its error."""

FLOAT32 = 1e-5
"""Of the largest output: Keras's own rounding over at most 20 steps, measured below 2e-6."""

EXACT = 1e-12
"""Of the largest output, in float64: rounding over at most 20 steps, measured below 1e-14."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small models are slower on many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def cases(path: Path, model: converter.Model) -> Iterator[tuple[list, list, list]]:
    """Inputs, Keras's answers in float32, and those in float64 where it gave them."""
    recorded = np.load(path.with_suffix(".npz"))
    count = 0
    while f"case{count}_in0" in recorded:
        yield tuple(
            [
                recorded[key]
                for i in range(n)
                if (key := f"case{count}_{kind.format(i)}") in recorded
            ]
            for kind, n in (
                ("in{}", len(model.inputs)),
                ("out{}", len(model.outputs)),
                ("out{}_f64", len(model.outputs)),
            )
        )
        count += 1
    assert count, f"no recorded case for {path.name}"


def tupled(answers):
    return answers if isinstance(answers, tuple) else (answers,)


def assert_near(given, expected, tolerance):
    assert len(given) == len(expected)
    for one, other in zip(given, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= tolerance * max(np.abs(other).max(), 1e-6)


@pytest.mark.parametrize("name", FILES)
def test_a_saved_model_answers_as_the_keras_that_wrote_it(name):
    model = converter.read(DATA / name)
    module = converter.to_torch(model)
    for inputs, answers, exact in cases(DATA / name, model):
        judged = tupled(converter.judge(model, *inputs))
        assert_near(judged, answers, FLOAT32)
        if exact:
            assert_near(judged, exact, EXACT)
        with torch.inference_mode():
            given = tupled(module(*[torch.from_numpy(array) for array in inputs]))
        assert_near([tensor.numpy() for tensor in given], answers, FLOAT32)


@pytest.mark.parametrize("name", [name for name in FILES if "float64" not in name])
def test_a_saved_model_answers_in_onnxruntime_as_the_keras_that_wrote_it(name):
    model = converter.read(DATA / name)
    session = opened(model)
    for inputs, answers, _ in cases(DATA / name, model):
        assert_near(session.run(inputs), answers, FLOAT32)


def test_another_models_weights_are_not_near():
    path = DATA / "keras3/lstm.keras"
    model = converter.read(path)
    module = converter.to_torch(model)
    with torch.no_grad():
        gates = module.lstm.weight_ih_l0.view(4, -1)
        module.lstm.weight_ih_l0.copy_(gates[[1, 0, 2, 3]].view_as(module.lstm.weight_ih_l0))
    inputs, answers, _ = next(cases(path, model))
    with torch.inference_mode():
        given = module(torch.from_numpy(inputs[0])).numpy()
    with pytest.raises(AssertionError):
        assert_near([given], answers, FLOAT32)


def test_every_generated_file_is_unchanged_by_the_formatter_and_has_no_fault(tmp_path):
    for name in FILES:
        text = converter.to_torch_source(converter.read(DATA / name))
        (tmp_path / f"{name.replace('/', '_').replace('.', '_')}.py").write_text(text)
    ruff = Path(sys.executable).with_name("ruff")
    formatted = subprocess.run(
        [ruff, "format", "--isolated", "--no-cache", "--diff", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert formatted.returncode == 0, formatted.stdout
    checked = subprocess.run(
        [ruff, "check", "--isolated", "--no-cache", "--select", "E4,E7,E9,F,I,B,UP", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
