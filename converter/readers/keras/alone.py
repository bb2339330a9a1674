"""Weights without an architecture: what their names and shapes say, and no more.

A recurrent layer is known by its arrays: 4·U columns are an LSTM's, 3·U a GRU's, U a SimpleRNN's;
a bias of 8·U or 6·U is CuDNN's. Activations, return_sequences and how layers follow each other are
nowhere in such a file, and are not guessed.

Shape letters: F features, U units, G gates.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from converter.description import Direction, Era, Layer, Merge, Recurrent, Stored
from converter.errors import FormatError, UnsupportedError
from converter.readers.file import File, Part
from converter.readers.keras import archive, hdf5, legacy
from converter.readers.keras.era import Writer
from converter.readers.keras.hdf5 import Hdf5
from converter.readers.keras.inferred import UNKNOWN, ArraySet, infer
from converter.readers.keras.weights import damaged
from converter.readers.strict import named

FORM = "Keras weights, without an architecture"

_AHEAD_OR_BACK = re.compile(r"(forward|backward)_.+")
_CELL = re.compile(r"cell|\w*_cell(_\d+)?")
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_VARS = re.compile(r"(?:(.*)/)?vars/(\d{1,4})")
_CUDNN_FOLDER = re.compile(r"cu_dnn(lstm|gru)(_\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose:
    """The weights of one layer.

    Attributes:
        name: As far as the file says it: "lstm_1", "inner/gru".
        what: "LSTM", "Dense", ...; "" where its arrays do not say it.
        arrays: Those that it has, by their names in the file.
        directions: Of a recurrent layer: one, or the forward and the backward one. Their
            activations are what torch.nn computes, not what the file says: it says nothing.
    """

    name: str
    what: str
    arrays: tuple[Stored, ...]
    directions: tuple[Direction, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """A file of weights.

    Attributes:
        version: Of the Keras that wrote it; "" where it does not say.
        era: By the version; that of Keras 3 where it does not say, as files of Keras 3 do not.
    """

    path: str
    sha256: str
    version: str
    era: Era
    layers: tuple[Loose, ...]


def read_alone(file: File) -> Alone | None:
    """What a file of weights says; None if it is none that is known.

    Raises:
        WeightError: The arrays of a recurrent layer do not belong together.
        FormatError: The file is damaged.
    """
    if not file.head.startswith(hdf5.MAGIC):
        return None
    with Hdf5.opened(Part(file, 0, file.size), file.path) as opened:
        version = legacy.about(opened, "keras_version")
        home = next(
            (one for one in ("", legacy.GROUP) if opened.names(one, "layer_names") is not None),
            None,
        )
        found = _of_vars(opened)
        if home is not None:
            found = _of_groups(opened, home, file.path, version)
        sets = list(found)
    if not sets:
        return None
    return Alone(
        path=file.path,
        sha256=file.sha256,
        version=version,
        era=_era(version, sets),
        layers=tuple(_layers(sets, file.path, version)),
    )


def recurrent_layers(file: File) -> tuple[Alone, list[Layer]] | None:
    """The recurrent layers of a file of weights; None if it is none that is known.

    Raises:
        UnsupportedError: What one of them computes cannot be known.
    """
    alone = read_alone(file)
    if alone is None:
        return None
    layers: list[Layer] = []
    for one in alone.layers:
        if UNKNOWN in one.what:
            raise UnsupportedError(
                f"layer {named(one.name)} of {file.path} may be either of two GRUs",
                context="no bias, which would say whether it resets before the product or after",
                hint="--arch model.json, or another saved model of this architecture",
                code="reset-unknown",
            )
        if one.directions:
            ahead, *back = one.directions
            layers.append(
                Recurrent(
                    name=one.name,
                    forward=ahead,
                    backward=back[0] if back else None,
                    merge=Merge.CONCAT if back else None,
                )
            )
    return alone, layers


def _of_groups(opened: Hdf5, home: str, path: str, version: str) -> Iterator[ArraySet]:
    """The sets of Keras 1 and 2: a group a layer of the model, its arrays by their names."""
    inside = f"{home}/" if home else ""
    present = set(opened.datasets(skip=legacy.NOT_LAYERS))
    seen: set[str] = set()
    for group in opened.names(home, "layer_names") or []:
        sets: dict[str, ArraySet] = {}
        for name in opened.names(f"{inside}{group}", "weight_names") or []:
            entry = legacy.Entry.of(group, name)
            where = f"{inside}{entry.path}"
            if where in seen:
                raise damaged(path, f"{named(where)} is listed twice")
            if where not in present:
                raise damaged(path, f"{named(where)} is listed and not there")
            seen.add(where)
            if version.startswith("1.") or not version:
                entry = entry.of_keras_1(("kernel", "recurrent_kernel", "bias"))
            place = "/".join((group, *entry.folders))
            one = sets.get(place) or _named_set(group, entry.folders)
            sets[place] = one
            if entry.name in one.arrays:
                raise damaged(path, f"two arrays {named(entry.name)} in {named(place)}")
            one.arrays[entry.name] = opened.stored(opened.dataset(where), entry.path)
        if len({one.name for one in sets.values()}) == 1:
            for one in sets.values():
                one.name = group
        yield from sets.values()


def _named_set(group: str, folders: tuple[str, ...]) -> ArraySet:
    ahead = [match[1] for folder in folders if (match := _AHEAD_OR_BACK.fullmatch(folder))]
    own = "/".join(
        folder
        for folder in folders
        if not _AHEAD_OR_BACK.fullmatch(folder) and not _CELL.fullmatch(folder)
    )
    name = own if f"{own}/".startswith(f"{group}/") else f"{group}/{own}".rstrip("/")
    return ArraySet(name, ahead[0] if ahead else "", "/".join((group, *folders)), by_names=True)


def _of_vars(opened: Hdf5) -> Iterator[ArraySet]:
    """The sets of Keras 3: folders that are called after classes, and numbers."""
    sets: dict[str, ArraySet] = {}
    for path in opened.datasets(skip=archive.NOT_LAYERS):
        match = _VARS.fullmatch(path.replace("\\", "/"))
        if match is None or not match[1] or archive.RANDOM in match[1].split("/"):
            continue
        if match[1] not in sets:
            sets[match[1]] = _numbered_set(opened, match[1])
        sets[match[1]].arrays[match[2]] = opened.stored(opened.dataset(path), path)
    yield from sets.values()


def _numbered_set(opened: Hdf5, place: str) -> ArraySet:
    """The names of the layers stand beside their numbers since Keras 3.6 or so."""
    folders = place.split("/")
    names, direction, recurrent = [], "", False
    for k, folder in enumerate(folders):
        if folder in ("forward_layer", "backward_layer"):
            direction = folder.removesuffix("_layer")
        elif _CELL.fullmatch(folder):
            recurrent = True
        elif folder not in (*_CONTAINERS, "layer", "cells"):
            recurrent = recurrent or bool(_CUDNN_FOLDER.fullmatch(folder))
            known = opened.text("/".join((*folders[: k + 1], "vars")), "name")
            names.append(known or folder)
    return ArraySet("/".join(names), direction, place, by_names=False, recurrent=recurrent)


def _layers(sets: list[ArraySet], path: str, version: str) -> Iterator[Loose]:
    counts = Counter((one.name, one.direction) for one in sets)
    for one in sets:
        if counts[one.name, one.direction] > 1:
            one.name = one.place
    order: dict[str, list[ArraySet]] = {}
    for one in sets:
        order.setdefault(one.name, []).append(one)
    for name, together in order.items():
        both = {one.direction: one for one in together}
        if set(both) == {"forward", "backward"}:
            together = [both["forward"], both["backward"]]
        read = [infer(one, path, version) for one in together]
        arrays = tuple(stored for one in together for stored in one.arrays.values())
        directions = [direction for _, direction in read if direction is not None]
        whole = len(directions) == len(together) and len(together) <= 2
        words = list(dict.fromkeys(what for what, _ in read))
        yield Loose(
            name=name,
            what=" and ".join(words) if all(words) else "",
            arrays=arrays,
            directions=tuple(directions) if whole else (),
        )


def _era(version: str, sets: list[ArraySet]) -> Era:
    try:
        return Writer.of(version, "").era
    except FormatError:  # it says nothing: weights of Keras 1 do so, and those of Keras 3
        return Era.KERAS_1 if sets[0].by_names else Era.KERAS_3
