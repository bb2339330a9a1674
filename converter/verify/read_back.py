"""Does an ONNX file say what the source means, when the reader reads it?

The reader knows nothing of how the file was written. The judge's answers for what it reads are to
be those for the source to `EXACT`: no runtime is between them. Numbers that are attributes of a
node, such as a slope, are float32 in the file; where these differ, that rounding must explain it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from converter.description import Model
from converter.errors import UnsupportedError
from converter.gates import Array
from converter.judge import Judge
from converter.verify.comparison import answers_of_judge
from converter.verify.inputs import Case
from converter.verify.verdict import Status, Verdict

EXACT = 1e-12
"""Of the largest output, in float64. Two judges of one model differ by rounding alone."""


def with_reading(verdict: Verdict, model: Model, path: Path, inputs: Sequence[Case]) -> Verdict:
    """A verdict of equal, with what the reader makes of the file; `differs` if that is otherwise.

    Args:
        verdict: On the file, with its comparisons.
        model: What it was held against.
        path: The file.
        inputs: What went in.
    """
    from converter.readers import read

    if verdict.status is not Status.EQUAL:
        return verdict
    try:
        back = read(path)
    except UnsupportedError as error:
        said = f"{verdict.reason}; it was not read back, for {error.context}"
        return replace(verdict, reason=said)
    tolerances = {(one.case, one.output): one.tolerance for one in verdict.comparisons}
    rounded = False
    truth, found = (answers_of_judge(Judge(one), inputs) for one in (model, back))
    for case, expected, given in zip(inputs, truth, found, strict=True):
        for k, (value, answer) in enumerate(zip(model.outputs, expected, strict=True)):
            far = _distance(given[k] if k < len(given) else None, answer)
            if far > tolerances[case.name, value.name]:
                reason = f"read back, output '{value.name}' is {far:.3g} off in case {case.name}"
                return replace(verdict, status=Status.DIFFERS, reason=reason)
            rounded |= far > EXACT * float(np.abs(answer[np.isfinite(answer)]).max(initial=0))
    said = "to float32 rounding of its constants" if rounded else "to rounding of float64"
    return replace(verdict, reason=f"{verdict.reason}; read back, it is the same {said}")


def _distance(given: Array | None, expected: Array) -> float:
    """The largest; infinite for another shape, or where other elements are finite."""
    if given is None or given.shape != expected.shape:
        return float("inf")
    same = (given == expected) | (np.isnan(given) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        far = np.where(same, 0.0, np.abs(given.astype(np.float64) - expected))
    return float(np.where(np.isfinite(far), far, np.inf).max(initial=0))
