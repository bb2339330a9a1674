"""Pickles of arrays, read as data: what NumPy writes is read, all else is refused unrun."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from converter.errors import ConverterError, FormatError
from converter.readers import npy, pickled, read
from converter.readers.keras.npz import GLOBALS, NAME
from converter.readers.npy import Pickled
from tests.readers.files import SMALL, SMALL_WEIGHTS, WEIGHTS, archive

Error = Callable[[Callable[[], object]], str]

ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    np.arange(24, dtype=">f2").reshape(2, 3, 4).transpose(2, 0, 1),
    np.arange(4, dtype=">i8"),
    np.array([True, False]),
    np.array(3, np.int8),
    np.zeros((0, 3), np.uint16),
    np.arange(3).astype(ml_dtypes.bfloat16),
]


class Marking:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"mkdir {self.path}",)


def value_of(stream: bytes) -> Any:
    """What a stream holds."""
    return pickled.read(stream, npy.GLOBALS, "it")


def said_of(stream: bytes) -> str:
    """Why a stream is refused."""
    with pytest.raises(FormatError) as caught:
        pickled.read(stream, GLOBALS, "it")
    return caught.value.context or ""


def stored(weights: dict[str, Any], **others: object) -> bytes:
    """The weights as Keras writes them where they are arrays."""
    folders: dict[str, Any] = {}
    for name, array in weights.items():
        folder, _, number = name.rpartition("/vars/")
        folders.setdefault(folder, {})[number] = array
    file = io.BytesIO()
    np.savez(file, **{k: np.array(v, object) for k, v in (folders | others).items()})
    return file.getvalue()


def with_npz(path: Path, data: bytes) -> Path:
    """The small model with its weights in such a file."""
    return archive(path, SMALL, SMALL_WEIGHTS, replaced={WEIGHTS: None, NAME: data})


WRITTEN = [
    (k, protocol) for k in range(len(ARRAYS)) for protocol in (3, 4, 5) if (k, protocol) != (2, 5)
]
"""Protocol 5 has a way of its own for an array that lies neither as in C nor as in Fortran."""


@pytest.mark.parametrize(("which", "protocol"), WRITTEN)
def test_what_numpy_writes_is_read_to_the_bit(which: int, protocol: int) -> None:
    array = ARRAYS[which]
    stream = pickle.dumps({"a": array, "b": [array, "text", -1, 300, 70_000, 2**40]}, protocol)
    found = value_of(stream)
    assert found["b"][1:] == ["text", -1, 300, 70_000, 2**40]
    assert found["b"][0] is found["a"]
    got = found["a"].array()
    assert (got.dtype, got.shape) == (array.dtype.newbyteorder("="), array.shape)
    assert got.tobytes() == array.astype(got.dtype).tobytes()
    assert not got.flags.writeable


def test_other_ways_of_numpy_to_pickle_are_refused() -> None:
    assert said_of(pickle.dumps(ARRAYS[2], 5)) == "an array is not made as NumPy does it"
    assert "it names '_codecs.encode'" in said_of(pickle.dumps(ARRAYS[0], 2))


def test_arrays_of_numpy_1_are_read() -> None:
    stream = pickle.dumps(ARRAYS[0], 3).replace(b"numpy._core", b"numpy.core")
    assert np.array_equal(value_of(stream).array(), ARRAYS[0])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_global_that_is_not_known_is_named_and_never_run(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    stream = pickle.dumps({"a": Marking(str(marker))}, protocol)
    assert said_of(stream) == "it names 'posix.system', which no array needs"
    assert not marker.exists()
    pickle.loads(stream)
    assert marker.exists()


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"", "1 bytes at byte 0, where 0 are left"),
        (b"N.", "it does not begin with a protocol from 2 to 5"),
        (b"\x80\x06N.", "it does not begin with a protocol from 2 to 5"),
        (b"\x80\x04\x82\x01.", "the opcode 0x82 at byte 2"),  # EXT1
        (b"\x80\x04Pid\n.", "the opcode 0x50 at byte 2"),  # PERSID
        (b"\x80\x04NQ.", "something that is kept outside of it"),  # BINPERSID
        (b"\x80\x04(ios\nsystem\n.", "the opcode 0x69 at byte 3"),  # INST
        (b"\x80\x05\x97.", "the opcode 0x97 at byte 2"),  # NEXT_BUFFER
        (b"\x80\x04h\x05.", "the value 5 of the memo"),
        (b"\x80\x04j\xff\xff\xff\xff.", "the value 4294967295 of the memo"),
        (b"\x80\x04B\xff\xff\xff\x7f.", "2147483647 bytes at byte 7, where 1 are left"),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "18446744073709551615 bytes"),
        (b"\x80\x04X\xff\xff\xff\xff.", "4294967295 bytes"),
        (b"\x80\x04\x95" + struct.pack("<Q", 99) + b"N.", "a frame of 99 bytes"),
        (b"\x80\x04\x8a\xff" + b"\x01" * 255 + b".", "a whole number of 255 bytes"),
        (b"\x80\x04\x8c\x01\xff.", "can't decode"),
        (b"\x80\x04N.N.", "something is left at its end"),
        (b"\x80\x04NN.", "something is left at its end"),
        (b"\x80\x04(N.", "something is left at its end"),
        (b"\x80\x04.", "nothing on the stack"),
        (b"\x80\x04t.", "no mark on the stack"),
        (b"\x80\x04Nb.", "nothing on the stack"),
        (b"\x80\x04NNb.", "a state for a NoneType"),
        (b"\x80\x04N)R.", "a call of a NoneType"),
        (b"\x80\x04N)\x81.", "a new object of a NoneType"),
        (b"\x80\x04}NNs.", "a NoneType as a key"),
        (b"\x80\x04}(X\1\0\0\0aNX\1\0\0\0aNu.", "two values for the key 'a'"),
        (b"\x80\x04NNa.", "values for a NoneType"),
        (b"\x80\x04cnumpy", "no end of a name"),
        (b"\x80\x04NN\x93.", "a global named by NoneType and NoneType"),
        (b"\x80\x04cnumpy\nndarray\n)R.", "a call of numpy.ndarray"),
        (b"\x80\x04" + b"N0" * 3 + b".", "the opcode 0x30"),
        (b"\x80\x04)" + b"\x85" * 300_000 + b".", "over 200000 opcodes"),
        (b"\x80\x04" + b"(" * 300_000 + b".", "over 200000 opcodes"),
    ],
    ids=range(34),
)
def test_a_stream_that_no_array_has_is_refused(stream: bytes, reason: str) -> None:
    assert reason in said_of(stream)


def test_deep_nesting_is_held_without_recursion() -> None:
    found = value_of(b"\x80\x04)" + b"\x85" * 150_000 + b".")
    assert len(found) == 1


@pytest.mark.parametrize(
    ("array", "old", "new", "reason"),
    [
        (ARRAYS[0], b"K\x02K\x03\x86", b"K\x02K\x04\x86", "24 bytes; expected 32 for the shape"),
        (ARRAYS[0], b"K\x02K\x03\x86", b"K\x02N\x00\x86", "opcode 0x00"),
        (ARRAYS[0], b"K\x02K\x03\x86", b"K\x02\x88\x88\x87", "the shape of an array is no shape"),
        (ARRAYS[0], b"f4", b"f8", "24 bytes; expected 48"),
        (ARRAYS[0], b"f4", b"O8", "an array of several Python objects"),
        (ARRAYS[0], b"f4", b"U4", "a dtype that is not of plain numbers"),
        (ARRAYS[0], b"f4", b"V4", "a dtype that is not of plain numbers"),
        (ARRAYS[0], b"\x8c\x01<", b"\x8c\x01|", "a byte order that it cannot have"),
        (ARRAYS[7], b"\x8c\x01<", b"\x8c\x01>", "bfloat16 with its bytes turned round"),
        (ARRAYS[0], b"C\x01b", b"C\x01c", "an array is not made as NumPy does it"),
        (ARRAYS[0], b"\x8c\x07ndarray", b"\x8c\x06matrix", "it names 'numpy.matrix'"),
    ],
    ids=range(11),
)
def test_an_array_that_does_not_fit_together_is_refused(
    array: np.ndarray, old: bytes, new: bytes, reason: str
) -> None:
    stream = unframed(array)
    assert isinstance(value_of(stream), Pickled)
    assert stream.count(old) == 1
    assert reason in said_of(stream.replace(old, new))


def unframed(value: object) -> bytes:
    """A stream of protocol 4 without its frame, so that its length may change."""
    stream = pickle.dumps(value, 4)
    return stream[:2] + stream[11:]


@pytest.mark.parametrize("array", [np.array(["text"]), np.zeros(2, "f4,i4"), np.array([{}])])
def test_arrays_of_what_is_no_number_are_refused(array: np.ndarray) -> None:
    assert said_of(pickle.dumps(array, 4))


def test_a_model_with_weights_in_npz_is_the_one_in_hdf5(file: Path) -> None:
    plain = read(archive(file.with_name("plain"), SMALL, SMALL_WEIGHTS))
    for others in ({}, {"optimizer": {"0": "x"}}):
        model = read(with_npz(file, stored(SMALL_WEIGHTS, **others)))
        for one, other in zip(model.layers, plain.layers, strict=True):
            assert one.weights.keys() == other.weights.keys()
            for weight, twin in zip(one.weights.values(), other.weights.values(), strict=True):
                for a, b in zip(weight.stored, twin.stored, strict=True):
                    assert a.name == b.name
                    assert a.read().tobytes() == b.read().tobytes()


def test_the_error_names_the_member_and_the_global(
    file: Path, tmp_path: Path, error_of: Error
) -> None:
    marker = tmp_path / "marker"
    data = stored(SMALL_WEIGHTS, **{"layers/evil": Marking(str(marker))})
    assert error_of(lambda: read(with_npz(file, data))) == (
        "error[pickle-global]: 'layers/evil.npy' of model.weights.npz of model is a pickle of "
        "Python objects, which is never run\n"
        "  found: it names 'posix.system', which no array needs\n"
        "  help:  save the model again with model.save, with h5py installed"
    )
    assert not marker.exists()


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff",
        b"\x93NUMPY\x09\x00\x00\x00",
        b"\x93NUMPY\x01\x00\x3c\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }\n",
    ],
)
def test_a_member_that_is_not_one_object_is_refused(
    member: bytes, file: Path, error_of: Error
) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as zipped:
        zipped.writestr("layers/dense.npy", member)
    text = error_of(lambda: read(with_npz(file, data.getvalue())))
    assert text.startswith("error[pickle]: 'layers/dense.npy' of model.weights.npz of model is not")
    assert "its header is not that of one object of NumPy" in text


def test_one_array_under_very_many_names_is_refused(file: Path, error_of: Error) -> None:
    once = np.zeros(1)
    folders = {f"layers/d{k}": {str(n): once for n in range(20_000)} for k in range(3)}
    text = error_of(lambda: read(with_npz(file, stored({}, **folders))))
    assert "over 50000 arrays in all" in text


def test_a_compressed_member_is_refused(file: Path, error_of: Error) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("layers/dense.npy", bytes(1000))
    text = error_of(lambda: read(with_npz(file, data.getvalue())))
    assert "compression method 8; stored are read" in text


def test_every_prefix_and_every_flipped_bit_is_an_error_or_an_array() -> None:
    stream = pickle.dumps({"0": ARRAYS[1]}, 4)
    whole = value_of(stream)
    assert whole["0"].shape == (2, 3)
    for size in range(len(stream)):
        with pytest.raises(ConverterError):
            value_of(stream[:size])
    refused = 0
    for place in range(len(stream) * 8):
        damaged = bytearray(stream)
        damaged[place // 8] ^= 1 << place % 8
        try:
            found = value_of(bytes(damaged))
        except ConverterError:
            refused += 1
            continue
        for value in found.values() if isinstance(found, dict) else ():
            if isinstance(value, Pickled):
                value.array()
    assert refused > len(stream) * 2


GOOD = Path(__file__).parents[1] / "data/keras3/weights_in_npz.keras"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"\x8c\x06_shape", b"\x8c\x06_shapf", "whose array has the shape (2, 8), not its own"),
        (b"\x8c\x06_dtype", b"\x8c\x06_dtypf", "in a variable of another dtype"),
        (b"\x8c\x06_value", b"\x8c\x06_valuf", "a variable of Keras that has not one array"),
        (b"initial_value", b"initial_valuf", "a variable of TensorFlow without an array"),
        (b"as_dtype", b"as_dtypf", "it names 'tensorflow.python.framework.dtypes.as_dtypf'"),
        (b"functools", b"functoolz", "it names 'functoolz.partial'"),
        (b"ResourceVariable", b"ResourceVariablf", "ResourceVariablf', which no array needs"),
        (b"\x8c\x02L2", b"\x8c\x02L3", "it names 'keras.src.regularizers.regularizers.L3'"),
    ],
    ids=range(8),
)
def test_a_variable_that_keras_does_not_write_is_refused(
    old: bytes, new: bytes, reason: str
) -> None:
    with zipfile.ZipFile(GOOD) as whole, whole.open(NAME) as inner, zipfile.ZipFile(inner) as npz:
        member = npz.read("layers/bidirectional/forward_layer/cell.npy")
    entries = npy.read_object(member, GLOBALS, "it")
    assert isinstance(entries, dict)
    assert list(entries) == ["0", "1", "2"]
    assert member.count(old) == 1
    with pytest.raises(FormatError) as caught:
        npy.read_object(member.replace(old, new), GLOBALS, "it")
    assert reason in (caught.value.context or "")
