"""BatchNorm, LayerNorm, GroupNorm, InstanceNorm, RMSNorm."""

from __future__ import annotations

from collections.abc import Callable

from converter.description import (
    BatchNormalization,
    GroupNormalization,
    Layer,
    LayerNormalization,
    RMSNormalization,
)
from converter.gates import AS_IS
from converter.readers.torch.exported.each_step import each_step
from converter.readers.torch.exported.held import Held, Lifted, settings, weight_of
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Step


@lifts("aten.batch_norm", "aten._native_batch_norm_legit_no_training")
@each_step
def _(lifting: Lifting, step: Step) -> Lifted:
    """By the statistics that were learnt, along axis 1."""
    held = lifting.tensor(step["input"])
    if step.arguments.get("training"):
        raise refusal(
            step,
            "statistics of the batch, also in eval mode",
            "train it with track_running_stats=True",
            "batch-statistics",
        )
    mean = lifting.required(step, step["running_mean"])
    variance = lifting.required(step, step["running_var"])
    gamma, beta = (lifting.parameter(step, step[name]) for name in ("weight", "bias"))
    dtype = step.result.dtype

    def make(name: str) -> BatchNormalization:
        return BatchNormalization(
            name=name,
            axes=(held.axes[1],),
            gamma=None if gamma is None else weight_of([gamma], AS_IS),
            beta=None if beta is None else weight_of([beta], AS_IS),
            moving_mean=weight_of([mean], AS_IS),
            moving_variance=weight_of([variance], AS_IS),
            epsilon=float(step["eps"]),
            momentum=1 - float(step["momentum"]),
            **settings(gamma, beta, dtype=dtype),
        )

    result = _normalized(lifting, step, held, make)
    return (result,) if step.several else result


@lifts("aten.layer_norm", rowwise=True)
def _(lifting: Lifting, step: Step) -> Lifted:
    """Over the last axes of each example."""
    count = len(step["normalized_shape"])
    held = lifting.tensor(step["input"])
    axes = held.axes[len(held.axes) - count :]
    if list(axes) != sorted(axes):
        held = lifting.laid(held, range(len(held.axes)))
        axes = held.axes[len(held.axes) - count :]
    gamma, beta = (lifting.parameter(step, step[name]) for name in ("weight", "bias"))

    def make(name: str) -> LayerNormalization:
        return LayerNormalization(
            name=name,
            axes=axes,
            gamma=None if gamma is None else weight_of([gamma], AS_IS),
            beta=None if beta is None else weight_of([beta], AS_IS),
            epsilon=float(step["eps"]),
            **settings(gamma, beta, dtype=step.result.dtype),
        )

    return _normalized(lifting, step, held, make)


@lifts("aten.group_norm", "aten.instance_norm")
@each_step
def _(lifting: Lifting, step: Step) -> Lifted:
    """Over groups of channels; one channel is one group in InstanceNorm."""
    held = lifting.tensor(step["input"])
    if not step.arguments.get("use_input_stats", True):
        raise refusal(
            step,
            "InstanceNorm by statistics that were learnt",
            "train it with track_running_stats=False, or use BatchNorm",
            "instance-statistics",
        )
    groups = step.arguments.get("num_groups", held.sizes[1])
    gamma, beta = (lifting.parameter(step, step[name]) for name in ("weight", "bias"))

    def make(name: str) -> GroupNormalization:
        return GroupNormalization(
            name=name,
            groups=groups,
            axis=held.axes[1],
            gamma=None if gamma is None else weight_of([gamma], AS_IS),
            beta=None if beta is None else weight_of([beta], AS_IS),
            epsilon=float(step["eps"]),
            **settings(gamma, beta, dtype=step.result.dtype),
        )

    return _normalized(lifting, step, held, make)


@lifts("aten.rms_norm", rowwise=True)
def _(lifting: Lifting, step: Step) -> Lifted:
    """Over the last axes of each example."""
    scale = lifting.required(step, step["weight"])
    if step["eps"] is None:
        raise refusal(step, "no eps", "give RMSNorm an eps", "rms-epsilon")
    held = lifting.tensor(step["input"])
    held = lifting.laid(held, range(len(held.axes)))

    def make(name: str) -> RMSNormalization:
        return RMSNormalization(
            name=name,
            scale=weight_of([scale], AS_IS),
            epsilon=float(step["eps"]),
            **settings(scale, dtype=step.result.dtype),
        )

    return _normalized(lifting, step, held, make)


def _normalized(lifting: Lifting, step: Step, held: Held, make: Callable[[str], Layer]) -> Held:
    layer = lifting.shared(step, make)
    (value,) = lifting.call(layer, (held.value,), step.result.dtype)
    return Held(value, held.axes, step.result.sizes)
