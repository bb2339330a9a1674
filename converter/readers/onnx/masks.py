"""Where masks come from: comparisons of a graph as the layers that make masks.

`converter.targets.onnx.masking` writes them so.
"""

from __future__ import annotations

from dataclasses import replace

from converter.description import (
    AnyOf,
    Call,
    Cast,
    Elementwise,
    Embedding,
    ExpandDims,
    Function,
    JoinMasks,
    Masking,
    Model,
    Reduce,
    Reduction,
    Unequal,
    Value,
)


def with_masks(model: Model) -> Model:
    """The same model, its masks made by layers."""
    return _Masks(model).model()


class _Masks:
    def __init__(self, model: Model) -> None:
        self.given = model
        self.calls = list(model.calls)
        self.makers = {value.name: call for call in model.calls for value in call.outputs}

    def model(self) -> Model:
        for call in list(self.calls):
            self._plain(call)
        for mask in self._used():
            self._masking(mask)
        for mask in self._used():
            self._embedding(mask)
        return replace(self.given, calls=tuple(self.calls))

    def _used(self) -> list[Value]:
        """The masks that calls use, and those that they are joined of."""
        found = [mask for call in self.calls for mask in call.masks if mask is not None]
        for call in reversed(self.calls):
            joins = isinstance(call.layer, JoinMasks | AnyOf)
            if joins and any(value in found for value in call.outputs):
                found += call.inputs
        return list(dict.fromkeys(found))

    def _maker(self, value: Value) -> Call | None:
        return self.makers.get(value.name)

    def _put(self, old: Call, new: Call) -> None:
        self.calls[self.calls.index(old)] = new
        self.makers.update((value.name, new) for value in new.outputs)

    def _plain(self, call: Call) -> None:
        """Operations on masks as the layers that they are, each on its own."""
        match call.layer:
            case Elementwise(function=Function.LOGICAL_NOT):
                inner = self._maker(call.inputs[0])
                number = _compared(inner, Function.EQUAL)
                if inner is not None and number is not None:
                    unequal = Unequal(name=call.layer.name, number=number)
                    self._put(call, Call(unequal, inner.inputs, call.outputs))
            case Unequal(number=0.0) if self._any_of(call) is not None:
                given = self._any_of(call)
                if given is not None:
                    self._put(call, Call(AnyOf(name=call.layer.name), (given,), call.outputs))

    def _any_of(self, call: Call) -> Value | None:
        """The mask of which a call says whether any element along the last axis is True."""
        reduced = self._maker(call.inputs[0])
        if reduced is None or not isinstance(reduced.layer, Reduce):
            return None
        ones = self._maker(reduced.inputs[0])
        last = reduced.layer.axes == (len(reduced.inputs[0].shape) - 1,)
        largest = reduced.layer.reduction is Reduction.MAX and not reduced.layer.keepdims
        if ones is None or not (last and largest and isinstance(ones.layer, Cast)):
            return None
        return ones.inputs[0] if ones.inputs[0].dtype == "bool" else None

    def _masking(self, mask: Value) -> None:
        """Steps of which every feature is a number: Masking, and what reads them through it."""
        call = self._maker(mask)
        if call is None:
            return
        match call.layer:
            case Elementwise(function=Function.LOGICAL_AND | Function.LOGICAL_OR as function):
                if None in call.layer.operands and len(call.inputs) == 2:
                    every = function is Function.LOGICAL_AND
                    joins = JoinMasks(name=call.layer.name, every=every)
                    self._put(call, replace(call, layer=joins))
                    for one in call.inputs:
                        self._masking(one)
                return
        same = self._all_equal(call)
        if same is None:
            return
        x, number, name = same
        zeroed = self._zeroed(mask, x)
        given = Value(f"{name}:masked", x.shape, x.dtype) if zeroed is None else zeroed.outputs[0]
        layer = Masking(name=name, mask_value=number)
        self._put(call, Call(layer, (x,), (given, mask)))
        if zeroed is not None:
            self.calls.remove(zeroed)
        self.calls = [
            replace(one, inputs=(given, *one.inputs[1:]))
            if one.masks and one.masks[0] == mask and one.inputs[0] == x
            else one
            for one in self.calls
        ]

    def _all_equal(self, call: Call) -> tuple[Value, float, str] | None:
        """What a call says of x if it says where not all features are a number: x, that, a name."""
        if not isinstance(call.layer, Elementwise) or call.layer.function is not Function.LESS:
            return None
        reduced = self._maker(call.inputs[0])
        if call.layer.operands != (None, 1) or reduced is None:
            return None
        ones = self._maker(reduced.inputs[0])
        layer = reduced.layer
        if not isinstance(layer, Reduce) or ones is None or not isinstance(ones.layer, Cast):
            return None
        compared = self._maker(ones.inputs[0])
        number = _compared(compared, Function.EQUAL)
        last = layer.axes == (len(reduced.inputs[0].shape) - 1,) and not layer.keepdims
        if compared is None or number is None or not last or layer.reduction is not Reduction.MIN:
            return None
        return compared.inputs[0], number, compared.layer.name

    def _zeroed(self, mask: Value, x: Value) -> Call | None:
        """The call that gives x where the mask says so, and zeros elsewhere."""
        for call in self.calls:
            match call.layer:
                case Elementwise(function=Function.WHERE, operands=(None, None, 0)):
                    expanded = self._maker(call.inputs[0])
                    last = (len(x.shape) - 1,)
                    own = expanded is not None and expanded.inputs == (mask,)
                    if own and call.inputs[1] == x and expanded is not None:
                        inner = expanded.layer
                        if isinstance(inner, ExpandDims) and inner.axes == last:
                            return call
        return None

    def _embedding(self, mask: Value) -> None:
        """Indices that are not 0, of which the rows are read as well: mask_zero."""
        call = self._maker(mask)
        if call is None or not isinstance(call.layer, Unequal) or call.layer.number:
            return
        for other in self.calls:
            layer = other.layer
            if isinstance(layer, Embedding) and other.inputs == call.inputs and not layer.mask_zero:
                whole = replace(layer, mask_zero=True)
                first = min(self.calls.index(other), self.calls.index(call))
                self.calls = [one for one in self.calls if one not in (other, call)]
                new = Call(whole, other.inputs, (*other.outputs, mask))
                self.calls.insert(first, new)
                self.makers.update((value.name, new) for value in new.outputs)
                return


def _compared(call: Call | None, function: Function) -> float | None:
    """The number with which a call compares its input."""
    if call is None or not isinstance(call.layer, Elementwise):
        return None
    layer = call.layer
    if layer.function is not function or len(layer.operands) != 2 or layer.operands[0] is not None:
        return None
    number = layer.operands[1]
    return None if number is None else float(number)
