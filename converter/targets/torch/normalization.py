"""Normalization over the batch, a layer, a group, or to length 1."""

from __future__ import annotations

from decimal import Decimal
from math import prod

import numpy as np

from converter.description import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
    Value,
    Weight,
)
from converter.dtypes import HALVES
from converter.errors import UnsupportedError
from converter.gates import Array, reshaped
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Source


@emit.register(BatchNormalization)
def _(layer: BatchNormalization, source: Source) -> None:
    """nn.BatchNorm on axis 1, of several axes as one; PyTorch's momentum is what Keras's leaves."""
    (value,) = source.inputs
    rank = len(value.shape) - len(layer.axes) + 1
    if not 2 <= rank <= 5:
        raise UnsupportedError(
            f"layer '{layer.name}' cannot become an nn.BatchNorm",
            context=f"a BatchNormalization of a tensor of rank {len(value.shape)}",
            hint="reshape its input to at most five axes",
            code="batch-norm-rank",
        )
    sizes = layer.moving_mean.shape
    size = prod(sizes)
    momentum = 1 - Decimal(repr(layer.momentum))
    given = [str(size), f"eps={layer.epsilon!r}", f"momentum={float(momentum)!r}"]
    weights = {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
    added: dict[str, Array] = {"num_batches_tracked": np.zeros((), np.int64)}
    frozen: dict[str, str] = {}
    if layer.gamma is None and layer.beta is None:
        given.append("affine=False")
    else:
        _affine(layer, {"weight": layer.gamma, "bias": layer.beta}, (size,), weights, added)
        frozen = {name: "not in Keras" for name in ("weight", "bias") if name in added}
    form = reshaped(sizes, (size,))
    kind = {2: 1, 3: 1, 4: 2, 5: 3}[rank]
    module = source.module(
        layer,
        f"nn.BatchNorm{kind}d({', '.join(given)})",
        {name: (weight, form) for name, weight in weights.items()},
        added=added,
        frozen=frozen,
    )
    if len(layer.axes) == 1:
        _along(layer.axes[0], module, source)
    else:
        _along_several(layer.axes, sizes, module, source)


def _along(axis: int, module: str, source: Source) -> None:
    """A module that takes axis 1, called with another."""
    (value,), (output,) = source.inputs, source.outputs
    if axis == len(value.shape) - 1 and axis > 1:
        x = source.take(value, channels_first=True)
        source.hold(output, f"{module}({x.text})", x)
        return
    x = source.take(value)
    if axis == 1:
        source.hold(output, f"{module}({x.text})", x)
    else:
        source.hold(output, f"{module}({x.atom}.movedim({axis}, 1)).movedim(1, {axis})", x)


def _along_several(
    axes: tuple[int, ...], sizes: tuple[int, ...], module: str, source: Source
) -> None:
    """A module that takes axis 1, called with several as one."""
    x = source.take(source.inputs[0])
    front = tuple(range(1, len(axes) + 1))
    there, back = f".movedim({axes}, {front})", f".movedim({front}, {axes})"
    if axes == front:
        there = back = ""
    given = f"{x.atom}{there}.flatten(1, {len(axes)})"
    source.hold(source.outputs[0], f"{module}({given}).unflatten(1, {sizes}){back}", x)


@emit.register(GroupNormalization)
def _(layer: GroupNormalization, source: Source) -> None:
    """nn.GroupNorm on axis 1."""
    size = source.inputs[0].shape[layer.axis]
    given = [str(layer.groups), str(size), f"eps={layer.epsilon!r}"]
    parameters: dict[str, Weight] = {}
    added: dict[str, Array] = {}
    if size is None:
        raise UnsupportedError(
            f"layer '{layer.name}' cannot become an nn.GroupNorm",
            context=f"axis {layer.axis} of shape {source.inputs[0].shape}, of a free length",
            hint="normalize an axis of a fixed length",
            code="group-norm-shape",
        )
    if layer.gamma is None and layer.beta is None:
        given.append("affine=False")
    else:
        _affine(layer, {"weight": layer.gamma, "bias": layer.beta}, (size,), parameters, added)
    module = source.module(
        layer,
        f"nn.GroupNorm({', '.join(given)})",
        parameters,
        added=added,
        frozen=dict.fromkeys(added, "not in Keras"),
    )
    _along(layer.axis, module, source)


@emit.register(RMSNormalization)
def _(layer: RMSNormalization, source: Source) -> None:
    """nn.RMSNorm on the last axes."""
    shape = layer.scale.shape
    sizes = str(shape[0]) if len(shape) == 1 else str(shape)
    constructor = f"nn.RMSNorm({sizes}, eps={layer.epsilon!r})"
    module = source.module(layer, constructor, {"weight": layer.scale})
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{module}({x.text})", x)


@emit.register(UnitNormalization)
def _(layer: UnitNormalization, source: Source) -> None:
    """F.normalize, but in half precision."""
    x = source.take(source.inputs[0])
    text = unit_text(x.text, layer.axes, layer.least, layer.dtype, source)
    source.hold(source.outputs[0], text, x)


def unit_text(x: str, axes: tuple[int, ...], least: float, dtype: str, source: Source) -> str:
    """A tensor divided by its norm over some axes."""
    axis = str(axes[0]) if len(axes) == 1 else str(axes)
    if dtype in HALVES:
        return f"{source.copied('unit')}({x}, {axis}, {least!r})"
    return f"F.normalize({x}, dim={axis}, eps={least!r})"


def _affine(
    layer: BatchNormalization | GroupNormalization | LayerNormalization,
    weights: dict[str, Weight | None],
    shape: tuple[int, ...],
    parameters: dict[str, Weight],
    added: dict[str, Array],
) -> None:
    """Scale and centre; ones and zeros where Keras has only the other."""
    some = next(weight for weight in weights.values() if weight is not None)
    for name, weight in weights.items():
        if weight is not None:
            parameters[name] = weight
        else:
            added[name] = np.full(shape, 1 if name == "weight" else 0, some.dtype)


@emit.register(LayerNormalization)
def _(layer: LayerNormalization, source: Source) -> None:
    """nn.LayerNorm on the last axes, which others are moved to; a class where the mean stays."""
    (value,) = source.inputs
    shape = _normalized_shape(layer, value)
    given = [str(shape[0]) if len(shape) == 1 else str(shape), f"eps={layer.epsilon!r}"]
    parameters: dict[str, Weight] = {}
    added: dict[str, Array] = {}
    kind = "nn.LayerNorm" if layer.centred else source.copied("DeviationNorm")
    if not layer.centred and layer.gamma is not None:
        parameters["weight"] = layer.gamma
    elif layer.gamma is None and layer.beta is None:
        given.append("elementwise_affine=False")
    elif layer.beta is None:
        given.append("bias=False")
        parameters["weight"] = layer.gamma  # type: ignore[assignment]
    else:
        _affine(layer, {"weight": layer.gamma, "bias": layer.beta}, shape, parameters, added)
    module = source.module(
        layer,
        f"{kind}({', '.join(given)})",
        parameters,
        added=added,
        frozen=dict.fromkeys(added, "not in Keras"),
    )
    x = source.take(value)
    rank = len(value.shape)
    last = tuple(range(rank - len(layer.axes), rank))
    if layer.axes == last:
        source.hold(source.outputs[0], f"{module}({x.text})", x)
    else:
        there, back = f"{layer.axes}, {last}", f"{last}, {layer.axes}"
        text = f"{module}({x.atom}.movedim({there})).movedim({back})"
        source.hold(source.outputs[0], text, x)


def _normalized_shape(layer: LayerNormalization, value: Value) -> tuple[int, ...]:
    """The sizes of the axes, which nn.LayerNorm wants even without weights."""
    sizes = [value.shape[axis] for axis in layer.axes]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        raise UnsupportedError(
            f"layer '{layer.name}' cannot become an nn.LayerNorm",
            context=f"axes {layer.axes} of shape {value.shape}, of a free length",
            hint="normalize axes of a fixed length",
            code="layer-norm-shape",
        )
    return tuple(known)
