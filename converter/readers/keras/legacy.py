"""`.h5`: a whole model in HDF5, as Keras wrote it before `.keras` and still writes it.

The attribute `model_config` has the config. `model_weights` has a group for each layer of the
model, with the attribute `weight_names`: paths in the group, in the order of Keras's own
`trainable_weights + non_trainable_weights`. All weights of an inner model are in its one group.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from converter.description import Era, Model
from converter.errors import ConverterError, FormatError, WeightError
from converter.gates import BOTH_BIASES
from converter.readers.file import File, Part
from converter.readers.keras.architecture import ModelPart, read_model
from converter.readers.keras.assembly import assembled
from converter.readers.keras.both_biases import given_back
from converter.readers.keras.era import Writer
from converter.readers.keras.hdf5 import Hdf5
from converter.readers.keras.weights import Expected, Found, checked, damaged, missing, surplus
from converter.readers.strict import named, parse

FORM = "Keras HDF5"
GROUP = "model_weights"
OF_THE_MODEL = "top_level_model_weights"
KERAS_1 = re.compile(r"(.+)_([WUb](?:_[ifcozrh])?|gamma|beta|running_(?:mean|std))")
KERAS_1_NAMES = {
    "W": ("kernel", "embeddings"),
    "U": ("recurrent_kernel",),
    "b": ("bias",),
    "running_mean": ("moving_mean",),
    "running_std": ("moving_variance",),
}
"""What Keras 2 calls the weights of Keras 1."""

NOT_LAYERS = frozenset({"optimizer_weights", BOTH_BIASES})


@dataclass(frozen=True, slots=True)
class Entry:
    """A weight that a group lists.

    Attributes:
        path: From `model_weights` on.
        folders: The names that its path goes through in the group.
        name: The last part, without TensorFlow's ":0".
    """

    path: str
    folders: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, group: str, weight: str) -> Entry:
        """The entry of that name in that group."""
        *folders, name = re.sub(r":\d+$", "", weight).split("/")
        return cls(f"{group}/{weight}", tuple(folders), name)

    def of_keras_1(self, names: Collection[str]) -> Entry:
        """With the layer in its path, and one of these names: "lstm_1_W" is lstm_1/kernel."""
        parts = KERAS_1.fullmatch(self.name)
        if not parts:
            return self
        now = next((name for name in KERAS_1_NAMES.get(parts[2], ()) if name in names), parts[2])
        return replace(self, folders=(*self.folders, parts[1]), name=now)

    def seen_as(self, names: Collection[str]) -> Entry:
        """With one of these names, where it is one that TensorFlow 1 counted: "kernel_1"."""
        counted = re.fullmatch(r"(.+)_\d+", self.name)
        if self.name in names or not counted or counted[1] not in names:
            return self
        return replace(self, name=counted[1])


def read(file: File, era: Era | None) -> Model:
    """The model of an HDF5 file.

    Args:
        file: It begins as HDF5 does.
        era: What the caller knows better than the file.
    """
    document, version, backend = config_of(file)
    writer = Writer.of(version, file.path, era, backend)
    model = read_model(document, file.path)
    content = Part(file, 0, file.size)

    def search(wanted: list[Expected]) -> Found:
        with Hdf5.opened(content, file.path) as weights:
            return search_groups(weights, wanted, model, writer, file.path)

    whole = assembled(model, writer, search, file, FORM, by_name=True)
    return given_back(whole, lambda: Hdf5.opened(content, file.path))


def config_of(file: File) -> tuple[object, str, str]:
    """The config of the model in an HDF5 file, and the version and the backend that it names.

    Raises:
        FormatError: It has none.
    """
    with Hdf5.opened(Part(file, 0, file.size), file.path) as opened:
        document = opened.text("", "model_config")
        if document is None:
            raise _no_architecture(file, opened)
        version, backend = (about(opened, key) for key in ("keras_version", "backend"))
    return parse(document, f"model_config of {file.path}"), version, backend


def about(opened: Hdf5, key: str) -> str:
    """What the file says of its writer; "" where it says nothing."""
    return opened.text("", key) or opened.text(GROUP, key) or ""


def as_saved(wanted: list[Expected], model: ModelPart) -> list[Expected]:
    """In the order of the config, which is that of the weights in a group."""
    place = {layer: k for k, layer in enumerate(model.everything())}
    return sorted(wanted, key=lambda expected: place[expected.owner])


def _no_architecture(file: File, opened: Hdf5) -> ConverterError:
    """The error for a file without a config: weights alone, or something else."""
    weights = opened.names("", "layer_names") is not None
    if weights or any(name.startswith(("layers/", "_layer")) for name in opened.datasets()):
        return FormatError(
            f"{file.path} has weights and no architecture",
            context="no model_config in it",
            hint="--arch model.json, or another saved model of this architecture; "
            "ifco inspect says what the weights alone tell",
            code="no-architecture",
        )
    return FormatError(
        f"{file.path} is an HDF5 file, but not a model of Keras",
        context="no model_config in it",
        hint="give a .keras or .h5 file that model.save wrote",
        code="not-a-model",
    )


def search_groups(
    weights: Hdf5,
    wanted: list[Expected],
    model: ModelPart,
    writer: Writer,
    path: str,
    home: str = GROUP,
) -> Found:
    """Each weight that is wanted; there must be no others.

    Args:
        weights: The file.
        wanted: By the layers of `model`.
        model: Whose weights they are.
        writer: Who wrote the weights.
        path: Of the file, for the errors.
        home: Where the groups of the layers are: at the root, "", in a file of weights alone.
    """
    by_group: dict[str, list[Expected]] = {}
    for expected in as_saved(wanted, model):
        by_group.setdefault(expected.owner.top.name, []).append(expected)
    groups = weights.names(home, "layer_names")
    if groups is None:
        raise damaged(path, f"no layer_names in {home or 'it'}")
    inside = f"{home}/" if home else ""
    listed: dict[str, list[Entry]] = {}
    for group in groups if OF_THE_MODEL in groups else [*groups, OF_THE_MODEL]:
        if group in listed:
            raise damaged(path, f"layer {named(group)} twice")
        names = weights.names(f"{inside}{group}", "weight_names") or []
        listed[group] = [Entry.of(group, name) for name in names]
    present = set(weights.datasets(skip=NOT_LAYERS))
    paths = [f"{inside}{entry.path}" for entries in listed.values() for entry in entries]
    if len(set(paths)) < len(paths):
        raise damaged(path, "a weight that is listed twice")
    if left := [name for name in paths if name not in present]:
        raise damaged(path, f"{named(left[0])} is listed and not there")
    if left := sorted(present - set(paths)):
        raise surplus(left, path)
    by_group = _named_by_order(by_group, [name for name, one in listed.items() if one], model)
    if not home:
        by_group = _by_order(by_group, [name for name, entries in listed.items() if entries])
    found = {}
    for group, expected_here in by_group.items():
        entries = listed.pop(group, [])
        if writer.era is Era.KERAS_1:
            here = {expected.name for expected in expected_here}
            entries = [entry.of_keras_1(here) for entry in entries]
        for expected, entry in matched(expected_here, entries, path):
            dataset = checked(expected, weights.dataset(f"{inside}{entry.path}"))
            found[expected.key] = weights.stored(dataset, entry.path)
    if left := [entry.path for entries in listed.values() for entry in entries]:
        raise surplus(left, path)
    return found


def _named_by_order(
    by_group: dict[str, list[Expected]], groups: list[str], model: ModelPart
) -> dict[str, list[Expected]]:
    """With the names of the groups for the layers whose names a config of Keras 1 or 2 leaves out.

    They are Sequential models. Keras itself loads groups by their order, which is the layers'.
    """
    unnamed = {layer.name for layer in model.layers if layer.unnamed} & set(by_group)
    named_here = {layer.name for layer in model.layers if not layer.unnamed}
    left = [group for group in groups if group not in named_here]
    if not unnamed or len(left) != len(unnamed):
        return by_group
    others = iter(left)
    return {
        next(others) if name in unnamed else name: expected for name, expected in by_group.items()
    }


def _by_order(by_group: dict[str, list[Expected]], groups: list[str]) -> dict[str, list[Expected]]:
    """With the names of the groups: by order where the names are others, as `load_weights` does.

    The layers of a model that is built once more are called `lstm_3` instead of `lstm_1`, and so
    are the parts of a Bidirectional.
    """
    if set(by_group) == set(groups) or len(by_group) != len(groups):
        return by_group
    return {
        group: [
            replace(
                expected,
                hints=tuple(
                    (*names, *(re.sub(r"_\d+$", "", name) for name in names))
                    for names in expected.hints
                ),
            )
            for expected in here
        ]
        for group, here in zip(groups, by_group.values(), strict=True)
    }


def matched(
    wanted: list[Expected], entries: list[Entry], path: str
) -> Iterable[tuple[Expected, Entry]]:
    """Which entry is which weight: by names where they say it, else in Keras's order.

    Raises:
        WeightError: One is missing or surplus, or it cannot be said which is which.
    """
    names = {expected.name for expected in wanted}
    entries = [entry.seen_as(names) for entry in entries]
    index = _Index(entries)
    candidates = []
    for expected in wanted:
        if found := index.candidates(expected):
            candidates.append(found)
        elif not expected.by_name:
            raise missing(expected, [entry.path for entry in entries])
    wanted = [one for one in wanted if not one.by_name or index.candidates(one)]
    used = {found[0].path for found in candidates}
    if all(len(found) == 1 for found in candidates) and len(used) == len(wanted):
        if left := [entry.path for entry in entries if entry.path not in used]:
            raise surplus(left, path)
        return [(expected, found[0]) for expected, found in zip(wanted, candidates, strict=True)]
    return _in_order(wanted, entries, path)


class _Index:
    """The entries of a group by their names, and by the folders that their paths go through.

    TensorFlow 1 counted names that it saw again: `dense_1` may stand there for `dense`.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self._named: dict[str, list[Entry]] = {}
        self._exact: dict[tuple[str, str], list[Entry]] = {}
        self._counted: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            self._named.setdefault(entry.name, []).append(entry)
            for folder in dict.fromkeys(entry.folders):
                self._exact.setdefault((entry.name, folder), []).append(entry)
                while counted := re.fullmatch(r"(.+)_\d+", folder):
                    folder = counted[1]
                    self._counted.setdefault((entry.name, folder), []).append(entry)

    def candidates(self, expected: Expected) -> list[Entry]:
        """The entries whose path can mean this weight.

        A layer of an inner model may stand in the path by its name, and so may the forward and the
        backward part, and a cell of several in one. Where one does, only the entries with it are
        left.
        """
        names = expected.owner.path.split("/")[1:]
        for hints in [*reversed(expected.hints), *((name,) for name in reversed(names))]:
            for index in (self._exact, self._counted):
                found = [
                    entry
                    for hint in dict.fromkeys(hints)
                    for entry in index.get((expected.name, hint), ())
                ]
                if found:
                    for outer in expected.hints:
                        found = [one for one in found if set(outer) & set(one.folders)] or found
                    return _through(found, names)
        return self._named.get(expected.name, [])


