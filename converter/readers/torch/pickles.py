"""What a pickle of PyTorch may say: tensors in storages, dictionaries of them, and settings.

A tensor is a view of a storage, which lies outside of the pickle. Of what else is in a checkpoint,
a new object of any class is held as the name of the class and its state, and is never made; a call
of a function is refused unless it stands in the table here (torch/serialization.py, torch/_utils.py
and torch/_weights_only_unpickler.py say which PyTorch writes itself).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from converter.readers.pickle_language import Arguments, Global, Language, Made, is_key, refuse
from converter.readers.strict import named

HINT = "save plain tensors: torch.save(model.state_dict(), path)"
MAX_STEPS = 500_000
MAX_AXES = 32
MAX_SIZE = 2**62
MAX_REPEATED = 2**24
"""Elements of a tensor that has more of them than its storage: one that was expanded."""

# fmt: off
DTYPES: Mapping[str, str] = {
    "float64": "float64", "double": "float64",
    "float32": "float32", "float": "float32",
    "float16": "float16", "half": "float16",
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "float8_e4m3fn", "float8_e5m2": "float8_e5m2",
    "complex64": "complex64", "complex128": "complex128",
    "int64": "int64", "long": "int64",
    "int32": "int32", "int": "int32",
    "int16": "int16", "short": "int16",
    "int8": "int8", "uint8": "uint8",
    "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
    "bool": "bool",
}
"""torch.NAME as NumPy's dtype."""

STORAGES: Mapping[str, str] = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8", "_UntypedStorage": "uint8",
}
"""Classes of storages; torch.UntypedStorage is bytes, of which the tensor says the dtype."""
# fmt: on

SMALL = ("float8_e4m3fn", "float8_e5m2", "bfloat16")
"""Dtypes that ml_dtypes adds to NumPy."""


def dtype_of(name: str) -> np.dtype[Any]:
    """NumPy's dtype of one of `DTYPES`."""
    if name in SMALL:
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return found
    return np.dtype(name)


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """Bytes outside of the pickle.

    Attributes:
        key: Their name: "0", "1", ...
        dtype: Of its elements, as the pickle says it.
        count: How many elements.
    """

    key: str
    dtype: np.dtype[Any]
    count: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * self.dtype.itemsize


class Tensor(Made):
    """A view of a storage.

    Attributes:
        storage: What it is a view of.
        dtype: Of its elements.
        offset: Of its first element in the storage, in elements.
        shape: Its axes.
        strides: From one element to the next of each axis, in elements.
    """

    def __init__(
        self,
        storage: Storage,
        dtype: np.dtype[Any],
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
    ) -> None:
        self.storage = storage
        self.dtype = dtype
        self.offset = offset
        self.shape = shape
        self.strides = strides

    @property
    def in_order(self) -> bool:
        """Whether its elements lie one behind the other, the last axis first."""
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != step:
                return False
            step *= size
        return True

    def build(self, state: object) -> None:
        """Attributes of Python, on which no number depends."""


class Held(Made):
    """What is not looked into: a new object of a class, or one of a few values of Python.

    Attributes:
        name: Of the class: "argparse.Namespace".
        arguments: With which it was made.
        state: Its attributes, where it has any.
        entries: Of a class that is a dictionary or a list.
    """

    def __init__(self, name: str, arguments: Arguments = ()) -> None:
        self.name = name
        self.arguments = arguments
        self.state: object = None
        self.entries: list[tuple[object, object]] = []

    def build(self, state: object) -> None:
        """Keep the state."""
        self.state = state

    def extend(self, values: list[object]) -> None:
        """Keep the values, by their numbers."""
        self.entries += enumerate(values, len(self.entries))

    def update(self, entries: list[tuple[object, object]]) -> None:
        """Keep the entries."""
        self.entries += entries


class Ordered(Made):
    """An OrderedDict, which every state dict is.

    Attributes:
        entries: By their keys.
    """

    def __init__(self) -> None:
        self.entries: dict[object, object] = {}

    def build(self, state: object) -> None:
        """`_metadata`: the versions of the modules."""

    def update(self, entries: list[tuple[object, object]]) -> None:
        """Take more entries, each once."""
        for key, value in entries:
            if not is_key(key):
                refuse(f"a {type(key).__name__} as a key")
            if key in self.entries:
                refuse(f"two values for the key {named(str(key))}")
            self.entries[key] = value


def _ordered(arguments: Arguments) -> Ordered:
    """`OrderedDict()`, or with a list of pairs."""
    made = Ordered()
    if arguments:
        pairs = arguments[0] if len(arguments) == 1 else None
        if not isinstance(pairs, list | tuple):
            refuse("an OrderedDict of what are no pairs")
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                refuse("an OrderedDict of what are no pairs")
            made.update([(pair[0], pair[1])])
    return made


def _tensor(arguments: Arguments) -> Tensor | Held:
    """`_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`."""
    if len(arguments) not in (6, 7):
        refuse(f"a tensor of {len(arguments)} arguments")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage):
        refuse("a tensor without a storage")
    return _view(storage, storage.dtype, offset, shape, strides, arguments[6:])


def _tensor_1(arguments: Arguments) -> Tensor | Held:
    """`_rebuild_tensor(storage, offset, size, stride)`, before PyTorch 0.4."""
    storage, offset, shape, strides = arguments if len(arguments) == 4 else (None,) * 4
    if not isinstance(storage, Storage):
        refuse("a tensor without a storage")
    return _view(storage, storage.dtype, offset, shape, strides, ())


