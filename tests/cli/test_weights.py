"""Weights alone at the command line: shown, taken out, and made whole by an architecture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from converter.readers.file import File
from converter.readers.keras.alone import read_alone
from tests.cli.command import Command

DATA = Path(__file__).parents[1] / "data"

TAKEN_OUT = {
    "models/IntuitionEngineeringTeam+chars2vec/chars2vec/trained_models/eng_50/weights.h5": {
        "lstm_1": "nn.LSTM",
        "lstm_2": "nn.LSTM",
    },
    "models/breizhn+DTLN/pretrained_model/model.h5": {
        "lstm": "nn.LSTM",
        "lstm_1": "nn.LSTM",
        "lstm_2": "nn.LSTM",
        "lstm_3": "nn.LSTM",
    },
    "models/hkveeranki+speech-emotion-recognition/models/best_model_LSTM.h5": {
        "lstm_1": "nn.LSTM",
    },
    "models/kermitt2+delft/data/models/sequenceLabelling/grobid-citation-BidLSTM_ChainCRF/"
    "model_weights.hdf5": {"time_distributed_1": "nn.LSTM", "bidirectional_1": "nn.LSTM"},
    "models/kermitt2+delft/data/models/textClassification/copyright_gru/model_weights.hdf5": {
        "bidirectional": "nn.GRU",
        "bidirectional_1": "nn.GRU",
    },
    "models/minimaxir+reactionrnn/R-package/inst/extdata/reactionrnn_weights.hdf5": {
        "rnn": "ResetBeforeGRU",
    },
    "models/minimaxir+textgenrnn/textgenrnn/textgenrnn_weights.hdf5": {
        "rnn_1": "nn.LSTM",
        "rnn_2": "nn.LSTM",
    },
}


def test_every_file_of_weights_in_the_corpus_is_in_the_table(corpus: Path) -> None:
    catalog = json.loads((corpus / "catalog.json").read_text())
    assert set(TAKEN_OUT) == {row["path"] for row in catalog if row["format"] == "h5-weights-v1"}


@pytest.mark.parametrize("path", TAKEN_OUT, ids=lambda path: path.split("/")[1])
def test_the_recurrent_layers_of_other_peoples_weights_are_taken_out(
    path: str, corpus: Path, ifco: Command, tmp_path: Path
) -> None:
    alone = read_alone(File.at(corpus / path))
    assert alone is not None
    assert {one.name for one in alone.layers if one.directions} == set(TAKEN_OUT[path])
    small = (corpus / path).stat().st_size < 1_500_000
    options = f"--to state-dict --out {tmp_path / 'm.safetensors'} --format json"
    done = ifco(f"convert '{corpus / path}' {options} {'' if small else '--no-verify'}")
    assert (done.code, done.err) == (0, "")
    record = done.json["record"]
    assert record["modules"] == TAKEN_OUT[path]
    assert not small or record["verdict"]["status"] == "equal"
    taken = sum(len(one.arrays) for one in alone.layers if one.directions)
    assert len(record["tensors"]) == taken


SHOWN = """\
tests/data/cudnn/cudnn_lstm_weights.h5
  form        Keras weights, without an architecture
  written by  Keras 2.15.0
  sha256      919d8224d5e4

  layer         by its arrays  features  units  directions  biases  arrays
  cu_dnnlstm    CuDNNLSTM             3      4  one         two     \
kernel (3, 16), recurrent_kernel (4, 16), bias (32,)
  cu_dnnlstm_1  CuDNNLSTM             4      4  one         two     \
kernel (4, 16), recurrent_kernel (4, 16), bias (32,)
  dense         Dense                                               kernel (4, 2), bias (2,)

not in the file
  activations, return_sequences, go_backwards, masks: they are settings, not weights
  layers without weights, and how the layers follow each other

  help:  --arch model.json, or another saved model of this architecture, makes it a whole model
  help:  --to state-dict of ifco convert takes the recurrent layers out, for nn.LSTM and nn.GRU
