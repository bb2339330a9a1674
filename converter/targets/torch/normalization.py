"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from converter.description import BatchNormalization, LayerNormalization, Value, Weight
from converter.errors import UnsupportedError
from converter.gates import Array
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Source


@emit.register(BatchNormalization)
def _(layer: BatchNormalization, source: Source) -> None:
    """nn.BatchNorm on axis 1; PyTorch's momentum is what Keras's leaves."""
    (value,) = source.inputs
    rank = len(value.shape)
    if not 2 <= rank <= 5:
        raise UnsupportedError(
            f"layer '{layer.name}' cannot become an nn.BatchNorm",
            context=f"a BatchNormalization of a tensor of rank {rank}",
            hint="reshape its input to at most five axes",
            code="batch-norm-rank",
        )
    (size,) = layer.moving_mean.shape
    momentum = 1 - Decimal(repr(layer.momentum))
    given = [str(size), f"eps={layer.epsilon!r}", f"momentum={float(momentum)!r}"]
    parameters = {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
    added: dict[str, Array] = {"num_batches_tracked": np.zeros((), np.int64)}
    frozen: dict[str, str] = {}
    if layer.gamma is None and layer.beta is None:
        given.append("affine=False")
    else:
        _affine(layer, {"weight": layer.gamma, "bias": layer.beta}, (size,), parameters, added)
        frozen = {name: "not in Keras" for name in ("weight", "bias") if name in added}
    kind = {2: 1, 3: 1, 4: 2, 5: 3}[rank]
    module = source.module(
        layer,
        f"nn.BatchNorm{kind}d({', '.join(given)})",
        parameters,
        added=added,
        frozen=frozen,
    )
    if layer.axis == rank - 1 and rank > 2:
        x = source.take(value, channels_first=True)
        source.hold(source.outputs[0], f"{module}({x.text})", x)
    elif layer.axis == 1:
        x = source.take(value)
        source.hold(source.outputs[0], f"{module}({x.text})", x)
    else:
        x = source.take(value)
        moved = f"{module}({x.atom}.movedim({layer.axis}, 1)).movedim(1, {layer.axis})"
        source.hold(source.outputs[0], moved, x)


def _affine(
    layer: BatchNormalization | LayerNormalization,
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
    """nn.LayerNorm on the last axes, which others are moved to."""
    (value,) = source.inputs
    shape = _normalized_shape(layer, value)
    given = [str(shape[0]) if len(shape) == 1 else str(shape), f"eps={layer.epsilon!r}"]
    parameters: dict[str, Weight] = {}
    added: dict[str, Array] = {}
    if layer.gamma is None and layer.beta is None:
        given.append("elementwise_affine=False")
    elif layer.beta is None:
        given.append("bias=False")
        parameters["weight"] = layer.gamma  # type: ignore[assignment]
    else:
        _affine(layer, {"weight": layer.gamma, "bias": layer.beta}, shape, parameters, added)
    module = source.module(
        layer,
        f"nn.LayerNorm({', '.join(given)})",
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
