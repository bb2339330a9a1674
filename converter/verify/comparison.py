"""Whether a runtime's answers are the judge's, within what float32 rounding explains.

The tolerance is measured: 16 times the judge's own deviation when every weight and input moves
by one unit in the last place of float32 (the largest of 8 draws), plus 4 units in the last place
of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from converter.description import Model, Value, Weight
from converter.gates import Array
from converter.judge import Judge
from converter.verify.inputs import Case
from converter.verify.verdict import Comparison

DRAWS = 8
FACTOR = 16
UNITS = 4
ILL_CONDITIONED = 1e-3
LEAST = float(np.finfo(np.float32).tiny)
"""A deviation below the normal numbers of float32 is none."""

Answers = Callable[[Sequence[Array]], Sequence[Array]]
"""A runtime: the outputs for some inputs."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One output of one case.

    Attributes:
        answer: The judge's.
        deviation: How far it moves when everything moves by one unit in the last place.
    """

    answer: Array
    deviation: float


def compare(model: Model, cases: Sequence[Case], answers: Answers) -> list[Comparison]:
    """Every output of every case, in order; those that are too many after them."""
    compared: list[Comparison] = []
    for case, expected in zip(cases, expectations(model, cases), strict=True):
        given = answers(case.arrays)
        count = len(model.outputs)
        answered = [*given[:count], *[None] * (count - len(given))]
        compared += [
            compare_output(case.name, value, one.answer, array, one.deviation)
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


def expectations(model: Model, cases: Sequence[Case]) -> list[list[Expected]]:
    """Each output of each case."""
    truth = answers_of_judge(Judge(model), cases)
    spread = _deviations(model, cases, truth)
    return [
        [Expected(*one) for one in zip(answers, deviations, strict=True)]
        for answers, deviations in zip(truth, spread, strict=True)
    ]


def answers_of_judge(judge: Judge, cases: Sequence[Case]) -> list[list[Array]]:
    """Each output of each case."""
    results = []
    for case in cases:
        values = judge.run(case.arrays)
        results.append([values[value.name] for value in judge.model.outputs])
    return results


def _deviations(
    model: Model, cases: Sequence[Case], truth: Sequence[Sequence[Array]]
) -> list[list[float]]:
    """How far each output moves when everything moves by one unit in the last place."""
    largest = [[0.0] * len(model.outputs) for _ in cases]
    for draw in range(DRAWS):
        generator = np.random.default_rng(draw)
        moved = Judge(model.map_weights(lambda _, name, weight: _moved_weight(weight, generator)))  # noqa: B023  called before the next draw
        shaken = [_shaken(case, generator) for case in cases]
        for k, outputs in enumerate(answers_of_judge(moved, shaken)):
            for j, (output, expected) in enumerate(zip(outputs, truth[k], strict=True)):
                with np.errstate(invalid="ignore"):
                    distance = np.abs(output - expected)
                known = distance[np.isfinite(distance)]
                largest[k][j] = max(largest[k][j], float(known.max(initial=0)))
    return largest


def _shaken(case: Case, generator: np.random.Generator) -> Case:
    """The case with every element moved that may move."""
    moved = [_moved(array, generator) for array in case.arrays]
    if case.still:
        moved = [
            np.where(still, array, other)
            for still, array, other in zip(case.still, case.arrays, moved, strict=True)
        ]
    return Case(case.name, tuple(moved))


def _moved_weight(weight: Weight, generator: np.random.Generator) -> Weight:
    return Weight.of(_moved(weight.read(), generator))


def _moved(array: Array, generator: np.random.Generator) -> Array:
    """Every element up or down by one unit in the last place of float32; integers stay."""
    if array.dtype.kind != "f":
        return array
    signs = generator.choice((-1.0, 1.0), array.shape)
    units = np.spacing(np.abs(array).astype(np.float32)).astype(np.float64)
    return array.astype(np.float64) + signs * units


def compare_output(
    case: str, value: Value, expected: Array, given: Array | None, deviation: float
) -> Comparison:
    """One output against the judge's: shape and dtype before any value, NaN in the same places."""
    if given is None:
        return Comparison(case=case, output=value.name, shape=(), reason="it is missing")
    shape = tuple(given.shape)
    if shape != expected.shape:
        reason = f"shape {shape}; expected {tuple(expected.shape)}"
        return Comparison(case=case, output=value.name, shape=shape, reason=reason)
    kind = expected.dtype.kind
    if given.dtype != np.float32 if kind == "f" else given.dtype.kind != kind:
        reason = f"dtype {given.dtype}; expected {'float32' if kind == 'f' else expected.dtype}"
        return Comparison(case=case, output=value.name, shape=shape, reason=reason)
    if not expected.size:
        return Comparison(case=case, output=value.name, shape=shape)
    with np.errstate(over="ignore"):
        rounded = expected.astype(np.float32)
    odd = ~np.isfinite(rounded)
    if not np.array_equal(rounded[odd], given[odd], equal_nan=True) or not np.array_equal(
        odd, ~np.isfinite(given)
    ):
        reason = "NaN or infinity in other places"
        return Comparison(case=case, output=value.name, shape=shape, reason=reason)
    distance = np.where(odd, 0, np.abs(np.where(odd, 0, given) - np.where(odd, 0, expected)))
    scale = float(np.abs(np.where(odd, 0, expected)).max())
    unit = float(np.spacing(np.float32(scale)))
    tolerance = FACTOR * deviation + UNITS * unit
    error = float(distance.max())
    where = tuple(int(k) for k in np.unravel_index(int(distance.argmax()), shape))
    conditioned = deviation <= max(ILL_CONDITIONED * scale, LEAST)
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
        moved=deviation > LEAST or kind != "f",
    )
