"""Whether what we read, and what we make of it, is what Keras answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import numpy as np

import converter
from converter.description import Model
from converter.errors import ConverterError
from converter.judge import Judge
from converter.verify.comparison import Answers, compare
from converter.verify.inputs import Case
from converter.verify.rounding import ONNXRUNTIME, Terms

Array = np.ndarray[Any, Any]
Calls = list[list[Array]]
"""For each call, its inputs or its outputs."""

Loaded = Callable[[Path, Calls], Calls]
"""Keras 3, which loads a file and runs it in float32."""

TOLERANCE = 1e-12
"""Of float64 answers with weights of size 1, as a part of the largest output, or of 1."""

OPSETS = (15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)
"""From the first that is written to the newest that onnxruntime runs."""

NOT_LEGACY = ("legacy-activation", "legacy-arguments", "legacy-operation")
"""What the target h5 refuses of what Keras has: that form says less than `.keras`."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was not compared, and why not."""

    what: str

    def __str__(self) -> str:
        return f"not compared: {self.what}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: where it shows, and how."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def findings(folder: Path, files: Sequence[str], loaded: Loaded) -> Iterator[Finding | LeftOut]:
    """What is wrong, from the first form on; whatever is raised is wrong too.

    Args:
        folder: With the files, and what their Keras answers.
        files: The names of the forms.
        loaded: Runs what is written for Keras.
    """
    try:
        yield from _compared(folder, files, loaded)
    except ConverterError as error:
        yield Finding(f"refused with {error.code}", str(error))
    except Exception as error:  # a failure is what is looked for
        yield Finding(f"raises {type(error).__name__}", str(error))


def _compared(folder: Path, files: Sequence[str], loaded: Loaded) -> Iterator[Finding | LeftOut]:
    """Every way from the files to outputs, held against Keras's."""
    inputs, expected = (calls_of(folder / "answers.npz", what) for what in ("input", "output"))
    models = {name: converter.read(folder / name, arch=_arch(folder, name)) for name in files}
    (first, model), *others = models.items()
    answers = judged(model, inputs)
    yield from _different(f"the judge on {first}", answers, expected)
    for name, other in others:
        yield from _different(f"{name}, read", judged(other, inputs), answers, exactly=True)
    yield from _different("PyTorch", _torch(model, inputs), expected)
    fits = _fits(model, inputs)
    if not fits:
        yield LeftOut("ONNX and the written Keras: its numbers leave the range of float32")
    elif _reads_nan(model, inputs):
        yield LeftOut(
            "ONNX: a layer reads NaN, which the tanh of onnxruntime may take for a number"
        )
    else:
        yield from _onnx(model, inputs)
    with TemporaryDirectory() as work:
        for target in ("keras", "h5"):
            out = Path(work) / f"model.{target}"
            try:
                converter.convert(
                    folder / first, to=target, out=out, arch=_arch(folder, first), verify=False
                )
            except ConverterError as error:
                if target == "h5" and error.code in NOT_LEGACY:
                    yield LeftOut(f"h5, refused with {error.code}")
                    continue
                raise
            written = judged(converter.read(out), inputs)
            yield from _different(f"written as {target}", written, answers, exactly=True)
            if fits:
                answered = iter(loaded(out, inputs))
                yield from _rounded(f"{target} in Keras", model, inputs, partial(_next, answered))


def _next(answered: Iterator[list[Array]], _: Sequence[Array]) -> list[Array]:
    return next(answered)


def _fits(model: Model, inputs: Calls) -> bool:
    """Whether float32 holds every number on the way: infinities in it come from it alone."""
    exact, narrow = Judge(model), Judge(model, np.float32)
    return all(
        np.array_equal(np.isfinite(array), np.isfinite(other))
        for arrays in inputs
        for array, other in zip(
            exact.run(arrays).values(), narrow.run(arrays).values(), strict=True
        )
    )


def _reads_nan(model: Model, inputs: Calls) -> bool:
    """Whether a layer goes on with the mean of no step."""
    judge = Judge(model)
    read = {value.name for call in judge.model.calls for value in call.inputs}
    return any(
        np.isnan(array).any()
        for arrays in inputs
        for name, array in judge.run(arrays).items()
        if name in read
    )


