"""Old Keras files on the command line: the doctor, and the rescue."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from converter import __version__
from converter.doctor import examine
from converter.runtimes import keras
from tests.cli.command import Command
from tests.cli.test_examples import without_figures

DATA = Path(__file__).parents[1] / "data"
OLD = DATA / "keras215/lstm_recurrent_activations.h5"


@pytest.fixture(autouse=True)
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras says is tested in tests/targets/keras; here it would take its seconds."""
    monkeypatch.setattr(keras, "is_here", lambda: False)


@pytest.fixture
def old() -> Path:
    """A file of Keras 2.15 in the folder of the test."""
    return Path(shutil.copy(OLD, "old.h5"))


def test_the_doctor_says_what_is_wrong_and_what_to_type(ifco: Command, old: Path) -> None:
    done = ifco("doctor old.h5")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "old.h5: Keras HDF5, written by Keras 2.15.0\n"
        "Keras 3.15 does not open it\n"
        "  layers 'lstm', 'lstm_1', 'lstm_2', 'lstm_3': the key time_major, which Keras 3 has not\n"
        "and if it did, its answers would change\n"
        "  layer 'lstm': hard_sigmoid, which was clip(0.2 x + 0.5) and is clip(x / 6 + 0.5) in "
        "Keras 3\n"
        "  help:  ifco convert old.h5 --to keras --out old.keras\n"
    )


def test_what_the_doctor_says_to_type_helps(ifco: Command, old: Path) -> None:
    done = ifco("convert old.h5 --to keras --out old.keras")
    assert (done.code, done.err) == (0, "")
    assert without_figures(done.out) == (
        "converted old.h5\n"
        "  old.keras SIZE  the model, for Keras 3\n"
        "  old.keras.conversion.json SIZE  what became of every array\n"
        "  rewritten: layer 'lstm', recurrent_activation: clip(0.2 x + 0.5, 0, 1) as a Pipeline of "
        "Rescaling and ReLU(max_value=1)\n"
        "\n"
        "equal: old.h5 and old.keras\n"
        "  read back, every output of every case is the same\n"
        "  largest error  N\n"
        "                 N units in the last place\n"
        "  where          N\n"
        "  compared       4 outputs of 8 cases\n"
        "  arrays         all 12 bit for bit\n"
        "  would show     all 40 mistakes of a mapping\n"
    )
    assert ifco("doctor old.keras").out == (
        "old.keras: Keras archive (.keras), written by Keras 3.15.1\n"
        "  nothing known keeps Keras 3.15 from opening it, or changes its answers\n"
    )
    assert ifco("verify old.h5 old.keras").out == done.out.partition("\n\n")[2]


def test_the_record_says_where_each_array_is_and_what_has_another_name(ifco: Command) -> None:
    nested = shlex.quote(str(DATA / "keras215/nested_sequential.h5"))
    done = ifco(f"convert {nested} --to keras --out new.keras --format json")
    assert done.code == 0
    record = json.loads(Path("new.keras.conversion.json").read_text())
    assert record == done.json["record"]
    assert record["target"] == "keras"
    assert record["ifco"] == __version__
    assert set(record["files"]) == {"new.keras"}
    assert record["renamed"]
    assert all("/" in old and "/" not in new for old, new in record["renamed"].items())
    assert all(len(one["to"]) == 1 for one in record["tensors"])


@pytest.mark.parametrize("to", ["keras", "h5", "weights.h5"])
def test_every_keras_file_is_written_beside_others(ifco: Command, to: str) -> None:
    source = shlex.quote(str(DATA / "keras3/lstm.keras"))
    Path("other").write_text("stays")
    assert ifco(f"convert {source} --to {to} --out new.{to}").code == 0
    names = [f"new.{to}", f"new.{to}.conversion.json", "other"]
    assert sorted(path.name for path in Path().iterdir()) == sorted(names)
    again = ifco(f"convert {source} --to {to} --out new.{to}")
    assert (again.code, again.err) == (
        3,
        f"error[output-exists]: cannot write {Path(f'new.{to}').absolute()}\n"
        "  found: it exists\n"
        "  help:  --force replaces it\n",
    )
    before = Path(f"new.{to}").read_bytes()
    assert ifco(f"convert {source} --to {to} --out new.{to} --force").code == 0
    assert Path(f"new.{to}").read_bytes() == before


def test_the_input_is_never_replaced(ifco: Command) -> None:
    path = Path(shutil.copy(DATA / "keras3/lstm.keras", "model.keras"))
    before = path.read_bytes()
    done = ifco("convert model.keras --to keras --force")
    assert done.code == 3
    assert "error[output-is-the-input]" in done.err
    assert path.read_bytes() == before


