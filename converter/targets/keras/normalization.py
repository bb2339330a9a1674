"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

from converter.description import BatchNormalization, LayerNormalization
from converter.targets.keras.emit import Around, Dialect, Part, Variable, emit, refusal


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
def _(layer: LayerNormalization, around: Around) -> Part:
    if around.dialect is Dialect.LEGACY and len(layer.axes) > 1:
        raise refusal(
            layer,
            f"axis {list(layer.axes)}: Keras 3 loses several axes of a layer when it opens .h5",
            "--to keras writes a file for Keras 3 alone",
            "legacy-axes",
        )
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
