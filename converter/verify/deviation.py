"""How far answers are from what a source means, where something was rounded on request.

A verdict says whether an artefact is what it was asked to be: this model in float16. What that does
to the answers is another question, and its answer is a number: the largest distance from the
source in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from converter.description import Model
from converter.dtypes import FLOATS
from converter.errors import UsageError
from converter.gates import Array
from converter.judge import Judge
from converter.verify.comparison import Answers, answers_of_judge
from converter.verify.inputs import Case
from converter.verify.verdict import Comparison, Deviation, Status, Verdict


@dataclass(frozen=True, slots=True)
class Rounded:
    """What was rounded on request, and from what.

    Attributes:
        to: "float16", "int8".
        source: The model as its source means it.
    """

    to: str
    source: Model


@dataclass(slots=True)
class Kept:
    """A runtime whose answers are kept."""

    answers: Answers
    outputs: list[Sequence[Array]] = field(default_factory=list)

    def __call__(self, arrays: Sequence[Array]) -> Sequence[Array]:
        """Its outputs for some inputs."""
        given = self.answers(arrays)
        self.outputs.append(given)
        return given


def deviation(
    by: Rounded,
    model: Model,
    cases: Sequence[Case],
    outputs: Sequence[Sequence[Array]],
    comparisons: Sequence[Comparison],
) -> Deviation | None:
    """That of the output which is farthest from the source's, as a part of its largest number.

    Args:
        by: What was rounded.
        model: With what was rounded in it.
        cases: What went in.
        outputs: What came out of the runtime for each.
        comparisons: What these said; a deviation is explained as far as they are equal.

    Returns:
        None where an output is not there or has another shape.
    """
    truth = answers_of_judge(Judge(by.source), cases)
    meant = answers_of_judge(Judge(model), cases)
    tolerances = {(one.case, one.output): one.tolerance for one in comparisons}
    found: list[Deviation] = []
    for k, value in enumerate(model.outputs):
        parts = []
        for case, exact, rounded, given in zip(cases, truth, meant, outputs, strict=True):
            if len(given) <= k or given[k].shape != exact[k].shape:
                return None
            error = _distance(given[k], exact[k])
            explained = _distance(rounded[k], exact[k]) + tolerances.get((case.name, value.name), 0)
            parts.append((error, explained, case.name))
        error, _, where = max(parts, key=lambda part: part[0])
        found.append(
            Deviation(
                of=by.to,
                output=value.name,
                case=where,
                error=error,
                scale=max((_largest(one[k]) for one in truth), default=0.0),
                explained=max(part[1] for part in parts),
            )
        )
    return max(found, key=lambda one: (one.explained == np.inf, one.ratio), default=None)


def _distance(given: Array, exact: Array) -> float:
    """The largest, where the exact answer is finite."""
    with np.errstate(all="ignore"):
        far = np.abs(np.asarray(given, np.float64) - exact)
    far = np.where(np.isfinite(exact), np.where(np.isnan(far), np.inf, far), 0)
    return float(far.max(initial=0))


def _largest(exact: Array) -> float:
    return float(np.abs(np.where(np.isfinite(exact), exact, 0)).max(initial=0))


def bounded(verdict: Verdict, bound: float | None) -> Verdict:
    """The verdict, `differs` where answers deviate by more than is allowed.

    Args:
        verdict: On an artefact.
        bound: The part of an output's largest number; None where nobody says.

    Raises:
        UsageError: It is no such part; nothing was rounded that could deviate.
    """
    far = verdict.deviation
    if bound is not None:
        check_bound(bound)
        if far is None and verdict.status is not Status.DIFFERS:
            raise UsageError(
                "nothing was rounded that could deviate",
                context=f"--max-deviation {bound:g}, and no --precision or --quantize that rounds",
                hint="leave it out: equal says that only rounding differs",
                code="max-deviation",
            )
    if far is None:
        return verdict
    far = replace(far, bound=bound)
    verdict = replace(verdict, deviation=far)
    if verdict.wrong_arrays:
        return verdict
    if far.explained is not None and not np.isfinite(far.explained):
        reason = f"{far.of} is too narrow: output '{far.output}' is not finite in case {far.case}"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    if bound is not None and far.ratio > bound and verdict.status is not Status.DIFFERS:
        reason = f"output '{far.output}' deviates by {far.ratio:.3g} of its largest number"
        reason += f", more than --max-deviation {bound:g}, in case {far.case}"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    if bound is not None and far.of not in FLOATS and verdict.status is Status.UNDECIDED:
        reason = f"every output is within {bound:g} of its largest number, as --max-deviation asks"
        return replace(verdict, status=Status.APPROXIMATE, reason=reason)
    return verdict


def check_bound(bound: float) -> None:
    """Refuse what is no part.

    Raises:
        UsageError: It is negative, or not finite.
    """
    if not 0 <= bound < np.inf:
        raise UsageError(
            f"an output cannot deviate by {bound:g} of its largest number",
            context=f"--max-deviation {bound:g}",
            hint="--max-deviation 0.01 allows a hundredth of it",
            code="max-deviation",
        )
