"""A folder that somebody has changed: what differs is said, and what cannot be loaded is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from converter.activations import Activation
from converter.description import Dropout, Model, Noise, Weight
from converter.errors import ReadError
from converter.verify import verify_folder
from converter.verify.verdict import Status, Verdict
from tests.models_by_hand import Maker, chain, put_on_disk

MAKE = Maker()
BACKWARDS = MAKE.lstm("backwards", 3, 4, return_sequences=True)
MODEL = chain(
    replace(BACKWARDS, forward=replace(BACKWARDS.forward, go_backwards=True)),
    Dropout(name="dropout", noise=Noise.DROPOUT, rate=0.5),
    MAKE.gru("gru", 4, 4),
    MAKE.dense("dense", 4, 6, act=Activation.of("relu")),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put_on_disk(MODEL, tmp_path / "out")


def edited(folder: Path, old: str, new: str) -> Verdict:
    """The verdict on model.py with another text in one place."""
    path = folder / "model.py"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return verify_folder(MODEL, folder)


def error(folder: Path, model: Model = MODEL) -> str:
    with pytest.raises(ReadError) as caught:
        verify_folder(model, folder)
    return str(caught.value)


def test_an_untouched_folder_is_equal_and_named(folder: Path) -> None:
    verdict = verify_folder(MODEL, folder)
    assert verdict.status is Status.EQUAL
    assert (verdict.original, verdict.artefact) == ("by_hand.keras", f"{folder}/model.py")
    assert (verdict.arrays, verdict.wrong_arrays, verdict.layer) == (8, (), "")
    assert len(verdict.comparisons) == 8


def test_the_verdict_calls_it_as_it_is_told(folder: Path) -> None:
    assert verify_folder(MODEL, folder, name="their.py").artefact == "their.py"


def test_a_model_without_a_file_is_called_by_its_name(folder: Path) -> None:
    live = replace(MODEL, source=replace(MODEL.source, path=""))
    assert verify_folder(live, folder).original == "by_hand"


def test_nothing_is_left_beside_the_files(folder: Path) -> None:
    verify_folder(MODEL, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["model.py", "model.safetensors"]


def test_a_folder_is_verified_where_it_lies_now(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "moved")
    assert verify_folder(MODEL, tmp_path / "moved").status is Status.EQUAL


# Another text


def test_another_layout_of_the_text_is_no_difference(folder: Path) -> None:
    verdict = edited(folder, "return torch.relu(", "return torch.nn.functional.relu(")
    assert verdict.status is Status.EQUAL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x.flip(1)", "x"),
        ("torch.relu(self.dense(", "(self.dense("),
        ("torch.relu(self.dense(", "torch.tanh(self.dense("),
        ("[:, -1]", "[:, 0]"),
        ("[:, -1]", ".mean(1)"),
        ("self.dropout(", "nn.functional.dropout("),
        ("return model.eval()", "return model"),
        ("return torch.relu(", "return 1.00001 * torch.relu("),
    ],
)
def test_another_meaning_of_the_text_differs(folder: Path, old: str, new: str) -> None:
    """No layer is named, since the weights of all are right: the text is wrong."""
    verdict = edited(folder, old, new)
    assert (verdict.status, verdict.layer, verdict.wrong_arrays) == (Status.DIFFERS, "", ())
    assert verdict.reason.startswith("output 'dense', case batch=")
    assert "over the tolerance" in verdict.reason


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (
            "return torch.relu(x.sum(-1))",
            "output 'dense', case batch=3 time=7 normal: shape (3, 7); expected (3, 6)",
        ),
        (
            "return torch.relu(self.dense(sequence[:, -1])).double()",
            "output 'dense', case batch=3 time=7 normal: dtype float64; expected float32",
        ),
        (
            "return self.dense(sequence[:, -1]) / 0",
            "output 'dense', case batch=3 time=7 normal: NaN or infinity in other places",
        ),
        (
            "return self.dense(sequence[:, -1]).relu(), x",
            "output '1', case batch=3 time=7 normal: 2 outputs; expected 1",
        ),
        (
            "return ()",
            "output 'dense', case batch=3 time=7 normal: it is missing",
        ),
        (
            "return None",
            "it fails on inputs that the source takes: "
            "AttributeError: 'NoneType' object has no attribute 'numpy'",
        ),
        (
            "return [torch.relu(self.dense(sequence[:, -1]))]",
            "it fails on inputs that the source takes: "
            "AttributeError: 'list' object has no attribute 'numpy'",
        ),
        (
            'raise ValueError("not\\n  today")',
            "it fails on inputs that the source takes: ValueError: not today",
        ),
        (
            "return self.head(x)",
            "it fails on inputs that the source takes: "
            "AttributeError: 'ByHand' object has no attribute 'head'",
        ),
    ],
)
def test_an_answer_of_another_kind_differs(folder: Path, new: str, reason: str) -> None:
    verdict = edited(folder, "return torch.relu(self.dense(sequence[:, -1]))", new)
    assert (verdict.status, verdict.reason, verdict.layer) == (Status.DIFFERS, reason, "")


def test_a_failure_for_one_length_alone_differs(folder: Path) -> None:
    verdict = edited(folder, "x, _ = ", "assert x.shape[1] != 2\n        x, _ = ")
    assert (verdict.status, verdict.reason) == (
        Status.DIFFERS,
        "it fails on inputs that the source takes: AssertionError:",
    )


def test_two_things_wrong_are_named_by_the_weights(folder: Path) -> None:
    held = load_file(folder / "model.safetensors")
    held["gru.bias_hh_l0"] = -held["gru.bias_hh_l0"]
    save_file(held, folder / "model.safetensors")
    verdict = edited(folder, "x.flip(1)", "x")
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, "gru")
    assert verdict.wrong_arrays == ("gru/forward/bias",)
    assert verdict.reason == "1 of 8 arrays of the source are not in it bit for bit"


# What shows nothing


def dead(units: int, shift: float) -> Model:
    """A head that `shift` pushes below zero, where relu gives nothing."""
    head = Maker(1).dense("dense", 4, units, act=Activation.of("relu"))
    bias = Weight.of(np.full(units, shift, np.float32), "dense/bias")
    return chain(Maker().lstm("lstm", 3, 4), replace(head, bias=bias))


def test_an_output_that_is_always_the_same_is_undecided(tmp_path: Path) -> None:
    """The bits are right; but with any mistake in the text the answers would be the same."""
    folder = put_on_disk(dead(2, -100), tmp_path / "out")
    verdict = verify_folder(dead(2, -100), folder)
    assert (verdict.status, verdict.wrong_arrays) == (Status.UNDECIDED, ())
    assert verdict.reason == (
        "output 'dense' is always the same, whatever goes in: it shows no mistake"
    )
    path = folder / "model.py"
    path.write_text(path.read_text().replace("self.lstm(x)", "self.lstm(x.flip(1))"))
    assert verify_folder(dead(2, -100), folder).status is Status.UNDECIDED


def test_an_output_that_is_alive_somewhere_is_equal(tmp_path: Path) -> None:
    model = dead(20, -1)
    assert verify_folder(model, put_on_disk(model, tmp_path / "out")).status is Status.EQUAL


def test_a_softmax_over_one_unit_is_undecided(tmp_path: Path) -> None:
    softmax = Activation.of("softmax")
    model = chain(Maker().lstm("lstm", 3, 4), Maker(1).dense("dense", 4, 1, act=softmax))
    verdict = verify_folder(model, put_on_disk(model, tmp_path / "out"))
    assert verdict.status is Status.UNDECIDED


# What cannot be loaded


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert error(tmp_path / "nowhere") == (
        f"error[no-model-py]: {tmp_path}/nowhere holds no PyTorch model\n"
        "  found: it is not a folder\n"
        "  help:  name the folder that `ifco convert --to pytorch` wrote"
    )


def test_a_file_in_the_place_of_the_folder(folder: Path) -> None:
    assert error(folder / "model.py") == (
        f"error[no-model-py]: {folder}/model.py holds no PyTorch model\n"
        "  found: it is not a folder\n"
        "  help:  name the folder that `ifco convert --to pytorch` wrote"
    )


def test_a_folder_without_a_text(folder: Path) -> None:
    (folder / "model.py").unlink()
    assert error(folder) == (
        f"error[no-model-py]: {folder} holds no PyTorch model\n"
        "  found: no model.py in it\n"
        "  help:  name the folder that `ifco convert --to pytorch` wrote"
    )


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert error(folder) == (
        f"error[not-safetensors]: {folder}/model.safetensors is not a safetensors file\n"
        "  found: it does not exist\n"
        "  help:  convert again"
    )


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 1000, -1])
def test_weights_that_are_cut_off(folder: Path, kept: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    lines = error(folder).split("\n")
    assert lines[0] == f"error[not-safetensors]: {path} is not a safetensors file"
    assert lines[1].startswith("  found: Error while deserializing")
    assert lines[2:] == ["  help:  convert again"]


@pytest.mark.parametrize("byte", [0, 7, 8, 9, 20])
def test_weights_with_a_broken_header(folder: Path, byte: int) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[byte] ^= 0xFF
    path.write_bytes(data)
    assert error(folder).startswith(
        f"error[not-safetensors]: {path} is not a safetensors file\n  found: "
    )


def test_a_text_that_raises(folder: Path) -> None:
    path = folder / "model.py"
    path.write_text('raise RuntimeError("no\\n  such\\n  luck")\n')
    assert error(folder) == (
        f"error[model-py-fails]: {path} cannot be loaded\n"
        "  found: RuntimeError: no such luck\n"
        "  help:  convert again, or run it by hand: python -c 'import model; model.load()'"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def load(:\n", "SyntaxError: invalid syntax (model.py, line 1)"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        (
            "import nothing_of_the_kind",
            "ModuleNotFoundError: No module named 'nothing_of_the_kind'",
        ),
        ("", "AttributeError: module 'ifco_generated_model' has no attribute 'load'"),
        ("load = 3", "TypeError: 'int' object is not callable"),
        ("def load(path): return 3", "its load() gives int; expected an nn.Module"),
        ("def load(path): return None", "its load() gives NoneType; expected an nn.Module"),
        ("\0", "SyntaxError: source code string cannot contain null bytes"),
    ],
)
def test_a_text_that_is_no_model(folder: Path, text: str, found: str) -> None:
    (folder / "model.py").write_text(text)
    lines = error(folder).split("\n")
    assert lines[0] == f"error[model-py-fails]: {folder}/model.py cannot be loaded"
    assert lines[1].startswith(f"  found: {found.split('(')[0].strip()}")
    assert lines[2].startswith("  help:  convert again")
    assert len(lines) == 3


def test_a_text_does_not_inherit_what_our_own_code_asks_of_python(folder: Path) -> None:
    """`from __future__ import annotations` here would change what annotations mean there."""
    verdict = edited(
        folder, "def load(", "assert load_model.__annotations__ is not None\n\n\ndef load("
    )
    assert verdict.status is Status.EQUAL
    path = folder / "model.py"
    path.write_text(path.read_text() + "\nassert load.__annotations__['return'] is ByHand\n")
    assert verify_folder(MODEL, folder).status is Status.EQUAL


def test_a_tensor_that_is_missing(folder: Path) -> None:
    held = load_file(folder / "model.safetensors")
    del held["dense.bias"]
    save_file(held, folder / "model.safetensors")
    assert error(folder) == (
        f"error[model-py-fails]: {folder}/model.py cannot be loaded\n"
        "  found: RuntimeError: Error(s) in loading state_dict for ByHand: Missing key(s) in "
        'state_dict: "dense.bias"\n'
        "  help:  convert again, or run it by hand: python -c 'import model; model.load()'"
    )


def test_a_tensor_of_another_shape(folder: Path) -> None:
    held = load_file(folder / "model.safetensors")
    held["dense.bias"] = np.zeros(3, np.float32)
    save_file(held, folder / "model.safetensors")
    found = error(folder).split("\n")[1]
    assert found.startswith("  found: RuntimeError: Error(s) in loading state_dict for ByHand")
    assert "size mismatch for dense.bias" in found


def test_the_folder_of_another_model_differs_or_fails_by_name(tmp_path: Path) -> None:
    other = chain(Maker(9).lstm("other", 3, 2))
    verdict = verify_folder(MODEL, put_on_disk(other, tmp_path / "out"))
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, "backwards")
    assert verdict.reason == "8 of 8 arrays of the source are not in it bit for bit"
