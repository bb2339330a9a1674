"""An architecture without its weights: a JSON or YAML text, or the config of a whole model.

`model.to_json()` and, up to Keras 2.5, `model.to_yaml()` give the text. Keras 1 and 2 say in it
which Keras wrote it; Keras 3 does not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from converter.description import Era
from converter.errors import FormatError
from converter.readers import safe_yaml, strict, zipped
from converter.readers.file import File, Part
from converter.readers.keras import archive, hdf5, legacy
from converter.readers.keras.architecture import ModelPart, read_model
from converter.readers.keras.era import Writer
from converter.readers.strict import shown

ABOUT = ("keras_version", "backend")
"""What Keras 1 and 2 say beside the model."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An architecture.

    Attributes:
        file: Where it is.
        document: The class and the config of the model.
        version: Of the Keras that wrote it; "" where it does not say.
        backend: Likewise.
        era: Where its form says more than its version.
    """

    file: File
    document: object
    version: str
    backend: str
    era: Era | None

    def model(self) -> ModelPart:
        """Its layers."""
        return read_model(self.document, self.file.path)

    def writer(self, era: Era | None, version: str, backend: str) -> Writer:
        """The Keras that the model means.

        Args:
            era: What the caller knows better.
            version: Of the Keras that wrote the weights, where the architecture does not say.
            backend: Of the weights: it says how kernels of convolutions are stored.

        Raises:
            FormatError: Nothing says which Keras it is.
        """
        if not self.version and self.era:
            era = era or self.era
        said = self.version or version
        return Writer.of(said, self.file.path, era, backend or self.backend)


def read_blueprint(source: str | os.PathLike[str]) -> Blueprint:
    """The architecture in a file: a JSON or YAML text, a `.keras` archive, or an `.h5` model.

    Raises:
        ReadError: There is no such file, or no architecture in it.
    """
    file = File.at(source)
    if file.head.startswith(zipped.MAGIC):
        document, version = archive.config_of(file)
        return Blueprint(file, document, version, "", None)
    if file.head.startswith(hdf5.MAGIC):
        document, version, backend = legacy.config_of(file)
        return Blueprint(file, document, version, backend, None)
    return _of_text(file)


def _of_text(file: File) -> Blueprint:
    what = f"the architecture in {file.path}"
    if file.size > strict.MAX_BYTES:
        raise strict.too_large(what, file.size)
    with Part(file, 0, file.size).open() as handle:
        text = handle.read()
    try:
        begin = text.decode().lstrip()[:1]
    except UnicodeDecodeError as error:
        raise _no_architecture(file, "bytes that are no text") from error
    if not begin or "\0" in text.decode():
        raise _no_architecture(file, "no text")
    document = strict.parse(text, what) if begin in '{["' else safe_yaml.parse(text, what)
    if isinstance(document, str) and begin == '"':  # to_json() is text, which was dumped once more
        document = strict.parse(document, what)
    if not isinstance(document, dict) or "class_name" not in document:
        raise _no_architecture(file, shown(document))
    version, backend = (_text(document, key) for key in ABOUT)
    model: dict[str, Any] = {key: one for key, one in document.items() if key not in ABOUT}
    newest = "registered_name" in model and "module" in model
    return Blueprint(file, model, version, backend, Era.KERAS_3 if newest else None)


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _no_architecture(file: File, found: str) -> FormatError:
    return FormatError(
        f"{file.path} is not the architecture of a model",
        context=f"{found}; expected an object with a class_name and a config",
        hint="give what model.to_json() wrote, or a .keras or .h5 file of the whole model",
        code="not-an-architecture",
    )
