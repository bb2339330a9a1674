"""ONNX's own cases for LSTM, GRU and RNN: the outputs that its package expects of every backend.

Each is a node of which every input is an input of the graph; here those that are weights are stored
in the file, as in every file that a model is in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.backend.test.case import node
from onnx.backend.test.case.node import gru, lstm, rnn  # noqa: F401  each adds its cases

import converter
from converter.errors import UnsupportedError
from converter.runtimes import onnxruntime
from converter.runtimes.keras import Job, run
from converter.targets.keras import write_model
from converter.targets.onnx import write_graph
from tests.targets.keras.keras_files import put

GIVEN = {
    case.name: case
    for case in node._NodeTestCases  # what importing the three modules has filled
    if case.model.graph.node[0].op_type in ("GRU", "LSTM", "RNN")
}
NAMES = sorted(GIVEN)
WEIGHTS = ("W", "R", "B", "P")

WITHOUT_KERAS = {
    "test_lstm_with_peepholes": "lengths of sequences whose steps come before the batch",
}
"""The cases that Keras has no layer for, and what the refusal says."""

FLOAT32 = 1e-6
"""Of the largest output: three steps at most, measured below 2e-7."""


@dataclass(frozen=True)
class Conformance:
    """A case: a file with its weights stored, the other inputs, and what ONNX expects."""

    proto: onnx.ModelProto
    inputs: list[np.ndarray]
    expected: list[np.ndarray]


@cache
def case(name: str) -> Conformance:
    proto = onnx.ModelProto()
    proto.CopyFrom(GIVEN[name].model)
    ((given, expected),) = GIVEN[name].data_sets
    kept = []
    inputs = []
    for described, array in zip(proto.graph.input, given, strict=True):
        if described.name in WEIGHTS:
            proto.graph.initializer.append(numpy_helper.from_array(array, described.name))
        else:
            kept.append(described)
            inputs.append(array)
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    return Conformance(proto, inputs, list(expected))


def model_of(name: str, change: Callable[[onnx.ModelProto], None] | None = None) -> converter.Model:
    proto = onnx.ModelProto()
    proto.CopyFrom(case(name).proto)
    if change:
        change(proto)
    return converter.read(proto.SerializeToString())


def off(given: object, name: str) -> float:
    """The largest error as a part of the largest output; infinite for another shape."""
    answers = given if isinstance(given, tuple | list) else [given]
    expected = case(name).expected
    if [np.shape(one) for one in answers] != [one.shape for one in expected]:
        return float("inf")
    return max(
        float(np.abs(np.asarray(one) - other).max() / np.abs(other).max())
        for one, other in zip(answers, expected, strict=True)
    )


def test_every_case_of_the_package_is_here() -> None:
    assert len(NAMES) == 18


@pytest.mark.parametrize("name", NAMES)
def test_the_judge_gives_what_onnx_expects(name: str) -> None:
    assert off(converter.judge(model_of(name), *case(name).inputs), name) < FLOAT32


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_gives_what_onnx_expects(name: str) -> None:
    module = converter.to_torch(model_of(name))
    with torch.inference_mode():
        given = module(*map(torch.from_numpy, case(name).inputs))
    assert off(given, name) < FLOAT32


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_gives_it_from_the_file_that_is_written_again(name: str) -> None:
    session = onnxruntime.open(write_graph(model_of(name)).bytes(), threads=1)
    assert off(session.run(case(name).inputs), name) < FLOAT32


@pytest.fixture(scope="module")
def of_keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What Keras answers, of the files that it has a layer for."""
    folder = tmp_path_factory.mktemp("conformance")
    names = [name for name in NAMES if name not in WITHOUT_KERAS]
    jobs = [
        Job(put(write_model(model_of(name)), folder / f"{name}.keras"), [case(name).inputs])
        for name in names
    ]
    answers = run(jobs).outputs
    return dict(zip(names, answers, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_keras_gives_what_onnx_expects_or_has_no_such_layer(
    name: str, of_keras: dict[str, object]
) -> None:
    if name in WITHOUT_KERAS:
        with pytest.raises(UnsupportedError) as caught:
            write_model(model_of(name))
        assert caught.value.context == WITHOUT_KERAS[name]
        return
    (given,) = of_keras[name]  # type: ignore[misc]
    assert off(given, name) < FLOAT32


def without(name: str) -> Callable[[onnx.ModelProto], None]:
    """The node without an input."""

    def change(proto: onnx.ModelProto) -> None:
        (own,) = proto.graph.node
        own.input[:] = ["" if one == name else one for one in own.input]

    return change


def in_direction(way: str) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        (own,) = proto.graph.node
        (attribute,) = (one for one in own.attribute if one.name == "direction")
        attribute.s = way.encode()

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("test_lstm_with_peepholes", without("P")),
        ("test_lstm_with_initial_bias", without("B")),
        ("test_lstm_reverse", in_direction("forward")),
        ("test_gru_with_initial_bias", without("B")),
    ],
)
def test_a_case_with_one_thing_wrong_is_not_equal(
    name: str, change: Callable[[onnx.ModelProto], None]
) -> None:
    wrong = model_of(name, change)
    arrays = dict(
        zip((one.name for one in case(name).proto.graph.input), case(name).inputs, strict=True)
    )
    given = [arrays[value.name] for value in wrong.inputs]
    assert off(converter.judge(wrong, *given), name) > 1e3 * FLOAT32
