"""A model with what Keras 3 lacks said by what it has: the same meaning, in more layers.

time_major=True, which Keras 3 has not, is a transposition before and after, and so is a product
of transposed matrices. A mask of lengths is a sum of ones, held against them.
An index of 64 bits is one of 32 that is cast. A Dot that normalizes with
the least norm of tf.keras is two normalizations before one that does not. A BatchNormalization
over several axes is one over their product. A Bidirectional that
repeats what is masked, where that of Keras 3 returns zeros, is two layers, and so is one that
keeps its states and returns them, on which Keras 3 fails. What joins
tensors within each step, which TimeDistributed of Keras 3 does not take, joins whole sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from converter.description import (
    BatchNormalization,
    Call,
    Cast,
    Combine,
    Concatenate,
    ConvLSTM,
    CumulativeSum,
    Dot,
    Elementwise,
    ExpandDims,
    Function,
    Layer,
    Matmul,
    Merge,
    Model,
    Permute,
    Recurrent,
    Reduce,
    Reshape,
    Shape,
    Slice,
    Span,
    TimeDistributed,
    Transpose,
    UnitNormalization,
    Value,
    Weight,
    WithinLength,
)
from converter.description.directions import base_of, in_time, joining
from converter.description.indexing import WHOLE
from converter.description.weight import replace_weights
from converter.dtypes import FLOATS
from converter.gates import Array, Form
from converter.targets.keras.emit import refusal

BATCH_FIRST = (1, 0, 2)

KERAS_3_LEAST = 1e-7
"""The least norm that Dot of Keras 3 divides by: keras.config.epsilon()."""


def lowered(model: Model) -> Model:
    """The model in layers of Keras 3."""
    calls = tuple(part for call in model.calls for part in _lowered(call))
    return replace(model, calls=calls)


def _lowered(call: Call) -> Iterator[Call]:
    call = _outside(call)
    layer = call.layer
    if isinstance(layer, Dot) and layer.normalize and layer.least != KERAS_3_LEAST:
        yield from _normalized_before(call, layer)
        return
    if isinstance(layer, Matmul) and any(layer.transposed):
        yield from _plain_product(call, layer)
        return
    if isinstance(layer, WithinLength) and not layer.time_major:
        yield from _counted(call)
        return
    if isinstance(layer, Reduce) and layer.output_dtype(("float32",)) == "int64":
        (output,) = call.outputs
        index = replace(output, name=f"{output.name} of 32 bits", dtype="int32")
        yield replace(call, layer=replace(layer, dtype="int32"), outputs=(index,))
        yield Call(Cast(name=f"{output.name} of 64 bits", dtype="int64"), (index,), (output,))
        return
    if isinstance(layer, ConvLSTM | Recurrent) and _is_two_layers(call, layer):
        for part in _one_by_one(call, layer):
            yield from _lowered(part)
        return
    if isinstance(layer, BatchNormalization) and len(layer.axes) > 1:
        yield from _as_one_axis(call, layer)
        return
    if not (isinstance(layer, Recurrent) and layer.time_major):
        yield call
        return
    plain = replace(layer, time_major=False)
    x, *states = call.inputs
    turned = Value(f"{call.outputs[0].name} batch first", _turned(x), x.dtype)
    yield _transposed(x, turned)
    if not layer.return_sequences:
        yield replace(call, layer=plain, inputs=(turned, *states))
        return
    count = 2 if layer.merge is Merge.SEPARATE else 1
    sequences = call.outputs[:count]
    inner = tuple(
        replace(value, name=f"{value.name} of a batch", shape=_turned(value)) for value in sequences
    )
    yield replace(
        call,
        layer=plain,
        inputs=(turned, *states),
        outputs=(*inner, *call.outputs[count:]),
    )
    for value, result in zip(inner, sequences, strict=True):
        yield _transposed(value, result, f"{result.name} time first")


def _is_two_layers(call: Call, layer: ConvLSTM | Recurrent) -> bool:
    """Whether no Bidirectional of Keras 3 does what this one does."""
    if layer.backward is None:
        return False
    repeats = layer.zero_output_for_mask != layer.return_sequences
    # Its compute_mask fails on the states that a stateful one returns.
    return (repeats and call.mask is not None) or (layer.stateful and layer.return_state)


def _one_by_one(call: Call, layer: ConvLSTM | Recurrent) -> Iterator[Call]:
    """Two directions as two layers, and what joins them."""
    x, *states = call.inputs
    apart = layer.merge in (None, Merge.SEPARATE)
    count = 2 if apart else 1
    returned, last = call.outputs[:count], call.outputs[count:]
    sequences = layer.return_sequences
    time_axis = 0 if isinstance(layer, Recurrent) and layer.time_major else 1
    base = base_of(layer)
    made = []
    for k, word in enumerate(("forward", "backward")):
        one = _direction(layer, k, word)
        own, states = states[: one.state_count], states[one.state_count :]
        ends, last = last[: one.state_count], last[one.state_count :]
        (shape, *_) = one.output_shapes(tuple(value.shape for value in (x, *own)))
        name = returned[k].name if apart and not (k and sequences) else f"{returned[0].name} {word}"
        made.append(Value(name, shape, returned[0].dtype))
        masks = (call.mask, *(None for _ in own))
        yield Call(one, (x, *own), (made[k], *ends), masks)
    if sequences:
        name = returned[1].name if apart else f"{returned[0].name} in time"
        turned = replace(made[1], name=name)
        yield Call(in_time({**base, "name": name}, time_axis=time_axis), (made[1],), (turned,))
        made[1] = turned
    merge = joining(base, layer.merge, sequences=sequences)
    if merge is not None:
        yield Call(merge, tuple(made), returned)


def _direction(layer: ConvLSTM | Recurrent, k: int, word: str) -> ConvLSTM | Recurrent:
    """A direction of two as a layer of one."""
    name = f"{layer.name} {word}"
    if isinstance(layer, ConvLSTM):
        one = layer.directions[k]
        return replace(layer, name=name, forward=one, backward=None, merge=None)
    return replace(layer, name=name, forward=layer.directions[k], backward=None, merge=None)


def _plain_product(call: Call, layer: Matmul) -> Iterator[Call]:
    """A product of what is transposed before it."""
    given = []
    for k, (x, turned) in enumerate(zip(call.inputs, layer.transposed, strict=True)):
        if not turned:
            given.append(x)
            continue
        axes = (*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2)
        name = f"{call.outputs[0].name} operand {k}"
        flipped = Value(name, tuple(x.shape[axis] for axis in axes), x.dtype)
        yield Call(_transpose(name, axes, x.dtype), (x,), (flipped,))
        given.append(flipped)
    plain = replace(layer, transposed=(False, False))
    yield replace(call, layer=plain, inputs=tuple(given))


def _as_one_axis(call: Call, layer: BatchNormalization) -> Iterator[Call]:
    """Several axes of a normalization moved to the end, made one, and put back.

    Raises:
        UnsupportedError: Two of the other axes are of a free length.
    """
    (x,), (output,) = call.inputs, call.outputs
    rest = [axis for axis in range(1, len(x.shape)) if axis not in layer.axes]
    order = (*rest, *layer.axes)
    lengths = [x.shape[axis] for axis in rest]
    if lengths.count(None) > 1:
        raise refusal(
            layer,
            f"axes {layer.axes} of shape {x.shape}, of which more than one other is free",
            "--to pytorch can say it",
            "keras-axes",
        )
    free = tuple(-1 if n is None else n for n in lengths)
    sizes = layer.moving_mean.shape
    moved = tuple(x.shape[axis] for axis in (0, *order))
    joined = (x.shape[0], *lengths, prod(sizes))
    whole = replace_weights(layer, lambda _, weight: _flat(weight))

    def permuted(name: str, dims: tuple[int, ...]) -> Permute:
        dtype = layer.dtype
        return Permute(name=name, dims=dims, dtype=dtype, variable_dtype=dtype)

    def shaped(name: str, target: tuple[int, ...]) -> Reshape:
        dtype = layer.dtype
        return Reshape(name=name, target=target, dtype=dtype, variable_dtype=dtype)

    back = tuple(order.index(axis) + 1 for axis in range(1, len(x.shape)))
    steps: list[tuple[Layer, Shape]] = [
        (permuted(f"{layer.name} axes last", order), moved),
        (shaped(f"{layer.name} axes as one", (*free, prod(sizes))), joined),
        (replace(whole, axes=(len(rest) + 1,)), joined),
        (shaped(f"{layer.name} axes apart", (*free, *sizes)), moved),
        (permuted(f"{layer.name} axes back", back), output.shape),
    ]
    for number, (step, shape) in enumerate(steps, 1):
        last = number == len(steps)
        made = output if last else Value(f"{step.name}, step {number}", shape, layer.dtype)
        yield Call(step, (x,), (made,))
        x = made


def _flat(weight: Weight) -> Weight:
    """The same as a vector."""
    form = weight.form

    def read(arrays: Sequence[Array]) -> Array:
        return form.read(arrays).reshape(-1)

    def write(array: Array) -> tuple[Array, ...]:
        return form.write(array.reshape(weight.shape))

    how = f"{form.how}, axes side by side"
    return replace(weight, shape=(weight.size,), form=Form(how, read, write, form.lossy))


def _counted(call: Call) -> Iterator[Call]:
    """A mask of lengths: a one for each step, added up, held against them."""
    x, lengths = call.inputs
    (mask,) = call.outputs
    words = ("first", "ones", "whole", "steps", "lengths", "column")
    names = [f"{mask.name} {word}" for word in words]
    shapes = (*[x.shape[:2]] * 4, lengths.shape, (x.shape[0], 1))
    dtypes = (x.dtype, x.dtype, *["int32"] * 4)
    first, ones, whole, steps, cast, column = map(Value, names, shapes, dtypes)
    every: tuple[Span | int, ...] = (WHOLE, WHOLE, *(0 for _ in x.shape[2:]))
    ones_like = Elementwise(name=ones.name, function=Function.ONES_LIKE, operands=(None,))
    until = Elementwise(name=call.layer.name, function=Function.LESS_EQUAL, operands=(None, None))
    yield Call(Slice(name=first.name, items=every), (x,), (first,))
    yield Call(ones_like, (first,), (ones,))
    yield Call(Cast(name=whole.name, dtype="int32"), (ones,), (whole,))
    yield Call(CumulativeSum(name=steps.name, axis=1), (whole,), (steps,))
    yield Call(Cast(name=cast.name, dtype="int32"), (lengths,), (cast,))
    yield Call(ExpandDims(name=column.name, axes=(1,)), (cast,), (column,))
    yield Call(until, (steps, column), (mask,))


def _outside(call: Call) -> Call:
    """What joins tensors within each step, joining whole sequences, where that is the same."""
    layer, around = call.layer, 0
    while isinstance(layer, TimeDistributed):
        layer, around = layer.layer, around + 1
    alike = len({len(value.shape) for value in call.inputs}) == 1
    name, trainable = call.layer.name, call.layer.trainable
    if around and alike and isinstance(layer, Combine):
        return replace(call, layer=replace(layer, name=name, trainable=trainable))
    if around and isinstance(layer, Concatenate):
        axis = layer.axis if layer.axis < 0 else layer.axis + around
        return replace(call, layer=replace(layer, axis=axis, name=name, trainable=trainable))
    return call


def _transposed(x: Value, result: Value, name: str = "") -> Call:
    layer = _transpose(name or result.name, BATCH_FIRST, x.dtype)
    return Call(layer, (x,), (result,))


def _transpose(name: str, axes: tuple[int, ...], dtype: str) -> Transpose:
    """One that casts nothing."""
    if dtype not in FLOATS:
        return Transpose(name=name, axes=axes)
    return Transpose(name=name, axes=axes, dtype=dtype, variable_dtype=dtype)


def _turned(value: Value) -> tuple[int | None, ...]:
    time, batch, *rest = value.shape
    return (batch, time, *rest)


def _normalized_before(call: Call, layer: Dot) -> Iterator[Call]:
    units = []
    for k, (value, axis) in enumerate(zip(call.inputs, layer.axes, strict=True)):
        name = f"{call.outputs[0].name} unit {k}"
        unit = UnitNormalization(
            name=name,
            axes=(axis,),
            least=layer.least,
            dtype=layer.dtype,
            variable_dtype=layer.variable_dtype,
        )
        units.append(Value(name, value.shape, layer.dtype))
        yield Call(unit, (value,), (units[-1],))
    yield replace(call, layer=replace(layer, normalize=False), inputs=tuple(units))
