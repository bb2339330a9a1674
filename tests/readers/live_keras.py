"""Models in memory, read as they are and as the files that the same Keras writes of them.

    python -m tests.readers.live_keras keras FOLDER

The first argument is "keras", "torch" (Keras 3 on PyTorch) or "tf_keras". FOLDER/result.json says
of each model what was found.
"""

from __future__ import annotations

import importlib
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import converter
from converter.errors import ConverterError
from tests.readers import custom_keras
from tests.readers.files import same

KERAS = ("keras", "torch", "tf_keras")
FRAMEWORKS = ("keras", "tf_keras", "tensorflow", "torch", "jax")
Build = Callable[[Any], Any]
CASES: dict[str, Build] = {}


def case(build: Build) -> Build:
    CASES[build.__name__] = build
    return build


@case
def masked_words(keras: Any) -> Any:
    words = keras.Input((None,), dtype="int32", name="words")
    x = keras.layers.Embedding(9, 4, mask_zero=True)(words)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(x)
    x = keras.layers.GRU(2, go_backwards=True)(x)
    return keras.Model(words, keras.layers.Dense(2, activation="softmax")(x))


@case
def masked_steps(keras: Any) -> Any:
    layers = [keras.layers.Masking(0.0), keras.layers.LSTM(3, return_sequences=True)]
    layers += [keras.layers.BatchNormalization(), keras.layers.SimpleRNN(2)]
    return keras.Sequential([keras.Input((None, 3)), *layers])


@case
def stateful(keras: Any) -> Any:
    steps = keras.Input((None, 3), batch_size=2)
    return keras.Model(steps, keras.layers.LSTM(3, stateful=True, dropout=0.5)(steps))


@case
def stateful_both_ways(keras: Any) -> Any:
    """Both directions keep their states; its weights are made when it is called."""
    both = keras.layers.Bidirectional(keras.layers.GRU(2, stateful=True), name="both")
    model = keras.Sequential([both])
    model(np.ones((2, 4, 3), np.float32))
    model.layers[-1].reset_states()
    return model


@case
def shared_layer(keras: Any) -> Any:
    one, two = (keras.Input((4, 3), name=name) for name in ("one", "two"))
    lstm = keras.layers.LSTM(2, name="shared")
    return keras.Model([one, two], keras.layers.Add()([lstm(one), lstm(two)]))


@case
def nested(keras: Any) -> Any:
    """A model in a model in a model, and one that is called twice."""
    steps = keras.Input((4, 3))
    gru = keras.layers.GRU(3, return_sequences=True)
    inner = keras.Sequential([keras.Input((4, 3)), gru, keras.layers.Dense(3)], name="inner")
    middle = keras.Model(steps, inner(inner(steps)), name="middle")
    return keras.Model(steps, keras.layers.LSTM(2)(middle(steps)), name="outer")


@case
def shared_states(keras: Any) -> Any:
    """An encoder whose states begin two decoders."""
    source, target = keras.Input((None, 3)), keras.Input((None, 2))
    _, *states = keras.layers.LSTM(3, return_state=True)(source)
    decoders = [keras.layers.LSTM(3, return_sequences=True, name=name) for name in "ab"]
    outputs = [decoder(target, initial_state=states) for decoder in decoders]
    return keras.Model([source, target], outputs)


@case
def each_step(keras: Any) -> Any:
    """A layer and a model that are applied to every step, and frozen weights."""
    steps = keras.Input((None, 4, 3))
    frozen = keras.layers.Dense(3, trainable=False)
    inner = keras.Sequential([keras.Input((4, 3)), frozen, keras.layers.GRU(2)])
    x = keras.layers.TimeDistributed(keras.layers.LayerNormalization())(steps)
    return keras.Model(steps, keras.layers.TimeDistributed(inner)(x))


@case
def stacked_cells(keras: Any) -> Any:
    cells = [keras.layers.LSTMCell(3), keras.layers.GRUCell(2), keras.layers.LSTMCell(2)]
    return keras.Sequential([keras.Input((None, 3)), keras.layers.RNN(cells)])


@case
def convolutions(keras: Any) -> Any:
    frames = keras.Input((3, 5, 5, 1))
    x = keras.layers.ConvLSTM2D(2, 3, return_sequences=True)(frames)
    x = keras.layers.TimeDistributed(keras.layers.Conv2D(2, 2))(x)
    return keras.Model(frames, keras.layers.Reshape((3, 8))(x))


def draw(model: Any) -> None:
    """Weights of which each number is another, and a variance is positive."""
    numbers = np.random.default_rng(7)
    arrays = [numbers.normal(0, 0.5, array.shape) for array in model.get_weights()]
    model.set_weights([np.abs(array) + 0.1 for array in arrays])