def test_a_name_that_keras_would_not_take_is_refused(ifco: Command, old: Path) -> None:
    done = ifco("convert old.h5 --to keras --out new.h5")
    assert (done.code, done.err) == (
        2,
        "error[output-suffix]: new.h5 is no name for what --to keras writes\n"
        "  found: such a file is known by its end, .keras\n"
        "  help:  --out new.keras\n",
    )
    assert ifco("convert old.h5 --to h5 --out new.weights.h5").code == 2


def test_what_the_legacy_format_cannot_say_is_refused_and_nothing_is_left(
    ifco: Command, old: Path
) -> None:
    done = ifco("convert old.h5 --to h5 --out new.h5")
    assert done.code == 3
    assert "error[legacy-activation]" in done.err
    assert [path.name for path in Path().iterdir()] == ["old.h5"]


def test_a_file_that_differs_is_not_put_in_its_place(
    ifco: Command, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from converter.targets.keras import recurrent

    real = recurrent.kernel_form

    def swapped(cell, framework):
        form = real(cell, framework)
        return type(form)(form.how, form.read, lambda a: form.write(a[[1, 0, 2, 3]]))

    monkeypatch.setattr(recurrent, "kernel_form", swapped)
    done = ifco("convert old.h5 --to keras --out new.keras")
    assert done.code == 1
    assert done.out.startswith("nothing written for old.h5: it would not be the same\n")
    assert [path.name for path in Path().iterdir()] == ["old.h5"]


DOCTOR = {
    "cudnn/cudnn_lstm.h5": "CuDNNLSTM is not in Keras 3: LSTM and GRU use cuDNN by themselves",
    "keras215/time_major.h5": "time_major=True: without the key, time and batch change places",
    "keras215/conv_lstm.h5": "it was the default of ConvLSTM",
    "keras215/time_major.keras": "the module keras.src.engine",
    "bad/lambda_layer.h5": "a Lambda: its Python code is in the file",
    "keras3/weights_in_npz.keras": "as pickles, which Keras loads no more since 3.9",
    "keras3/masked_outside_layers.h5": "NotEqual, an operation outside layers, which Keras does",
    "keras215/attention_scored.h5": "score_mode, which Keras takes for a function",
    "keras3/layer_normalization_axes.h5": "of several axes Keras keeps none",
    "keras3/softmax_axes.h5": "of several axes Keras keeps none",
    "keras3/lora.h5": "lora_alpha, which Keras forgets",
    "savedmodel/layers": "TensorFlow SavedModel, which Keras 3 does not load as a model",
}


@pytest.mark.parametrize("name", DOCTOR)
def test_the_doctor_knows_many_reasons(ifco: Command, name: str) -> None:
    done = ifco(f"doctor {shlex.quote(str(DATA / name))}")
    assert done.code == 0
    assert DOCTOR[name] in done.out


def test_the_doctor_says_of_files_of_keras_3_what_keras_3_did_with_them() -> None:
    manifest = json.loads((DATA / "MANIFEST.json").read_text())
    wrong = {}
    for name, entry in manifest["files"].items():
        if name.startswith("keras3/") and not name.endswith(".npz"):
            did = entry.get("opened_again", "")
            found = examine(DATA / name)
            if (found.opens, found.same) != (
                not did.startswith("refused"),
                not did.startswith("answers otherwise"),
            ):
                wrong[name] = (did, [one.code for one in found.findings])
    assert wrong == {}


def test_hdf5_under_the_name_of_an_archive_is_seen(ifco: Command) -> None:
    shutil.copy(DATA / "keras3/lstm.h5", "model.keras")
    assert "HDF5 under a name that ends with .keras" in ifco("doctor model.keras").out
    assert ifco("doctor model.keras").out.endswith(
        "  help:  ifco convert model.keras --to keras --out model-keras3.keras\n"
    )


def test_where_no_command_helps_the_doctor_says_why(ifco: Command) -> None:
    done = ifco(f"doctor {shlex.quote(str(DATA / 'bad/lambda_layer.h5'))}")
    assert "  no command helps: layer 'scale' of " in done.out


def test_the_doctor_as_json(ifco: Command, old: Path) -> None:
    found = ifco("doctor old.h5 --format json").json
    assert (found["schema"], found["opens"], found["same"]) == (1, False, False)
    assert found["rescue"] == "ifco convert old.h5 --to keras --out old.keras"
    assert [one["code"] for one in found["findings"]] == ["time-major-key", "hard-sigmoid"]
    assert [one["effect"] for one in found["findings"]] == ["refuses", "differs"]


def test_the_doctor_without_a_file_says_what_is_here(ifco: Command) -> None:
    done = ifco("doctor")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"ifco {__version__}, Python 3.")
    assert "  numpy " in done.out
    found = ifco("doctor --format json").json
    assert set(found["extras"]) == {"torch", "runtime", "keras", "report", "cluster"}


def test_a_file_that_is_none_is_an_error_of_four_parts(ifco: Command) -> None:
    done = ifco("doctor missing.h5")
    assert done.code == 3
    assert done.err.startswith("error[not-found]: missing.h5 is not there\n")
