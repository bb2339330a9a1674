"""Activations as a config says them: by name, as a layer, or as two layers one after another.

`hard_sigmoid` is the name that changed its meaning: clip(0.2 x + 0.5) in Keras 1 and 2,
clip(x / 6 + 0.5) in Keras 3. What Keras 3 has no name for is written as a Pipeline of Rescaling
and ReLU(max_value=1). That computes the same in the same order, in a cell as well as in a layer,
is made of Keras's own classes alone, and so loads in safe mode.
"""

from __future__ import annotations

from typing import Any

from converter.activations import Activation
from converter.description import Layer
from converter.targets.keras.emit import Dialect, Part, refusal, serialized

LEGACY_NAMES = frozenset(
    {
        "elu",
        "exponential",
        "gelu",
        "leaky_relu",
        "linear",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softsign",
        "tanh",
    }
)
"""What tf_keras and Keras 3 call alike and compute alike."""


def activation_config(
    activation: Activation, layer: Layer, dialect: Dialect
) -> str | dict[str, Any]:
    """An activation as the value of a key of a config.

    Raises:
        UnsupportedError: The dialect has no words for it.
    """
    if activation == Activation.of(activation.kind) and (
        dialect is Dialect.KERAS_3 or activation.kind in LEGACY_NAMES
    ):
        return activation.kind
    part = activation_layer(activation, dialect)
    if part is not None:
        return serialized(part, activation.kind, dialect, policy=layer.policy, inside=True)
    parameters = dict(activation.parameters)
    if activation.kind == "hard_sigmoid" and dialect is Dialect.KERAS_3:
        rescaled = Part(
            kind="Rescaling", config={"scale": parameters["alpha"], "offset": parameters["beta"]}
        )
        clipped = Part(
            kind="ReLU", config={"max_value": 1.0, "negative_slope": 0.0, "threshold": 0.0}
        )
        steps = [
            serialized(rescaled, "rescaling", dialect, policy=layer.policy),
            serialized(clipped, "re_lu", dialect, policy=layer.policy),
        ]
        return {
            "module": "keras.layers",
            "class_name": "Pipeline",
            "config": {"layers": steps, "name": "hard_sigmoid"},
            "registered_name": None,
        }
    if dialect is Dialect.LEGACY:
        said = "its slope differs" if activation.kind == "hard_sigmoid" else "not in both"
        raise refusal(
            layer,
            f"activation {activation}: {said} between the two that read .h5, tf_keras and Keras 3",
            "--to keras writes a file for Keras 3 alone",
            "legacy-activation",
        )
    raise refusal(
        layer,
        f"activation {activation}; Keras 3 has {activation.kind} with other parameters alone",
        "--to pytorch and --to onnx can say it",
        "keras-activation",
    )


def activation_layer(activation: Activation, dialect: Dialect) -> Part | None:
    """An activation as a layer of its own, where Keras has one with its parameters."""
    parameters = dict(activation.parameters)
    match activation.kind:
        case "relu":
            return Part(kind="ReLU", config=parameters)
        case "leaky_relu":
            slope = "alpha" if dialect is Dialect.LEGACY else "negative_slope"
            return Part(kind="LeakyReLU", config={slope: parameters["negative_slope"]})
        case "elu":
            return Part(kind="ELU", config=parameters)
        case "softmax" if dialect is Dialect.KERAS_3 or len(activation.axes) == 1:
            # Of several axes in .h5, `model_from_config` of Keras 3 keeps none.
            return Part(kind="Softmax", config=parameters)
    return None
