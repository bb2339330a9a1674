"""The inputs of a verification: they fit the model, and vary in everything that could matter."""

from __future__ import annotations

import numpy as np
import pytest

from converter.description import (
    Call,
    Concatenate,
    Convolution,
    Dropout,
    Flatten,
    Layer,
    Model,
    Noise,
    Padding,
    Permute,
    RepeatVector,
    Reshape,
    Shape,
    TimeDistributed,
    Value,
)
from converter.judge import Judge
from converter.verify.inputs import LONGEST, Case, cases, usual_length
from tests.models_by_hand import Maker, called, chain, graph

MAKE = Maker()


def by_name(model: Model) -> dict[str, Case]:
    return {case.name: case for case in cases(model)}


def shapes(model: Model) -> list[Shape]:
    return [case.arrays[0].shape for case in cases(model)]


def identity(shape: Shape, dtype: str = "float32") -> Model:
    """A model that gives its input back."""
    dropout = Dropout(name="dropout", noise=Noise.DROPOUT, rate=0.5)
    return chain(dropout, shape=shape, dtype=dtype)


def convolution(size: int) -> Convolution:
    return Convolution(
        name=f"convolution_{size}",
        kernel=MAKE.weight("kernel", size, 3, 3),
        bias=None,
        strides=(1,),
        dilation=(1,),
        padding=Padding.VALID,
    )


# Batches, lengths and sizes


def test_a_free_time_axis_has_every_case() -> None:
    model = chain(MAKE.lstm("lstm", 3, 2))
    assert {name: case.arrays[0].shape for name, case in by_name(model).items()} == {
        "batch=3 time=7 normal": (3, 7, 3),
        "batch=1 time=7 normal": (1, 7, 3),
        "batch=17 time=2 normal": (17, 2, 3),
        "batch=3 time=1 normal": (3, 1, 3),
        "batch=3 time=7 zeros": (3, 7, 3),
        "batch=5 time=7 one-hot": (5, 7, 3),
        "batch=3 time=7 x10": (3, 7, 3),
        "batch=3 time=7 x1e-3": (3, 7, 3),
    }


def test_a_fixed_time_axis_keeps_its_length() -> None:
    model = chain(MAKE.lstm("lstm", 3, 2), shape=(None, 4, 3))
    assert {shape[1:] for shape in shapes(model)} == {(4, 3)}
    assert {shape[0] for shape in shapes(model)} == {1, 3, 5, 17}
    assert all("time" not in name for name in by_name(model))


def test_a_fixed_batch_is_the_only_one() -> None:
    model = chain(MAKE.lstm("lstm", 3, 2), shape=(4, None, 3))
    assert {shape[0] for shape in shapes(model)} == {4}
    assert {shape[1] for shape in shapes(model)} == {1, 2, LONGEST}


@pytest.mark.parametrize("shape", [(None, None, 3), (None, 4, 3), (4, None, 3), (4, 4, 3)])
def test_no_case_comes_twice(shape: Shape) -> None:
    names = [case.name for case in cases(chain(MAKE.lstm("lstm", 3, 2), shape=shape))]
    assert len(names) == len(set(names)) >= 5


@pytest.mark.parametrize("shape", [(None, 3), (None, None, 3), (None, 4, 5, 3), (None,), (2, 3)])
def test_an_input_of_any_rank_has_cases(shape: Shape) -> None:
    model = identity(shape)
    for case in cases(model):
        assert len(case.arrays[0].shape) == len(shape)
        Judge(model).run(case.arrays)


def test_every_input_has_the_same_batch_and_time() -> None:
    a, b = Value("a", (None, None, 2)), Value("b", (None, None, 3))
    join = called(Concatenate(name="join", axis=-1), a, b)
    model = graph([a, b], [join], join.outputs)
    for case in cases(model):
        assert case.arrays[0].shape[:2] == case.arrays[1].shape[:2]
        Judge(model).run(case.arrays)


# Lengths that the model takes


def test_a_model_that_takes_few_steps_has_cases_of_one_and_two() -> None:
    assert {shape[1] for shape in shapes(chain(MAKE.lstm("lstm", 3, 2)))} == {1, 2, 7}


@pytest.mark.parametrize(("sizes", "least"), [((3,), 7), ((9,), 9), ((9, 9, 9), 25), ((101,), 101)])
def test_a_model_that_needs_more_steps_has_so_many(sizes: tuple[int, ...], least: int) -> None:
    model = chain(*map(convolution, sizes))
    assert usual_length(model) == least
    assert {shape[1] for shape in shapes(model)} == {least}
    for case in cases(model):
        Judge(model).run(case.arrays)


def test_a_model_that_takes_some_lengths_only_has_one_of_them() -> None:
    """Ten steps are one: only tens will do."""
    model = chain(Reshape(name="tens", target=(-1, 30)))
    assert {shape[1] for shape in shapes(model)} == {10}


def test_a_model_that_takes_few_steps_only_has_so_few() -> None:
    model = chain(Reshape(name="five", target=(5, 3)))
    assert {shape[1] for shape in shapes(model)} == {5}


# Values


def test_the_kinds_are_what_they_are_called() -> None:
    found = by_name(chain(MAKE.lstm("lstm", 3, 2)))
    sizes = {name.split()[-1]: np.abs(case.arrays[0]).max() for name, case in found.items()}
    assert sizes["zeros"] == 0
    assert 1 < sizes["normal"] < 10 < sizes["x10"] < 100
    assert 1e-3 < sizes["x1e-3"] < 1e-2
    one_hot = found["batch=5 time=7 one-hot"].arrays[0]
    assert set(one_hot.reshape(-1)) == {0, 1}
    assert (one_hot.sum(-1) == 1).all()


