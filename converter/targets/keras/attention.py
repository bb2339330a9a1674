"""Attention, AdditiveAttention, MultiHeadAttention, GroupQueryAttention, and EinsumDense."""

from __future__ import annotations

from typing import Any

import numpy as np

from converter.description import (
    Attention,
    EinsumDense,
    MaskedSoftmax,
    MultiHeadAttention,
    Projection,
    Scoring,
)
from converter.targets.keras.activation import activation_config, activation_layer
from converter.targets.keras.emit import Around, Dialect, Part, Variable, emit, refusal


@emit.register(Attention)
def _(layer: Attention, _around: Around) -> Part:
    variables = [Variable("scale", layer.scale)] if layer.scale is not None else []
    if layer.factor is not None:
        variables.append(Variable("concat_score_weight", layer.factor))
    config: dict[str, Any] = {"use_scale": layer.scale is not None, "dropout": layer.dropout}
    kind = "AdditiveAttention"
    if layer.scoring is not Scoring.ADDITIVE:
        kind = "Attention"
        if layer.scoring is Scoring.CONCAT:  # "dot" is a function to whoever reads a legacy .h5
            config["score_mode"] = "concat"
    return Part(kind=kind, config=config, variables=tuple(variables), call=_true(layer))


def _true(layer: Attention | MultiHeadAttention) -> tuple[str, ...]:
    settings = {"use_causal_mask": layer.causal, "return_attention_scores": layer.return_scores}
    return tuple(name for name, wanted in settings.items() if wanted)


@emit.register(MultiHeadAttention)
def _(layer: MultiHeadAttention, around: Around) -> Part:
    if around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            "a query and a value in one call, which Keras 3 does not read from a legacy .h5",
            "--to keras writes a file that can",
            "legacy-arguments",
        )
    scale = layer.key_dim**-0.5
    exact = layer.scale_is_float32 or float(np.float32(scale)) == scale
    if layer.dtype == "float64" and not exact:
        raise refusal(
            layer,
            "a scale of float64; Keras 3 rounds it to float32",
            "--to pytorch can say it",
            "keras-dtype",
        )
    projections = {
        "key_dense": layer.key,
        "output_dense": layer.output,
        "query_dense": layer.query,
        "value_dense": layer.value,
    }
    config: dict[str, Any] = {
        "use_bias": layer.query.bias is not None,
        "dropout": layer.dropout,
    }
    if layer.key_heads != layer.heads:
        kind = "GroupQueryAttention"
        config |= {
            "head_dim": layer.key_dim,
            "num_query_heads": layer.heads,
            "num_key_value_heads": layer.key_heads,
        }
        if (layer.value_dim, layer.axes) != (layer.key_dim, (1,)) or layer.features != (
            around.shape[-1],
        ):
            raise refusal(
                layer,
                "groups of heads of other sizes, or over other axes, than Keras's layer has",
                "--to pytorch can say it",
                "attention-setting",
            )
    else:
        kind = "MultiHeadAttention"
        config |= {
            "num_heads": layer.heads,
            "key_dim": layer.key_dim,
            "value_dim": layer.value_dim,
            "output_shape": list(layer.features),
            "attention_axes": list(layer.axes),
        }
    return Part(
        kind=kind,
        config=config,
        parts=tuple(
            (f"_{name}" if layer.key_heads != layer.heads else name, _projection(part))
            for name, part in projections.items()
        ),
        call=_true(layer),
    )


def _projection(part: Projection) -> Part:
    variables = [Variable("kernel", part.kernel)]
    if part.bias is not None:
        variables.append(Variable("bias", part.bias))
    return Part(kind="EinsumDense", variables=tuple(variables))


@emit.register(MaskedSoftmax)
def _(layer: MaskedSoftmax, around: Around) -> Part:
    part = activation_layer(layer.softmax, around.dialect)
    if part is None:
        raise refusal(layer, f"{layer.softmax}", "--to pytorch can say it", "keras-activation")
    return part


@emit.register(EinsumDense)
def _(layer: EinsumDense, around: Around) -> Part:
    variables = [Variable("kernel", layer.kernel)]
    after = layer.equation.split("->")[1]
    axes = None
    if layer.bias is not None:
        variables.append(Variable("bias", layer.bias))
        behind = after[-len(layer.bias.shape) :]
        pairs = zip(behind, layer.bias.shape, strict=True)
        axes = "".join(letter for letter, size in pairs if size > 1) or behind[0]
    return Part(
        kind="EinsumDense",
        config={
            "equation": layer.equation,
            "output_shape": [
                size if size is not None else around.call.outputs[0].shape[k]
                for k, size in enumerate(layer.sizes, 1)
            ],
            "bias_axes": axes,
            "activation": activation_config(layer.activation, layer, around.dialect),
        },
        variables=tuple(variables),
    )
