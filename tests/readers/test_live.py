"""Models in memory are what the same Keras saves of them, and what it computes with them."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import converter
from converter.errors import ConverterError
from tests.readers.live_keras import CASES, KERAS

FLOAT32 = 1e-6
"""Of the largest output: Keras's own rounding over four steps, measured below 4e-7."""


@pytest.fixture(scope="session")
def found(live: Path) -> dict[str, Any]:
    """What each Keras's process found."""
    return {who: json.loads((live / who / "result.json").read_text()) for who in KERAS}


@pytest.mark.parametrize("who", KERAS)
@pytest.mark.parametrize("name", CASES)
def test_a_model_in_memory_is_the_file_that_keras_saves(
    who: str, name: str, found: dict[str, Any]
) -> None:
    one = found[who]["models"][name]
    assert one["keras"]
    assert one["h5"]
    assert one["as an architecture"]
    assert not one["moved"]  # by the last bit of one number
    assert one["distance"] < FLOAT32
    assert one["imported"] == []


@pytest.mark.parametrize("who", KERAS)
@pytest.mark.parametrize("name", CASES)
def test_the_source_says_what_the_model_was(who: str, name: str, found: dict[str, Any]) -> None:
    one = found[who]["models"][name]
    path, form, number = one["source"]
    library = "tf_keras" if who == "tf_keras" else "keras"
    assert path == ""
    assert form in {f"{library}.{kind} in memory" for kind in ("Sequential", "Functional")}
    assert number == version(library)
    assert one["compiled"]  # changes nothing
    assert one["hash moved"]  # with the last bit of one number


@pytest.mark.parametrize("who", KERAS)
@pytest.mark.parametrize("name", CASES)
def test_a_model_that_was_trained_on_is_not_mixed(
    who: str, name: str, found: dict[str, Any]
) -> None:
    first, context, hint = found[who]["models"][name]["changed"].splitlines()
    assert first.startswith("error[changed]: ")
    assert first.endswith(" in memory changed after it was read")
    assert context.startswith("  found: other numbers in 'layers/")
    assert hint == "  help:  read it again: converter.read(model)"


REFUSED = {
    "not built": """\
error[not-built]: Sequential 'it' in memory has no weights yet
  found: built=False: nothing says the shape of its input
  help:  begin it with keras.Input, or call it once""",
    "a layer": """\
error[source-type]: a layer of Keras does not say what goes into it
  found: an object of type LSTM
  help:  put it into a model: keras.Sequential([keras.Input((None, 3)), layer])""",
    "an own layer": """\
error[unknown-layer]: layer 'mine' of Sequential 'it' in memory is of a class that is not known""",
    "no config": """\
error[no-config]: Sequential 'it' in memory cannot say what it is made of
  found: NotImplementedError: I say nothing
  help:  build it from layers as a Functional model; give own layers a get_config""",
    "a Lambda": """\
error[lambda-layer]: layer 'code' of Sequential 'it' in memory is a Lambda: its Python code is""",
    "a weight more": """\
error[surplus-weight]: Sequential 'it' in memory has weights that belong to no layer
  found: '""",
    "two architectures": """\
error[two-architectures]: a model of Keras in memory has an architecture of its own
  found: arch, and an object of type Sequential
  help:  give the weights as a file, or the model without arch""",
}


@pytest.mark.parametrize("who", KERAS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_is_refused_by_name(who: str, name: str, found: dict[str, Any]) -> None:
    assert found[who]["refusals"][name].startswith(REFUSED[name])


@pytest.mark.parametrize("who", KERAS)
def test_a_subclass_is_refused(who: str, found: dict[str, Any]) -> None:
    refusals = found[who]["refusals"]
    assert refusals["a subclass"] == (
        "error[subclassed-model]: the model of Own 'own' in memory is a subclass: what it computes "
        "is in its Python code\n"
        '  found: "Own", not Functional, Model, Sequential\n'
        "  help:  build it from layers as a Functional model and save that"
    )
    assert refusals["no built architecture"] == refusals["a subclass"]


@pytest.mark.parametrize("who", KERAS)
def test_every_function_that_takes_a_source_takes_a_model(who: str, found: dict[str, Any]) -> None:
    one = found[who]["conversion"]
    library = "tf_keras" if who == "tf_keras" else "keras"
    assert one["verdicts"] == ["equal", "equal"]
    assert one["verified"] == "equal"
    assert one["again"]
    assert one["source"]
    assert one["judged"]
    assert one["module"] == "It"
    assert one["onnx"] == 1
    assert one["alone"] == (
        "error[no-artefact]: a model alone can only be held against a test vector in an ONNX file\n"
        "  found: an object of type Sequential, and no artefact\n"
        "  help:  give the folder or the file that convert wrote as well"
    )
    assert len(one["inspected"]) == 1
    assert one["record"] == {
        "file": "",
        "form": f"{library}.Sequential in memory",
        "sha256": one["hash"],
        "version": version(library),
        "era": "tf.keras" if who == "tf_keras" else "Keras 3",
    }


@pytest.mark.parametrize("who", KERAS)
def test_arrays_are_read_one_by_one(who: str, found: dict[str, Any]) -> None:
    peak = found[who]["megabytes"]
    assert peak["all"] > 30
    assert peak["read"] < 10  # an array, and the copy that Keras makes of it
    assert peak["write"] < 10


@pytest.mark.parametrize("who", KERAS)
def test_weights_that_are_stored_otherwise_are_those_of_the_archive(
    who: str, found: dict[str, Any]
) -> None:
    assert found[who]["attention"]
    kinds = () if who == "tf_keras" else ("lora", "int8", "int4")
    assert found[who]["stored otherwise"] == dict.fromkeys(kinds, True)


class Model:
    """Not Keras's."""


def test_a_class_called_model_is_not_enough() -> None:
    with pytest.raises(ConverterError) as caught:
        converter.read(Model())  # type: ignore[arg-type]
    assert str(caught.value) == (
        "error[source-type]: a model is read from a path\n"
        "  found: an object of type Model\n"
        "  help:  give a path, bytes, an open file, or a keras.Model"
    )
