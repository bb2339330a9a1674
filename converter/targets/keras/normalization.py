"""Normalization over the batch, a layer, a group, or to length 1."""

from __future__ import annotations

from converter.description import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from converter.dtypes import wider
from converter.targets.keras.emit import Around, Dialect, Part, Variable, emit, refusal


@emit.register(BatchNormalization)
def _(layer: BatchNormalization, _around: Around) -> Part:
    return Part(
        kind="BatchNormalization",
        config={
            "axis": layer.axes[0],
            "momentum": layer.momentum,
            "epsilon": layer.epsilon,
            "center": layer.beta is not None,
            "scale": layer.gamma is not None,
        },
        variables=(
            *_affine(layer),
            Variable("moving_mean", layer.moving_mean),
            Variable("moving_variance", layer.moving_variance),
        ),
    )


@emit.register(LayerNormalization)
def _(layer: LayerNormalization, around: Around) -> Part:
    if around.dialect is Dialect.LEGACY and len(layer.axes) > 1:
        raise refusal(
            layer,
            f"axis {list(layer.axes)}: Keras 3 loses several axes of a layer when it opens .h5",
            "--to keras writes a file for Keras 3 alone",
            "legacy-axes",
        )
    _check_cast(layer, around)
    if not layer.centred and around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            "a LayerNormalization that does not subtract the mean: tf_keras has none",
            "--to keras writes a file for Keras 3 alone",
            "legacy-layer",
        )
    return Part(
        kind="LayerNormalization",
        config={
            "axis": list(layer.axes),
            "epsilon": layer.epsilon,
            "center": layer.beta is not None,
            "scale": layer.gamma is not None,
            **({} if layer.centred else {"rms_scaling": True}),
        },
        variables=_affine(layer),
    )


def _check_cast(layer: GroupNormalization | LayerNormalization, around: Around) -> None:
    """Refuse what computes in another dtype once it is written."""
    legacy = around.dialect is Dialect.LEGACY
    (x,) = around.call.inputs
    if wider(x.dtype, layer.dtype) != layer.dtype and (legacy or layer.autocast):
        raise refusal(
            layer,
            f"a {type(layer).__name__} in {layer.dtype} of a tensor in {x.dtype}, which tf_keras "
            "casts first and Keras 3 takes as it is",
            "--to pytorch can say it",
            "keras-cast",
        )


@emit.register(GroupNormalization)
def _(layer: GroupNormalization, around: Around) -> Part:
    _check_cast(layer, around)
    return Part(
        kind="GroupNormalization",
        config={
            "groups": layer.groups,
            "axis": layer.axis,
            "epsilon": layer.epsilon,
            "center": layer.beta is not None,
            "scale": layer.gamma is not None,
        },
        variables=_affine(layer),
    )


@emit.register(RMSNormalization)
def _(layer: RMSNormalization, around: Around) -> Part:
    if around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            "an RMSNormalization: tf_keras has none",
            "--to keras writes a file for Keras 3 alone",
            "legacy-layer",
        )
    axes = list(range(-len(layer.scale.shape), 0))
    return Part(
        kind="RMSNormalization",
        config={"axis": axes, "epsilon": layer.epsilon},
        variables=(Variable("scale", layer.scale),),
    )


@emit.register(UnitNormalization)
def _(layer: UnitNormalization, around: Around) -> Part:
    """A layer with the least norm of Keras 3, an operation with another."""
    if around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            f"a norm of at least {layer.least:g}; tf_keras takes 1e-06 there, Keras 3 1e-12",
            "--to keras writes a file for Keras 3 alone",
            "legacy-norm",
        )
    axes = list(layer.axes)
    if layer.least == 1e-12:
        return Part(kind="UnitNormalization", config={"axis": axes})
    if around.call.inputs[0].dtype != layer.dtype:
        raise refusal(
            layer,
            f"a norm of at least {layer.least:g} in {layer.dtype}: an operation casts nothing",
            "--to pytorch can say it",
            "keras-cast",
        )
    config = {"axis": axes, "order": 2, "epsilon": layer.least}
    return Part(kind="Normalize", config=config, operation="nn")


def _affine(
    layer: BatchNormalization | GroupNormalization | LayerNormalization,
) -> tuple[Variable, ...]:
    """Those of gamma and beta that there are."""
    both = (("gamma", layer.gamma), ("beta", layer.beta))
    return tuple(Variable(name, weight) for name, weight in both if weight is not None)
