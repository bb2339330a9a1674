"""A model of Keras in memory: what it says of itself, and its variables, read when they are wanted.

Nothing is imported for it: the object has brought its own Keras, by whose classes it is known. Its
config is what `model.to_json()` gives, and a weight is found as in an archive: by the attributes
that lead to it, and its number there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeGuard

import numpy as np

from converter.arrays import as_array, sha256
from converter.description import Era, Model, Stored
from converter.errors import FormatError, ReadError, UnsupportedError, UsageError
from converter.gates import Array
from converter.readers import strict
from converter.readers.beside import sha256_of
from converter.readers.file import InMemory
from converter.readers.keras.architecture import LayerPart, ModelPart, read_model
from converter.readers.keras.archive import CONFIG
from converter.readers.keras.assembly import assembled
from converter.readers.keras.era import Writer
from converter.readers.keras.folders import places, snake_case
from converter.readers.keras.hdf5 import Dataset
from converter.readers.keras.weights import Expected, Found, Key, checked, missing, surplus
from converter.readers.strict import named

HOMES = ("keras.", "tf_keras.", "tensorflow.python.keras.")
"""Where the classes of a Keras are."""

DONE = (
    "build_config",
    "compile_config",
    "build_input_shape",
    "shared_object_id",
    "module",
    "registered_name",
)
"""What a config says of what was done with a model: that it was compiled, called, or saved.

tf_keras leaves the last two out of inner models once it has saved an `.h5`; an id is a place in
the memory of one process.
"""

OWN = (
    ("_trainable_variables", "_non_trainable_variables"),
    ("_trainable_weights", "_non_trainable_weights"),
)
"""The variables of a layer without those of its parts, in Keras 3 and before."""


class KerasModel(Protocol):
    """A `keras.Model` of any Keras, as far as it is looked at."""

    @property
    def name(self) -> str:
        """That of the model."""

    @property
    def layers(self) -> Sequence[Any]:
        """In order."""

    def to_json(self) -> str:
        """Its class and config."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of itself.

    Attributes:
        called: The model in words, for errors.
        text: Its class and config, the same whatever was done with it.
        document: They as values.
        version: Of its Keras.
        backend: Of Keras 1 and 2.
    """

    called: str
    text: bytes
    document: Any
    version: str
    backend: str


def is_live(source: object) -> TypeGuard[KerasModel]:
    """Whether it is a model of some Keras.

    Raises:
        UsageError: It is a layer, and no model.
    """
    ours = {kind.__name__ for kind in _classes(type(source))}
    if "Layer" in ours and "Model" not in ours:
        raise UsageError(
            "a layer of Keras does not say what goes into it",
            context=f"an object of type {type(source).__name__}",
            hint="put it into a model: keras.Sequential([keras.Input((None, 3)), layer])",
            code="source-type",
        )
    return "Model" in ours


def said(source: KerasModel) -> Said:
    """What a model says of itself.

    Raises:
        UnsupportedError: It says nothing.
    """
    kind = type(source)
    called = f"{kind.__name__} {named(source.name)} in memory"
    try:
        text = source.to_json()
    except Exception as error:  # whatever a get_config raises that somebody wrote
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UnsupportedError(
            f"{called} cannot say what it is made of",
            context=reason if len(reason) <= 300 else f"{reason[:300]}...",
            hint="build it from layers as a Functional model; give own layers a get_config",
            code="no-config",
        ) from error
    document = strict.parse(text, f"the config of {called}")
    version = document.get("keras_version")
    config = {key: _meant(document.get(key)) for key in ("class_name", "config")}
    return Said(
        called=called,
        text=json.dumps(config, sort_keys=True).encode(),
        document={
            key: one for key, one in document.items() if key not in ("keras_version", "backend")
        },
        version=version if isinstance(version, str) else sys.modules[_home(kind)].__version__,
        backend=str(document.get("backend", "")),
    )


def _meant(value: object) -> object:
    """A config without `DONE`."""
    if isinstance(value, list):
        return [_meant(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _meant(one) for key, one in value.items() if key not in DONE}


def _classes(kind: type) -> Iterator[type]:
    """The classes of Keras's own that it is made of."""
    return (one for one in kind.__mro__ if f"{one.__module__}.".startswith(HOMES))


def _home(kind: type) -> str:
    """The package of its Keras."""
    module = next(_classes(kind)).__module__
    return next(home[:-1] for home in HOMES if f"{module}.".startswith(home))


