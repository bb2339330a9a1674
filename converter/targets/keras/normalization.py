"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

from converter.description import BatchNormalization, LayerNormalization
from converter.targets.keras.emit import Around, Part, Variable, emit


@emit.register(BatchNormalization)
def _(layer: BatchNormalization, _around: Around) -> Part:
    return Part(
        kind="BatchNormalization",
        config={
            "axis": layer.axis,
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
def _(layer: LayerNormalization, _around: Around) -> Part:
    return Part(
        kind="LayerNormalization",
        config={
            "axis": list(layer.axes),
            "epsilon": layer.epsilon,
            "center": layer.beta is not None,
            "scale": layer.gamma is not None,
        },
        variables=_affine(layer),
    )


def _affine(layer: BatchNormalization | LayerNormalization) -> tuple[Variable, ...]:
    """Those of gamma and beta that there are."""
    both = (("gamma", layer.gamma), ("beta", layer.beta))
    return tuple(Variable(name, weight) for name, weight in both if weight is not None)
