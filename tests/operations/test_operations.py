"""Operations outside layers mean what Keras computes, as Keras 3 and tf.keras write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import converter
from converter.description import Cast, Concatenate, Model, Operation, Permute, Reshape, Slice
from converter.errors import ConverterError, UnsupportedError
from converter.runtimes.keras import Job, run
from converter.targets.keras import Dialect, write_model
from tests.operations.answers import EXACT, FLOAT32, SHOWS, Saved, distance
from tests.operations.mutants import mutants
from tests.targets.keras.keras_files import put

COUNTS = {"keras": 101, "tf_keras": 87}
"""The models of each Keras."""

IN_FLOAT32 = frozenset({"mean_of_whole"})
"""Keras 3 gives the mean of whole numbers in float32, whatever its floatx."""


def models(folder: Path) -> dict[str, Saved]:
    return {
        path.stem: Saved(path)
        for path in sorted(folder.iterdir())
        if path.suffix != ".npz" and path.is_file()
    }


def beyond(who: str, found: dict[str, float]) -> dict[str, float]:
    """What is further away than it may be."""

    def tolerance(name: str) -> float:
        return FLOAT32 if who == "tf_keras" or name in IN_FLOAT32 else EXACT

    return {name: far for name, far in found.items() if not far < tolerance(name)}


@pytest.mark.parametrize("who", COUNTS)
def test_the_judge_answers_as_keras(who: str, saved: Path) -> None:
    found = {name: one.judged() for name, one in models(saved / who).items()}
    assert beyond(who, found) == {}
    assert len(found) == COUNTS[who]


def test_an_h5_of_keras_3_says_the_same(saved: Path) -> None:
    """It names no module of an operation, so that Keras takes it for a layer that it lacks."""
    found = {
        name: one.judged(converter.read(saved / "keras" / "hdf5" / f"{name}.h5"))
        for name, one in models(saved / "keras").items()
    }
    assert beyond("keras", found) == {}
    assert len(found) == COUNTS["keras"]


@pytest.mark.parametrize("who", COUNTS)
def test_the_module_answers_as_keras(who: str, saved: Path) -> None:
    found = {name: one.made() for name, one in models(saved / who).items()}
    assert beyond(who, found) == {}
    assert len(found) == COUNTS[who]


@pytest.mark.parametrize("who", COUNTS)
def test_onnxruntime_answers_as_keras(who: str, saved: Path) -> None:
    found = {name: one.run() for name, one in models(saved / who).items()}
    assert {name: far for name, far in found.items() if not far < FLOAT32} == {}
    assert len(found) == COUNTS[who]


@pytest.mark.parametrize("who", COUNTS)
def test_each_tensor_has_the_dtype_that_keras_gives(who: str, saved: Path) -> None:
    for name, one in models(saved / who).items():
        declared = [value.dtype for value in one.model.outputs]
        assert declared == [str(array.dtype) for array in one.of("out")], name


def changed(model: Model) -> dict[str, Model]:
    """The model with one thing wrong in one operation."""
    found = {}
    for k, call in enumerate(model.calls):
        for wrong in mutants(call):
            calls = [
                replace(one, layer=wrong.layer) if one.layer.name == call.layer.name else one
                for one in model.calls
            ]
            calls[k] = wrong
            what = f"{call.layer.name} as {wrong.layer} of {wrong.inputs} to {wrong.outputs}"
            found[what] = replace(model, calls=tuple(calls))
    return found


def far(one: Saved, model: Model) -> float:
    """How far it is from Keras; infinite where it cannot be computed at all."""
    try:
        return one.judged(model)
    except (ConverterError, ValueError, IndexError):
        return float("inf")


@pytest.mark.parametrize("who", COUNTS)
def test_an_operation_with_one_thing_wrong_shows(who: str, saved: Path) -> None:
    wrong = {
        (name, what): far(one, model)
        for name, one in models(saved / who).items()
        for what, model in changed(one.model).items()
    }
    assert {key: found for key, found in wrong.items() if not found > SHOWS} == {}
    assert len(wrong) > 150


def test_operations_are_written_for_keras_3_and_answer_there(saved: Path, tmp_path: Path) -> None:
    sources = {
        f"{who}_{name}": one
        for who in COUNTS
        for name, one in models(saved / who).items()
        if name != "each_step"  # TimeDistributed takes layers alone
    }
    jobs = []
    for name, one in sources.items():
        file = put(write_model(one.model), tmp_path / f"{name}.keras")
        back = one.judged(converter.read(file))
        assert back < (FLOAT32 if name.startswith("tf") or "whole" in name else EXACT), name
        jobs.append(Job(file, [one.of("in")]))
    for (name, one), answers in zip(sources.items(), run(jobs).outputs, strict=True):
        assert isinstance(answers, list), (name, answers)
        assert distance(tuple(answers[0]), one.of("out")) < FLOAT32, name
        declared = [array.dtype for array in answers[0]]
        assert declared == [array.dtype for array in one.of("out")], name


def test_an_operation_of_each_step_cannot_be_written_for_keras(saved: Path) -> None:
    model = Saved(saved / "tf_keras" / "each_step.h5").model
    with pytest.raises(UnsupportedError, match=r"keras\.ops: GetItem in a TimeDistributed"):
        write_model(model)


def test_a_legacy_file_has_no_operations(saved: Path) -> None:
    model = Saved(saved / "keras" / "add_number.keras").model
    with pytest.raises(UnsupportedError) as caught:
        write_model(model, Dialect.LEGACY)
    assert str(caught.value) == (
        f"error[legacy-operation]: layer '{model.layers[0].name}' cannot be written for Keras\n"
        "  found: keras.ops: Add; .h5 holds layers alone\n"
        "  help:  --to keras writes a file for Keras 3 alone"
    )


UNREAD = {
    "keras": {
        "backwards_by_two": '"step": -2} in the brackets of x[...]',
        "batch_of_each_step": "one that moves the batch, in a TimeDistributed",
        "cumprod": "keras.ops: Cumprod",
        "index_of_all": "an index into the whole tensor, axis=None",
        "largest_from": "initial=0.0",
        "norm": '"Norm": an operation on tensors',
        "quotient_of_floats": "x // y of fractions, which not all round alike: floor(x / y)",
        "sum_of_bool": "inputs of bool: cast them to float32 before",
        "trace": 'subscripts "bii->bi"',
        "two_kinds_of_whole": "inputs of int64, int32: cast them to float32 before",
    },
    "tf_keras": {
        "cumsum": "tf.math.cumsum",
        "cut_by_a_tensor": "tf.compat.v1.shape",
        "einsum": "tf.einsum",
        "equal": "tf.__operators__.eq",
        "mean_of_whole": "inputs of int32: cast them to float32 before",
        "quotient_of_whole": "inputs of int32: cast them to float32 before",
        "shape": "tf.compat.v1.shape",
    },
}


@pytest.mark.parametrize("who", UNREAD)
def test_what_is_not_read_is_refused_by_name(who: str, saved: Path) -> None:
    files = {path.stem: path for path in (saved / who / "unread").iterdir()}
    assert files.keys() == UNREAD[who].keys()
    for name, path in files.items():
        with pytest.raises(UnsupportedError) as caught:
            converter.read(path)
        assert caught.value.code == "operation"
        assert f"of {path} is an operation outside any layer" in str(caught.value)
        assert UNREAD[who][name] in str(caught.value)
        assert "docs/operations.md" in str(caught.value)


def test_what_a_layer_means_as_well_is_that_layer(saved: Path) -> None:
    kinds = {"reshape": Reshape, "transpose": Permute, "concatenate": Concatenate, "last": Slice}
    for name, kind in kinds.items():
        for who in COUNTS:
            (path,) = (saved / who).glob(f"{name}.[kh]*")
            (layer,) = converter.read(path).layers
            assert type(layer) is kind


def test_a_mask_goes_through_a_cast_that_changes_nothing_and_no_other_operation(
    saved: Path,
) -> None:
    for who in COUNTS:
        folder = models(saved / who)
        *_, cast, lstm = folder["cast_masked"].model.calls
        assert isinstance(cast.layer, Cast)
        assert lstm.mask is not None
        after_times, without = folder["masked"].model.calls[-2:]
        masks = {call.layer.name: call.mask for call in (after_times, without)}
        assert sorted(mask is None for mask in masks.values()) == [False, True]
        one = folder["cast_masked"]
        calls = (*one.model.calls[:-1], replace(lstm, masks=()))
        assert one.judged(replace(one.model, calls=calls)) > SHOWS


def test_a_tensor_that_is_a_mask_and_a_number_is_both(saved: Path) -> None:
    for who in COUNTS:
        model = models(saved / who)["mask_by_hand"].model
        greater = next(call for call in model.calls if isinstance(call.layer, Operation))
        (lstm,) = [call for call in model.calls if call.masks]
        assert lstm.mask == greater.outputs[0]