def _through(entries: list[Entry], names: list[str]) -> list[Entry]:
    """Those whose path goes through all of these folders, if there are such."""
    return [entry for entry in entries if set(names) <= set(entry.folders)] or entries


def _in_order(
    wanted: list[Expected], entries: list[Entry], path: str
) -> list[tuple[Expected, Entry]]:
    """The k-th kernel is that of the k-th layer with one: that is how Keras itself loads them.

    The order is that of the layers only where all of them are frozen, or none, and says nothing
    about two parts of one layer, of which one may be frozen.
    """
    pairs: list[tuple[Expected, Entry]] = []
    for name in sorted({expected.name for expected in wanted}):
        expected_here = [expected for expected in wanted if expected.name == name]
        entries_here = [entry for entry in entries if entry.name == name]
        owners = {expected.owner for expected in expected_here}
        frozen = {owner.trainable for owner in owners}
        if len(frozen) > 1 or not len(owners) == len(expected_here) == len(entries_here):
            raise WeightError(
                f"it cannot be said which {name} belongs to which layer of {path}",
                context=", ".join(named(entry.path) for entry in entries_here),
                hint="give the layers different names and save the model again",
                code="ambiguous-weights",
            )
        pairs.extend(zip(expected_here, entries_here, strict=True))
    if len(pairs) < len(entries):
        used = {entry.path for _, entry in pairs}
        raise surplus([entry.path for entry in entries if entry.path not in used], path)
    return pairs