"""


def test_inspect_shows_what_weights_tell(ifco: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA.parents[1])
    done = ifco("inspect tests/data/cudnn/cudnn_lstm_weights.h5")
    assert (done.code, done.out, done.err) == (0, SHOWN, "")


def test_inspect_gives_the_same_as_json(ifco: Command) -> None:
    found = ifco(f"inspect {DATA / 'cudnn' / 'cudnn_lstm_weights.h5'} --format json").json
    assert found["schema"] == 1
    assert found["layers"][0] | {"arrays": 0} == {
        "name": "cu_dnnlstm",
        "what": "CuDNNLSTM",
        "features": 3,
        "units": 4,
        "directions": 1,
        "biases": 2,
        "arrays": 0,
    }
    assert [one["shape"] for one in found["layers"][0]["arrays"]] == [[3, 16], [4, 16], [32]]
    assert len(found["unknown"]) == 2


def test_weights_become_a_whole_model_with_their_architecture(
    ifco: Command, tmp_path: Path
) -> None:
    folder = DATA / "weights"
    weights = f"{folder / 'keras3.weights.h5'} --arch {folder / 'keras3.json'}"
    shown = ifco(f"inspect {weights}")
    assert shown.code == 0
    assert "Keras weights (.weights.h5) and the architecture in keras3.json" in shown.out
    done = ifco(f"convert {weights} --out {tmp_path / 'm'}")
    assert (done.code, done.err) == (0, "")
    assert ifco(f"verify {folder / 'keras3.weights.h5'} {tmp_path / 'm'}").code == 3
    verified = ifco(
        f"verify {folder / 'keras3.weights.h5'} {tmp_path / 'm'} --arch {folder / 'keras3.json'}"
    )
    assert verified.code == 0


@pytest.mark.parametrize("name", ["keras2_weights.h5", "keras3.weights.h5"])
def test_state_dicts_are_verified_as_they_lie(name: str, ifco: Command, tmp_path: Path) -> None:
    source, out = DATA / "weights" / name, tmp_path / "m.safetensors"
    done = ifco(f"convert {source} --to state-dict --out {out} --no-verify")
    assert done.code == 0
    assert f"help:  ifco verify {source} {out}\n" in done.out
    said = ifco(f"verify {source} {out}")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"equal: {name} and {out}\n")
    tensors = load_file(out)
    save_file({one: np.flip(array) for one, array in tensors.items()}, out)
    said = ifco(f"verify {source} {out} --format json")
    assert (said.code, said.json["status"]) == (1, "differs")
    assert said.json["wrong_arrays"]
    save_file(tensors | {"dense.weight": np.ones(2, np.float32)}, out)
    said = ifco(f"verify {source} {out}")
    assert said.code == 1
    assert "found: it has tensors of no recurrent layer: dense.weight\n" in said.out


def test_the_state_dicts_of_a_whole_model_are_verified(ifco: Command, tmp_path: Path) -> None:
    source, out = DATA / "examples" / "bidirectional.keras", tmp_path / "m.safetensors"
    assert ifco(f"convert {source} --to state-dict --out {out}").code == 0
    assert ifco(f"verify {source} {out}").out.startswith("equal: bidirectional.keras and ")
    other = DATA / "examples" / "forecaster.h5"
    assert ifco(f"verify {other} {out}").code == 1
    out.write_bytes(out.read_bytes()[:-1])
    said = ifco(f"verify {source} {out}")
    assert (said.code, said.err.splitlines()[0]) == (
        3,
        f"error[not-safetensors]: {out} is not a safetensors file",
    )


def test_weights_alone_are_no_model_to_convert(ifco: Command, tmp_path: Path) -> None:
    source = DATA / "weights" / "keras2_weights.h5"
    done = ifco(f"convert {source} --out {tmp_path / 'm'}")
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        f"error[no-architecture]: {source} has weights and no architecture\n"
        "  found: no model_config in it\n"
        "  help:  --arch model.json, or another saved model of this architecture; ifco inspect "
        "says what the weights alone tell\n"
    )
