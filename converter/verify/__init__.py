"""Is an artefact the same model as its source?"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from converter.description import Era, Model
from converter.dtypes import HALVES, coarsest
from converter.errors import FormatError, UsageError
from converter.gates import Array
from converter.ledger import wrong_arrays
from converter.precision import narrows, with_precision
from converter.runtimes import ArtefactFailure
from converter.states import with_states
from converter.verify.comparison import compare, dtypes_of
from converter.verify.deviation import Kept, Rounded, bounded, check_bound, deviation
from converter.verify.inputs import cases
from converter.verify.original import with_file
from converter.verify.power import with_power
from converter.verify.verdict import Comparison, Status, Verdict

if TYPE_CHECKING:
    from converter.readers import Architecture, Readable
    from converter.targets.torch import Source

__all__ = ["Comparison", "Status", "Verdict", "verify", "verify_folder"]


def verify(
    source: Readable,
    artefact: str | os.PathLike[str] | None = None,
    *,
    era: Era | None = None,
    arch: Architecture | None = None,
    keras_python: str | os.PathLike[str] | None = None,
    state: str = "kept",
    precision: str = "source",
    half_io: bool = False,
    quantize: str = "none",
    max_deviation: float | None = None,
) -> Verdict:
    """Hold a converted model against its source, by the judge. It executes the artefact.

    Args:
        source: The model: whatever `converter.read` takes; or an ONNX file that `convert` wrote,
            to hold it against the test vector that it holds.
        artefact: The folder, the ONNX or Keras file or the state dicts that `convert` wrote.
        era: As for `convert`.
        arch: As for `convert`.
        keras_python: As for `convert`.
        state: As for `convert`.
        precision: As for `convert`.
        half_io: As for `convert`.
        quantize: As for `convert`.
        max_deviation: As for `convert`.

    Raises:
        ConverterError: One of them cannot be read.
    """
    from converter.keras_weights import is_checkpoint
    from converter.readers import read

    if max_deviation is not None:
        check_bound(max_deviation)
    if artefact is None:
        from converter.verify.onnx import verify_alone

        if not isinstance(source, str | os.PathLike):
            raise UsageError(
                "a model alone can only be held against a test vector in an ONNX file",
                context=f"an object of type {type(source).__name__}, and no artefact",
                hint="give the folder or the file that convert wrote as well",
                code="no-artefact",
            )
        return bounded(verify_alone(Path(source)), max_deviation)
    path = Path(artefact)
    if _holds_tensors(path):
        from converter.state_dict import StateDict, read_recurrent

        written = StateDict(read_recurrent(source, era=era, arch=arch), path.name)
        return written.verdict_on(read_tensors(path), str(path))
    if arch is None and path.is_file() and is_checkpoint(source):
        from converter.artefacts import Options
        from converter.keras_weights import KerasWeights, read_layers

        weights = KerasWeights(read_layers(source), path.name, Options(keras_python))
        return weights.verify(path.parent, str(path))
    given = read(source, era=era, arch=arch)
    exact = with_states(given, state)
    model = with_precision(exact, precision, half_io=half_io)
    rounded = Rounded(precision, exact) if narrows(exact, precision) else None
    if path.is_file() and _is_onnx(path):
        from converter.targets.onnx import write_graph
        from converter.verify.onnx import verify_onnx
        from converter.verify.quantized import verify_quantized

        made = write_graph(model)
        if quantize == "none":
            verdict = verify_onnx(made, path, rounded=rounded)
        else:
            verdict = verify_quantized(made, path)
    elif path.is_file():
        from converter.verify.keras import verify_file

        verdict = verify_file(model, path, keras_python=keras_python, rounded=rounded)
    elif (path / "model.weights.h5").is_file():
        from converter.verify.keras import verify_source

        verdict = verify_source(model, path, keras_python=keras_python, rounded=rounded)
    else:
        verdict = verify_folder(model, path, rounded=rounded)
    return with_file(bounded(verdict, max_deviation), given)


def _holds_tensors(path: Path) -> bool:
    """Whether it is a safetensors file: the length of a JSON object, and the object."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _is_onnx(path: Path) -> bool:
    """Whether a file begins as an ONNX file does: with the version of its form."""
    with path.open("rb") as file:
        return file.read(1) == b"\x08"


