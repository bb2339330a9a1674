"""Real Keras, in a process of its own: `python -m scripts.random_models.build keras`.

Each line on standard input is a plan and a folder; it builds the plan, gives it weights, saves it
in two forms there, writes what it answers in float64 to answers.npz, and says so in a line. Or it
is a file and such a folder: it loads the file, and writes what that answers to loaded.npz.
"""

from __future__ import annotations

import contextlib
import json
import sys
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from scripts.random_models.draw import BATCH, VOCABULARY
from scripts.random_models.plan import Node, Plan, plan_of

Array = np.ndarray[Any, Any]

FORMS = {
    "keras": ("model.keras", "model.h5", "model.weights.h5"),
    "tf_keras": ("model.keras", "model.h5", "model.weights.h5", "saved_model"),
}
"""What each Keras writes; a model is saved in two of them."""

SELDOM = 8
"""A SavedModel, of which TensorFlow traces every function, takes ten times the time of all else."""


def layer_of(keras: Any, kind: str, config: dict[str, Any], **more: Any) -> Any:
    """The layer, those inside it built first."""

    def built(value: Any) -> Any:
        if isinstance(value, list):
            return [built(one) for one in value]
        if isinstance(value, dict) and "kind" in value:
            return layer_of(keras, value["kind"], value["config"])
        return value

    arguments = {name: built(value) for name, value in config.items()}
    return getattr(keras.layers, kind)(**arguments, **more)


def model_of(keras: Any, plan: Plan, name: str = "model") -> Any:
    """The plan, built."""
    layers: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for node in plan.nodes:
        if node.kind == "Input":
            values[node.name] = _input(keras, node)
            continue
        if node.shares:
            layers[node.name] = layers[node.shares]
        elif node.plan:
            layers[node.name] = model_of(keras, node.plan, node.name)
        else:
            layers[node.name] = layer_of(keras, node.kind, node.config, name=node.name)
        if plan.sequential:
            continue
        inputs = [values[value] for value in node.inputs]
        given: dict[str, Any] = {}
        if node.states:
            given["initial_state"] = _as_taken(node, [values[value] for value in node.states])
        if node.mask:
            given["mask"] = values[node.mask]
        outputs = flat(layers[node.name](inputs[0] if len(inputs) == 1 else inputs, **given))
        values |= {f"{node.name}:{k}" if k else node.name: one for k, one in enumerate(outputs)}
    inputs = [values[node.name] for node in plan.inputs]
    if plan.sequential:
        return keras.Sequential([*inputs, *layers.values()], name=name)
    outputs = [values[value] for value in plan.outputs]
    return keras.Model(inputs, outputs[0] if len(outputs) == 1 else outputs, name=name)


def _as_taken(node: Node, states: list[Any]) -> list[Any]:
    """Initial states as the layer takes them: those of each of several cells in a list."""
    inner = node.config.get("layer")
    cells = (inner["config"] if inner else node.config).get("cell")
    if not isinstance(cells, list):
        return states
    found: list[Any] = []
    while states:
        for cell in cells:
            count = 2 if "LSTM" in cell["kind"] else 1
            found.append(states[0] if count == 1 else states[:count])
            states = states[count:]
    return found


def _input(keras: Any, node: Node) -> Any:
    shape, dtype = node.config["batch_shape"], node.config["dtype"]
    if keras.__name__ == "tf_keras" and dtype == "float32":
        dtype = None  # of the floatx that is set
    if dtype == "float32":
        dtype = keras.config.floatx()
    return keras.Input(batch_shape=tuple(shape), dtype=dtype, name=node.name)


def flat(outputs: Any) -> list[Any]:
    """In order; tf_keras nests those of a Bidirectional with states."""
    if isinstance(outputs, list | tuple):
        return [one for output in outputs for one in flat(output)]
    return [outputs]


def redraw(model: Any, generator: np.random.Generator) -> None:
    """Kernels scaled to their fan-in, so that a sum has size 1; variances positive."""
    for weight in model.weights:
        name = getattr(weight, "path", weight.name).removesuffix(":0")
        values = generator.normal(0, 0.5, weight.shape)
        if len(weight.shape) > 1 and "embeddings" not in name:
            values *= 2 / prod(weight.shape[:-1]) ** 0.5
        if name.endswith("variance"):
            values = generator.uniform(0.1, 1.0, weight.shape)
        if str(weight.dtype).find("int") < 0:  # not the state of a random generator
            weight.assign(values.astype(np.float32))


def batches(plan: Plan) -> list[list[Array]]:
    """The inputs of each call: sequences with masked steps among them."""
    generator = np.random.default_rng(plan.seed)
    time = int(generator.integers(1, 7))
    return [[_array(node, time, generator) for node in plan.inputs] for _ in range(plan.calls)]


