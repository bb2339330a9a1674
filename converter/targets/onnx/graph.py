"""The graph that is being written: nodes, stored tensors, and what holds each value of the model.

A handler of a layer takes what holds its inputs, adds nodes, and gives what holds its outputs. A
value may be held with its axes in another order than the model's (time first for a recurrent
node, channels first for a convolution): a handler takes it in the order that it wants, and a
Transpose is written only where no one before has left it so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from converter.description import Call, Layer, Model, Value, Weight
from converter.dtypes import FLOATS
from converter.gates import AS_IS, Array, Form
from converter.targets.onnx.names import identifier
from converter.targets.placement import Placement

if TYPE_CHECKING:
    from converter.targets.onnx.packing import Packing

Order = tuple[int, ...]
"""Of axes: axis k of what is held is axis `order[k]` of the model's value."""

Held = ir.Value | Callable[[], ir.Value]
"""A value of the graph, or what makes one when it is asked for."""

FLOAT, FLOAT16, INT64, INT32, BOOL = (
    ir.DataType.FLOAT,
    ir.DataType.FLOAT16,
    ir.DataType.INT64,
    ir.DataType.INT32,
    ir.DataType.BOOL,
)


def type_of(dtype: str) -> ir.DataType:
    """The type in a graph of a dtype of the model: of floats, FLOAT16 or else FLOAT."""
    if dtype in FLOATS:
        return FLOAT16 if dtype == "float16" else FLOAT
    return ir.DataType.from_numpy(np.dtype(dtype))


def as_it_is(value: Value) -> Order:
    """The model's own order."""
    return tuple(range(len(value.shape)))


def time_first(value: Value) -> Order:
    """(time, batch, ...), of (batch, time, ...)."""
    return (1, 0, *range(2, len(value.shape)))


def channels_first(value: Value) -> Order:
    """(batch, channels, ...), of (batch, ..., channels)."""
    last = len(value.shape) - 1
    return (0, last, *range(1, last))


@dataclass(frozen=True, slots=True)
class Tensor:
    """A stored tensor: one weight, or one for each direction along its first axis.

    Attributes:
        parts: What it holds, one after the other; None for zeros.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: tuple[Placement | None, ...]

    @property
    def nbytes(self) -> int:
        """Of all of it."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(slots=True)
