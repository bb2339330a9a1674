"""How an archive names the folders of its layers, as `archive` says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from converter.readers.keras.architecture import LayerPart, ModelPart
from converter.readers.keras.era import Writer

CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Classes that are called otherwise in a config."""


def places(
    model: ModelPart, with_weights: set[LayerPart], writer: Writer, old: bool, prefix: str = ""
) -> Iterator[tuple[LayerPart, str]]:
    """The folder of each layer.

    Args:
        model: Of the layers.
        with_weights: Those that have weights.
        writer: Who wrote the file.
        old: The folders are called as up to Keras 2.14.
        prefix: The folder of the model.
    """
    container = "_layer_checkpoint_dependencies" if old else "layers"
    counts: Counter[str] = Counter()
    for layer in model.layers:
        if model.sequential and layer.kind == "InputLayer":
            continue  # it is not in the `layers` of a Sequential
        name = snake_case(CLASSES.get(layer.class_name, layer.class_name))
        count = counts[name]
        place = f"{prefix}{container}/{name}" + (f"_{count}" if count else "")
        yield layer, place
        has_weights = layer in with_weights
        if layer.model is not None:
            has_weights = any(part in with_weights for part in layer.model.everything())
            inner = place + ("/layer/" if layer.model.each_step else "/")
            yield from places(layer.model, with_weights, writer, old, inner)
        twice = old and has_weights and writer.number < (2, 14)
        counts[name] += 2 if twice else 1


def snake_case(kind: str) -> str:
    """`GlobalMaxPooling1D` as `global_max_pooling1d`, as Keras names folders."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