def judged(model: Model, inputs: Calls) -> Calls:
    """The judge's outputs; a stateful model goes on from call to call."""
    judge = Judge(model)
    values = [judge.run(arrays) for arrays in inputs]
    return [[one[output.name] for output in model.outputs] for one in values]


def _arch(folder: Path, name: str) -> Path | None:
    return folder / "model.json" if name.endswith(".weights.h5") else None


def _torch(model: Model, inputs: Calls) -> Calls:
    """The PyTorch module's outputs, in float64: no rounding hides a wrong place."""
    import torch

    module = converter.to_torch(model).double()
    results = []
    for arrays in inputs:
        tensors = [torch.from_numpy(array) for array in arrays]
        given = [tensor.double() if tensor.is_floating_point() else tensor for tensor in tensors]
        with torch.inference_mode():
            outputs = module(*given)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        results.append([output.numpy() for output in outputs])
    return results


def _onnx(model: Model, inputs: Calls) -> Iterator[Finding]:
    """Where onnxruntime, which has no float64 here, is further away than rounding explains.

    As files are usually written and run, and with another opset and level of optimization, which
    the model's own bytes choose. ONNX's checker sees both.
    """
    import onnx

    from converter.runtimes import onnxruntime
    from converter.targets.onnx import USUAL, write_graph

    usual = write_graph(model).bytes()
    number = crc32(usual)
    levels = tuple(onnxruntime.LEVELS)
    opset = OPSETS[number % len(OPSETS)]
    level = levels[number // len(OPSETS) % len(levels)]
    other = write_graph(model, opset).bytes()
    for data, settings in ((usual, (USUAL, "all")), (other, (opset, level))):
        onnx.checker.check_model(data, full_check=True)
        session = onnxruntime.open(data, threads=1, optimization=settings[1])
        who = f"ONNX, opset {settings[0]}, optimization {settings[1]}"
        yield from _rounded(who, model, inputs, session.run, ONNXRUNTIME)


def _rounded(
    who: str, model: Model, inputs: Calls, answers: Answers, terms: Terms | None = None
) -> Iterator[Finding]:
    """Where a runtime in float32 is further away than rounding explains."""
    calls = [
        Case(f"call {k}", tuple(arrays), tuple(array == 0 for array in arrays))
        for k, arrays in enumerate(inputs)
    ]
    for one in compare(model, calls, answers, terms):
        if one.reason and one.conditioned:
            yield Finding(who, f"{one.case}, output '{one.output}': {one.reason}")


def calls_of(path: Path, what: str) -> Calls:
    """The "input" or the "output" of each call, as build.py writes them."""
    with np.load(path) as answers:
        keys = [key.split("/") for key in answers.files if f"/{what}/" in key]
        count = 1 + max(int(call) for call, _, _ in keys)
        each = sum(call == "0" for call, _, _ in keys)
        return [[answers[f"{call}/{what}/{k}"] for k in range(each)] for call in range(count)]


def _different(
    who: str, given: Calls, expected: Calls, *, exactly: bool = False
) -> Iterator[Finding]:
    """Where they are not the same: shape first, then values."""
    for call, (outputs, others) in enumerate(zip(given, expected, strict=True)):
        if len(outputs) != len(others):
            yield Finding(who, f"{len(outputs)} outputs; expected {len(others)}")
            return
        for k, (one, other) in enumerate(zip(outputs, others, strict=True)):
            where = f"call {call}, output {k}"
            if one.shape != other.shape:
                yield Finding(who, f"{where}: shape {one.shape}; expected {other.shape}")
            elif not np.array_equal(np.isfinite(one), np.isfinite(other)):
                yield Finding(who, f"{where}: NaN or infinity in other places")
            else:
                with np.errstate(invalid="ignore"):
                    error = np.nan_to_num(np.abs(one - other)).max(initial=0)
                scale = np.nan_to_num(np.abs(other)).max(initial=1)
                if error > (0 if exactly else TOLERANCE * scale):
                    yield Finding(who, f"{where}: {error:.3g} away, with numbers up to {scale:.3g}")
