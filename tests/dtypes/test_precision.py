"""--precision: a model in another dtype than its source computes in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import converter
from converter.activations import TANH
from converter.description import Activate, Call, Dense, Layer, Model, Value, Weight, with_casts
from converter.dtypes import FLOATS, as_type, numpy_dtype, rounded, units
from converter.errors import UsageError
from converter.ledger import wrong_arrays
from converter.precision import with_precision
from converter.report.words import layer_words
from converter.targets.torch import to_torch_source, write_source
from converter.verify import Status
from tests.dtypes.answers import Saved


@pytest.fixture
def mixed(saved: Path) -> Saved:
    return Saved(saved / "keras" / "bfloat16-tagger.keras")


def test_a_half_model_becomes_one_of_float32_with_every_weight_widened(
    mixed: Saved, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = converter.convert(mixed.path, out=out, precision="float32")
    assert done.verdict is not None
    assert done.verdict.status is Status.EQUAL
    assert done.record["precision"] == "float32"
    assert "bfloat16 widened to float32" in done.record["tensors"][0]["map"]
    text = (out / "model.py").read_text()
    assert ".bfloat16()" not in text
    assert "float()" not in text
    verdict = converter.verify(mixed.path, out, precision="float32")
    assert verdict.status is Status.EQUAL
    assert converter.verify(mixed.path, out).status is Status.DIFFERS


def test_without_it_nothing_is_recorded(mixed: Saved, tmp_path: Path) -> None:
    converter.convert(mixed.path, out=tmp_path / "out")
    assert "precision" not in json.loads((tmp_path / "out/conversion.json").read_text())


def test_a_widened_weight_gives_back_the_source_and_a_wrong_one_does_not(mixed: Saved) -> None:
    model = with_precision(mixed.model, "float32")
    placements = write_source(model).placements
    tensors = {name: array for one in placements for name, array in one.tensors()}
    assert {array.dtype.name for array in tensors.values()} == {"float32"}
    assert list(wrong_arrays(placements, tensors)) == []
    name = placements[0].names[0]
    tensors[name] = tensors[name] + np.float32(1)
    assert len(list(wrong_arrays(placements, tensors))) == 1


def test_what_float32_cannot_hold_is_said_to_be_rounded(saved: Path) -> None:
    model = converter.read(saved / "keras" / "float64-forecaster.keras")
    (weight, *_) = with_precision(model, "float32").layers[0].weights.values()
    assert weight.form.lossy == "rounded to float32"
    assert weight.dtype == np.float32
    (same, *_) = with_precision(model, "float64").layers[0].weights.values()
    assert not same.form.lossy


def test_an_unknown_precision_is_refused(mixed: Saved) -> None:
    with pytest.raises(UsageError) as caught:
        with_precision(mixed.model, "float8")
    assert caught.value.code == "unknown-precision"


def chain(*layers: Layer) -> Model:
    x = Value("x", (None, 2))
    calls: list[Call] = []
    for layer in layers:
        given = calls[-1].outputs[0] if calls else x
        calls.append(Call(layer, (given,), (Value(layer.name, (None, 2), layer.dtype),)))
    return Model(name="m", inputs=(x,), calls=tuple(calls), outputs=calls[-1].outputs)


def dense(name: str, dtype: str, variable_dtype: str) -> Dense:
    kernel = np.arange(4.0).reshape(2, 2).astype(numpy_dtype(variable_dtype))
    return Dense(
        name=name,
        dtype=dtype,
        variable_dtype=variable_dtype,
        kernel=Weight.of(kernel, name),
        bias=None,
    )


def test_a_cast_stands_wherever_a_layer_computes_in_another_dtype() -> None:
    model = chain(
        dense("a", "float16", "float32"),
        Activate(name="b", dtype="float16", activation=TANH),
        dense("c", "float32", "float32"),
    )
    assert [call.layer.name for call in with_casts(model).calls] == [
        "x:float16",
        "a",
        "b",
        "b:float32",
        "c",
    ]
    assert [layer_words(layer) for layer in model.layers] == [
        "Dense(2, use_bias=False), mixed_float16",
        "Activation(tanh), mixed_float16",
        "Dense(2, use_bias=False)",
    ]


def test_the_source_says_casts_and_keeps_parameters_as_they_are() -> None:
    source = to_torch_source(
        chain(dense("a", "float16", "float32"), dense("b", "float64", "float64"))
    )
    assert "self.a = Mixed(nn.Linear(2, 2, bias=False), torch.float16)" in source
    assert "self.b = nn.Linear(2, 2, bias=False).double()" in source
    assert "x = self.a(x.half())" in source
    assert "self.b(x.double())" in source
    whole = to_torch_source(chain(dense("a", "float64", "float64")))
    assert "        self.double()\n" in whole


def test_mixed_parameters_are_trained_as_they_are() -> None:
    module = converter.to_torch(chain(dense("a", "float16", "float32")))
    module(torch.ones(1, 2)).sum().backward()
    (parameter,) = module.parameters()
    assert parameter.dtype is torch.float32
    assert parameter.grad is not None
    assert parameter.grad.dtype is torch.float32
    assert parameter.grad.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("name", FLOATS)
def test_units_are_those_of_numpy(name: str) -> None:
    numbers = np.array([1, 1.5, 2, 3e4, 6e-5, 1e-7, 0])
    wide = numbers.astype(numpy_dtype(name)).astype(np.float64)
    above = np.nextafter(numbers.astype(numpy_dtype(name)), numpy_dtype(name).type(np.inf))
    np.testing.assert_array_equal(units(wide, name), above.astype(np.float64) - wide)


def test_a_number_is_rounded_once() -> None:
    numbers = (
        np.random.default_rng(1).normal(size=1000) * 10.0 ** np.arange(-8, 5).repeat(77)[:1000]
    )
    np.testing.assert_array_equal(
        rounded(numbers, "float16"), numbers.astype(np.float16).astype(np.float64)
    )
    middle = np.array([1 + 2**-8 + 2**-40])  # by way of float32 it would be a tie, and 1
    assert rounded(middle, "bfloat16").tolist() == [1 + 2**-7]
    assert as_type(np.array([1e5]), "float16").tolist() == [np.inf]
