"""What is in Keras and not read: a code, the layer, what was found, what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter.description import Layer
from converter.readers import read
from tests.readers.files import (
    archive,
    called,
    counted,
    functional,
    given,
    hdf5,
    layer,
    sequential,
)

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Layer]


def refusal(error_of: Error, file: Path, part: dict[str, Any]) -> str:
    """The text of the error for a layer in a model."""
    config = sequential(given((None, None, 3)), part)
    texts = {
        error_of(lambda: read(archive(file, config, {}))),
        error_of(lambda: read(hdf5(file, config, {}))),
    }
    assert len(texts) == 1  # the same for both formats
    return texts.pop()


def test_an_embedding_without_a_mask_is_read(one: One) -> None:
    settings = {"input_dim": 5, "output_dim": 2, "mask_zero": False}
    assert one("Embedding", counted(5, 2), shape=(None, None), **settings)


def test_a_lambda_is_never_run(file: Path, error_of: Error) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}
    help_ = "  help:  make it a class and describe that, see docs/custom-layers.md"
    expected = (
        "error[lambda-layer]: layer 'l' of model is a Lambda: its Python code is in the file\n"
        f'  found: "Lambda": code that is never run\n{help_}'
    )
    assert refusal(error_of, file, layer("Lambda", "l", function=code)) == expected
    inner = layer("Lambda", "l", function=code)
    wrapped = layer("TimeDistributed", "t", layer=inner)
    assert refusal(error_of, file, wrapped) == expected.replace("'l'", "'t/l'")
    both = layer("Bidirectional", "b", layer=inner)
    assert refusal(error_of, file, both) == expected.replace("'l'", "'b/l'")
    nested = sequential(given((None, None, 3)), inner)
    nested["config"]["name"] = "n"
    assert refusal(error_of, file, nested) == expected.replace("'l'", "'n/l'")


def test_a_lambda_as_an_activation_is_never_run(file: Path, error_of: Error) -> None:
    code = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
    assert refusal(error_of, file, layer("Dense", "d", units=2, activation=code)) == (
        "error[lambda-layer]: activation of layer 'd' of model is a Lambda: its Python code is in "
        'the file\n  found: {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}\n'
        "  help:  make it a class and describe that, see docs/custom-layers.md"
    )


def test_a_cell_outside_an_rnn_is_refused(file: Path, error_of: Error) -> None:
    cell = layer("LSTMCell", "c", units=2)
    expected = (
        "error[rnn-cells]: layer 'c' of model is a cell, and no layer\n"
        '  found: "LSTMCell": a cell outside an RNN\n'
        "  help:  use an RNN of it, or LSTM, GRU or SimpleRNN"
    )
    assert refusal(error_of, file, cell) == expected
    both = layer("Bidirectional", "b", layer=cell)
    assert refusal(error_of, file, both) == expected.replace("'c'", "'b/c'")


@pytest.mark.parametrize("both", [False, True])
def test_stacked_cells_in_a_layer_are_refused(both: bool, file: Path, error_of: Error) -> None:
    stack = layer("StackedRNNCells", "s", cells=[layer("LSTMCell", "cell", units=2)])
    inner = layer("RNN", "r", cell=stack)
    inner = layer("Bidirectional", "b", layer=inner) if both else inner
    config = sequential(given((None, None, 4, 3)), layer("TimeDistributed", "t", layer=inner))
    name = "t/b" if both else "t/r"
    assert error_of(lambda: read(archive(file, config, {}))) == (
        f"error[rnn-cells]: layer '{name}' of model stacks cells inside another layer, which is "
        "not read\n  found: several layers of which each has states, in the place of one\n"
        "  help:  use an RNN of one cell for each of them, one after another"
    )


def test_cells_that_are_not_keras_s_own_are_refused(file: Path, error_of: Error) -> None:
    part = layer("RNN", "r", cell=layer("PeepholeLSTMCell", "cell", units=2))
    assert refusal(error_of, file, part) == (
        "error[rnn-cells]: layer 'r/cell' of model is a cell that is not known\n"
        '  found: "PeepholeLSTMCell"; known: LSTMCell, GRUCell, SimpleRNNCell\n'
        "  help:  use LSTMCell, GRUCell or SimpleRNNCell"
    )


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("TFOpLambda", None),
        ("SlicingOpLambda", None),
        ("TensorFlowOpLayer", None),
        ("Add", "keras.src.ops.numpy"),
        ("Det", "keras.src.ops.linalg"),
    ],
)
def test_operations_are_refused(kind: str, module: str, file: Path, error_of: Error) -> None:
    part = {**layer(kind, "o"), "module": module}
    assert refusal(error_of, file, part) == (
        "error[operation]: layer 'o' of model is an operation outside any layer, which is not read "
        f'in this form\n  found: "{kind}": an operation on tensors\n'
        "  help:  use a layer instead, or simpler operations: docs/operations.md lists what is read"
    )


def test_a_layer_of_the_same_name_as_an_operation_is_read(file: Path) -> None:
    config = functional(
        [called(given((None, 3))), called(layer("Add", "sum"), ["x", "x"])], ["x"], ["sum"]
    )
    assert len(read(archive(file, config, {})).layers) == 1


@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup", "TextVectorization", "Hashing"])
def test_preprocessing_is_refused(kind: str, file: Path, error_of: Error) -> None:
    part = layer(kind, "p", vocabulary="/etc/passwd")
    assert refusal(error_of, file, part) == (
        "error[preprocessing-layer]: layer 'p' of model prepares data, and is not read\n"
        f'  found: "{kind}": a vocabulary, statistics or a random choice\n'
        "  help:  prepare the data outside the model"
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_states_of_an_unknown_number_of_sequences_are_refused(
    kind: str, file: Path, error_of: Error
) -> None:
    part = layer(kind, "s", units=2, stateful=True)
    expected = (
        "error[stateful]: layer 's' of model keeps its states, and nothing says of how many "
        "sequences\n"
        "  found: stateful=True and an input of shape (None, None, 3)\n"
        "  help:  build the model with a fixed batch: batch_shape=(1, None, ...)"
    )
    assert refusal(error_of, file, part) == expected
    both = layer("Bidirectional", "b", layer=part)
    assert refusal(error_of, file, both) == expected.replace("'s'", "'b/s'")


@pytest.mark.parametrize("kind", ["CuDNNRNN", "Attention2", "TFSMLayer", "Sparse", "os"])
def test_other_classes_are_unknown(kind: str, file: Path, error_of: Error) -> None:
    assert refusal(error_of, file, layer(kind, "u")) == (
        "error[unknown-layer]: layer 'u' of model is of a class that is not known\n"
        f'  found: "{kind}"\n'
        f"  help:  describe it: converter.register('{kind}'), see docs/custom-layers.md"
    )


def test_other_layers_are_not_read_in_two_directions(file: Path, error_of: Error) -> None:
    both = layer("Bidirectional", "b", layer=layer("Dense", "d", units=2))
    assert refusal(error_of, file, both) == (
        "error[unknown-layer]: layer 'b' of model is of a layer that is not read in two "
        'directions\n  found: "Dense"; known: LSTM, GRU, SimpleRNN, '
        "CuDNNLSTM, CuDNNGRU, RNN, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D\n"
        "  help:  use LSTM, GRU or SimpleRNN in Bidirectional"
    )


def test_a_subclass_of_model_is_refused(file: Path, error_of: Error) -> None:
    config = {"module": "mine", "class_name": "Own", "config": {}, "registered_name": "mine>Own"}
    assert error_of(lambda: read(archive(file, config, {}))) == (
        "error[subclassed-model]: the model of model is a subclass: what it computes is in its "
        'Python code\n  found: "Own", not Functional, Model, Sequential\n'
        "  help:  build it from layers as a Functional model and save that"
    )


def test_a_subclass_with_layers_is_unknown(file: Path, error_of: Error) -> None:
    config = {**sequential(given((None, 3))), "class_name": "Own"}
    text = error_of(lambda: read(archive(file, config, {})))
    assert text == (
        "error[unknown-layer]: the model of model is of a class that is not known\n"
        '  found: "Own", a class of its own\n'
        "  help:  replace it by layers of Keras itself; code of other classes is never run"
    )


@pytest.mark.parametrize("key", ["sparse", "ragged", "optional"])
def test_inputs_that_are_no_plain_arrays_are_refused(key: str, file: Path, error_of: Error) -> None:
    config = sequential(given((None, 3), **{key: True}))
    assert error_of(lambda: read(archive(file, config, {}))) == (
        f"error[input-kind]: {key} of layer 'x' of model is not read yet\n"
        f"  found: {key}=true\n  help:  use a dense input of padded sequences"
    )


@pytest.mark.parametrize("dtype", ["string", "mixed_float16", "complex64", 3, ["float32"]])
def test_inputs_of_other_dtypes_are_refused(dtype: object, file: Path, error_of: Error) -> None:
    x = given((None, 3))
    x["config"]["dtype"] = dtype
    text = error_of(lambda: read(archive(file, sequential(x), {})))
    assert text.startswith(
        "error[dtype-policy]: the input of layer 'x' of model has a dtype that is not read\n"
    )


@pytest.mark.parametrize("shape", [None, [], 3, [None, 0], [None, -1], [None, True], [None, 2.0]])
def test_a_shape_is_a_list_of_sizes(shape: object, file: Path, error_of: Error) -> None:
    x = given((None, 3))
    x["config"]["batch_shape"] = shape
    text = error_of(lambda: read(archive(file, sequential(x), {})))
    assert text.startswith("error[config]: batch_shape of layer 'x' of model is not as Keras")
