"""What makes an answer another one, how much rounding explains, and what a verdict is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from converter.activations import Activation
from converter.description import Model, Value, Weight
from converter.gates import Array
from converter.judge import Judge
from converter.verify import decide
from converter.verify.comparison import FACTOR, UNITS, compare, compare_output
from converter.verify.inputs import Case, cases
from converter.verify.verdict import Comparison, Status, Verdict
from tests.models_by_hand import Maker, called, chain, graph

Y = Value("y", (None, 2))
ULP = float(np.spacing(np.float32(1)))


def compared(expected: Any, given: Any, deviation: float = 0.0) -> Comparison:
    return compare_output("case", Y, np.asarray(expected, np.float64), given, deviation)


def f4(*values: float) -> Array:
    return np.array(values, np.float32)


# One output


def test_the_judge_s_own_answer_is_equal() -> None:
    one = compared([0.1, -2.0], f4(0.1, -2.0))
    assert (one.reason, one.conditioned, one.shape) == ("", True, (2,))
    assert one.error < 1e-8


@pytest.mark.parametrize("units", [1, 4])
def test_a_few_units_in_the_last_place_are_rounding(units: int) -> None:
    one = compared([1.0, 0.5], f4(1 + units * ULP, 0.5))
    assert (one.reason, one.units, one.where) == ("", units, (0,))


def test_more_are_not() -> None:
    one = compared([1.0, 0.5], f4(1 + 5 * ULP, 0.5))
    assert one.reason == "5.96e-07 over the tolerance 4.77e-07"
    assert (one.units, one.where) == (5, (0,))
    assert one.error == 5 * ULP


def test_the_tolerance_grows_with_what_rounding_does() -> None:
    one = compared([1.0], f4(1.001), deviation=1e-4)
    assert one.tolerance == FACTOR * 1e-4 + UNITS * ULP
    assert one.reason == ""
    assert compared([1.0], f4(1.002), deviation=1e-4).reason == "0.002 over the tolerance 0.0016"


def test_the_unit_is_that_of_the_largest_value() -> None:
    """One near zero beside it may have lost its last places."""
    assert not compared([1000.0, 0.0], f4(1000.0, 1e-4)).reason
    assert compared([1.0, 0.0], f4(1.0, 1e-4)).reason


def test_where_the_error_is_largest_is_said() -> None:
    expected = np.zeros((2, 3, 4))
    given = expected.astype(np.float32)
    given[1, 2, 0] = 3
    given[0, 0, 0] = 2
    one = compared(expected, given)
    assert (one.where, one.error) == ((1, 2, 0), 3)


def test_a_missing_output_differs() -> None:
    assert compared([1.0], None).reason == "it is missing"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (np.ones((3, 1, 4), np.float32), "(3, 1, 4)"),
        (np.ones((3, 7), np.float32), "(3, 7)"),
        (np.ones((3, 4, 7), np.float32), "(3, 4, 7)"),
        (np.ones((0,), np.float32), "(0,)"),
        (np.full((1,), np.nan), "(1,)"),
    ],
)
def test_another_shape_differs_before_any_value(given: Array, found: str) -> None:
    one = compared(np.ones((3, 7, 4)), given)
    assert one.reason == f"shape {found}; expected (3, 7, 4)"
    assert one.shape == given.shape


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "bool"])
def test_another_dtype_differs_though_the_values_are_the_same(dtype: str) -> None:
    assert compared([1.0, 0.0], np.array([1, 0], dtype)).reason == (
        f"dtype {dtype}; expected float32"
    )


def test_an_output_of_integers_is_one_of_integers() -> None:
    expected = np.array([1, 2], np.int32)
    assert not compare_output("case", Y, expected, np.array([1, 2], np.int64), 0.0).reason
    assert compare_output("case", Y, expected, np.array([1, 3], np.int32), 0.0).reason
    assert compare_output("case", Y, expected, f4(1, 2), 0.0).reason == (
        "dtype float32; expected int32"
    )


ODD = "NaN or infinity in other places"


@pytest.mark.parametrize(
    ("expected", "given", "reason"),
    [
        ([np.nan, 1], [np.nan, 1], ""),
        ([np.inf, 1], [np.inf, 1], ""),
        ([-np.inf, np.nan], [-np.inf, np.nan], ""),
        ([1e300, 1], [np.inf, 1], ""),
        ([np.nan, 1], [1, np.nan], ODD),
        ([np.nan, 1], [0, 1], ODD),
        ([1, 1], [np.nan, 1], ODD),
        ([1, 1], [np.inf, 1], ODD),
        ([np.inf, 1], [-np.inf, 1], ODD),
        ([np.inf, 1], [np.nan, 1], ODD),
        ([np.nan, 1], [np.inf, 1], ODD),
        ([np.inf, 1], [3e38, 1], ODD),
        ([np.nan, 1], [np.nan, 2], "1 over the tolerance 4.77e-07"),
        ([np.inf, 1], [np.inf, 2], "1 over the tolerance 4.77e-07"),
    ],
)
def test_nan_and_infinity_are_in_the_same_places_or_differ(
    expected: list[float], given: list[float], reason: str
) -> None:
    assert compared(expected, f4(*given)).reason == reason


def test_an_empty_output_is_equal_and_nothing() -> None:
    one = compared(np.ones((0, 3)), np.ones((0, 3), np.float32))
    assert (one.reason, one.elements) == ("", 0)


def test_zeros_are_zeros() -> None:
    assert not compared([0.0, 0.0], f4(0, 0)).reason
    assert not compared([0.0, 0.0], f4(0, -0.0)).reason
    assert compared([0.0, 0.0], f4(0, 1e-30)).reason


def test_an_output_of_zeros_says_something() -> None:
    """Moving a zero by the least moves it into the denormal numbers, and that is no movement."""
    assert compared([0.0, 0.0], f4(0, 0), deviation=1e-44).conditioned
    assert not compared([0.0, 0.0], f4(0, 0), deviation=1e-30).conditioned


@pytest.mark.parametrize(("deviation", "says"), [(0, True), (0.99e-3, True), (1.01e-3, False)])
def test_an_output_that_rounding_moves_by_a_thousandth_says_nothing(
    deviation: float, says: bool
) -> None:
    assert compared([1.0], f4(1), deviation).conditioned is says


# A runtime


MODEL = chain(Maker().lstm("lstm", 3, 2, return_sequences=True), Maker(1).dense("dense", 2, 2))


def judge32(model: Model, arrays: Sequence[Array]) -> list[Array]:
    """The judge's answers as float32: a runtime that makes no mistake."""
    values = Judge(model).run(arrays)
    return [values[value.name].astype(np.float32) for value in model.outputs]


