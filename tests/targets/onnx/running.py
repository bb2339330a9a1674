"""A model as an ONNX file that onnxruntime has run, beside the judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

import converter
from converter.description import Model
from converter.runtimes import onnxruntime
from converter.targets.onnx import USUAL, write_graph
from converter.verify.comparison import compare
from converter.verify.inputs import cases
from converter.verify.rounding import ONNXRUNTIME
from converter.verify.verdict import Comparison

Change = Callable[[onnx.ModelProto], None]


def written_as(model: Model, opset: int = USUAL, change: Change | None = None) -> bytes:
    """The file, checked by ONNX's own checker."""
    proto = write_graph(model, opset).whole()
    onnx.checker.check_model(proto, full_check=True)
    if change:
        change(proto)
    return proto.SerializeToString()


def opened(model: Model, opset: int = USUAL) -> onnxruntime.Session:
    return onnxruntime.open(written_as(model, opset), threads=1)


def kinds(model: Model, opset: int = USUAL) -> list[str]:
    """The nodes in order."""
    return [node.op_type for node in write_graph(model, opset).whole().graph.node]


def wrong(
    model: Model,
    *,
    opset: int = USUAL,
    change: Change | None = None,
    optimization: str = "all",
) -> list[Comparison]:
    """Every output of every case of a verification that is not what the judge says."""
    session = onnxruntime.open(written_as(model, opset, change), optimization=optimization)
    compared = compare(model, tuple(cases(model)), session.run, ONNXRUNTIME)
    assert sum(one.elements for one in compared)
    return [one for one in compared if one.reason]


def ran(model: Model, *inputs: np.ndarray, opset: int = USUAL) -> tuple[np.ndarray, ...]:
    return opened(model, opset).run(inputs)


def distance(given: Sequence[np.ndarray], expected: object) -> float:
    """The largest error as a part of the largest output; infinite for another shape."""
    others = expected if isinstance(expected, tuple) else (expected,)
    if [one.shape for one in given] != [np.shape(one) for one in others]:
        return float("inf")
    return max(
        float(np.abs(one - other).max() / np.abs(other).max())
        for one, other in zip(given, others, strict=True)
    )


def off(model: Model, *inputs: np.ndarray, opset: int = USUAL) -> float:
    """How far onnxruntime is from the judge, as a part of the largest output."""
    return distance(ran(model, *inputs, opset=opset), converter.judge(model, *inputs))
