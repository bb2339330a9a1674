"""Saved models of tests/data, written as Keras files, and what Keras itself answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import converter
from converter.runtimes.keras import Answers, Job, run
from converter.targets.keras import Dialect, Written, write_file, write_model

DATA = Path(__file__).parents[2] / "data"

FLOAT32 = 1e-5
"""Of the largest output: Keras's own rounding over at most 20 steps, measured below 1e-6."""


def put(written: Written, path: Path) -> Path:
    """The file of a model: an archive, a legacy file or weights, by its suffix."""
    form = "weights.h5" if path.name.endswith(".weights.h5") else path.suffix[1:]
    write_file(path, written, form)
    return path


def dialect_of(suffix: str) -> Dialect:
    return Dialect.LEGACY if suffix == ".h5" else Dialect.KERAS_3


def source(name: str) -> Path:
    """A saved model of tests/data: "keras3/lstm.keras"."""
    return DATA / name


@dataclass(frozen=True)
class Recorded:
    """What the Keras that wrote a model answered."""

    inputs: list[list[np.ndarray]]
    outputs: list[list[np.ndarray]]

    @classmethod
    def of(cls, path: Path, model: converter.Model) -> Recorded:
        recorded = np.load(path)
        if "y" in recorded:
            given = [recorded[f"d{k}"].astype(v.dtype) for k, v in enumerate(model.inputs)]
            return cls([given], [[recorded["y"]]])
        inputs, outputs = [], []
        while f"case{len(inputs)}_in0" in recorded:
            case = len(inputs)
            outputs.append([recorded[f"case{case}_out{k}"] for k in range(len(model.outputs))])
            inputs.append([recorded[f"case{case}_in{k}"] for k in range(len(model.inputs))])
        assert inputs
        return cls(inputs, outputs)


class Asked:
    """Files for one process of Keras, and its answers.

    Args:
        folder: Where they are written.
        package: "keras" or "tf_keras".
        backend: Of Keras 3.
    """

    def __init__(self, folder: Path, package: str = "keras", backend: str = "") -> None:
        self.folder = folder
        self.package = package
        self.backend = backend
        self.jobs: dict[str, Job] = {}
        self.expected: dict[str, Recorded] = {}
        self.answers: Answers | None = None

    def add(self, path: Path, suffix: str, recorded: Path | None = None) -> None:
        model = converter.read(path)
        written = write_model(model, dialect_of(suffix))
        key = f"{path.parent.name}/{path.name} as {suffix}"
        file = put(written, self.folder / f"{len(self.jobs)}{suffix}")
        expected = Recorded.of(recorded or path.with_suffix(".npz"), model)
        config = written.config if suffix == ".weights.h5" else None
        self.jobs[key] = Job(file, expected.inputs, config)
        self.expected[key] = expected

    def distance(self, key: str) -> float:
        """The largest error as a part of the largest output."""
        if self.answers is None:
            self.answers = run(list(self.jobs.values()), package=self.package, backend=self.backend)
        given = self.answers.outputs[list(self.jobs).index(key)]
        assert isinstance(given, list), given
        return largest(given, self.expected[key].outputs)


def largest(
    given: Sequence[Sequence[np.ndarray]], expected: Sequence[Sequence[np.ndarray]]
) -> float:
    errors = []
    for some, others in zip(given, expected, strict=True):
        for one, other in zip(some, others, strict=True):
            assert one.shape == other.shape
            errors.append(np.abs(one - other).max() / max(np.abs(other).max(), 1e-6))
    return float(max(errors))
