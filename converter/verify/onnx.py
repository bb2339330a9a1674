"""Is an ONNX file the same model as its source?

Its stored tensors must give back the source's arrays bit for bit, what onnxruntime answers must be
as near to the judge as float32 rounding explains, and read back it must mean the same. A file that
`convert` wrote holds a test vector, with which it can be verified alone, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from converter.description import Model, Value
from converter.dtypes import coarsest
from converter.errors import FormatError, MissingExtraError
from converter.gates import Array
from converter.ledger import wrong_arrays
from converter.metadata import QUANTIZED, SOURCE, TEST_VECTOR
from converter.runtimes import ArtefactFailure
from converter.targets.onnx import Written, write_graph
from converter.targets.onnx.stored import by_address, read_stored
from converter.verify.comparison import Expected, compare, compare_output, dtypes_of
from converter.verify.deviation import Kept, Rounded, deviation
from converter.verify.inputs import cases
from converter.verify.power import with_power
from converter.verify.read_back import with_reading
from converter.verify.rounding import ONNXRUNTIME
from converter.verify.vector import read_vector, sampled
from converter.verify.verdict import Comparison, Status, Verdict


def verify_onnx(
    written: Written, path: Path, name: str = "", rounded: Rounded | None = None
) -> Verdict:
    """Hold an ONNX file against a model.

    Args:
        written: The model, as it is written.
        path: The file.
        name: What the verdict calls it.
        rounded: What was rounded in the model.

    Raises:
        FormatError: The file cannot be read.
        ReadError: onnxruntime does not load it.
        MissingExtraError: onnxruntime is not installed.
    """
    model = written.model
    arrays, _ = read_stored(path)
    tensors = by_address(written.tensors, arrays)
    wrong = tuple(wrong_arrays(written.placements, tensors))
    compared: list[Comparison] = []
    failure = ""
    kept = Kept(runtime().open(path).run)
    inputs = tuple(cases(model))
    try:
        compared = compare(model, inputs, kept, ONNXRUNTIME)
    except ArtefactFailure as error:
        failure = f"it fails on inputs that the source takes: {error}"
    known = sum(len(one.weight.stored) for one in written.placements if not one.added)
    verdict = Verdict(
        status=Status.DIFFERS if failure else Status.EQUAL,
        original=Path(model.source.path).name or model.name,
        artefact=name or str(path),
        reason=failure,
        comparisons=tuple(compared),
        arrays=known - len(wrong),
        wrong_arrays=wrong,
    )
    if rounded and not failure:
        far = deviation(rounded, model, inputs, kept.outputs, compared)
        verdict = replace(verdict, deviation=far)
    decided = verdict if failure else _decided(verdict, coarsest(dtypes_of(model)))
    if decided.status is Status.DIFFERS:
        return replace(decided, layer=_first_difference(written, tensors, decided))
    proved = with_power(decided, model, lambda drawn: _written_again(drawn, written.opset))
    return with_reading(proved, model, path, inputs)


def _written_again(model: Model, opset: int) -> list[Comparison]:
    """What a model answers that the same code writes."""
    session = runtime().open(write_graph(model, opset).bytes())
    return compare(model, tuple(cases(model)), session.run, ONNXRUNTIME)


def verify_alone(path: Path) -> Verdict:
    """Hold an ONNX file against the test vector that it holds.

    Raises:
        FormatError: It is no ONNX file, or holds none.
        ReadError: onnxruntime does not load it.
        MissingExtraError: onnxruntime is not installed.
    """
    _, metadata = read_stored(path)
    if TEST_VECTOR not in metadata:
        raise FormatError(
            f"{path} holds no test vector",
            context=f"an ONNX file without {TEST_VECTOR} in its metadata",
            hint="ifco verify SOURCE FILE, or write it with ifco convert --to onnx",
            code="no-test-vector",
        )
    chosen, expected = read_vector(metadata[TEST_VECTOR], str(path))
    original = metadata.get(SOURCE, "") or "its test vector"
    if QUANTIZED in metadata:
        from converter.verify.quantized import verify_vector

        return verify_vector(path, chosen, expected, original)
    session = runtime().open(path)
    compared: list[Comparison] = []
    failure = ""
    try:
        for case, outputs in zip(chosen, expected, strict=True):
            compared += _compared(case.name, outputs, session.run(case.arrays))
    except ArtefactFailure as error:
        failure = f"it fails on its test vector: {error}"
    verdict = Verdict(
        status=Status.DIFFERS if failure else Status.EQUAL,
        original=original,
        artefact=str(path),
        reason=failure,
        comparisons=tuple(compared),
    )
    inside = {name for outputs in expected for _, one in outputs for name in one.inside}
    return verdict if failure else _decided(verdict, coarsest(inside))


def _compared(
    case: str, outputs: Sequence[tuple[Value, Expected]], given: Sequence[Array]
) -> Iterator[Comparison]:
    """Each output of a case, those numbers of it that are kept."""
    if len(given) != len(outputs):
        reason = f"{len(given)} outputs; expected {len(outputs)}"
        yield Comparison(case=case, output="", shape=(), reason=reason)
        return
    for (value, one), array in zip(outputs, given, strict=True):
        if array.shape == value.shape:
            kept = sampled(array)
            yield compare_output(
                case,
                value,
                one.answer,
                kept,
                one.deviation,
                one.inside,
                moved=one.moved,
                last=one.last,
            )
            continue
        reason = f"shape {array.shape}; expected {value.shape}"
        yield Comparison(case=case, output=value.name, shape=tuple(array.shape), reason=reason)


def _decided(verdict: Verdict, form: str) -> Verdict:
    from converter.verify import decide

    return decide(verdict, form)


def runtime() -> ModuleType:
    """The module that runs ONNX.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        from converter.runtimes import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "running ONNX needs the package onnxruntime",
            context=str(error),
            hint='pip install "ifco[runtime]"; --no-verify writes without running',
            code="missing-extra",
        ) from error
    return onnxruntime


def _first_difference(written: Written, tensors: Mapping[str, Array], verdict: Verdict) -> str:
    """The first layer with a wrong array, or else the first whose own output differs.

    The latter is found by the graph that is written now, so that it names a layer which is written
    wrongly or computed wrongly here. "" where none is: then the file has been changed.
    """
    for placement in written.placements:
        if not placement.fits(tensors) or any(wrong_arrays([placement], tensors)):
            return written.owners[placement.names[0]]
    model = written.model
    layers = {value.name: call.layer.name for call in model.calls for value in call.outputs}
    whole = _with_every_output(model)
    session = runtime().open(write_graph(whole, written.opset).bytes())
    names = {one.case for one in verdict.comparisons if one.reason and one.conditioned}
    shown = [case for case in cases(model) if case.name in names]
    try:
        compared = compare(whole, shown, session.run, ONNXRUNTIME)
    except ArtefactFailure:
        return ""
    wrong = {layers[one.output] for one in compared if one.reason and one.conditioned}
    return next((layer.name for layer in model.layers if layer.name in wrong), "")


def _with_every_output(model: Model) -> Model:
    values = [value for call in model.calls for value in call.outputs if value.dtype != "bool"]
    return replace(model, outputs=tuple(values))