def test_every_output_of_every_case_is_compared_in_order() -> None:
    x = Value("x", (None, None, 3))
    calls = [called(Maker(k).lstm(f"lstm_{k}", 3, 2), x) for k in range(2)]
    model = graph([x], calls, [calls[1].outputs[0], calls[0].outputs[0]])
    given = tuple(cases(model))
    found = compare(model, given, lambda arrays: judge32(model, arrays))
    assert [(one.case, one.output) for one in found] == [
        (case.name, output) for case in given for output in ("lstm_1", "lstm_0")
    ]
    assert not any(one.reason for one in found)


def test_outputs_exchanged_differ() -> None:
    x = Value("x", (None, None, 3))
    calls = [called(Maker(k).lstm(f"lstm_{k}", 3, 2), x) for k in range(2)]
    model = graph([x], calls, [call.outputs[0] for call in calls])
    found = compare(model, tuple(cases(model)), lambda arrays: judge32(model, arrays)[::-1])
    assert all(one.reason for one in found)


def test_an_output_too_few_differs() -> None:
    found = compare(MODEL, tuple(cases(MODEL)), lambda _: [])
    assert {(one.output, one.reason) for one in found} == {("dense", "it is missing")}


def test_an_output_too_many_differs() -> None:
    found = compare(MODEL, tuple(cases(MODEL))[:1], lambda arrays: judge32(MODEL, arrays) * 3)
    assert [(one.output, one.reason) for one in found] == [
        ("dense", ""),
        ("1", "3 outputs; expected 1"),
        ("2", "3 outputs; expected 1"),
    ]