def _tensor_3(arguments: Arguments) -> Tensor | Held:
    """`_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, ...])`."""
    if len(arguments) not in (7, 8):
        refuse(f"a tensor of {len(arguments)} arguments")
    storage, offset, shape, strides, _, _, said = arguments[:7]
    if not isinstance(storage, Storage):
        refuse("a tensor without a storage")
    name = said.name.removeprefix("torch.") if isinstance(said, Global) else ""
    if name not in DTYPES:
        return Held(f"a tensor of dtype {name or 'unknown'}")
    return _view(storage, dtype_of(DTYPES[name]), offset, shape, strides, arguments[7:])


def _view(
    storage: Storage,
    dtype: np.dtype[Any],
    offset: object,
    shape: object,
    strides: object,
    metadata: Arguments,
) -> Tensor | Held:
    """A view, if it lies within its storage."""
    sizes, steps = _sizes(shape), _sizes(strides)
    if len(sizes) != len(steps):
        refuse(f"a tensor of {len(sizes)} axes and {len(steps)} strides")
    (first,) = _sizes((offset,))
    there = storage.size // dtype.itemsize
    last = first + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    count = prod(sizes)
    if count and last >= there:
        refuse(f"a tensor {sizes} that ends at {last}, in a storage of {there} elements")
    if count > max(there, MAX_REPEATED):
        refuse(f"a tensor {sizes} of {count} elements, in a storage of {there}")
    if metadata and metadata[0]:  # conjugated or negated when it is looked at
        return Held("a tensor that is a view of conjugated or negated numbers")
    return Tensor(storage, dtype, first, sizes, steps)


def _sizes(values: object) -> tuple[int, ...]:
    """Whole numbers that are no less than 0."""
    sizes = values.arguments if isinstance(values, Held) and values.name == "torch.Size" else values
    if not isinstance(sizes, tuple) or len(sizes) > MAX_AXES:
        refuse("a shape or strides that are none")
    if not all(type(size) is int and 0 <= size < MAX_SIZE for size in sizes):
        refuse("a shape or strides that are none")
    return sizes


def _size(arguments: Arguments) -> Held:
    """`torch.Size((2, 3))`."""
    inner = arguments[0] if len(arguments) == 1 else None
    return Held("torch.Size", inner if isinstance(inner, tuple) else ())


def _parameter(arguments: Arguments) -> object:
    """`_rebuild_parameter(data, requires_grad, hooks[, state])`."""
    if len(arguments) not in (3, 4) or not isinstance(arguments[0], Tensor | Held):
        refuse("a parameter without a tensor")
    return arguments[0]


def _restored(arguments: Arguments) -> object:
    """`restore_type_tag(value, type)` and `build_tensorlist(values)` of TorchScript."""
    if not arguments:
        refuse("a value of TorchScript that is none")
    return arguments[0]


def _held(name: str) -> Callable[[Arguments], Held]:
    return partial(Held, name)


def _no_call(name: str) -> Callable[[Arguments], object]:
    def refused(arguments: Arguments) -> object:
        refuse(f"a call of {name} with {len(arguments)} arguments")

    return refused


HELD = (
    *(("torch", name) for name in ("device", "Generator")),
    *(
        ("torch._utils", f"_rebuild_{name}")
        for name in ("qtensor", "sparse_tensor", "nested_tensor", "meta_tensor_no_storage")
    ),
    ("torch.serialization", "_get_layout"),
    ("torch.jit._pickle", "build_intlist"),
    *(("torch.jit._pickle", f"build_{name}list") for name in ("double", "bool")),
    *(
        (module, name)
        for module in ("builtins", "__builtin__")
        for name in ("set", "frozenset", "complex", "slice", "range", "xrange", "bytearray")
    ),
    *(("collections", name) for name in ("Counter", "defaultdict", "deque")),
    ("_codecs", "encode"),
    *(
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("scalar", "_reconstruct")
    ),
    *(("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer")),
    ("numpy", "dtype"),
    *(
        (module, name)
        for module in ("pathlib", "pathlib._local")
        for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    ),
    *(("datetime", name) for name in ("datetime", "date", "timedelta")),
)
"""Calls whose results are settings of a training, or tensors that are not plain: they are held."""

GLOBALS: Mapping[tuple[str, str], Callable[[Arguments], object]] = {
    ("collections", "OrderedDict"): _ordered,
    ("torch._utils", "_rebuild_tensor"): _tensor_1,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch", "Size"): _size,
    ("torch.jit._pickle", "restore_type_tag"): _restored,
    ("torch.jit._pickle", "build_tensorlist"): _restored,
    **{("torch", name): _no_call(f"torch.{name}") for name in DTYPES},
    **{
        (module, name): _no_call(name)
        for module in ("torch", "torch.cuda", "torch.storage")
        for name in STORAGES
    },
    **{(module, name): _held(f"{module}.{name}") for module, name in HELD},
}
"""The calls that may be in a checkpoint."""


def language(take: Callable[[Storage, Arguments], Storage]) -> Language:
    """What a pickle of PyTorch may say.

    Args:
        take: Is given each storage that is named, and what else its id says; gives the one that
            stands for its key.
    """

    def persistent(given: object) -> Storage:
        """("storage", class, key, where it was, elements[, a view of another])."""
        if not isinstance(given, tuple) or len(given) not in (5, 6) or given[0] != "storage":
            refuse("something outside that is no storage")
        kind, key, _, count = given[1:5]
        name = kind.name.rpartition(".")[2] if isinstance(kind, Global) else ""
        if name not in STORAGES:
            refuse(f"a storage of the class {named(name)}")
        if not isinstance(key, str) or type(count) is not int or not 0 <= count < MAX_SIZE:
            refuse("a storage without a key or a size")
        return take(Storage(key, dtype_of(STORAGES[name]), count), given[5:])

    return Language(GLOBALS, persistent, Held, any_keys=True, max_steps=MAX_STEPS, hint=HINT)
