"""Layers models of TensorFlow.js: whole and quantised weights, shards, old forms, bad manifests."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.description import Era, Model, Recurrent
from converter.errors import ConverterError, FormatError
from converter.gates import Array
from converter.judge import judge
from converter.readers import read
from tests.readers.files import (
    BIAS,
    DENSE,
    DENSE_BIAS,
    KERNEL,
    RECURRENT,
    SMALL,
    Config,
    called_2,
    counted,
    functional,
    layer,
    sequential,
)
from tests.readers.tensorflow_files import layers_model, recorded

Error = Callable[[Callable[[], object]], str]

DATA = Path(__file__).parents[1] / "data" / "tfjs"
LSTM_TEXT = "models/reiinakano+tfjs-lstm-text-generation/lstm"
ROUNDING = 1e-5
"""Of the largest output: Keras's float32 over up to seven steps. Measured: 4e-7."""

SMALL_WEIGHTS: dict[str, Array] = {
    "lstm/lstm_cell/kernel": KERNEL,
    "lstm/lstm_cell/recurrent_kernel": RECURRENT,
    "lstm/lstm_cell/bias": BIAS,
    "dense/kernel": DENSE,
    "dense/bias": DENSE_BIAS,
}


def topology(config: Config = SMALL, version: str = "2.15.0") -> dict[str, Any]:
    """What model.json says of the layers."""
    return {"keras_version": version, "backend": "tensorflow", "model_config": config}


def small(folder: Path, **more: Any) -> Path:
    """An LSTM and a Dense."""
    return layers_model(folder, topology(), {"one": SMALL_WEIGHTS}, format="layers-model", **more)


def arrays(model: Model) -> dict[str, Array]:
    """Every stored array by its name."""
    return {
        stored.name: stored.read()
        for part in model.layers
        for weight in part.weights.values()
        for stored in weight.stored
    }


def test_every_array_is_where_keras_has_it() -> None:
    said = recorded(DATA / "float32")
    expected = sorted(array.tobytes() for key, array in said.items() if "|" in key)
    assert sorted(array.tobytes() for array in arrays(read(DATA / "float32")).values()) == expected
    lstm = read(DATA / "float32").layer("directions")
    assert isinstance(lstm, Recurrent)
    assert lstm.forward.kernel.stored[0].read().tobytes() == said["directions|0"].tobytes()


@pytest.mark.parametrize("name", ["float32", "uint16", "float16", "uint8"])
def test_the_answers_are_those_of_keras(name: str) -> None:
    # What was quantised is another model: two bytes of a scale are 1e-5 of it, one is 1e-2.
    tolerance = {"float32": ROUNDING, "uint16": 2e-3, "float16": 1e-2, "uint8": 0.5}[name]
    model, said = read(DATA / name), recorded(DATA / name)
    for case in range(3):
        for k, y in enumerate(judge(model, said[f"case{case}_in0"])):
            expected = said[f"case{case}_out{k}"]
            assert np.abs(y - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", ["uint8", "uint16"])
def test_whole_numbers_become_what_javascript_computes(name: str) -> None:
    # `values[i] = v * scale + min` in float64, rounded when it is put into a Float32Array.
    manifest = json.loads((DATA / name / "model.json").read_text())["weightsManifest"]
    found = arrays(read(DATA / name))
    (group,) = manifest
    data = b"".join((DATA / name / path).read_bytes() for path in group["paths"])
    offset = 0
    for entry in group["weights"]:
        how = entry["quantization"]
        size = int(np.prod(entry["shape"]))
        whole = np.frombuffer(data, {"uint8": "u1", "uint16": "<u2"}[name], size, offset)
        offset += whole.nbytes
        expected = [float(v) * how["scale"] + how["min"] for v in whole.tolist()]
        assert found[entry["name"]].dtype == np.float32
        assert found[entry["name"]].tobytes() == np.array(expected, np.float32).tobytes()
    assert offset == len(data)


def test_a_quantised_array_is_near_the_one_that_was_quantised() -> None:
    said = recorded(DATA / "uint8")
    found = arrays(read(DATA / "uint8"))["directions/forward_lstm/lstm_cell/kernel"]
    step = np.ptp(said["directions|0"]) / 255
    assert 0 < np.abs(found - said["directions|0"]).max() < step


def test_half_precision_is_widened_exactly() -> None:
    said = recorded(DATA / "float16")["directions|0"]
    found = arrays(read(DATA / "float16"))["directions/forward_lstm/lstm_cell/kernel"]
    assert found.tobytes() == said.astype(np.float16).astype(np.float32).tobytes()


def test_the_form_of_2018_is_read(corpus: Path) -> None:
    # Layers without "format", a shard a group, and names "lstm_2/kernel" of Keras 2.1.5.
    folder = corpus / LSTM_TEXT
    model = read(folder)
    lstm, dense, _ = model.layers
    assert isinstance(lstm, Recurrent)
    assert model.source.era is Era.KERAS_2
    raw = np.fromfile(folder / "group2-shard1of1", "<f4")
    kernel = raw[: 57 * 512].reshape(57, 512)
    for k, gate in enumerate("ifco"):
        assert np.array_equal(lstm.gates[gate].kernel, kernel[:, 128 * k : 128 * (k + 1)])
    assert lstm.forward.bias is not None
    assert lstm.forward.bias.stored[0].read().tobytes() == raw[-512:].tobytes()
    other = np.fromfile(folder / "group1-shard1of1", "<f4")
    assert dense.weights["kernel"].read().tobytes() == other[: 128 * 57].tobytes()


def test_the_folder_and_its_file_say_the_same_and_the_hash_is_of_all_files(tmp_path: Path) -> None:
    folder = small(tmp_path / "m")
    one, other = arrays(read(folder)), arrays(read(folder / "model.json"))
    assert {k: a.tobytes() for k, a in one.items()} == {k: a.tobytes() for k, a in other.items()}
    source = read(folder).source
    assert (source.path, source.form) == (str(folder), "TensorFlow.js layers model")
    lines = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("model.json", "one")
    )
    assert source.sha256 == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("name", ["model.json", "renamed", "model.keras"])
