"""Weights in one file, their architecture in another.

The weights are what `model.save_weights` wrote: `.weights.h5` of Keras 3 and of Keras 2.12 to 2.15,
`.h5` of Keras 1 and 2, shards and their JSON, a checkpoint of TensorFlow; or those of a whole
model, whose config is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from converter.description import Era, Model
from converter.errors import FormatError
from converter.readers import zipped
from converter.readers.beside import sha256_of
from converter.readers.file import File, Part
from converter.readers.keras import archive, checkpoint, hdf5, legacy, shards
from converter.readers.keras.architecture import ModelPart
from converter.readers.keras.assembly import assembled
from converter.readers.keras.blueprint import Blueprint
from converter.readers.keras.both_biases import given_back
from converter.readers.keras.era import Writer
from converter.readers.keras.hdf5 import Hdf5
from converter.readers.keras.weights import Expected, Found, Wanted
from converter.readers.strict import shown
from converter.readers.torch import checkpoint as torch_checkpoint
from converter.readers.torch import matched

FORM = "Keras weights"


def read(file: File, blueprint: Blueprint, era: Era | None) -> Model:
    """The model of an architecture, with the weights of a file.

    Args:
        file: Of the weights.
        blueprint: The architecture.
        era: What the caller knows better than both files.

    Raises:
        WeightError: A weight is missing, surplus or misshapen.
        FormatError: It has no weights, or is damaged.
    """
    model = blueprint.model()
    if torch_checkpoint.is_checkpoint(file):
        whole = _in_checkpoint(file, model, blueprint.writer(era, "", ""))
    elif file.head.startswith(zipped.MAGIC):
        opened = partial(archive.opened_weights, file)
        whole = _in_vars(opened, file, model, blueprint.writer(era, "", ""))
    elif file.head.startswith(hdf5.MAGIC):
        whole = _in_hdf5(file, blueprint, model, era)
    elif shards.is_map(file):
        whole = _in_shards(file, model, blueprint.writer(era, "", ""))
    elif checkpoint.is_index(file):
        whole = checkpoint.read(file, model, blueprint.writer(era, "", ""))
    else:
        raise FormatError(
            f"{file.path} has no weights for an architecture",
            context=f"it begins with {shown(file.head.decode('latin-1'))}",
            hint="give what model.save_weights wrote, or a whole model without --arch",
            code="no-weights",
        )
    weights = replace(file, sha256=whole.source.sha256)
    source = replace(
        whole.source,
        form=f"{whole.source.form} and the architecture in {blueprint.name}",
        sha256=sha256_of([(Path(file.path).name, weights), (blueprint.name, blueprint)]),
    )
    return replace(whole, source=source)


def _in_checkpoint(file: File, model: ModelPart, writer: Writer) -> Model:
    """A checkpoint of PyTorch: its tensors take the places of weights that are never read."""

    def promised(wanted: list[Expected]) -> Found:
        promise = Wanted()
        return {one.key: promise(one) for one in wanted}

    hollow = assembled(model, writer, promised, file, "")
    return matched.fill(hollow, torch_checkpoint.read(file))


def _in_hdf5(file: File, blueprint: Blueprint, model: ModelPart, era: Era | None) -> Model:
    content = Part(file, 0, file.size)
    with Hdf5.opened(content, file.path) as opened:
        version, backend = (legacy.about(opened, key) for key in ("keras_version", "backend"))
        homes = [
            home for home in ("", legacy.GROUP) if opened.names(home, "layer_names") is not None
        ]
        in_vars = any("/vars/" in f"/{name}" for name in opened.datasets())
    writer = blueprint.writer(era, version, backend)
    if not homes:
        if not in_vars:
            raise FormatError(
                f"{file.path} is an HDF5 file without the weights of a model",
                context="no layer_names in it, and no layers",
                hint="give what model.save_weights wrote",
                code="no-weights",
            )
        return _in_vars(partial(Hdf5.opened, content, file.path), file, model, writer)

    def search(wanted: list[Expected]) -> Found:
        with Hdf5.opened(content, file.path) as weights:
            return legacy.search_groups(weights, wanted, model, writer, file.path, homes[0])

    whole = assembled(model, writer, search, file, f"{FORM} (.h5)", by_name=True)
    return given_back(whole, partial(Hdf5.opened, content, file.path))


def _in_vars(
    opened: Callable[[], AbstractContextManager[Hdf5]], file: File, model: ModelPart, writer: Writer
) -> Model:
    def search(wanted: list[Expected]) -> Found:
        with opened() as weights:
            return archive.search_vars(weights, wanted, model, writer, file.path)

    return given_back(assembled(model, writer, search, file, f"{FORM} (.weights.h5)"), opened)


def _in_shards(file: File, model: ModelPart, writer: Writer) -> Model:
    files = shards.shards_of(file)

    def search(wanted: list[Expected]) -> Found:
        with shards.Shards.all_opened(files, file.path) as weights:
            return archive.search_vars(weights, wanted, model, writer, file.path)

    whole = assembled(model, writer, search, file, f"{FORM} (.weights.json, {len(files)} shards)")
    named = [(Path(file.path).name, file), *files]
    return replace(whole, source=replace(whole.source, sha256=sha256_of(named)))
