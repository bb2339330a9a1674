"""A TensorFlow checkpoint alone, `NAME.index` and its shards: weights for an architecture.

`model.save_weights("NAME")` of Keras 2 writes it, and `tf.train.Checkpoint(model=model)`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from converter.description import Model
from converter.errors import FormatError
from converter.readers import table
from converter.readers.beside import sha256_of
from converter.readers.file import File
from converter.readers.keras import tracked
from converter.readers.keras.architecture import ModelPart
from converter.readers.keras.assembly import assembled
from converter.readers.keras.bundle import INDEX, Bundle
from converter.readers.keras.era import Writer

FORM = "TensorFlow checkpoint"


def is_index(file: File) -> bool:
    """Whether a file ends as an index does; how it begins says nothing."""
    if file.size < table.FOOTER:
        return False
    with file.open() as handle:
        handle.seek(-len(table.MAGIC), 2)
        return handle.read() == table.MAGIC


def read(index: File, model: ModelPart, writer: Writer) -> Model:
    """The model of an architecture, with the weights of a checkpoint.

    Args:
        index: The file `NAME.index`.
        model: The architecture, as `architecture.read_model` gives it.
        writer: The Keras that the architecture is of.

    Raises:
        WeightError: It is the checkpoint of another model.
        FormatError: It is damaged, or TensorFlow 1's Saver wrote it.
    """
    bundle = Bundle.at(index)
    whole = assembled(model, writer, partial(tracked.search, bundle, model), index, FORM)
    files = [(Path(file.path).name, file) for file in (index, *bundle.shards)]
    return replace(whole, source=replace(whole.source, sha256=sha256_of(files)))


def without_architecture(index: File) -> FormatError:
    """The error for a checkpoint that no architecture is given for."""
    return FormatError(
        f"{index.path} has weights and no architecture",
        context="a checkpoint of TensorFlow",
        hint="--arch model.json, or another saved model of this architecture",
        code="no-architecture",
    )


def index_of(path: Path) -> Path | None:
    """The index of a checkpoint that is called by its name alone, as TensorFlow does."""
    index = path.with_name(path.name + INDEX) if path.name else path
    return index if index.is_file() and not path.exists() else None
