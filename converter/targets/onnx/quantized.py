"""A graph whose weights onnxruntime's tool has rounded to int8, and what it holds.

The tool stores a weight W as `W_quantized`, with a step and a zero for each of its columns (in a
convolution of its rows, in a table of vectors for all of it), `W_scale` and `W_zero_point`: each
number is (quantized - zero) * step. Those of an LSTM are transposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from converter import __version__
from converter.gates import Array
from converter.metadata import QUANTIZED
from converter.targets.onnx.stored import by_address, read_proto
from converter.targets.onnx.writing import Written

INT8 = "int8"

PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""What the tool looks for in the metadata, and warns if it is not there."""

TOOLS = frozenset(PREPARED) | {"onnx.infer"}

RECURRENT = frozenset({"GRU", "LSTM", "RNN", "Scan"})


@dataclass(frozen=True, slots=True)
class Held:
    """What a file holds, by the names of `Placement`.

    Attributes:
        tensors: Every tensor; of one that was rounded, what it stands for.
        steps: Of those that were, the step of every number.
    """

    tensors: Mapping[str, Array]
    steps: Mapping[str, Array]


def held(written: Written, arrays: Mapping[str, Array]) -> Held:
    """The tensors of a file.

    Args:
        written: What it was made of.
        arrays: What is stored in it.
    """
    numbers, steps = dict(arrays), {}
    for tensor in written.tensors:
        whole = arrays.get(f"{tensor.name}_quantized")
        step, zero = (arrays.get(f"{tensor.name}_{end}") for end in ("scale", "zero_point"))
        if whole is None or step is None or zero is None:
            continue
        if step.ndim == 2:  # an LSTM's: (D, 4H), of (D, I, 4H)
            whole, step, zero = whole.swapaxes(1, 2), step[..., np.newaxis], zero[..., np.newaxis]
        elif step.size > 1 and whole.ndim > 2:
            step, zero = (one.reshape(-1, *[1] * (whole.ndim - 1)) for one in (step, zero))
        wide = step.astype(np.float64)
        numbers[tensor.name] = (whole.astype(np.float64) - zero) * wide
        steps[tensor.name] = np.broadcast_to(wide, whole.shape)
    return Held(by_address(written.tensors, numbers), by_address(written.tensors, steps))


def not_weights(written: Written) -> list[str]:
    """The nodes that take a row of a weight which is no table: the tool must leave them."""
    return [
        str(node.name)
        for node in written.proto.graph
        if node.op_type == "Gather" and not _is_table(node.inputs[0])
    ]


def _is_table(value: ir.Value | None) -> bool:
    return value is not None and str(value.name).endswith("_embeddings")


def finished(path: Path, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """What the tool wrote, with the metadata of the whole.

    Args:
        path: Of it.
        metadata: Of the file.
    """
    proto = read_proto(path)
    kept = {one.key: one.value for one in proto.metadata_props if one.key not in TOOLS}
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {**kept, **metadata, QUANTIZED: INT8})
    proto.producer_name, proto.producer_version = "ifco", __version__
    return proto


def rounded_tensors(proto: onnx.ModelProto) -> frozenset[str]:
    """The names of the tensors that were rounded, as they were before."""
    names = (one.name for one in proto.graph.initializer)
    return frozenset(
        name.removesuffix("_quantized") for name in names if name.endswith("_quantized")
    )


def left(proto: onnx.ModelProto) -> dict[str, str]:
    """The recurrent nodes that the tool has left as they were, and of which kind they are."""
    return {node.name: node.op_type for node in proto.graph.node if node.op_type in RECURRENT}
