"""SavedModels of Keras 2: configs and arrays as Keras has them, without TensorFlow."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converter.description import Era, Recurrent
from converter.errors import UnsupportedError
from converter.judge import judge
from converter.readers import read
from converter.readers.wire import message
from tests.readers.files import KERNEL, SMALL, given, layer, sequential, small_hdf5
from tests.readers.tensorflow_files import (
    field,
    metadata,
    recorded,
    saved_model,
)

Error = Callable[[Callable[[], object]], str]

DATA = Path(__file__).parents[1] / "data" / "savedmodel"
MODELS = ("attention", "layers", "traced", "trained")
ROUNDING = 1e-5
"""Of the largest output: Keras's float32 over up to seven steps. Measured: 4e-7."""

GRU = "models/iteam1+predict-series-data-with-RNN/gru_model"


@pytest.mark.parametrize("name", MODELS)
def test_every_array_is_where_keras_has_it(name: str) -> None:
    arrays = {key: array for key, array in recorded(DATA / name).items() if "|" in key}
    for part in read(DATA / name).layers:
        owner = "stack" if part.name.startswith("stack/") else part.name
        for weight in part.weights.values():
            (stored,) = weight.stored
            first = next(key for key in arrays if key.rsplit("|", 1)[0] == owner)
            expected = arrays.pop(first)
            assert stored.read().dtype == expected.dtype
            assert stored.read().tobytes() == expected.tobytes(), stored.name
    assert not arrays


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_those_of_keras(name: str) -> None:
    model = read(DATA / name)
    said = recorded(DATA / name)
    for case in range(3):
        found = judge(model, said[f"case{case}_in0"])
        for k, y in enumerate(found if isinstance(found, tuple) else (found,)):
            expected = said[f"case{case}_out{k}"]
            assert np.abs(y - expected).max() < ROUNDING * np.abs(expected).max()


def test_a_wrong_order_of_gates_does_not_give_them() -> None:
    model = read(DATA / "layers")
    said = recorded(DATA / "layers")
    swapped = model.map_weights(
        lambda part, name, weight: (
            type(weight).of(weight.read()[[1, 0, 2, 3]])
            if (part.name, name) == ("directions", "forward.kernel")
            else weight
        )
    )
    y, _ = judge(swapped, said["case2_in0"])
    expected = said["case2_out0"]
    assert np.abs(y - expected).max() > 100 * ROUNDING * np.abs(expected).max()


def test_a_model_of_the_corpus_answers_as_keras_does(corpus: Path) -> None:
    model = read(corpus / GRU)
    golden = np.load(corpus / "golden" / "0c8fcae23661.npz")
    for case in range(3):
        y = judge(model, golden[f"case{case}_in0"])
        expected = golden[f"case{case}_out0"]
        assert np.abs(y - expected).max() < ROUNDING * np.abs(expected).max()


def test_the_folder_its_file_and_a_path_say_the_same() -> None:
    folder = DATA / "layers"
    assert content(str(folder)) == content(folder / "saved_model.pb")


def content(path: str | Path) -> list[tuple[str, str, bytes]]:
    """Every array, with where it is."""
    return [
        (part.name, name, weight.read().tobytes())
        for part in read(path).layers
        for name, weight in part.weights.items()
    ]


def test_the_source_is_recorded_with_a_hash_of_all_its_files() -> None:
    source = read(DATA / "trained").source
    assert source.path == str(DATA / "trained")
    assert (source.form, source.version) == ("TensorFlow SavedModel", "2.15.0")
    assert source.era is Era.TF_KERAS
    names = [
        "saved_model.pb",
        "keras_metadata.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
    ]
    lines = "".join(
        f"{hashlib.sha256((DATA / 'trained' / name).read_bytes()).hexdigest()}  {name}\n"
        for name in names
    )
    assert source.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_the_era_can_be_said() -> None:
    assert read(DATA / "trained", era=Era.KERAS_2).source.era is Era.KERAS_2


def test_a_folder_made_by_hand_is_the_same_model_as_an_h5(tmp_path: Path) -> None:
    one, other = saved_model(tmp_path / "saved"), small_hdf5(tmp_path / "model")
    assert content(one) == content(other)


def test_before_tensorflow_2_5_the_metadata_stand_in_saved_model_pb(tmp_path: Path) -> None:
    # The real metadata of the traced model, moved to where TensorFlow 2.0 to 2.4 had them:
    # SavedUserObject.metadata of the first object in saved_object_graph.proto.
    old = tmp_path / "old"
    shutil.copytree(DATA / "traced", old)
    (old / "keras_metadata.pb").unlink()
    whole = memoryview((old / "saved_model.pb").read_bytes())
    graph = message(message(whole, 2), 7)
    nodes = memoryview((DATA / "traced" / "keras_metadata.pb").read_bytes())
    text = next(
        bytes(message(node, 5)) for _, node in _messages(nodes) if message(node, 3) == b"root"
    )
    first = next(node for number, node in _messages(graph) if number == 1)
    user = field(4, bytes(message(first, 4)) + field(3, text))
    edges = b"".join(field(1, bytes(edge)) for number, edge in _messages(first) if number == 1)
    rest = b"".join(field(n, bytes(v)) for n, v in list(_messages(graph))[1:])
    meta = field(2, field(7, field(1, edges + user) + rest))
    (old / "saved_model.pb").write_bytes(field(1, 1) + meta)
    model = read(old)
    assert [part.name for part in model.layers] == ["rnn"]
    y = judge(model, recorded(DATA / "traced")["case1_in0"])
    assert np.abs(y - recorded(DATA / "traced")["case1_out0"]).max() < ROUNDING


