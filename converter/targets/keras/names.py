"""Names that Keras accepts, and under which it stores weights."""

from __future__ import annotations

import re
from collections.abc import Iterable


def keras_names(names: Iterable[str]) -> dict[str, str]:
    """A name in Keras for each name, no two the same; what Keras accepts stays.

    A layer that was in a model is "outer/inner", and Keras refuses the slash.

    >>> keras_names(["lstm", "inner/lstm", "inner_lstm"])
    {'lstm': 'lstm', 'inner/lstm': 'inner_lstm_1', 'inner_lstm': 'inner_lstm'}
    """
    given = list(dict.fromkeys(names))
    taken = {name for name in given if "/" not in name}
    renamed = {}
    for name in given:
        new = name
        if "/" in name:
            plain = name.replace("/", "_")
            new, count = plain, 0
            while new in taken:
                count += 1
                new = f"{plain}_{count}"
            taken.add(new)
        renamed[name] = new
    return renamed


def snake_case(kind: str) -> str:
    """`GlobalMaxPooling1D` as `global_max_pooling1d`: keras/src/utils/naming.py."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