def verify_folder(
    model: Model, folder: Path, name: str = "", rounded: Rounded | None = None
) -> Verdict:
    """Hold a folder with model.py and model.safetensors against a model.

    Args:
        model: What it should be.
        folder: Executed as it lies on the disk.
        name: What the verdict calls it.
        rounded: What was rounded in the model.

    Raises:
        ReadError: model.py or the weights cannot be loaded.
    """
    from converter.runtimes import torch
    from converter.targets.torch import write_source

    path = torch.find(folder)
    tensors = read_tensors(folder / "model.safetensors")
    module = torch.load(folder)
    source = write_source(model)
    wrong = tuple(wrong_arrays(source.placements, tensors))
    compared: list[Comparison] = []
    failure = ""
    inputs = tuple(cases(model))
    kept = Kept(lambda arrays: torch.run(module, arrays))
    try:
        compared = compare(model, inputs, kept)
    except ArtefactFailure as error:
        failure = f"it fails on inputs that the source takes: {error}"
    verdict = Verdict(
        status=Status.DIFFERS if failure else Status.EQUAL,
        original=Path(model.source.path).name or model.name,
        artefact=name or str(path),
        reason=failure,
        comparisons=tuple(compared),
        arrays=sum(len(one.weight.stored) for one in source.placements if not one.added)
        - len(wrong),
        wrong_arrays=wrong,
    )
    if rounded and not failure:
        far = deviation(rounded, model, inputs, kept.outputs, compared)
        verdict = replace(verdict, deviation=far)
    decided = verdict if failure else decide(verdict, coarsest(dtypes_of(model)))
    if decided.status is Status.DIFFERS:
        return replace(decided, layer=_first_difference(model, source, tensors, decided))
    return with_power(decided, model, _written_again)


def _written_again(model: Model) -> list[Comparison]:
    """What a model answers that the same code writes."""
    from converter.runtimes import torch
    from converter.targets.torch import write_source
    from converter.targets.torch.loading import module_of

    source = write_source(model)
    module = module_of(
        source, dict(tensor for one in source.placements for tensor in one.tensors())
    )
    return compare(model, tuple(cases(model)), lambda arrays: torch.run(module, arrays))


def read_tensors(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file.

    Raises:
        FormatError: It is none.
    """
    import ml_dtypes  # noqa: F401  so that NumPy knows bfloat16 by its name
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise FormatError(
            f"{path} is not a safetensors file",
            context=" ".join(str(error).split()) if path.exists() else "it does not exist",
            hint="convert again",
            code="not-safetensors",
        ) from error


def decide(verdict: Verdict, form: str = "float32") -> Verdict:
    """The status of what was compared, and the reason in a sentence.

    Args:
        verdict: With the comparisons.
        form: The dtype whose rounding explains the tolerances.
    """
    said = [one for one in verdict.comparisons if one.conditioned]
    different = [one for one in said if one.reason]
    if verdict.wrong_arrays:
        count = len(verdict.wrong_arrays)
        total = count + verdict.arrays
        reason = f"{count} of {total} arrays of the source are not in it bit for bit"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    if different:
        worst = max(different, key=lambda one: one.ratio)
        reason = f"output '{worst.output}', case {worst.case}: {worst.reason}"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    if not any(one.elements for one in verdict.comparisons):
        return replace(verdict, status=Status.UNDECIDED, reason="nothing was compared")
    for output in dict.fromkeys(one.output for one in verdict.comparisons):
        if not any(one.moved for one in verdict.comparisons if one.output == output):
            reason = f"output '{output}' is always the same, whatever goes in: it shows no mistake"
            return replace(verdict, status=Status.UNDECIDED, reason=reason)
    cases, known = (Counter(one.output for one in some) for some in (verdict.comparisons, said))
    for output, count in cases.items():
        if 2 * known[output] < count:
            part = "a 32nd" if form in HALVES else "a thousandth"
            reason = (
                f"one unit in the last place of the weights moves output '{output}' by more than "
                f"{part} in {count - known[output]} of {count} cases: {form} cannot say "
                "whether it is the same"
            )
            return replace(verdict, status=Status.INCONCLUSIVE, reason=reason)
    reason = f"every output of every case is as near to float64 as {form} rounding explains"
    if vague := len(verdict.comparisons) - len(said):
        reason += f", but for {vague} of {len(verdict.comparisons)} that rounding alone moves far"
    return replace(verdict, reason=reason)


def _first_difference(
    model: Model, source: Source, tensors: dict[str, Array], verdict: Verdict
) -> str:
    """The first layer with a wrong array, or else the first whose own output differs.

    That is found by our own source with the artefact's weights, so that it names a layer which
    is written wrongly. "" where none is: then the text of model.py has been changed.
    """
    from converter.runtimes import torch
    from converter.targets.torch import write_source
    from converter.targets.torch.loading import module_of

    owners = {attribute: name for name, own in source.module_names.items() for attribute in own}
    for placement in source.placements:
        if not placement.fits(tensors) or any(wrong_arrays([placement], tensors)):
            return owners[placement.names[0].split(".")[0]]
    values = tuple(value for call in model.calls for value in call.outputs if value.dtype != "bool")
    layers = {value.name: call.layer.name for call in model.calls for value in call.outputs}
    whole = replace(model, outputs=values)
    module = module_of(write_source(whole), tensors)
    names = {one.case for one in verdict.comparisons if one.reason and one.conditioned}
    shown = [case for case in cases(model) if case.name in names]
    compared = compare(whole, shown, lambda arrays: torch.run(module, arrays))
    wrong = {layers[one.output] for one in compared if one.reason and one.conditioned}
    return next((layer.name for layer in model.layers if layer.name in wrong), "")
