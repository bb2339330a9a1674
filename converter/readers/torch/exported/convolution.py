"""Conv1d, Conv2d, Conv3d and their transposes: channels in front in PyTorch, behind here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converter.description import (
    Convolution,
    DepthwiseConvolution,
    Layer,
    Padding,
    TransposedConvolution,
    ZeroPadding,
)
from converter.gates import AS_IS, depthwise_form, permuted
from converter.readers.torch.exported.each_step import each_step
from converter.readers.torch.exported.held import (
    Held,
    Lifted,
    computing,
    settings,
    weight_of,
)
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Step


@lifts("aten.conv1d", "aten.conv2d", "aten.conv3d")
@each_step
def _(lifting: Lifting, step: Step) -> Lifted:
    """A convolution; zeros around it that no padding of Keras says are a layer before it."""
    kernel = lifting.required(step, step["weight"])
    bias = lifting.parameter(step, step["bias"])
    rank = len(kernel.shape) - 2
    size = kernel.shape[2:]
    held = with_channels_last(lifting, step, rank)
    strides, dilation = each(step["stride"], rank), each(step["dilation"], rank)
    padding, ends = _padding(step, size, strides, dilation)
    dtype = step.result.dtype
    value = held.value
    if any(map(any, ends)):
        name = lifting.name(step, "_padding")
        (value,) = lifting.call(
            ZeroPadding(name=name, ends=ends, **computing(dtype)), (value,), dtype
        )
    groups = step["groups"]
    depthwise = groups > 1 and kernel.shape[1] == 1 and rank < 3

    def make(name: str) -> Layer:
        common: dict[str, Any] = {
            "name": name,
            "strides": strides,
            "dilation": dilation,
            "padding": padding,
            "bias": None if bias is None else weight_of([bias], AS_IS),
            **settings(kernel, bias, dtype=dtype),
        }
        if depthwise:
            form = depthwise_form((*size, groups, kernel.shape[0] // groups))
            return DepthwiseConvolution(kernel=weight_of([kernel], form), **common)
        form = permuted(rank + 1, rank, *range(rank))
        return Convolution(kernel=weight_of([kernel], form), groups=groups, **common)

    (value,) = lifting.call(lifting.shared(step, make), (value,), dtype)
    return Held(value, held.axes, step.result.sizes)


def with_channels_last(lifting: Lifting, step: Step, rank: int) -> Held:
    """The input (B, C, ...) in a value (B, ..., C)."""
    held = lifting.tensor(next(iter(step.arguments.values())))
    if len(held.sizes) != rank + 2:
        raise refusal(
            step,
            f"an input of {len(held.sizes)} axes, without a batch",
            "give it a batch: x.unsqueeze(0)",
            "no-batch",
        )
    return lifting.with_channels_last(held)


def each(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """A number for each axis."""
    given = tuple(value) if isinstance(value, Sequence) else (value,)
    return given * rank if len(given) == 1 else given


def _padding(
    step: Step, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> tuple[Padding, tuple[tuple[int, int], ...]]:
    """Keras's word for the zeros around the input, or how many there are.

    "same" is PyTorch's with a stride of 1 alone, and then Keras's: the odd zero at the end.
    """
    rank = len(size)
    if isinstance(step["padding"], str):
        return Padding(step["padding"]), ((0, 0),) * rank
    added = each(step["padding"], rank)
    wanted = [way * (n - 1) for n, way in zip(size, dilation, strict=True)]
    if any(added) and set(strides) == {1} and [2 * one for one in added] == wanted:
        return Padding.SAME, ((0, 0),) * rank
    return Padding.VALID, tuple((one, one) for one in added)


@lifts("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d")
@each_step
def _(lifting: Lifting, step: Step) -> Lifted:
    """A transposed convolution without padding; with it, where Keras says the same."""
    kernel = lifting.required(step, step["weight"])
    bias = lifting.parameter(step, step["bias"])
    rank = len(kernel.shape) - 2
    held = with_channels_last(lifting, step, rank)
    added = each(step["padding"], rank)
    more = each(step["output_padding"], rank)
    strides, dilation = each(step["stride"], rank), each(step["dilation"], rank)
    reach = [(n - 1) * way + 1 for n, way in zip(kernel.shape[2:], dilation, strict=True)]
    if step["groups"] != 1:
        raise refusal(
            step, f"groups={step['groups']} in a transposed convolution", "use groups=1", "groups"
        )
    if any(added) or any(more):
        padding = Padding.SAME
        wanted = [n % 2 + end for n, end in zip(reach, more, strict=True)]
        same = [
            max(n - extra, 0) // 2 == one
            for n, extra, one in zip(reach, wanted, added, strict=True)
        ]
        if not all(same):
            raise refusal(
                step,
                f"padding={added} and output_padding={more} in a transposed convolution",
                "use padding=0, and leave the edges out of its result",
                "transposed-padding",
            )
    else:
        padding = Padding.VALID
        more = (0,) * rank
    dtype = step.result.dtype

    def make(name: str) -> TransposedConvolution:
        return TransposedConvolution(
            name=name,
            strides=strides,
            dilation=dilation,
            padding=padding,
            output_padding=more,
            kernel=weight_of([kernel], permuted(rank + 1, rank, *range(rank))),
            bias=None if bias is None else weight_of([bias], AS_IS),
            **settings(kernel, bias, dtype=dtype),
        )

    layer = lifting.shared(step, make)
    (value,) = lifting.call(layer, (held.value,), dtype)
    if tuple(value.shape[1:-1]) != tuple(
        one if isinstance(one, int) else None for one in step.result.sizes[2:]
    ):
        raise refusal(
            step,
            f"padding={added}, output_padding={more} in a transposed convolution",
            "use padding=0, and leave the edges out of its result",
            "transposed-padding",
        )
    return Held(value, held.axes, step.result.sizes)


@lifts("aten.pad", "aten.constant_pad_nd")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Zeros around the axes of time and place."""
    mode = step.arguments.get("mode", "constant")
    number = step.arguments["value"] or 0
    given = step["pad"]
    held = lifting.tensor(step["self"])
    rank = len(held.sizes) - 2
    pairs = [(given[k], given[k + 1]) for k in range(0, len(given), 2)][::-1]
    pairs = [*((0, 0) for _ in range(rank + 2 - len(pairs))), *pairs]
    fixed = all(isinstance(one, int) and one >= 0 for pair in pairs for one in pair)
    between = [held.axes[axis] for axis, pair in enumerate(pairs) if any(pair)]
    inside = all(0 < axis < rank + 1 for axis in between)
    if mode != "constant" or number or not fixed or not 1 <= rank <= 3 or pairs[0] != (0, 0):
        raise refusal(
            step,
            f"pad {given}, mode '{mode}', value {number}; zeros along axes of time and place alone",
            "write it with torch.cat",
            "pad",
        )
    if not inside:
        held = lifting.with_channels_last(held)
        if pairs[1] != (0, 0):
            held = lifting.with_last(held)
            raise refusal(step, f"zeros as features: pad {given}", "write it with torch.cat", "pad")
    ends = [(0, 0)] * (rank + 2)
    for axis, pair in enumerate(pairs):
        ends[held.axes[axis]] = pair
    layer = ZeroPadding(
        name=lifting.name(step), ends=tuple(ends[1:-1]), **computing(held.value.dtype)
    )
    (value,) = lifting.call(layer, (held.value,), held.value.dtype)
    return Held(value, held.axes, step.result.sizes)