def inputs(model: Any) -> list[Any]:
    """Three steps where a length is free; the last step of the first row is zeros."""
    numbers = np.random.default_rng(11)
    given = []
    for one in model.inputs:
        shape = [size or 3 for size in one.shape]
        shape[0] = one.shape[0] or 2
        words = "int" in str(one.dtype)
        array = numbers.integers(1, 9, shape) if words else numbers.normal(size=shape)
        array[0, -1] = 0
        given.append(array.astype("int32" if words else "float32"))
    return given


def distance(keras: Any, model: Any, read: converter.Model) -> float:
    """How far the judge is from Keras, in the size of the largest output."""
    given = inputs(model)
    answers = model(given if len(given) > 1 else given[0])
    listed = answers if isinstance(answers, list | tuple) else [answers]
    judged = converter.judge(read, *given)
    worst = 0.0
    for one, other in zip(listed, judged if isinstance(judged, tuple) else (judged,), strict=True):
        array = keras.ops.convert_to_numpy(one) if hasattr(keras, "ops") else np.asarray(one)
        worst = max(worst, float(np.abs(array - other).max() / np.abs(array).max()))
    return worst


def looked_at(keras: Any, model: Any, folder: Path) -> dict[str, Any]:
    """What is found of one model."""
    draw(model)
    before = set(sys.modules)
    live = converter.read(model)
    imported = {name.split(".")[0] for name in set(sys.modules) - before}
    found: dict[str, Any] = {"imported": sorted(imported & set(FRAMEWORKS))}
    for suffix in ("keras", "h5"):
        path = folder / f"model.{suffix}"
        model.save(path)
        found[suffix] = same(live, converter.read(path), names=suffix == "keras")
    weights = folder / "model.weights.h5"
    model.save_weights(weights)
    found["as an architecture"] = same(converter.read(weights, arch=model), live, names=False)
    found["distance"] = distance(keras, model, live)
    found["source"] = [live.source.path, live.source.form, live.source.version]
    model.compile("adam", "mse")
    found["compiled"] = converter.read(model).source == live.source
    array, *others = model.get_weights()
    array.flat[-1] = np.nextafter(array.flat[-1], np.float32(9))
    model.set_weights([array, *others])
    moved = converter.read(model)
    found["moved"] = same(moved, converter.read(folder / "model.keras"), names=False)
    found["hash moved"] = moved.source.sha256 != live.source.sha256
    found["changed"] = error_of(lambda: same(live, live))
    return found


def error_of(raises: Callable[[], object]) -> str:
    try:
        raises()
    except ConverterError as error:
        return str(error)
    return "no error"


