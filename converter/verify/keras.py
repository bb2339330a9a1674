"""Is a Keras file the same model as its source?

The file is read back by the reader, which knows nothing of how it was written. Its arrays must be
the source's bit for bit, and its answers in the judge those of the source to 1e-12: there is no
rounding between them that a tolerance would have to explain. Then it is loaded and run by Keras
itself, where there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from converter.description import Layer, Model, Stored, Weight
from converter.dtypes import as_type, is_float
from converter.errors import ConverterError, MissingExtraError
from converter.gates import Array
from converter.judge import Judge
from converter.ledger import wrong_arrays
from converter.runtimes import keras as runtime
from converter.targets.keras import Dialect, Written, write_file, write_legacy_weights, write_model
from converter.targets.placement import Placement
from converter.verify.comparison import answers_of_judge, compare
from converter.verify.deviation import Rounded, deviation
from converter.verify.inputs import Case, cases
from converter.verify.power import with_power
from converter.verify.verdict import Comparison, Status, Verdict

EXACT = 1e-12
"""Of the largest output, in float64. Two judges of one model differ by rounding alone."""

WEIGHTS = ".weights.h5"


SAME = "read back, every output of every case is the same"


class NotLoadedError(Exception):
    """Keras refuses the file; the message says why."""


def verify_file(
    model: Model,
    path: Path,
    *,
    name: str = "",
    keras_python: str | os.PathLike[str] | None = None,
    rounded: Rounded | None = None,
) -> Verdict:
    """Hold a Keras file against a model.

    Args:
        model: What it should be.
        path: The file.
        name: What the verdict calls it.
        keras_python: An interpreter that has Keras; without it this one, if it has.
        rounded: What was rounded in the model.

    Raises:
        ReadError: The file cannot be read.
        UnsupportedError: It has something that is not read.
    """
    from converter.readers import read

    alone = path.name.endswith(WEIGHTS)
    legacy = not alone and not _is_archive(path)
    written = write_model(model, Dialect.LEGACY if legacy else Dialect.KERAS_3)
    stored = _arrays_of_file(path) if alone else _arrays(read(path))
    tensors = {one.name: one.read() for one in stored}
    ours = alone or set(tensors) == {name for one in written.placements for name in one.names}
    verdict = _on_arrays(model, name or str(path), written.placements if ours else (), tensors)
    if alone and verdict.wrong_arrays:
        return replace(_decided(verdict, ""), layer=_first_wrong(written, tensors))
    back = _with_tensors(written, tensors) if alone else read(path)
    exact = not any(one.lossy for one in written.placements)
    said = "" if ours else "; its arrays have other names, so that no bits were compared"
    config = written.config if alone else None
    decided = _answered(
        verdict, model, back, path, keras_python, config, said=said, exact=exact, rounded=rounded
    )
    if decided.status is Status.DIFFERS:
        return replace(decided, layer=_first_wrong(written, tensors) if ours else "")
    form = "weights.h5" if alone else "h5" if legacy else "keras"
    return with_power(decided, model, lambda drawn: _written_again(drawn, form, exact=exact))


def _on_arrays(
    model: Model, artefact: str, placements: Sequence[Placement], tensors: Mapping[str, Array]
) -> Verdict:
    """What the arrays of an artefact say, before any answer of it."""
    wrong = tuple(wrong_arrays(placements, tensors))
    known = sum(len(one.weight.stored) for one in placements)
    return Verdict(
        status=Status.EQUAL,
        original=Path(model.source.path).name or model.name,
        artefact=artefact,
        reason="",
        arrays=known - len(wrong),
        wrong_arrays=wrong,
    )


def verify_weights(
    model: Model,
    path: Path,
    others: Sequence[Placement],
    *,
    name: str = "",
    keras_python: str | os.PathLike[str] | None = None,
    rounded: Rounded | None = None,
) -> Verdict:
    """Hold a legacy file of weights alone against the layers that it is of.

    Args:
        model: Each layer on an input of its own.
        path: The file.
        others: What is in it of no layer.
        name: As for `verify_file`.
        keras_python: As for `verify_file`.
        rounded: As for `verify_file`.
    """
    written = write_model(model, Dialect.LEGACY)
    placements = (*written.placements, *others)
    tensors = {one.name: one.read() for one in _arrays_of_file(path)}
    verdict = _on_arrays(model, name or str(path), placements, tensors)
    if verdict.wrong_arrays:
        return replace(_decided(verdict, ""), layer=_first_wrong(written, tensors))
    back = _with_tensors(written, tensors)
    config = write_model(model).config
    decided = _answered(verdict, model, back, path, keras_python, config, rounded=rounded)
    return with_power(decided, model, lambda drawn: _written_again(drawn, "legacy", exact=True))


def verify_source(
    model: Model,
    folder: Path,
    *,
    name: str = "",
    keras_python: str | os.PathLike[str] | None = None,
    rounded: Rounded | None = None,
) -> Verdict:
    """Hold a folder with Keras code and its weights against a model. Keras executes the code.

    Args:
        model: What it should be.
        folder: With model.py and model.weights.h5.
        name: As for `verify_file`.
        keras_python: As for `verify_file`.
        rounded: As for `verify_file`.
    """
    written = write_model(model)
    tensors = {one.name: one.read() for one in _arrays_of_file(folder / f"model{WEIGHTS}")}
    path = folder / "model.py"
    verdict = _on_arrays(model, name or str(path), written.placements, tensors)
    if verdict.wrong_arrays:
        return replace(_decided(verdict, ""), layer=_first_wrong(written, tensors))
    back = _with_tensors(written, tensors)
    decided = _answered(verdict, model, back, path, keras_python, None, rounded=rounded)
    executed = any(", Keras " in one.case for one in decided.comparisons)
    if decided.status is Status.EQUAL and not executed:
        reason = f"no Keras has executed the code{decided.reason.removeprefix(SAME)}"
        return replace(decided, status=Status.UNDECIDED, reason=reason)
    return with_power(decided, model, lambda drawn: _written_again(drawn, "weights.h5", exact=True))


def _answered(
    verdict: Verdict,
    model: Model,
    back: Model,
    path: Path,
    keras_python: str | os.PathLike[str] | None,
    config: Mapping[str, object] | None,
    *,
    said: str = "",
    exact: bool = True,
    rounded: Rounded | None = None,
) -> Verdict:
    """The verdict with what was read back in the judge, and with Keras itself, where it is."""
    inputs = tuple(cases(model))
    try:
        compared = _judged(model, back, inputs, exact=exact)
    except ConverterError as error:
        return _failed(verdict, f"the judge cannot run what was written: {error.message}")
    if rounded:
        answers = answers_of_judge(Judge(back), inputs)
        verdict = replace(verdict, deviation=deviation(rounded, model, inputs, answers, compared))
    by_keras: list[Comparison] = []
    if keras_python or runtime.is_here():
        try:
            by_keras, more = _run(model, path, inputs, keras_python, config)
            said += more
        except NotLoadedError as error:
            return _failed(replace(verdict, comparisons=tuple(compared)), str(error))
        except MissingExtraError as error:
            if keras_python:
                raise
            said += f"; {error.message}: {error.context}"
    return _decided(replace(verdict, comparisons=(*compared, *by_keras)), said)


def _written_again(model: Model, form: str, *, exact: bool) -> list[Comparison]:
    """What a model answers that the same code writes, read back."""
    from converter.readers import read

    legacy = form in ("h5", "legacy")
    written = write_model(model, Dialect.LEGACY if legacy else Dialect.KERAS_3)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"drawn.{form}"
        if form == "legacy":
            write_legacy_weights(path, written)
        else:
            write_file(path, written, form)
        if form in ("weights.h5", "legacy"):
            tensors = {one.name: one.read() for one in _arrays_of_file(path)}
            return _judged(model, _with_tensors(written, tensors), tuple(cases(model)), exact=exact)
        return _judged(model, read(path), tuple(cases(model)), exact=exact)


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False  # the reader says what is wrong


def _arrays(model: Model) -> Iterator[Stored]:
    """Every array of a file that was read."""
    for layer in model.layers:
        for weight in layer.weights.values():
            yield from weight.stored


def _arrays_of_file(path: Path) -> list[Stored]:
    """Every array of a file without an architecture."""
    from converter.readers.file import File, Part
    from converter.readers.keras.hdf5 import Hdf5

    file = File.at(path)
    with Hdf5.opened(Part(file, 0, file.size), file.path) as weights:
        return [weights.stored(weights.dataset(one), one) for one in weights.datasets()]


def _with_tensors(written: Written, tensors: Mapping[str, Array]) -> Model:
    """The model with the arrays that a file of weights holds."""
    held = {id(one.weight): one for one in written.placements}

    def new(_layer: Layer, _name: str, weight: Weight) -> Weight:
        placement = held[id(weight)]
        return Weight.of(placement.form.read([tensors[name] for name in placement.names]))

    return written.model.map_weights(new)


def _judged(model: Model, back: Model, inputs: Sequence[Case], *, exact: bool) -> list[Comparison]:
    """The answers of both in the judge."""
    judge = Judge(back)

    def answers(arrays: Sequence[Array]) -> list[Array]:
        (outputs,) = answers_of_judge(judge, [Case("", tuple(arrays))])
        return outputs

    if not exact:  # the arrays are rounded: what that explains is measured
        return compare(
            model,
            inputs,
            lambda arrays: [
                as_type(array, value.dtype) if is_float(array.dtype) else array
                for value, array in zip(model.outputs, answers(arrays), strict=True)
            ],
        )
    truth = answers_of_judge(Judge(model), inputs)
    compared = []
    for case, expected in zip(inputs, truth, strict=True):
        given = answers(case.arrays)
        if len(given) != len(expected):
            reason = f"{len(given)} outputs; expected {len(expected)}"
            compared.append(Comparison(case=case.name, output="", shape=(), reason=reason))
            continue
        compared += [
            _exactly(case.name, *one) for one in zip(model.outputs, expected, given, strict=True)
        ]
    return compared


def _exactly(case: str, value: object, expected: Array, given: Array) -> Comparison:
    """One output against the judge's, to `EXACT`."""
    output = getattr(value, "name", "")
    if given.shape != expected.shape:
        reason = f"shape {given.shape}; expected {expected.shape}"
        return Comparison(case=case, output=output, shape=given.shape, reason=reason)
    if not expected.size:
        return Comparison(case=case, output=output, shape=given.shape)
    same = (given == expected) | (np.isnan(given) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(given - expected))
    distance = np.where(np.isfinite(distance), distance, np.inf)
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max(initial=0))
    tolerance = EXACT * scale
    error = float(distance.max())
    with np.errstate(over="ignore"):
        unit = float(np.spacing(np.float32(scale)))
    return Comparison(
        case=case,
        output=output,
        shape=given.shape,
        error=error,
        tolerance=tolerance,
        units=error / unit,
        where=tuple(int(k) for k in np.unravel_index(int(distance.argmax()), given.shape)),
        reason="" if error <= tolerance else f"{error:.3g} over the tolerance {tolerance:.3g}",
    )


