"""CuDNNLSTM and CuDNNGRU: files of real Keras, beside what Keras answers with their weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import converter
from converter.description import Recurrent, Weight
from converter.gates import Cell, bias_form, cudnn_kernel_form, kernel_form
from converter.ledger import wrong_arrays
from converter.readers import read
from converter.targets.torch import write_source
from tests.readers.files import counted, given, hdf5, layer, sequential

DATA = Path(__file__).parents[1] / "data" / "cudnn"
FILES = [
    f"cudnn_{name}.{form}" for name in ("lstm", "gru", "bidirectional") for form in ("h5", "keras")
]

FLOAT32 = 1e-5
"""Of the largest output: Keras's own rounding over 7 steps, measured below 1e-6."""


def cases(name: str) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    recorded = np.load((DATA / name).with_suffix(".npz"))
    outputs = sum(key.startswith("case0_out") for key in recorded)
    for k in range(3):
        yield recorded[f"case{k}_in0"], [recorded[f"case{k}_out{i}"] for i in range(outputs)]


def tupled(answers):
    return answers if isinstance(answers, tuple) else (answers,)


def distance(given, expected) -> float:
    return max(
        float(np.abs(np.asarray(one) - other).max() / np.abs(other).max())
        for one, other in zip(tupled(given), expected, strict=True)
    )


@pytest.mark.parametrize("name", FILES)
def test_a_model_of_cudnn_layers_answers_as_keras_with_its_weights(name):
    model = read(DATA / name)
    module = converter.to_torch(model)
    for x, expected in cases(name):
        assert distance(converter.judge(model, x), expected) < FLOAT32
        with torch.inference_mode():
            assert distance(module(torch.from_numpy(x)), expected) < FLOAT32


@pytest.mark.parametrize("name", FILES)
def test_both_biases_are_kept_and_the_way_back_is_exact(name):
    model = read(DATA / name)
    directions = [
        one for part in model.layers if isinstance(part, Recurrent) for one in part.directions
    ]
    for one in directions:
        assert one.cell in (Cell.LSTM, Cell.GRU)
        assert one.bias is not None
        assert one.bias.shape == (2, 4 if one.cell is Cell.LSTM else 3, one.units)
    source = write_source(model)
    tensors = {name: array for placed in source.placements for name, array in placed.tensors()}
    assert tensors
    assert list(wrong_arrays(source.placements, tensors)) == []
    recurrent = [tensor for name, tensor in tensors.items() if "bias_hh" in name]
    assert len(recurrent) == len(directions)
    assert all(tensor.any() for tensor in recurrent)


def test_gates_taken_as_those_of_an_ordinary_lstm_are_another_model():
    model = read(DATA / "cudnn_lstm.h5")

    def taken(_layer, name, weight):
        if "kernel" not in name or len(weight.shape) != 3:
            return weight
        return Weight(weight.shape, weight.stored, kernel_form(Cell.LSTM, "keras"))

    x, expected = list(cases("cudnn_lstm.h5"))[-1]
    assert distance(converter.judge(model.map_weights(taken), x), expected) > 1e-2


def test_a_conversion_to_keras_says_that_two_biases_become_their_sum_and_are_kept(tmp_path):
    done = converter.convert(DATA / "cudnn_lstm.h5", to="h5", out=tmp_path / "m.h5", verify=False)
    maps = {entry["source"]: entry["map"] for entry in done.record["tensors"]}
    assert "sum of both, and both beside it" in maps["cu_dnnlstm/cu_dnnlstm/bias:0"]
    assert "sum" not in maps["dense/dense/bias:0"]
    model, again = read(DATA / "cudnn_lstm.h5"), read(tmp_path / "m.h5")
    for x, _ in cases("cudnn_lstm.h5"):
        assert distance(converter.judge(again, x), [converter.judge(model, x)]) < 1e-12


@pytest.mark.parametrize("cell", [Cell.LSTM, Cell.GRU])
@pytest.mark.parametrize("features", [1, 3, 4])
def test_writing_undoes_reading(cell, features):
    gates = 4 if cell is Cell.LSTM else 3
    stored = counted(features, gates * 4)
    form = cudnn_kernel_form(cell)
    read_in = form.read([stored])
    assert read_in.shape == (gates, 4, features)
    (back,) = form.write(read_in)
    assert np.array_equal(back, stored)
    biases = bias_form(cell, "cudnn")
    (back,) = biases.write(biases.read([counted(2 * gates * 4)]))
    assert np.array_equal(back, counted(2 * gates * 4))


def test_each_gate_is_what_keras_makes_of_its_columns():
    # `_convert_rnn_weights` in hdf5_format.py: kernel.reshape(U, F).T for each gate's columns,
    # and the transpose of each gate's columns for the state.
    stored = counted(3, 4 * 2)
    read_in = cudnn_kernel_form(Cell.LSTM).read([stored])
    for k in range(4):
        columns = stored[:, 2 * k : 2 * k + 2]
        assert np.array_equal(read_in[k].T, columns.reshape(2, 3).T)
    square = counted(2, 4 * 2)
    read_in = cudnn_kernel_form(Cell.LSTM).read([square])
    for k in range(4):
        assert np.array_equal(read_in[k].T, square[:, 2 * k : 2 * k + 2].T)


def cudnn(file: Path, bias: np.ndarray, **settings: object) -> Path:
    config = sequential(given((None, None, 3)), layer("CuDNNLSTM", "it", units=2, **settings))
    weights = {
        "it/kernel:0": counted(3, 8),
        "it/recurrent_kernel:0": counted(2, 8),
        "it/bias:0": bias,
    }
    return hdf5(file, config, {"it": weights}, version="2.2.4")


def test_a_bias_of_no_layer_of_cudnn_is_refused(file, error_of):
    assert error_of(lambda: read(cudnn(file, counted(12)))) == (
        "error[shape]: bias of layer 'it' of model has the wrong shape\n"
        "  found: (12,); expected (16,) or (8,)\n"
        "  help:  the file may be cut off or its weights may belong to another model"
    )


def test_a_cudnn_layer_takes_the_weights_of_an_lstm_as_keras_does(file):
    (one,) = read(cudnn(file, counted(8))).layers
    assert np.array_equal(one.gates["f"].kernel, counted(3, 8)[:, 2:4])
    assert one.forward.bias.shape == (1, 4, 2)


@pytest.mark.parametrize("name", ["cudnn_lstm", "cudnn_gru", "cudnn_bidirectional"])
def test_an_lstm_and_a_gru_take_the_weights_of_cudnn_as_keras_does(name, tmp_path):
    # The answers are those of LSTM and GRU into which Keras loaded these weights.
    with h5py.File(DATA / f"{name}.h5") as opened:
        text = opened.attrs["model_config"]
    arch = tmp_path / "model.json"
    document = json.loads(text.replace('"CuDNNLSTM"', '"LSTM"').replace('"CuDNNGRU"', '"GRU"'))
    arch.write_text(json.dumps(document | {"keras_version": "2.15.0"}))
    model = read(DATA / f"{name}_weights.h5", arch=arch)
    for x, expected in cases(f"{name}.h5"):
        assert distance(converter.judge(model, x), expected) < FLOAT32


def test_a_cudnn_layer_with_a_setting_that_it_has_not_is_refused(file, error_of):
    assert error_of(lambda: read(cudnn(file, counted(16), activation="relu"))) == (
        "error[config-key]: layer 'it' of model has a setting that is not known\n"
        '  found: "activation": "relu" of CuDNNLSTM\n'
        "  help:  save the model without it, or ask for it to be read"
    )
