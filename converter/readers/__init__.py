"""From a saved model to its description, without the framework that saved it.

>>> from converter.errors import ReadError
>>> try:
...     read("missing.keras")
... except ReadError as error:
...     print(error.code)
not-found
"""

from __future__ import annotations

import os

from converter.description import Era, Model
from converter.errors import FormatError
from converter.readers import zipped
from converter.readers.file import File
from converter.readers.folder import first_file
from converter.readers.keras import apart, archive, checkpoint, hdf5, legacy, savedmodel, tfjs
from converter.readers.keras.blueprint import read_blueprint
from converter.readers.strict import shown

__all__ = ["read"]


def read(
    source: str | os.PathLike[str],
    *,
    era: Era | None = None,
    arch: str | os.PathLike[str] | None = None,
) -> Model:
    """The model in a file: what the file is, its bytes decide, not its name.

    Weights are read when they are asked for: `weight.read()`.

    Args:
        source: The path of a `.keras` or `.h5` file, of the folder of a SavedModel or its
            saved_model.pb, or of the model.json of a layers model of TensorFlow.js.
        era: Which Keras wrote it, where the file is known to say it wrongly or not at all.
        arch: The architecture of weights: what `model.to_json()` or `model.to_yaml()` wrote, or a
            whole model, of which the config alone is taken. The source is weights then.

    Raises:
        ReadError: The file is not there, is damaged, or is no model; a weight is missing, surplus
            or misshapen.
        UnsupportedError: The model has something that is not read; the error says what.
    """
    file = File.at(first_file(source))
    if arch is not None:
        return apart.read(file, read_blueprint(arch), era)
    if file.head.startswith(zipped.MAGIC):
        return archive.read(file, era)
    if file.head.startswith(hdf5.MAGIC):
        return legacy.read(file, era)
    if file.head.startswith(savedmodel.MAGIC):
        return savedmodel.read(file, era, os.fspath(source))
    if file.head.lstrip().startswith(b"{"):
        return tfjs.read(file, era, os.fspath(source))
    if checkpoint.is_index(file):
        raise checkpoint.without_architecture(file)
    raise FormatError(
        f"{file.path} is not a saved model",
        context=f"it begins with {shown(file.head.decode('latin-1'))}",
        hint="give a .keras or .h5 file that model.save wrote",
        code="not-a-model",
    )
