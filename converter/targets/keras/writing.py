"""A model as Keras has it: the config of a Functional model, and where each weight goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from converter.description import Model, Value
from converter.gates import BOTH_BIASES
from converter.targets.keras import (  # noqa: F401  each family registers its handlers
    attention,
    conv_recurrent,
    convolution,
    core,
    indexing,
    masking,
    merging,
    normalization,
    operations,
    pooling,
    preprocessing,
    recurrent,
    resizing,
    shaping,
)
from converter.targets.keras.emit import Dialect, Part, Variable, serialized
from converter.targets.keras.graph import LISTS, Graph, Item, Result, Use
from converter.targets.keras.lowering import lowered
from converter.targets.keras.names import CLASSES, keras_names, snake_case
from converter.targets.placement import Placement

SUM = "bias: the sum of two, which Keras adds as one; both are kept beside it"


@dataclass(frozen=True, slots=True)
class Group:
    """What one layer of a legacy `.h5` holds.

    Attributes:
        name: Of the layer.
        weights: Their paths below it, in Keras's order.
    """

    name: str
    weights: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A model, ready to be written.

    Attributes:
        model: What it was made of.
        config: Of the model, as Keras serializes it.
        names: Of layers and inputs: those that Keras has by those of the model.
        placements: Each array by its path in the HDF5 file.
        graph: Its layers and their calls.
        groups: Of a legacy file, one for each layer.
        owners: The layer of each array, by the array's path.
        rewritten: What is said otherwise than the source said it, by the layer.
    """

    model: Model
    dialect: Dialect
    config: dict[str, Any]
    names: dict[str, str]
    placements: tuple[Placement, ...]
    graph: Graph
    groups: tuple[Group, ...] = ()
    owners: dict[str, str] = field(default_factory=dict)
    rewritten: dict[str, list[str]] = field(default_factory=dict)

    @property
    def renamed(self) -> dict[str, str]:
        """The names that are not the model's."""
        return {name: new for name, new in self.names.items() if name != new}


def write_model(model: Model, dialect: Dialect = Dialect.KERAS_3) -> Written:
    """Every layer written.

    Raises:
        UnsupportedError: Keras cannot say one, or would mean something else by it.
    """
    graph = Graph(lowered(model.until(*model.outputs)), dialect)
    written = _Writing(graph).written()
    return replace(written, model=model)


