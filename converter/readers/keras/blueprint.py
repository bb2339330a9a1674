"""An architecture without its weights: a JSON or YAML text, a config, or that of a whole model.

`model.to_json()` and, up to Keras 2.5, `model.to_yaml()` give the text. Keras 1 and 2 say in it
which Keras wrote it; Keras 3 does not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converter.description import Era
from converter.errors import FormatError, UsageError
from converter.readers import safe_yaml, strict, zipped
from converter.readers.beside import sha256_of
from converter.readers.file import File, Part
from converter.readers.folder import first_file, is_unzipped
from converter.readers.keras import archive, hdf5, legacy, savedmodel, tfjs
from converter.readers.keras.architecture import SEQUENTIAL, ModelPart, read_model
from converter.readers.keras.era import Writer
from converter.readers.keras.live import KerasModel, is_live, said
from converter.readers.strict import shown

Architecture = str | os.PathLike[str] | Mapping[str, Any] | KerasModel
"""What an architecture is read from."""

CONFIG = "the config"
"""What an architecture is called that is a dictionary."""

ABOUT = ("keras_version", "backend")
"""What Keras 1 and 2 say beside the model."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An architecture.

    Attributes:
        path: Where it is, as it was given; in words where it is no file.
        sha256: Of the files that say it, or of its text.
        document: The class and the config of the model.
        version: Of the Keras that wrote it; "" where it does not say.
        backend: Likewise.
        era: Where its form says more than its version.
    """

    path: str
    sha256: str
    document: object
    version: str
    backend: str = ""
    era: Era | None = None

    @property
    def name(self) -> str:
        """What it is called beside the weights."""
        return Path(self.path).name or self.path

    def model(self) -> ModelPart:
        """Its layers."""
        return read_model(self.document, self.path)

    def writer(self, era: Era | None, version: str, backend: str) -> Writer:
        """The Keras that the model means.

        Args:
            era: What the caller knows better.
            version: Of the Keras that wrote the weights, where the architecture does not say.
            backend: Of the weights: it says how kernels of convolutions are stored.

        Raises:
            FormatError: Nothing says which Keras it is.
        """
        said = self.version or version
        return Writer.of(said, self.path, era or self.era, backend or self.backend)


def read_blueprint(source: Architecture) -> Blueprint:
    """The architecture in a source: a text, a saved model in any form, a config or a live model.

    Raises:
        ReadError: There is no such file, or no architecture in it.
    """
    if isinstance(source, Mapping):
        return _of_config(source)
    if is_live(source):
        one = said(source)
        sha256 = hashlib.sha256(one.text).hexdigest()
        return Blueprint(one.called, sha256, one.document, one.version, one.backend)
    file = File.at(first_file(source))  # type: ignore[arg-type]  # it says what is no path
    path = os.fspath(source)  # type: ignore[arg-type]
    if file.head.startswith(zipped.MAGIC):
        document, version = archive.config_of(file)
        return Blueprint(path, file.sha256, document, version)
    if file.head.startswith(hdf5.MAGIC):
        document, version, backend = legacy.config_of(file)
        return Blueprint(path, file.sha256, document, version, backend)
    if file.head.startswith(savedmodel.MAGIC):
        document, version, files = savedmodel.config_of(file, path)
        return Blueprint(path, sha256_of(files), document, version)
    if is_unzipped(file):
        document, version, files = archive.config_of_folder(file)
        return Blueprint(path, sha256_of(files), document, version)
    return _of_text(file, path)


def _of_text(file: File, path: str) -> Blueprint:
    what = f"the architecture in {path}"
    if file.size > strict.MAX_BYTES:
        raise strict.too_large(what, file.size)
    with Part(file, 0, file.size).open() as handle:
        text = handle.read()
    try:
        begin = text.decode().lstrip()[:1]
    except UnicodeDecodeError as error:
        raise _no_architecture(path, "bytes that are no text") from error
    if not begin or "\0" in text.decode():
        raise _no_architecture(path, "no text")
    document = strict.parse(text, what) if begin in '{["' else safe_yaml.parse(text, what)
    if isinstance(document, str) and begin == '"':  # to_json() is text, which was dumped once more
        document = strict.parse(document, what)
    if isinstance(document, dict) and tfjs.TOPOLOGY in document:
        return Blueprint(path, file.sha256, *tfjs.config_of(document, file.path))
    return _of_document(document, path, file.sha256)


def _of_config(source: Mapping[str, Any]) -> Blueprint:
    """What `json.loads(model.to_json())` gives, or `model.get_config()`, which names no class."""
    try:
        text = json.dumps(source, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise UsageError(
            "a config is data: texts, numbers, lists and dictionaries",
            context=str(error),
            hint="give json.loads(model.to_json())",
            code="config-type",
        ) from error
    document = strict.parse(text, CONFIG)
    if "class_name" not in document and "layers" in document:
        kind = "Functional" if "input_layers" in document else SEQUENTIAL
        document = {"class_name": kind, "config": document}
    return _of_document(document, CONFIG, hashlib.sha256(text.encode()).hexdigest())


def _of_document(document: object, path: str, sha256: str) -> Blueprint:
    if not isinstance(document, dict) or "class_name" not in document:
        raise _no_architecture(path, shown(document))
    version, backend = (_text(document, key) for key in ABOUT)
    model: dict[str, Any] = {key: one for key, one in document.items() if key not in ABOUT}
    era = Era.KERAS_3 if not version and _is_of_keras_3(model) else None
    return Blueprint(path, sha256, model, version, backend, era)


def _is_of_keras_3(document: dict[str, Any]) -> bool:
    """Whether an input says its `batch_shape`, which was `batch_input_shape` before."""
    config = document.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    configs = [
        layer.get("config")
        for layer in (layers if isinstance(layers, list) else ())
        if isinstance(layer, dict) and layer.get("class_name") == "InputLayer"
    ]
    return bool(configs) and all(isinstance(one, dict) and "batch_shape" in one for one in configs)


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _no_architecture(path: str, found: str) -> FormatError:
    return FormatError(
        f"{path} is not the architecture of a model",
        context=f"{found}; expected an object with a class_name and a config",
        hint="give what model.to_json() wrote, or a saved model",
        code="not-an-architecture",
    )
