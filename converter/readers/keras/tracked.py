"""The graph of objects in a checkpoint, and where in it each weight of a model is.

    root
      layer-0                  an InputLayer
      layer-1                  also called layer_with_weights-0
        cell
          kernel               an array, by the key "variables/0/.ATTRIBUTES/VARIABLE_VALUE"

Nodes and edges are those of tensorflow/core/protobuf/trackable_object_graph.proto. The keys say
nothing that can be relied on; the edges are the attributes of Keras's own objects.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from converter.errors import FormatError, WeightError
from converter.readers.keras.architecture import LayerPart, ModelPart
from converter.readers.keras.bundle import GRAPH, Bundle
from converter.readers.keras.hdf5 import Dataset
from converter.readers.keras.weights import Expected, Found, checked, missing, surplus
from converter.readers.strict import named
from converter.readers.wire import Message, WireError, messages, number, text

VALUE = "VARIABLE_VALUE"
SUFFIX = f"/.ATTRIBUTES/{VALUE}"
LAYER = re.compile(r"layer-(\d{1,6})", re.ASCII)
MAX_NODES = 200_000
MAX_EDGES = 2_000_000

NOT_WEIGHTS = frozenset({"keras_api", "_random_generator", "states", "_states"})
"""Parts of a layer that no answer depends on: metrics, random numbers, what a call leaves."""


@dataclass(frozen=True, slots=True)
class Node:
    """An object: the ids of its parts by their names, and the key of its value."""

    children: dict[str, int]
    key: str | None


class Objects:
    """The graph of a checkpoint.

    Raises:
        FormatError: It has none, or it is damaged.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.path = bundle.index.path
        if GRAPH not in bundle.entries:
            raise FormatError(
                f"{self.path} does not say which array belongs to which layer",
                context="no graph of objects in it: TensorFlow 1's Saver wrote it",
                hint="load it in TensorFlow and save the model with model.save",
                code="no-object-graph",
            )
        try:
            self.nodes = list(_nodes(memoryview(bundle.text(GRAPH))))
        except ValueError as error:
            raise self._damaged(str(error)) from error
        for node in self.nodes:
            if any(not 0 <= child < len(self.nodes) for child in node.children.values()):
                raise self._damaged("an object that is not there")
            if node.key is not None and node.key not in bundle.entries:
                raise self._damaged(f"no array {named(node.key)}")

    def model(self) -> int:
        """The object that is the model: the root, or a part of it that has layers."""
        found = [
            k
            for k in dict.fromkeys((0, *self.nodes[0].children.values()) if self.nodes else ())
            if "layer-0" in self.nodes[k].children
        ]
        if len(found) == 1 or (found and found[0] == 0):
            return found[0]
        raise WeightError(
            f"{self.path} has {len(found) or 'no'} models of layers; expected one",
            context=", ".join(named(name) for name in list(self.nodes[0].children)[:8])
            if self.nodes
            else "nothing",
            hint="save the weights of one Sequential or Functional model of Keras 2",
            code="no-layers",
        )

    def layers(self, at: int) -> list[int]:
        """The layers of a model, in order."""
        found = {
            int(match[1]): child
            for name, child in self.nodes[at].children.items()
            if (match := LAYER.fullmatch(name))
        }
        if sorted(found) != list(range(len(found))):
            raise self._damaged("layers that are not counted from 0")
        return [found[k] for k in sorted(found)]

    def values(self, at: int, skip: Collection[str] = ()) -> Iterator[int]:
        """Every object with a value that is a part of this one, each once."""
        seen, waiting = {at}, [at]
        while waiting:
            node = self.nodes[waiting[-1]]
            here = waiting.pop()
            if node.key is not None:
                yield here
            for name, child in node.children.items():
                if child not in seen and name not in skip:
                    seen.add(child)
                    waiting.append(child)

    def _damaged(self, context: str) -> FormatError:
        return FormatError(
            f"the graph of objects in {self.path} is not as TensorFlow writes it",
            context=context,
            hint="copy or download it again; the original may be whole",
            code="object-graph",
        )


