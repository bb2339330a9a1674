"""Random models against real Keras: `python -m scripts.fuzz_models --seed 0 --count 200`.

Each is drawn from a seed, built by Keras 3 or tf_keras, saved in every form, read, run by the
judge and in PyTorch (both in float64, within 1e-12 of Keras) and in onnxruntime (float32, within
what rounding explains), and written back. The first ones are a covering array: any three options
of a recurrent layer meet in one of them. A failure is shrunk to its smallest model and printed as
one; `--start` goes on where another run ended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from scripts.random_models.check import Calls, Finding, LeftOut, calls_of, findings
from scripts.random_models.draw import plans
from scripts.random_models.plan import Plan
from scripts.random_models.shrink import shrunk


class KerasRefusesError(Exception):
    """Keras does not build this plan."""


class Builder:
    """One Keras in a process of its own, asked plan by plan."""

    def __init__(self, keras: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.random_models.build", keras],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": "-1",
                "KERAS_BACKEND": "tensorflow",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def build(self, plan: Plan, folder: Path) -> list[str]:
        """Let it save the model and its answers there.

        Raises:
            KerasRefusesError: It cannot build that.
        """
        return self._asked({"plan": plan.as_dict(), "folder": str(folder)})

    def run(self, path: Path, inputs: Calls) -> Calls:
        """What a file answers, in float32.

        Raises:
            KerasRefusesError: It cannot load it, or run it.
        """
        with TemporaryDirectory() as work:
            folder = Path(work)
            arrays: dict[str, Any] = {
                f"{call}/{k}": one
                for call, given in enumerate(inputs)
                for k, one in enumerate(given)
            }
            np.savez(folder / "inputs.npz", **arrays)
            self._asked({"path": str(path), "folder": str(folder)})
            return calls_of(folder / "loaded.npz", "output")

    def _asked(self, request: dict[str, Any]) -> list[str]:
        """What the process says."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        if "error" in said:
            raise KerasRefusesError(said["error"])
        files: list[str] = said["files"]
        return files


@dataclass(frozen=True, slots=True)
class Failure:
    """A model that did not come out the same.

    Attributes:
        number: Of its plan.
        found: What was wrong with it.
        smallest: The smallest one that has something wrong, and what.
    """

    number: int
    found: Finding
    smallest: Plan
    smallest_found: Finding | None


def checked(plan: Plan, builders: dict[str, Builder]) -> tuple[Finding | None, list[LeftOut]]:
    """The first thing that is wrong with a plan, and what was not compared.

    Raises:
        KerasRefusesError: Keras cannot build it.
    """
    left_out: list[LeftOut] = []
    with TemporaryDirectory() as folder:
        files = builders[plan.keras].build(plan, Path(folder))
        for found in findings(Path(folder), files, builders["keras"].run):
            if isinstance(found, Finding):
                return found, left_out
            left_out.append(found)
    return None, left_out


def fuzz(
    numbered: Iterator[tuple[int, Plan]], builders: dict[str, Builder], done: Counter[str]
) -> Iterator[Failure]:
    """The failures among some plans; `done` counts what became of each."""
    for number, plan in numbered:
        try:
            found, left_out = checked(plan, builders)
        except KerasRefusesError as error:
            done[f"Keras refuses: {error}"] += 1
            continue
        done["wrong" if found else "equal"] += 1
        done.update(map(str, left_out))
        if found:
            smallest = shrunk(plan, _fails(builders, found.where))
            yield Failure(number, found, smallest, checked(smallest, builders)[0])


def _fails(builders: dict[str, Builder], where: str) -> Callable[[Plan], bool]:
    """Whether a plan goes wrong in the same place."""

    def fails(plan: Plan) -> bool:
        try:
            found, _ = checked(plan, builders)
        except KerasRefusesError:
            return False
        return found is not None and found.where == where

    return fails


def run(seed: int, start: int, count: int, done: Counter[str]) -> Iterator[Failure]:
    """The failures among the plans of a seed from `start` on; `done` counts what became of each."""
    with ExitStack() as stack:
        builders = {name: stack.enter_context(Builder(name)) for name in ("keras", "tf_keras")}
        yield from fuzz(islice(enumerate(plans(seed, start), start), count), builders, done)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what became of them; 1 if one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--start", type=int, default=0, help="the number of the first model")
    parser.add_argument("--count", type=int, default=200, help="how many models")
    given = parser.parse_args(arguments)
    done: Counter[str] = Counter()
    for failure in run(given.seed, given.start, given.count, done):
        print(f"model {failure.number} of seed {given.seed}: {failure.found}")
        print(f"  smallest: {failure.smallest_found}")
        print(f"  {json.dumps(failure.smallest.as_dict())}", flush=True)
    for what, times in done.most_common():
        print(f"{times:6} {what}")
    print(f"seed {given.seed}: models {given.start} to {given.start + given.count - 1}")
    return 1 if done["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