class _Writing:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.legacy = graph.dialect is Dialect.LEGACY
        self.names = keras_names(graph.named(), graph.reserved, plain=self.legacy)
        self.owners: dict[str, str] = {}

    def written(self) -> Written:
        placements, groups = self._placements()
        own = {name for name, item in self.graph.items.items() if item.layer is None}
        return Written(
            model=self.graph.model,
            dialect=self.graph.dialect,
            config=self._config(),
            names={name: new for name, new in self.names.items() if name not in own},
            placements=placements,
            graph=self.graph,
            groups=groups,
            owners=self.owners,
            rewritten=dict(self._rewritten(placements)),
        )

    def _config(self) -> dict[str, Any]:
        model, items = self.graph.model, self.graph.items
        inputs = {value.name: value for value in model.inputs}
        layers = [
            self._layer(name, items[name]) if name in items else self._input(inputs[name])
            for name in self.graph.order
        ]
        ends: dict[str, list[Any]] = {
            "input_layers": [[self.names[name], 0, 0] for name in inputs],
            "output_layers": [self._history(one) for one in self.graph.outputs],
        }
        if not self.legacy:  # a single tensor, not a list of one
            ends = {key: all_[0] if len(all_) == 1 else all_ for key, all_ in ends.items()}
        (name,) = keras_names([model.name or "model"], plain=self.legacy).values()
        config = {"name": name, "trainable": True, "layers": layers, **ends}
        if self.legacy:
            return {"class_name": "Functional", "config": config}
        return {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": config,
            "registered_name": "Functional",
        }

    def _input(self, value: Value) -> dict[str, Any]:
        name = self.names[value.name]
        shape = "batch_input_shape" if self.legacy else "batch_shape"
        config = {shape: list(value.shape), "dtype": value.dtype, "sparse": False, "name": name}
        if self.legacy:
            item: dict[str, Any] = {
                "class_name": "InputLayer",
                "config": config | {"ragged": False},
            }
        else:
            item = {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": config,
                "registered_name": None,
            }
        return {**item, "name": name, "inbound_nodes": []}

    def _layer(self, name: str, item: Item) -> dict[str, Any]:
        new = self.names[name]
        config = serialized(
            item.part,
            new,
            self.graph.dialect,
            trainable=item.trainable,
            policy=item.layer.policy if item.layer else "float32",
        )
        nodes = [self._node(item.part, use) for use in item.uses]
        return {**config, "name": new, "inbound_nodes": nodes}

    def _node(self, part: Part, use: Use) -> Any:
        """One call of a layer."""
        if self.legacy:
            return [[*self._history(one), dict.fromkeys(part.call, True)] for one in use.tensors]
        tensors = [self._tensor(one) for one in use.tensors]
        if part.operation:
            waiting = iter(tensors)
            operands = [next(waiting) if one is None else one for one in use.operands]
            return {"args": [operands] if part.listed else operands, "kwargs": {}}
        arguments: dict[str, Any] = dict.fromkeys(part.call, True)
        if use.states:
            arguments["initial_state"] = [self._tensor(one) for one in use.states]
        if use.mask is not None:
            arguments["mask"] = self._tensor(use.mask)
        for name, several in use.given:
            masks = [None if one is None else self._tensor(one) for one in several]
            arguments[name] = masks if part.kind in LISTS else masks[0]
        given: list[Any] = [tensors] if part.kind in LISTS else tensors
        return {"args": given, "kwargs": arguments}

    def _history(self, result: Result) -> list[Any]:
        name, time = result.node
        return [self.names[name], time, result.number]

    def _tensor(self, result: Result) -> dict[str, Any]:
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(result.value.shape),
                "dtype": result.value.dtype,
                "keras_history": self._history(result),
            },
        }

    def _placements(self) -> tuple[tuple[Placement, ...], tuple[Group, ...]]:
        counts: Counter[str] = Counter()
        placements: list[Placement] = []
        groups: list[Group] = []
        for name in self.graph.order:
            if name not in self.graph.items:
                continue
            part = self.graph.items[name].part
            if self.legacy:
                found = list(_legacy_paths(part, self.names[name]))
                groups.append(Group(self.names[name], tuple(path for path, _ in found)))
                paths = [(f"{self.names[name]}/{path}", variable) for path, variable in found]
            else:
                folder = snake_case(CLASSES.get(part.kind, part.kind))
                count, counts[folder] = counts[folder], counts[folder] + 1
                place = f"layers/{folder}" + (f"_{count}" if count else "")
                paths = [
                    ("/".join((place, *inside, "vars", str(number))), variable)
                    for inside, number, variable in part.placed()
                ]
            self.owners |= {path: name for path, _ in paths}
            placements += [
                Placement(
                    (path, f"{BOTH_BIASES}/{path}") if variable.both_biases else (path,),
                    variable.weight,
                    variable.form,
                )
                for path, variable in paths
            ]
        return tuple(placements), tuple(groups)

    def _rewritten(self, placements: tuple[Placement, ...]) -> Iterator[tuple[str, list[str]]]:
        """What a reader of the file would wonder about."""
        sums = {self.owners[one.names[0]] for one in placements if len(one.names) > 1}
        for name, item in self.graph.items.items():
            notes = list(dict.fromkeys(pipelines(item.part.config)))
            if name in sums:
                notes.append(SUM)
            if notes:
                yield name, notes


def pipelines(config: dict[str, Any]) -> Iterator[str]:
    """The activations that are two layers one after another, in words."""
    for key, value in config.items():
        if not isinstance(value, dict):
            continue
        inner = value.get("config", {})
        if value.get("class_name") == "Pipeline":
            rescaling = inner["layers"][0]["config"]
            formula = f"clip({rescaling['scale']:g} x + {rescaling['offset']:g}, 0, 1)"
            yield f"{key}: {formula} as a Pipeline of Rescaling and ReLU(max_value=1)"
        else:
            yield from pipelines(inner)


def _legacy_paths(part: Part, name: str) -> Iterator[tuple[str, Variable]]:
    """The names of a layer's weights as TensorFlow names variables: "lstm/lstm_cell/kernel:0"."""
    for inside, _, variable in part.placed():
        folders = [name, *_legacy_folders(part, inside)]
        yield "/".join([*folders, f"{variable.name}:0"]), variable


def _legacy_folders(part: Part, inside: tuple[str, ...]) -> Iterator[str]:
    for attribute in inside:
        inner = dict(part.parts)[attribute]
        if attribute == "cell":
            yield snake_case(inner.kind)
        elif attribute.endswith("_layer"):
            yield f"{attribute.removesuffix('layer')}{inner.kind.lower()}"
        part = inner
