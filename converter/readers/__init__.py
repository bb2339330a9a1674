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
from dataclasses import replace
from typing import BinaryIO

from converter.description import Era, Model
from converter.errors import FormatError, UsageError
from converter.readers import zipped
from converter.readers.file import File, InMemory
from converter.readers.folder import first_file, is_unzipped
from converter.readers.keras import (
    apart,
    archive,
    blueprint,
    checkpoint,
    hdf5,
    legacy,
    live,
    savedmodel,
    tfjs,
)
from converter.readers.keras.live import KerasModel
from converter.readers.onnx import model as onnx
from converter.readers.strict import shown
from converter.readers.torch import TorchModule, is_module
from converter.readers.torch import checkpoint as torch_checkpoint

__all__ = ["Architecture", "Readable", "read"]

Architecture = blueprint.Architecture | TorchModule
"""What an architecture is read from."""

Readable = str | os.PathLike[str] | bytes | BinaryIO | KerasModel | TorchModule
"""What a model is read from."""


def read(
    source: Readable,
    example_inputs: object = None,
    *,
    era: Era | None = None,
    arch: Architecture | None = None,
) -> Model:
    """The model in a file or in memory: what a file is, its bytes decide, not its name.

    Weights are read when they are asked for: `weight.read()`.

    Args:
        source: The path of a `.keras` or `.h5` file, of the folder of a SavedModel or its
            saved_model.pb, of an archive that was saved with `zipped=False`, or of the model.json
            of a layers model of TensorFlow.js. Or the bytes of a file, or a file that is open. Or a
            `keras.Model` of Keras 3 or tf_keras in memory, of which nothing is copied: if it is
            trained on, read it again. Or a `torch.nn.Module` in memory, whose forward is traced.
        example_inputs: What the forward of a `torch.nn.Module` takes: a tensor, a tuple of its
            arguments, or a dictionary of them. Batch and time may be of any length, but for 1.
        era: Which Keras wrote it, where the file is known to say it wrongly or not at all.
        arch: The architecture of weights: what `model.to_json()` or `model.to_yaml()` wrote, or a
            whole model in any form, of which the config alone is taken, or such a config as a
            dictionary; of a checkpoint of PyTorch, the `torch.nn.Module` that it is of, too. The
            source is weights then.

    Raises:
        ReadError: The file is not there, is damaged, or is no model; a weight is missing, surplus
            or misshapen.
        UnsupportedError: The model has something that is not read; the error says what.
    """
    if is_module(source):
        _check_alone(source, arch)
        from converter.readers.torch.exported import read as read_module

        return read_module(source, example_inputs)  # type: ignore[arg-type]  # it is one
    if live.is_live(source):
        _check_alone(source, arch)
        return live.read(source, era)
    file, path = _opened(source)
    if arch is not None and is_module(arch):
        return _with_module(file, arch, example_inputs)
    if arch is not None:
        return apart.read(file, blueprint.read_blueprint(arch), era)  # type: ignore[arg-type]
    if torch_checkpoint.is_checkpoint(file):
        raise torch_checkpoint.without_architecture(file)
    if file.head.startswith(zipped.MAGIC):
        return archive.read(file, era)
    if file.head.startswith(hdf5.MAGIC):
        return legacy.read(file, era)
    if file.head.startswith(savedmodel.MAGIC):
        return savedmodel.read(file, era, path)
    if file.head.startswith(onnx.MAGIC):
        return onnx.read(file)
    if is_unzipped(file):
        return archive.read_folder(file, era, path)
    if file.head.lstrip().startswith(b"{"):
        return tfjs.read(file, era, path)
    if checkpoint.is_index(file):
        raise checkpoint.without_architecture(file)
    if foreign := torch_checkpoint.foreign(file):
        raise foreign
    raise FormatError(
        f"{file.path} is not a saved model",
        context=f"it begins with {shown(file.head.decode('latin-1'))}",
        hint="give a .keras or .h5 file that model.save wrote",
        code="not-a-model",
    )


def _with_module(file: File, module: TorchModule, example_inputs: object) -> Model:
    """A checkpoint of PyTorch in the module that it is of."""
    if not torch_checkpoint.is_checkpoint(file):
        raise UsageError(
            "a torch.nn.Module is an architecture for a checkpoint of PyTorch alone",
            context=f"{file.path} begins with {shown(file.head.decode('latin-1'))}",
            hint="give what torch.save wrote, or an architecture of Keras",
            code="not-a-checkpoint",
        )
    from converter.readers.torch.exported import read as read_module
    from converter.readers.torch.exported.stated import with_state

    held = torch_checkpoint.read(file)
    whole = read_module(with_state(module, held), example_inputs)  # type: ignore[arg-type]  # it is one
    form = f"{held.form} and {whole.source.form}"
    dropped = (*whole.source.dropped, *(f"{name} ({what})" for name, what in held.held.items()))
    source = replace(whole.source, path=file.path, form=form, sha256=file.sha256, dropped=dropped)
    return replace(whole, source=source)


def _check_alone(source: object, arch: Architecture | None) -> None:
    """Refuse an architecture for what has one."""
    if arch is not None:
        framework = "PyTorch" if is_module(source) else "Keras"
        raise UsageError(
            f"a model of {framework} in memory has an architecture of its own",
            context=f"arch, and an object of type {type(source).__name__}",
            hint="give the weights as a file, or the model without arch",
            code="two-architectures",
        )


def _opened(source: object) -> tuple[File, str]:
    """What the source begins with, and what it is called."""
    if not isinstance(source, str | os.PathLike) and (
        isinstance(source, bytes) or hasattr(source, "read")
    ):
        file = InMemory.of(source)  # type: ignore[arg-type]  # it has a read()
        return file, file.path
    first = File.at(first_file(source))  # type: ignore[arg-type]  # it says what is no path
    return first, os.fspath(source)  # type: ignore[call-overload]
