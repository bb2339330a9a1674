"""The second provider that runs on any machine: OpenVINO, in a Python of its own."""

from __future__ import annotations

import os

import pytest

import converter
from converter.activations import Activation
from converter.compare.providers import CPU, PROVIDERS
from converter.compare.timings import Row
from converter.description import Merge, Model
from converter.gates import Cell
from converter.verify.verdict import Status
from tests.conftest import OPENVINO
from tests.models_by_hand import Maker, chain
from tests.targets.onnx.test_layers import after_a_mask

pytestmark = pytest.mark.needs_openvino

NAME = PROVIDERS["openvino"].name


def ran(model: Model) -> Row:
    found = converter.compare(
        model, runtimes=("onnxruntime",), providers=("openvino",), batches=(1,), times=(3,),
        rounds=1, python={"openvino": os.environ[OPENVINO]},
    )  # fmt: skip
    (row,) = found.rows
    return row


def test_it_takes_a_layer_both_ways_and_answers_as_the_judge() -> None:
    maker = Maker(size=0.5)
    row = ran(chain(maker.lstm("layer", 3, 4, merge=Merge.CONCAT), maker.dense("head", 8, 2)))
    assert row.failure == ""
    assert row.verdict is not None
    assert row.verdict.status is Status.EQUAL
    assert {node.provider for node in row.nodes} == {NAME}
    assert row.placed
    assert row.surprises == ()


def test_lengths_that_it_ignores_are_seen() -> None:
    row = ran(after_a_mask(Maker(size=0.5).gru("layer", 3, 4, return_sequences=True)))
    assert row.verdict is not None
    assert row.verdict.status is Status.DIFFERS


def test_a_scan_is_left_to_the_cpu_as_forecast() -> None:
    settings = {"activation": Activation.of("gelu")}
    row = ran(chain(Maker(size=0.5).recurrent("layer", Cell.LSTM, 3, 4, activations=settings)))
    assert row.verdict is not None
    assert row.verdict.status is Status.EQUAL
    assert [(node.kind, node.provider) for node in row.nodes if node.kind == "Scan"] == [
        ("Scan", CPU)
    ]
    assert row.surprises == ()
    assert not row.placed


def test_an_activation_that_it_lacks_is_a_row_that_says_so() -> None:
    settings = {"recurrent_activation": Activation.of("hard_sigmoid", alpha=0.2, beta=0.5)}
    row = ran(chain(Maker(size=0.5).recurrent("layer", Cell.LSTM, 3, 4, activations=settings)))
    assert "Unsupported activation function" in row.failure
