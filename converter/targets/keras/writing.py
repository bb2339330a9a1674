"""A model as Keras has it: the config of a Functional model, and where each weight goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from converter.description import Call, Layer, Model, Value
from converter.errors import UnsupportedError
from converter.targets.keras import (  # noqa: F401  each family registers its handlers
    conv_recurrent,
    convolution,
    core,
    masking,
    merging,
    normalization,
    pooling,
    recurrent,
    shaping,
)
from converter.targets.keras.emit import Around, Dialect, Part, Variable, emit, serialized
from converter.targets.keras.masks import HELPERS, check_masks
from converter.targets.keras.names import keras_names, snake_case
from converter.targets.keras.order import Node, layer_order
from converter.targets.placement import Placement


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
        groups: Of a legacy file, one for each layer.
        owners: The layer of each array, by the array's path.
        rewritten: What is said otherwise than the source said it, by the layer.
    """

    model: Model
    dialect: Dialect
    config: dict[str, Any]
    names: dict[str, str]
    placements: tuple[Placement, ...]
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
    model = model.until(*model.outputs)
    check_masks(model)
    return _Writing(model, dialect).written()


class _Writing:
    def __init__(self, model: Model, dialect: Dialect) -> None:
        self.model = model
        self.dialect = dialect
        layers = [call.layer for call in model.calls if not isinstance(call.layer, HELPERS)]
        self.layers = {layer.name: layer for layer in layers}
        self.names = keras_names([*(value.name for value in model.inputs), *self.layers])
        self.parts: dict[str, Part] = {}
        self.where: dict[str, tuple[Node, int]] = {}
        self.calls: dict[Node, Call] = {}
        self.owners: dict[str, str] = {}
        for value in model.inputs:
            self.where[value.name] = ((value.name, 0), 0)
        times: Counter[str] = Counter()
        for call in model.calls:
            if not isinstance(call.layer, HELPERS):
                name = call.layer.name
                self._add(call, (name, times[name]))
                times[name] += 1

    def _add(self, call: Call, node: Node) -> None:
        layer = call.layer
        if layer.name not in self.parts:
            self.parts[layer.name] = emit[layer](layer, Around(self.dialect, call))
        self.calls[node] = call
        for k, value in enumerate(call.outputs):
            if value.dtype != "bool":  # a mask is no tensor of its own
                self.where[value.name] = (node, k)

    def written(self) -> Written:
        parents: dict[Node, list[Node]] = {(value.name, 0): [] for value in self.model.inputs}
        for node, call in self.calls.items():
            parents[node] = [self._where(value, call.layer)[0] for value in call.inputs]
        outputs = [self._where(value)[0] for value in self.model.outputs]
        inputs = [value.name for value in self.model.inputs]
        order = layer_order(inputs, outputs, parents)
        placements, groups = self._placements(order)
        return Written(
            model=self.model,
            dialect=self.dialect,
            config=self._config(order),
            names=self.names,
            placements=placements,
            groups=groups,
            owners=self.owners,
            rewritten=dict(self._rewritten(placements)),
        )

    def _where(self, value: Value, user: Layer | None = None) -> tuple[Node, int]:
        """The call that gives a value, and which of its results it is."""
        found = self.where.get(value.name)
        if found is None:
            what = f"layer '{user.name}'" if user else f"output '{value.name}'"
            raise UnsupportedError(
                f"{what} takes a mask as a tensor, which Keras has not",
                context=f"value '{value.name}'",
                hint="--to pytorch and --to onnx can say it",
                code="mask",
            )
        return found

    def _config(self, order: list[str]) -> dict[str, Any]:
        inputs = {value.name: value for value in self.model.inputs}
        layers = [
            self._input(inputs[name]) if name in inputs else self._layer(name) for name in order
        ]
        ends = {
            "input_layers": [[self.names[value.name], 0, 0] for value in self.model.inputs],
            "output_layers": [self._history(value) for value in self.model.outputs],
        }
        legacy = self.dialect is Dialect.LEGACY
        if not legacy:  # a single tensor, not a list of one
            ends = {key: all_[0] if len(all_) == 1 else all_ for key, all_ in ends.items()}
        name = self.model.name.replace("/", "_") or "model"
        config = {"name": name, "trainable": True, "layers": layers, **ends}
        if legacy:
            return {"class_name": "Functional", "config": config}
        return {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": config,
            "registered_name": "Functional",
        }

    def _input(self, value: Value) -> dict[str, Any]:
        name = self.names[value.name]
        legacy = self.dialect is Dialect.LEGACY
        shape = "batch_input_shape" if legacy else "batch_shape"
        config = {shape: list(value.shape), "dtype": value.dtype, "sparse": False, "name": name}
        if legacy:
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

    def _layer(self, name: str) -> dict[str, Any]:
        layer, part, new = self.layers[name], self.parts[name], self.names[name]
        nodes: list[Any] = []
        while (node := (name, len(nodes))) in self.calls:
            nodes.append(self._node(self.calls[node]))
        item = serialized(part, new, layer.trainable, self.dialect)
        return {**item, "name": new, "inbound_nodes": nodes}

    def _node(self, call: Call) -> Any:
        """One call of a layer."""
        several = emits_list(self.parts[call.layer.name])
        first = call.inputs if several else call.inputs[:1]
        states = () if several else call.inputs[1:]
        if self.dialect is Dialect.LEGACY:
            if states:
                raise UnsupportedError(
                    f"layer '{call.layer.name}' is given its states, which .h5 cannot say",
                    context="Keras 3 does not read initial_state from a legacy .h5",
                    hint="--to keras writes a file that can",
                    code="legacy-initial-state",
                )
            return [[*self._history(value), {}] for value in first]
        tensors = [self._tensor(value) for value in first]
        arguments: dict[str, Any] = {}
        if states:
            arguments["initial_state"] = [self._tensor(value) for value in states]
        return {"args": [tensors if several else tensors[0]], "kwargs": arguments}

    def _history(self, value: Value) -> list[Any]:
        (name, time), k = self._where(value)
        return [self.names[name], time, k]

    def _tensor(self, value: Value) -> dict[str, Any]:
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(value.shape),
                "dtype": value.dtype,
                "keras_history": self._history(value),
            },
        }

    def _placements(self, order: list[str]) -> tuple[tuple[Placement, ...], tuple[Group, ...]]:
        counts: Counter[str] = Counter()
        placements: list[Placement] = []
        groups: list[Group] = []
        for name in order:
            if name not in self.parts:
                continue
            part = self.parts[name]
            if self.dialect is Dialect.LEGACY:
                found = list(_legacy_paths(part, self.names[name]))
                groups.append(Group(self.names[name], tuple(path for path, _ in found)))
                paths = [(f"{self.names[name]}/{path}", variable) for path, variable in found]
            else:
                folder = snake_case(part.kind)
                count, counts[folder] = counts[folder], counts[folder] + 1
                place = f"layers/{folder}" + (f"_{count}" if count else "")
                paths = [
                    ("/".join((place, *inside, "vars", str(number))), variable)
                    for inside, number, variable in part.placed()
                ]
            self.owners |= {path: name for path, _ in paths}
            placements += [
                Placement((path,), variable.weight, variable.form, lossy=variable.lossy)
                for path, variable in paths
            ]
        return tuple(placements), tuple(groups)

    def _rewritten(self, placements: tuple[Placement, ...]) -> Iterator[tuple[str, list[str]]]:
        """What a reader of the file would wonder about."""
        sums = {self.owners[one.names[0]]: one.lossy for one in placements if one.lossy}
        for name, part in self.parts.items():
            notes = list(dict.fromkeys(pipelines(part.config)))
            if name in sums:
                notes.append(f"bias: {sums[name]}")
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


def emits_list(part: Part) -> bool:
    """Whether Keras calls the layer with a list of tensors."""
    return part.kind in {
        "Add",
        "Average",
        "Concatenate",
        "Dot",
        "Maximum",
        "Minimum",
        "Multiply",
        "Subtract",
    }


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
