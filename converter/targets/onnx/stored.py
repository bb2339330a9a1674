"""What an ONNX file holds: its stored tensors, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from converter.errors import FormatError
from converter.gates import Array
from converter.targets.onnx.graph import Tensor

BESIDE = ".data"
"""What is added to the name of a file for that of the one beside it."""


def read_proto(path: Path) -> onnx.ModelProto:
    """A file, without what lies beside it.

    Raises:
        FormatError: It is no ONNX file.
    """
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own class carries no types
        raise FormatError(
            f"{path} is not an ONNX file",
            context=" ".join(str(error).split()) or type(error).__name__,
            hint="convert again",
            code="not-onnx",
        ) from error


def read_stored(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The stored tensors of a file by name, and its metadata.

    Raises:
        FormatError: It is no ONNX file, or an array is not where it should be.
    """
    proto = read_proto(path)
    tensors = {one.name: _array(path, one) for one in proto.graph.initializer}
    return tensors, {one.key: one.value for one in proto.metadata_props}


def _array(path: Path, tensor: onnx.TensorProto) -> Array:
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    said = {one.key: one.value for one in tensor.external_data}
    place = path.with_name(path.name + BESIDE)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    refusal = FormatError(
        f"tensor '{tensor.name}' of {path} cannot be read",
        context=f"it lies in {said.get('location')!r} at {said.get('offset')}",
        hint=f"convert again; {place.name} must stay beside it",
        code="onnx-data",
    )
    if said.get("location") != place.name or place.is_symlink():
        raise refusal
    try:
        return np.memmap(place, dtype, "r", int(said["offset"]), tuple(tensor.dims))
    except (KeyError, ValueError, OSError) as error:
        raise refusal from error


def by_address(tensors: tuple[Tensor, ...], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a file by the names that `Placement` has for them.

    Args:
        tensors: What the file should hold.
        arrays: What it holds.
    """

    def parts() -> Iterator[tuple[str, Array]]:
        for tensor in tensors:
            array = arrays.get(tensor.name)
            if array is None or array.shape != tensor.shape:
                continue
            for k, part in enumerate(tensor.parts):
                if part is not None:
                    (name,) = part.names
                    yield name, array if name == tensor.name else array[k]

    return dict(parts())
