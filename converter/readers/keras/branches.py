"""A Sequential of Keras 1 that begins with Merge: its config as that of a graph.

    [{"class_name": "Merge", "config": {"mode": "concat", "layers": [
        {"class_name": "Sequential", "config": [...]}, ...]}},
     {"class_name": "Dense", ...}]

The models in `layers` are branches with an input each, in this order. The file has a group of
weights for each of their layers, as `flattened_layers` gives them (keras/models.py of 1.2.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from converter.errors import UnsupportedError
from converter.readers.keras.config import malformed
from converter.readers.strict import shown

BRANCHES = "Merge of branches"
"""What such a Merge is called here: it sees no mask of its branches, unlike any other."""

SEQUENTIAL = "Sequential"
DEEPEST = 16


def begins_with_merge(layers: object) -> bool:
    """Whether a list of layers is that of such a model."""
    first = layers[0] if isinstance(layers, list) and layers else None
    if not isinstance(first, dict) or first.get("class_name") != "Merge":
        return False
    config = first.get("config")
    return isinstance(config, dict) and isinstance(config.get("layers"), list)


def as_graph(layers: list[Any], where: str) -> dict[str, Any]:
    """The config of a Functional model, without its name.

    Args:
        layers: Of the Sequential.
        where: The model and the file, for an error.

    Raises:
        FormatError: They are not as Keras writes them.
        UnsupportedError: A branch is no Sequential.
    """
    graph = _Graph(where)
    output = graph.chain(layers)
    return {
        "layers": graph.items,
        "input_layers": [[name, 0, 0] for name in graph.inputs],
        "output_layers": [[output, 0, 0]],
    }


class _Graph:
    def __init__(self, where: str) -> None:
        self.items: list[dict[str, Any]] = []
        self.inputs: list[str] = []
        self._where = where

    def chain(self, layers: object, depth: int = DEEPEST) -> str:
        """Add the layers of a Sequential; gives the name of its last one."""
        if not isinstance(layers, list) or not layers or not depth:
            raise malformed(f"layers of {self._where}", layers, "a list of layers")
        if begins_with_merge(layers):
            config = dict(layers[0]["config"])
            branches = [self._branch(one, depth - 1) for one in config.pop("layers")]
            x = self._add({"class_name": BRANCHES, "config": config}, branches)
            layers = layers[1:]
        else:
            x = self._input(layers[0])
        for layer in layers:
            x = self._add(layer, [x])
        return x

    def _branch(self, item: object, depth: int) -> str:
        if not isinstance(item, dict) or item.get("class_name") != SEQUENTIAL:
            kind = item.get("class_name") if isinstance(item, dict) else item
            raise UnsupportedError(
                f"{self._where} merges something else than Sequential models",
                context=shown(kind),
                hint="put each branch into a Sequential, or build it with the functional API",
                code="merge-branch",
            )
        config = item.get("config")
        return self.chain(config.get("layers") if isinstance(config, dict) else config, depth)

    def _input(self, first: object) -> str:
        """An InputLayer for the first layer of a branch, which says its shape."""
        for config in _configs(first, DEEPEST):
            if "batch_input_shape" in config:
                name = f"{config.get('name')}_input"
                dtype = config.get("input_dtype") or "float32"
                given = {"batch_input_shape": config["batch_input_shape"], "dtype": dtype}
                item = {"class_name": "InputLayer", "config": {**given, "name": name}}
                self.items.append({**item, "name": name, "inbound_nodes": []})
                self.inputs.append(name)
                return name
        raise malformed(f"a branch of {self._where}", first, "a batch_input_shape in it")

    def _add(self, item: object, inputs: list[str]) -> str:
        config = item.get("config") if isinstance(item, dict) else None
        name = config.get("name") if isinstance(config, dict) else None
        if isinstance(config, list):  # a Sequential in a Sequential, whose name is not written
            name = f"sequential_{len(self.items) + 1}"
        if not isinstance(item, dict) or not isinstance(name, str):
            raise malformed(f"a layer of {self._where}", item, "an object with a name")
        nodes = [[[one, 0, 0] for one in inputs]]
        self.items.append({**item, "name": name, "inbound_nodes": nodes})
        return name


def _configs(item: object, depth: int) -> Iterator[dict[str, Any]]:
    """The config of a layer, then those of the layers in it that see its input first."""
    config = item.get("config") if isinstance(item, dict) else None
    if isinstance(config, list):
        config = {"layers": config}
    if not isinstance(config, dict) or not depth:
        return
    yield config
    inner = config.get("layer")
    layers = config.get("layers")
    if isinstance(layers, list) and layers:
        inner = layers[0]
    yield from _configs(inner, depth - 1)
