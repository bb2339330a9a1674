"""Whether a runtime's answers are the judge's, within what rounding explains.

The tolerance is measured: 16 times (in half precision 4 times) the judge's own deviation when every
weight and input moves by one unit in the last place (the largest of 8 draws), plus 4 units in the
last place of the output. The unit is that of the dtype in which a layer computes, of an input its
own (float64, where nothing else takes it). A layer that computes in less than what it is given, or
in half precision, gets moved inputs as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from converter.description import (
    Call,
    Cast,
    CategoryEncoding,
    Discretization,
    Embedding,
    Layer,
    Masking,
    Model,
    TimeDistributed,
    Unequal,
    Value,
    Weight,
)
from converter.dtypes import FLOATS, HALVES, as_type, coarsest, is_float, numpy_dtype, units
from converter.gates import Array
from converter.judge import Judge
from converter.verify.inputs import MOVERS, Case
from converter.verify.rounding import Terms, rounded
from converter.verify.verdict import Comparison

DRAWS = 8
FACTOR = 16
FACTOR_HALF = 4
"""In half precision, where frameworks add in float32, and the judge rounds as they do."""
UNITS = 4
ILL_CONDITIONED = 1e-3
"""Of the output's scale, by which one unit in the last place may move it, but for"""
ILL_CONDITIONED_HALF = 2**-5
"""half precision, where that unit is up to a thousandth (float16) or 2**-7 (bfloat16) itself."""

STILL = (*MOVERS, Cast, CategoryEncoding, Discretization, Embedding, Masking, Unequal)
"""Layers that round nothing: what they are given moves with the layer before or behind them."""

Answers = Callable[[Sequence[Array]], Sequence[Array]]
"""A runtime: the outputs for some inputs."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One output of one case.

    Attributes:
        answer: The judge's.
        deviation: How far it moves when everything moves by one unit in the last place.
        inside: The dtypes in which it is computed.
        moved: False where weights and inputs alone move it by nothing.
        last: The dtype to which it is rounded last: its own, or that from which it is cast.
    """

    answer: Array
    deviation: float
    inside: frozenset[str]
    moved: bool = True
    last: str = "float32"


def compare(
    model: Model, cases: Sequence[Case], answers: Answers, terms: Terms | None = None
) -> list[Comparison]:
    """Every output of every case, in order; those that are too many after them.

    Args:
        model: Of which the judge answers.
        cases: What goes in.
        answers: Those of the runtime.
        terms: Which activations of the runtime round more than their results.
    """
    return compare_expected(model, cases, expectations(model, cases, terms), answers)


def compare_expected(
    model: Model,
    cases: Sequence[Case],
    expected_outputs: Sequence[Sequence[Expected]],
    answers: Answers,
) -> list[Comparison]:
    """The same, with the judge's answers at hand."""
    compared: list[Comparison] = []
    for case, expected in zip(cases, expected_outputs, strict=True):
        given = answers(case.arrays)
        count = len(model.outputs)
        answered = [*given[:count], *[None] * (count - len(given))]
        compared += [
            compare_output(
                case.name,
                value,
                one.answer,
                array,
                one.deviation,
                one.inside,
                moved=one.moved,
                last=one.last,
            )
            for value, one, array in zip(model.outputs, expected, answered, strict=True)
        ]
        compared += [
            Comparison(
                case=case.name,
                output=str(k),
                shape=given[k].shape,
                reason=f"{len(given)} outputs; expected {count}",
            )
            for k in range(count, len(given))
        ]
    return compared


def expectations(
    model: Model, cases: Sequence[Case], terms: Terms | None = None
) -> list[list[Expected]]:
    """Each output of each case; `terms` as for `compare`."""
    truth = answers_of_judge(Judge(model), cases)
    spread = _deviations(model, cases, truth, terms or {})
    inside = [dtypes_of(model, value) for value in model.outputs]
    least = [max((FLOATS[name].normal for name in kinds), default=0.0) for kinds in inside]
    forms = [_rounded_to(model, value) for value in model.outputs]
    return [
        [
            Expected(answer, deviation, kinds, plain > smallest, form)
            for answer, (deviation, plain), kinds, smallest, form in zip(
                answers, deviations, inside, least, forms, strict=True
            )
        ]
        for answers, deviations in zip(truth, spread, strict=True)
    ]


def dtypes_of(model: Model, *outputs: Value) -> frozenset[str]:
    """Those in which some values are computed, by default every output."""
    part = model.until(*outputs or model.outputs)
    kinds = {layer.dtype for layer in part.layers} | {value.dtype for value in part.inputs}
    return frozenset(kinds) & FLOATS.keys()


def _rounded_to(model: Model, value: Value) -> str:
    """The dtype to which a value is rounded last: its own, or that from which it is cast."""
    made = {one.name: call for call in model.calls for one in call.outputs}
    forms = [value.dtype]
    while value.name in made and isinstance(made[value.name].layer, Cast):
        (value,) = made[value.name].inputs
        forms.append(value.dtype)
    return coarsest(FLOATS.keys() & set(forms))


def answers_of_judge(judge: Judge, cases: Sequence[Case]) -> list[list[Array]]:
    """Each output of each case."""
    results = []
    for case in cases:
        values = judge.run(case.arrays)
        results.append([values[value.name] for value in judge.model.outputs])
    return results