def _run(
    model: Model,
    path: Path,
    inputs: Sequence[Case],
    python: str | os.PathLike[str] | None,
    config: Mapping[str, object] | None,
) -> tuple[list[Comparison], str]:
    """The answers of Keras itself, and which Keras it was."""
    cases = [case.arrays for case in inputs]
    said = runtime.run([runtime.Job(path, cases, config)], python=python)
    keras, (outputs,) = said.keras, said.outputs
    if isinstance(outputs, runtime.Failure):
        if not outputs.loaded:
            raise NotLoadedError(f"{keras} does not load it: {outputs.text}")
        return [], f"; {keras} loads it and cannot run it here: {outputs.text}"
    answers = iter(outputs)
    compared = compare(model, inputs, lambda _: next(answers))
    named = [replace(one, case=f"{one.case}, {keras}") for one in compared]
    return named, f"; {keras} loads it and answers as near to float64 as float32 rounding explains"


def _failed(verdict: Verdict, reason: str) -> Verdict:
    return replace(verdict, status=Status.DIFFERS, reason=reason)


def _decided(verdict: Verdict, said: str) -> Verdict:
    from converter.verify import decide

    decided = decide(verdict)
    if decided.status is not Status.EQUAL:
        return decided
    return replace(decided, reason=f"{SAME}{said}")


def _first_wrong(written: Written, tensors: Mapping[str, Array]) -> str:
    """The first layer with an array that is not the source's; "" where none is."""
    for placement in written.placements:
        if any(wrong_arrays([placement], tensors)):
            return written.owners[placement.names[0]]
    return ""