def test_each_feature_is_one_hot_somewhere() -> None:
    model = chain(MAKE.lstm("lstm", 30, 2), shape=(None, None, 30))
    one_hot = by_name(model)["batch=5 time=7 one-hot"].arrays[0]
    assert (one_hot.reshape(-1, 30).max(0) == 1).all()


def test_numbers_are_float32() -> None:
    assert {case.arrays[0].dtype for case in cases(identity((None, 3)))} == {np.dtype("float32")}


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32", "bool"])
def test_an_input_of_integers_has_integers(dtype: str) -> None:
    found = by_name(identity((None, 3), dtype))
    assert {case.arrays[0].dtype for case in found.values()} == {np.dtype(dtype)}
    normal = found["batch=17 normal"].arrays[0]
    assert len(np.unique(normal)) == 2 if dtype == "bool" else len(np.unique(normal)) > 3
    assert np.abs(normal.astype(float)).max() < 20  # none has turned around


# Indices of an Embedding


def through(*layers: Layer, shape: Shape) -> Model:
    """Layers, then an Embedding of five rows."""
    return chain(*layers, MAKE.embedding("table", 5, 2), shape=shape, dtype="int32")


INDEXED = {
    "itself": through(shape=(None, None)),
    "a fixed time": through(shape=(None, 4)),
    "Reshape": through(Reshape(name="reshape", target=(2, 3)), shape=(None, 6)),
    "Flatten": through(Flatten(name="flatten"), shape=(None, 2, 3)),
    "Permute": through(Permute(name="permute", dims=(2, 1)), shape=(None, 2, 3)),
    "RepeatVector": through(RepeatVector(name="repeat", n=3), shape=(None, 2)),
    "Dropout": through(
        Dropout(name="dropout", noise=Noise.DROPOUT, rate=0.5),
        shape=(None, 3),
    ),
    "TimeDistributed(Flatten)": through(
        TimeDistributed(name="every", layer=Flatten(name="every/flatten")), shape=(None, 2, 2, 3)
    ),
    "several": through(
        Flatten(name="flatten"),
        RepeatVector(name="repeat", n=2),
        Permute(name="permute", dims=(2, 1)),
        Reshape(name="reshape", target=(-1, 3)),
        shape=(None, 2, 3),
    ),
    "TimeDistributed(Embedding)": chain(
        TimeDistributed(name="every", layer=MAKE.embedding("every/table", 5, 2)),
        shape=(None, None, 3),
        dtype="int32",
    ),
}


@pytest.mark.parametrize("way", INDEXED)
def test_indices_are_rows_of_the_table_whatever_stands_between(way: str) -> None:
    model = INDEXED[way]
    seen: set[int] = set()
    for case in cases(model):
        (array,) = case.arrays
        assert array.dtype == np.int32
        seen |= set(array.reshape(-1).tolist())
        Judge(model).run(case.arrays)
    assert seen == {0, 1, 2, 3, 4}


def test_indices_that_are_floats_are_whole_rows_too() -> None:
    """Old files declare them so."""
    model = chain(MAKE.embedding("table", 5, 2), shape=(None, None))
    for case in cases(model):
        assert case.arrays[0].dtype == np.float32
        assert set(case.arrays[0].reshape(-1)) <= {0, 1, 2, 3, 4}


def test_several_inputs_of_one_table_are_all_bounded() -> None:
    a, b = Value("a", (None, 2), "int32"), Value("b", (None, 3), "int32")
    join = called(Concatenate(name="join", axis=-1), a, b)
    (both,) = join.outputs
    look = called(MAKE.embedding("table", 4, 2), Value(both.name, both.shape, "int32"))
    model = graph([a, b], [join, look], look.outputs)
    for case in cases(model):
        assert max(array.max() for array in case.arrays) < 4
        Judge(model).run(case.arrays)


def test_an_input_of_two_tables_is_bounded_by_the_smaller() -> None:
    x = Value("x", (None, None), "int32")
    calls = [called(MAKE.embedding(f"table_{n}", n, 2), x) for n in (50, 3, 20)]
    model = graph([x], calls, [call.outputs[0] for call in calls])
    assert {int(case.arrays[0].max()) for case in cases(model)} <= {0, 1, 2}


def test_another_input_is_not_bounded() -> None:
    index, number = Value("index", (None, None), "int32"), Value("number", (None, None, 3))
    calls: list[Call] = [
        called(MAKE.embedding("table", 2, 2), index),
        called(MAKE.lstm("lstm", 3, 2), number),
    ]
    model = graph([index, number], calls, [calls[0].outputs[0], calls[1].outputs[0]])
    found = by_name(model)
    assert found["batch=3 time=7 x10"].arrays[1].max() > 2
    assert found["batch=3 time=7 x10"].arrays[0].max() == 1


def test_a_case_is_not_called_what_indices_cannot_be() -> None:
    kinds = {case.name.split()[-1] for case in cases(INDEXED["itself"])}
    assert kinds == {"normal", "zeros"}


# Always the same


def test_the_same_model_has_the_same_cases() -> None:
    for one, other in zip(
        cases(chain(MAKE.lstm("lstm", 3, 2))), cases(chain(MAKE.lstm("lstm", 3, 2))), strict=True
    ):
        assert one.name == other.name
        assert one.arrays[0].tobytes() == other.arrays[0].tobytes()


def test_another_seed_has_other_values() -> None:
    model = chain(MAKE.lstm("lstm", 3, 2))
    one, other = (next(iter(cases(model, seed))) for seed in (0, 1))
    assert one.name == other.name
    assert one.arrays[0].tobytes() != other.arrays[0].tobytes()
