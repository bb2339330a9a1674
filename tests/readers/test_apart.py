"""Weights in one file and their architecture in another: every form that real Keras writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import converter
from converter.description import Era
from converter.errors import MissingExtraError
from converter.readers import read
from tests.readers.files import counted, layer, sequential, small, small_hdf5

yaml = pytest.importorskip("yaml")

DATA = Path(__file__).parents[1] / "data"
WEIGHTS = DATA / "weights"
PAIRS = [
    ("keras2.weights.h5", "keras2.json"),
    ("keras2_weights.h5", "keras2.json"),
    ("keras3.weights.h5", "keras3.json"),
]
CUDNN = ("cudnn_lstm", "cudnn_gru", "cudnn_bidirectional")

FLOAT32 = 1e-5
"""Of the largest output: Keras's own rounding over 7 steps, measured below 1e-6."""

Error = Callable[..., str]


def near(model: converter.Model, recorded: Path) -> float:
    worst = 0.0
    with np.load(recorded) as file:
        for k in range(2):
            answers = converter.judge(model, file[f"case{k}_in0"])
            for i, one in enumerate(answers if isinstance(answers, tuple) else (answers,)):
                expected = file[f"case{k}_out{i}"]
                worst = max(worst, float(np.abs(one - expected).max() / np.abs(expected).max()))
    return worst


@pytest.mark.parametrize(("weights", "arch"), PAIRS)
def test_weights_and_architecture_answer_as_keras(weights: str, arch: str) -> None:
    model = read(WEIGHTS / weights, arch=WEIGHTS / arch)
    assert near(model, WEIGHTS / f"{arch[:6]}.npz") < FLOAT32


def test_both_files_are_in_the_source() -> None:
    source = read(WEIGHTS / PAIRS[1][0], arch=WEIGHTS / PAIRS[1][1]).source
    assert source.form == "Keras weights (.h5) and the architecture in keras2.json"
    assert (source.version, source.era) == ("2.15.0", Era.TF_KERAS)
    other = read(WEIGHTS / PAIRS[2][0], arch=WEIGHTS / PAIRS[2][1]).source
    assert (other.version, other.era) == ("", Era.KERAS_3)
    assert len({source.sha256, other.sha256}) == 2


@pytest.mark.parametrize("name", CUDNN)
def test_weights_of_cudnn_layers_with_a_whole_model_as_architecture(name: str) -> None:
    folder = DATA / "cudnn"
    for arch in (f"{name}.h5", f"{name}.keras"):
        model = read(folder / f"{name}_weights.h5", arch=folder / arch)
        assert near(model, folder / f"{name}.npz") < FLOAT32


def as_yaml(document: object, **changes: str) -> str:
    """As `model.to_yaml` of Keras 2.5 wrote it: shapes are tuples of Python."""

    def tuples(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: tuple(one) if key == "batch_input_shape" else tuples(one)
                for key, one in value.items()
            }
        return [tuples(one) for one in value] if isinstance(value, list) else value

    text = yaml.dump(tuples(document))
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def test_an_architecture_in_yaml_is_that_in_json(tmp_path: Path) -> None:
    document = json.loads((WEIGHTS / "keras2.json").read_text())
    arch = tmp_path / "model.yaml"
    arch.write_text(as_yaml(document))
    assert "!!python/tuple" in arch.read_text()
    assert near(read(WEIGHTS / "keras2_weights.h5", arch=arch), WEIGHTS / "keras2.npz") < FLOAT32


def test_json_that_was_dumped_as_a_text_is_read(tmp_path: Path) -> None:
    arch = tmp_path / "model.json"
    arch.write_text(json.dumps((WEIGHTS / "keras2.json").read_text()))
    assert near(read(WEIGHTS / "keras2_weights.h5", arch=arch), WEIGHTS / "keras2.npz") < FLOAT32


