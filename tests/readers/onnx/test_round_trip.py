"""Keras to ONNX and back: the same layers, and every weight bit for bit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import converter
from converter.description import (
    Call,
    Direction,
    Masking,
    Model,
    Recurrent,
    Value,
    Weight,
)
from converter.errors import UnsupportedError
from converter.gates import Cell
from converter.judge import Judge
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
    "lstm_sequences", "lstm_stacked", "masked_words", "pooling_1d", "pooling_2d", "pooling_global",
    "rnn", "rnn_options", "several_inputs_outputs",
)  # fmt: skip
"""Models whose layers come back as they were."""


@cache
def both(name: str) -> tuple[Model, Model]:
    """A model, and what is read of the ONNX file that it becomes."""
    model = converter.read(DATA / f"{name}.keras")
    return model, converter.read(write_graph(model).bytes())


def distance(one: Model, other: Model) -> float:
    """The largest difference of their answers in the judge, as a part of the largest answer.

    Masks of every kind are among the inputs; states are kept from one case to the next.
    """
    worst = 0.0
    judges = Judge(one), Judge(other)
    for case in (one for one in cases(one) if "batch=17" not in one.name):
        pairs = zip(*(answers(judge, case.arrays) for judge in judges), strict=True)
        for a, b in pairs:
            if a.shape != b.shape:
                return float("inf")
            worst = max(worst, float(np.abs(a - b).max() / (np.abs(a).max() or 1)))
    return worst


def answers(judge: Judge, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    values = judge.run(inputs)
    return [np.asarray(values[value.name], float) for value in judge.model.outputs]


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


OTHERWISE = (
    "attention_masked", "autoencoder", "cells_states", "frozen", "lora_of_kernels", "lstm_states",
    "masked_steps", "masks_joined", "normalization_found", "shared_layer", "states",
)  # fmt: skip
"""Models that mean the same in other layers: ONNX has no Dropout, Normalization or Attention, and a
node for each call of a layer."""


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_model_means_the_same_in_other_layers(name: str) -> None:
    model, back = both(name)
    assert distance(model, back) < 1e-6  # the numbers of its constants are rounded to float32


STATEFUL = Recurrent(
    name="lstm",
    stateful=True,
    return_sequences=True,
    forward=Direction(
        cell=Cell.LSTM,
        kernel=Weight.of(np.random.default_rng(1).normal(size=(4, 3, 2)).astype(np.float32)),
        recurrent_kernel=Weight.of(
            np.random.default_rng(2).normal(size=(4, 3, 3)).astype(np.float32)
        ),
        bias=Weight.of(np.random.default_rng(3).normal(size=(1, 4, 3)).astype(np.float32)),
    ),
)


def kept(masked: bool) -> Model:
    """A layer that keeps its states, with a mask or without."""
    x, y = Value("x", (2, 5, 2)), Value("lstm", (2, 5, 3))
    given, mask = Value("masking", (2, 5, 2)), Value("masking:1", (2, 5), "bool")
    masking = Call(Masking(name="masking", mask_value=0.5), (x,), (given, mask))
    calls = (Call(STATEFUL, (x,), (y,)),)
    if masked:
        calls = (masking, Call(STATEFUL, (given,), (y,), (mask,)))  # type: ignore[assignment]
    return Model(name="kept", inputs=(x,), calls=calls, outputs=(y,))


@pytest.mark.parametrize("masked", [False, True])
def test_states_that_are_kept_are_kept_again(masked: bool) -> None:
    model = kept(masked)
    back = converter.read(write_graph(model).bytes())
    assert [value.name for value in back.inputs] == ["x"]
    assert [value.name for value in back.outputs] == ["lstm"]
    (layer,) = (one for one in back.layers if isinstance(one, Recurrent))
    assert layer.stateful
    assert distance(model, back) < 1e-12
    forgetting = back.calls[-1]
    plain = replace(forgetting, layer=replace(layer, stateful=False))
    assert distance(model, replace(back, calls=(*back.calls[:-1], plain))) > 1e-3


@pytest.mark.parametrize("name", ["masked_words", "masked_steps"])
def test_a_mask_that_is_left_out_shows(name: str) -> None:
    model, back = both(name)
    calls = tuple(replace(call, masks=()) for call in back.calls)
    assert distance(model, replace(back, calls=calls)) > 1e-3


def test_packed_steps_in_another_order_are_refused_by_name() -> None:
    proto = write_graph(kept(masked=True)).whole()
    (node,) = (one for one in proto.graph.node if one.op_type == "TopK")
    node.attribute.append(helper.make_attribute("largest", 0))
    with pytest.raises(UnsupportedError) as caught:
        converter.read(proto.SerializeToString())
    assert caught.value.code == "onnx-node"
    assert "computed of a mask in another way" in caught.value.context
