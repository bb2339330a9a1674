"""Real checkpoints of other people: every one is listed, and its tensors are those of torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from converter.readers.file import File
from converter.readers.torch import checkpoint
from converter.readers.torch.recurrent import recurrent_modules

FINK = "models/astrolabsoftware+fink-science"
DELFT = "models/kermitt2+delft/24eae41c53"
GTCRN = {
    **{
        f"model/{place}.tra.att_gru": "GRU (16) 1"
        for place in (
            *(f"encoder.en_convs.{k}" for k in (2, 3, 4)),
            *(f"decoder.de_convs.{k}" for k in (0, 1, 2)),
        )
    },
    **{
        f"model/dpgrnn{k}.{where}.rnn{n}": f"GRU ({units}) 1{both}"
        for k in (1, 2)
        for where, units, both in (("intra_rnn", 4, " both"), ("inter_rnn", 8, ""))
        for n in (1, 2)
    },
}
"""Units in parentheses, layers, and whether of both directions."""

FOUND = {
    "models/Xiaobin-Rong+gtcrn/checkpoints/model_trained_on_dns3.tar": GTCRN,
    "models/appeler+instate/instate/data/state_lang_labels.pt": {"lstm": "LSTM (128) 1"},
    f"{FINK}/9577dc0a46/fink_science/data/models/snn_models/elasticc_broad/model.pt": {
        "rnn_layer": "LSTM (32) 2 both"
    },
    f"{FINK}/cb0ee63073/fink_science/data/models/snn_models/elasticc_broad/model.pt": {
        "rnn_layer": "LSTM (32) 2 both"
    },
    f"{FINK}/fink_science/data/models/snn_models/elasticc_ia/model.pt": {
        "rnn_layer": "LSTM (32) 2 both"
    },
    f"{FINK}/fink_science/data/models/snn_models/snn_sn_vs_all/model.pt": {
        "rnn_layer": "LSTM (32) 2 both"
    },
    f"{DELFT}/data/models/textClassification/copyright_gru/model_weights.pth": {
        "bigru1": "GRU (64) 1 both",
        "bigru2": "GRU (64) 1 both",
    },
    "models/supernnova+SuperNNova/tests/onthefly_model/"
    "vanilla_S_0_CLF_2_R_none_photometry_DF_1.0_N_global_lstm_32x2_0.05_128_True_mean.pt": {
        "rnn_layer": "LSTM (32) 2 both"
    },
    "models/pypi/silero_vad-6.2.3/silero_vad/data/silero_vad_16k.safetensors": {
        "lstm_cell": "LSTMCell (128) 1"
    },
}


def test_every_checkpoint_of_the_corpus_is_in_the_table(corpus: Path) -> None:
    catalog = json.loads((corpus / "catalog.json").read_text())
    formats = ("torch", "safetensors")
    assert set(FOUND) == {row["path"] for row in catalog if row["format"] in formats}


def flat(value: object, name: str = "") -> dict[str, torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return {name: value}
    entries = value.items() if isinstance(value, dict) else ()
    found: dict[str, torch.Tensor] = {}
    for key, one in entries:
        found |= flat(one, f"{name}/{key}" if name else str(key))
    return found


@pytest.mark.parametrize("path", FOUND, ids=lambda path: "/".join(path.split("/")[1:3]))
def test_the_tensors_of_other_peoples_checkpoints_are_those_of_torch(
    path: str, corpus: Path
) -> None:
    found = checkpoint.read(File.at(corpus / path))
    if path.endswith(".safetensors"):
        expected = load_file(corpus / path)
    else:
        expected = flat(torch.load(corpus / path, map_location="cpu", weights_only=True))
    assert set(found.tensors) == set(expected)
    for name, tensor in expected.items():
        assert np.array_equal(found.tensors[name].read(), tensor.numpy(), equal_nan=True)
    modules, _ = recurrent_modules(found.tensors)
    assert {
        one.name: f"{one.what} ({one.units}) {one.depth}{' both' if one.bidirectional else ''}"
        for one in modules
    } == FOUND[path]
