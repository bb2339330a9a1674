"""Our ONNX graph beside those of others, of the same models, in onnxruntime on the CPU.

The others are Keras 3's own export, which is tf2onnx, and both exporters of torch.onnx, given the
PyTorch twin that `converter.to_torch` makes. All answer the same inputs first. They are measured
in alternating rounds; a ratio is that of one round. With one thread, time is that of the CPU alone,
so that other work on the machine counts less.
"""

from __future__ import annotations

import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

import converter
from converter.description import Model
from converter.targets.onnx import write_graph

NAMES = ("plain", "stacked", "bidirectional", "masked", "hard_sigmoid", "GRU", "SimpleRNN")
PLACES = ((1, 1), (1, 20), (1, 100), (32, 100), (128, 50))
FEATURES = 16
LEAST = 0.01
"""Seconds for which one is measured in a round."""

FLOAT32 = 1e-4
"""Of the largest answer: more is another model."""


@dataclass
class Graph:
    """One graph, or why there is none.

    Attributes:
        failure: "" where it runs and answers as ours.
        load: Seconds to make a session, each time.
        seconds: Of one call, for each place and round.
    """

    name: str
    data: bytes = b""
    failure: str = ""
    load: list[float] = field(default_factory=list)
    seconds: dict[tuple[int, int], list[float]] = field(default_factory=dict)

    @property
    def nodes(self) -> int:
        """Those inside of others too."""
        return _nodes(onnx.load_from_string(self.data).graph)

    def session(self, threads: int) -> onnxruntime.InferenceSession:
        """A session of its own."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(self.data, options, providers=["CPUExecutionProvider"])


def _nodes(graph: onnx.GraphProto) -> int:
    inner = [one.g for node in graph.node for one in node.attribute if one.HasField("g")]
    return len(graph.node) + sum(map(_nodes, inner))


def peers(folder: Path, python: str) -> str:
    """Models of Keras and what its own export makes of them; gives what that lacks, if anything."""
    script = Path(__file__).with_name("onnx_peers.py")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [python, str(script), str(folder)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{python} cannot make the models: {done.stderr.strip()[-300:]}")
    lacks = [path.read_text() for path in sorted(folder.glob("*.txt"))]
    return next((text for text in lacks if "tf2onnx" in text), "")


def graphs(name: str, folder: Path) -> Iterator[Graph]:
    """Ours first, then each peer's."""
    model = converter.read(folder / f"{name}.keras")
    yield Graph("ours", write_graph(model).bytes())
    path = folder / f"{name}.onnx"
    if path.exists():
        yield Graph("tf2onnx", path.read_bytes())
    else:
        yield Graph("tf2onnx", failure=(folder / f"{name}.txt").read_text())
    for title, dynamo in (("torch.onnx", False), ("torch.onnx, dynamo", True)):
        try:
            yield Graph(title, exported(model, folder / "torch.onnx", dynamo=dynamo))
        except Exception as error:  # whatever a peer fails of is a result
            yield Graph(title, failure=_in_words(error))


def exported(model: Model, path: Path, *, dynamo: bool) -> bytes:
    """What torch.onnx makes of the twin, batch and time free."""
    module = converter.to_torch(model)
    x = torch.randn(2, 7, FEATURES)
    axes = {0: "batch", 1: "time"}
    settings: dict[str, Any] = {"dynamic_axes": {"x": axes}}
    if dynamo:
        settings = {"external_data": False}
        sizes = {axis: torch.export.Dim(size) for axis, size in axes.items()}
        settings["dynamic_shapes"] = (sizes,)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _silence(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), path, input_names=["x"], output_names=["y"], dynamo=dynamo,
            verbose=False, **settings,
        )  # fmt: skip
    return path.read_bytes()


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing is printed, from C++ neither: torch.onnx prints a graph that it fails of."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