def _array(node: Node, time: int, generator: np.random.Generator) -> Array:
    shape = [time if size is None else size for size in node.config["batch_shape"]]
    shape[0] = BATCH
    if node.config["dtype"] == "int32":
        return generator.integers(0, VOCABULARY, shape).astype("int32")
    if node.config["dtype"] == "bool":
        return generator.random(shape) < 0.6
    drawn = generator.normal(size=shape).astype("float32")
    if len(shape) > 2:
        drawn[generator.random(shape[:2]) < 0.3] = 0  # what Masking masks
    return drawn


def save(plan: Plan, model: Any, folder: Path) -> list[str]:
    """In two forms that its Keras writes, each plan in others; the names of the files."""
    names = FORMS[plan.keras]
    if plan.seed % SELDOM:
        names = names[:3]
    chosen = [name for k, name in enumerate(names) if (plan.seed - k) % len(names) < 2]
    for name in chosen:
        if name == "model.weights.h5":
            (folder / "model.json").write_text(model.to_json())
            model.save_weights(folder / name)
        else:
            with contextlib.redirect_stdout(sys.stderr):
                model.save(folder / name)
    return chosen


def _clear(keras: Any) -> None:
    """Forget earlier models, and count names anew; the memory is freed in its own time."""
    options = {"free_memory": False} if keras.__name__ == "keras" else {}
    keras.backend.clear_session(**options)


def _compute_in(keras: Any, floatx: str) -> None:
    """What layers are made in from now on; Keras 3 keeps a policy of its own once it has one."""
    keras.backend.set_floatx(floatx)
    policies = keras.config if keras.__name__ == "keras" else keras.mixed_precision
    set_policy = getattr(policies, "set_dtype_policy", None) or policies.set_global_policy
    set_policy(floatx)


LARGEST = 100.0
"""Of the numbers that a model answers: what grows from step to step leaves float32 soon after."""

TRIES = 12
"""Times that weights are halved until it does not."""


def answer(keras: Any, plan: Plan, folder: Path) -> list[str]:
    """Save the plan's model, and its inputs and answers; the names of the files."""
    _clear(keras)
    _compute_in(keras, "float32")
    model = model_of(keras, plan)
    redraw(model, np.random.default_rng(plan.seed))
    weights = model.get_weights()
    _compute_in(keras, "float64")
    for halved in range(TRIES):
        if halved:
            weights = [one / 2 if one.ndim > 1 else one for one in weights]
        exact = model_of(keras, plan)
        exact.set_weights(weights)
        found = _answers(exact, batches(plan), "float64")
        if not any(_is_large(one) for one in found.values()):
            break
    _compute_in(keras, "float32")
    model.set_weights(weights)
    np.savez(folder / "answers.npz", **found)
    return save(plan, model, folder)


def _is_large(array: Array) -> bool:
    """Whether a number is; NaN, which is the mean of no step, is none."""
    return bool((np.abs(array) > LARGEST).any())


def _answers(model: Any, calls: list[list[Array]], floatx: str) -> dict[str, Any]:
    """The inputs and the outputs of each call, by "0/input/1"."""
    found: dict[str, Any] = {}
    for call, arrays in enumerate(calls):
        given = [array.astype(floatx) if array.dtype.kind == "f" else array for array in arrays]
        outputs = flat(model(given[0] if len(given) == 1 else given, training=False))
        found |= {f"{call}/input/{k}": array for k, array in enumerate(arrays)}
        found |= {f"{call}/output/{k}": np.asarray(one) for k, one in enumerate(outputs)}
    return found


def run(keras: Any, path: str, folder: Path) -> list[str]:
    """Write what a file answers to the inputs in answers.npz."""
    _clear(keras)
    _compute_in(keras, "float32")
    model = keras.models.load_model(path, compile=False)
    with np.load(folder / "inputs.npz") as held:
        keys = sorted((int(call), int(k)) for call, k in (key.split("/") for key in held.files))
        calls: list[list[Array]] = [[] for _ in range(1 + keys[-1][0])]
        for call, k in keys:
            calls[call].append(held[f"{call}/{k}"])
    np.savez(folder / "loaded.npz", **_answers(model, calls, "float32"))
    return []


def main(module: str) -> None:
    """Answer until the input ends."""
    keras = import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        said: dict[str, Any] = {}
        try:
            folder = Path(asked["folder"])
            if "plan" in asked:
                said["files"] = answer(keras, plan_of(asked["plan"]), folder)
            else:
                said["files"] = run(keras, asked["path"], folder)
        except Exception as error:
            said["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
