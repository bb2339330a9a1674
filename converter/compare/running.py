"""A runtime while it is compared: started, verified, measured, ended."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from converter.compare.candidates import Candidate
from converter.compare.files import Files
from converter.compare.process import Worker, WorkerFailure, read_cases, save_cases
from converter.compare.providers import forecast
from converter.compare.timings import Measured, Node, Row
from converter.errors import ConverterError
from converter.verify import decide
from converter.verify.comparison import Expected, compare_expected
from converter.verify.inputs import Case
from converter.verify.verdict import Status, Verdict


class Running:
    """A candidate, with its worker, and what is known of it in `row`.

    Args:
        candidate: Which.
        files: What it may run.
        folder: For arrays that go to and fro.
        threads: That it may use.
    """

    def __init__(self, candidate: Candidate, files: Files, folder: Path, threads: int) -> None:
        self._candidate = candidate
        self._files = files
        self._folder = folder
        self._threads = threads
        self._worker: Worker | None = None
        self.row = Row(name=candidate.name)

    def __enter__(self) -> Running:
        try:
            self.row = self._opened()
        except ConverterError as error:
            self._fail(f"{error.message}: {error.context}", error.hint)
        except WorkerFailure as error:
            own = "that is what the runtime says; the others can be compared without it"
            self._fail(str(error), self._candidate.help if error.missing else own)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._worker is not None:
            self._worker.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The worker's answer.

        Raises:
            WorkerFailure: It has none.
        """
        assert self._worker is not None
        return self._worker.ask(request)

    def verify(self, cases: Sequence[Case], expected: Sequence[Sequence[Expected]]) -> None:
        """Hold it against the judge."""
        if self.row.failure:
            return
        arrays = [case.arrays for case in cases]
        inputs, outputs = self._folder / "cases.npz", self._folder / "answers.npz"
        if not inputs.exists():
            save_cases(inputs, arrays)
        verdict = Verdict(
            status=Status.EQUAL,
            original=Path(self._files.model.source.path).name or self._files.model.name,
            artefact=self.row.name,
            reason="",
        )
        request = {
            "do": "answer",
            "inputs": str(inputs),
            "counts": [len(one) for one in arrays],
            "outputs": str(outputs),
        }
        try:
            self.ask(request)
        except WorkerFailure as error:
            if self._candidate.compiled:  # the compiler fails, which says nothing of the model
                self._fail(f"torch.compile fails: {error}", self._candidate.help)
                return
            reason = f"it fails on inputs that the source takes: {error}"
            self.row = replace(
                self.row, verdict=replace(verdict, status=Status.DIFFERS, reason=reason)
            )
            self._fail(reason, "--format json has the model and the machine; report it")
            return
        given = iter(read_cases(outputs, len(arrays)))
        compared = compare_expected(self._files.model, cases, expected, lambda _arrays: next(given))
        self.row = replace(self.row, verdict=decide(replace(verdict, comparisons=tuple(compared))))

    def finished(self, measured: tuple[Measured, ...] | str) -> Row:
        """The row, with what it took."""
        if self.row.failure:
            return self.row
        if isinstance(measured, str):
            self._fail(measured, "try smaller --batches and --times")
            return self.row
        peak = self.ask({"do": "memory"})["peak"]
        memory = None if peak is None else peak / 1e6
        return replace(self.row, measured=measured, memory=memory)

    def _opened(self) -> Row:
        candidate = self._candidate
        if candidate.python is None and importlib.util.find_spec(candidate.module) is None:
            raise WorkerFailure(f"{candidate.module} is not installed", candidate.module)
        self._worker = Worker(self._folder, python=candidate.python, threads=self._threads)
        said = self._open(candidate.forms)
        return replace(
            self.row,
            version=said["name"],
            device=said["device"],
            importing=1000 * said["importing"],
            loading=1000 * said["loading"],
            nodes=tuple(self._node(*node) for node in said["placed"]),
        )

    def _open(self, forms: Sequence[str]) -> dict[str, Any]:
        """What the worker says of the first form that it can open."""
        form, *others = forms
        request = {"do": "open", "threads": self._threads, **self._candidate.request}
        try:
            return self.ask({**request, "path": str(self._files.path(form))})
        except (ConverterError, WorkerFailure):
            if not others:
                raise
        said = self._open(others)
        return {**said, "name": f"{said['name']}, a file written for it"}

    def _node(self, name: str, kind: str, provider: str) -> Node:
        written = self._files.nodes.get(name)
        expected = None
        if written is not None and written.kind == kind:
            expected = forecast(written, self._candidate.device)
        return Node(name=name, kind=kind, provider=provider, forecast=expected)

    def _fail(self, failure: str, help: str) -> None:
        shown = failure.replace(f"{self._folder}{os.sep}", "")
        self.row = replace(self.row, failure=shown, help=help)
