"""From a config and a place to search for weights to a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from converter.description import Model, Source
from converter.readers.file import File
from converter.readers.keras import (  # noqa: F401  each registers its family
    attention,
    conv_recurrent,
    convolution,
    core,
    indexing,
    merging,
    normalization,
    operations,
    pooling,
    preprocessing,
    recurrent,
    resizing,
    rnn,
    shaping,
)
from converter.readers.keras.architecture import ModelPart
from converter.readers.keras.era import Writer
from converter.readers.keras.graph import wire
from converter.readers.keras.weights import Expected, Found, Wanted


def assembled(
    model: ModelPart,
    writer: Writer,
    search: Callable[[list[Expected]], Found],
    file: File,
    form: str,
    *,
    by_name: bool = False,
) -> Model:
    """The model with its weights.

    Args:
        model: As the file has it.
        writer: Who wrote it.
        search: Finds exactly the weights that are wanted, or raises.
        file: Where it is.
        form: Of the file, in words.
        by_name: Names tell the weights of a layer apart, and not their numbers.
    """
    wanted = Wanted()
    wire(model, writer, wanted)
    found = search([one for one in wanted.weights if by_name or not one.by_name])
    source = Source(
        path=file.path, form=form, sha256=file.sha256, version=writer.version, era=writer.era
    )
    return replace(wire(model, writer, lambda expected: found.get(expected.key)), source=source)