def _deviations(
    model: Model, cases: Sequence[Case], truth: Sequence[Sequence[Array]], terms: Terms
) -> list[list[tuple[float, float]]]:
    """How far each output moves when everything moves by one unit in the last place.

    The second number is without the terms, which are moved in every other draw.
    """
    largest = [[(0.0, 0.0)] * len(model.outputs) for _ in cases]
    for draw in range(DRAWS):
        generator = np.random.default_rng(draw)
        plain = not (terms and draw % 2)
        moved = _Moving(model if plain else rounded(model, terms, generator), generator)
        shaken = [_shaken(model, case, generator) for case in cases]
        for k, outputs in enumerate(answers_of_judge(moved, shaken)):
            for j, (output, expected) in enumerate(zip(outputs, truth[k], strict=True)):
                with np.errstate(invalid="ignore"):
                    distance = np.abs(output - expected)
                known = distance[np.isfinite(distance)]
                far = float(known.max(initial=0))
                most, without = largest[k][j]
                largest[k][j] = max(most, far), max(without, far) if plain else without
    return largest


class _Moving(Judge):
    """A judge whose weights have moved, and the inputs of layers whose rounding counts."""

    def __init__(self, model: Model, generator: np.random.Generator) -> None:
        self._generator = generator
        kinds = dtypes_of(model, *model.outputs)
        self._narrow = HALVES | ({"float32"} if "float64" in kinds else set())
        super().__init__(model.map_weights(self._weight))

    def _weight(self, layer: Layer, _name: str, weight: Weight) -> Weight:
        inside = layer.dtype if layer.casts_weights or layer.dtype not in HALVES else "float32"
        return Weight.of(_moved(weight.read(), inside, self._generator))

    def _called(self, call: Call, values: Mapping[str, Array]) -> dict[str, Array]:
        layer = call.layer
        while isinstance(layer, TimeDistributed):
            layer = layer.layer
        if layer.dtype in self._narrow and not isinstance(layer, STILL):
            moved = {
                value.name: _moved(values[value.name], layer.dtype, self._generator)
                for value in call.inputs
            }
            values = {**values, **moved}
        return super()._called(call, values)


def _shaken(model: Model, case: Case, generator: np.random.Generator) -> Case:
    """The case with every element moved that may move."""
    moved = [
        _moved(array, _unit(model, value), generator)
        for value, array in zip(model.inputs, case.arrays, strict=True)
    ]
    if case.still:
        moved = [
            np.where(still, array, other)
            for still, array, other in zip(case.still, case.arrays, moved, strict=True)
        ]
    return Case(case.name, tuple(moved))


def _unit(model: Model, value: Value) -> str:
    """Of which dtype an input moves: its own, but float64 where it goes into that alone."""
    users = {call.layer.dtype for call in model.calls if value in call.inputs}
    return "float64" if users == {"float64"} else value.dtype


def _moved(array: Array, dtype: str, generator: np.random.Generator) -> Array:
    """Every element up or down by one unit in the last place of `dtype`; integers stay."""
    if not is_float(array.dtype):
        return array
    signs = generator.choice((-1.0, 1.0), array.shape)
    form = dtype if dtype in FLOATS else "float32"  # an index that is given as a float
    wide = array.astype(np.float64)
    moved: Array = wide + signs * units(wide, form)
    return moved


def compare_output(
    case: str,
    value: Value,
    expected: Array,
    given: Array | None,
    deviation: float,
    inside: frozenset[str] = frozenset({"float32"}),
    *,
    moved: bool = True,
    last: str = "float32",
) -> Comparison:
    """One output against the judge's: shape and dtype before any value, NaN in the same places.

    Args:
        case: The inputs in words.
        value: Which output it is.
        expected: Of the judge.
        given: Of the runtime; None if there is none.
        deviation: How far one unit in the last place moves it.
        inside: The dtypes in which it is computed.
        moved: See `Expected`.
        last: Likewise.
    """
    if given is None:
        return Comparison(case=case, output=value.name, shape=(), reason="it is missing")
    shape = tuple(given.shape)
    if shape != expected.shape:
        reason = f"shape {shape}; expected {tuple(expected.shape)}"
        return Comparison(case=case, output=value.name, shape=shape, reason=reason)
    kind = expected.dtype.kind
    form = value.dtype if value.dtype in FLOATS else "float32"
    if given.dtype != numpy_dtype(form) if kind == "f" else given.dtype.kind != kind:
        reason = f"dtype {given.dtype}; expected {form if kind == 'f' else expected.dtype}"
        return Comparison(case=case, output=value.name, shape=shape, reason=reason)
    if not expected.size:
        return Comparison(case=case, output=value.name, shape=shape)
    rounded = as_type(expected, form) if kind == "f" else expected
    given = given.astype(np.float64) if kind == "f" else given
    odd = ~np.isfinite(rounded)
    if not np.array_equal(rounded[odd], given[odd], equal_nan=True) or not np.array_equal(
        odd, ~np.isfinite(given)
    ):
        reason = "NaN or infinity in other places"
        return Comparison(case=case, output=value.name, shape=shape, reason=reason)
    distance = np.where(odd, 0, np.abs(np.where(odd, 0, given) - np.where(odd, 0, expected)))
    scale = float(np.abs(np.where(odd, 0, expected)).max())
    unit = float(units(np.array(scale), coarsest({form, last})))
    least = max(FLOATS[name].normal for name in inside | {form})
    half = bool(inside & HALVES)
    tolerance = (FACTOR_HALF if half else FACTOR) * deviation + UNITS * unit
    error = float(distance.max())
    where = tuple(int(k) for k in np.unravel_index(int(distance.argmax()), shape))
    ill = ILL_CONDITIONED_HALF if half else ILL_CONDITIONED
    conditioned = deviation <= max(ill * scale, least)
    return Comparison(
        case=case,
        output=value.name,
        shape=shape,
        error=error,
        tolerance=tolerance,
        units=error / unit,
        where=where,
        reason="" if error <= tolerance else f"{error:.3g} over the tolerance {tolerance:.3g}",
        conditioned=conditioned,
        moved=(moved and deviation > least) or kind != "f",
    )
