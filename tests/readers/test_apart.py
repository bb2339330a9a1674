"""Weights in one file and their architecture in another: every form that real Keras writes."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import converter
from converter.description import Era
from converter.errors import MissingExtraError
from converter.readers import read
from tests.readers.files import counted, layer, same, sequential, small, small_hdf5

yaml = pytest.importorskip("yaml")

DATA = Path(__file__).parents[1] / "data"
WEIGHTS = DATA / "weights"
PAIRS = [
    ("keras2.weights.h5", "keras2.json"),
    ("keras2_weights.h5", "keras2.json"),
    ("keras3.weights.h5", "keras3.json"),
    ("keras3_sharded.weights.json", "keras3.json"),
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


def shards(folder: Path) -> Path:
    """A copy of the weights in shards."""
    for path in WEIGHTS.glob("keras3_sharded*"):
        shutil.copy(path, folder)
    return folder / "keras3_sharded.weights.json"


def test_weights_in_shards_are_those_in_one_file() -> None:
    one, many = (
        read(WEIGHTS / name, arch=WEIGHTS / "keras3.json")
        for name in ("keras3.weights.h5", "keras3_sharded.weights.json")
    )
    assert many.source.form.startswith("Keras weights (.weights.json, 3 shards) and ")
    for layer_, other in zip(one.layers, many.layers, strict=True):
        for name, weight in layer_.weights.items():
            assert np.array_equal(weight.read(), other.weights[name].read())


def test_a_shard_that_is_not_there_is_named(tmp_path: Path, error_of: Error) -> None:
    path = shards(tmp_path)
    (tmp_path / "keras3_sharded_00001.weights.h5").unlink()
    found = error_of(lambda: read(path, arch=WEIGHTS / "keras3.json"))
    assert found.startswith("error[not-found]")
    assert "keras3_sharded_00001.weights.h5 is not there" in found


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"/layers/lstm/cell/vars": ["../keras3.weights.h5"]}, "outside"),
        ({"/layers/lstm/cell/vars": ["/etc/hostname"]}, "outside"),
        ({"/layers/lstm/cell/vars": [3]}, "weight-map"),
        ({}, "weight-map"),
        (None, "no-weights"),
    ],
)
def test_a_map_that_keras_does_not_write_is_refused(
    changed: object, code: str, tmp_path: Path, error_of: Error
) -> None:
    path = shards(tmp_path)
    path.write_text(json.dumps({"metadata": {}, "weight_map": changed}))
    assert error_of(lambda: read(path, arch=WEIGHTS / "keras3.json")).startswith(f"error[{code}]")


def test_an_array_in_two_shards_is_refused(tmp_path: Path, error_of: Error) -> None:
    path = shards(tmp_path)
    with h5py.File(tmp_path / "keras3_sharded_00001.weights.h5", "a") as file:
        file["layers/lstm/cell/vars/0"] = counted(3, 8)
    found = error_of(lambda: read(path, arch=WEIGHTS / "keras3.json"))
    assert found.startswith("error[weight-names]")
    assert "'layers/lstm/cell/vars/0' in two shards" in found


def test_an_archive_that_was_never_zipped_is_the_archive(tmp_path: Path, error_of: Error) -> None:
    archive = DATA / "keras3" / "lstm.keras"
    folder = tmp_path / "folder"
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    one = read(archive)
    for source in (folder, folder / "config.json"):
        other = read(source)
        assert other.source.form == "Keras archive (.keras), unzipped"
        assert other.source.path == str(source)
        for name, weight in one.layers[0].weights.items():
            assert np.array_equal(weight.read(), other.layers[0].weights[name].read())
    (folder / "model.weights.h5").unlink()
    assert error_of(lambda: read(folder)).startswith("error[not-found]")


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
        "  help:  give what model.to_json() wrote, or a saved model"
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


LAYERS = DATA / "savedmodel/layers"
SAME = {
    "a SavedModel": LAYERS,
    "its saved_model.pb": LAYERS / "saved_model.pb",
    "a folder of TensorFlow.js": DATA / "tfjs/float32",
    "its model.json": DATA / "tfjs/float32/model.json",
}
"""The architecture of the weights in `LAYERS`, as different tools wrote it."""


@pytest.mark.parametrize("case", SAME)
def test_an_architecture_is_taken_out_of_every_form(case: str) -> None:
    whole = read(LAYERS)
    apart = read(LAYERS / "variables/variables.index", arch=SAME[case])
    assert same(apart, whole)
    assert apart.source.form.endswith(f" and the architecture in {SAME[case].name}")
    assert (apart.source.version, apart.source.era) == ("2.15.0", Era.TF_KERAS)


def test_an_architecture_of_another_model_is_refused(error_of: Error) -> None:
    found = error_of(
        lambda: read(LAYERS / "variables/variables.index", arch=WEIGHTS / "keras2.json")
    )
    assert found.startswith("error[other-model]")


def test_a_folder_without_layers_is_no_architecture(error_of: Error) -> None:
    for name in ("exported", "module"):
        arch = DATA / "savedmodel" / name
        found = error_of(lambda arch=arch: read(LAYERS / "variables/variables.index", arch=arch))
        assert found.startswith(f"error[no-config]: {arch} has no layers")


def test_an_archive_that_was_never_zipped_is_an_architecture(tmp_path: Path) -> None:
    archive = DATA / "keras3" / "lstm.keras"
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "folder")
    found = read(archive, arch=tmp_path / "folder")
    assert same(found, read(archive))
    assert found.source.version == "3.15.1"


@pytest.mark.parametrize("name", ["keras2", "keras3"])
def test_an_architecture_is_a_dictionary(name: str) -> None:
    document = json.loads((WEIGHTS / f"{name}.json").read_text())
    whole = read(WEIGHTS / f"{name}.weights.h5", arch=WEIGHTS / f"{name}.json")
    found = read(WEIGHTS / f"{name}.weights.h5", arch=document)
    assert same(found, whole)
    assert found.source.form.endswith(" and the architecture in the config")
    assert found.source.era is whole.source.era
    # What get_config gives has no class, and tuples in it; of Keras 2, no version either.
    own = document["config"] | {"input_layers": tuple(document["config"]["input_layers"])}
    of_keras_2 = {"era": Era.TF_KERAS} if name == "keras2" else {}
    assert same(read(WEIGHTS / f"{name}.weights.h5", arch=own, **of_keras_2), whole)


def test_a_dictionary_that_is_no_architecture_is_refused(error_of: Error) -> None:
    weights = WEIGHTS / "keras3.weights.h5"
    assert error_of(lambda: read(weights, arch={"units": 3})) == (
        "error[not-an-architecture]: the config is not the architecture of a model\n"
        '  found: {"units": 3}; expected an object with a class_name and a config\n'
        "  help:  give what model.to_json() wrote, or a saved model"
    )
    assert error_of(lambda: read(weights, arch={"layers": [np.zeros(3)]})) == (
        "error[config-type]: a config is data: texts, numbers, lists and dictionaries\n"
        "  found: Object of type ndarray is not JSON serializable\n"
        "  help:  give json.loads(model.to_json())"
    )


def test_the_config_of_an_archive_of_keras_2_is_not_taken_for_keras_3(error_of: Error) -> None:
    archive = DATA / "keras215" / "lstm.keras"
    with zipfile.ZipFile(archive) as file:
        document = json.loads(file.read("config.json"))
    found = error_of(lambda: read(archive, arch=document))
    assert found.startswith("error[version]: the config does not say which Keras wrote it")
    assert same(read(archive, arch=document, era=Era.TF_KERAS), read(archive))
