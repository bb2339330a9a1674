"""What is written: names, order, states, and what is refused, each by the whole text."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import converter
from converter.activations import Activation
from converter.description import Activate, Call, Dense, Model, Recurrent, Value, Weight
from converter.errors import UnsupportedError
from converter.gates import Cell
from converter.targets.keras import Dialect, write_archive, write_model, write_weights
from converter.targets.keras.names import keras_names
from converter.targets.keras.order import layer_order
from tests.models_by_hand import Maker, chain
from tests.targets.keras.keras_files import DATA, put

HARD = Activation.of("hard_sigmoid", alpha=0.2)


def lstm(**changes: object) -> Recurrent:
    layer = Maker(0).recurrent("lstm", Cell.LSTM, 3, 4)
    return replace(layer, forward=replace(layer.forward, **changes))


def refused(model: Model, dialect: Dialect = Dialect.KERAS_3) -> str:
    with pytest.raises(UnsupportedError) as caught:
        write_model(model, dialect)
    return str(caught.value)


def config_of(model: Model, name: str) -> dict:
    layers = write_model(model).config["config"]["layers"]
    return next(layer["config"] for layer in layers if layer["name"] == name)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for suffix in (".keras", ".h5", ".weights.h5"):
        model = converter.read(DATA / "keras3/lstm_stacked.keras")
        dialect = Dialect.LEGACY if suffix == ".h5" else Dialect.KERAS_3
        one, other = (
            put(write_model(model, dialect), tmp_path / f"{k}{suffix}").read_bytes()
            for k in range(2)
        )
        assert one == other


def test_an_archive_is_stored_as_keras_stores_it(tmp_path: Path) -> None:
    model = converter.read(DATA / "keras3/lstm.keras")
    path = put(write_model(model), tmp_path / "model.keras")
    with zipfile.ZipFile(path) as archive:
        found = {one.filename: one.compress_type for one in archive.infolist()}
        assert found == dict.fromkeys(
            ("metadata.json", "config.json", "model.weights.h5"), zipfile.ZIP_STORED
        )
        assert json.loads(archive.read("metadata.json"))["keras_version"] == "3.15.1"
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            names: list[str] = []
            weights.visit(names.append)
    assert [name for name in names if name[-1].isdigit()] == [
        f"layers/lstm/cell/vars/{k}" for k in range(3)
    ]


def test_hard_sigmoid_of_keras_2_is_two_layers_of_keras_3() -> None:
    config = config_of(chain(lstm(recurrent_activation=HARD), shape=(None, None, 3)), "lstm")
    pipeline = config["recurrent_activation"]
    assert pipeline["class_name"] == "Pipeline"
    rescaling, relu = pipeline["config"]["layers"]
    assert (rescaling["class_name"], relu["class_name"]) == ("Rescaling", "ReLU")
    assert (rescaling["config"]["scale"], rescaling["config"]["offset"]) == (0.2, 0.5)
    assert relu["config"]["max_value"] == 1.0


def test_hard_sigmoid_of_keras_3_keeps_its_name() -> None:
    own = Activation.of("hard_sigmoid")
    config = config_of(chain(lstm(recurrent_activation=own), shape=(None, None, 3)), "lstm")
    assert config["recurrent_activation"] == "hard_sigmoid"


def test_what_is_said_otherwise_is_said() -> None:
    written = write_model(chain(lstm(recurrent_activation=HARD), shape=(None, None, 3)))
    assert written.rewritten == {
        "lstm": [
            "recurrent_activation: clip(0.2 x + 0.5, 0, 1) as a Pipeline of Rescaling and "
            "ReLU(max_value=1)"
        ]
    }


def test_two_biases_become_their_sum_and_are_kept_beside_it() -> None:
    two = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
    written = write_model(chain(lstm(bias=Weight.of(two)), shape=(None, None, 3)))
    (placement,) = [one for one in written.placements if len(one.names) > 1]
    assert placement.names == ("layers/lstm/cell/vars/2", "both biases/layers/lstm/cell/vars/2")
    (_, array), (_, both) = placement.tensors()
    assert np.array_equal(array, (two[0] + two[1]).reshape(-1))
    assert np.array_equal(both, two.reshape(2, -1))
    assert written.rewritten == {
        "lstm": ["bias: the sum of two, which Keras adds as one; both are kept beside it"]
    }


def test_one_bias_of_a_gru_that_adds_two_gets_zeros_and_loses_them_again() -> None:
    layer = Maker(0).recurrent("gru", Cell.GRU, 3, 4)
    one = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    layer = replace(layer, forward=replace(layer.forward, bias=Weight.of(one)))
    written = write_model(chain(layer, shape=(None, None, 3)))
    placement = written.placements[-1]
    ((_, array),) = placement.tensors()
    assert array.shape == (2, 12)
    assert not array[1].any()
    assert np.array_equal(placement.form.read([array]), one)
    assert not placement.lossy


@pytest.mark.parametrize(
    ("activation", "text"),
    [
        (
            HARD,
            "error[legacy-activation]: layer 'lstm' cannot be written for Keras\n"
            "  found: activation hard_sigmoid(alpha=0.2, beta=0.5): its slope differs between the "
            "two that read .h5, tf_keras and Keras 3\n"
            "  help:  --to keras writes a file for Keras 3 alone",
        ),
        (
            Activation.of("celu"),
            "error[legacy-activation]: layer 'lstm' cannot be written for Keras\n"
            "  found: activation celu(alpha=1): not in both between the two that read .h5, "
            "tf_keras and Keras 3\n"
            "  help:  --to keras writes a file for Keras 3 alone",
        ),
    ],
)
def test_a_legacy_file_says_only_what_both_that_read_it_compute(
    activation: Activation, text: str
) -> None:
    model = chain(lstm(recurrent_activation=activation), shape=(None, None, 3))
    assert refused(model, Dialect.LEGACY) == text


def test_an_activation_that_keras_has_with_other_parameters_alone_is_refused() -> None:
    model = chain(lstm(activation=Activation.of("celu", alpha=0.5)), shape=(None, None, 3))
    assert refused(model) == (
        "error[keras-activation]: layer 'lstm' cannot be written for Keras\n"
        "  found: activation celu(alpha=0.5); Keras 3 has celu with other parameters alone\n"
        "  help:  --to pytorch and --to onnx can say it"
    )


def test_states_are_refused_in_a_legacy_file() -> None:
    model = converter.read(DATA / "keras3/cells_started.keras")
    assert "error[legacy-arguments]" in refused(model, Dialect.LEGACY)


def test_time_major_is_a_transposition_before_and_after() -> None:
    written = write_model(converter.read(DATA / "keras215/time_major.h5"))
    kinds = [layer["class_name"] for layer in written.config["config"]["layers"]]
    assert kinds.count("Transpose") >= 2


def test_a_layer_of_no_known_type_is_refused() -> None:
    class Unknown(Dense):
        pass

    kernel = Weight.of(np.ones((3, 2), np.float32))
    layer = Unknown(name="odd", kernel=kernel, bias=None)
    assert "layer 'odd' has no form in Keras" in refused(chain(layer, shape=(None, 3)))


@pytest.mark.parametrize("plain", [False, True])
def test_no_two_names_become_one(plain: bool) -> None:
    given = ["a/b", "a_b", "a b", "a_b_1", "_a", "ä", "", "/", "a//b", "a/b_1"]
    names = keras_names(given, plain=plain)
    assert len(set(names.values())) == len(given)
    assert not any("/" in new for new in names.values())
    assert names["a_b"] == "a_b"


def test_layers_are_listed_as_keras_lists_them() -> None:
    """By depth from the outputs; within one, by the first visit."""
    x, a, b, c, d = (("x", 0), ("a", 0), ("b", 0), ("c", 0), ("d", 0))
    parents = {x: [], a: [x], b: [x], c: [b], d: [a, c]}
    assert layer_order(["x"], [d], parents) == ["x", "b", "a", "c", "d"]


def test_an_input_that_nothing_uses_is_listed() -> None:
    parents = {("x", 0): [], ("y", 0): [], ("a", 0): [("x", 0)]}
    assert layer_order(["x", "y"], [("a", 0)], parents) == ["x", "y", "a"]


def test_a_deep_model_is_listed_without_recursion() -> None:
    parents = {("l0", 0): []} | {(f"l{k}", 0): [(f"l{k - 1}", 0)] for k in range(1, 5000)}
    assert len(layer_order(["l0"], [("l4999", 0)], parents)) == 5000


def test_a_shared_layer_has_two_nodes(tmp_path: Path) -> None:
    x, y, z = (Value(name, (None, 3)) for name in ("x", "tanh", "tanh@1"))
    layer = Activate(name="tanh", activation=Activation.of("tanh"))
    calls = (Call(layer, (x,), (y,)), Call(layer, (y,), (z,)))
    written = write_model(Model(name="m", inputs=(x,), calls=calls, outputs=(z,)))
    (_, item) = written.config["config"]["layers"]
    assert len(item["inbound_nodes"]) == 2
    assert written.config["config"]["output_layers"] == ["tanh", 1, 0]
    assert converter.read(put(written, tmp_path / "m.keras")).calls == calls


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("room", [0, 1000, 8000])
def test_a_disk_that_is_full_is_an_error_of_four_parts(
    suffix: str, room: int, tmp_path: Path
) -> None:
    """In a process of its own: a limit on files is for a whole process."""
    name = f"new{suffix}"
    typed = ["convert", str(DATA / "keras3/lstm_stacked.keras"), "--out", name, "--no-verify"]
    code = (
        "import resource, signal, sys; from converter import cli\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        f"sys.exit(cli.run({[*typed, '--to', suffix[1:]]!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(DATA.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr == (
        f"error[cannot-write]: cannot write {name}\n"
        "  found: File too large\n"
        "  help:  free some space or choose another --out; what was there before is unchanged\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_metadata_does_not_say_when(tmp_path: Path) -> None:
    written = write_model(converter.read(DATA / "keras3/lstm.keras"))
    arrays = tmp_path / "arrays"
    write_weights(arrays, written)
    file = io.BytesIO()
    write_archive(file, written, arrays)
    with zipfile.ZipFile(file) as archive:
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
