"""Layers around the recurrent ones: that each has nodes, and what nodes."""

from __future__ import annotations

import numpy as np
import pytest

from converter import description
from converter.activations import ACTIVATIONS, Activation
from converter.description import (
    Activate,
    Call,
    Layer,
    Masking,
    Merge,
    Model,
    Permute,
    Recurrent,
    RepeatVector,
    TimeDistributed,
    Value,
)
from converter.gates import Cell
from converter.targets.onnx.emit import emit
from converter.verify.inputs import cases
from tests.models_by_hand import Maker, called, chain, graph
from tests.targets.onnx.running import kinds, off, wrong

FLOAT32 = 3e-6
"""Of the largest output, of 7 steps with weights of size 1/2. Measured: below 1e-6."""


def test_every_layer_that_pytorch_has_has_nodes() -> None:
    from converter.targets.torch.emit import emit as of_torch

    layers = [
        kind
        for kind in vars(description).values()
        if isinstance(kind, type) and issubclass(kind, Layer) and kind in of_torch
    ]
    assert len(layers) > 25
    assert [kind.__name__ for kind in layers if kind not in emit] == []


@pytest.mark.parametrize("kind", sorted(ACTIVATIONS))
def test_every_activation_has_nodes(kind: str) -> None:
    layer = Activate(name="activation", activation=Activation.of(kind))
    model = chain(layer, shape=(None, None, 4))
    for opset in (15, 20) if kind == "gelu" else (15,):
        assert wrong(model, opset=opset) == []


@pytest.mark.parametrize("kind", ["gelu", "silu", "softmax", "selu"])
@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
@pytest.mark.parametrize("masked", [False, True])
def test_a_cell_that_no_node_has_is_a_scan(kind: str, cell: Cell, masked: bool) -> None:
    settings = {"activation": Activation.of(kind)}
    maker = Maker(size=0.5)
    layer = maker.recurrent(
        "layer", cell, 3, 4, activations=settings, merge=Merge.CONCAT, return_sequences=True,
        return_state=True,
    )  # fmt: skip
    model = after_a_mask(layer) if masked else chain(layer)
    assert wrong(model) == []
    assert kinds(model).count("Scan") == 2
    assert not {"Loop", "LSTM", "GRU", "RNN"} & set(kinds(model))


def after_a_mask(layer: Recurrent) -> Model:
    """A layer whose steps are masked where all features are zero."""
    x = Value("x", (None, None, 3))
    made = called(Masking(name="masking", mask_value=0.0), x)
    kept, mask = made.outputs
    mask = Value(mask.name, mask.shape, "bool")
    made = Call(made.layer, (x,), (kept, mask))
    used = called(layer, kept)
    return graph([x], [made, Call(layer, (kept,), used.outputs, (mask,))], used.outputs)


@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
@pytest.mark.parametrize("merge", [None, Merge.CONCAT, Merge.SUM, Merge.SEPARATE], ids=str)
@pytest.mark.parametrize("zeros", [False, True])
def test_a_mask_of_every_kind_is_one_node_between_two_sorts(
    cell: Cell, merge: Merge | None, zeros: bool
) -> None:
    for returned in (True, False):
        settings = {} if merge is None else {"merge": merge}
        layer = Maker(size=0.5).recurrent(
            "layer", cell, 3, 4, return_sequences=returned, return_state=True,
            zero_output_for_mask=zeros, **settings,
        )  # fmt: skip
        model = after_a_mask(layer)
        assert any("masked" in case.name for case in cases(model))
        assert wrong(model) == []
        found = kinds(model)
        assert sum(kind in {"LSTM", "GRU", "RNN"} for kind in found) == 1
        assert not {"Loop", "Scan"} & set(found)
        assert found.count("TopK") == 1


def test_stacked_masked_layers_hand_their_packed_steps_on() -> None:
    maker = Maker(size=0.5)
    first = maker.lstm("first", 3, 4, return_sequences=True)
    second, third = maker.lstm("second", 4, 4, return_sequences=True), maker.lstm("third", 4, 2)
    model = after_a_mask(first)
    mask = model.calls[1].masks
    calls = list(model.calls)
    for layer in (second, third):
        one = called(layer, calls[-1].outputs[0])
        calls.append(Call(layer, one.inputs, one.outputs, mask))
    whole = graph(model.inputs, calls, calls[-1].outputs)
    assert wrong(whole) == []
    assert kinds(whole).count("GatherND") == 1
    assert kinds(whole).count("LSTM") == 3


def test_axes_that_are_permuted_cost_nothing_before_a_recurrent_layer() -> None:
    model = chain(
        Permute(name="permute", dims=(2, 1)), Maker().lstm("lstm", 6, 4), shape=(None, 6, 3)
    )
    assert kinds(model) == ["Transpose", "LSTM", "Squeeze"]
    assert wrong(model) == []


def test_a_vector_that_is_repeated_is_repeated_in_the_order_of_time() -> None:
    layers = RepeatVector(name="repeat", n=4), Maker().lstm("lstm", 3, 4)
    model = chain(*layers, shape=(None, 3))
    assert kinds(model) == ["Unsqueeze", "Expand", "LSTM", "Squeeze"]
    assert wrong(model) == []


@pytest.mark.parametrize("time", [None, 5])
def test_a_layer_over_every_step_sees_them_as_a_batch(time: int | None) -> None:
    inner = Maker().lstm("each/lstm", 3, 4)
    model = chain(TimeDistributed(name="each", layer=inner), shape=(None, time, 2, 3))
    x = np.random.default_rng(0).normal(size=(3, 5, 2, 3)).astype(np.float32)
    assert off(model, x) < FLOAT32
