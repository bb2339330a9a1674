"""Layers that prepare values: other scales, categories, bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from converter.description import (
    CategoryEncoding,
    Discretization,
    Normalization,
    Rescaling,
    Weight,
)
from converter.description.preprocessing import Constants
from converter.targets.keras.emit import Around, Dialect, Part, Variable, emit, refusal


@emit.register(Rescaling)
def _(layer: Rescaling, _around: Around) -> Part:
    def plain(numbers: Constants) -> Any:
        return numbers[0] if len(numbers) == 1 else list(numbers)

    config = {"scale": plain(layer.scale), "offset": plain(layer.offset)}
    return Part(kind="Rescaling", config=config)


@emit.register(Normalization)
def _(layer: Normalization, around: Around) -> Part:
    config: dict[str, Any] = {"axis": list(layer.axes), "invert": layer.invert}
    found = [
        (name, weight)
        for name, weight in (
            ("mean", layer.mean),
            ("variance", layer.variance),
            ("count", layer.count),
        )
        if isinstance(weight, Weight)
    ]
    if found and around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            "statistics that are weights: Keras 3 forgets them when it opens .h5",
            "--to keras writes a file for Keras 3 alone",
            "legacy-layer",
        )
    for name, numbers in (("mean", layer.mean), ("variance", layer.variance)):
        config[name] = None
        if not isinstance(numbers, Weight):
            config[name] = np.array(numbers).reshape(layer.sizes).tolist()
    variables = tuple(Variable(name, weight) for name, weight in found)
    return Part(kind="Normalization", config=config, variables=variables)


@emit.register(CategoryEncoding)
def _(layer: CategoryEncoding, _around: Around) -> Part:
    config = {"num_tokens": layer.depth, "output_mode": layer.encoding.value}
    return Part(kind="CategoryEncoding", config=config)


@emit.register(Discretization)
def _(layer: Discretization, _around: Around) -> Part:
    return Part(
        kind="Discretization",
        config={
            "bin_boundaries": list(layer.boundaries),
            "num_bins": None,
            "output_mode": layer.encoding.value,
        },
    )
