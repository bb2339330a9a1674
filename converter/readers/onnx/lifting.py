"""The nodes of a file, one after the other, as calls of layers.

A family of nodes has a file of the same name as its family of layers, with a function a kind of
node: from what its inputs stand for to what its outputs do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from converter.description import (
    AnyOf,
    Call,
    Concatenate,
    Constant,
    EveryStep,
    ExpandDims,
    Flatten,
    Identity,
    JoinMasks,
    Layer,
    Masking,
    Operation,
    Permute,
    RepeatVector,
    Reshape,
    ShapeMismatchError,
    Slice,
    Span,
    Squeeze,
    Stack,
    Transpose,
    Unequal,
    Value,
    WithinLength,
)
from converter.description.indexing import WHOLE
from converter.errors import ConverterError, FormatError, UnsupportedError
from converter.readers.onnx.folds import folded
from converter.readers.onnx.held import (
    SMALL,
    Counted,
    Ends,
    Filled,
    Held,
    Kept,
    Known,
    Packed,
    Pieces,
    Seen,
)
from converter.readers.onnx.messages import Graph, Node
from converter.readers.onnx.naming import named_for
from converter.readers.onnx.sizes import Size, Sizes, as_shape, known, numbers
from converter.readers.strict import named

Lifter = Callable[["Lift", Node], Sequence[Any]]

LIFTERS: dict[str, Lifter] = {}

FREE = 2**22
"""Elements that a file may compute of constants, beside four times those that it stores."""

RECURRENT = frozenset({"GRU", "LSTM", "RNN"})

MOVERS = (Concatenate, Flatten, Identity, Permute, RepeatVector, Reshape, Transpose)
"""Layers that give what they are given."""

MASKS = (AnyOf, EveryStep, JoinMasks, Unequal, WithinLength)
"""Layers that give a mask."""


def lifts(*kinds: str) -> Callable[[Lifter], Lifter]:
    """Make the decorated function the reader of these kinds of nodes.

    Raises:
        ValueError: One of them already has one.
    """

    def add(lifter: Lifter) -> Lifter:
        for kind in kinds:
            if kind in LIFTERS:
                raise ValueError(f"{kind} already has a reader")
            LIFTERS[kind] = lifter
        return lifter

    return add


@dataclass(slots=True)
class Lift:
    """What is known so far.

    Attributes:
        path: Of the file, for errors.
        opset: Of its operators.
        held: What each name stands for; None for one that is left out.
        calls: Those that are made, by their first output's name.
        sizes: Of each value, in its own order.
        folded: Elements of constants that were computed and are kept.
        most: Of these, as many as there may be.
        uses: How often each name of the file is read.
        makers: The node that gives each name.
        ordering: Names of which the order of the elements is asked for.
        kept: By the name of an input that holds states, what they are next.
        ones: A mask in ones and zeros, by the name of the value: the mask.
    """

    path: str
    opset: int
    held: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    sizes: dict[str, Sizes] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    makers: dict[str, Node] = field(default_factory=dict)
    ordering: set[str] = field(default_factory=set)
    kept: dict[str, tuple[Seen, ...]] = field(default_factory=dict)
    ones: dict[str, Seen] = field(default_factory=dict)
    layer_names: set[str] = field(default_factory=set)
    value_names: set[str] = field(default_factory=set)
    made: dict[tuple[str, tuple[int, ...]], Value] = field(default_factory=dict)
    fresh: int = 0
    folded: int = 0
    most: int = FREE

    # Names of the file

    def run(self, graph: Graph) -> None:
        """Read the nodes of a graph."""
        self.most += 4 * sum(prod(one.shape) for one in graph.stored.values())
        for name, stored in graph.stored.items():
            self.held[name] = Known(stored, stored.dtype.newbyteorder("=").name)
        for node in graph.nodes:
            self.node(node)

    def node(self, node: Node) -> None:
        """Read one node.

        Raises:
            UnsupportedError: It is not read.
        """
        from converter.readers.onnx.packing import check_taken, followed

        lifter = LIFTERS.get(node.kind)
        try:
            results: Sequence[Any] | None = folded(self, node)
            if results is None:
                results = followed(self, node)
            if results is None and lifter is None:
                raise self.refusal(node, f"a {node.kind} of what is no constant")
            if results is None and lifter is not None:
                check_taken(self, node)
                results = lifter(self, node)
        except ConverterError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise self._failed(node, error) from error
        for name, held in zip(node.outputs, results or (), strict=False):
            if name:
                self.held[name] = held

    def _failed(self, node: Node, error: Exception) -> ConverterError:
        """Why a node cannot be read: sizes that are not known, or what no file should have."""
        given = (self.held.get(name) for name in node.inputs)
        said = str(error) or type(error).__name__
        if any(isinstance(one, Known) and one.is_symbolic for one in given):
            return self.refusal(node, f"computed of sizes that are not known: {said}")
        return self.damaged(node, said)

    def given(self, node: Node, k: int) -> Any:
        """What input `k` of a node stands for; None where it is left out.

        Raises:
            FormatError: Nothing before it has that name.
        """
        if k >= len(node.inputs) or not node.inputs[k]:
            return None
        name = node.inputs[k]
        if name not in self.held:
            raise self.damaged(node, f"{named(name)} is given by no node before it")
        return self.held[name]

    def all_given(self, node: Node) -> list[Any]:
        """Every input."""
        return [self.given(node, k) for k in range(len(node.inputs))]

    def known(self, node: Node, k: int, what: str) -> Known | None:
        """An input that must be a constant; None where it is left out.

        Raises:
            UnsupportedError: It is computed of the model's inputs.
        """
        held = self.given(node, k)
        if held is None or isinstance(held, Known):
            return held
        shape = numbers(held.sizes) if isinstance(held, Filled) else None
        if isinstance(held, Filled) and shape is not None and prod(shape) <= SMALL:
            return Known.of(np.full(shape, held.number, held.dtype), node.inputs[k])
        raise self.refusal(node, f"{what}: an input, or computed of one, and no constant")

    def integers(self, node: Node, k: int, attribute: str = "") -> list[Any] | None:
        """Whole numbers or sizes, from an input or, as older opsets have it, an attribute."""
        if attribute and attribute in node.attributes:
            found = node.attributes[attribute]
            return list(found) if isinstance(found, tuple) else [found]
        held = self.known(node, k, attribute or "a shape")
        return None if held is None else held.items()

    def seen(self, node: Node, k: int) -> Seen:
        """An input as a value of the model."""
        held = self.given(node, k)
        if held is None:
            raise self.damaged(node, f"input {k} is left out")
        return self.as_seen(held, node)

    def once(self, name: str) -> bool:
        """Whether a name of the file is read in one place alone."""
        return self.uses[name] == 1

    # Values of the model

    def as_seen(self, held: Held | None, node: Node) -> Seen:
        """What is followed as a value of the model."""
        if isinstance(held, Seen):
            return held
        if held is None:
            raise self.damaged(node, "something that is left out")
        if isinstance(held, Pieces):
            values = [self.value(part) for part in held.parts]
            if len(values) == 1:
                layer: Layer = ExpandDims(name=self.name(node), axes=(held.axis,))
            else:
                layer = Stack(name=self.name(node), axis=held.axis)
            return self.call(layer, *values)[0]
        if isinstance(held, Counted | Packed | Ends | Kept):
            raise self.refusal(node, "packed steps or states that are kept, in an unknown way")
        if isinstance(held, Filled):
            raise self.refusal(node, f"{held.number} in a tensor of shape {held.sizes}")
        if held.is_symbolic:
            raise self.refusal(node, "a size of a tensor as a tensor")
        if held.count > SMALL:
            raise self.refusal(node, f"a constant of {held.shape} where a tensor is expected")
        array = held.read()
        constant = Constant(
            name=self.name(node, "constant"),
            elements=tuple(array.reshape(-1).tolist()),
            shape=array.shape,
            dtype=held.dtype,
        )
        return self.call(constant)[0]

    def value(self, seen: Seen) -> Value:
        """The value with its axes as the file has them: a transposition, if they are turned."""
        if not seen.is_turned:
            return seen.value
        key = seen.value.name, seen.order
        if key not in self.made:
            name = self.unique(f"{seen.value.name}_transposed", self.layer_names)
            layer: Layer = Transpose(name=name, axes=seen.order)
            if seen.order[0] == 0:
                layer = Permute(name=name, dims=seen.order[1:])
            self.made[key] = self.call(layer, seen.value)[0].value
        return self.made[key]

    def call(
        self,
        layer: Layer,
        *inputs: Value,
        masks: tuple[Value | None, ...] = (),
    ) -> list[Seen]:
        """A call of a layer, and its outputs.

        Raises:
            ShapeMismatchError: It does not take such inputs.
        """
        sizes = self._output_sizes(layer, inputs)
        name = self.unique(layer.name, self.value_names)
        outputs = []
        for k, own in enumerate(sizes):
            dtype = self._dtype(layer, k, inputs)
            outputs.append(Value(f"{name}:{k}" if k else name, known(own), dtype))
            self.sizes[outputs[-1].name] = own
            self.value_names.add(outputs[-1].name)
        self.calls[name] = Call(layer, inputs, tuple(outputs), masks)
        return [
            Seen(value, tuple(range(len(own))), own)
            for value, own in zip(outputs, sizes, strict=True)
        ]

    def _output_sizes(self, layer: Layer, inputs: Sequence[Value]) -> list[Sizes]:
        """As the layer says; what it cannot say of named sizes has a new name each."""
        if isinstance(layer, Slice):
            return [self._sliced(layer, self.sizes[inputs[0].name])]
        try:
            shapes = layer.output_shapes(tuple(as_shape(self.sizes[one.name]) for one in inputs))
        except (ShapeMismatchError, TypeError):
            shapes = layer.output_shapes(tuple(one.shape for one in inputs))
        return [tuple(self.free() if size is None else size for size in one) for one in shapes]

    def _sliced(self, layer: Slice, sizes: Sizes) -> Sizes:
        """What a slice leaves of named sizes: those that are whole, and new ones."""
        (shape,) = layer.output_shapes((known(sizes),))
        items = (*layer.items, *(WHOLE,) * (len(sizes) - len(layer.items)))
        kept = [pair for pair in zip(items, sizes, strict=True) if isinstance(pair[0], Span)]
        return tuple(
            size if item == WHOLE else self.free() if new is None else new
            for (item, size), new in zip(kept, shape, strict=True)
        )

    def _dtype(self, layer: Layer, k: int, inputs: Sequence[Value]) -> str:
        if isinstance(layer, Operation):
            return layer.output_dtype(tuple(one.dtype for one in inputs))
        if isinstance(layer, MASKS) or (isinstance(layer, Masking) and k):
            return "bool"
        return inputs[0].dtype if isinstance(layer, MOVERS) and inputs else layer.dtype

    def index(self, held: Held, axis: int, k: int, node: Node) -> Seen:
        """`x[..., k, ...]` along an axis of the file."""
        if isinstance(held, Pieces) and axis == held.axis:
            return held.parts[k]
        if isinstance(held, Known) and not held.is_symbolic:
            held = Known.of(np.take(held.read(), k, axis), held.stored.name)
            return self.as_seen(held, node)
        seen = self.as_seen(held, node)
        at = seen.order[axis]
        size = seen.sizes[axis]
        name = self.name(node, f"{named_for(node)}_{'state' if node.kind in RECURRENT else 'part'}")
        if size == 1:
            layer: Layer = Squeeze(name=name, axes=(at,))
        else:
            layer = Slice(name=name, items=(*(WHOLE,) * at, k))
        (result,) = self.call(layer, seen.value)
        return self.left(seen, result, (at,))

    def left(self, seen: Seen, result: Seen, gone: Sequence[int]) -> Seen:
        """What is left of `seen` in its order, where the value lost the axes `gone`."""
        kept = [axis for axis in seen.order if axis not in gone]
        ranks = sorted(kept)
        order = tuple(ranks.index(axis) for axis in kept)
        sizes = self.sizes[result.value.name]
        return Seen(result.value, order, tuple(sizes[axis] for axis in order))

    def ordered(self, result: Seen, order: Sequence[int]) -> Seen:
        """A value as the file sees it, in an order."""
        sizes = self.sizes[result.value.name]
        return Seen(result.value, tuple(order), tuple(sizes[axis] for axis in order))

    def producer(self, seen: Seen) -> Call | None:
        """The call whose first output this is."""
        return self.calls.get(seen.value.name)

    def amend(self, seen: Seen, layer: Layer) -> Seen:
        """Put a layer in the place of the one that made this value."""
        call = self.calls[seen.value.name]
        self.calls[seen.value.name] = replace(call, layer=layer)
        return seen

    def free(self) -> Size:
        """A size that is not known."""
        self.fresh += 1
        return Size.of(f"?{self.fresh}")

    # Names of the model

    def name(self, node: Node, wish: str = "") -> str:
        """A layer's name, from its node's."""
        return self.unique(wish or named_for(node), self.layer_names)

    def unique(self, wish: str, taken: set[str]) -> str:
        """A name that is not taken, as Keras counts them."""
        name, count = wish, 0
        while name in taken:
            count += 1
            name = f"{wish}_{count}"
        taken.add(name)
        return name

    # Errors

    def refusal(self, node: Node, found: str, hint: str = "") -> UnsupportedError:
        """The error for what is not read."""
        return UnsupportedError(
            f"{node.where} of {self.path} is not read",
            context=found,
            hint=hint or "convert the part of the graph before it, or ask for this kind of node",
            code="onnx-node",
        )

    def damaged(self, node: Node, found: str) -> FormatError:
        """The error for what no file should have."""
        return FormatError(
            f"{node.where} of {self.path} is not as ONNX says",
            context=found,
            hint="the file may be damaged; export the model again",
            code="onnx-graph",
        )
