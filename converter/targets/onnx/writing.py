"""A model as an ONNX graph, and where each weight goes."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from converter import __version__
from converter.description import (
    Attention,
    Call,
    Dot,
    Elementwise,
    Function,
    MaskedSoftmax,
    Model,
    MultiHeadAttention,
    Shape,
    ShapeMismatchError,
    UnitNormalization,
    Value,
    with_casts,
)
from converter.dtypes import FLOATS
from converter.errors import UnsupportedError, UsageError
from converter.metadata import STATES
from converter.targets.onnx import (  # noqa: F401  each family registers its handlers
    attention,
    conv_recurrent,
    convolution,
    core,
    indexing,
    masking,
    merging,
    normalization,
    operations,
    pooling,
    preprocessing,
    recurrent,
    resizing,
    shaping,
)
from converter.targets.onnx.emit import emit
from converter.targets.onnx.files import write_model
from converter.targets.onnx.graph import Graph, Tensor, type_of
from converter.targets.onnx.names import identifier
from converter.targets.placement import Placement

OLDEST, USUAL = 15, 17
"""Opsets: the first with what masks need (the size of one axis alone), and what is written where
nobody asks: every runtime since 2022 reads it."""


WRITTEN = ("float16", "float32")
"""Of the dtypes of layers. In float64 onnxruntime's LSTM and GRU end in "does not support double
yet", and its RNN is missing, as all three are in bfloat16."""

Lengths = dict[tuple[str, int], str]
"""The names of free axes, by value and axis."""


@dataclass(frozen=True, slots=True)
class Written:
    """A model as ONNX.

    Attributes:
        model: What was written.
        proto: Without the stored tensors.
        tensors: Those, not read yet.
        placements: Where each weight goes.
        owners: The layer of each tensor, by the names of `placements`.
        names: Of inputs and outputs, where they had to be changed.
        scanned: See `Graph`.
        states: See `Graph`, by name.
    """

    model: Model
    opset: int
    proto: ir.Model
    tensors: tuple[Tensor, ...]
    placements: tuple[Placement, ...]
    owners: Mapping[str, str]
    names: Mapping[str, str]
    scanned: Mapping[str, str]
    states: tuple[tuple[str, str], ...]

    def bytes(self) -> bytes:
        """The file, with every weight read now."""
        file = io.BytesIO()
        write_model(file, self.proto, self.tensors)
        return file.getvalue()

    def whole(self) -> onnx.ModelProto:
        """The same, as the package onnx has it."""
        return onnx.load_model_from_string(self.bytes())


def write_graph(model: Model, opset: int = USUAL) -> Written:
    """Every layer written, in order.

    Raises:
        UnsupportedError: A layer cannot be expressed.
        UsageError: There is no such opset, or it is too old.
    """
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise UsageError(
            f"there is no opset {opset} to write",
            context=f"onnx {onnx.__version__} knows opsets up to {newest}",
            hint=f"--opset {OLDEST} to {newest}; {USUAL} is what most runtimes read",
            code="opset",
        )
    _check_dtypes(model)
    graph = Graph(with_casts(model), opset)
    calls = graph.model.calls
    values = [*model.inputs, *(value for call in calls for value in call.outputs)]
    own = {value.name for call in model.calls for value in call.outputs}
    own.update(value.name for value in model.inputs)
    for value in values:
        graph.names[value.name] = graph.name(value.name)
    graph.own_names = frozenset(graph.names.values())
    graph.uses = Counter(value.name for call in calls for value in call.needs)
    graph.uses.update(value.name for value in model.outputs)
    lengths = _lengths(model)
    inputs = [_described(value, graph, lengths) for value in model.inputs]
    for value, x in zip(model.inputs, inputs, strict=True):
        graph.held[value.name] = {tuple(range(len(value.shape))): x}
    for call in calls:
        graph.call = call
        emit[call.layer](call.layer, graph)
    graph.call = None
    outputs = [_output(value, graph, lengths) for value in model.outputs]
    states = [_state(*pair, graph) for pair in graph.states.values()]
    inputs += [given for given, _ in states]
    outputs += [following for _, following in states]
    built = ir.Graph(
        inputs,
        outputs,
        nodes=graph.nodes,
        initializers=list(graph.constants.values()),
        opset_imports={"": opset},
        name=identifier(model.name),
    )
    version = onnx.helper.OP_SET_ID_VERSION_MAP[("ai.onnx", opset)]
    proto = ir.Model(built, ir_version=version, producer_name="ifco", producer_version=__version__)
    RemoveUnusedNodesPass()(proto)
    pairs = [(str(given.name), str(following.name)) for given, following in states]
    if pairs:
        proto.metadata_props[STATES] = json.dumps(pairs)
    return Written(
        model,
        opset,
        proto,
        tuple(graph.tensors.values()),
        tuple(graph.placements),
        dict(graph.owners),
        {name: new for name in sorted(own) if (new := graph.names[name]) != name},
        dict(graph.scanned),
        tuple(pairs),
    )


