"""Real saved models of other people, beside what real Keras answers for them.

Each file is equal to its golden in the judge and in PyTorch, or it stands in `REFUSED` with the
code of its error and the reason, and is refused with exactly that. The files stay where they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import converter
from converter.errors import ConverterError

TOLERANCE = 1e-5
"""Of the largest output: float32 of both frameworks over up to 400 steps. Measured: below 3e-6."""

KERAS_1 = ("keras-1", "Keras 1 is another capability")
DL4J = "models/deeplearning4j+dl4j-test-resources/src/main/resources/"
REFUSED: dict[str, tuple[str, str]] = {
    "models/appeler+ethnicolr/c99a7a953e/ethnicolr/models/fl_voter_reg/lstm/fl_all_ln_lstm.h5": (
        "training",
        "its LSTM is called with training=True: Keras itself answers differently at every call",
    ),
    f"{DL4J}keras/simple/lstm_tf_model.h5": KERAS_1,
    f"{DL4J}modelimport/keras/examples/simple_lstm/simple_lstm_th_keras_1_model.h5": KERAS_1,
    f"{DL4J}modelimport/keras/weights/bidirectional_lstm_no_return_sequences_theano_1.h5": KERAS_1,
    f"{DL4J}modelimport/keras/weights/bidirectional_lstm_theano_1.h5": KERAS_1,
    f"{DL4J}modelimport/keras/weights/embedding_lstm_theano_1.h5": KERAS_1,
    f"{DL4J}modelimport/keras/weights/lstm_tensorflow_1.h5": KERAS_1,
    f"{DL4J}modelimport/keras/weights/simple_rnn_tensorflow_1.h5": KERAS_1,
    "models/ralcorta+pfi/410ebb4f6c/convlstm_model.keras": (
        "conv-lstm",
        "ConvLSTM is another capability",
    ),
    "keras215/convlstm.h5": ("conv-lstm", "ConvLSTM is another capability"),
    "keras215/convlstm.keras": ("conv-lstm", "ConvLSTM is another capability"),
    "keras215/stateful.h5": ("stateful", "states kept between calls are another capability"),
    "keras215/stateful.keras": ("stateful", "states kept between calls are another capability"),
}


def rows(corpus: Path) -> dict[str, str | None]:
    """Every full model in a format that is read, with where its answers are."""
    catalog = json.loads((corpus / "catalog.json").read_text())
    found: dict[str, str | None] = {
        row["path"]: row["golden"] for row in catalog if row["format"] in {"keras-v3", "h5-full"}
    }
    for path in sorted((corpus / "keras215").iterdir()):
        if path.suffix in {".h5", ".keras"}:
            found[f"keras215/{path.name}"] = f"keras215/{path.stem}.npz"
    return found


def cases(recorded: np.lib.npyio.NpzFile, model: converter.Model) -> Iterator[tuple[list, list]]:
    """Inputs and answers of each case, of either form of recording."""
    if "y" in recorded:
        yield [recorded[f"d{i}"] for i in range(len(model.inputs))], [recorded["y"]]
        return
    count = 0
    while f"case{count}_in0" in recorded:
        yield (
            [recorded[f"case{count}_in{i}"] for i in range(len(model.inputs))],
            [recorded[f"case{count}_out{i}"] for i in range(len(model.outputs))],
        )
        count += 1


def distance(given: object, expected: list) -> float:
    """The largest error as a part of the largest output; infinite for another shape."""
    answers = given if isinstance(given, tuple) else (given,)
    if [np.shape(one) for one in answers] != [one.shape for one in expected]:
        return float("inf")
    return max(
        float(np.abs(np.asarray(one) - other).max() / np.abs(other).max())
        for one, other in zip(answers, expected, strict=True)
    )


def outcome(corpus: Path, path: str, golden: str | None) -> str:
    """ "equal", "refused CODE", or what is wrong."""
    try:
        model = converter.read(corpus / path)
        module = converter.to_torch(model)
    except ConverterError as error:
        return f"refused {error.code}"
    if golden is None:
        return "wrong: it has no recorded answers"
    compared = 0
    for inputs, expected in cases(np.load(corpus / golden), model):
        given = [
            array.astype(value.dtype) for array, value in zip(inputs, model.inputs, strict=True)
        ]
        judged = distance(converter.judge(model, *given), expected)
        with torch.inference_mode():
            made = distance(module(*map(torch.from_numpy, given)), expected)
        if max(judged, made) > TOLERANCE:
            return f"wrong: judge {judged:.1e}, PyTorch {made:.1e} of the largest output"
        compared += 1
    return "equal" if compared else "wrong: nothing was compared"


@cache
def outcomes(corpus: Path) -> dict[str, str]:
    return {path: outcome(corpus, path, golden) for path, golden in rows(corpus).items()}


def test_every_full_model_of_the_corpus_is_equal_or_refused_for_a_reason(
    corpus: Path, record_property: Callable[[str, object], None]
) -> None:
    found = outcomes(corpus)
    equal = [path for path, said in found.items() if said == "equal"]
    refused = [path for path, said in found.items() if said.startswith("refused")]
    wrong = [path for path, said in found.items() if said.startswith("wrong")]
    line = f"{len(equal)} equal, {len(refused)} refused, {len(wrong)} wrong"
    record_property("summary", f"corpus: {line}")
    assert {path: found[path] for path in wrong} == {}
    assert {path: found[path] for path in refused} == {
        path: f"refused {code}" for path, (code, _) in REFUSED.items()
    }
    assert len(equal) > 40


def test_a_wrong_order_of_gates_is_not_equal_to_the_golden(corpus: Path) -> None:
    path = f"{DL4J}modelimport/keras/weights/lstm_tensorflow_2.h5"
    model = converter.read(corpus / path)
    module = converter.to_torch(model)
    (name,) = [name for name in module.state_dict() if name.endswith("weight_ih_l0")]
    weight = module.get_parameter(name)
    with torch.no_grad():
        weight.copy_(weight.view(4, -1)[[1, 0, 2, 3]].view_as(weight))
    inputs, expected = next(cases(np.load(corpus / rows(corpus)[path]), model))
    with torch.inference_mode():
        assert distance(module(*map(torch.from_numpy, inputs)), expected) > 100 * TOLERANCE


PAIRS = (
    ("keras215/lstm.h5", "keras215/lstm.keras"),
    ("keras215/gru.h5", "keras215/gru.keras"),
    ("keras215/bilstm.h5", "keras215/bilstm.keras"),
)


@pytest.mark.parametrize("pair", PAIRS)
def test_one_model_in_two_formats_has_the_same_arrays_to_the_bit(
    corpus: Path, pair: tuple[str, str]
) -> None:
    one, other = (
        [
            weight.read().tobytes()
            for layer in converter.read(corpus / path).layers
            for weight in layer.weights.values()
        ]
        for path in pair
    )
    assert one == other
