"""Names that Keras accepts, and under which it stores weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

NOT_IN_SCOPES = re.compile(r"[^A-Za-z0-9_.>-]")
"""What a layer of tf_keras may not have in its name: tf.name_scope refuses it."""


def keras_names(
    names: Iterable[str], reserved: Collection[str] = (), *, plain: bool = False
) -> dict[str, str]:
    """A name in Keras for each name, no two the same; what Keras accepts stays.

    A layer that was in a model is "outer/inner", and Keras refuses the slash.

    Args:
        names: Of inputs and layers.
        reserved: Names that Keras uses itself.
        plain: tf_keras is to accept them too.

    >>> keras_names(["lstm", "inner/lstm", "inner_lstm"])
    {'lstm': 'lstm', 'inner/lstm': 'inner_lstm_1', 'inner_lstm': 'inner_lstm'}
    >>> keras_names(["_my layer"], plain=True)
    {'_my layer': 'layer_my_layer'}
    """

    def accepted(name: str) -> str:
        name = name.replace("/", "_")
        if not plain:
            return name
        name = NOT_IN_SCOPES.sub("_", name)
        return name if re.match("[A-Za-z0-9.]", name) else f"layer{name}"

    given = list(dict.fromkeys(names))
    taken = {name for name in given if name == accepted(name)} | set(reserved)
    renamed = {}
    for name in given:
        new, count = accepted(name), 0
        while new in taken and (new != name or name in reserved):
            count += 1
            new = f"{accepted(name)}_{count}"
        taken.add(new)
        renamed[name] = new
    return renamed


CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Classes that are called otherwise in a config."""


def snake_case(kind: str) -> str:
    """`GlobalMaxPooling1D` as `global_max_pooling1d`: keras/src/utils/naming.py."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