def test_the_name_of_the_file_does_not_matter(name: str, tmp_path: Path) -> None:
    path = small(tmp_path / "m") / "model.json"
    assert len(read(path.rename(path.with_name(name))).layers) == 2


def test_weights_may_lie_across_shards(tmp_path: Path) -> None:
    folder = small(tmp_path / "m")
    whole = (folder / "one").read_bytes()
    document = json.loads((folder / "model.json").read_text())
    names = []
    for k, start in enumerate(range(0, len(whole), 7)):
        names.append(f"part{k}")
        (folder / names[-1]).write_bytes(whole[start : start + 7])
    document["weightsManifest"][0]["paths"] = names
    (folder / "model.json").write_text(json.dumps(document))
    assert {k: a.tobytes() for k, a in arrays(read(folder)).items()} == {
        k: a.tobytes() for k, a in SMALL_WEIGHTS.items()
    }


def test_directions_and_layers_of_a_model_in_a_model_are_told_apart(tmp_path: Path) -> None:
    recurrent = {"class_name": "SimpleRNN", "config": {"name": "rnn", "units": 2}}
    inner = sequential(layer("Dense", "dense_2", units=3))
    inner["config"]["name"] = "inner"
    x = {"batch_input_shape": [None, None, 3], "dtype": "float32"}
    parts = [
        called_2(layer("InputLayer", "x", **x)),
        called_2(layer("Dense", "dense_1", units=3), [["x", 0, 0, {}]]),
        called_2(inner, [["dense_1", 0, 0, {}]]),
        called_2(layer("Bidirectional", "both", layer=recurrent), [["inner", 1, 0, {}]]),
    ]
    inner["config"]["layers"].insert(0, layer("InputLayer", "i", **x))
    weights = {}
    for k, (name, shape) in enumerate(
        {
            "dense_2/kernel": (3, 3),
            "dense_2/bias": (3,),
            "both/backward_rnn/kernel": (3, 2),
            "both/backward_rnn/recurrent_kernel": (2, 2),
            "both/backward_rnn/bias": (2,),
            "dense_1/kernel": (3, 3),
            "dense_1/bias": (3,),
            "both/forward_rnn/kernel": (3, 2),
            "both/forward_rnn/recurrent_kernel": (2, 2),
            "both/forward_rnn/bias": (2,),
        }.items()
    ):
        weights[name] = counted(*shape, start=100 * k)
    config = functional(parts, ["x"], ["both"])
    model = read(layers_model(tmp_path / "m", topology(config), {"s": weights}))
    found = {
        (part.name, name): weight.stored[0].name
        for part in model.layers
        for name, weight in part.weights.items()
    }
    assert found["inner/dense_2", "kernel"] == "dense_2/kernel"
    assert found["dense_1", "kernel"] == "dense_1/kernel"
    assert found["both", "forward.kernel"] == "both/forward_rnn/kernel"
    assert found["both", "backward.kernel"] == "both/backward_rnn/kernel"