def read(source: KerasModel, era: Era | None) -> Model:
    """The model of an object. It is looked at now; its arrays are read when they are wanted.

    Args:
        source: A `keras.Model`.
        era: What the caller knows better than its Keras.

    Raises:
        FormatError: It is not built.
        UnsupportedError: It has no config, or something that is not read.
    """
    about = said(source)
    writer = Writer.of(about.version, about.called, era, about.backend)
    model = read_model(about.document, about.called)
    if not getattr(source, "built", True):
        raise FormatError(
            f"{about.called} has no weights yet",
            context="built=False: nothing says the shape of its input",
            hint="begin it with keras.Input, or call it once",
            code="not-built",
        )
    arrays: list[tuple[str, _Variable]] = []

    def search(wanted: list[Expected]) -> Found:
        variables = _found(source, model, wanted, writer)
        arrays.extend((one.name, one) for one in variables.values())
        return {key: one.promise() for key, one in variables.items()}

    config = replace(InMemory.of(about.text), path=about.called)
    form = f"{_home(type(source))}.{type(source).__name__} in memory"
    whole = assembled(model, writer, search, config, form)
    hashed = sha256_of([(CONFIG, config), *arrays])
    return replace(whole, source=replace(whole.source, path="", sha256=hashed))


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable as it was when the model was read.

    Attributes:
        name: As an archive would call it.
        model: That it is in, in words.
        part: The object that has it.
        number: In what that object saves.
    """

    name: str
    model: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    part: Any
    number: int
    sha256: str

    def promise(self) -> Stored:
        """It, to be read when it is wanted."""
        return Stored(self.name, self.shape, self.dtype, self.read)

    def read(self) -> Array:
        """The array.

        Raises:
            ReadError: It is no longer the same.
        """
        array = _array(_saved(self.part)[self.number])
        if sha256(array) != self.sha256:
            raise ReadError(
                f"{self.model} changed after it was read",
                context=f"other numbers in {named(self.name)}",
                hint="read it again: converter.read(model)",
                code="changed",
            )
        array.flags.writeable = False
        return array


def _found(
    source: KerasModel, model: ModelPart, wanted: list[Expected], writer: Writer
) -> dict[Key, _Variable]:
    """The variable of each weight that is wanted; the layers must have no others."""
    objects = dict(_objects(model, source))
    place = dict(places(model, {expected.owner for expected in wanted}, writer, old=False))
    found: dict[Key, _Variable] = {}
    left: dict[str, list[str]] = {}
    known: set[int] = set()
    for expected in wanted:
        layer = objects[expected.owner]
        part, path = _walked(layer, expected.inside)
        folder = "/".join((place[expected.owner], *path, "vars"))
        saved = _saved(part)
        if expected.number >= len(saved):
            raise missing(expected, [_name(one) for one in layer.weights])
        names = [f"{folder}/{number}" for number in range(len(saved))]
        name = names[expected.number]
        left.setdefault(folder, names).remove(name)
        known.update(id(one) for one in (_own(part) if _stores_otherwise(part) else saved))
        found[expected.key] = _seen(expected, part, name)
    more = [name for names in left.values() for name in names]
    more += [
        _name(one)
        for layer in objects.values()
        for one in getattr(layer, "weights", ())
        if id(one) not in known
    ]
    if more:
        raise surplus(more, model.file)
    return found


def _seen(expected: Expected, part: Any, name: str) -> _Variable:
    """A variable, as it is now."""
    array = _array(_saved(part)[expected.number])
    checked(expected, Dataset(name, array.shape, array.dtype, None))
    return _Variable(
        name=name,
        model=expected.owner.owner.file,
        shape=array.shape,
        dtype=array.dtype,
        part=part,
        number=expected.number,
        sha256=sha256(array),
    )


def _objects(model: ModelPart, source: Any) -> Iterator[tuple[LayerPart, Any]]:
    """The object of each layer; an operation and an input have none."""
    objects = {one.name: one for one in source.layers}
    for layer in model.layers:
        if layer.name not in objects:
            continue
        one = objects[layer.name]
        if layer.model is None:
            yield layer, one
        else:
            yield from _objects(layer.model, one.layer if layer.model.each_step else one)


def _walked(at: Any, inside: Iterable[str]) -> tuple[Any, list[str]]:
    """The part of a layer to which these attributes lead, None if there is none, and the way.

    In a list, the parts are called by their classes and counted, as in an archive.
    """
    path = []
    for name in inside:
        if isinstance(at, list | tuple):
            at = _of_list(at, name)
        else:
            name = name if hasattr(at, name) else f"_{name}"
            at = getattr(at, name, None)
        path.append(name)
    return at, path


def _of_list(parts: Iterable[Any], name: str) -> Any:
    seen: Counter[str] = Counter()
    for part in parts:
        kind = snake_case(type(part).__name__)
        if name == (f"{kind}_{seen[kind]}" if seen[kind] else kind):
            return part
        seen[kind] += 1
    return None


def _own(part: Any) -> list[Any]:
    """The variables of a layer or of a part of it, without those of what is in it."""
    for names in OWN:
        if hasattr(part, names[0]):
            return [variable for name in names for variable in getattr(part, name)]
    return []


def _saved(part: Any) -> list[Any]:
    """What an archive would have of them: those of LoRA are put together there.

    Keras 3 puts its variables into the store, tf_keras copies of all arrays.
    """
    if not hasattr(part, OWN[0][0]):
        return _own(part)
    store: dict[str, Any] = {}
    part.save_own_variables(store)
    numbers = [str(number) for number in range(len(store))]
    return [store[number] for number in numbers] if set(numbers) == set(store) else []


def _stores_otherwise(part: Any) -> bool:
    """Whether what is saved is made of several variables."""
    return bool(getattr(part, "lora_enabled", False) or getattr(part, "quantization_mode", None))


def _array(variable: Any) -> Array:
    """A copy of a variable, or what was computed of several."""
    array: Array = variable.numpy() if hasattr(variable, "assign") else as_array("", variable, "")
    return array


def _name(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name))
