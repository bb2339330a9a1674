"""Dense, Embedding, activations as layers, the dropouts, and TimeDistributed."""

from __future__ import annotations

from dataclasses import replace

from converter.activations import Activation
from converter.description import (
    Activate,
    Call,
    Dense,
    Dropout,
    Embedding,
    Identity,
    Noise,
    PReLU,
    TimeDistributed,
    Value,
)
from converter.targets.keras.activation import activation_config, activation_layer
from converter.targets.keras.emit import (
    Around,
    Part,
    Variable,
    data_format,
    emit,
    refusal,
    serialized,
)


@emit.register(Dense)
def _(layer: Dense, around: Around) -> Part:
    variables = [Variable("kernel", layer.kernel)]
    if layer.bias is not None:
        variables.append(Variable("bias", layer.bias))
    return Part(
        kind="Dense",
        config={
            "units": layer.units,
            "activation": activation_config(layer.activation, layer, around.dialect),
            "use_bias": layer.bias is not None,
        },
        variables=tuple(variables),
    )


@emit.register(Embedding)
def _(layer: Embedding, _around: Around) -> Part:
    return Part(
        kind="Embedding",
        config={
            "input_dim": layer.rows,
            "output_dim": layer.units,
            "mask_zero": layer.mask_zero,
        },
        variables=(Variable("embeddings", layer.embeddings),),
    )


@emit.register(Activate)
def _(layer: Activate, around: Around) -> Part:
    """Activation by name; a layer where it has parameters, or uses a mask."""
    plain = layer.activation == Activation.of(layer.activation.kind)
    if not plain or around.call.mask is not None:
        part = activation_layer(layer.activation, around.dialect)
        if part is not None:
            return part
    config = activation_config(layer.activation, layer, around.dialect)
    return Part(kind="Activation", config={"activation": config})


@emit.register(Identity)
def _(_layer: Identity, _around: Around) -> Part:
    return Part(kind="Identity")


@emit.register(PReLU)
def _(layer: PReLU, _around: Around) -> Part:
    shared = [axis for axis, size in enumerate(layer.alpha.shape, 1) if size == 1]
    return Part(
        kind="PReLU",
        config={"shared_axes": shared or None},
        variables=(Variable("alpha", layer.alpha),),
    )


@emit.register(Dropout)
def _(layer: Dropout, around: Around) -> Part:
    shape = list(layer.noise_shape) or None
    match layer.noise:
        case Noise.SPATIAL:
            rank = len(around.shape) - 2
            config: dict[str, object] = {"rate": layer.rate}
            if rank > 1:
                config["data_format"] = data_format(layer.channels_first)
            return Part(kind=f"SpatialDropout{rank}D", config=config)
        case Noise.GAUSSIAN_NOISE:
            return Part(kind="GaussianNoise", config={"stddev": layer.rate})
        case Noise.GAUSSIAN_DROPOUT:
            return Part(kind="GaussianDropout", config={"rate": layer.rate})
    return Part(kind=layer.noise.value, config={"rate": layer.rate, "noise_shape": shape})


@emit.register(TimeDistributed)
def _(layer: TimeDistributed, around: Around) -> Part:
    """The inner layer, in the wrapper."""
    if len(around.call.inputs) > 1:
        raise refusal(
            layer,
            f"{type(layer.layer).__name__} of several tensors within each step",
            "--to pytorch and --to onnx can say it",
            "time-distributed",
        )
    (x,) = around.call.inputs
    inside = Call(layer.layer, (replace(x, shape=(None, *x.shape[2:])),), _steps(around.call))
    inner = emit[layer.layer](layer.layer, Around(around.dialect, inside))
    if inner.operation:
        raise refusal(
            layer,
            f"keras.ops: {inner.kind} in a TimeDistributed, which takes layers alone",
            "--to pytorch can say it",
            "operation",
        )
    name = layer.layer.name.rpartition("/")[2] or "layer"
    return Part(
        kind="TimeDistributed",
        config={
            "layer": serialized(
                inner,
                name,
                around.dialect,
                trainable=layer.layer.trainable,
                policy=layer.layer.policy,
                inside=True,
            )
        },
        parts=(("layer", inner),),
    )


def _steps(call: Call) -> tuple[Value, ...]:
    return tuple(replace(value, shape=(None, *value.shape[2:])) for value in call.outputs)