def test_layers_of_tensorflow_js_itself_are_those_of_keras_2(tmp_path: Path) -> None:
    own = {**SMALL, "keras_version": "tfjs-layers 4.22.0", "backend": "tensor_flow.js"}
    model = read(layers_model(tmp_path / "m", own, {"weights.bin": SMALL_WEIGHTS}))
    assert model.source.era is Era.KERAS_2
    assert model.source.version == "tfjs-layers 4.22.0"
    lstm = model.layers[0]
    assert isinstance(lstm, Recurrent)
    assert "hard_sigmoid" in lstm.forward.recurrent_activation.kind


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The small model with another manifest."""
    small(folder)
    document = json.loads((folder / "model.json").read_text())
    change(document)
    (folder / "model.json").write_text(json.dumps(document))
    return folder


def weight(**parts: Any) -> Callable[[dict[str, Any]], object]:
    """A change of the first weight."""
    return lambda document: document["weightsManifest"][0]["weights"][0].update(parts)


def paths(*names: Any) -> Callable[[dict[str, Any]], object]:
    """Other shards."""
    return lambda document: document["weightsManifest"][0].update(paths=list(names))


MANIFEST = (
    "error[manifest]: the manifest of m/model.json is not as TensorFlow.js writes it\n  found: "
)
OUTSIDE = "error[outside]: m/model.json names a file that is not beside it\n  found: "

WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no list": (lambda d: d.update(weightsManifest={}), MANIFEST + "{}; expected a list"),
    "no object": (lambda d: d.update(weightsManifest=[1]), MANIFEST + "1; expected an object"),
    "no paths": (paths(1), MANIFEST + "paths [1]"),
    "same twice": (paths("one", "one"), MANIFEST + "'one' twice"),
    "no weights": (lambda d: d["weightsManifest"][0].pop("weights"), MANIFEST + "null; expected"),
    "name": (weight(name=None), MANIFEST + "a weight called null"),
    "names": (weight(name="dense/bias"), MANIFEST + "two weights of one name"),
    "negative": (weight(shape=[-3, 8]), MANIFEST + "'lstm/lstm_cell/kernel' of shape [-3, 8]"),
    "fraction": (weight(shape=[3.0, 8]), MANIFEST + "'lstm/lstm_cell/kernel' of shape [3.0, 8]"),
    "huge": (
        weight(shape=[2**40, 2**40]),
        "error[shard-size]: the shards of m/model.json are not as long as its manifest says\n"
        "  found: 252 bytes; expected 4835703278458516698824",
    ),
    "turned": (
        weight(shape=[8, 3]),
        "error[shape]: kernel of layer 'lstm' of m has the wrong shape\n  found: (8, 3); expected",
    ),
    "text": (
        weight(dtype="string"),
        "error[stored-weights]: 'lstm/lstm_cell/kernel' in m/model.json is stored in a way that "
        'is not read\n  found: "string"\n',
    ),
    "whole": (weight(dtype="int32"), "error[dtype]: kernel of layer 'lstm' of m does not hold flo"),
    "no scale": (
        weight(quantization={"dtype": "uint8", "min": 0}),
        MANIFEST + "scale of 'lstm/lstm_cell/kernel' is null; expected a number",
    ),
    "parent": (paths("../one"), OUTSIDE + "'../one'\n"),
    "absolute": (paths("/etc/passwd"), OUTSIDE + "'/etc/passwd'\n"),
    "inner parent": (paths("a/../../one"), OUTSIDE + "'a/../../one'\n"),
    "windows": (paths("..\\one"), OUTSIDE + "'..\\\\one'\n"),
    "drive": (paths("c:one"), OUTSIDE + "'c:one'\n"),
    "nul": (paths("one\0"), OUTSIDE + "'one\\x00'\n"),
    "address": (paths("https://example.com/one"), OUTSIDE),
    "empty": (paths(""), OUTSIDE + "''\n"),
    "itself": (paths("."), OUTSIDE + "'.'\n"),
    "not there": (paths("two"), "error[not-found]: m/two is not there\n"),
    "missing": (
        lambda d: d["modelTopology"]["model_config"]["config"]["layers"].append(
            layer("Dense", "more", units=5)
        ),
        "error[missing-weight]: kernel of layer 'more' of m is missing\n",
    ),
    "surplus": (
        weight(name="other/kernel"),
        "error[missing-weight]: kernel of layer 'lstm' of m is missing\n",
    ),
    "no version": (
        lambda d: d["modelTopology"].pop("keras_version"),
        "error[version]: m does not say which Keras wrote it\n",
    ),
    "graph": (
        lambda d: d.update(format="graph-model"),
        "error[no-config]: m/model.json has no layers, only a graph that TensorFlow.js executes\n"
        '  found: format "graph-model"\n'
        "  help:  give the Keras model that it was made from, or convert that to a layers model",
    ),
    "graph of 2018": (
        lambda d: (d.pop("format"), d.update(modelTopology={"node": []})),
        "error[no-config]: m/model.json has no layers",
    ),
    "architecture": (
        lambda d: (d.clear(), d.update(SMALL)),
        "error[no-weights]: m/model.json has an architecture and no weights\n"
        "  found: what model.to_json() gives\n",
    ),
    "other JSON": (
        lambda d: (d.clear(), d.update(a=1)),
        'error[not-a-model]: m/model.json is not a saved model\n  found: {"a": 1}\n',
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_by_name(name: str, tmp_path: Path, error_of: Error) -> None:
    change, expected = WRONG[name]
    folder = changed(tmp_path / "m", change)
    text = error_of(lambda: arrays(read(folder))).replace(f"{tmp_path}/", "")
    assert text.startswith(expected)


def test_a_shard_that_links_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = small(tmp_path / "m")
    (folder / "one").rename(tmp_path / "secret")
    (folder / "one").symlink_to(tmp_path / "secret")
    with pytest.raises(FormatError, match="not beside it"):
        read(folder)
    (folder / "one").unlink()
    (folder / "inner").symlink_to(tmp_path)
    document = json.loads((folder / "model.json").read_text())
    document["weightsManifest"][0]["paths"] = ["inner/secret"]
    (folder / "model.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="not beside it"):
        read(folder)


def test_a_name_that_fits_two_layers_is_refused(tmp_path: Path, error_of: Error) -> None:
    def nested(name: str) -> Config:
        inner = sequential(layer("Dense", "same", units=3))
        inner["config"]["name"] = name
        return inner

    first = layer("InputLayer", "x", batch_input_shape=[None, 3], dtype="float32")
    config = sequential(first, nested("a"), nested("b"))
    weights = {"same/kernel": counted(3, 3), "same/bias": counted(3)}
    folder = layers_model(tmp_path / "m", topology(config), {"s": weights})
    assert error_of(lambda: read(folder)).replace(f"{tmp_path}/", "") == (
        "error[ambiguous-weights]: it cannot be said which layer of m a weight belongs to\n"
        "  found: 'same/kernel' of 'a', 'b'\n"
        "  help:  give the layers different names and convert the model again"
    )


def test_a_changed_number_is_no_other_error(tmp_path: Path) -> None:
    # Every value of the manifest by every kind of JSON: a model, or an error of the project.
    kinds: tuple[Any, ...] = (None, True, -1, 0, 1.5, 10**18, "", "x", [], {}, [None], {"a": 1})
    shutil.copytree(DATA / "uint8", tmp_path / "m")
    document = json.loads((tmp_path / "m" / "model.json").read_text())
    (group,) = document["weightsManifest"]
    first = group["weights"][0]
    places: list[tuple[Any, Any]] = [
        *((group, key) for key in group),
        *((first, key) for key in first),
        *((first["quantization"], key) for key in first["quantization"]),
        *((document, key) for key in document),
        (first["shape"], 0),
        (group["paths"], 0),
    ]
    said = set()
    for holder, key in places:
        kept = holder[key]
        for value in kinds:
            holder[key] = value
            (tmp_path / "m" / "model.json").write_text(json.dumps(document))
            try:
                arrays(read(tmp_path / "m"))
            except ConverterError as error:
                said.add(error.code)
        holder[key] = kept
    assert {"manifest", "stored-weights", "shard-size"} <= said


def test_the_mapping_of_names_is_not_by_order(tmp_path: Path) -> None:
    backwards: Mapping[str, Array] = dict(reversed(SMALL_WEIGHTS.items()))
    found = arrays(read(layers_model(tmp_path / "m", topology(), {"one": backwards})))
    assert found["lstm/lstm_cell/kernel"].tobytes() == KERNEL.tobytes()
