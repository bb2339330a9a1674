"""What the judge takes, gives and refuses, whatever the layers are."""

from __future__ import annotations

import doctest
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
import pytest

from converter import description
from converter.activations import Activation
from converter.description import (
    Activate,
    Call,
    Combination,
    Combine,
    Convolution,
    Dense,
    Layer,
    Model,
    Padding,
    Shape,
    Stored,
    Value,
    Weight,
)
from converter.errors import UnsupportedError, UsageError
from converter.gates import Array
from converter.judge import MEANINGS, Judge, judge, run
from tests.judge.describe import model_of

KERNEL = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)

X = Value("x", (None, 2))


def dense(kernel: Array = KERNEL) -> Dense:
    return Dense(name="dense", kernel=Weight.of(kernel), bias=None)


def twice() -> Model:
    """dense(dense(x)) and dense(x) + dense(dense(x)): one layer called twice, two outputs."""
    layer, add = dense(), Combine(name="add", combination=Combination.ADD)
    once, again, total = (Value(name, (None, 2)) for name in ("dense", "dense@1", "add"))
    calls = (
        Call(layer, (X,), (once,)),
        Call(layer, (once,), (again,)),
        Call(add, (once, again), (total,)),
    )
    return Model(name="twice", inputs=(X,), calls=calls, outputs=(again, total))


def test_every_layer_of_the_description_has_a_meaning() -> None:
    layers = [
        kind
        for kind in vars(description).values()
        if isinstance(kind, type) and issubclass(kind, Layer) and not kind.__subclasses__()
    ]
    assert len(layers) > 15
    assert [kind.__name__ for kind in layers if kind not in MEANINGS] == []


def test_the_example_of_the_docstring_is_true() -> None:
    module = import_module("converter.judge")  # `converter.judge` alone is the function
    failed, attempted = doctest.testmod(module)
    assert attempted > 0
    assert failed == 0


def test_one_output_is_an_array() -> None:
    np.testing.assert_array_equal(judge(model_of(dense(), X), [[1.0, 10.0]]), [[31.0, 42.0]])


def test_several_outputs_are_a_tuple() -> None:
    found = judge(twice(), [[1.0, 10.0]])
    assert isinstance(found, tuple)
    np.testing.assert_array_equal(found, [[[157.0, 230.0]], [[188.0, 272.0]]])


