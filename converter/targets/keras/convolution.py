"""Conv1D, Conv2D and Conv3D."""

from __future__ import annotations

from converter.description import Convolution
from converter.targets.keras.activation import activation_config
from converter.targets.keras.emit import Around, Part, Variable, data_format, emit


@emit.register(Convolution)
def _(layer: Convolution, around: Around) -> Part:
    variables = [Variable("kernel", layer.kernel)]
    if layer.bias is not None:
        variables.append(Variable("bias", layer.bias))
    return Part(
        kind=f"Conv{layer.rank}D",
        config={
            "filters": layer.filters,
            "kernel_size": list(layer.size),
            "strides": list(layer.strides),
            "padding": layer.padding.value,
            "data_format": data_format(layer.channels_first),
            "dilation_rate": list(layer.dilation),
            "groups": layer.groups,
            "activation": activation_config(layer.activation, layer, around.dialect),
            "use_bias": layer.bias is not None,
        },
        variables=tuple(variables),
    )