class Graph:
    """What handlers write into; one for each file.

    Attributes:
        opset: Of the operators.
        names: Of each value of the model, in the graph.
        tensors: Those that hold weights; smaller ones, such as axes, are `constants`.
        held: What holds each value, in each order that there is.
        whole: Last states as their node gives them, by the names of the values in them.
        packings: By the name of the mask; in `packed` the sequences packed, by theirs and then
            the mask's.
        lengths: For a mask that is made of lengths, these, by its name.
        unmasked: For what Masking gives, its input and the mask: who uses the mask needs no zeros.
        states: Each kept by a stateful layer: the input that it comes from, and the next.
        scanned: Layers that are written as a Scan, each with the reason.
        owners: The layer of each tensor, by the names of `placements`.
    """

    model: Model
    opset: int
    names: dict[str, str] = field(default_factory=dict)
    nodes: list[ir.Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[tuple[object, ...], ir.Value] = field(default_factory=dict)
    placements: list[Placement] = field(default_factory=list)
    held: dict[str, dict[Order, Held]] = field(default_factory=dict)
    whole: dict[tuple[str, ...], ir.Value] = field(default_factory=dict)
    packings: dict[str, Packing] = field(default_factory=dict)
    packed: dict[str, dict[str, Held]] = field(default_factory=dict)
    lengths: dict[str, Value] = field(default_factory=dict)
    unmasked: dict[str, tuple[Value, Value]] = field(default_factory=dict)
    states: dict[str, tuple[ir.Value, ir.Value]] = field(default_factory=dict)
    scanned: dict[str, str] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    owners: dict[str, str] = field(default_factory=dict)
    known: dict[tuple[str, str], ir.Value] = field(default_factory=dict)
    own_names: frozenset[str] = frozenset()
    taken: set[str] = field(default_factory=set)
    node_names: set[str] = field(default_factory=set)
    call: Call | None = None

    @property
    def inputs(self) -> tuple[Value, ...]:
        """Of the call in hand."""
        return self.call.inputs if self.call else ()

    @property
    def outputs(self) -> tuple[Value, ...]:
        """Of the call in hand."""
        return self.call.outputs if self.call else ()

    @property
    def masks(self) -> tuple[Value | None, ...]:
        """Of the call in hand."""
        return self.call.masks if self.call else ()

    @property
    def real(self) -> ir.DataType:
        """In which the call in hand computes what is not whole."""
        layer = self.call.layer if self.call else None
        if layer is None or layer.dtype not in FLOATS:
            return FLOAT
        return type_of(layer.dtype if layer.casts_weights else "float32")

    @property
    def prefix(self) -> str:
        """What names of the call in hand begin with."""
        return identifier(self.call.layer.name) if self.call else "model"

    def name(self, wish: str) -> str:
        """A name for a value of the graph that nothing has, and that nothing will have."""
        name = identifier(wish, self.taken)
        self.taken.add(name)
        return name

    # Nodes

    def op(
        self,
        kind: str,
        *inputs: ir.Value | None,
        dtype: ir.DataType | None = None,
        name: str = "",
        **attributes: Any,
    ) -> ir.Value:
        """A node with one output, and that. See `ops`."""
        (output,) = self.ops(kind, 1, *inputs, dtype=dtype, name=name, **attributes)
        return output

    def ops(
        self,
        kind: str,
        count: int,
        *inputs: ir.Value | None,
        dtype: ir.DataType | None = None,
        dtypes: Sequence[ir.DataType] = (),
        name: str = "",
        **attributes: Any,
    ) -> tuple[ir.Value, ...]:
        """A node, and its outputs.

        Args:
            kind: "LSTM".
            count: Of outputs.
            inputs: None where one is left out.
            dtype: Of the outputs; that of the first input by default.
            dtypes: Of each output, where they differ.
            name: Of the node; by default the layer's and the kind.
            attributes: Those that are None are left out.
        """
        given = {key: value for key, value in attributes.items() if value is not None}
        node_name = identifier(name or f"{self.prefix}_{kind.lower()}", self.node_names)
        self.node_names.add(node_name)
        ends = [""] if count == 1 else [f"_{k}" for k in range(count)]
        types = dtypes or [dtype or _dtype(inputs[0])] * count
        outputs = [
            ir.Value(name=self.name(f"{node_name}_y{end}"), type=ir.TensorType(one))
            for end, one in zip(ends, types, strict=True)
        ]
        node = ir.node(kind, inputs, given, outputs=outputs, name=node_name)
        self.nodes.append(node)
        return tuple(outputs)

    def constant(self, value: object, dtype: ir.DataType = INT64) -> ir.Value:
        """A small tensor; the same one for the same numbers."""
        with np.errstate(over="ignore"):  # what is lower than all is an infinity in float16
            array = np.asarray(value, dtype.numpy())
        key = (dtype, array.shape, array.tobytes())
        if key not in self.constants:
            tensor = ir.tensor(array, dtype=dtype, name=self.name("constant"))
            self.constants[key] = ir.Value(
                name=tensor.name,
                shape=ir.Shape(array.shape),
                type=ir.TensorType(dtype),
                const_value=tensor,
            )
        return self.constants[key]

    def axes(self, *axes: int) -> ir.Value:
        """Axes as an input."""
        return self.constant(list(axes))

    def cast(self, x: ir.Value, dtype: ir.DataType) -> ir.Value:
        """`x` in another dtype; itself if it is in it."""
        return x if x.dtype == dtype else self.op("Cast", x, dtype=dtype, to=dtype)

    def zeros(self, size: ir.Value) -> ir.Value:
        """Of that size, in which the call in hand computes."""
        value = None if self.real == FLOAT else ir.tensor(np.zeros(1, self.real.numpy()))
        return self.op("ConstantOfShape", size, dtype=self.real, value=value)

    def product(self, x: ir.Value, matrix: ir.Value, name: str = "") -> ir.Value:
        """The product with a matrix, on the last axis.

        What was transposed for it is multiplied first, in float16: onnxruntime 1.24 to 1.32 crash
        on the other order (issue 28392 there).
        """
        before = x.producer()
        perm = before.attributes.get("perm") if before and before.op_type == "Transpose" else None
        order = tuple(perm.as_ints()) if perm else ()
        if before is None or x.dtype != FLOAT16 or order[-1:] != (len(order) - 1,):
            return self.op("MatMul", x, matrix, name=name)
        y = self.op("MatMul", before.inputs[0], matrix, name=name)
        return self.op("Transpose", y, perm=order)

    def reduce(self, kind: str, x: ir.Value, *axes: int, keepdims: bool = False) -> ir.Value:
        """ReduceSum and its like; up to opset 17 all but that have their axes as an attribute."""
        if kind == "ReduceSum" or self.opset >= 18:
            return self.op(kind, x, self.axes(*axes), keepdims=int(keepdims))
        return self.op(kind, x, axes=list(axes), keepdims=int(keepdims))

    def split(self, x: ir.Value, count: int, axis: int) -> tuple[ir.Value, ...]:
        """`x` in equal parts."""
        given = count if self.opset >= 18 else None
        return self.ops("Split", count, x, axis=axis, num_outputs=given)

    def subgraph(
        self, name: str, body: Callable[..., list[ir.Value]], like: Sequence[ir.Value]
    ) -> ir.Graph:
        """A graph inside of a node.

        Args:
            name: Of it.
            body: From its inputs to its outputs.
            like: Of the types of its inputs.
        """
        inputs = [
            ir.Value(name=self.name(f"{name}_x_{k}"), type=one.type) for k, one in enumerate(like)
        ]
        outer, self.nodes = self.nodes, []
        try:
            outputs = body(*inputs)
            return ir.Graph(inputs, outputs, nodes=self.nodes, name=identifier(f"{name}_step"))
        finally:
            self.nodes = outer

    # Weights

    def weight(self, layer: Layer, part: str, weight: Weight, form: Form = AS_IS) -> ir.Value:
        """A weight as a stored tensor; once, however often its layer is called.

        Args:
            layer: Whose.
            part: "kernel": what its name ends with.
            weight: In the layout of the description.
            form: How it is stored.
        """
        return self._stored(layer, part, [(weight, form)], stacked=False)

    def stacked(
        self, layer: Layer, part: str, weights: Sequence[tuple[Weight, Form] | None]
    ) -> ir.Value:
        """Weights of the same shape as one tensor, along a new first axis; None for zeros."""
        return self._stored(layer, part, weights, stacked=True)

    def _stored(
        self,
        layer: Layer,
        part: str,
        weights: Sequence[tuple[Weight, Form] | None],
        *,
        stacked: bool,
    ) -> ir.Value:
        key = (layer.name, part)
        if key in self.known:
            return self.known[key]
        name = self.name(f"{identifier(layer.name)}_{part}")
        parts: list[Placement | None] = []
        for k, pair in enumerate(weights):
            address = f"{name}[{k}]" if stacked else name
            parts.append(None if pair is None else Placement((address,), *pair))
        placements = [one for one in parts if one is not None]
        self.placements += placements
        self.owners.update(dict.fromkeys((one.names[0] for one in placements), layer.name))
        (shape,) = placements[0].shapes().values()
        whole = (len(parts), *shape) if stacked else shape
        dtype = placements[0].weight.dtype.newbyteorder("=")
        self.tensors[name] = Tensor(name, whole, dtype, tuple(parts))
        stored = ir.Value(
            name=name, shape=ir.Shape(whole), type=ir.TensorType(ir.DataType.from_numpy(dtype))
        )
        self.known[key] = self.cast(stored, self.real)
        return self.known[key]

    def added(self, layer: Layer, part: str, array: Array) -> ir.Value:
        """A tensor that ONNX needs, and the source has not."""
        key = (layer.name, part)
        if key not in self.known:
            name = self.name(f"{identifier(layer.name)}_{part}")
            placement = Placement((name,), Weight.of(array), AS_IS, added=True)
            self.placements.append(placement)
            self.owners[name] = layer.name
            self.tensors[name] = Tensor(name, array.shape, array.dtype, (placement,))
            kind = ir.DataType.from_numpy(array.dtype)
            stored = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(kind))
            self.known[key] = self.cast(stored, self.real) if kind == FLOAT else stored
        return self.known[key]

    # Values

    def take(self, value: Value, order: Order | None = None) -> ir.Value:
        """What holds a value, with its axes in an order; by default the model's."""
        wanted = as_it_is(value) if order is None else order
        ways = self.held[value.name]
        if wanted not in ways:
            found = self.order_of(value)
            x = self.take(value, found)
            axes = [found.index(axis) for axis in wanted]
            self._hold(value, self.op("Transpose", x, perm=axes), wanted)
        made = ways[wanted]
        if not isinstance(made, ir.Value):
            made = made()
            self._hold(value, made, wanted)
        return made

    def floats(self, value: Value, order: Order | None = None) -> ir.Value:
        """`take`, of floats in which the call in hand computes."""
        return self.cast(self.take(value, order), self.real)

    def unmasked_by(self, mask: Value) -> Value:
        """The first input, or what stands for it where only those steps are read that count."""
        value, other = self.unmasked.get(self.inputs[0].name, (self.inputs[0], None))
        return value if other == mask else self.inputs[0]

    def order_of(self, value: Value) -> Order:
        """An order in which a value is held already."""
        ways = self.held[value.name]
        made = (order for order, one in ways.items() if isinstance(one, ir.Value))
        return next(made, next(iter(ways)))

    def common_order(self, values: Sequence[Value]) -> Order:
        """An order for all of some values of the same rank: one that all have, or the model's."""
        orders = {self.order_of(value) for value in values}
        return orders.pop() if len(orders) == 1 else as_it_is(values[0])

    def give(self, value: Value, x: ir.Value, order: Order | None = None) -> None:
        """`x` holds an output of the call in hand, with its axes in an order, in its dtype."""
        x = self.declared(value, x)
        self._hold(value, x, as_it_is(value) if order is None else order)

    def declared(self, value: Value, x: ir.Value) -> ir.Value:
        """What is to hold a value of floats, in its dtype."""
        return self.cast(x, type_of(value.dtype)) if value.dtype in FLOATS else x

    def pass_on(self, value: Value, output: Value) -> None:
        """What holds an input holds an output, too."""
        self.held[output.name] = dict(self.held[value.name])
        if value.name in self.packed:
            self.packed[output.name] = self.packed[value.name]

    def give_lazily(self, value: Value, ways: Mapping[Order, Callable[[], ir.Value]]) -> None:
        """What makes an output, in any of some orders; the one that is asked for is written."""
        self.held[value.name] = {
            order: self.at_home(lambda way=way: self.declared(value, way()))  # type: ignore[misc]
            for order, way in ways.items()
        }

    def at_home(self, way: Callable[[], ir.Value]) -> Callable[[], ir.Value]:
        """What makes something later, under the name of the call in hand."""
        call = self.call

        def make() -> ir.Value:
            elsewhere, self.call = self.call, call
            try:
                return way()
            finally:
                self.call = elsewhere

        return make

    def kept(self, layer: Layer, part: str, shape: Sequence[int | None]) -> ir.Value:
        """A state that a stateful layer keeps, from an input of the graph."""
        key = f"{layer.name}_{part}"
        if key not in self.states:
            name = self.name(key)
            sizes = ["batch" if size is None else size for size in shape]
            given = ir.Value(name=name, shape=ir.Shape(sizes), type=ir.TensorType(FLOAT))
            self.states[key] = given, given
        return self.cast(self.states[key][1], self.real)

    def keep(self, layer: Layer, part: str, following: ir.Value) -> None:
        """What that state is next."""
        key = f"{layer.name}_{part}"
        self.states[key] = self.states[key][0], self.cast(following, FLOAT)

    def _hold(self, value: Value, x: ir.Value, order: Order) -> None:
        self.held.setdefault(value.name, {})[order] = x
        if order == as_it_is(value) and x.producer() and x.name not in self.own_names:
            x.name = self.names[value.name]


def _dtype(x: ir.Value | None) -> ir.DataType:
    if x is None or x.dtype is None:
        raise TypeError("the first input of a node has no dtype")
    return x.dtype
