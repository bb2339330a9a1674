"""Real checkpoints of other people: every one is listed, and its tensors are those of torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import converter
from converter.readers.file import File
from converter.readers.torch import checkpoint
from converter.readers.torch.recurrent import recurrent_modules
from converter.runtimes import keras
from tests.readers.files import given, layer, sequential

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


@pytest.fixture
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras says of such files is in tests/test_keras_weights.py."""
    monkeypatch.setattr(keras, "is_here", lambda: False)


@pytest.mark.usefixtures("without_keras")
@pytest.mark.parametrize("path", FOUND, ids=lambda path: "/".join(path.split("/")[1:3]))
def test_the_weights_of_other_people_become_keras_weights(
    path: str, corpus: Path, tmp_path: Path
) -> None:
    done = converter.convert(corpus / path, to="keras-weights", out=tmp_path / "w.h5")
    assert done.verdict is not None
    assert done.verdict.status.value == "equal"
    assert done.verdict.wrong_arrays == ()
    assert done.record["no_layer_of_keras"] == {}
    kinds = [one["class"] for one in done.record["layers"].values()]
    recurrent = sum(int(one.split(") ")[1].split()[0]) for one in FOUND[path].values())
    assert sum(kind in ("LSTM", "GRU", "Bidirectional") for kind in kinds) == recurrent
    tensors = checkpoint.read(File.at(corpus / path)).tensors
    weights = {name for name in tensors if not name.startswith("optimizer/")}
    assert {entry["source"] for entry in done.record["tensors"]} == weights


GRUS = {
    "bigru1": ("onnx::GRU_348", "onnx::GRU_349", "onnx::GRU_347"),
    "bigru2": ("onnx::GRU_392", "onnx::GRU_393", "onnx::GRU_391"),
}
"""W, R and B of the two nodes of the ONNX file."""


def of_onnx(array: np.ndarray) -> np.ndarray:
    """Gates z, r, h as PyTorch has them: r, z, n."""
    z, r, n = np.split(array, 3)
    return np.concatenate([r, z, n])


def test_a_checkpoint_and_the_onnx_file_beside_it_are_one_training(corpus: Path) -> None:
    onnx = pytest.importorskip("onnx")
    folder = corpus / DELFT
    path = folder / "data/models/textClassification/copyright_gru/model_weights.pth"
    tensors = checkpoint.read(File.at(path)).tensors
    exported = onnx.load(folder / "exported_models/copyright-gru.onnx/classifier.onnx")
    held = {one.name: onnx.numpy_helper.to_array(one) for one in exported.graph.initializer}
    compared = {}
    for name in ("dense1", "dense2"):
        for part in ("weight", "bias"):
            compared[f"{name}.{part}"] = held[f"model.{name}.{part}"]
    for name, (w, r, b) in GRUS.items():
        for direction, end in enumerate(("", "_reverse")):
            compared[f"{name}.weight_ih_l0{end}"] = of_onnx(held[w][direction])
            compared[f"{name}.weight_hh_l0{end}"] = of_onnx(held[r][direction])
            input_bias, recurrent_bias = np.split(held[b][direction], 2)
            compared[f"{name}.bias_ih_l0{end}"] = of_onnx(input_bias)
            compared[f"{name}.bias_hh_l0{end}"] = of_onnx(recurrent_bias)
    assert set(compared) == set(tensors)
    for name, array in compared.items():
        assert array.tobytes() == tensors[name].read().tobytes(), name
    z_first = held[GRUS["bigru1"][0]][0]
    assert not np.array_equal(z_first, tensors["bigru1.weight_ih_l0"].read())  # the order counts


def supernova(state: dict[str, torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """A classifier of the sizes of SuperNNova: a stack in both directions, a mean, a layer."""
    features = state["rnn_layer.weight_ih_l0"].shape[1]
    lstm = torch.nn.LSTM(features, 32, num_layers=2, bidirectional=True, batch_first=True)
    head = torch.nn.Linear(64, 2)
    for name, module in (("rnn_layer.", lstm), ("output_layer.", head)):
        own = {key.removeprefix(name): one for key, one in state.items() if key.startswith(name)}
        module.load_state_dict(own)
    return lambda x: head(lstm(x)[0].mean(1))


def test_a_checkpoint_with_an_architecture_answers_as_its_modules(
    corpus: Path, tmp_path: Path
) -> None:
    (path,) = [corpus / path for path in FOUND if path.startswith("models/supernnova")]
    state = torch.load(path, map_location="cpu", weights_only=True)
    features = state["rnn_layer.weight_ih_l0"].shape[1]
    config = sequential(
        given((None, None, features)),
        *(
            layer("Bidirectional", name, layer=layer("LSTM", "l", units=32, return_sequences=True))
            for name in ("one", "two")
        ),
        layer("GlobalAveragePooling1D", "mean"),
        layer("Dense", "classes", units=2),
    )
    arch = tmp_path / "model.json"
    arch.write_text(json.dumps(config))
    model = converter.read(path, arch=arch)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 9, features)).astype("f4"))
    with torch.inference_mode():
        expected = supernova(state)(x).numpy()
    assert np.abs(converter.judge(model, x.numpy()) - expected).max() < 1e-5
