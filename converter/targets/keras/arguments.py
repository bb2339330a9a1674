"""A layer's config as the call that makes it, with the arguments that are not Keras's defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# fmt: off
DEFAULTS: Mapping[str, Any] = {
    "activation": "linear", "recurrent_activation": "sigmoid", "use_bias": True,
    "dropout": 0.0, "recurrent_dropout": 0.0, "noise_shape": None,
    "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False,
    "unroll": False, "zero_output_for_mask": False, "reset_after": True,
    "recurrent_initializer": "orthogonal", "merge_mode": "concat", "backward_layer": None,
    "strides": 1, "padding": "valid", "dilation_rate": 1, "groups": 1, "depth_multiplier": 1,
    "output_padding": None, "data_format": "channels_last", "keepdims": False,
    "axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True,
    "mask_zero": False, "mask_value": 0.0, "alpha": 1.0, "max_value": None, "threshold": 0.0,
    "negative_slope": 0.0, "shared_axes": None, "offset": 0.0, "interpolation": "nearest",
    "normalize": False, "score_mode": "dot", "use_scale": False, "value_dim": None,
    "output_shape": None, "attention_axes": None, "bias_axes": None, "invert": False,
    "num_bins": None,
}
"""Of an argument, in most layers that have it: their signatures in keras.layers of 3.15."""

OWN_DEFAULTS: Mapping[tuple[str, str], Any] = {
    **{(kind, "activation"): "tanh" for kind in (
        "LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell",
        "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
    )},
    ("GroupNormalization", "groups"): 32,
    ("LeakyReLU", "negative_slope"): 0.3,
    ("RMSNormalization", "epsilon"): 1e-6,
    ("AdditiveAttention", "use_scale"): True,
    ("CategoryEncoding", "output_mode"): "multi_hot",
    ("Discretization", "output_mode"): "int",
}
"""Where a layer has another one."""

REQUIRED = frozenset({
    ("Activation", "activation"), ("Rescaling", "scale"), ("EinsumDense", "output_shape"),
    ("ZeroPadding1D", "padding"), ("ZeroPadding2D", "padding"), ("ZeroPadding3D", "padding"),
})
"""What is said in any case."""

FIRST: tuple[tuple[str, ...], ...] = (
    ("units",), ("filters", "kernel_size"), ("kernel_size",), ("input_dim", "output_dim"),
    ("rate",), ("stddev",), ("dims",), ("n",), ("target_shape",), ("layer",), ("cell",),
    ("cells",), ("layers",), ("num_heads", "key_dim"), ("equation", "output_shape"),
    ("pool_size",), ("size",), ("cropping",), ("output_size",), ("num_tokens",),
)
"""Arguments that are given without their names: the first of the signature."""

SIZES = frozenset({
    "kernel_size", "strides", "dilation_rate", "pool_size", "size", "output_padding",
    "output_size",
})
"""One number for all axes, or one for each."""
# fmt: on

OPERANDS = {"__numpy__": "np.array({value}, {dtype})"}
"""What stands for a constant in a config."""


def default_of(kind: str, key: str) -> Any:
    """The default of an argument; ... where there is none."""
    if (kind, key) in REQUIRED:
        return ...
    return OWN_DEFAULTS.get((kind, key), DEFAULTS.get(key, ...))


def constructor(config: Mapping[str, Any], rank: int | None = None) -> str:
    """What makes a layer: `layers.LSTM(16, return_sequences=True, name="hours")`.

    Args:
        config: The layer, as Keras serializes it.
        rank: Of its input, where it is known.
    """
    kind, settings = config["class_name"], config["config"]
    nested = rank is None
    first = next(
        (keys for keys in FIRST if all(key in settings for key in keys)),
        ("padding",) if kind.startswith("ZeroPadding") else (),
    )
    if kind == "Activation":
        first = ("activation",)
    given = [value_text(kind, key, settings[key]) for key in first]
    for key, value in settings.items():
        if key not in first and not _is_default(kind, key, value, settings, rank, nested=nested):
            given.append(f"{key}={value_text(kind, key, value)}")
    if "name" in settings and not nested:
        given.append(f"name={text(settings['name'])}")
    return f"layers.{kind}({', '.join(given)})"


def _is_default(
    kind: str, key: str, value: Any, settings: Mapping[str, Any], rank: int | None, *, nested: bool
) -> bool:
    """Whether Keras takes that value by itself."""
    if key == "name":
        return True
    if key == "trainable":
        return value is True
    if key == "dtype":
        return bool(value == "float32")
    if key == "axis" and rank is not None and kind.endswith("Normalization"):
        return value in (-1, rank - 1, [-1], [rank - 1]) and default_of(kind, key) == -1
    if key == "strides" and "pool_size" in settings:
        return bool(value == settings["pool_size"])
    default = default_of(kind, key)
    if key in SIZES and isinstance(value, list) and default is not ...:
        return all(one == default for one in value)
    return default is not ... and type(value) is type(default) and value == default


def value_text(kind: str, key: str, value: Any) -> str:
    """An argument."""
    if key in SIZES and isinstance(value, list) and len(set(value)) == 1:
        return repr(value[0])
    if isinstance(value, list) and key not in ("layers", "cells", "axis", "mean", "variance"):
        value = _tuple(value)
    return literal(value)


def _tuple(value: Any) -> Any:
    return tuple(_tuple(one) for one in value) if isinstance(value, list) else value


def literal(value: Any) -> str:
    """A value of a config in Python, a layer in it as the call that makes it."""
    match value:
        case str():
            return text(value)
        case list():
            return f"[{', '.join(literal(one) for one in value)}]"
        case tuple():
            inside = ", ".join(literal(one) for one in value)
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case {"class_name": str(kind), "config": dict(settings)} if kind in OPERANDS:
            return OPERANDS[kind].format(**{key: literal(one) for key, one in settings.items()})
        case {"class_name": _, "config": dict()}:
            return constructor(value)
        case float() if value != value or value in (float("inf"), float("-inf")):
            return f'float("{value}")'
    return repr(value)


def text(value: str) -> str:
    """A string as `ruff format` writes it."""
    shown = repr(value)
    if shown.startswith("'") and '"' not in shown:
        return f'"{shown[1:-1]}"'
    return shown


def index_text(items: Sequence[Any]) -> str:
    """What stands in the brackets of an index: `:, -1`."""
    return ", ".join(_index(one) for one in items)


def _index(item: Any) -> str:
    if not isinstance(item, dict):
        return repr(item)
    start, stop, step = (item["config"][key] for key in ("start", "stop", "step"))
    shown = ":".join("" if one is None else str(one) for one in (start, stop))
    return shown if step is None else f"{shown}:{step}"
