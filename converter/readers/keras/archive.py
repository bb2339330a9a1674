"""`.keras`: a ZIP archive of config.json, metadata.json and model.weights.h5, since Keras 2.12.

Keras 3 can write model.weights.npz in place of the HDF5 file (npz.py); the paths are the same.
In a folder that was never zipped it calls that model.weights.h5 too.

Weights lie under the snake-case names of the classes, counted in the order of `model.layers`:

    layers/lstm/cell/vars/0                     the first LSTM's kernel
    layers/lstm_1/cell/vars/0                   the second one's
    layers/bidirectional/forward_layer/cell/vars/0
    layers/time_distributed/layer/vars/0
    layers/functional/layers/dense/vars/0       a model in the model

Keras 2.12 to 2.14 write `_layer_checkpoint_dependencies` for `layers`. 2.12 and 2.13 count a layer
with weights twice there, so that the second LSTM is `lstm_2`. On Windows they wrote backslashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from converter.description import Era, Model
from converter.errors import FormatError
from converter.gates import BOTH_BIASES
from converter.readers import zipped
from converter.readers.beside import beside, is_beside, sha256_of
from converter.readers.file import Content, File, Part
from converter.readers.keras import npz
from converter.readers.keras.architecture import ModelPart, read_model
from converter.readers.keras.assembly import assembled
from converter.readers.keras.both_biases import given_back
from converter.readers.keras.era import Writer
from converter.readers.keras.folders import places
from converter.readers.keras.hdf5 import Hdf5
from converter.readers.keras.weights import Expected, Found, checked, damaged, missing, surplus
from converter.readers.strict import MAX_BYTES, named, parse, shown, too_large

FORM = "Keras archive (.keras)"
CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
NOT_LAYERS = frozenset(
    {
        BOTH_BIASES,
        "optimizer",
        "metrics",
        "compile_metrics",
        "_compile_metrics",
        "_metrics",
        "_loss_tracker",
        "loss_tracker",
    }
)
"""Groups beside the layers that no answer depends on."""

RANDOM = "seed_generator"
"""The state of a random number generator, in a group of that name in a layer."""


def read(file: File, era: Era | None) -> Model:
    """The model of an archive.

    Args:
        file: It begins as a ZIP does.
        era: What the caller knows better than the archive.
    """
    return _read(file, _members(file), era, FORM)


def read_folder(file: File, era: Era | None, path: str) -> Model:
    """The model of an archive that was never zipped: `model.save(folder, zipped=False)`.

    Args:
        file: Its config.json, beside which the others are.
        era: What the caller knows better.
        path: As it was given.
    """
    there = [name for name in (WEIGHTS, npz.NAME) if is_beside(file, name)]
    if len(there) > 1:
        raise _both(path)
    weights = there[0] if there else WEIGHTS
    files = {CONFIG: file, METADATA: beside(file, METADATA), weights: beside(file, weights)}
    contents: dict[str, Content] = {name: Part(one, 0, one.size) for name, one in files.items()}
    whole = _read(file, contents, era, f"{FORM}, unzipped")
    source = replace(whole.source, path=path, sha256=sha256_of(files.items()))
    return replace(whole, source=source)


def _read(file: File, contents: dict[str, Content], era: Era | None, form: str) -> Model:
    document, version = _config(file, contents)
    writer = Writer.of(version, file.path, era)
    model = read_model(document, file.path)

    def search(wanted: list[Expected]) -> Found:
        with _opened(contents, file.path) as weights:
            return search_vars(weights, wanted, model, writer, file.path)

    whole = assembled(model, writer, search, file, form)
    return given_back(whole, lambda: _opened(contents, file.path))


def config_of_folder(file: File) -> tuple[object, str, list[tuple[str, File]]]:
    """As `config_of`, of an archive that was never zipped, and the files that say so, by name."""
    files = [(CONFIG, file), (METADATA, beside(file, METADATA))]
    contents: dict[str, Content] = {name: Part(one, 0, one.size) for name, one in files}
    return *_config(file, contents), files


def config_of(file: File) -> tuple[object, str]:
    """The config of the model in an archive, and the version of its writer."""
    return _config(file, _members(file))


def _config(file: File, contents: dict[str, Content]) -> tuple[object, str]:
    metadata = parse(_text(file, contents, METADATA), f"{METADATA} of {file.path}")
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if not isinstance(version, str):
        raise FormatError(
            f"{METADATA} of {file.path} is not as Keras writes it",
            context=f"{shown(metadata)}; expected a keras_version",
            hint="the file may be damaged; save the model again",
            code="config",
        )
    return parse(_text(file, contents, CONFIG), f"{CONFIG} of {file.path}"), version


def opened_weights(file: File) -> AbstractContextManager[Hdf5]:
    """The weights in an archive, in a `with`."""
    return _opened(_members(file), file.path)


@contextmanager
def _opened(contents: dict[str, Content], path: str) -> Iterator[Hdf5]:
    name = npz.NAME if npz.NAME in contents else WEIGHTS
    content = contents[name]
    with content.open() as handle:
        is_zip = handle.read(len(zipped.MAGIC)) == zipped.MAGIC
    if is_zip or name == npz.NAME:
        yield npz.Npz(content, f"{name} of {path}", NOT_LAYERS)
    else:
        with Hdf5.opened(content, path) as weights:
            yield weights


def _members(file: File) -> dict[str, Content]:
    """The members of an archive of Keras."""
    contents = zipped.members(file, (CONFIG, METADATA, WEIGHTS, npz.NAME))
    if WEIGHTS in contents and npz.NAME in contents:
        raise _both(file.path)
    weights = npz.NAME if npz.NAME in contents else WEIGHTS
    for name in (CONFIG, METADATA, weights):
        if name not in contents:
            raise FormatError(
                f"{file.path} is a ZIP archive, but not one of Keras",
                context=f"no {name} in it",
                hint="give a .keras or .h5 file that model.save wrote",
                code="not-a-model",
            )
    return contents


def _both(path: str) -> FormatError:
    return FormatError(
        f"{path} has the weights of two models",
        context=f"{WEIGHTS} and {npz.NAME}; Keras writes one of them",
        hint="save the model again with model.save",
        code="two-weights",
    )


def _text(file: File, contents: dict[str, Content], name: str) -> bytes:
    content = contents[name]
    if content.size > MAX_BYTES:
        raise too_large(f"{name} of {file.path}", content.size)
    with content.open() as handle:
        return handle.read()


def search_vars(
    weights: Hdf5, wanted: list[Expected], model: ModelPart, writer: Writer, path: str
) -> Found:
    """Each weight that is wanted, in the groups of Keras 3; there must be no others."""
    present: dict[str, str] = {}
    for name in weights.datasets(skip=NOT_LAYERS):
        plain = name.replace("\\", "/")
        if plain in present:
            raise damaged(path, f"{named(name)} twice")
        present[plain] = name
    old = any(name.startswith("_layer_checkpoint_dependencies/") for name in present)
    place_of = dict(places(model, {expected.owner for expected in wanted}, writer, old))
    found, used = {}, set()
    for expected in wanted:
        place = "/".join((place_of[expected.owner], *expected.inside, "vars"))
        if expected.inside and f"{place}/0" not in present:  # named for an attribute of Python
            place = "/".join((place_of[expected.owner], f"_{'/'.join(expected.inside)}", "vars"))
        name = f"{place}/{expected.number}"
        if name not in present:
            beside = [other for other in present if other.startswith(place + "/")]
            raise missing(expected, beside or list(present))
        used.add(name)
        dataset = checked(expected, weights.dataset(present[name]))
        found[expected.key] = weights.stored(dataset, present[name])
    left = [
        name
        for plain, name in present.items()
        if plain not in used
        and RANDOM not in plain.split("/")
        and plain.split("/", 1)[0] not in NOT_LAYERS
    ]
    if left:
        raise surplus(left, path)
    return found
