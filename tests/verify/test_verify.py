"""The verdict on what lies in a folder: equal, or where it differs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import converter
from converter import Status
from converter.description import Value
from converter.errors import ReadError
from converter.verify.comparison import compare_output
from converter.verify.verdict import Comparison, Verdict

DATA = Path(__file__).parents[1] / "data"
SOURCE = DATA / "examples" / "forecaster.h5"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples' forecaster, converted."""
    converter.convert(SOURCE, out=tmp_path / "out", verify=False)
    return tmp_path / "out"


def tampered(folder: Path, name: str, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = np.ascontiguousarray(change(tensors[name]))
    save_file(tensors, folder / "model.safetensors")


def test_what_was_converted_is_equal(folder: Path) -> None:
    verdict = converter.verify(SOURCE, folder)
    assert (verdict.status, verdict.arrays, verdict.wrong_arrays) == (Status.EQUAL, 8, ())
    assert {one.case.split()[0] for one in verdict.comparisons} == {
        "batch=1", "batch=3", "batch=5", "batch=17",
    }  # fmt: skip
    assert verdict.worst is not None
    assert verdict.worst.ratio < 0.5


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(range(4), 2)))
def test_two_gates_exchanged_differ_and_the_layer_is_named(
    folder: Path, one: int, other: int
) -> None:
    order = list(range(4))
    order[one], order[other] = other, one
    tampered(
        folder,
        "days.weight_hh_l0",
        lambda array: array.reshape(4, -1, array.shape[1])[order].reshape(array.shape),
    )
    verdict = converter.verify(SOURCE, folder)
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, "days")
    assert verdict.wrong_arrays == ("days/days/lstm_cell/recurrent_kernel:0",)
    # The answers show it too, not the bits alone.
    assert any(comparison.reason for comparison in verdict.comparisons)


def test_a_lost_bias_differs(folder: Path) -> None:
    tampered(folder, "hours.bias_ih_l0", np.zeros_like)
    verdict = converter.verify(SOURCE, folder)
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, "hours")


def test_one_bit_differs(folder: Path) -> None:
    def flipped(array: np.ndarray) -> np.ndarray:
        array.reshape(-1).view(np.uint32)[0] ^= 1
        return array

    tampered(folder, "forecast.bias", flipped)
    verdict = converter.verify(SOURCE, folder)
    assert verdict.status is Status.DIFFERS
    assert verdict.reason == "1 of 8 arrays of the source are not in it bit for bit"


def test_another_text_differs_though_its_arrays_are_right(folder: Path) -> None:
    path = folder / "model.py"
    text = path.read_text()
    path.write_text(text.replace("sequence[:, -1]", "sequence[:, 0]"))
    verdict = converter.verify(SOURCE, folder)
    assert (verdict.status, verdict.layer, verdict.wrong_arrays) == (Status.DIFFERS, "", ())
    assert verdict.reason.startswith("output 'forecast', case ")


def test_the_artefact_of_another_model_differs(tmp_path: Path) -> None:
    other = DATA / "examples" / "bidirectional.keras"
    converter.convert(other, out=tmp_path / "out", verify=False)
    verdict = converter.verify(SOURCE, tmp_path / "out")
    assert verdict.status is Status.DIFFERS
    assert verdict.reason == (
        "it fails on inputs that the source takes: RuntimeError: input.size(-1) must be equal to "
        "input_size. Expected 6, got 5"
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "no-model-py"),
        ("raise SystemExit(5)", "model-py-fails"),
        ("def load(path): return 3", "model-py-fails"),
        ("def load(:", "model-py-fails"),
    ],
)
def test_a_folder_that_cannot_be_loaded_is_a_named_error(
    folder: Path, text: str | None, code: str
) -> None:
    if text is None:
        (folder / "model.py").unlink()
    else:
        (folder / "model.py").write_text(text)
    with pytest.raises(ReadError) as caught:
        converter.verify(SOURCE, folder)
    assert caught.value.code == code


def test_weights_that_are_cut_off_are_a_named_error(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ReadError) as caught:
        converter.verify(SOURCE, folder)
    assert caught.value.code in {"model-py-fails", "not-safetensors"}


Y = Value("y", (None, 2))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "it is missing"),
        (np.ones((3, 1), np.float32), "shape (3, 1); expected (3, 2)"),
        (np.ones((3, 2), np.float64), "dtype float64; expected float32"),
        (np.full((3, 2), np.nan, np.float32), "NaN or infinity in other places"),
        (np.full((3, 2), 1.1, np.float32), "0.1 over the tolerance 4.77e-07"),
    ],
)
def test_an_output_that_is_not_it_says_why(given: np.ndarray | None, reason: str) -> None:
    assert compare_output("case", Y, np.ones((3, 2)), given, 0.0).reason == reason


def test_nan_and_infinity_in_the_same_places_are_equal() -> None:
    expected = np.array([[np.nan, 1.0], [np.inf, 2.0], [-np.inf, 3.0]])
    assert not compare_output("case", Y, expected, expected.astype(np.float32), 0.0).reason
    turned = expected.copy()
    turned[1, 0] = -np.inf
    assert compare_output("case", Y, expected, turned.astype(np.float32), 0.0).reason


def test_an_ill_conditioned_output_says_nothing() -> None:
    given = np.ones((3, 2), np.float32)
    assert not compare_output("case", Y, np.ones((3, 2)), given, 0.01).conditioned
    assert compare_output("case", Y, np.ones((3, 2)), given, 0.0001).conditioned


def verdict_of(*comparisons: Comparison) -> Verdict:
    from converter.verify import decide

    return decide(
        Verdict(status=Status.EQUAL, original="a", artefact="b", reason="", comparisons=comparisons)
    )


def test_nothing_compared_is_undecided_and_nothing_said_is_inconclusive() -> None:
    vague = Comparison(case="c", output="y", shape=(1,), conditioned=False)
    clear = Comparison(case="c", output="y", shape=(1,))
    assert verdict_of().status is Status.UNDECIDED
    assert verdict_of(vague).status is Status.INCONCLUSIVE
    assert verdict_of(vague, clear).status is Status.EQUAL
    assert [status.exit_code for status in Status] == [0, 0, 1, 4, 4]
