"""Files that are damaged, incomplete or not what their name says, made out of good ones."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scripts.test_data.bad import (
    bad,
    edit_config,
    edit_weights,
    read_members,
    small,
    write_members,
)
from scripts.test_data.catalogue import Keras, chain
from scripts.test_data.weights import draw

# The shapes of the small model's LSTM.
KERNEL, RECURRENT_KERNEL = (3, 8), (2, 8)


def weights(group: h5py.Group) -> dict[tuple[int, ...], h5py.Dataset]:
    """The weights of the small model by shape: no two have the same."""
    found: dict[tuple[int, ...], h5py.Dataset] = {}

    def keep(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[item.shape] = item

    group.visititems(keep)
    return found


@bad("truncated.keras", "truncated.h5")
def truncated(keras: Keras, path: Path) -> None:
    """The last third of the file is missing."""
    small(keras, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


@bad("model.keras", "model.h5")
def text(keras: Keras, path: Path) -> None:
    """A text file with the name of a model."""
    path.write_text("The model is on the other disk.\n", encoding="utf-8")


@bad("empty.keras", "empty.h5")
def empty(keras: Keras, path: Path) -> None:
    """No bytes at all."""
    path.write_bytes(b"")


@bad("no_config.keras")
def no_config(keras: Keras, path: Path) -> None:
    """An archive without config.json."""
    small(keras, path)
    members = read_members(path)
    del members["config.json"]
    write_members(path, members)


@bad("no_weights.keras")
def no_weights(keras: Keras, path: Path) -> None:
    """An archive without model.weights.h5."""
    small(keras, path)
    members = read_members(path)
    del members["model.weights.h5"]
    write_members(path, members)


@bad("config_not_json.keras", "config_not_json.h5")
def config_not_json(keras: Keras, path: Path) -> None:
    """A config that stops in the middle."""
    small(keras, path)
    edit_config(path, lambda config: config[: len(config) // 2])


@bad("missing_weight.keras", "missing_weight.h5")
def missing_weight(keras: Keras, path: Path) -> None:
    """The LSTM's recurrent kernel is not there; in HDF5 its name still is."""

    def change(group: h5py.Group) -> None:
        del group[weights(group)[RECURRENT_KERNEL].name]

    small(keras, path)
    edit_weights(path, change)


@bad("unlisted_weight.h5")
def unlisted_weight(keras: Keras, path: Path) -> None:
    """The LSTM's recurrent kernel is there, but weight_names leaves it out."""

    def change(group: h5py.Group) -> None:
        names = group["lstm"].attrs["weight_names"]
        group["lstm"].attrs["weight_names"] = [name for name in names if "recurrent" not in name]

    small(keras, path)
    edit_weights(path, change)


@bad("missing_layer.keras", "missing_layer.h5")
def missing_layer(keras: Keras, path: Path) -> None:
    """The weights of the Dense are not there at all."""

    def change(group: h5py.Group) -> None:
        if "layers" in group:
            del group["layers/dense"]
        else:
            del group["dense"]
            names = group.attrs["layer_names"]
            group.attrs["layer_names"] = [name for name in names if name != "dense"]

    small(keras, path)
    edit_weights(path, change)


@bad("surplus_weight.keras", "surplus_weight.h5")
def surplus_weight(keras: Keras, path: Path) -> None:
    """A fourth array with the LSTM, listed as the others are."""

    def change(group: h5py.Group) -> None:
        beside = weights(group)[RECURRENT_KERNEL].parent
        array = np.arange(4, dtype=np.float32)
        if "layers" in group:
            beside["3"] = array
        else:
            beside["peephole"] = array
            attributes = group["lstm"].attrs
            name = beside["peephole"].name.removeprefix("/model_weights/lstm/")
            attributes["weight_names"] = [*attributes["weight_names"], name]

    small(keras, path)
    edit_weights(path, change)


@bad("surplus_layer.keras", "surplus_layer.h5")
def surplus_layer(keras: Keras, path: Path) -> None:
    """Weights of a second Dense, which the config does not have."""

    def change(group: h5py.Group) -> None:
        if "layers" in group:
            group.copy("layers/dense", "layers/dense_1")
        else:
            group.copy("dense", "dense_1")
            group.attrs["layer_names"] = [*group.attrs["layer_names"], "dense_1"]

    small(keras, path)
    edit_weights(path, change)


@bad("misshapen_weight.keras", "misshapen_weight.h5")
def misshapen_weight(keras: Keras, path: Path) -> None:
    """The LSTM's kernel is transposed."""

    def change(group: h5py.Group) -> None:
        dataset = weights(group)[KERNEL]
        name, transposed = dataset.name, dataset[()].T
        del group[name]
        group[name] = transposed

    small(keras, path)
    edit_weights(path, change)


@bad("unknown_layer.keras", "unknown_layer.h5")
def unknown_layer(keras: Keras, path: Path) -> None:
    """A class that no Keras has, called as one of Keras's own."""
    small(keras, path)
    edit_config(
        path, lambda config: config.replace('"class_name": "Dense"', '"class_name": "Sparse"')
    )


@bad("unknown_activation.keras")
def unknown_activation(keras: Keras, path: Path) -> None:
    """An activation that no Keras has."""
    small(keras, path)
    edit_config(
        path, lambda config: config.replace('"activation": "tanh"', '"activation": "tansy"')
    )


@bad("weights_only.weights.h5")
def weights_only(keras: Keras, path: Path) -> None:
    """save_weights of Keras 3: no config."""
    model = chain(keras, (None, 3), keras.layers.LSTM(2), keras.layers.Dense(1))
    draw(model, "weights_only")
    model.save_weights(path)


@bad("weights_legacy.h5")
def weights_legacy(keras: Keras, path: Path) -> None:
    """save_weights of Keras 1 and 2: the content of model_weights, at the root, and no config."""
    whole = path.with_name("whole.h5")
    small(keras, whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as file:
        for name in source["model_weights"]:
            source.copy(f"model_weights/{name}", file)
        for name, value in source["model_weights"].attrs.items():
            file.attrs[name] = value
    whole.unlink()


@bad("config_only.keras")
def config_only(keras: Keras, path: Path) -> None:
    """The JSON of to_json() under the name of a model."""
    model = chain(keras, (None, 3), keras.layers.LSTM(2), keras.layers.Dense(1))
    path.write_text(json.dumps(json.loads(model.to_json())), encoding="utf-8")


@bad("saved_twice.keras")
def saved_twice(keras: Keras, path: Path) -> None:
    """An archive with two members called config.json."""
    small(keras, path)
    members = read_members(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("config.json"), members["config.json"])
