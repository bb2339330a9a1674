"""A layers model of TensorFlow.js: model.json, and shards of weights beside it.

`tensorflowjs_converter` and `tfjs.converters.save_keras_model` write it from Keras 2, and
TensorFlow.js itself from its own layers. Since 2019 it says `"format": "layers-model"`; before,
each layer had a group of shards of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from converter.description import Era, Model
from converter.errors import FormatError, UnsupportedError, WeightError
from converter.readers.beside import sha256_of
from converter.readers.file import File
from converter.readers.keras.architecture import read_model
from converter.readers.keras.assembly import assembled
from converter.readers.keras.era import Writer
from converter.readers.keras.hdf5 import Dataset
from converter.readers.keras.legacy import Entry, as_saved, matched
from converter.readers.keras.manifest import Tensor, tensors
from converter.readers.keras.weights import Expected, Found, checked, missing, surplus
from converter.readers.strict import MAX_BYTES, named, parse, shown, too_large

FORM = "TensorFlow.js layers model"
FILE = "model.json"
TOPOLOGY = "modelTopology"
OWN = re.compile(r"tfjs-layers [-.\w]{1,40}", re.ASCII)
"""The version that TensorFlow.js gives to what it built itself: its layers mean what those of
multi-backend Keras 2 meant (hard_sigmoid, masks, no reset after)."""


def read(file: File, era: Era | None, path: str | None = None) -> Model:
    """The model of a model.json.

    Args:
        file: It begins as JSON does.
        era: What the caller knows better than the file.
        path: As it was given, where that was the folder.
    """
    path = file.path if path is None else path
    if file.size > MAX_BYTES:
        raise too_large(file.path, file.size)
    with file.open() as handle:
        document = parse(handle.read(), file.path)
    config, version, backend, meaning = config_of(document, file.path)
    writer = Writer.of(version, path, era or meaning, backend)
    model = read_model(config, path)
    weights, files = tensors(document.get("weightsManifest"), file)

    def search(wanted: list[Expected]) -> Found:
        return _found(weights, as_saved(wanted, model), path)

    whole = assembled(model, writer, search, file, FORM)
    source = replace(
        whole.source, path=path, sha256=sha256_of([(FILE, file), *files]) if files else file.sha256
    )
    return replace(whole, source=source)


def config_of(document: object, path: str) -> tuple[object, str, str, Era | None]:
    """The config of a model.json, its version and its backend, and the era of TensorFlow.js's own.

    Args:
        document: All of it.
        path: Of the file, for the errors.

    Raises:
        UnsupportedError: It has no layers.
        FormatError: It is no model.
    """
    topology = document.get(TOPOLOGY) if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(topology, dict):
        raise _no_model(path, document)
    if document.get("format", "layers-model") != "layers-model" or "node" in topology:
        raise UnsupportedError(
            f"{path} has no layers, only a graph that TensorFlow.js executes",
            context=f"format {shown(document.get('format', 'graph-model'))}",
            hint="give the Keras model that it was made from, or convert that to a layers model",
            code="no-config",
        )
    version, backend = (
        value if isinstance(value, str) else ""
        for value in (topology.get("keras_version"), topology.get("backend"))
    )
    own = OWN.fullmatch(version) is not None
    return _config(topology), version, "" if own else backend, Era.KERAS_2 if own else None


def _config(topology: dict[str, Any]) -> object:
    """The class and the config of the model."""
    if "model_config" in topology:
        return topology["model_config"]
    return {key: topology[key] for key in ("class_name", "config") if key in topology}


def _found(weights: list[Tensor], wanted: list[Expected], path: str) -> Found:
    """Each weight that is wanted, in the order of the config; there must be no others.

    A weight has the name that it had in Keras, which begins with its layer.
    """
    groups: dict[str, list[Expected]] = {}
    for expected in wanted:
        groups.setdefault(expected.owner.top.name, []).append(expected)
    names = {group: _names(group, here) for group, here in groups.items()}
    tensor_of = {tensor.name: tensor for tensor in weights}
    entries: dict[str, list[Entry]] = {group: [] for group in groups}
    left = []
    for name in tensor_of:
        entry = replace(Entry.of("", name), path=name)
        owners = _owners(entry, names)
        if len(owners) > 1:
            raise WeightError(
                f"it cannot be said which layer of {path} a weight belongs to",
                context=f"{named(name)} of {', '.join(named(owner) for owner in owners)}",
                hint="give the layers different names and convert the model again",
                code="ambiguous-weights",
            )
        for owner in owners:
            entries[owner].append(entry)
        if not owners:
            left.append(name)
    found = {}
    for group, here in groups.items():
        if not entries[group]:
            raise missing(here[0], left or list(tensor_of))
        for expected, entry in matched(here, entries[group], path):
            tensor = tensor_of[entry.path]
            checked(expected, Dataset(tensor.name, tensor.shape, tensor.dtype, None))
            found[expected.key] = tensor.promise()
    if left:
        raise surplus(left, path)
    return found


def _names(group: str, wanted: list[Expected]) -> set[str]:
    """What the weights of a layer, or of one in it, may begin with."""
    found = {group}
    for expected in wanted:
        found.update(expected.owner.path.split("/"))
        found.update(hint for hints in expected.hints for hint in hints)
    return found


def _owners(entry: Entry, names: dict[str, set[str]]) -> list[str]:
    """The layers of the whole model that a weight may be of."""
    first = entry.folders[0] if entry.folders else ""
    own = [group for group in names if group == first]
    return own or [group for group, here in names.items() if first in here]


def _no_model(path: str, document: object) -> FormatError:
    if isinstance(document, dict) and "class_name" in document and "config" in document:
        return FormatError(
            f"{path} has an architecture and no weights",
            context="what model.to_json() gives",
            hint="save the whole model: model.save('model.keras')",
            code="no-weights",
        )
    return FormatError(
        f"{path} is not a saved model",
        context=shown(document),
        hint="give the model.json of a layers model, or a .keras or .h5 file",
        code="not-a-model",
    )