def _nodes(data: Message) -> Iterator[Node]:
    edges = 0
    for count, message in enumerate(messages(data, 1)):
        children: dict[str, int] = {}
        for edge in messages(message, 1):
            edges += 1
            name = text(edge, 2)
            if name in children:
                raise WireError(f"two parts of one object called {named(name)}")
            children[name] = number(edge, 1)
        keys = [text(value, 3) for value in messages(message, 2) if text(value, 1) == VALUE]
        if len(keys) > 1 or count >= MAX_NODES or edges > MAX_EDGES:
            raise WireError("an object of two values, or too many objects")
        yield Node(children, keys[0] if keys else None)


def search(bundle: Bundle, model: ModelPart, wanted: list[Expected]) -> Found:
    """Each weight that is wanted; the layers must have no others.

    Raises:
        WeightError: One is missing, surplus or misshapen, or the checkpoint is of another model.
    """
    objects = Objects(bundle)
    places = dict(_places(objects, model, objects.model()))
    order = _cells(wanted)
    found, used = {}, set()
    for expected in wanted:
        start = places[expected.owner]
        at = _walked(objects, start, expected, order)
        key = None if at is None else objects.nodes[at].key
        if at is None or key is None:
            beside = [objects.nodes[k].key or "" for k in objects.values(start, NOT_WEIGHTS)]
            raise missing(expected, [name.removesuffix(SUFFIX) for name in beside])
        used.add(at)
        entry = bundle.entries[key]
        name = key.removesuffix(SUFFIX)
        checked(expected, Dataset(name, entry.shape, bundle.dtype(key), None))
        found[expected.key] = bundle.stored(key, name)
    left = {
        at
        for start in set(places.values())
        for at in objects.values(start, {*NOT_WEIGHTS, *LISTS})
        if at not in used
    }
    if left:
        names = sorted((objects.nodes[at].key or "").removesuffix(SUFFIX) for at in left)
        raise surplus(names, bundle.index.path)
    return found


LISTS = ("variables", "trainable_variables", "non_trainable_variables")
"""Each has the weights of a layer once more, and the state of its random numbers."""


def _places(objects: Objects, model: ModelPart, at: int) -> Iterator[tuple[LayerPart, int]]:
    """The object of each layer."""
    present = objects.layers(at)
    layers = model.layers
    if model.sequential and layers[0].kind == "InputLayer":
        layers = layers[1:]  # it is not in the `layers` of a Sequential
    if len(present) != len(layers):
        raise WeightError(
            f"the weights in {objects.path} are not those of {model.where}",
            context=f"{len(present)} layers; expected {len(layers)}",
            hint="its weights may belong to another model",
            code="other-model",
        )
    for layer, place in zip(layers, present, strict=True):
        if layer.model is None:
            yield layer, place
            continue
        inner = place
        if layer.model.each_step:
            inner = objects.nodes[place].children.get("layer", place)
        yield from _places(objects, layer.model, inner)


Parts = tuple[str, ...]


def _cells(wanted: list[Expected]) -> dict[tuple[LayerPart, Parts], str]:
    """The number that each of several stacked cells has among the parts of "cells"."""
    found: dict[tuple[LayerPart, Parts], str] = {}
    count: dict[tuple[LayerPart, Parts], int] = {}
    for expected in wanted:
        for k, part in enumerate(expected.inside[:-1]):
            place = (expected.owner, expected.inside[: k + 2])
            if part == "cells" and place not in found:
                stack = (expected.owner, expected.inside[: k + 1])
                found[place] = str(count.get(stack, 0))
                count[stack] = count.get(stack, 0) + 1
    return found


def _walked(
    objects: Objects, at: int, expected: Expected, cells: dict[tuple[LayerPart, Parts], str]
) -> int | None:
    """The object of a weight; None if there is none."""
    for k, part in enumerate(expected.inside):
        name = cells.get((expected.owner, expected.inside[: k + 1]), part)
        children = objects.nodes[at].children
        if name in children or f"_{name}" in children:
            at = children.get(name, children.get(f"_{name}", at))
        elif part != "cell":  # CuDNN's layers have their weights themselves
            return None
    return objects.nodes[at].children.get(expected.name)
