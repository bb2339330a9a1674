"""Activations as a config says them: by name, as a function, or as a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from converter.activations import KERAS_NAMES, LINEAR, Activation, from_keras
from converter.errors import UnsupportedError
from converter.readers.keras.config import Config, malformed, serialized
from converter.readers.keras.era import Writer
from converter.readers.keras.refused import LAMBDA, error
from converter.readers.strict import shown

LAYERS: dict[str, Callable[[Config], Activation]] = {}
"""Layers that are nothing but an activation, by Keras's class name."""

OTHER_NAMES: Mapping[str, str] = {"softmax_v2": "softmax"}
"""TensorFlow's names that Keras 2 wrote."""

LAMBDAS = frozenset({"Lambda", "__lambda__"})


def read_activation(
    config: Config,
    key: str,
    writer: Writer,
    *others: str,
    default: str | None = None,
    may_halve: bool = False,
) -> Activation:
    """The activation of a layer.

    Args:
        config: Of the layer.
        key: "activation", "recurrent_activation".
        writer: Some have changed.
        others: Older names of the key.
        default: Its name where the config does not have the key.
        may_halve: It may be glu, which gives half of the features.

    Raises:
        UnsupportedError: It is a function of somebody's own, or changes the shape.
    """
    value = config.value(key, *others, default=default)
    activation = _activation(value, f"{key} of {config.where}", config, writer)
    if activation.kind == "glu" and not may_halve:
        raise UnsupportedError(
            f"{key} of {config.where} halves the number of features, which is not read there",
            context=shown(value),
            hint="use a layer Activation('glu') behind it",
            code="unknown-activation",
        )
    return activation


def _activation(value: object, what: str, config: Config, writer: Writer) -> Activation:
    if value is None:
        return LINEAR
    if isinstance(value, str):
        return _by_name(value, what, config, writer)
    if not isinstance(value, dict):
        raise malformed(what, value, "the name of an activation")
    if value.get("class_name") in LAMBDAS:
        raise error(LAMBDA, what, shown(value))
    kind, inner = serialized(value, what)
    if kind == "function":
        return _activation(inner, what, config, writer) if inner else _unknown(value, what)
    if kind == "Activation" and isinstance(inner, dict):
        return _activation(inner.get("activation"), what, config, writer)
    if kind == "Pipeline":
        return _clipped(inner, value, what, config)
    if kind not in LAYERS:
        return _unknown(value, what)
    view = Config(kind, config.name, inner, config.file)
    activation = LAYERS[kind](view)
    view.computes_as(config)
    view.done()
    return activation


def _clipped(inner: object, value: object, what: str, config: Config) -> Activation:
    """Rescaling and ReLU(max_value=1): a hard_sigmoid of another slope than Keras 3's own."""
    pipeline = Config("Pipeline", config.name, inner, config.file)
    layers = pipeline.value("layers")
    parts = [serialized(one, what) for one in layers] if isinstance(layers, list) else []
    if [kind for kind, _ in parts] != ["Rescaling", "ReLU"]:
        return _unknown(value, what)
    rescaling, relu = (Config(kind, config.name, one, config.file) for kind, one in parts)
    slope, offset = rescaling.number("scale"), rescaling.number("offset", default=0.0)
    if LAYERS["ReLU"](relu) != Activation.of("relu", max_value=1.0):
        return _unknown(value, what)
    pipeline.policy()  # it casts nothing itself
    for view in (rescaling, relu):
        view.computes_as(config)
    for view in (pipeline, rescaling, relu):
        view.done()
    return Activation.of("hard_sigmoid", alpha=slope, beta=offset)


def _by_name(name: str, what: str, config: Config, writer: Writer) -> Activation:
    name = OTHER_NAMES.get(name, name)
    if name in LAYERS:  # "LeakyReLU"
        return LAYERS[name](Config(name, config.name, {}, config.file))
    if name not in KERAS_NAMES:
        return _unknown(name, what)
    return from_keras(name, keras_3=writer.keras_3)


def _unknown(value: object, what: str) -> Activation:
    raise UnsupportedError(
        f"{what} is not an activation of Keras",
        context=shown(value),
        hint=f"use one of {', '.join(sorted(KERAS_NAMES))}",
        code="unknown-activation",
    )


def _layer(kind: str) -> Callable[[Callable[[Config], Activation]], Callable[[Config], Activation]]:
    def add(read: Callable[[Config], Activation]) -> Callable[[Config], Activation]:
        LAYERS[kind] = read
        return read

    return add


@_layer("ReLU")
def _(config: Config) -> Activation:
    ceiling = config.value("max_value", default=None)
    return Activation.of(
        "relu",
        negative_slope=_number(config, 0.0, "negative_slope"),
        max_value=None if ceiling is None else config.number("max_value", least=0),
        threshold=_number(config, 0.0, "threshold"),
    )


@_layer("LeakyReLU")
def _(config: Config) -> Activation:
    slope = config.number("negative_slope", "alpha", default=0.3)
    return Activation.of("leaky_relu", negative_slope=slope)


@_layer("ThresholdedReLU")
def _(config: Config) -> Activation:
    return Activation.of("relu", threshold=config.number("theta", least=0, default=1.0))


@_layer("ELU")
def _(config: Config) -> Activation:
    return Activation.of("elu", alpha=config.number("alpha", default=1.0))


@_layer("Softmax")
def _(config: Config) -> Activation:
    if not isinstance(config.value("axis", default=-1), list):
        return Activation.of("softmax", axis=config.integer("axis", least=-32, most=32, default=-1))
    axes = config.integers("axis", least=-32, most=32)
    if not axes:
        raise config.wrong("axis", [], "at least one axis")
    return Activation.of("softmax", axis=axes if len(axes) > 1 else axes[0])


def _number(config: Config, default: float, key: str) -> float:
    """A number that may be null, which means the default (in some files of Keras 2)."""
    if config.value(key, default=default) is None:
        return default
    return config.number(key, least=0, default=default)
