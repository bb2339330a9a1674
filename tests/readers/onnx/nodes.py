"""Small ONNX files made of nodes, and what onnxruntime answers for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converter.runtimes import onnxruntime

Shape = Sequence[int | str]

KINDS = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
         "bool": TensorProto.BOOL, "float16": TensorProto.FLOAT16}  # fmt: skip


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[Shape, str] | Shape],
    outputs: Mapping[str, Shape | None],
    stored: Mapping[str, np.ndarray],
    opset: int = 17,
    domains: Sequence[str] = (),
) -> bytes:
    """A file. An input is a shape, of float32, or a pair of shape and dtype."""

    def described(name: str, said: tuple[Shape, str] | Shape | None) -> onnx.ValueInfoProto:
        pair = said is not None and len(said) == 2 and said[1] in KINDS
        shape, dtype = said if pair else (said, "float32")  # type: ignore[misc]
        return helper.make_tensor_value_info(name, KINDS[dtype], shape)

    built = helper.make_graph(
        nodes,
        "graph",
        [described(name, said) for name, said in inputs.items()],
        [described(name, said) for name, said in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(one, 1) for one in domains)]
    return helper.make_model(built, opset_imports=imports, ir_version=8).SerializeToString()


def ran(file: bytes, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
    """What onnxruntime answers."""
    return onnxruntime.open(file, threads=1).run(inputs)


def distance(given: object, expected: Sequence[np.ndarray]) -> float:
    """The largest error as a part of the largest output; infinite for another shape."""
    answers = given if isinstance(given, tuple | list) else [given]
    if [np.shape(one) for one in answers] != [one.shape for one in expected]:
        return float("inf")
    return max(
        float(np.abs(np.asarray(one, float) - other).max(initial=0) / (np.abs(other).max() or 1))
        for one, other in zip(answers, expected, strict=True)
    )
