"""`model.weights.npz`: what Keras 3 writes in place of HDF5 where it is told to, or has no h5py.

Each member is a pickle of a dictionary, of one folder of weights: `layers/lstm/cell.npy` has the
entries "0", "1", ... (`NpzIOStore` in saving_lib.py). They are arrays, or variables of Keras with
an array, or with a variable of TensorFlow, which is pickled as a call with an array.
"""

from __future__ import annotations

from typing import Any

from converter.description import Stored
from converter.readers import npy, zipped
from converter.readers.file import Content, InMemory
from converter.readers.keras.hdf5 import Dataset, Hdf5
from converter.readers.keras.weights import damaged
from converter.readers.npy import Pickled
from converter.readers.pickle_language import Arguments, Global, Made, refuse
from converter.readers.strict import named

NAME = "model.weights.npz"
ROOT = "__root__"
SUFFIX = ".npy"
MAX_ARRAYS = 50_000
"""In the whole file; a few bytes of a pickle name one once more."""


class Variable(Made):
    """A variable of Keras, for its array."""

    def __init__(self) -> None:
        self.value: Pickled | None = None

    def build(self, state: object) -> None:
        """Its attributes by their names."""
        value = state.get("_value") if isinstance(state, dict) else None
        if not isinstance(state, dict) or not isinstance(value, Pickled) or self.value:
            refuse("a variable of Keras that has not one array")
        if value.dtype is None or value.shape != state.get("_shape"):
            refuse(f"a variable of Keras whose array has the shape {value.shape}, not its own")
        _check_dtype(value, state.get("_dtype"))
        self.value = value


class Unused(Made):
    """What a variable carries for training; no answer depends on it."""

    def build(self, state: object) -> None:
        """Anything: it is not looked at."""


class Partial(Made):
    """`functools.partial(ResourceVariable, **arguments)`."""

    def __init__(self) -> None:
        self._arguments: dict[str, object] | None = None

    def build(self, state: object) -> None:
        """(function, arguments, arguments by name, None)."""
        if not isinstance(state, tuple) or len(state) != 4 or self._arguments is not None:
            refuse("the state of a variable of TensorFlow is not as it writes it")
        function, arguments, by_name, rest = state
        if not _is(function, _resource) or arguments != () or rest is not None:
            refuse("the state of a variable of TensorFlow is not as it writes it")
        self._arguments = by_name if isinstance(by_name, dict) else {}

    def call(self, arguments: Arguments) -> Pickled:
        """The array of the variable."""
        found = (self._arguments or {}).get("initial_value")
        if arguments or not isinstance(found, Pickled) or found.dtype is None:
            refuse("a variable of TensorFlow without an array")
        _check_dtype(found, (self._arguments or {}).get("dtype"))
        return found


def _check_dtype(array: Pickled, name: object) -> None:
    if array.dtype is None or array.dtype.newbyteorder("=").name != name:
        refuse(f"an array of {array.dtype} in a variable of another dtype")


def _unused(arguments: Arguments) -> Unused:
    if arguments:
        refuse(f"a regularizer or constraint of {len(arguments)} arguments")
    return Unused()


def _is(value: object, make: Any) -> bool:
    return isinstance(value, Global) and value.make is make


def _variable(arguments: Arguments) -> Variable:
    if arguments:
        refuse(f"a variable of Keras of {len(arguments)} arguments")
    return Variable()


def _partial(arguments: Arguments) -> Partial:
    if len(arguments) != 1 or not _is(arguments[0], _resource):
        refuse("a partial call of what is no variable of TensorFlow")
    return Partial()


def _resource(arguments: Arguments) -> object:
    refuse(f"a variable of TensorFlow of {len(arguments)} arguments")


def _as_dtype(arguments: Arguments) -> str:
    name = arguments[0] if len(arguments) == 1 else None
    if not isinstance(name, str):
        refuse("a dtype of TensorFlow without a name")
    return name


REGULARIZERS = ("L1", "L2", "L1L2", "OrthogonalRegularizer")
CONSTRAINTS = ("MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm")

GLOBALS = npy.GLOBALS | {
    ("keras.src.backend", "Variable"): _variable,
    ("keras.src.backend.tensorflow.core", "Variable"): _variable,
    ("keras.src.backend.tensorflow", "Variable"): _variable,
    ("functools", "partial"): _partial,
    ("tensorflow.python.ops.resource_variable_ops", "ResourceVariable"): _resource,
    ("tensorflow.python.framework.dtypes", "as_dtype"): _as_dtype,
    **{("keras.src.regularizers.regularizers", name): _unused for name in REGULARIZERS},
    **{("keras.src.constraints.constraints", name): _unused for name in CONSTRAINTS},
}
"""The only names that may be in such a file."""


class Npz(Hdf5):
    """The arrays by the paths that they have in `model.weights.h5`: "layers/lstm/cell/vars/0".

    Args:
        content: All of the file.
        path: Its name, for the errors.
        skip: Folders that are not looked into.

    Raises:
        FormatError: It is damaged, or is not as Keras writes it.
    """

    def __init__(self, content: Content, path: str, skip: frozenset[str]) -> None:
        self._path = path
        self._arrays: dict[str, Pickled] = {}
        self._datasets: dict[str, Dataset] = {}
        with content.open() as handle:
            data = handle.read()
        file = InMemory(path, len(data), data[:16], "", (), data)
        for member, part in zipped.members(file, (f"*{SUFFIX}",), packed=False).items():
            folder = member.removesuffix(SUFFIX).replace("\\", "/")
            if folder.split("/", 1)[0] not in skip:
                with part.open() as handle:
                    self._add(folder, handle.read(), f"{named(member)} of {file.path}")

    def _add(self, folder: str, member: bytes, what: str) -> None:
        """The entries of one member."""
        entries = npy.read_object(member, GLOBALS, what)
        if not isinstance(entries, dict):
            raise damaged(what, f"a {type(entries).__name__}; expected a dictionary of arrays")
        for key, entry in entries.items():
            array = entry.value if isinstance(entry, Variable) else entry
            if not isinstance(array, Pickled) or array.dtype is None:
                raise damaged(what, f"{named(key)} is a {type(entry).__name__}, and no array")
            name = f"vars/{key}" if folder == ROOT else f"{folder}/vars/{key}"
            if name in self._arrays:
                raise damaged(what, f"{named(name)} twice")
            if len(self._arrays) == MAX_ARRAYS:
                raise damaged(what, f"over {MAX_ARRAYS} arrays in all")
            self._arrays[name] = array
            self._datasets[name] = Dataset(name, array.shape, array.dtype, None)

    def datasets(self, group: str = "", skip: frozenset[str] = frozenset()) -> list[str]:
        """See `Hdf5`."""
        return sorted(name for name in self._arrays if name.split("/", 1)[0] not in skip)

    def dataset(self, path: str) -> Dataset:
        """See `Hdf5`."""
        return self._datasets[path]

    def stored(self, dataset: Dataset, name: str) -> Stored:
        """See `Hdf5`."""
        dtype = dataset.dtype.newbyteorder("=")
        return Stored(name, dataset.shape, dtype, self._arrays[dataset.path].array)
