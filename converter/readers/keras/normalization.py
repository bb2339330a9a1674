"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

from converter.description import BatchNormalization, Layer, LayerNormalization, Shape, Weight
from converter.description.model import axis_of
from converter.readers.keras.config import Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size, reads
from converter.readers.keras.weights import Weights


@reads("BatchNormalization")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, _writer: Writer) -> Layer:
    config.float32()
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
    (axis,) = _axes(config, inputs[0], several=False)
    size = (known_size(config, inputs[0], axis),)
    gamma = _weight(weights, "gamma", size, config.boolean("scale", default=True))
    beta = _weight(weights, "beta", size, config.boolean("center", default=True))
    return BatchNormalization(
        **config.base(),
        axis=axis,
        gamma=gamma,
        beta=beta,
        moving_mean=Weight(size, (weights.take("moving_mean", size),)),
        moving_variance=Weight(size, (weights.take("moving_variance", size),)),
        epsilon=config.number("epsilon", least=0, most=1e6, default=1e-3),
        momentum=config.number("momentum", least=0, most=1, default=0.99),
    )


@reads("LayerNormalization")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, _writer: Writer) -> Layer:
    config.float32()
    config.must_be(
        "rms_scaling",
        False,
        code="rms-scaling",
        hint="use a plain LayerNormalization and save the model again",
    )
    axes = _axes(config, inputs[0], several=True)
    shape = tuple(known_size(config, inputs[0], axis) for axis in axes)
    return LayerNormalization(
        **config.base(),
        axes=axes,
        gamma=_weight(weights, "gamma", shape, config.boolean("scale", default=True)),
        beta=_weight(weights, "beta", shape, config.boolean("center", default=True)),
        epsilon=config.number("epsilon", least=0, most=1e6, default=1e-3),
    )


def _axes(config: Config, x: Shape, *, several: bool) -> tuple[int, ...]:
    """Those that are normalized, counted from the front; the batch is never one of them."""
    value = config.value("axis", default=-1)
    given = config.integers("axis", least=-32, most=32) if isinstance(value, list) else None
    axes = given or (config.integer("axis", least=-32, most=32, default=-1),)
    found = tuple(axis_of(axis, len(x)) for axis in axes)
    if 0 in found or list(found) != sorted(set(found)) or (len(found) > 1 and not several):
        raise config.wrong("axis", value, "axes of the input in order, without the batch")
    return found


def _weight(weights: Weights, name: str, shape: tuple[int, ...], there: bool) -> Weight | None:
    return Weight(shape, (weights.take(name, shape),)) if there else None