def refusals(keras: Any, weights: Path) -> dict[str, str]:
    """What is refused, and its whole text."""

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    class OwnLayer(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    class Silent(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

        def get_config(self) -> dict[str, Any]:
            raise NotImplementedError("I say nothing")

    def of(*layers: Any) -> Any:
        return keras.Sequential([keras.Input((3,)), *layers], name="it")

    own = Own()
    own(np.ones((1, 3), np.float32))
    dense = keras.layers.Dense(2, name="more")
    surplus = of(dense)
    if hasattr(dense, "_tracker"):  # Keras 3 wants no weights after those of build
        dense._tracker.unlock()
    dense.add_weight(shape=(2,), name="scale")
    sources: dict[str, tuple[Any, dict[str, Any]]] = {
        "not built": (keras.Sequential([keras.layers.LSTM(2)], name="it"), {}),
        "a layer": (keras.layers.LSTM(2), {}),
        "a subclass": (own, {}),
        "an own layer": (of(OwnLayer(name="mine")), {}),
        "no config": (of(Silent(name="mine")), {}),
        "a Lambda": (of(keras.layers.Lambda(lambda x: x, name="code")), {}),
        "a weight more": (surplus, {}),
        "two architectures": (of(), {"arch": {}}),
        "no built architecture": (weights, {"arch": own}),
    }
    return {
        name: error_of(lambda given=given: converter.read(given[0], **given[1]))
        for name, given in sources.items()
    }


def conversion(keras: Any, folder: Path) -> dict[str, Any]:
    """A model in memory through every function that takes a source."""
    model = keras.Sequential([keras.Input((None, 3), name="x"), keras.layers.LSTM(2)], name="it")
    draw(model)
    done = converter.convert(model, out=folder / "torch")
    as_keras = converter.convert(model, to="keras", out=folder / "again.keras", verify=False)
    states = converter.convert(model, to="state-dict", out=folder / "states.safetensors")
    x = np.ones((1, 2, 3), np.float32)
    return {
        "verdicts": [one.verdict.status.value for one in (done, states) if one.verdict],
        "again": same(converter.read(model), converter.read(as_keras.artefact), names=False),
        "record": done.record["source"],
        "hash": converter.read(model).source.sha256,
        "verified": converter.verify(model, folder / "torch").status.value,
        "source": converter.to_torch_source(model) == (folder / "torch/model.py").read_text(),
        "judged": bool((converter.judge(model, x) == converter.judge(done.model, x)).all()),
        "onnx": [node.op_type for node in converter.to_onnx(model).graph.node].count("LSTM"),
        "alone": error_of(lambda: converter.verify(model)),
        "module": type(converter.to_torch(model)).__name__,
        "inspected": [row.name for row in converter.inspect(model).layers],
    }


def stored_otherwise(keras: Any, folder: Path) -> dict[str, bool]:
    """Whether weights that are not stored as they are used are those of the archive."""
    found = {}
    kinds = {"int8": "Int8QuantizationConfig", "int4": "Int4QuantizationConfig"}
    for name in ("lora", *kinds):
        dense = keras.layers.Dense(4, name="dense")
        model = keras.Sequential([keras.Input((None, 6)), dense, keras.layers.LSTM(2)])
        draw(model)
        if name == "lora":
            dense.enable_lora(2)
            draw(model)
        else:
            dense.quantize(config=getattr(keras.quantizers, kinds[name])(activation_quantizer=None))
        path = folder / f"{name}.keras"
        model.save(path)
        found[name] = same(converter.read(model), converter.read(path))
    return found


def attention(keras: Any, folder: Path) -> bool:
    """Whether a layer whose parts are called by private names is that of the archive."""
    steps = keras.Input((4, 6))
    model = keras.Model(steps, keras.layers.MultiHeadAttention(2, 3)(steps, steps))
    draw(model)
    model.save(folder / "attention.keras")
    return same(converter.read(model), converter.read(folder / "attention.keras"))


def megabytes(keras: Any, folder: Path) -> dict[str, float]:
    """What NumPy holds at most while 8 arrays of 4 MB are read and written."""
    layers = [keras.layers.Dense(1000, use_bias=False) for _ in range(8)]
    model = keras.Sequential([keras.Input((1000,)), *layers])
    tracemalloc.start()
    read = converter.read(model)
    _, reading = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    converter.convert(model, out=folder / "large", verify=False)
    _, writing = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"all": read.parameters * 4 / 2**20, "read": reading / 2**20, "write": writing / 2**20}


def own_classes(keras: Any, folder: Path) -> dict[str, str]:
    """What a model in memory is before its classes are described, and then: "" where the file."""
    folder.mkdir()
    found: dict[str, str] = {}
    models: dict[str, Any] = {}

    def look(name: str, model: Any) -> None:
        found[f"{name}, unknown"] = error_of(lambda: converter.read(model))
        models[name] = model

    custom_keras.save(keras, folder, look)
    importlib.import_module("tests.readers.custom_layers")
    for name, model in models.items():
        live = converter.read(model)
        forms = {form: folder / f"{name}.{form}" for form in ("keras", "h5")}
        wrong = [
            form
            for form, path in forms.items()
            if not same(live, converter.read(path), names=form == "keras")
        ]
        if name == "twice" and not hasattr(keras, "ops"):
            model.save(folder / name, save_format="tf")
            if not same(live, converter.read(folder / name), names=False):
                wrong.append("SavedModel")
        apart = converter.read(folder / f"{name}.weights.h5", arch=model)
        found[name] = " ".join(wrong + ["apart"] * (not same(apart, live, names=False)))
        found[f"{name}, hash"] = live.source.sha256
    return found


def main(which: str, folder: Path) -> None:
    """Look at everything that one Keras makes."""
    keras = importlib.import_module("tf_keras" if which == "tf_keras" else "keras")
    found: dict[str, Any] = {"models": {}}
    for name, build in CASES.items():
        place = folder / name
        place.mkdir()
        found["models"][name] = looked_at(keras, build(keras), place)
    found["refusals"] = refusals(keras, folder / "stateful/model.weights.h5")
    found["conversion"] = conversion(keras, folder)
    found["megabytes"] = megabytes(keras, folder)
    found["attention"] = attention(keras, folder)
    found["stored otherwise"] = {} if which == "tf_keras" else stored_otherwise(keras, folder)
    found["own classes"] = own_classes(keras, folder / "own")
    (folder / "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
