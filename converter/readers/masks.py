"""Where masks come from: comparisons of a graph as the layers that make masks.

`converter.targets.onnx.masking` and `converter.targets.torch.masking` write them so.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    Recurrent,
    Reduce,
    Reduction,
    Unequal,
    Value,
)


def with_masks(model: Model) -> Model:
    """The same model, its masks made by layers."""
    return _Masks(model).model()


def with_zeros(model: Model) -> Model:
    """The same model, with layers that return zeros for masked steps where that is what is read.

    So is a mask that is multiplied into a sequence; and so are both directions where every reader
    skips the steps and nobody sees what they return for them: Keras has no other Bidirectional.
    """
    outputs = {value.name for value in model.outputs}
    zeroed: dict[str, Value] = {}
    calls = []
    for call in model.calls:
        sequence = call.outputs[0]
        readers = [one for one in model.calls if sequence in one.needs]
        shared = sum(one.layer is call.layer for one in model.calls) > 1
        if not isinstance(call.layer, Recurrent) or shared or sequence.name in outputs:
            calls.append(call)
            continue
        times_mask = len(readers) == 1 and _is_times_mask(readers[0], sequence, call.mask, model)
        skipped = call.mask is not None and all(_skips(one, sequence, call.mask) for one in readers)
        if times_mask:
            zeroed[readers[0].outputs[0].name] = sequence
        if times_mask or (skipped and call.layer.backward and call.layer.return_sequences):
            call = replace(call, layer=replace(call.layer, zero_output_for_mask=True))
        calls.append(call)
    kept = [
        replace(call, inputs=tuple(zeroed.get(value.name, value) for value in call.inputs))
        for call in calls
        if call.outputs[0].name not in zeroed
    ]
    whole = tuple(zeroed.get(value.name, value) for value in model.outputs)
    return replace(model, calls=tuple(kept), outputs=whole).until(*whole)


def _skips(call: Call, sequence: Value, mask: Value) -> bool:
    """Whether it reads the steps of a sequence that count, and no others."""
    return (
        isinstance(call.layer, Recurrent)
        and call.inputs[0] == sequence
        and sequence not in call.inputs[1:]
        and call.mask == mask
    )


def _is_times_mask(call: Call, sequence: Value, mask: Value | None, model: Model) -> bool:
    """Whether it multiplies a sequence by its mask, and does nothing else."""
    match call.layer, call.inputs:
        case Elementwise(function=Function.MULTIPLY, operands=(None, None)), (x, spread):
            made = {value: one for one in model.calls for value in one.outputs}
            return mask is not None and x == sequence and _is_spread(made, spread, mask)
    return False


def _is_spread(made: Mapping[Value, Call], value: Value, mask: Value) -> bool:
    """Whether a value is the mask for every feature of a step."""
    call = made.get(value)
    if call is not None and isinstance(call.layer, Cast):
        call = made.get(call.inputs[0])
    return (
        call is not None
        and isinstance(call.layer, ExpandDims)
        and call.layer.axes == (len(mask.shape),)
        and call.inputs == (mask,)
    )


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
        number = _compared(call, Function.NOT_EQUAL)
        if number is not None:
            unequal = Unequal(name=call.layer.name, number=number)
            self._put(call, Call(unequal, call.inputs, call.outputs))
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
        if isinstance(call.layer, Reduce) and call.layer.reduction is Reduction.ANY:
            unequal = self._maker(call.inputs[0])
            number = _compared(unequal, Function.NOT_EQUAL)
            if unequal is None or number is None or not _is_of_last(call):
                return None
            return unequal.inputs[0], number, unequal.layer.name
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
        if compared is None or number is None or not _is_of_last(reduced):
            return None
        if layer.reduction is not Reduction.MIN:
            return None
        return compared.inputs[0], number, compared.layer.name

    def _zeroed(self, mask: Value, x: Value) -> Call | None:
        """The call that gives x where the mask says so, and zeros elsewhere."""
        for call in self.calls:
            match call.layer, call.inputs:
                case Elementwise(function=Function.WHERE, operands=(None, None, 0)), (spread, own):
                    pass
                case Elementwise(function=Function.MULTIPLY, operands=(None, None)), (own, spread):
                    pass
                case _:
                    continue
            made = {value: one for one in self.calls for value in one.outputs}
            if own == x and _is_spread(made, spread, mask):
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


def _is_of_last(call: Call) -> bool:
    """Whether it reduces the last axis alone, which goes."""
    layer = call.layer
    return (
        isinstance(layer, Reduce)
        and layer.axes == (len(call.inputs[0].shape) - 1,)
        and not layer.keepdims
    )


def _compared(call: Call | None, function: Function) -> float | None:
    """The number with which a call compares its input."""
    if call is None or not isinstance(call.layer, Elementwise):
        return None
    layer = call.layer
    if layer.function is not function or len(layer.operands) != 2 or layer.operands[0] is not None:
        return None
    number = layer.operands[1]
    return None if number is None else float(number)
