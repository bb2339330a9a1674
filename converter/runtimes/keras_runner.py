"""Runs saved Keras models on inputs. Executed as a script, by any Python that has Keras.

It imports nothing of this project, and needs NumPy and a Keras alone: an old environment that the
original was made in may execute it. It works for Python 3.8 or newer.

    python keras_runner.py REQUEST RESULT

REQUEST is JSON: {"package": "keras", "models": [{"path": ..., "config": ... or null,
"inputs": "in.npz", "counts": [2, 2], "answers": "out.npz"}]}. Arrays are CASE_INPUT in `inputs`
and CASE_OUTPUT in `answers`. RESULT says which Keras it was, and for each model what went wrong.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BACKENDS = ("tensorflow", "torch", "jax")


def main(request_path: str, result_path: str) -> None:
    """Run every model of a request; one that fails leaves the others alone."""
    here = Path(__file__).resolve().parent  # where a keras.py lies that is not Keras
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here]
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    keras = started(request["package"])
    result = {"version": keras.__version__, "backend": keras.backend.backend(), "failures": []}
    for model in request["models"]:
        failure, step = None, "load"
        try:
            loaded = load(keras, model)
            step = "run"
            answer(keras, loaded, model)
        except Exception as error:  # whatever Keras raises is its answer
            failure = {"step": step, "text": f"{type(error).__name__}: {error}"}
        result["failures"].append(failure)
        keras.backend.clear_session()
    Path(result_path).write_text(json.dumps(result), encoding="utf-8")


def started(package: str) -> Any:
    """Keras, on a backend that is there, and on the CPU."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    there = [name for name in BACKENDS if find_spec(name)]
    if there and package == "keras":
        os.environ.setdefault("KERAS_BACKEND", there[0])
    return importlib.import_module(package)


def answer(keras: Any, model: Any, request: Any) -> None:
    """The answers of one model for all of its cases."""
    import numpy as np

    results: dict[str, Any] = {}
    with np.load(request["inputs"]) as inputs:
        for case, count in enumerate(request["counts"]):
            given = [inputs[f"{case}_{k}"] for k in range(count)]
            outputs = model(given[0] if count == 1 else given, training=False)
            flat = outputs if isinstance(outputs, (list, tuple)) else [outputs]
            for k, output in enumerate(flat):
                results[f"{case}_{k}"] = as_array(keras, output)
    np.savez(request["answers"], **results)


def load(keras: Any, request: Any) -> Any:
    """The model of a file, which may be Python; of a config and weights where there is a config."""
    if request["path"].endswith(".py"):
        return runpy.run_path(request["path"])["load"]()
    if request["config"] is None:
        return keras.models.load_model(request["path"], compile=False)
    model = keras.saving.deserialize_keras_object(request["config"])
    model.load_weights(request["path"])
    return model


@cache
def timed_start() -> Any:
    """Keras, and the seconds that its import took, however often it is asked for."""
    start = time.perf_counter()
    return started("keras"), time.perf_counter() - start


class Engine:
    """A model for a comparison of runtimes: run as Keras runs one batch, its copies included."""

    def __init__(self, request: Any) -> None:
        keras, self.importing = timed_start()
        self.name = f"Keras {keras.__version__} ({keras.backend.backend()})"
        self.device = "cpu"
        self._model = load(keras, {"path": request["path"], "config": None})

    def place(self, arrays: Any) -> Any:
        """What the model takes."""
        return arrays[0] if len(arrays) == 1 else arrays

    def execute(self, placed: Any) -> Any:
        """Run."""
        return self._model.predict_on_batch(placed)

    def fetch(self, outputs: Any) -> Any:
        """The outputs in a list."""
        return outputs if isinstance(outputs, (list, tuple)) else [outputs]


engine = Engine


def as_array(keras: Any, tensor: Any) -> Any:
    """A tensor of any backend in NumPy."""
    import numpy as np

    if hasattr(keras, "ops"):
        return keras.ops.convert_to_numpy(tensor)
    return np.asarray(tensor)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
