"""What is in Keras and not read, by the names of its classes: each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from converter.errors import UnsupportedError
from converter.readers.strict import shown


class Reason(NamedTuple):
    """Why a class is refused."""

    code: str
    what: str
    found: str
    hint: str


MASK = Reason(
    "mask",
    "makes a mask, which is not read yet",
    "steps that are to be skipped",
    "save the model without the mask where all sequences have their full length",
)
LAMBDA = Reason(
    "lambda-layer",
    "is a Lambda: its Python code is in the file",
    "code that is never run",
    "make it a class and describe that, see docs/custom-layers.md",
)
CELLS = Reason(
    "rnn-cells",
    "is a cell, and no layer",
    "a cell outside an RNN",
    "use an RNN of it, or LSTM, GRU or SimpleRNN",
)
OPERATION = Reason(
    "operation",
    "is an operation outside any layer, which is not read in this form",
    "an operation on tensors",
    "use a layer instead, or simpler operations: docs/operations.md lists what is read",
)
PREPROCESSING = Reason(
    "preprocessing-layer",
    "prepares data, and is not read",
    "a vocabulary, statistics or a random choice",
    "prepare the data outside the model",
)

CLASSES: Mapping[str, Reason] = {
    "Lambda": LAMBDA,
    **dict.fromkeys(("StackedRNNCells", "LSTMCell", "GRUCell", "SimpleRNNCell"), CELLS),
    **dict.fromkeys(("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"), OPERATION),
    **dict.fromkeys(
        (
            "StringLookup",
            "IntegerLookup",
            "TextVectorization",
            "CategoryCrossing",
            "Hashing",
            "HashedCrossing",
            "FeatureSpace",
        ),
        PREPROCESSING,
    ),
}

MODULES_OF_OPERATIONS = ("keras.src.ops", "keras.ops", "keras.src.backend")


def refuse(kind: str, module: object, where: str) -> None:
    """Refuse a layer that is known and not read.

    Args:
        kind: Its class.
        module: Of the class, as the file says it.
        where: The layer and the file, for the error.

    Raises:
        UnsupportedError: It is one of those.
    """
    reason = CLASSES.get(kind)
    operation = isinstance(module, str) and module.startswith(MODULES_OF_OPERATIONS)
    if operation:
        reason = OPERATION
    if reason is not None:
        raise error(reason, where, f"{shown(kind)}: {reason.found}")


def error(reason: Reason, where: str, context: str) -> UnsupportedError:
    """The refusal of a layer for that reason."""
    return UnsupportedError(
        f"{where} {reason.what}", context=context, hint=reason.hint, code=reason.code
    )
