"""Would a mistake of the mapping have been seen?

The judge computes the model once more with each of `mistakes`. One is seen where it moves an output
by more than twice the tolerance, so that no answer could be within the tolerance of both. What the
weights in hand do not show (the biases of a new model are zeros) is shown by the same architecture
with weights drawn anew, written by the code that wrote the artefact; in float32 where the model
computes in half precision, whose rounding is as large as a mistake. One that moves nothing there
either is none in this model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from converter.description import ConvLSTM, Dense, Layer, Model, Recurrent, Weight
from converter.dtypes import HALVES, as_type, is_float
from converter.gates import Array
from converter.judge import Judge
from converter.precision import with_precision
from converter.verify.comparison import dtypes_of
from converter.verify.inputs import Case, cases
from converter.verify.mistakes import inner_of, mistakes
from converter.verify.verdict import Comparison, Power, Status, Verdict

SAME = 1e-12
"""Of the largest output, in float64: what moves it by less moves nothing."""

Again = Callable[[Model], Sequence[Comparison]]
"""Writes a model as the artefact was written, reads it back, and holds it against the judge."""


def with_power(verdict: Verdict, model: Model, again: Again) -> Verdict:
    """A verdict of equal, with what its comparisons would have shown.

    It becomes `undecided` if there is a mistake that they would not, and `differs` if the model
    with other weights does.

    Args:
        verdict: On an artefact of the model, with the inputs of `cases`.
        model: What it was held against.
        again: Called only where the weights in hand do not show every mistake.
    """
    if verdict.status is not Status.EQUAL:
        return verdict
    inputs = tuple(cases(model))
    unseen, tried = _unseen(model, None, inputs, verdict.comparisons)
    if not unseen:
        return replace(verdict, power=Power(mistakes=tried)) if tried else verdict
    drawn = redrawn(model)
    if dtypes_of(model) & HALVES:
        drawn = with_precision(drawn, "float32")
        inputs = tuple(cases(drawn))
    compared = again(drawn)
    wrong = next((one for one in compared if one.reason and one.conditioned), None)
    if wrong is not None:
        reason = f"with weights drawn anew, output '{wrong.output}', case {wrong.case}: "
        return replace(verdict, status=Status.DIFFERS, reason=reason + wrong.reason)
    left, _ = _unseen(drawn, unseen, inputs, compared)
    power = Power(
        mistakes=tried,
        redrawn=tuple(name for name in unseen if name not in left),
        without_effect=tuple(name for name, moves in left.items() if not moves),
        hidden=tuple(name for name, moves in left.items() if moves),
    )
    if power.hidden:
        reason = f"no input would have shown {power.hidden[0]}"
        return replace(verdict, status=Status.UNDECIDED, reason=reason, power=power)
    return replace(verdict, power=power)


def _unseen(
    model: Model,
    names: Collection[str] | None,
    inputs: Sequence[Case],
    compared: Sequence[Comparison],
) -> tuple[dict[str, bool], int]:
    """The mistakes that no comparison would have shown, and how many were tried.

    Args:
        model: What the comparisons were with.
        names: Of those that are tried; None for all.
        inputs: What went in, in order.
        compared: Their tolerances count.

    Returns:
        For each that was not seen, whether it moves any output at all.
    """
    limits = {(one.case, one.output): one.tolerance for one in compared if one.conditioned}
    going_on = any(getattr(layer, "stateful", False) for layer in model.layers)
    order = list(inputs) if going_on else sorted(inputs, key=_size)
    judge = Judge(model)
    truth = [judge.run(case.arrays) for case in order]
    unseen: dict[str, bool] = {}
    tried = 0
    for mistake in mistakes(judge.model):
        if names is not None and str(mistake) not in names:
            continue
        tried += 1
        mutant = _Mutant(judge, mistake.model)
        moves = False
        for case, values in zip(order, truth, strict=True):
            given = mutant.go_on(_before("" if going_on else mistake.layer, judge.model, values))
            seen, moved = _seen(model, case, values, given, limits)
            moves |= moved
            if seen:
                break
        else:
            unseen[str(mistake)] = moves
    return unseen, tried


class _Mutant(Judge):
    """A judge of a model whose weights are in a judge's memory already."""

    def __init__(self, judge: Judge, model: Model) -> None:
        super().__init__(replace(model, calls=()), judge.dtype)
        self.model = model


def _size(case: Case) -> int:
    return sum(array.size for array in case.arrays)


def _before(layer: str, model: Model, values: Mapping[str, Array]) -> dict[str, Array]:
    """What is known before the first call of a layer: inputs and all that is computed till then.

    The inputs alone where no layer has that name.
    """
    first = next((k for k, call in enumerate(model.calls) if call.layer.name == layer), 0)
    known = [value for call in model.calls[:first] for value in call.outputs]
    return {value.name: values[value.name] for value in (*model.inputs, *known)}


def _seen(
    model: Model,
    case: Case,
    truth: Mapping[str, Array],
    given: Mapping[str, Array],
    limits: Mapping[tuple[str, str], float],
) -> tuple[bool, bool]:
    """Whether a case would have shown a mistake, and whether that moves any output."""
    moved = False
    for value in model.outputs:
        right, wrong = truth[value.name], given[value.name]
        limit = limits.get((case.name, value.name))
        finite = np.isfinite(right)
        if not np.array_equal(finite, np.isfinite(wrong)):
            return limit is not None, True
        distance = right[finite].astype(np.float64) - wrong[finite]
        far = float(np.abs(distance).max(initial=0))
        if limit is not None and far > 2 * limit:
            return True, True
        moved |= far > SAME * float(np.abs(right[finite]).max(initial=0))
    return False, moved


def redrawn(model: Model, seed: int = 0) -> Model:
    """The same architecture with other kernels and biases in its recurrent and Dense layers.

    They are drawn from N(0, 1), kernels over the root of their fan-in. What others hold stays.
    """
    generator = np.random.default_rng(seed)

    def new(layer: Layer, name: str, weight: Weight) -> Weight:
        inner = inner_of(layer)
        if not isinstance(inner, ConvLSTM | Dense | Recurrent) or not is_float(weight.dtype):
            return weight
        fan_in = 1 if name.endswith("bias") else _fan_in(inner, weight.shape)
        array = generator.normal(size=weight.shape) / np.sqrt(fan_in)
        return Weight.of(as_type(array, weight.dtype.name))

    return model.map_weights(new)


def _fan_in(layer: Layer, shape: Sequence[int]) -> int:
    """Of a kernel of that shape: (G, H, I), (G, size of each axis, C, F) or (I, units)."""
    if isinstance(layer, Recurrent):
        return shape[-1]
    return prod(shape[1:-1]) if isinstance(layer, ConvLSTM) else shape[0]