def drawn(batch: int, steps: int, *, masked: bool) -> NDArray[np.float32]:
    """Inputs; with zeros from some step on, where that is masked."""
    generator = np.random.default_rng(batch + steps)
    x = generator.normal(size=(batch, steps, FEATURES)).astype(np.float32)
    if masked:
        lengths = generator.integers((steps + 1) // 2, steps + 1, batch)
        x[np.arange(steps) >= lengths[:, np.newaxis]] = 0
    return x


def measure(every: Sequence[Graph], threads: int, rounds: int, *, masked: bool) -> None:
    """Fill in times, and failures of those that do not answer as ours."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    for _ in range(5):
        for graph in every:
            if not graph.failure:
                start = clock()
                _tried(graph, partial(graph.session, threads))
                graph.load.append(clock() - start)
    sessions = {id(one): one.session(threads) for one in every if not one.failure}
    for place in PLACES:
        x = drawn(*place, masked=masked)
        calls = {
            id(one): partial(_answer, sessions[id(one)], x) for one in every if not one.failure
        }
        expected = calls[id(every[0])]()
        for graph in every:
            if not graph.failure:
                given = _tried(graph, calls[id(graph)])
                if not graph.failure and not _alike(given, expected):
                    graph.failure = f"another answer at batch {place[0]}, time {place[1]}"
        for number in range(rounds + 1):
            for graph in every:
                if not graph.failure:
                    seconds = _of_one(calls[id(graph)], clock)
                    if number:  # the first round warms up
                        graph.seconds.setdefault(place, []).append(seconds)


def _answer(session: onnxruntime.InferenceSession, x: NDArray[np.float32]) -> NDArray[np.float32]:
    answer: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: x})[0]
    return answer


def _alike(given: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    if given.shape != expected.shape:
        return False
    return bool(np.abs(given - expected).max() <= FLOAT32 * np.abs(expected).max())


def _tried(graph: Graph, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # onnxruntime's own classes have no common one
        graph.failure = _in_words(error)
        return None


def _in_words(error: Exception) -> str:
    """On one line, without colours."""
    text = re.sub("\x1b\\[[0-9;]*m", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text}"


def _of_one(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one call: the mean of as many as take `LEAST`."""
    start, count = clock(), 0
    while (passed := clock() - start) < LEAST:
        call()
        count += 1
    return passed / count


def report(python: str, rounds: int, threads: int, names: Sequence[str] = NAMES) -> None:
    """Print a table for each model, in Markdown."""
    what = "time of the CPU" if threads == 1 else "wall time"
    print(f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, {threads} threads,")
    print(f"{what}; {rounds} rounds; 64 units, {FEATURES} features, a Dense layer behind.")
    print("Milliseconds (median); in brackets times ours, median (quartiles).\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if lacks := peers(folder, python):
            print(f"tf2onnx is not in {python}: {lacks}\n")
        places = " | ".join(f"{batch}, {steps}" for batch, steps in PLACES)
        print(f"| model | graph | nodes | load | {places} |")
        print(f"| --- | --- | --- | --- |{' --- |' * len(PLACES)}", flush=True)
        for one in names:
            every = list(graphs(one, folder))
            measure(every, threads, rounds, masked=one == "masked")
            for graph in every:
                print(f"| {one} | {graph.name} | {_row(graph, every[0])} |", flush=True)


def _row(graph: Graph, ours: Graph) -> str:
    nodes = str(graph.nodes) if graph.data else ""
    if graph.failure:
        return f"{nodes} | {graph.failure[:110]} |{' |' * (len(PLACES) - 1)}"
    load = f"{statistics.median(graph.load) * 1e3:.2g}"
    return f"{nodes} | {load} | " + " | ".join(_cell(graph, ours, place) for place in PLACES)


def _cell(graph: Graph, ours: Graph, place: tuple[int, int]) -> str:
    seconds = graph.seconds[place]
    text = f"{statistics.median(seconds) * 1e3:.3g}"
    if graph is ours:
        return text
    ratios = [one / own for one, own in zip(seconds, ours.seconds[place], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{text} [{middle:.2f} ({low:.2f} to {high:.2f})]"