HOSTILE_YAML = {
    "an object": ("a: !!python/object/apply:os.system ['true']", "could not determine a"),
    "a name": ("a: !!python/name:os.system", "could not determine a constructor"),
    "a bomb": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "\n".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
            for before, name in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "over 1000000 values",
    ),
    "in itself": ("a: &a [*a]", "nested over 100 levels"),
    "merged": ("a: &a {x: 1}\nb: {<<: [*a, *a]}", "a merge of mappings"),
    "twice": ("a: 1\na: 2", 'the key "a" twice'),
    "a date": ("a: 2020-01-01", "not JSON serializable"),
    "no number": ("a: .nan", "Out of range float values"),
    "deep": ("[" * 5000, "recursion"),
    "no key": ("? [a]\n: b", "a key that is no text"),
    "no text": ("1: b", "a key that is no text"),
    "no YAML": ("a: [", "expected the node content"),
}


@pytest.mark.parametrize("case", HOSTILE_YAML)
def test_yaml_that_is_no_data_is_refused(case: str, tmp_path: Path, error_of: Error) -> None:
    text, reason = HOSTILE_YAML[case]
    arch = tmp_path / "model.yaml"
    arch.write_text("# an architecture\n" + text)
    found = error_of(lambda: read(WEIGHTS / "keras2_weights.h5", arch=arch))
    assert found.startswith(
        "error[yaml]: the architecture in model.yaml is not the YAML that Keras writes"
    )
    assert reason in found


def test_yaml_without_pyyaml_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arch = tmp_path / "model.yaml"
    arch.write_text("class_name: Sequential")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError) as caught:
        read(WEIGHTS / "keras2_weights.h5", arch=arch)
    assert str(caught.value) == (
        f"error[missing-extra]: reading the architecture in {arch} needs the package PyYAML\n"
        "  found: YAML, and Python without PyYAML\n"
        "  help:  pip install pyyaml, or write it as JSON: model.to_json()"
    )


def renamed(path: Path, changes: dict[str, str]) -> Path:
    """The architecture of the same model, built once more in one session."""
    text = (WEIGHTS / "keras2.json").read_text()
    for old, new in changes.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    path.write_text(text)
    return path


def test_layers_of_other_names_are_taken_by_their_order(tmp_path: Path) -> None:
    changes = {"both": "both_1", "forward_lstm": "forward_lstm_4", "lstm": "lstm_4"}
    arch = renamed(tmp_path / "model.json", changes | {"inner": "inner_1", "last": "last_1"})
    model = read(WEIGHTS / "keras2_weights.h5", arch=arch)
    assert [one.name for one in model.layers] == [
        "both_1", "inner_1/gru", "inner_1/dense", "last_1",
    ]  # fmt: skip
    assert near(model, WEIGHTS / "keras2.npz") < FLOAT32


def test_a_layer_more_in_the_weights_is_refused(tmp_path: Path, error_of: Error) -> None:
    document = json.loads((WEIGHTS / "keras2.json").read_text())
    config = document["config"]
    config["layers"] = [part for part in config["layers"] if part["name"] != "last"]
    config["output_layers"] = [["inner", 1, 0]]
    arch = tmp_path / "model.json"
    arch.write_text(json.dumps(document))
    found = error_of(lambda: read(WEIGHTS / "keras2_weights.h5", arch=arch))
    assert found.startswith(f"error[surplus-weight]: {WEIGHTS / 'keras2_weights.h5'} has weights")
    assert "'last/last/lstm_cell/kernel:0'" in found


def test_weights_of_another_model_are_misshapen(tmp_path: Path, error_of: Error) -> None:
    text = (WEIGHTS / "keras2.json").read_text().replace('"units": 2', '"units": 5')
    arch = tmp_path / "model.json"
    arch.write_text(text)
    assert error_of(lambda: read(WEIGHTS / "keras2_weights.h5", arch=arch)) == (
        "error[shape]: kernel of layer 'last' of model.json has the wrong shape\n"
        "  found: (3, 8); expected (3, 20)\n"
        "  help:  the file may be cut off or its weights may belong to another model"
    )