def _check_dtypes(model: Model) -> None:
    """Refuse what computes in a dtype of which onnxruntime runs no recurrent node."""
    for layer in model.layers:
        if layer.dtype in FLOATS and layer.dtype not in WRITTEN:
            raise UnsupportedError(
                f"layer '{layer.name}' cannot be written as ONNX in {layer.dtype}",
                context="onnxruntime's CPU provider runs such nodes in float32 and float16 alone",
                hint="--precision float32 writes it in that; --to pytorch keeps its dtypes",
                code="onnx-dtype",
            )
    for call in model.calls:
        if call.outputs[0].dtype == "float16" and (found := _lacking(call)):
            raise UnsupportedError(
                f"layer '{call.layer.name}' cannot be written as ONNX in float16",
                context=found,
                hint="--precision float32 writes it in that; --to pytorch keeps its dtypes",
                code="onnx-dtype",
            )


def _lacking(call: Call) -> str:
    """What onnxruntime does not compute in float16 as Keras does, in words; "" for nothing."""
    match call.layer:
        case Attention() | MaskedSoftmax() | MultiHeadAttention() if any(call.masks):
            return "masked scores, which are rounded once they are lowered"
        case MultiHeadAttention() if len(call.inputs) > 3:
            return "masked scores, which are rounded once they are lowered"
        case UnitNormalization() | Dot(normalize=True):
            return "a norm whose squares are rounded"
        case Elementwise(function=Function.EXPM1 | Function.MOD as function):
            return f"{function.value} of float16, which onnxruntime has not"
    return ""


def _output(value: Value, graph: Graph, lengths: Lengths) -> ir.Value:
    """What holds an output of the model, under its name."""
    x = graph.take(value)
    name = graph.names[value.name]
    if x.name != name and (not x.producer() or x.is_graph_output() or x.name in graph.own_names):
        x = graph.op("Identity", x)
    x.name = name
    x.shape = ir.Shape(_sizes(value, lengths))
    return x


def _state(given: ir.Value, following: ir.Value, graph: Graph) -> tuple[ir.Value, ir.Value]:
    """A state that is kept, as an input and an output under its name."""
    following = graph.op("Identity", following) if following.name in graph.own_names else following
    following.name = graph.name(f"{given.name}_next")
    following.shape = given.shape
    return given, following


def _described(value: Value, graph: Graph, lengths: Lengths) -> ir.Value:
    """An input of the graph."""
    return ir.Value(
        name=graph.names[value.name],
        shape=ir.Shape(_sizes(value, lengths)),
        type=ir.TensorType(type_of(value.dtype)),
    )


def _sizes(value: Value, lengths: Lengths) -> list[int | str | None]:
    """The sizes of a value, names for those that are free."""
    return [
        size if size is not None else "batch" if axis == 0 else lengths.get((value.name, axis))
        for axis, size in enumerate(value.shape)
    ]


def _lengths(model: Model) -> Lengths:
    """The name of each free axis behind the batch: "time" where there is but one.

    Found by giving each free axis of an input a length of its own, and looking where it is again.
    """
    free = [
        (value, axis)
        for value in model.inputs
        for axis, size in enumerate(value.shape)
        if size is None and axis
    ]
    names = {
        (value.name, axis): "time" if len(free) == 1 else f"{identifier(value.name)}_axis_{axis}"
        for value, axis in free
    }
    seen = {key: 1009 + 14 * k for k, key in enumerate(names)}
    shapes: dict[str, Shape] = {
        value.name: tuple(
            seen.get((value.name, axis), size) for axis, size in enumerate(value.shape)
        )
        for value in model.inputs
    }
    try:
        for call in model.calls:
            results = call.layer.output_shapes(tuple(shapes[one.name] for one in call.inputs))
            shapes |= {
                value.name: shape for value, shape in zip(call.outputs, results, strict=True)
            }
    except ShapeMismatchError:
        return dict(names)
    by_length = {length: names[key] for key, length in seen.items()}
    found = dict(names)
    for value in model.outputs:
        for axis, size in enumerate(shapes[value.name]):
            if value.shape[axis] is None and size in by_length:
                found[value.name, axis] = by_length[size]
    return found
