"""Small saved models, made without Keras: every part of them can be replaced."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from converter.description import Layer, Model, Weight
from converter.gates import Array

Config = dict[str, Any]
Weights = Mapping[str, Array]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def counted(*shape: int, start: float = 1) -> Array:
    """Different numbers, so that a wrong place shows."""
    size = int(np.prod(shape))
    return (np.arange(size, dtype=np.float32) / 8 + start).reshape(shape)


def layer(kind: str, name: str, **settings: Any) -> Config:
    """A layer as it stands in a Sequential config."""
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, **settings},
        "registered_name": None,
    }


def given(shape: Iterable[int | None], name: str = "x", **settings: Any) -> Config:
    """An InputLayer of Keras 3."""
    return layer("InputLayer", name, batch_shape=list(shape), dtype="float32", **settings)


def sequential(*layers: Config, **settings: Any) -> Config:
    """A Sequential model."""
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", **settings, "layers": list(layers)},
        "registered_name": None,
    }


def tensor(name: str, call: int = 0, output: int = 0) -> Config:
    """A tensor as Keras 3 writes it where a layer is called."""
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, call, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def called(part: Config, *calls: Any) -> Config:
    """A layer as it stands in a Functional config of Keras 3.

    Each call is a tensor, or a list of several, or `{"args": ..., "kwargs": ...}`.
    """
    nodes = [
        call
        if isinstance(call, dict) and "args" in call
        else {"args": [[tensor(n) for n in call] if isinstance(call, list) else call], "kwargs": {}}
        for call in (tensor(c) if isinstance(c, str) else c for c in calls)
    ]
    return {**part, "name": part["config"]["name"], "inbound_nodes": nodes}


def called_2(part: Config, *nodes: Any) -> Config:
    """The same for Keras 2, where a call is `[["x", 0, 0, {}], ...]`."""
    return {**part, "name": part["config"]["name"], "inbound_nodes": list(nodes)}


def functional(
    layers: list[Config], inputs: list[Any], outputs: list[Any], name: str = "model"
) -> Config:
    """A Functional model; inputs and outputs are names or `[name, call, output]`."""
    ends = [
        [[one, 0, 0] if isinstance(one, str) else one for one in some] for some in (inputs, outputs)
    ]
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": True,
            "layers": layers,
            "input_layers": ends[0],
            "output_layers": ends[1],
        },
        "registered_name": "Functional",
    }


def stored(weights: Weights, **options: Any) -> bytes:
    """`model.weights.h5` with these arrays."""
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, array in weights.items():
            file.create_dataset(path, data=array, **options)
    return buffer.getvalue()


def archive(
    path: Path,
    config: object,
    weights: Weights | bytes,
    *,
    version: str = "3.15.1",
    method: int = zipfile.ZIP_STORED,
    replaced: Mapping[str, bytes | None] | None = None,
) -> Path:
    """A `.keras` file. `replaced` are members instead of the usual ones; None leaves one out."""
    members: dict[str, bytes | None] = {
        METADATA: json.dumps(
            {"keras_version": version, "date_saved": "2026-11-24@12:00:00"}
        ).encode(),
        CONFIG: config if isinstance(config, bytes) else json.dumps(config).encode(),
        WEIGHTS: weights if isinstance(weights, bytes) else stored(weights),
    }
    members |= replaced or {}
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            if data is not None:
                file.writestr(name, data)
    return path


def hdf5(
    path: Path,
    config: object,
    groups: Mapping[str, Weights],
    *,
    version: str | None = "2.15.0",
    backend: str = "tensorflow",
) -> Path:
    """An `.h5` file: for each layer, its weights by their names in `weight_names`."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        file.attrs["backend"] = backend
        if version is not None:
            file.attrs["keras_version"] = version
        top = file.create_group("model_weights")
        top.attrs["layer_names"] = list(groups)
        for name, weights in groups.items():
            group = top.create_group(name)
            group.attrs["weight_names"] = list(weights)
            for weight, array in weights.items():
                group[weight] = array
    return path


FEATURES, UNITS = 3, 2
KERNEL = counted(FEATURES, 4 * UNITS)
RECURRENT = counted(UNITS, 4 * UNITS, start=20)
BIAS = counted(4 * UNITS, start=40)
DENSE, DENSE_BIAS = counted(UNITS, 5, start=60), counted(5, start=80)

SMALL = sequential(
    given((None, None, FEATURES)),
    layer("LSTM", "lstm", units=UNITS),
    layer("Dense", "dense", units=5),
)
SMALL_WEIGHTS: dict[str, Array] = {
    "layers/lstm/cell/vars/0": KERNEL,
    "layers/lstm/cell/vars/1": RECURRENT,
    "layers/lstm/cell/vars/2": BIAS,
    "layers/dense/vars/0": DENSE,
    "layers/dense/vars/1": DENSE_BIAS,
}
SMALL_GROUPS: dict[str, dict[str, Array]] = {
    "lstm": {
        "lstm/lstm_cell/kernel:0": KERNEL,
        "lstm/lstm_cell/recurrent_kernel:0": RECURRENT,
        "lstm/lstm_cell/bias:0": BIAS,
    },
    "dense": {"dense/kernel:0": DENSE, "dense/bias:0": DENSE_BIAS},
}


def small(path: Path) -> Path:
    """An LSTM and a Dense in an archive."""
    return archive(path, SMALL, SMALL_WEIGHTS)


def small_hdf5(path: Path) -> Path:
    """The same in HDF5."""
    return hdf5(path, SMALL, SMALL_GROUPS)


def same(one: Model, other: Model, *, names: bool = True) -> bool:
    """Whether two models are the same in all but their source: every setting, and every bit.

    Args:
        one: A model.
        other: Another.
        names: What the arrays are called in their sources counts, too.
    """

    def plain(model: Model) -> object:
        """Without the functions of a form, which are never equal; the arrays as bytes."""
        arrays: list[object] = []

        def bare(_layer: Layer, _name: str, weight: Weight) -> Weight:
            arrays.extend(
                (stored.name if names else "", str(stored.dtype), stored.read().tobytes())
                for stored in weight.stored
            )
            return Weight(weight.shape, ())

        calls = model.map_weights(bare).calls
        return calls, arrays, model.inputs, model.outputs

    return plain(one) == plain(other)
