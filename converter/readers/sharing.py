"""Layers that a model calls several times, where its source has a copy for each call."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

from converter.description import Layer, Model, Weight


def with_shared(model: Model) -> Model:
    """The same model, in which layers of the same arrays and settings are one layer.

    One that keeps its states stays one for each call: its copies keep their own.
    """
    first: dict[object, Layer] = {}
    one_for: dict[str, Layer] = {}
    for layer in model.layers:
        one_for[layer.name] = layer
        if layer.weights and not getattr(layer, "stateful", False):
            known = first.setdefault(_key(layer), layer)
            if known is not layer and _arrays(known) == _arrays(layer):
                one_for[layer.name] = known
    calls = tuple(replace(call, layer=one_for[call.layer.name]) for call in model.calls)
    return replace(model, calls=calls)


def _arrays(layer: Layer) -> list[bytes]:
    """Their bits: a graph may have arrays without names of their own."""
    return [weight.read().tobytes() for weight in layer.weights.values()]


def _key(part: object) -> object:
    """What a layer is without its name: its arrays by their names, and every setting."""
    if isinstance(part, Weight):
        return tuple(stored.name for stored in part.stored), part.form.how, part.kept
    if not is_dataclass(part):
        return part
    settings = (item.name for item in fields(part) if item.name != "name")
    return type(part), tuple((name, _key(getattr(part, name))) for name in settings)