@pytest.mark.parametrize("make", [small, small_hdf5])
def test_the_weights_of_a_whole_model_under_another_config(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    whole = make(tmp_path / "whole")
    arch = tmp_path / "model.json"
    config = sequential(
        layer("LSTM", "lstm", units=2, go_backwards=True, batch_input_shape=[None, None, 3]),
        layer("Dense", "dense", units=5),
    )
    arch.write_text(json.dumps(config | {"keras_version": "2.15.0"}))
    lstm, _ = read(whole, arch=arch).layers
    assert lstm.forward.go_backwards
    assert np.array_equal(lstm.forward.kernel.read(), read(whole).layers[0].forward.kernel.read())


NO_ARCHITECTURES = {
    "[1, 2]": "[1, 2]",
    '{"units": 3}': '{"units": 3}',
    "just words": '"just words"',
    '"text"': None,
    "\0\0": "no text",
}


@pytest.mark.parametrize("text", NO_ARCHITECTURES)
def test_what_is_no_architecture_is_refused(text: str, tmp_path: Path, error_of: Error) -> None:
    arch = tmp_path / "arch"
    arch.write_text(text)
    found = error_of(lambda: read(WEIGHTS / "keras2_weights.h5", arch=arch))
    reason = NO_ARCHITECTURES[text]
    if reason is None:
        assert found.startswith("error[json]")
        return
    assert found == (
        f"error[not-an-architecture]: {arch} is not the architecture of a model\n"
        f"  found: {reason}; expected an object with a class_name and a config\n"
        "  help:  give what model.to_json() wrote, or a .keras or .h5 file of the whole model"
    )


def test_bytes_are_no_architecture(tmp_path: Path, error_of: Error) -> None:
    arch = tmp_path / "arch"
    arch.write_bytes(b"\xff\xfe\xfd")
    found = error_of(lambda: read(WEIGHTS / "keras2_weights.h5", arch=arch))
    assert found.startswith("error[not-an-architecture]")


def test_files_without_weights_are_refused(tmp_path: Path, error_of: Error) -> None:
    text = tmp_path / "text"
    text.write_text("nothing")
    table = tmp_path / "table"
    with h5py.File(table, "w") as made:
        made["numbers"] = counted(3)
    for path in (text, table):
        assert error_of(lambda path=path: read(path, arch=WEIGHTS / "keras2.json")).startswith(
            "error[no-weights]"
        )


def test_an_architecture_alone_does_not_say_its_keras(tmp_path: Path, error_of: Error) -> None:
    arch = tmp_path / "model.json"
    document = json.loads((WEIGHTS / "keras2.json").read_text())
    arch.write_text(json.dumps({key: document[key] for key in ("class_name", "config")}))
    # The older form of the file says it, the newer does not.
    assert read(WEIGHTS / "keras2_weights.h5", arch=arch).source.version == "2.15.0"
    found = error_of(lambda: read(WEIGHTS / "keras2.weights.h5", arch=arch))
    assert found.startswith("error[version]: model.json does not say which Keras wrote it")
    model = read(WEIGHTS / "keras2.weights.h5", arch=arch, era=Era.TF_KERAS)
    assert near(model, WEIGHTS / "keras2.npz") < FLOAT32


def test_weights_are_converted_and_verified_with_their_architecture(tmp_path: Path) -> None:
    source, arch = WEIGHTS / "keras2_weights.h5", WEIGHTS / "keras2.json"
    done = converter.convert(source, arch=arch, out=tmp_path / "out")
    assert done.verdict is not None
    assert done.verdict.status is converter.Status.EQUAL
    assert done.record["source"]["form"].endswith("and the architecture in keras2.json")
    assert converter.verify(source, tmp_path / "out", arch=arch).status is converter.Status.EQUAL
