"""Real weights of other people, with the architectures that lie beside them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import converter
from converter.readers import read
from tests.corpus.test_corpus import DL4J, TOLERANCE, cases, distance

SIMPLE_LSTM = f"{DL4J}modelimport/keras/examples/simple_lstm/simple_lstm_th_keras_1_"


def rows(corpus: Path) -> list[tuple[str, str, str | None]]:
    """Weights, architecture and answers."""
    catalog = json.loads((corpus / "catalog.json").read_text())
    return [
        (
            row["path"],
            next(path for path in row["companions"] if path.endswith(".json")),
            row["golden"],
        )
        for row in catalog
        if row["format"] == "h5-weights-v1+arch-json"
    ]


def test_every_pair_of_weights_and_architecture_is_equal_to_its_golden(corpus: Path) -> None:
    compared = 0
    for weights, arch, golden in rows(corpus):
        model = read(corpus / weights, arch=corpus / arch)
        module = converter.to_torch(model)
        if golden is None:
            assert weights == f"{SIMPLE_LSTM}weights.h5"  # compared below
            continue
        for inputs, expected in cases(np.load(corpus / golden), model):
            given = [
                array.astype(value.dtype) for array, value in zip(inputs, model.inputs, strict=True)
            ]
            assert distance(converter.judge(model, *given), expected) < TOLERANCE, weights
            with torch.inference_mode():
                made = module(*map(torch.from_numpy, given))
            assert distance(made, expected) < TOLERANCE, weights
            compared += 1
    assert compared >= 20


def test_weights_of_keras_1_with_their_json_answer_as_their_authors_recorded(corpus: Path) -> None:
    model = read(corpus / f"{SIMPLE_LSTM}weights.h5", arch=corpus / f"{SIMPLE_LSTM}config.json")
    with h5py.File(corpus / f"{SIMPLE_LSTM}inputs_and_outputs.h5") as file:
        x, y = file["inputs/lstm_input_1"][()], file["predictions/dense_1"][()]
    assert distance(converter.judge(model, x), [y]) < TOLERANCE


def test_the_architecture_of_another_model_is_refused(corpus: Path) -> None:
    pairs = [(weights, arch) for weights, arch, _ in rows(corpus)]
    one, other = (
        next(arch for weights, arch in pairs if name in weights)
        for name in ("lstm-auto-encoder", "simple_rnn")
    )
    assert one != other
    weights = next(weights for weights, arch in pairs if arch == one)
    with pytest.raises(converter.WeightError):
        read(corpus / weights, arch=corpus / other)
