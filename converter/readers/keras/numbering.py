"""The numbers by which a config tells the calls of a layer apart."""

from __future__ import annotations

from collections.abc import Collection

from converter.readers.keras.architecture import ModelPart

INPUT = "InputLayer"


def first_calls(model: ModelPart) -> tuple[dict[str, int], dict[str, int]]:
    """Which number the first call of each layer has, for its calls and for the model's outputs.

    Layers count from 0. A model counts from 1 where its own graph counts as a call; Keras 2 does so
    everywhere, Keras 3 in `output_layers` alone. Numbers that can only be meant otherwise decide.
    """
    in_calls: dict[str, set[int]] = {}
    for layer in model.layers:
        for arguments in layer.calls:
            for reference in arguments.inputs:
                in_calls.setdefault(reference.layer, set()).add(reference.call)
    in_outputs: dict[str, set[int]] = {}
    for reference in model.outputs:
        in_outputs.setdefault(reference.layer, set()).add(reference.call)
    of_keras_3 = any(call.keras_3 for layer in model.layers for call in layer.calls)
    calls: dict[str, int] = {}
    outputs: dict[str, int] = {}
    for layer in model.layers:
        if layer.model is None or layer.model.each_step:
            continue
        count = len(layer.calls)
        inside, outside = in_calls.get(layer.name, set()), in_outputs.get(layer.name, set())
        own_graph = int(not layer.model.sequential)
        if of_keras_3:
            calls[layer.name] = _first(inside, count, 0)
            outputs[layer.name] = _first(outside, count, own_graph)
        else:
            if layer.model.sequential:
                own_graph = int(layer.model.layers[0].kind == INPUT)
            calls[layer.name] = outputs[layer.name] = _first(inside | outside, count, own_graph)
    return calls, outputs


def _first(numbers: Collection[int], count: int, usual: int) -> int:
    """The number of the first call, of `count`, if these numbers are all in use."""
    if 0 in numbers:
        return 0
    return 1 if count in numbers else usual
