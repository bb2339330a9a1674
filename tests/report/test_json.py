from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converter.conversion import Conversion
from converter.errors import ReadError
from converter.report.inspection import inspect
from converter.report.json import as_json, conversion_as_dict, error_as_dict
from converter.verify.verdict import Status
from tests.report.models import question
from tests.report.test_text import EQUAL, FAR


def test_an_inspection_holds_what_its_text_says() -> None:
    found = json.loads(as_json(inspect(question()).as_dict()))
    assert found["schema"] == 1
    assert (found["keras_parameters"], found["torch_parameters"]) == (16, 20)
    assert found["inputs"] == [{"name": "x", "shape": [None, 1, 2], "dtype": "float32"}]
    assert found["layers"] == [
        {
            "name": "lstm",
            "what": "LSTM(1)",
            "outputs": [[None, 1]],
            "keras_parameters": 16,
            "torch_parameters": 20,
            "trainable": True,
        }
    ]
    (row,) = found["recurrent"]
    assert row["keras"]["terms"][0] == {"text": "4·F·U", "size": 8}
    assert row["gates"][2] == {
        "gate": "c",
        "torch_gate": "g",
        "meaning": "candidate",
        "activation": "tanh",
        "columns": [2, 3],
        "rows": [2, 3],
        "kernel_shape": [2, 1],
        "recurrent_kernel_shape": [1, 1],
        "bias_shape": [1],
        "numbers": {
            "kernel": [[pytest.approx(0.04)], [pytest.approx(0.05)]],
            "recurrent_kernel": [[pytest.approx(1.02)]],
            "bias": [pytest.approx(2.02)],
            "recurrent_bias": None,
        },
    }


def test_numbers_are_the_same_bits() -> None:
    model = question()
    found = json.loads(as_json(inspect(model).as_dict()))
    gate = model.layers[0].gates["c"]  # type: ignore[attr-defined]
    numbers = found["recurrent"][0]["gates"][2]["numbers"]["kernel"]
    assert np.array(numbers, np.float32).tobytes() == gate.kernel.tobytes()


def test_a_verdict_is_its_dictionary() -> None:
    found = json.loads(as_json(EQUAL.as_dict()))
    assert (found["schema"], found["status"], found["arrays"]) == (1, "equal", 3)
    assert found["comparisons"][1]["where"] == [2, 0]


@pytest.mark.parametrize(("number", "written"), [("nan", "nan"), ("inf", "inf"), ("-inf", "-inf")])
def test_what_json_cannot_say_is_a_string(number: str, written: str) -> None:
    verdict = replace(EQUAL, comparisons=(replace(FAR, error=float(number)),))
    assert json.loads(as_json(verdict.as_dict()))["comparisons"][0]["error"] == written


def test_numpy_numbers_and_paths_are_plain_values() -> None:
    given = {"a": np.float32(0.5), "b": (np.int64(3),), "c": Path("x/y"), "d": Status.EQUAL}
    assert json.loads(as_json(given)) == {"a": 0.5, "b": [3], "c": "x/y", "d": "equal"}


def test_an_error_has_its_four_parts() -> None:
    error = ReadError("m", context="c", hint="h", code="x")
    assert error_as_dict(error) == {
        "schema": 1,
        "error": {"code": "x", "message": "m", "found": "c", "help": "h"},
    }


def test_a_conversion_has_its_files_and_its_record() -> None:
    record = {"schema": 1, "verdict": EQUAL.as_dict()}
    done = Conversion(
        model=question(),
        folder=Path("out"),
        files=(Path("out/model.py"),),
        record=record,
        verdict=EQUAL,
    )
    found = json.loads(as_json(conversion_as_dict(done)))
    assert found["written"] == ["out/model.py"]
    assert found["record"]["verdict"]["status"] == "equal"