@pytest.mark.parametrize("size", [1e-4, 1, 3])
def test_the_tolerance_is_what_a_unit_in_the_last_place_of_everything_does(size: float) -> None:
    """Weights that were moved by it are within it, by 16; those moved by 1000 are not."""
    model = chain(Maker(size=size).lstm("lstm", 3, 4))
    given = tuple(cases(model))

    def moved(units: int) -> Model:
        generator = np.random.default_rng(99)

        def new(_layer: object, name: str, weight: Weight) -> Weight:
            array = weight.read()
            signs = generator.choice((-1, 1), array.shape)
            return Weight.of(array + signs * units * np.spacing(np.abs(array)), name)

        return model.map_weights(new)

    near = compare(model, given, lambda arrays: judge32(moved(1), arrays))
    far = compare(model, given, lambda arrays: judge32(moved(1000), arrays))
    assert not any(one.reason for one in near)
    assert any(one.reason for one in far)


def test_inputs_that_are_indices_are_not_moved() -> None:
    model = chain(Maker().embedding("table", 5, 2), shape=(None, None))
    found = compare(model, tuple(cases(model)), lambda arrays: judge32(model, arrays))
    assert {one.conditioned for one in found} == {True}
    assert max(one.tolerance for one in found) < 1e-5


def test_the_same_comparison_is_always_the_same() -> None:
    given = tuple(cases(MODEL))
    first, second = (compare(MODEL, given, lambda arrays: judge32(MODEL, arrays)) for _ in "ab")
    assert first == second


# The verdict


def verdict(*comparisons: Comparison, wrong: tuple[str, ...] = (), arrays: int = 3) -> Verdict:
    return decide(
        Verdict(
            status=Status.EQUAL,
            original="model.keras",
            artefact="out/model.py",
            reason="",
            comparisons=comparisons,
            arrays=arrays - len(wrong),
            wrong_arrays=wrong,
        )
    )


GOOD = Comparison(case="normal", output="y", shape=(3,), error=1e-8, tolerance=1e-6, units=0.1)
BAD = replace(GOOD, error=1e-3, reason="0.001 over the tolerance 1e-06")
WORSE = replace(BAD, case="x10", error=1.0, reason="1 over the tolerance 1e-06")
SHAPE = Comparison(case="zeros", output="z", shape=(4,), reason="shape (4,); expected (3,)")
VAGUE = replace(GOOD, case="x10", error=1.0, reason="1 over the tolerance", conditioned=False)
EMPTY = replace(GOOD, shape=(3, 0))


def test_equal_is_equal() -> None:
    found = verdict(GOOD, GOOD)
    assert (found.status, found.status.exit_code) == (Status.EQUAL, 0)
    assert found.reason == (
        "every output of every case is as near to float64 as float32 rounding explains"
    )


@pytest.mark.parametrize("comparisons", [(GOOD, BAD), (BAD, GOOD), (BAD, VAGUE), (BAD,)])
def test_one_difference_differs(comparisons: tuple[Comparison, ...]) -> None:
    found = verdict(*comparisons)
    assert (found.status, found.status.exit_code) == (Status.DIFFERS, 1)
    assert found.reason == "output 'y', case normal: 0.001 over the tolerance 1e-06"


def test_the_worst_difference_is_the_reason() -> None:
    assert verdict(BAD, WORSE, BAD).reason == "output 'y', case x10: 1 over the tolerance 1e-06"


def test_another_shape_is_worse_than_any_value() -> None:
    assert verdict(WORSE, SHAPE).reason == "output 'z', case zeros: shape (4,); expected (3,)"


@pytest.mark.parametrize("comparisons", [(), (GOOD,), (BAD,), (VAGUE,)])
def test_a_wrong_array_differs_whatever_the_answers(comparisons: tuple[Comparison, ...]) -> None:
    found = verdict(*comparisons, wrong=("lstm/kernel",))
    assert found.status is Status.DIFFERS
    assert found.reason == "1 of 3 arrays of the source are not in it bit for bit"


STILL = replace(GOOD, moved=False)


@pytest.mark.parametrize(
    "comparisons", [(STILL,), (STILL, STILL), (GOOD, replace(STILL, output="z"))]
)
def test_an_output_that_nothing_moves_is_undecided(comparisons: tuple[Comparison, ...]) -> None:
    found = verdict(*comparisons)
    assert (found.status, found.status.exit_code) == (Status.UNDECIDED, 4)
    assert found.reason == (
        f"output '{comparisons[-1].output}' is always the same, whatever goes in: "
        "it shows no mistake"
    )


