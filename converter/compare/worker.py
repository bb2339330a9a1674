"""One runtime in a process of its own: it is asked in JSON, a line each, and answers likewise.

    python worker.py

Executed as a script, by any Python that has the runtime: until it is asked to open something it
imports the standard library and NumPy alone. With Keras it works for Python 3.8 or newer; with the
others it imports this package's runtimes, which need no more than NumPy and the framework.

    {"do": "open", "runtime": "onnxruntime", "path": "model.onnx", "device": "cpu", "threads": 1}
    {"do": "answer", "inputs": "cases.npz", "counts": [1, 1], "outputs": "answers.npz"}
    {"do": "time", "inputs": "point.npz", "count": 1, "seconds": 0.05}
    {"do": "memory"}

Arrays are CASE_INPUT and CASE_OUTPUT in files of NumPy. What goes wrong is {"error": ...}.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, Callable, TextIO  # noqa: UP035  Python 3.8

PACKAGE = Path(__file__).resolve().parents[1]

MOST = 1000
"""Calls in one answer."""


def main() -> None:
    """Answer until nobody asks any more. What a framework prints goes to stderr."""
    here = Path(__file__).resolve().parent  # where a statistics.py lies that is not Python's
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        serve(sys.stdin, out, open_engine)


def serve(asked: TextIO, out: TextIO, opener: Callable[[dict[str, Any]], Any]) -> None:
    """Answer each line with a line.

    Args:
        asked: Where the requests are read.
        out: Where the answers are written.
        opener: From the request to open something to an engine: `name`, `device`, and `place`,
            `execute` and `fetch`, which follow each other in every call.
    """
    state: dict[str, Any] = {}
    for line in asked:
        try:
            answer = respond(json.loads(line), state, opener)
        except Exception as error:  # whatever a framework raises is its answer
            answer = {"error": one_line(error), "missing": missing(error)}
        out.write(json.dumps(answer) + "\n")
        out.flush()


def respond(
    request: dict[str, Any], state: dict[str, Any], opener: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    """The answer to one request."""
    kind = request["do"]
    if kind == "open":
        start = time.perf_counter()
        state["engine"] = engine = opener(request)
        seconds = time.perf_counter() - start
        importing = getattr(engine, "importing", 0.0)
        return {
            "name": engine.name,
            "device": engine.device,
            "importing": importing,
            "loading": seconds - importing,
            "placed": [list(node) for node in getattr(engine, "placed", ())],
        }
    if kind == "answer":
        return answer_cases(state["engine"], request)
    if kind == "time":
        arrays = inputs_of(request, state)
        return {"calls": calls(state["engine"], arrays, request["seconds"])}
    if kind == "memory":
        return {"peak": peak_memory()}
    raise ValueError(f"nothing is known of {kind!r}")


def open_engine(request: dict[str, Any]) -> Any:
    """The engine of a runtime, with the seconds that its import took."""
    start = time.perf_counter()
    if request["runtime"] == "keras":
        module = module_of("keras_runner", PACKAGE / "runtimes" / "keras_runner.py")
    else:
        if "converter" not in sys.modules:
            module_of("converter", PACKAGE / "__init__.py")
        module = importlib.import_module("converter.runtimes." + request["runtime"])
    imported = time.perf_counter() - start
    engine = module.engine(request)
    engine.importing = getattr(engine, "importing", imported)
    return engine


def module_of(name: str, path: Path) -> Any:
    """A module by its file: nothing that lies beside this package is imported by it."""
    places = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=places)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def answer_cases(engine: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Every output of every case, into a file."""
    import numpy as np

    results: dict[str, Any] = {}
    with np.load(request["inputs"]) as inputs:
        for case, count in enumerate(request["counts"]):
            given = [typed(inputs[f"{case}_{k}"]) for k in range(count)]
            outputs = engine.fetch(engine.execute(engine.place(given)))
            for k, output in enumerate(outputs):
                results[f"{case}_{k}"] = np.asarray(output)
    np.savez(request["outputs"], **results)
    return {"cases": len(request["counts"])}


def inputs_of(request: dict[str, Any], state: dict[str, Any]) -> list[Any]:
    """The inputs of a point, read once."""
    import numpy as np

    path = request["inputs"]
    if path not in state:
        with np.load(path) as arrays:
            state[path] = [typed(arrays[f"0_{k}"]) for k in range(request["count"])]
    found: list[Any] = state[path]
    return found


def typed(array: Any) -> Any:
    """An array of a file; bfloat16 comes out of it as two bytes without a meaning."""
    if array.dtype.kind != "V":
        return array
    import ml_dtypes

    return array.view(ml_dtypes.bfloat16)


def calls(engine: Any, arrays: list[Any], seconds: float) -> list[list[float]]:
    """Calls one after the other for so many seconds, at least one.

    Each is its three parts in seconds: the copy in, the model, the copy out.
    """
    clock = time.perf_counter
    taken: list[list[float]] = []
    begin = clock()
    while not taken or (clock() - begin < seconds and len(taken) < MOST):
        start = clock()
        placed = engine.place(arrays)
        ready = clock()
        executed = engine.execute(placed)
        done = clock()
        engine.fetch(executed)
        taken.append([ready - start, done - ready, clock() - done])
    return taken


def peak_memory() -> Any:
    """The most bytes of memory that this process had at once; None where nothing says it."""
    status = Path("/proc/self/status")
    if status.exists():  # not ru_maxrss: of a process started by a large one, that is the latter's
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(found.group(1)) * 1024 if found else None
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def missing(error: BaseException) -> str:
    """What is not there; "" where that is not what is wrong."""
    if isinstance(error, ImportError):
        return error.name or "a module"
    code = getattr(error, "code", "")  # of this package's own errors
    return code if code in ("no-provider", "no-device") else ""


def one_line(error: BaseException, longest: int = 300) -> str:
    """What was raised and what it says, without colours and lines."""
    context = getattr(error, "context", "")  # of this package's own errors
    said = f"{error.args[0]}: {context}" if context else f"{type(error).__name__}: {error}"
    plain = " ".join(re.sub("\x1b\\[[0-9;]*m", "", said).split())
    half = longest // 2  # what is wrong may stand at either end
    return plain if len(plain) <= longest else f"{plain[:half]} ... {plain[-half:]}"


if __name__ == "__main__":
    main()
