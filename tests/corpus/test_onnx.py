"""ONNX files of other people: equal to themselves in onnxruntime, or refused for a stated reason.

The original is the file in onnxruntime. It is held against the judge, PyTorch, and the file that is
written again; what becomes of it in Keras is read back.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch

import converter
from converter.errors import ConverterError
from converter.runtimes import onnxruntime
from converter.targets.keras import write_model
from converter.targets.onnx import write_graph
from converter.verify.inputs import cases
from tests.readers.onnx.nodes import distance

TOLERANCE = 1e-5
"""Of the largest output: float32 of both over up to 300 steps. Measured: below 4e-6."""

REFUSED: dict[str, tuple[str, str]] = {
    "silero_vad_16k_sequence.onnx": (
        "node '/stft/padding/Pad' (Pad)",
        "mode=reflect, and zeros",
    ),
    "gtcrn.onnx": (
        "node 'ScatterND_227' (ScatterND)",
        "a node of the kind ScatterND, which is not read",
    ),
}
"""Files that are not read, by their names: the node, and what is found."""

WITHOUT_KERAS = {
    "lstm.onnx": "operation",  # its initial state is a constant, and no layer of Keras is one
}
"""Files that Keras cannot say, with the code of the error."""


def files(corpus: Path) -> list[str]:
    catalog = json.loads((corpus / "catalog.json").read_text())
    return [row["path"] for row in catalog if row["format"] == "onnx"]


@cache
def outcome(path: Path) -> str:
    """ "equal", "refused ...", or what is wrong."""
    try:
        model = converter.read(path)
    except ConverterError as error:
        return f"refused: {error.message.split(' of ')[0]}: {error.context}"
    module = converter.to_torch(model)
    original, again = (
        onnxruntime.open(one, threads=1) for one in (path, write_graph(model).bytes())
    )
    compared = 0
    for case in list(cases(model))[:3]:
        expected = original.run(case.arrays)
        with torch.inference_mode():
            given = module(*map(torch.from_numpy, case.arrays))
        errors = [
            distance(answer, expected)
            for answer in (converter.judge(model, *case.arrays), given, again.run(case.arrays))
        ]
        if max(errors) > TOLERANCE:
            return f"wrong: judge, PyTorch, ONNX {errors} of the largest"
        compared += 1
    return "equal" if compared else "wrong: nothing was compared"


def test_every_file_is_equal_or_refused_for_a_reason(corpus: Path) -> None:
    found = {Path(one).name: outcome(corpus / one) for one in files(corpus)}
    assert len(found) == 6
    assert {name: said for name, said in found.items() if said != "equal"} == {
        name: f"refused: {node}: {reason}" for name, (node, reason) in REFUSED.items()
    }


def test_what_is_read_becomes_keras_or_is_refused_by_name(corpus: Path) -> None:
    found = {}
    for one in files(corpus):
        name = Path(one).name
        if name in REFUSED:
            continue
        try:
            write_model(converter.read(corpus / one))
        except ConverterError as error:
            found[name] = error.code
    assert found == WITHOUT_KERAS


def test_a_wrong_order_of_gates_is_not_equal_to_the_original(corpus: Path) -> None:
    (path,) = (corpus / one for one in files(corpus) if one.endswith("classifier.onnx"))
    model = converter.read(path)

    wrong = model.map_weights(
        lambda _layer, part, weight: (
            type(weight).of(weight.read()[[1, 0, 2]]) if part == "forward.kernel" else weight
        )
    )
    case = next(iter(cases(model)))
    expected = onnxruntime.open(path, threads=1).run(case.arrays)
    assert distance(converter.judge(wrong, *case.arrays), expected) > 100 * TOLERANCE


@pytest.mark.parametrize("name", ["classifier.onnx", "model_1.onnx"])
def test_the_layers_are_those_of_the_authors(name: str, corpus: Path) -> None:
    (path,) = (corpus / one for one in files(corpus) if one.endswith(name))
    named = {layer.name: type(layer).__name__ for layer in converter.read(path).layers}
    expected = {
        "classifier.onnx": {"bigru1": "Recurrent", "bigru2": "Recurrent", "dense1": "Dense"},
        "model_1.onnx": {"lstm_4": "Recurrent", "lstm_5": "Recurrent", "dense_2": "Dense"},
    }[name]
    assert expected.items() <= named.items()


def test_an_export_has_the_checkpoint_that_it_was_made_of(corpus: Path) -> None:
    """The GRU classifier lies there as a checkpoint of PyTorch too: the same names and bits."""
    (path,) = (corpus / one for one in files(corpus) if one.endswith("classifier.onnx"))
    folder = path.parents[2] / "data/models/textClassification/copyright_gru"
    checkpoint = torch.load(folder / "model_weights.pth", weights_only=True)
    state = converter.to_torch(converter.read(path)).state_dict()
    assert state.keys() == checkpoint.keys()
    assert len(state) == 20
    assert all(torch.equal(state[name], checkpoint[name]) for name in state)