def test_an_output_that_something_moves_is_decided() -> None:
    assert verdict(STILL, GOOD).status is Status.EQUAL
    assert verdict(STILL, BAD).status is Status.DIFFERS


@pytest.mark.parametrize(("deviation", "moved"), [(0, False), (1e-45, False), (1e-30, True)])
def test_an_output_is_moved_if_rounding_moves_it(deviation: float, moved: bool) -> None:
    assert compared([1.0], f4(1), deviation).moved is moved
    whole = compare_output("case", Y, np.array([1]), np.array([1]), deviation)
    assert whole.moved  # an index that goes through is not moved, and means something


@pytest.mark.parametrize("comparisons", [(), (EMPTY,), (EMPTY, EMPTY)])
def test_nothing_compared_is_undecided(comparisons: tuple[Comparison, ...]) -> None:
    found = verdict(*comparisons)
    assert (found.status, found.status.exit_code) == (Status.UNDECIDED, 4)
    assert found.reason == "nothing was compared"


@pytest.mark.parametrize(
    ("comparisons", "cases"),
    [((VAGUE,), "1 of 1"), ((VAGUE, GOOD, VAGUE), "2 of 3"), ((VAGUE, VAGUE), "2 of 2")],
)
def test_an_output_of_which_little_can_be_said_is_inconclusive(
    comparisons: tuple[Comparison, ...], cases: str
) -> None:
    """Inputs that drive every gate to its end are judged even where the model is chaotic."""
    found = verdict(*comparisons)
    assert (found.status, found.status.exit_code) == (Status.INCONCLUSIVE, 4)
    assert found.reason == (
        "one unit in the last place of the weights moves output 'y' by more than a thousandth in "
        f"{cases} cases: float32 cannot say whether it is the same"
    )


def test_an_output_that_is_equal_does_not_speak_for_another() -> None:
    found = verdict(GOOD, GOOD, GOOD, replace(VAGUE, output="z"))
    assert found.status is Status.INCONCLUSIVE
    assert "output 'z' by more than a thousandth in 1 of 1 cases" in found.reason


def test_cases_of_which_nothing_can_be_said_are_counted() -> None:
    found = verdict(GOOD, VAGUE, GOOD)
    assert found.status is Status.EQUAL
    assert found.reason == (
        "every output of every case is as near to float64 as float32 rounding explains, but for "
        "1 of 3 that rounding alone moves far"
    )


@pytest.mark.parametrize(
    ("comparisons", "worst"),
    [
        ((), None),
        ((GOOD,), GOOD),
        ((GOOD, replace(GOOD, error=1e-7)), replace(GOOD, error=1e-7)),
        ((GOOD, BAD, WORSE), WORSE),
        ((WORSE, SHAPE), SHAPE),
        ((VAGUE, GOOD), GOOD),
        ((VAGUE,), VAGUE),
    ],
)
def test_the_worst_comparison_is_the_nearest_to_its_tolerance_or_farthest_over_it(
    comparisons: tuple[Comparison, ...], worst: Comparison | None
) -> None:
    assert verdict(*comparisons).worst == worst


def test_a_verdict_is_plain_values() -> None:
    found = verdict(GOOD, wrong=("lstm/kernel",)).as_dict()
    assert (found["schema"], found["status"], found["arrays"]) == (1, "differs", 2)
    assert found["comparisons"][0]["tolerance"] == 1e-6


@pytest.mark.parametrize("size", [1, 10, 100])
def test_a_steep_function_widens_the_tolerance(size: float) -> None:
    """exp(size x) moves `size` times as far as x does, in parts of itself."""
    kernel = Weight.of(np.full((1, 1), size, np.float32), "kernel")
    layer = replace(
        Maker().dense("dense", 1, 1, bias=False, act=Activation.of("exponential")), kernel=kernel
    )
    model = chain(layer, shape=(None, 1))
    case = (Case("one", (np.full((1, 1), 0.7, np.float32),)),)
    (one,) = compare(model, case, lambda arrays: judge32(model, arrays))
    part = one.tolerance / np.exp(0.7 * size)
    moved = FACTOR * 0.7 * size * ULP  # kernel and input: less than a unit each, of 0.7 size
    assert moved / 2 < part < 2 * moved + 2 * UNITS * ULP
