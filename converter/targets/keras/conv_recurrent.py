"""ConvLSTM1D, ConvLSTM2D and ConvLSTM3D, in one direction or two."""

from __future__ import annotations

from typing import Any

from converter.description import ConvDirection, ConvLSTM
from converter.gates import Cell, bias_form, convolution_form
from converter.targets.keras.activation import activation_config
from converter.targets.keras.emit import (
    Around,
    Dialect,
    Part,
    Variable,
    data_format,
    emit,
    initial,
    refusal,
)
from converter.targets.keras.recurrent import check_zeroes, two_directions


@emit.register(ConvLSTM)
def _(layer: ConvLSTM, around: Around) -> Part:
    """A layer, or a Bidirectional of two."""
    check_zeroes(layer, around)
    masked = around.call.mask is not None
    if masked and layer.zero_output_for_mask and around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            "a convolutional LSTM whose masked steps are zeros, which tf_keras does not know",
            "--to keras writes a file for Keras 3 alone",
            "mask",
        )
    forward = _direction(layer, layer.forward, around)
    if layer.backward is None:
        forward.config["zero_output_for_mask"] = layer.zero_output_for_mask
        return forward
    backward = _direction(layer, layer.backward, around)
    return two_directions(layer, layer.merge, forward, backward, around)


def _direction(layer: ConvLSTM, direction: ConvDirection, around: Around) -> Part:
    """One direction as a layer; its arrays are its cell's."""
    form = convolution_form(Cell.LSTM, "keras")
    variables = [
        Variable("kernel", direction.kernel, form),
        Variable("recurrent_kernel", direction.recurrent_kernel, form),
    ]
    if direction.bias is not None:
        variables.append(Variable("bias", direction.bias, bias_form(Cell.LSTM, "keras")))
    config: dict[str, Any] = {
        "filters": direction.filters,
        "kernel_size": list(direction.size),
        "strides": list(direction.strides),
        "padding": direction.padding.value,
        "data_format": data_format(layer.channels_first),
        "dilation_rate": list(direction.dilation),
        "activation": activation_config(direction.activation, layer, around.dialect),
        "recurrent_activation": activation_config(
            direction.recurrent_activation, layer, around.dialect
        ),
        "use_bias": direction.bias is not None,
        "dropout": direction.dropout,
        "recurrent_dropout": direction.recurrent_dropout,
        "return_sequences": layer.return_sequences,
        "return_state": layer.return_state,
        "go_backwards": direction.go_backwards,
        "stateful": layer.stateful,
        **initial(layer),
    }
    inside = Part(kind=f"ConvLSTM{layer.rank}DCell", variables=tuple(variables))
    return Part(kind=f"ConvLSTM{layer.rank}D", config=config, parts=(("cell", inside),))
