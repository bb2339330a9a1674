"""Arrays that NumPy pickled, and the header of a `.npy`, read as data."""

from __future__ import annotations

import re
from math import prod
from typing import Any, Literal

import numpy as np

from converter.dtypes import numpy_dtype
from converter.gates import Array
from converter.readers import pickled
from converter.readers.pickle_language import Arguments, Global, Known, Made, refuse

MAGIC = b"\x93NUMPY"
WIDTHS: dict[tuple[int, ...], int] = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
"""Bytes of the length of the header, by the version of the format."""

HEADER = re.compile(rb"\{'descr': '\|O', 'fortran_order': False, 'shape': \(\), ?\} *\n")
"""Of one Python object."""

PLAIN = {
    *("f2", "f4", "f8"),
    *("i1", "i2", "i4", "i8"),
    *("u1", "u2", "u4", "u8"),
    "b1",
}
OBJECT = "O8"
BFLOAT16 = "bfloat16"
MAX_AXES = 32
MAX_LENGTH = 2**62


class DType(Made):
    """A dtype: its byte order is known when its state is.

    Attributes:
        plain: The NumPy type; None of Python objects, and before the state is there.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.plain: np.dtype[Any] | None = None

    def build(self, state: object) -> None:
        """(3, byte order, None, None, None, size, alignment, flags)."""
        order = state[1] if isinstance(state, tuple) and len(state) == 8 else None
        if not isinstance(state, tuple) or state[0] != 3 or state[2:5] != (None, None, None):
            refuse(f"the state of the dtype {self.code} is not that of plain numbers")
        if self.plain is not None:
            refuse(f"the dtype {self.code} has two states")
        if self.code == OBJECT:
            return
        if self.code == BFLOAT16:
            if order != "<":
                refuse("bfloat16 with its bytes turned round")
            self.plain = numpy_dtype(BFLOAT16)
        elif order in (("|",) if self.code.endswith("1") else ("<", ">")):
            self.plain = np.dtype(f"{order}{self.code}")
        else:
            refuse(f"the dtype {self.code} has a byte order that it cannot have")


class Pickled(Made):
    """An array, or a list of Python objects in place of one."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.dtype: np.dtype[Any] | None = None
        self.objects: list[object] | None = None
        self._data = memoryview(b"")
        self._order: Literal["C", "F"] = "C"

    def build(self, state: object) -> None:
        """(1, shape, dtype, whether it is in the order of Fortran, data)."""
        if not isinstance(state, tuple) or len(state) != 5 or state[0] != 1:
            refuse("the state of an array is not as NumPy writes it")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, DType) or not isinstance(fortran, bool):
            refuse("the state of an array is not as NumPy writes it")
        if dtype.code == OBJECT:
            if shape != () or fortran or not isinstance(data, list) or len(data) != 1:
                refuse("an array of several Python objects")
            self.objects = data
            return
        self.fill(shape, dtype, "F" if fortran else "C", data)

    def fill(self, shape: object, dtype: object, order: object, data: object) -> None:
        """Take what an array is made of, if it fits together."""
        if self.dtype is not None or self.objects is not None:
            refuse("an array has two states")
        sizes = shape if isinstance(shape, tuple) and len(shape) <= MAX_AXES else (None,)
        if not all(type(size) is int and 0 <= size < MAX_LENGTH for size in sizes):
            refuse("the shape of an array is no shape")
        if not isinstance(dtype, DType) or dtype.plain is None:
            refuse("the dtype of an array is not of plain numbers")
        if order not in ("C", "F") or not isinstance(data, memoryview):
            refuse("the data of an array are not its bytes")
        needed = prod(sizes) * dtype.plain.itemsize
        if len(data) != needed:
            refuse(f"an array of {len(data)} bytes; expected {needed} for the shape {sizes}")
        self.shape, self.dtype, self._data = sizes, dtype.plain, data
        self._order = "F" if order == "F" else "C"

    def array(self) -> Array:
        """It, in the byte order of this machine; it cannot be written to."""
        found: Array = np.ndarray(self.shape, self.dtype, self._data, order=self._order)
        native = np.array(found, found.dtype.newbyteorder("="), order="C")
        native.flags.writeable = False
        return native


def _dtype(arguments: Arguments) -> DType:
    """`numpy.dtype(code, False, True)`."""
    code = arguments[0] if len(arguments) == 3 and arguments[1:] == (False, True) else None
    if isinstance(code, Global) and code.make is _bfloat16:
        return DType(BFLOAT16)
    if isinstance(code, str) and (code in PLAIN or code == OBJECT):
        return DType(code)
    return refuse("a dtype that is not of plain numbers")


def _reconstruct(arguments: Arguments) -> Pickled:
    """`_reconstruct(numpy.ndarray, (0,), b"b")`: an array to be filled."""
    if len(arguments) != 3 or arguments[1:] != ((0,), b"b"):
        refuse("an array is not made as NumPy does it")
    if not isinstance(arguments[0], Global) or arguments[0].make is not _ndarray:
        refuse("an array of a class that is not numpy.ndarray")
    return Pickled()


def _frombuffer(arguments: Arguments) -> Pickled:
    """`_frombuffer(data, dtype, shape, order)`, of protocol 5."""
    if len(arguments) != 4:
        refuse("an array is not made as NumPy does it")
    data, dtype, shape, order = arguments
    made = Pickled()
    made.fill(shape, dtype, order, data)
    return made


def _ndarray(arguments: Arguments) -> object:
    refuse(f"a call of numpy.ndarray with {len(arguments)} arguments")


def _bfloat16(arguments: Arguments) -> object:
    refuse(f"a call of bfloat16 with {len(arguments)} arguments")


GLOBALS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("ml_dtypes", "bfloat16"): _bfloat16,
}
"""What NumPy itself writes of arrays of plain numbers."""


def read_object(member: bytes, known: Known, what: str) -> object:
    """The one Python object of a `.npy`, as data.

    Args:
        member: The whole `.npy`.
        known: The globals that may be in it.
        what: What it is, in words, for the error.

    Raises:
        FormatError: It is no such file, or has what is not known.
    """
    version = tuple(member[len(MAGIC) : len(MAGIC) + 2])
    start = len(MAGIC) + 2 + WIDTHS.get(version, 0)
    size = int.from_bytes(member[len(MAGIC) + 2 : start], "little")
    header = member[start : start + size]
    if not member.startswith(MAGIC) or version not in WIDTHS or not HEADER.fullmatch(header):
        raise pickled.damaged(what, "its header is not that of one object of NumPy")
    found = pickled.read(member[start + size :], known, what)
    if not isinstance(found, Pickled) or found.objects is None:
        raise pickled.damaged(what, "it holds no object of NumPy")
    return found.objects[0]
