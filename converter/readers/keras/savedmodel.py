"""A SavedModel of Keras 2: a folder of saved_model.pb, keras_metadata.pb and variables/.

`model.save("folder")` wrote it from TensorFlow 2.0 to 2.15. The config of the model stands in
keras_metadata.pb, which is there since TensorFlow 2.5, and before that in the first object of
saved_model.pb. The weights are a checkpoint. The graph that TensorFlow would execute is stepped
over: nothing of it is ever looked at.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from converter.description import Era, Model
from converter.errors import ConverterError, FormatError, UnsupportedError
from converter.readers.beside import beside, is_beside, sha256_of
from converter.readers.file import File, Part
from converter.readers.keras import tracked
from converter.readers.keras.architecture import read_model
from converter.readers.keras.assembly import assembled
from converter.readers.keras.bundle import Bundle
from converter.readers.keras.era import Writer
from converter.readers.strict import parse, shown
from converter.readers.wire import Message, message, messages, number, text

FORM = "TensorFlow SavedModel"
FILE = "saved_model.pb"
METADATA = "keras_metadata.pb"
INDEX = "variables/variables.index"
MAGIC = b"\x08\x01\x12"
"""The version of the schema, 1, and the first MetaGraphDef."""

OF_KERAS = "_tf_keras_"
MODELS = ("_tf_keras_sequential", "_tf_keras_network", "_tf_keras_model")


def read(file: File, era: Era | None, path: str | None = None) -> Model:
    """The model of a SavedModel.

    Args:
        file: Its saved_model.pb.
        era: What the caller knows better than the metadata.
        path: As it was given, where that was the folder.
    """
    path = file.path if path is None else path
    document, version, files = config_of(file, path)
    writer = Writer.of(version, path, era)
    model = read_model(document, path)
    bundle = Bundle.at(beside(file, INDEX))
    files.append((INDEX, bundle.index))
    files += [(f"variables/{Path(shard.path).name}", shard) for shard in bundle.shards]
    whole = assembled(model, writer, partial(tracked.search, bundle, model), file, FORM)
    source = replace(whole.source, path=path, sha256=sha256_of(files))
    return replace(whole, source=source)


def config_of(file: File, path: str) -> tuple[object, str, list[tuple[str, File]]]:
    """The config of the model, the version of its writer, and the files that say so, by name.

    Args:
        file: Its saved_model.pb.
        path: As it was given, for the errors.

    Raises:
        UnsupportedError: It has no layers.
        FormatError: It is damaged.
    """
    files = [(FILE, file)]
    try:
        root, kind, parts = _root(_mapped(file))
    except ValueError as error:
        raise _malformed(file.path, str(error)) from error
    if is_beside(file, METADATA):
        more = beside(file, METADATA)
        files.append((METADATA, more))
        try:
            kind, root = _of_the_root(_mapped(more)) or (kind, root)
        except ValueError as error:
            raise _malformed(more.path, str(error)) from error
    if kind not in MODELS or not root:
        raise _without_config(path, kind, parts)
    metadata = plain(parse(bytes(root), f"the metadata of {path}"))
    if not isinstance(metadata, dict) or not isinstance(metadata.get("keras_version"), str):
        raise FormatError(
            f"the metadata of {path} are not as Keras writes them",
            context=f"{shown(metadata)}; expected a keras_version",
            hint="the file may be damaged; save the model again",
            code="config",
        )
    return _config(metadata), metadata["keras_version"], files


def _mapped(file: File) -> Message:
    """Its bytes, in place."""
    return Part(file, 0, file.size).array(0, (file.size,), np.dtype(np.uint8)).data


def _root(data: Message) -> tuple[Message, str, list[str]]:
    """Of the first object: its metadata, its identifier, and the names of its parts.

    saved_model.proto, meta_graph.proto, saved_object_graph.proto.
    """
    graph = message(message(data, 2), 7)
    for first in messages(graph, 1):
        user = message(first, 4)
        parts = [text(child, 2) for child in messages(first, 1)]
        return message(user, 3), text(user, 1), parts
    return Message(b""), "", []


def _of_the_root(data: Message) -> tuple[str, Message] | None:
    """The identifier and the metadata of the first object, as keras_metadata.pb has them.

    saved_metadata.proto of Keras 2.
    """
    for node in messages(data, 1):
        if number(node, 2) == 0:
            return text(node, 4), message(node, 5)
    return None


def _config(metadata: dict[str, Any]) -> object:
    """The class and the config of the model."""
    whole = metadata.get("model_config")
    if isinstance(whole, dict) and "config" in whole:
        return whole
    config = metadata.get("config")
    return {"class_name": metadata.get("class_name"), "config": {} if config is None else config}


def plain(value: Any) -> Any:
    """The metadata without the classes that Keras 2 had for tuples and shapes."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape") and isinstance(
        value.get("items"), list
    ):
        return [plain(one) for one in value["items"]]
    return {key: plain(one) for key, one in value.items()}


def _without_config(path: str, kind: str, parts: list[str]) -> ConverterError:
    """The error for a SavedModel that has no layers."""
    if kind.startswith(OF_KERAS):
        return UnsupportedError(
            f"{path} has no metadata of its model, only the graph that TensorFlow executes",
            context=f"{shown(kind)} without a config; no {METADATA} beside {FILE}",
            hint=f"copy {METADATA} too, or load it in Keras 2 and save it as .h5",
            code="no-config",
        )
    by_export = "serve" in parts and "_misc_assets" in parts
    return UnsupportedError(
        f"{path} has no layers, only a graph that TensorFlow executes",
        context="what model.export of Keras 3 writes"
        if by_export
        else f"an object {shown(kind)} with {', '.join(shown(p) for p in parts[:6]) or 'nothing'}",
        hint="save the model itself: model.save('model.keras')"
        if by_export
        else "save the Keras model from which it was made: model.save('model.keras') or .h5",
        code="no-config",
    )


def _malformed(path: str, context: str) -> FormatError:
    return FormatError(
        f"{path} is not as TensorFlow writes it",
        context=context,
        hint="copy or download it again; the original may be whole",
        code="savedmodel",
    )
