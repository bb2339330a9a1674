"""From the steps of a module to the layers of a model.

A tensor of the module is a value of the model whose axes may lie in another order: PyTorch has
channels in front and may have time before batch, the layers of the description have them behind.
So a transposition computes nothing; it is a layer only where something needs that order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from converter.description import (
    Call,
    Constant,
    ExpandDims,
    Layer,
    Permute,
    Regroup,
    ShapeMismatchError,
    Slice,
    Stack,
    Transpose,
    Value,
    Weight,
)
from converter.description.indexing import WHOLE
from converter.errors import UnsupportedError
from converter.gates import AS_IS, Array, Form
from converter.readers.torch.exported.held import (
    Filled,
    Held,
    Lifted,
    Merged,
    Stacked,
    computing,
    shape_of,
    weight_of,
    whole,
    without,
)
from converter.readers.torch.exported.traced import (
    Parameter,
    Ref,
    Sizes,
    Step,
    Tensor,
    Traced,
)

Handler = Callable[["Lifting", Step], Lifted]

HANDLERS: dict[str, Handler] = {}

ROWWISE: set[str] = set()
"""Operations that do the same to each index of the first axis, whatever the others are."""


def lifts(*operations: str, rowwise: bool = False) -> Callable[[Handler], Handler]:
    """Register what these operations become.

    Args:
        operations: By their names.
        rowwise: They do the same to each index of the first axis, whatever the others are.
    """

    def register(handler: Handler) -> Handler:
        for one in operations:
            if one in HANDLERS:
                raise ValueError(f"{one} is registered twice")
            HANDLERS[one] = handler
        if rowwise:
            ROWWISE.update(operations)
        return handler

    return register


def refusal(step: Step, found: str, hint: str, code: str = "torch-operation") -> UnsupportedError:
    """The error for a step that no layer says, with the line of forward."""
    name = step.operation.rpartition(".")[2]
    what = f"{step.line}: {step.line.text}" if step.line else f"'{name}'"
    inside = f", in module '{step.module}'" if step.module else ""
    return UnsupportedError(
        f"no layer says {what}", context=f"{found}{inside}", hint=hint, code=code
    )


@dataclass
class Lifting:
    """A model that is being made.

    Attributes:
        held: What each step has become, by its name.
    """

    traced: Traced
    held: dict[str, Lifted] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)
    _layers: dict[object, Layer] = field(default_factory=dict)
    _times: Counter[str] = field(default_factory=Counter)
    _kept: dict[str, tuple[Step, Stacked]] = field(default_factory=dict)
    _turned: dict[tuple[str, tuple[int, ...]], Value] = field(default_factory=dict)

    def input(self, name: str, ref: Ref, tensor: Tensor) -> Value:
        """An input of the model.

        Args:
            name: Of forward's argument.
            ref: Its name in the steps.
            tensor: Its shape and dtype.
        """
        value = Value(self.unique(name), shape_of(tensor.sizes), tensor.dtype)
        self.held[ref.name] = whole(value, tensor.sizes)
        return value

    def lift(self, step: Step) -> None:
        """One step.

        Raises:
            UnsupportedError: No layer says it.
        """
        handler = HANDLERS.get(step.operation)
        if handler is None:
            raise refusal(
                step,
                f"{step.operation}, which is not among the operations that are read",
                "write it with the operations in docs/from-pytorch.md",
            )
        try:
            self.held[step.name] = self._handled(handler, step)
        except ShapeMismatchError as error:
            raise refusal(
                step,
                f"{step.operation} of what no layer takes: {error}",
                "write it with the operations in docs/from-pytorch.md",
            ) from error

    def _handled(self, handler: Handler, step: Step) -> Lifted:
        """What a step becomes; one that works on each row alone, on the rows of `Merged` too."""
        given = {name: self.held[name] for name in step.refs()}
        tensors = {
            name: one for name, one in given.items() if not isinstance(one, Parameter | Filled)
        }
        rows = {name: one.inner for name, one in tensors.items() if isinstance(one, Merged)}
        fronts = {one.sizes[:2] for one in rows.values()}
        if step.operation not in ROWWISE or len(rows) < len(tensors) or len(fronts) != 1:
            return handler(self, step)
        arguments = dict(step.arguments)
        if "dim" in arguments:
            if arguments["dim"] == 0:
                return handler(self, step)
            arguments["dim"] -= len(step.result.sizes) if arguments["dim"] > 0 else 0
        self.held.update(rows)
        result = handler(self, replace(step, arguments=arguments))
        self.held.update(given)
        assert isinstance(result, Held)
        sizes = (*fronts.pop(), *step.result.sizes[1:])
        return Merged(Held(result.value, result.axes, sizes), step.result.sizes)

    def output(self, ref: Ref) -> Value:
        """An output of the model.

        Raises:
            UnsupportedError: It is no tensor.
        """
        try:
            return self.plain(self.tensor(ref))
        except ShapeMismatchError as error:
            (step,) = (one for one in self.traced.steps if one.name == ref.name)
            raise refusal(
                step, f"an output that no layer gives: {error}", "return a tensor of numbers"
            ) from error

    def is_read(self, step: Step, result: int) -> bool:
        """Whether anything reads that one of the results of a step."""
        names = {
            one.name
            for one in self.traced.steps
            if one.operation == "getitem" and one["x"].name == step.name and one["index"] == result
        }
        read = {name for one in self.traced.steps for name in one.refs()}
        read |= {ref.name for ref in self.traced.outputs}
        return bool(names & read)

    def of(self, ref: Ref) -> Lifted:
        """What a step or an input has become."""
        return self.held[ref.name]

    def tensor(self, ref: Ref) -> Held:
        """The same as a tensor of the model."""
        return self.as_held(self.of(ref), ref.name)

    def as_held(self, lifted: Lifted, name: str) -> Held:
        """What has become of a step as a tensor of the model."""
        match lifted:
            case Held():
                return lifted
            case Stacked(parts, axis):
                values = [self.plain(part) for part in parts]
                dtype = values[0].dtype
                sizes = (*parts[0].sizes[:axis], len(parts), *parts[0].sizes[axis:])
                own = self.unique(f"{values[0].name.replace(':', '_')}_stack")
                layer: Layer = Stack(name=own, axis=axis, **computing(dtype))
                if len(parts) == 1:
                    layer = ExpandDims(name=own, axes=(axis,), **computing(dtype))
                (value,) = self.call(layer, values, dtype)
                return whole(value, sizes)
            case Merged(inner, sizes):
                value = self.plain(inner)
                layer = Regroup(
                    name=self.unique(f"{value.name}_rows"),
                    target=(-1, *self._fixed(name, sizes[1:])),
                    **computing(value.dtype),
                )
                (value,) = self.call(layer, (value,), value.dtype)
                return whole(value, sizes)
            case Filled(number, sizes, dtype) if all(isinstance(size, int) for size in sizes):
                return self.constant(name, [number], tuple(map(int, sizes)), dtype)
            case Parameter():
                return self.fixed(lifted.name.replace(".", "/"), lifted.read())
        raise ShapeMismatchError(
            f"'{name}', which is {type(lifted).__name__.lower()} and no tensor"
        )

    def _fixed(self, name: str, sizes: Sizes) -> tuple[int, ...]:
        """Sizes that are numbers.

        Raises:
            ShapeMismatchError: One of them is free.
        """
        if not all(isinstance(size, int) for size in sizes):
            raise ShapeMismatchError(f"'{name}' has two free axes, one of them of two axes")
        return tuple(int(size) for size in sizes)

    def fixed(self, name: str, array: Array) -> Held:
        """An array as a tensor of the model."""
        return self.constant(name, array.ravel().tolist(), array.shape, str(array.dtype))

    def constant(
        self, name: str, elements: Sequence[Any], shape: tuple[int, ...], dtype: str
    ) -> Held:
        """A tensor that is the same in every call."""
        count = 1
        for size in shape:
            count *= size
        numbers = tuple(elements) * count if len(elements) == 1 else tuple(elements)
        layer = Constant(name=self.unique(name), elements=numbers, shape=shape, dtype=dtype)
        (value,) = self.call(layer, (), dtype)
        return whole(value, shape)

    def arranged(self, held: Held, order: Sequence[int]) -> Value:
        """A value whose axis k is axis `order[k]` of the tensor."""
        axes = tuple(held.axes[axis] for axis in order)
        if axes == tuple(range(len(axes))):
            return held.value
        key = held.value.name, axes
        if key not in self._turned:
            stays = axes[0] == 0
            name = self.unique(f"{held.value.name}_{'permute' if stays else 'transpose'}")
            layer = Permute(name=name, dims=axes[1:]) if stays else Transpose(name=name, axes=axes)
            (self._turned[key],) = self.call(layer, (held.value,), held.value.dtype)
        return self._turned[key]

    def plain(self, held: Held) -> Value:
        """A value with the axes as the tensor has them."""
        return self.arranged(held, range(len(held.axes)))

    def laid(self, held: Held, order: Sequence[int]) -> Held:
        """The tensor in a value whose axis k is its axis `order[k]`."""
        axes = tuple(list(order).index(axis) for axis in range(len(held.axes)))
        return Held(self.arranged(held, order), axes, held.sizes)

    def with_last(self, held: Held) -> Held:
        """The tensor in a value that has its last axis last."""
        last = len(held.axes) - 1
        return held if held.axes[-1] == last else self.laid(held, range(last + 1))

    def with_channels_last(self, held: Held) -> Held:
        """The tensor (B, C, ...) in a value (B, ..., C)."""
        return self.laid(held, (0, *range(2, len(held.axes)), 1))

    def selected(self, name: str, held: Held, axis: int, index: int) -> Held:
        """One element along an axis, which goes."""
        own = held.axes[axis]
        layer = Slice(name=name, items=(*(WHOLE,) * own, index), **computing(held.value.dtype))
        (value,) = self.call(layer, (held.value,), held.value.dtype)
        return without(held, (axis,), value)

    def keeps(self, step: Step, buffers: Sequence[Parameter], states: Sequence[Stacked]) -> None:
        """Buffers in which a layer keeps its states: they must hold those in the end."""
        for buffer, state in zip(buffers, states, strict=True):
            self._kept[buffer.name] = step, state

    def call(
        self,
        layer: Layer,
        inputs: Sequence[Value],
        dtype: str,
        masks: tuple[Value | None, ...] = (),
    ) -> tuple[Value, ...]:
        """Add a call of a layer; its results are of `dtype`."""
        shapes = layer.output_shapes(tuple(value.shape for value in inputs))
        time = self._times[layer.name]
        self._times[layer.name] += 1
        again = f"@{time}" if time else ""
        outputs = tuple(
            Value(f"{layer.name}{again}" + (f":{k}" if k else ""), shape, dtype)
            for k, shape in enumerate(shapes)
        )
        self.calls.append(Call(layer, tuple(inputs), outputs, masks))
        return outputs

    def shared(self, step: Step, make: Callable[[str], Layer], *, part: str = "") -> Layer:
        """A layer of a module; the same one, where the module is called again.

        Args:
            step: The call.
            make: From a name to the layer.
            part: Of a step that is several layers.
        """
        own = tuple((name, self._known(value)) for name, value in step.arguments.items())
        key = step.operation, step.module, own, part
        if key not in self._layers:
            self._layers[key] = make(self.name(step, part))
        return self._layers[key]

    def check_kept(self) -> None:
        """See that what the module keeps for its next call is what layers of the model keep.

        Raises:
            UnsupportedError: It keeps something else.
        """
        used = {name for step in self.traced.steps for name in step.refs()}
        names = {one.name: name for name, one in self.traced.parameters.items()}
        for name, ref in self.traced.changed.items():
            if names.get(name) not in used:
                continue  # a note that forward never reads
            known = self._kept.get(name)
            if known is None or self.of(ref) != known[1]:
                users = [one for one in self.traced.steps if names[name] in one.refs()]
                raise refusal(
                    users[0],
                    f"'{name}', which each call leaves to the next; a layer of Keras keeps the "
                    "last states of its own alone",
                    "give it to forward, and return the new one",
                    "kept-state",
                )

    def _known(self, value: Any) -> object:
        """An argument that is the same in each call: parameters and numbers."""
        if isinstance(value, tuple) and not isinstance(value, Ref):
            return tuple(self._known(one) for one in value)
        if isinstance(value, Ref):
            return value.name if value.name in self.traced.parameters else "tensor"
        return value

    def name(self, step: Step, part: str = "") -> str:
        """A name for a layer: that of its module, or else of the operation."""
        word = step.operation.rpartition(".")[2].strip("_")
        path = step.module.replace(".", "/")
        if not step.kind:
            path = f"{path}/{word}" if path else word
        elif not path or path.isdigit():
            path = "_".join([step.kind.lower(), *([path] if path else [])])
        return self.unique(path + part)

    def unique(self, name: str) -> str:
        """The name, or one with a number if it is taken."""
        new, count = name, 0
        while new in self._taken:
            count += 1
            new = f"{name}_{count}"
        self._taken.add(new)
        return new

    def parameter(self, step: Step, argument: Any) -> Parameter | None:
        """A weight that a step takes; None where it takes none.

        Raises:
            UnsupportedError: It is computed from something.
        """
        return None if argument is None else self.required(step, argument)

    def required(self, step: Step, argument: Ref) -> Parameter:
        """A weight that a step takes.

        Raises:
            UnsupportedError: It is computed from something.
        """
        lifted = self.of(argument)
        if isinstance(lifted, Parameter):
            return lifted
        raise refusal(
            step,
            f"a weight that forward computes: '{argument.name}'",
            "remove what computes it, as torch.nn.utils.parametrize.remove_parametrizations does",
            "computed-weight",
        )

    def weight(self, parameter: Parameter, form: Form = AS_IS) -> Weight:
        """A parameter as a weight of a layer."""
        return weight_of([parameter], form)
