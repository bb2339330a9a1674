"""A source becomes an artefact: read, written, verified, put in its place."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter.artefacts import RECORD, TARGETS, Artefact, Options, check_suffix, target_of
from converter.description import Era, Model
from converter.ledger import entries
from converter.output import Staging, staged
from converter.precision import narrows, with_precision
from converter.readers.torch import is_module
from converter.states import with_states
from converter.verify.deviation import Rounded, bounded, check_bound
from converter.verify.verdict import Status, Verdict

if TYPE_CHECKING:
    from converter.readers import Architecture, Readable

__all__ = ["TARGETS", "Conversion", "convert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What `convert` did.

    Attributes:
        model: What was read.
        folder: Where the files are; they are not there if the verdict is `differs`.
        artefact: What was written: the folder, or the one file in it.
        files: Those that were written.
        record: What conversion.json says.
        verdict: None without verification.
    """

    model: Model
    folder: Path
    files: tuple[Path, ...]
    record: dict[str, Any]
    verdict: Verdict | None
    artefact: Path = Path()


def convert(
    source: Readable,
    example_inputs: object = None,
    *,
    to: str = "pytorch",
    out: str | os.PathLike[str],
    force: bool = False,
    verify: bool = True,
    era: Era | None = None,
    arch: Architecture | None = None,
    keras_python: str | os.PathLike[str] | None = None,
    opset: int | None = None,
    state: str = "kept",
    precision: str = "source",
    half_io: bool = False,
    quantize: str = "none",
    max_deviation: float | None = None,
) -> Conversion:
    """Convert a saved model or one in memory, and verify what was written.

    The files are put in their place together, after the verification, and only if it does not
    say `differs`.

    Args:
        source: The model: whatever `converter.read` takes.
        example_inputs: Of a `torch.nn.Module`: as for `converter.read`.
        to: One of `TARGETS`.
        out: The folder for model.py, model.safetensors and conversion.json; for other targets the
            file, beside which NAME.conversion.json will lie.
        force: Replace files that exist.
        verify: Execute what was written, and hold it against the judge.
        era: Which Keras the source means, where the file does not say the truth.
        arch: The architecture of weights: as for `converter.read`.
        keras_python: An interpreter that has Keras, to load a Keras file that was written; without
            it this one, if it has.
        opset: Of an ONNX file; by default one that most runtimes read.
        state: "explicit" makes the states of recurrent layers inputs and outputs, as
            `converter.explicit_states` does.
        precision: "float16", "float32" or "float64" for a model that computes in that throughout,
            whatever the source does.
        half_io: The inputs and outputs of a model in float16 are in it, too.
        quantize: "int8" for an ONNX file whose weights onnxruntime's tool rounds to 8 bits.
        max_deviation: How far answers may be from the source's where `precision` or `quantize`
            rounds, as a part of the largest number of the output.

    Raises:
        ConverterError: It cannot be read, expressed or written.
    """
    target = target_of(to)
    if max_deviation is not None:
        check_bound(max_deviation)
    if quantize != "none":
        from converter.quantized_file import check_quantize

        check_quantize(quantize, to, precision)
    place = Path(out)
    check_suffix(place, to)
    if to == "state-dict":
        from converter.state_dict import read_recurrent

        read_model = read_recurrent(source, era=era, arch=arch)
    elif to == "keras-weights":
        from converter.keras_weights import read_layers

        read_model = read_layers(source, era=era, arch=arch)
    else:
        from converter.readers import read

        read_model = read(source, example_inputs, era=era, arch=arch)
    exact = with_states(read_model, state)
    model = with_precision(exact, precision, half_io=half_io)
    rounded = Rounded(precision, exact) if narrows(exact, precision) else None
    options = Options(keras_python, opset, verify, rounded, quantize)
    artefact = target.make(model, place.name, options)
    alone = place.name if target.suffix else ""
    folder = place.parent if alone else place
    names = (*artefact.names, f"{alone}.{RECORD}" if alone else RECORD)
    given = model.source.path
    with staged(folder, names, source=given, force=force, alone=alone) as staging:
        artefact.write(staging)
        shown = str(folder / artefact.names[0])
        verdict = bounded(artefact.verify(staging.path, shown), max_deviation) if verify else None
        if verdict is not None and is_module(source):
            from converter.verify.module import with_original

            verdict = with_original(verdict, read_model, source, example_inputs)
        elif verdict is not None:
            from converter.verify.original import with_file

            verdict = with_file(verdict, read_model)
        record = _record(model, to, artefact, staging, verdict)
        if precision != "source":
            record["precision"] = precision
            record["half_io"] = half_io
        text = _json(record)
        staging.write(names[-1], lambda file: file.write(text), len(text))
        if verdict is None or verdict.status is not Status.DIFFERS:
            staging.commit()
            files = tuple(folder / name for name in names)
        else:
            files = ()
    return Conversion(
        model=model,
        folder=folder,
        files=files,
        record=record,
        verdict=verdict,
        artefact=place,
    )


def _record(
    model: Model, to: str, artefact: Artefact, staging: Staging, verdict: Verdict | None
) -> dict[str, Any]:
    """conversion.json: where everything went, and what is not the source's."""
    from converter import __version__

    origin = model.source
    placements = artefact.placements
    return {
        "schema": 1,
        "ifco": __version__,
        "target": to,
        "source": {
            "file": Path(origin.path).name,
            "sha256": origin.sha256,
            "form": origin.form,
            "version": origin.version,
            "era": origin.era.value,
        },
        "files": {name: _file_sha256(staging.path / name) for name in artefact.names},
        **artefact.details,
        "tensors": [entry.as_dict() for entry in entries(placements)],
        "added": [name for one in placements if one.added for name in one.names],
        "dropped": list(origin.dropped),
        "verdict": None if verdict is None else verdict.as_dict(),
    }


def _json(record: dict[str, Any]) -> bytes:
    """As readable text; half of a surrogate pair, which UTF-8 has not, as JSON's escape."""
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
