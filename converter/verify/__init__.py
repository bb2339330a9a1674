"""Is an artefact the same model as its source?"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from converter.description import Era, Model
from converter.errors import FormatError
from converter.gates import Array
from converter.ledger import wrong_arrays
from converter.runtimes import ArtefactFailure
from converter.verify.comparison import compare
from converter.verify.inputs import cases
from converter.verify.verdict import Comparison, Status, Verdict

__all__ = ["Comparison", "Status", "Verdict", "verify", "verify_folder"]


def verify(
    source: str | os.PathLike[str], artefact: str | os.PathLike[str], *, era: Era | None = None
) -> Verdict:
    """Hold a converted model against its source, by the judge. It executes the artefact.

    Args:
        source: A saved model.
        artefact: The folder that `convert` wrote.
        era: As for `convert`.

    Raises:
        ConverterError: One of them cannot be read.
    """
    from converter.readers import read

    return verify_folder(read(source, era=era), Path(artefact))


def verify_folder(model: Model, folder: Path, name: str = "") -> Verdict:
    """Hold a folder with model.py and model.safetensors against a model.

    Args:
        model: What it should be.
        folder: Executed as it lies on the disk.
        name: What the verdict calls it.

    Raises:
        ReadError: model.py or the weights cannot be loaded.
    """
    from converter.runtimes import torch
    from converter.targets.torch import write_source

    module = torch.load(folder)
    tensors = read_tensors(folder / "model.safetensors")
    source = write_source(model)
    wrong = tuple(wrong_arrays(source.placements, tensors))
    compared: list[Comparison] = []
    failure = ""
    try:
        compared = compare(model, tuple(cases(model)), lambda arrays: torch.run(module, arrays))
    except ArtefactFailure as error:
        failure = f"it fails on inputs that the source takes: {error}"
    verdict = Verdict(
        status=Status.DIFFERS if failure else Status.EQUAL,
        original=Path(model.source.path).name or model.name,
        artefact=name or str(folder / "model.py"),
        reason=failure,
        comparisons=tuple(compared),
        arrays=sum(len(one.weight.stored) for one in source.placements if not one.added)
        - len(wrong),
        wrong_arrays=wrong,
    )
    decided = verdict if failure else decide(verdict)
    if decided.status is Status.DIFFERS:
        return replace(decided, layer=_first_difference(model, tensors))
    return decided


def read_tensors(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file.

    Raises:
        FormatError: It is none.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise FormatError(
            f"{path} is not a safetensors file",
            context=str(error),
            hint="convert again",
            code="not-safetensors",
        ) from error


def decide(verdict: Verdict) -> Verdict:
    """The status of what was compared, and the reason in a sentence."""
    different = [one for one in verdict.comparisons if one.reason and one.conditioned]
    said = [one for one in verdict.comparisons if one.conditioned]
    if not verdict.comparisons:
        return replace(verdict, status=Status.UNDECIDED, reason="nothing was compared")
    if verdict.wrong_arrays:
        count = len(verdict.wrong_arrays)
        total = count + verdict.arrays
        reason = f"{count} of {total} arrays of the source are not in it bit for bit"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    if different:
        worst = max(different, key=lambda one: one.ratio)
        reason = f"output '{worst.output}', case {worst.case}: {worst.reason}"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    if not said:
        reason = (
            "one unit in the last place of the weights moves every output by more than a "
            "thousandth: nothing can be said in float32"
        )
        return replace(verdict, status=Status.INCONCLUSIVE, reason=reason)
    reason = "every output of every case is as near to float64 as float32 rounding explains"
    return replace(verdict, reason=reason)


def _first_difference(model: Model, tensors: dict[str, Array]) -> str:
    """The first layer whose output differs, when our own source runs with the artefact's weights.

    "" where none does: then the difference is in the text of its model.py.
    """
    from converter.runtimes import torch
    from converter.targets.torch import write_source
    from converter.targets.torch.loading import module_of

    values = tuple(value for call in model.calls for value in call.outputs)
    layers = {value.name: call.layer.name for call in model.calls for value in call.outputs}
    whole = replace(model, outputs=values)
    source = write_source(whole)
    for placement in source.placements:
        if not placement.fits(tensors):
            attribute = placement.names[0].split(".")[0]
            return next(name for name, own in source.module_names.items() if attribute in own)
    module = module_of(source, tensors)
    first = tuple(cases(model))[:1]
    compared = compare(whole, first, lambda arrays: torch.run(module, arrays))
    return next((layers[one.output] for one in compared if one.reason), "")
