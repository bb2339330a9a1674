"""Convolutions: plain, depthwise, separable and transposed."""

from __future__ import annotations

from typing import Any

from converter.description import (
    Convolution,
    DepthwiseConvolution,
    SeparableConvolution,
    TransposedConvolution,
    Weight,
)
from converter.description.convolution import Windowed
from converter.targets.keras.activation import activation_config
from converter.targets.keras.emit import Around, Dialect, Part, Variable, data_format, emit


def _config(layer: Windowed, size: tuple[int, ...], around: Around) -> dict[str, Any]:
    """What every convolution says, but for its bias."""
    return {
        "kernel_size": list(size),
        "strides": list(layer.strides),
        "padding": layer.padding.value,
        "data_format": data_format(layer.channels_first),
        "dilation_rate": list(layer.dilation),
        "activation": activation_config(layer.activation, layer, around.dialect),
    }


def _variables(bias: Weight | None, **kernels: Weight) -> tuple[Variable, ...]:
    given = kernels if bias is None else {**kernels, "bias": bias}
    return tuple(Variable(name, weight) for name, weight in given.items())


@emit.register(Convolution)
def _(layer: Convolution, around: Around) -> Part:
    return Part(
        kind=f"Conv{layer.rank}D",
        config={
            "filters": layer.filters,
            **_config(layer, layer.size, around),
            "groups": layer.groups,
            "use_bias": layer.bias is not None,
        },
        variables=_variables(layer.bias, kernel=layer.kernel),
    )


@emit.register(DepthwiseConvolution)
def _(layer: DepthwiseConvolution, around: Around) -> Part:
    legacy = around.dialect is Dialect.LEGACY
    return Part(
        kind=f"DepthwiseConv{layer.rank}D",
        config={
            "depth_multiplier": layer.kernel.shape[-1],
            **_config(layer, layer.size, around),
            "use_bias": layer.bias is not None,
        },
        variables=_variables(
            layer.bias, **{"depthwise_kernel" if legacy else "kernel": layer.kernel}
        ),
    )


@emit.register(SeparableConvolution)
def _(layer: SeparableConvolution, around: Around) -> Part:
    return Part(
        kind=f"SeparableConv{layer.rank}D",
        config={
            "filters": layer.filters,
            "depth_multiplier": layer.depthwise.shape[-1],
            **_config(layer, layer.size, around),
            "use_bias": layer.bias is not None,
        },
        variables=_variables(
            layer.bias, depthwise_kernel=layer.depthwise, pointwise_kernel=layer.pointwise
        ),
    )


@emit.register(TransposedConvolution)
def _(layer: TransposedConvolution, around: Around) -> Part:
    added = layer.output_padding
    return Part(
        kind=f"Conv{layer.rank}DTranspose",
        config={
            "filters": layer.filters,
            **_config(layer, layer.size, around),
            "output_padding": None if added is None else list(added),
            "use_bias": layer.bias is not None,
        },
        variables=_variables(layer.bias, kernel=layer.kernel),
    )
