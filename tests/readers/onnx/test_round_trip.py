"""Keras to ONNX and back: the same layers, and every weight bit for bit."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import converter
from converter.description import Model, Recurrent, Weight
from converter.targets.onnx import write_graph
from converter.verify.inputs import cases

DATA = Path("tests/data/keras3")

SAME = (
    "batch_normalization", "bidirectional_gru",
    "bidirectional_gru_before", "bidirectional_gru_before_merges", "bidirectional_gru_merges",
    "bidirectional_last", "bidirectional_lstm", "bidirectional_lstm_merges",
    "bidirectional_lstm_merges_last", "bidirectional_options", "bidirectional_rnn",
    "bidirectional_rnn_merges", "bidirectional_stacked", "cells_stacked", "conv1d_same",
    "conv1d_valid", "conv2d", "embedding", "embedding_and_features", "encoder_decoder", "gru",
    "gru_before", "gru_before_options", "gru_options", "lstm",
    "lstm_backwards", "lstm_backwards_last", "lstm_no_bias", "lstm_recurrent_activations",
    "lstm_sequences", "lstm_stacked", "pooling_1d", "pooling_2d", "pooling_global", "rnn",
    "rnn_options", "several_inputs_outputs",
)  # fmt: skip
"""Models whose layers come back as they were."""


@cache
def both(name: str) -> tuple[Model, Model]:
    """A model, and what is read of the ONNX file that it becomes."""
    model = converter.read(DATA / f"{name}.keras")
    return model, converter.read(write_graph(model).bytes())


def distance(one: Model, other: Model) -> float:
    """The largest difference of their answers in the judge, as a part of the largest answer."""
    worst = 0.0
    for case in list(cases(one))[:4]:
        pairs = zip(answers(one, *case.arrays), answers(other, *case.arrays), strict=True)
        for a, b in pairs:
            if a.shape != b.shape:
                return float("inf")
            worst = max(worst, float(np.abs(a - b).max() / (np.abs(a).max() or 1)))
    return worst


def answers(model: Model, *inputs: np.ndarray) -> list[np.ndarray]:
    given = converter.judge(model, *inputs)
    return [np.asarray(one, float) for one in (given if isinstance(given, tuple) else (given,))]


def arrays(model: Model) -> Counter[bytes]:
    """Every weight's bytes, however its file lays them out."""
    return Counter(
        np.ascontiguousarray(weight.read()).tobytes()
        for layer in model.layers
        for weight in layer.weights.values()
    )


@pytest.mark.parametrize("name", SAME)
def test_a_model_of_keras_comes_back_as_it_was(name: str) -> None:
    model, back = both(name)
    assert Counter(type(one) for one in back.layers) == Counter(type(one) for one in model.layers)
    assert [value.name for value in back.inputs] == [value.name for value in model.inputs]
    assert [value.shape for value in back.outputs] == [value.shape for value in model.outputs]
    assert arrays(back) == arrays(model)
    assert distance(model, back) < 1e-12


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_before", "bidirectional_lstm"])
def test_gates_in_another_order_are_noticed(name: str) -> None:
    model, back = both(name)

    def exchanged(_layer: object, part: str, weight: Weight) -> Weight:
        return Weight.of(weight.read()[::-1]) if part == "forward.kernel" else weight

    wrong = back.map_weights(exchanged)
    assert arrays(wrong) != arrays(model)
    assert distance(model, wrong) > 1e-3


def test_a_layer_keeps_its_name_and_says_what_its_arrays_are_called() -> None:
    _, back = both("bidirectional_lstm")
    (layer,) = (one for one in back.layers if isinstance(one, Recurrent))
    assert layer.name == "bidirectional"
    assert layer.weights["backward.kernel"].stored[0].name == "bidirectional_W[1]"
