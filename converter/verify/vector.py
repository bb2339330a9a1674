"""A test vector: inputs, and what the judge answers for them, as text in a file's metadata."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from converter.description import Model, Value
from converter.dtypes import FLOATS, coarsest
from converter.errors import FormatError
from converter.gates import Array
from converter.verify.comparison import Expected, expectations
from converter.verify.inputs import Case, cases
from converter.verify.rounding import ONNXRUNTIME

MOST = 4096
"""Numbers of an output that are kept; of more, as many in equal distances."""


def test_vector(model: Model) -> str:
    """A few cases of a verification with the judge's answers, as JSON.

    The first two, which are two calls in a row of a model that keeps its states, and that with
    masks of a model that has some.
    """
    every = list(cases(model))
    chosen = [*every[:2], *[case for case in every[2:] if "masked" in case.name][:1]]
    told = [
        {
            "case": case.name,
            "inputs": [_as_text(array) for array in case.arrays],
            "outputs": [
                _output(value, one) for value, one in zip(model.outputs, some, strict=True)
            ],
        }
        for case, some in zip(chosen, expectations(model, chosen, ONNXRUNTIME), strict=True)
    ]
    return json.dumps({"schema": 1, "cases": told}, separators=(",", ":"))


def read_vector(text: str, name: str) -> tuple[list[Case], list[list[tuple[Value, Expected]]]]:
    """The cases of a test vector, and for each of them every output with what is expected.

    Raises:
        FormatError: It is none.
    """
    try:
        told = json.loads(text)["cases"]
        chosen = [Case(one["case"], tuple(map(_array, one["inputs"]))) for one in told]
        expected = [[_expected(output) for output in one["outputs"]] for one in told]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"the test vector of {name} cannot be read",
            context=f"{type(error).__name__}: {error}",
            hint="convert again",
            code="test-vector",
        ) from error
    return chosen, expected


def sampled(array: Array) -> Array:
    """Those numbers of an output that are kept: all, or as many as `MOST` in equal distances."""
    flat = array.reshape(-1)
    return flat[:: max(1, -(-flat.size // MOST))]


def _output(value: Value, one: Expected) -> dict[str, Any]:
    return {
        "name": value.name,
        "shape": list(one.answer.shape),
        "kept": _as_text(sampled(one.answer)),
        "dtype": value.dtype,
        "deviation": one.deviation,
        "inside": sorted(one.inside),
        "last": one.last,
        "moved": one.moved,
    }


def _expected(told: dict[str, Any]) -> tuple[Value, Expected]:
    value = Value(told["name"], tuple(told["shape"]), str(told["dtype"]))
    deviation, moved = float(told["deviation"]), bool(told["moved"])
    inside = frozenset(FLOATS.keys() & set(told["inside"]))
    last = coarsest(FLOATS.keys() & {told["last"]})
    return value, Expected(_array(told["kept"]), deviation, inside, moved, last)


def _as_text(array: Array) -> dict[str, Any]:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def _array(told: dict[str, Any]) -> Array:
    dtype = np.dtype(told["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"dtype {dtype}")
    raw = base64.b64decode(told["data"], validate=True)
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(told["shape"])
