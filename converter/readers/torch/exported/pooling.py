"""Pooling over windows, and over everything."""

from __future__ import annotations

from converter.description import AdaptivePooling, GlobalPooling, Layer, Padding, Pool, Pooling
from converter.readers.torch.exported.convolution import each, with_channels_last
from converter.readers.torch.exported.each_step import each_step
from converter.readers.torch.exported.held import Held, Lifted, computing
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Step

RANKS = (1, 2, 3)


@lifts(
    "ifco.max_pool1d",
    *(f"aten.max_pool{rank}d" for rank in RANKS[1:]),
    *(f"aten.avg_pool{rank}d" for rank in RANKS),
)
@each_step
def _(lifting: Lifting, step: Step) -> Lifted:
    """Windows that lie within the input; or, of odd size and beside each other, around it."""
    rank = int(step.operation[-2])
    pool = Pool.MAX if "max" in step.operation else Pool.AVERAGE
    size = each(step["kernel_size"], rank)
    strides = each(step["stride"], rank) if step["stride"] else size
    added = each(step["padding"], rank)
    dilation = each(step.arguments.get("dilation", 1), rank)
    found = [
        f"{name}={value}"
        for name, value, usual in (
            ("dilation", dilation, (1,) * rank),
            ("ceil_mode", step["ceil_mode"], False),
            ("divisor_override", step.arguments.get("divisor_override"), None),
        )
        if value != usual
    ]
    around = set(strides) == {1} and all(2 * p == n - 1 for p, n in zip(added, size, strict=True))
    if any(added) and not (around and pool is Pool.MAX):
        found.append(f"padding={added}")
    if found:
        raise refusal(
            step, ", ".join(found), "pool without, and pad or cut the input before", "pooling"
        )
    held = with_channels_last(lifting, step, rank)
    layer = Pooling(
        name=lifting.name(step),
        pool=pool,
        size=size,
        strides=strides,
        padding=Padding.SAME if any(added) else Padding.VALID,
        **computing(step.result.dtype),
    )
    (value,) = lifting.call(layer, (held.value,), step.result.dtype)
    return Held(value, held.axes, step.result.sizes)


@lifts(
    *(f"aten.adaptive_avg_pool{rank}d" for rank in RANKS),
    *(f"aten.adaptive_max_pool{rank}d" for rank in RANKS),
)
@each_step
def _(lifting: Lifting, step: Step) -> Lifted:
    """As many places as are asked for; one place is the pooling of everything."""
    rank = int(step.operation[-2])
    pool = Pool.MAX if "max" in step.operation else Pool.AVERAGE
    held = with_channels_last(lifting, step, rank)
    size = step.result.sizes[2:]
    name, dtype = lifting.name(step), step.result.dtype
    layer: Layer
    if set(size) == {1}:
        layer = GlobalPooling(name=name, pool=pool, rank=rank, keepdims=True, **computing(dtype))
    elif all(isinstance(one, int) for one in size):
        fixed = tuple(int(one) for one in size)
        layer = AdaptivePooling(name=name, pool=pool, size=fixed, **computing(dtype))
    else:
        raise refusal(step, f"places {size}", "ask for a fixed number of places", "pooling")
    (value,) = lifting.call(layer, (held.value,), dtype)
    result = Held(value, held.axes, step.result.sizes)
    return (result,) if step.several else result
