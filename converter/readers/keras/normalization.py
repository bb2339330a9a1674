"""Normalization over the batch, a layer, a group, or to length 1."""

from __future__ import annotations

from converter.description import (
    BatchNormalization,
    Era,
    GroupNormalization,
    Layer,
    LayerNormalization,
    RMSNormalization,
    Shape,
    UnitNormalization,
    Weight,
)
from converter.description.model import axis_of
from converter.dtypes import HALVES
from converter.errors import UnsupportedError
from converter.gates import reshaped
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size, reads
from converter.readers.keras.operations import only_tensors, ops
from converter.readers.keras.weights import Weights


@reads("BatchNormalization")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    for key in ("renorm", "fused", "virtual_batch_size", "adjustment", "mode"):
        harmless = (None, True, False) if key == "fused" else (None, False, 0)
        config.must_be(
            key,
            *harmless,
            code="batch-renormalization",
            hint="use a plain BatchNormalization and save the model again",
        )
    for key in ("renorm_clipping", "renorm_momentum", "synchronized"):
        config.value(key, default=None)  # in training alone
    axes = _axes(config, inputs[0], several=writer.era is Era.TF_KERAS, ordered=False)
    size = tuple(known_size(config, inputs[0], axis) for axis in axes)
    # Statistics of several axes have one of length 1 for each other axis.
    shape = size
    if len(axes) > 1:
        shape = tuple(size[axes.index(k)] if k in axes else 1 for k in range(len(inputs[0])))
    gamma = _weight(weights, "gamma", size, config.boolean("scale", default=True), shape)
    beta = _weight(weights, "beta", size, config.boolean("center", default=True), shape)
    base = config.base()
    if not writer.keras_3 and base["variable_dtype"] in HALVES:
        base["variable_dtype"] = "float32"  # batch_normalization.py, _param_dtype
    return BatchNormalization(
        **base,
        axes=axes,
        gamma=gamma,
        beta=beta,
        moving_mean=_reshaped(weights, "moving_mean", size, shape),
        moving_variance=_reshaped(weights, "moving_variance", size, shape),
        epsilon=config.number("epsilon", least=0, most=1e6, default=1e-3),
        momentum=config.number("momentum", least=0, most=1, default=0.99),
    )


@reads("LayerNormalization")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    centred = not config.boolean("rms_scaling", default=False)
    scale, centre = (config.boolean(key, default=True) for key in ("scale", "center"))
    axes = _axes(config, inputs[0], several=True)
    shape = tuple(known_size(config, inputs[0], axis) for axis in axes)
    base = config.base()
    if writer.keras_3:
        base["autocast"] = False  # layer_normalization.py sets it
    return LayerNormalization(
        **base,
        axes=axes,
        gamma=_weight(weights, "gamma", shape, scale or not centred),
        beta=_weight(weights, "beta", shape, centre and centred),
        epsilon=config.number("epsilon", least=0, most=1e6, default=1e-3),
        centred=centred,
    )


@reads("GroupNormalization")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    (axis,) = _axes(config, inputs[0], several=False)
    size = known_size(config, inputs[0], axis)
    groups = config.integer("groups", least=-1, most=MAX_UNITS, default=32)
    groups = size if groups == -1 else groups
    if groups < 1 or size % groups:
        raise config.wrong("groups", groups, f"a number that divides {size}, or -1")
    base = config.base()
    if writer.keras_3:
        base["autocast"] = False  # group_normalization.py sets it
    return GroupNormalization(
        **base,
        groups=groups,
        axis=axis,
        gamma=_weight(weights, "gamma", (size,), config.boolean("scale", default=True)),
        beta=_weight(weights, "beta", (size,), config.boolean("center", default=True)),
        epsilon=config.number("epsilon", least=0, most=1e6, default=1e-3),
    )


@reads("RMSNormalization")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, _writer: Writer) -> Layer:
    axes, rank = _axes(config, inputs[0], several=True), len(inputs[0])
    if axes != tuple(range(rank - len(axes), rank)):
        raise UnsupportedError(
            f"axis of {config.where} is not read",
            context=f"axes {axes} of a tensor of rank {rank}: Keras lays the scale along the last",
            hint="normalize the last axes, with a Permute before and after",
            code="rms-axes",
        )
    shape = tuple(known_size(config, inputs[0], axis) for axis in axes)
    return RMSNormalization(
        **config.base(),
        scale=Weight(shape, (weights.take("scale", shape),)),
        epsilon=config.number("epsilon", least=0, most=1e6, default=1e-6),
    )


@reads("UnitNormalization")
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    # tf.linalg.l2_normalize has its least number under the root.
    least = 1e-12 if writer.keras_3 else 1e-6
    axes = _axes(config, inputs[0], several=True, ordered=False)
    return UnitNormalization(**config.base(), axes=axes, least=least)


@reads(*ops("Normalize"))
def _(config: Config, inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    """keras.ops.normalize: the operation of which the layer is made, with another least norm."""
    only_tensors(config, 1)
    config.must_be("order", 2, code="norm", hint="use the norm of order 2")
    least = config.number("epsilon", least=1e-38, most=1e6)
    axes = _axes(config, inputs[0], several=True, ordered=False)
    return UnitNormalization(**config.base(), axes=axes, least=least)


def _axes(config: Config, x: Shape, *, several: bool, ordered: bool = True) -> tuple[int, ...]:
    """Those that are normalized, counted from the front; the batch is never one of them."""
    value = config.value("axis", default=-1)
    given = config.integers("axis", least=-32, most=32) if isinstance(value, list) else None
    axes = given or (config.integer("axis", least=-32, most=32, default=-1),)
    found = tuple(axis_of(axis, len(x)) for axis in axes)
    found = found if ordered else tuple(sorted(found))
    if 0 in found or list(found) != sorted(set(found)) or (len(found) > 1 and not several):
        raise config.wrong("axis", value, "axes of the input in order, without the batch")
    return found


def _weight(
    weights: Weights,
    name: str,
    shape: tuple[int, ...],
    there: bool,
    stored: tuple[int, ...] | None = None,
) -> Weight | None:
    return _reshaped(weights, name, shape, stored or shape) if there else None


def _reshaped(
    weights: Weights, name: str, shape: tuple[int, ...], stored: tuple[int, ...]
) -> Weight:
    """A weight that is stored in another shape."""
    return Weight(shape, (weights.take(name, stored),), reshaped(shape, stored))
