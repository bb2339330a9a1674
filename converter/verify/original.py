"""The original beside what it became: an ONNX file runs in onnxruntime, whatever the target is.

The judge says what was read. That the file means it is shown by running the file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converter.description import Model
from converter.errors import ReadError
from converter.runtimes import ArtefactFailure
from converter.verify.comparison import compare
from converter.verify.inputs import cases
from converter.verify.rounding import ONNXRUNTIME
from converter.verify.verdict import Status, Verdict

FORM = "ONNX"
"""Of a source that runs here."""


def with_file(verdict: Verdict, model: Model) -> Verdict:
    """A verdict with the answers of the source itself, if it is an ONNX file.

    It differs where these are not what the judge says of the model that was read.

    Args:
        verdict: On what it became.
        model: As it was read, before anything was changed.
    """
    path = Path(model.source.path)
    if model.source.form != FORM or verdict.status is Status.DIFFERS or not path.is_file():
        return verdict
    try:
        from converter.runtimes import onnxruntime
    except ModuleNotFoundError as error:
        return _saying(verdict, f"the original was not run: {error}")
    try:
        session = onnxruntime.open(path)
    except ReadError as error:
        return _saying(verdict, f"the original was not run: {error.context}")
    try:
        if session.inputs != tuple(value.name for value in model.inputs):
            return verdict  # a part of it alone, or old weights that stand among its inputs
        compared = compare(model, tuple(cases(model)), session.run, ONNXRUNTIME)
    except ArtefactFailure as error:
        return _saying(verdict, f"the original was not run: {error}")
    named = [replace(one, case=f"{one.case}, the original") for one in compared]
    whole = replace(verdict, comparisons=(*verdict.comparisons, *named))
    wrong = [one for one in named if one.reason and one.conditioned]
    if not wrong:
        return _saying(whole, "the original in onnxruntime answers likewise")
    worst = max(wrong, key=lambda one: one.ratio)
    reason = f"the original in onnxruntime: output '{worst.output}', case {worst.case}"
    return replace(whole, status=Status.DIFFERS, reason=f"{reason}: {worst.reason}")


def _saying(verdict: Verdict, words: str) -> Verdict:
    return replace(verdict, reason=f"{verdict.reason}; {words}")