def _messages(data: memoryview) -> list[tuple[int, memoryview]]:
    from converter.readers.wire import fields

    return [(number, value) for number, value in fields(data) if not isinstance(value, int)]


def test_metadata_inside_and_beside_are_the_same(tmp_path: Path) -> None:
    inside = saved_model(tmp_path / "inside", inside=True)
    assert content(inside) == content(saved_model(tmp_path / "beside"))
    lstm = read(inside).layer("lstm")
    assert isinstance(lstm, Recurrent)
    assert np.array_equal(lstm.gates["f"].kernel, KERNEL[:, 2:4])


def test_tuples_and_shapes_are_written_as_classes(tmp_path: Path) -> None:
    shape = {"class_name": "__tuple__", "items": [None, None, 3]}
    first = layer("InputLayer", "x", batch_input_shape=shape, dtype="float32")
    built = {"class_name": "TensorShape", "items": [None, None, 3]}
    config = sequential(first, *SMALL["config"]["layers"][1:], build_input_shape=built)
    assert read(saved_model(tmp_path / "m", config)).inputs[0].shape == (None, None, 3)


def test_a_sequential_does_not_count_its_input(tmp_path: Path) -> None:
    layers = SMALL["config"]["layers"]
    assert len(layers) == 3
    assert len(read(saved_model(tmp_path / "m", sequential(*layers))).layers) == 2


REFUSED = {
    "own_class": (
        "error[subclassed-model]: the model of model is a subclass: what it computes is in its "
        "Python code\n"
        '  found: "Own", not Functional, Model, Sequential\n'
        "  help:  build it from layers as a Functional model and save that"
    ),
    "module": (
        "error[no-config]: model has no layers, only a graph that TensorFlow executes\n"
        '  found: an object "_generic_user_object" with "double", "signatures"\n'
        "  help:  save the Keras model from which it was made: model.save('model.keras') or .h5"
    ),
    "exported": (
        "error[no-config]: model has no layers, only a graph that TensorFlow executes\n"
        "  found: what model.export of Keras 3 writes\n"
        "  help:  save the model itself: model.save('model.keras')"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_layers_is_refused_by_name(name: str, error_of: Error) -> None:
    text = error_of(lambda: read(DATA / name)).replace(str(DATA / name), "model")
    assert text == REFUSED[name]


def test_metadata_that_were_left_behind_are_missed(tmp_path: Path, error_of: Error) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DATA / "trained", folder)
    (folder / "keras_metadata.pb").unlink()
    assert error_of(lambda: read(folder)).replace(str(folder), "model") == (
        "error[no-config]: model has no metadata of its model, only the graph that TensorFlow "
        "executes\n"
        '  found: "_tf_keras_sequential" without a config; no keras_metadata.pb beside '
        "saved_model.pb\n"
        "  help:  copy keras_metadata.pb too, or load it in Keras 2 and save it as .h5"
    )


def test_a_layer_without_a_config_is_no_model(tmp_path: Path) -> None:
    only = saved_model(tmp_path / "model", identifier="_tf_keras_layer")
    with pytest.raises(UnsupportedError, match="no metadata of its model"):
        read(only)


def test_metadata_without_a_version_are_refused(tmp_path: Path, error_of: Error) -> None:
    folder = saved_model(tmp_path / "model", text=json.dumps({"class_name": "Sequential"}))
    assert error_of(lambda: read(folder)).replace(str(folder), "model") == (
        "error[config]: the metadata of model are not as Keras writes them\n"
        '  found: {"class_name": "Sequential"}; expected a keras_version\n'
        "  help:  the file may be damaged; save the model again"
    )


def test_a_model_config_beside_the_config_is_taken(tmp_path: Path) -> None:
    own = {"class_name": "Sequential", "config": SMALL["config"]}
    text = metadata({"class_name": "Sequential"}, model_config=own)
    assert len(read(saved_model(tmp_path / "model", text=text)).layers) == 2


def test_weights_of_another_model_are_noticed(tmp_path: Path, error_of: Error) -> None:
    config = sequential(given((None, None, 3)), layer("LSTM", "lstm", units=2))
    folder = saved_model(tmp_path / "model", config)
    assert error_of(lambda: read(folder)).replace(str(folder), "model") == (
        "error[other-model]: the weights in model/variables/variables.index are not those of "
        "model 'model' of model\n"
        "  found: 2 layers; expected 1\n"
        "  help:  its weights may belong to another model"
    )