def test_every_value_is_given_by_its_name() -> None:
    values = run(twice(), [[[1.0, 10.0]]])
    assert {name: value.tolist() for name, value in values.items()} == {
        "x": [[1.0, 10.0]],
        "dense": [[31.0, 42.0]],
        "dense@1": [[157.0, 230.0]],
        "add": [[188.0, 272.0]],
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_everything_is_computed_in_the_dtype_that_is_asked_for(dtype: type) -> None:
    values = run(twice(), [np.ones((1, 2), np.float32)], dtype)
    assert {value.dtype for value in values.values()} == {np.dtype(dtype)}


def test_float64_is_where_float32_would_round() -> None:
    x = np.array([[1e8, 1 / 3]])
    exact = x @ KERNEL.astype(np.float64)
    assert np.array_equal(judge(model_of(dense(), X), x), exact)
    assert not np.array_equal(run(model_of(dense(), X), [x], np.float32)["layer:0"], exact)


def test_integers_are_kept_where_the_model_declares_them() -> None:
    integers = Value("x", (None, 2), "int32")
    values = run(model_of(dense(), integers), [np.array([[1, 2]], np.int64)])
    assert values["x"].dtype == np.int64
    assert values["layer:0"].dtype == np.float64


def test_integers_become_numbers_where_the_model_declares_those() -> None:
    assert run(model_of(dense(), X), [np.array([[1, 2]])])["x"].dtype == np.float64


def test_numbers_become_integers_where_the_model_declares_those() -> None:
    """As Keras converts an input to the dtype of its InputLayer."""
    integers = Value("x", (None, 2), "int32")
    assert run(model_of(dense(), integers), [[[1.9, -1.9]]])["x"].tolist() == [[1, -1]]


def counted(kernel: Array, reads: list[str]) -> Weight:
    def read() -> Array:
        reads.append("kernel")
        return kernel

    return Weight(kernel.shape, (Stored("kernel", kernel.shape, kernel.dtype, read),))


def test_a_weight_is_read_once_however_often_its_layer_is_called() -> None:
    reads: list[str] = []
    model = twice().map_weights(lambda _layer, _name, _weight: counted(KERNEL, reads))
    run(model, [np.ones((1, 2))])
    assert reads == ["kernel"]


def test_a_judge_keeps_the_weights_from_run_to_run() -> None:
    reads: list[str] = []
    model = twice().map_weights(lambda _layer, _name, _weight: counted(KERNEL, reads))
    kept = Judge(model)
    for _ in range(3):
        kept.run([np.ones((1, 2))])
    assert reads == ["kernel"]


def test_a_judge_keeps_its_weights_when_those_of_the_source_change() -> None:
    kernel = KERNEL.astype(np.float64)
    kept = Judge(model_of(dense(kernel), X))
    kernel[:] = 0
    np.testing.assert_array_equal(kept.run([[[1.0, 10.0]]])["layer:0"], [[31.0, 42.0]])


def test_perturbed_weights_are_another_model() -> None:
    model = model_of(dense(), X)
    nudged = model.map_weights(lambda _layer, _name, weight: Weight.of(weight.read() * 2))
    np.testing.assert_array_equal(judge(nudged, [[1.0, 10.0]]), [[62.0, 84.0]])
    np.testing.assert_array_equal(judge(model, [[1.0, 10.0]]), [[31.0, 42.0]])


def test_inputs_are_left_as_they_are() -> None:
    x = np.ones((1, 2))
    x.flags.writeable = False
    judge(twice(), x)
    assert x.tolist() == [[1.0, 1.0]]


def test_an_overflow_is_an_infinity_and_no_warning() -> None:
    layer = Activate(name="exp", activation=Activation.of("exponential"))
    np.testing.assert_array_equal(judge(model_of(layer, X), [[1e4, -1e4]]), [[np.inf, 0.0]])


@pytest.mark.parametrize("arrays", [0, 2])
def test_a_wrong_number_of_inputs_is_refused(arrays: int) -> None:
    with pytest.raises(UsageError) as refused:
        judge(twice(), *[np.ones((1, 2))] * arrays)
    assert str(refused.value) == (
        "error[input-count]: model 'twice' got a wrong number of inputs\n"
        f"  found: {arrays}; expected 1\n"
        "  help:  give one array for each input, in this order: x (any, 2)"
    )


@pytest.mark.parametrize("shape", [(1, 3), (2,), (1, 1, 2), ()])
def test_an_input_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        judge(twice(), np.ones(shape))
    assert str(refused.value) == (
        "error[input-shape]: input 'x' of model 'twice' has a wrong shape\n"
        f"  found: {shape}; expected (any, 2)\n"
        "  help:  give one array for each input, in this order: x (any, 2)"
    )


@pytest.mark.parametrize("batch", [0, 1, 17])
def test_a_free_axis_takes_any_length(batch: int) -> None:
    assert np.shape(judge(model_of(dense(), X), np.ones((batch, 2)))) == (batch, 2)


def test_an_input_that_becomes_too_short_is_refused_with_the_layer() -> None:
    layer = Convolution(
        name="conv",
        kernel=Weight.of(np.ones((3, 2, 1))),
        bias=None,
        strides=(1,),
        dilation=(2,),
        padding=Padding.VALID,
    )
    with pytest.raises(UsageError) as refused:
        judge(model_of(layer, Value("x", (None, None, 2))), np.ones((1, 4, 2)))
    assert str(refused.value) == (
        "error[layer-input]: layer 'conv' cannot take what these inputs become\n"
        "  found: 4 steps; its window covers 5\n"
        "  help:  give inputs of a length that every layer can take"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubled(Layer):
    """A layer of somebody else."""

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        return inputs


def test_a_layer_without_a_meaning_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="layer 'mine' has no meaning in the judge"):
        judge(model_of(Doubled(name="mine"), X), [[1.0, 2.0]])


def test_a_layer_of_somebody_else_can_be_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MEANINGS, "_handlers", dict(MEANINGS._handlers))

    @MEANINGS.register(Doubled)
    def _(_layer: Doubled, x: Array) -> tuple[Array, ...]:
        return (2 * x,)

    np.testing.assert_array_equal(
        judge(model_of(Doubled(name="mine"), X), [[1.0, 2.0]]), [[2.0, 4.0]]
    )


def test_a_part_of_a_model_is_a_model() -> None:
    model = twice()
    part = model.until(model.calls[0].outputs[0])
    np.testing.assert_array_equal(judge(part, [[1.0, 10.0]]), [[31.0, 42.0]])


def test_an_input_may_be_an_output() -> None:
    through = replace(twice(), outputs=(X,))
    np.testing.assert_array_equal(judge(through, [[1.0, 10.0]]), [[1.0, 10.0]])
