"""How far is a quantized ONNX file from its source?

Such a file is never equal. Every weight in it must be the source's, rounded to the nearest step,
and bit for bit what was not rounded; how far its answers are from the source's is measured.
Whether that is near enough, only who uses the model can say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from converter.description import Layer, Model, Value, Weight
from converter.gates import Array
from converter.judge import Judge
from converter.ledger import wrong_arrays
from converter.runtimes import ArtefactFailure
from converter.targets.onnx import Written
from converter.targets.onnx.quantized import INT8, Held, held
from converter.targets.onnx.stored import read_stored
from converter.verify.comparison import Expected, answers_of_judge, compare_output
from converter.verify.deviation import Kept, Rounded, deviation
from converter.verify.inputs import Case, cases
from converter.verify.onnx import runtime
from converter.verify.vector import sampled
from converter.verify.verdict import Comparison, Deviation, Status, Verdict

HALF = 0.5 + 1e-3
"""Of a step: how far a number may be from the nearest, which the tool computes in float32."""


def verify_quantized(written: Written, path: Path, name: str = "") -> Verdict:
    """Hold a quantized ONNX file against a model.

    Args:
        written: The model, as it is written before it is quantized.
        path: The file.
        name: What the verdict calls it.

    Returns:
        A verdict that is `undecided`, with the deviation, or that says what differs.

    Raises:
        FormatError: The file cannot be read.
        ReadError: onnxruntime does not load it.
        MissingExtraError: onnxruntime is not installed.
    """
    model = written.model
    arrays, _ = read_stored(path)
    found = held(written, arrays)
    wrong = tuple(_wrong(written, found))
    rounded = [one for one in written.placements if one.names[0] in found.steps]
    kept = Kept(runtime().open(path).run)
    inputs = tuple(cases(model))
    failure = ""
    compared: list[Comparison] = []
    try:
        truth = answers_of_judge(Judge(model), inputs)
        for case, answers in zip(inputs, truth, strict=True):
            compared += _compared(case, model.outputs, answers, kept(case.arrays))
    except ArtefactFailure as error:
        failure = f"it fails on inputs that the source takes: {error}"
    count = sum(len(one.weight.stored) for one in rounded)
    known = sum(len(one.weight.stored) for one in written.placements if not one.added)
    far = None
    if not failure and not wrong:
        meant = _with_weights(written, found)
        far = deviation(Rounded(INT8, model), meant, inputs, kept.outputs, ())
    verdict = Verdict(
        status=Status.DIFFERS if failure else Status.UNDECIDED,
        original=Path(model.source.path).name or model.name,
        artefact=name or str(path),
        reason=failure,
        comparisons=tuple(compared),
        arrays=known - count - len(wrong),
        wrong_arrays=wrong,
        deviation=None if far is None else replace(far, arrays=count),
    )
    return verdict if failure else _decided(verdict)


def verify_vector(
    path: Path,
    chosen: Sequence[Case],
    expected: Sequence[Sequence[tuple[Value, Expected]]],
    original: str,
) -> Verdict:
    """Hold a quantized ONNX file against the test vector that it holds.

    Args:
        path: The file.
        chosen: What goes in.
        expected: What the source answers.
        original: Its name.
    """
    session = runtime().open(path)
    compared: list[Comparison] = []
    largest: dict[str, float] = {}
    try:
        for case, outputs in zip(chosen, expected, strict=True):
            given = [sampled(array) for array in session.run(case.arrays)]
            values = [replace(value, shape=one.answer.shape) for value, one in outputs]
            answers = [one.answer for _, one in outputs]
            compared += _compared(case, values, answers, given)
            for value, answer in zip(values, answers, strict=True):
                scale = max(largest.get(value.name, 0), float(np.abs(answer).max(initial=0)))
                largest[value.name] = scale
        failure = ""
    except ArtefactFailure as error:
        failure = f"it fails on its test vector: {error}"
    far = [
        Deviation(
            of=INT8,
            output=one.output,
            case=one.case,
            error=one.error,
            scale=largest[one.output],
            explained=None,
        )
        for one in compared
    ]
    verdict = Verdict(
        status=Status.DIFFERS if failure else Status.UNDECIDED,
        original=original,
        artefact=str(path),
        reason=failure,
        comparisons=tuple(compared),
        deviation=max(far, key=lambda one: one.ratio, default=None),
    )
    return verdict if failure else _decided(verdict)


def _wrong(written: Written, found: Held) -> Iterator[str]:
    """Arrays of the source that are not in the file, rounded or bit for bit."""
    for placement in written.placements:
        (name,) = placement.names
        if name not in found.steps:
            yield from wrong_arrays([placement], found.tensors)
            continue
        ((_, array),) = placement.tensors()
        step = found.steps[name]
        near = array.shape == step.shape and bool(
            (np.abs(found.tensors[name] - array) <= HALF * step).all()
        )
        if not near:
            yield from (stored.name for stored in placement.weight.stored)


def _with_weights(written: Written, found: Held) -> Model:
    """The model with the weights that the file stands for."""
    placements = {id(one.weight): one for one in written.placements}

    def new(_layer: Layer, _name: str, weight: Weight) -> Weight:
        placement = placements.get(id(weight))
        if placement is None or placement.names[0] not in found.steps:
            return weight
        return Weight.of(placement.form.read([found.tensors[placement.names[0]]]))

    return written.model.map_weights(new)


def _compared(
    case: Case, values: Sequence[Value], answers: Sequence[Array], given: Sequence[Array]
) -> Iterator[Comparison]:
    """Every output: its shape, its dtype and where it is not finite; no distance is too far."""
    for k, (value, answer) in enumerate(zip(values, answers, strict=True)):
        array = given[k] if k < len(given) else None
        one = compare_output(case.name, value, answer, array, 0.0)
        yield replace(one, reason="", tolerance=0.0) if one.error else one


def _decided(verdict: Verdict) -> Verdict:
    """What differs, or that nobody has said how far an output may be."""
    if verdict.wrong_arrays:
        count = len(verdict.wrong_arrays)
        reason = f"{count} arrays of the source are not in it, rounded to the nearest step or whole"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    different = next((one for one in verdict.comparisons if one.reason), None)
    if different is not None or verdict.deviation is None:
        reason = "an output is missing, or has another shape"
        if different is not None:
            reason = f"output '{different.output}', case {different.case}: {different.reason}"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    reason = f"{verdict.deviation.of} rounds, and nobody has said how far an output may be"
    return replace(verdict, reason=reason)
