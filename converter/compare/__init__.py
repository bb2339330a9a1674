"""One model in every runtime that is there: the same or not, where it ran, and how fast."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from converter.errors import UsageError

if TYPE_CHECKING:
    from converter.compare.timings import Point, Timings
    from converter.description import Era, Model
    from converter.readers import Architecture, Readable

__all__ = ["BATCHES", "ROUNDS", "RUNTIMES", "TIMES", "compare"]

RUNTIMES = ("onnxruntime", "torch", "torch-compiled", "keras")
BATCHES = (1, 32)
TIMES = (1, 20, 100)
ROUNDS = 10

PathName = str | os.PathLike[str]


def compare(
    source: Model | Readable,
    *,
    runtimes: Sequence[str] = RUNTIMES,
    providers: Sequence[str] | None = None,
    batches: Sequence[int] = BATCHES,
    times: Sequence[int] = TIMES,
    rounds: int = ROUNDS,
    threads: int = 1,
    python: Mapping[str, PathName] | None = None,
    keras_python: PathName | None = None,
    era: Era | None = None,
    arch: Architecture | None = None,
    state: str = "kept",
    precision: str = "source",
) -> Timings:
    """Run a model in every runtime that is there, each in a process of its own.

    Each is held against the judge first. Then all are measured in turns, in rounds. A runtime that
    is not there is a row that says why.

    Args:
        source: A model, or whatever `converter.read` takes.
        runtimes: Of `RUNTIMES`.
        providers: Of onnxruntime: "cpu", "cuda", "openvino", ...; by default those that it has.
        batches: Sequences at once.
        times: Steps of each, where the model leaves their number free.
        rounds: How often each is measured at each point; each time for some calls.
        threads: That each may use.
        python: Another interpreter for some providers: {"openvino": "/path/to/python"}.
        keras_python: An interpreter that has Keras; without it this one, if it has.
        era: As for `converter.read`.
        arch: As for `converter.read`.
        state: As for `converter.convert`. Keras is given what is written then, not the source.
        precision: Likewise.

    Raises:
        UsageError: There is no such runtime or provider, or nothing to measure.
        ReadError: The model cannot be read.
    """
    from converter.compare.candidates import candidates
    from converter.compare.drawing import drawing
    from converter.compare.files import Files
    from converter.compare.machine import machine
    from converter.compare.process import save_cases
    from converter.compare.rounds import measure
    from converter.compare.running import Running
    from converter.compare.timings import Timings
    from converter.description import Model
    from converter.precision import with_precision
    from converter.readers import read
    from converter.states import with_states
    from converter.verify.comparison import Expected, expectations
    from converter.verify.inputs import cases, drawn
    from converter.verify.rounding import ONNXRUNTIME

    if min(rounds, threads) < 1:
        raise _usage("rounds and threads begin at 1", f"{rounds} rounds, {threads} threads")
    found = candidates(runtimes, providers, python or {}, keras_python)
    exact = source if isinstance(source, Model) else read(source, era=era, arch=arch)
    model = with_precision(with_states(exact, state), precision)
    points = grid(model, batches, times)
    chosen = list(cases(model))

    @cache
    def expected(terms: bool) -> list[list[Expected]]:
        return expectations(model, chosen, ONNXRUNTIME if terms else None)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ifco-compare-")))
        files = Files(model, folder, whole=arch is None and model is exact)
        inputs = {point: folder / f"point-{k}.npz" for k, point in enumerate(points)}
        for point, path in inputs.items():
            save_cases(path, [drawn(model, point.batch, point.time)])
        running = [
            stack.enter_context(Running(candidate, files, folder, threads)) for candidate in found
        ]
        for one in running:
            one.verify(chosen, expected(bool(one.row.nodes)))
        workers = {one.row.name: one.ask for one in running if not one.row.failure}
        measured = measure(workers, inputs, rounds=rounds)
        rows = tuple(one.finished(measured.get(one.row.name, ())) for one in running)
    return Timings(
        model=Path(model.source.path).name or model.name,
        sha256=model.source.sha256,
        form=model.source.form,
        parameters=model.parameters,
        machine=machine(),
        threads=threads,
        rounds=rounds,
        grid=points,
        rows=rows,
        drawing=drawing(model),
    )


def grid(model: Model, batches: Sequence[int], times: Sequence[int]) -> tuple[Point, ...]:
    """Each batch with each number of steps, as far as the model leaves them free.

    Raises:
        UsageError: The model takes none of them.
    """
    from converter.compare.timings import Point
    from converter.verify.inputs import drawn, takes

    if min((*batches, *times), default=0) < 1:
        raise _usage("batches and times begin at 1", f"batches {batches}, times {times}")
    found: dict[tuple[tuple[int, ...], ...], Point] = {}
    free = any(None in value.shape[1:] for value in model.inputs)
    for batch in batches:
        for time in times:
            if free and not takes(model, time):
                continue
            shapes = tuple(array.shape for array in drawn(model, batch, time))
            shape = shapes[0]
            fixed = shape[1] if len(shape) > 2 else 1
            point = Point(batch=shape[0], time=time if free else fixed, shapes=shapes)
            found.setdefault(shapes, point)
    if not found:
        raise _usage("the model takes no sequence of such a length", f"times {tuple(times)}")
    return tuple(found.values())


def _usage(message: str, found: str) -> UsageError:
    return UsageError(message, context=found, hint="ifco compare --help", code="compare")
