"""Sequential and Functional configs as they stand in the file: models of layers, nested or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from converter.errors import ConverterError, FormatError, UnsupportedError
from converter.readers.keras.branches import as_graph, begins_with_merge
from converter.readers.keras.calls import Arguments, Reference, calls, tensors
from converter.readers.keras.config import Config, is_registered, malformed, serialized
from converter.readers.keras.custom import description_of, unknown
from converter.readers.keras.nodes import CONSTANT, is_operation, read_operation
from converter.readers.keras.origins import (
    HOME,
    MaskOperation,
    is_mask_operation,
    mask_operation,
)
from converter.readers.keras.refused import refuse
from converter.readers.strict import named, shown

SEQUENTIAL = "Sequential"
MODELS = (SEQUENTIAL, "Functional", "Model")


@dataclass(eq=False, slots=True, kw_only=True)
class LayerPart:
    """A layer of a config.

    Attributes:
        kind: Its class.
        class_name: Its class, without the package under which it is registered.
        name: In its model.
        path: In the whole: "outer/inner".
        config: As the file has it.
        owner: The model that it is in.
        model: What it is, if it is a model itself.
        trainable: Neither it nor a model around it is frozen.
        unnamed: The file does not say its name: a Sequential in a Sequential, up to Keras 2.2.
    """

    kind: str
    class_name: str
    name: str
    path: str
    config: Any
    owner: ModelPart
    model: ModelPart | None = None
    calls: list[Arguments] = field(default_factory=list)
    trainable: bool = True
    unnamed: bool = False

    @property
    def top(self) -> LayerPart:
        """The layer of the whole model that this one is in."""
        outer = self.owner.outer
        return self if outer is None else outer.top

    def view(self) -> Config:
        """Its config, checked.

        Raises:
            UnsupportedError: It is called in different ways.
        """
        ways = {call.true for call in self.calls}
        if len(ways) > 1:
            raise UnsupportedError(
                f"{self.where} is called in different ways, which is not read",
                context=" or ".join(sorted(", ".join(sorted(way)) or "plain" for way in ways)),
                hint="call it in one way, or use a layer for each",
                code="call-argument",
            )
        return Config(
            self.kind,
            self.path,
            self.config,
            self.owner.file,
            trainable=self.trainable,
            calls=(ways.pop() if ways else frozenset())
            | ({"mask"} if any(call.masks for call in self.calls) else frozenset()),
        )

    @property
    def where(self) -> str:
        """The layer and the file, for an error."""
        return f"layer {named(self.path)} of {self.owner.file}"


@dataclass(eq=False, slots=True, kw_only=True)
class ModelPart:
    """A model of a config.

    Attributes:
        file: The path of the file, for the errors.
        outer: The layer that it is; None for the whole.
        input_keys: The names of the inputs where they are in a dictionary.
        built_for: The shape of the input that a Sequential was built for, as the file has it.
        each_step: It is in a TimeDistributed: each layer of it is applied to every step.
        branched: It is a Sequential that begins with Merge, and is read as a graph.
        mask_operations: What Keras 3 writes down beside the layers, by name: how masks are made.
        constants: Arrays that are operands of operations, as layers without an input.
    """

    name: str
    file: str
    kind: str
    outer: LayerPart | None
    layers: list[LayerPart] = field(default_factory=list)
    inputs: tuple[Reference, ...] = ()
    input_keys: tuple[str, ...] | None = None
    outputs: tuple[Reference, ...] = ()
    built_for: object = None
    each_step: bool = False
    branched: bool = False
    mask_operations: dict[str, MaskOperation] = field(default_factory=dict)
    constants: list[LayerPart] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many TimeDistributed are around it."""
        around = 0 if self.outer is None else self.outer.owner.steps
        return around + self.each_step

    @property
    def sequential(self) -> bool:
        """Its layers follow each other."""
        return self.kind == SEQUENTIAL

    @property
    def where(self) -> str:
        """The model and the file, for an error."""
        return f"model {named(self.outer.path if self.outer else self.name)} of {self.file}"

    def everything(self) -> Iterator[LayerPart]:
        """All layers, those of inner models too; the models themselves are not among them."""
        for layer in self.layers:
            if layer.model is None:
                yield layer
            else:
                yield from layer.model.everything()


def read_model(document: object, file: str) -> ModelPart:
    """The model of a config.

    Args:
        document: `config.json`, or the `model_config` of an HDF5 file.
        file: The path of the file, for the errors.

    Raises:
        FormatError: It is not as Keras writes it.
        UnsupportedError: It is a subclass with code of its own, or has a layer that is not read.
    """
    what = f"the config of {file}"
    if isinstance(document, dict) and document.get("class_name") not in MODELS:
        raise _subclassed(document, file)
    kind, config = serialized(document, what)
    return _model(kind, config, None, file)


def _model(
    kind: str, config: object, outer: LayerPart | None, file: str = "", each_step: str = ""
) -> ModelPart:
    """A model, its layers and theirs.

    Args:
        kind: Its class.
        config: Of it.
        outer: The layer that it is; None for the whole.
        file: The path of the file, for the whole.
        each_step: The name of a model in a TimeDistributed, which is `outer`.
    """
    prefix = f"{outer.path}/" if outer else ""
    prefix += f"{each_step}/" if each_step else ""
    file = outer.owner.file if outer else file
    if kind == SEQUENTIAL and isinstance(config, list):  # up to Keras 2.2
        config = {"name": outer.name if outer else "sequential", "layers": config}
    view = Config(kind, outer.path if outer else kind, config, file)
    layers = view.value("layers")
    branched = kind == SEQUENTIAL and begins_with_merge(layers)
    if branched:
        kind, name = "Functional", view.text("name", default="sequential")
        config = {"name": name, **as_graph(layers, f"{SEQUENTIAL} {named(name)} of {file}")}
        view = Config(kind, view.name, config, file)
        layers = view.value("layers")
    model = ModelPart(
        name=view.text("name", default="model"),
        file=file,
        kind=kind,
        outer=outer,
        built_for=view.value("build_input_shape", default=None),
        each_step=bool(each_step),
        branched=branched,
    )
    if not isinstance(layers, list) or not layers:
        raise malformed(f"layers of {model.where}", layers, "a list of layers")
    if not model.sequential:
        what = f"of {model.where}"
        model.inputs, model.input_keys = tensors(view.value("input_layers"), f"input_layers {what}")
        model.outputs, _ = tensors(view.value("output_layers"), f"output_layers {what}")
        if not model.inputs or not model.outputs:
            raise malformed(f"input_layers or output_layers {what}", [], "at least one")
    view.policy()  # its layers cast, each for itself
    view.done()
    names: set[str] = set()
    for item in layers:
        item = _with_module(item)
        if is_mask_operation(item):
            model.mask_operations[_name(item, model)] = mask_operation(item, model.where)
        layer = _layer(item, model, prefix)
        if layer.name in names:
            raise FormatError(
                f"{model.where} has two layers of one name",
                context=named(layer.name),
                hint="the file may be damaged; save the model again",
                code="duplicate-layer",
            )
        names.add(layer.name)
        model.layers.append(layer)
    of_masks = model.mask_operations.keys() - _in_flow(model)
    model.layers = [layer for layer in model.layers if layer.name not in of_masks]
    return model


def _with_module(item: Any) -> Any:
    """An operation of Keras 3 with the module that `.h5` does not say: a layer can be trained.

    Keras itself takes it for a layer, and does not find it, or takes another one of that name.
    """
    if not isinstance(item, dict) or "module" in item:
        return item
    kind, config, nodes = (item.get(key) for key in ("class_name", "config", "inbound_nodes"))
    called = isinstance(nodes, list) and bool(nodes) and isinstance(nodes[0], dict)
    trained = not isinstance(config, dict) or bool({"trainable", "layers"} & config.keys())
    if trained or not called or not isinstance(kind, str) or description_of(kind) is not None:
        return item
    return {"module": HOME, **item}


def _in_flow(model: ModelPart) -> set[str]:
    """The operations that tensors go through, and not masks alone."""
    inputs = {
        layer.name: [one.layer for call in layer.calls for one in call.inputs]
        for layer in model.layers
    }
    left = [reference.layer for reference in model.outputs]
    left += [
        one for name, given in inputs.items() if name not in model.mask_operations for one in given
    ]
    found: set[str] = set()
    while left:
        name = left.pop()
        if name in model.mask_operations and name not in found:
            found.add(name)
            left += inputs.get(name, [])
    return found


def _layer(item: object, owner: ModelPart, prefix: str) -> LayerPart:
    name = _name(item, owner)
    path = prefix + name
    where = f"layer {named(path)} of {owner.file}"
    if not isinstance(item, dict) or not isinstance(item.get("class_name"), str):
        raise malformed(where, item, "an object with a class_name and a config")
    if is_operation(item) and not owner.sequential:
        return _operation(item, name, path, owner)
    if not is_registered(item.get("registered_name")):
        refuse(item["class_name"], item.get("module"), where)
    kind, config = serialized(item, where)
    frozen = isinstance(config, dict) and config.get("trainable") is False
    layer = LayerPart(
        kind=kind,
        class_name=item["class_name"].rpartition(">")[2],
        name=name,
        path=path,
        config=config,
        owner=owner,
        trainable=not frozen and (owner.outer is None or owner.outer.trainable),
        unnamed=isinstance(config, list) and (owner.sequential or owner.branched),
    )
    if kind in MODELS:
        layer.model = _model(kind, config, layer)
    elif kind == "TimeDistributed":
        layer.model = _model_of_each_step(layer)
    if not owner.sequential:
        layer.calls = calls(item.get("inbound_nodes"), where, kind)
    return layer


def _operation(item: dict[str, Any], name: str, path: str, owner: ModelPart) -> LayerPart:
    """An operation as a layer; its constants are put among those of the model."""
    node = read_operation(item, name, f"layer {named(path)} of {owner.file}")
    for one, array in node.arrays.items():
        config = {"name": one, "value": array.value, "dtype": array.dtype}
        place = path.removesuffix(name) + one
        constant = LayerPart(
            kind=CONSTANT,
            class_name=CONSTANT,
            name=one,
            path=place,
            config=config,
            owner=owner,
        )
        constant.calls = [Arguments((), None, keras_3=False)]
        owner.constants.append(constant)
    layer = LayerPart(
        kind=node.kind,
        class_name=item["class_name"],
        name=name,
        path=path,
        config=node.config,
        owner=owner,
    )
    layer.calls = node.calls
    return layer


def _model_of_each_step(layer: LayerPart) -> ModelPart | None:
    """The model that a TimeDistributed applies to every step; None if it is a layer."""
    view = layer.view()
    inner = view.value("layer")
    if not isinstance(inner, dict) or inner.get("class_name") not in MODELS:
        return None
    kind, config = serialized(inner, f"layer of {view.where}")
    if kind not in MODELS:
        return None
    view.policy()
    view.done()
    name = config.get("name") if isinstance(config, dict) else None
    return _model(
        kind, config, layer, each_step=name if isinstance(name, str) and name else "layer"
    )


def _name(item: object, owner: ModelPart) -> str:
    """The name of a layer: beside its config in a Functional model, in it in a Sequential one."""
    config = item.get("config") if isinstance(item, dict) else None
    inside = config.get("name") if isinstance(config, dict) else None
    name = item.get("name", inside) if isinstance(item, dict) else None
    if name is None and isinstance(config, list):  # a Sequential in a Sequential, up to Keras 2.2
        name = f"sequential_{len(owner.layers) + 1}"
    if not isinstance(name, str) or not name or (inside is not None and inside != name):
        raise malformed(f"a layer of {owner.where}", name, "a name")
    return name


def _subclassed(document: dict[str, Any], file: str) -> ConverterError:
    kind = document.get("class_name")
    if not isinstance(kind, str):
        return malformed(f"the config of {file}", document, "the class_name of a model")
    config = document.get("config")
    if isinstance(config, dict) and "layers" in config:
        return unknown(f"the model of {file}", f"{shown(kind)}, a class of its own")
    return UnsupportedError(
        f"the model of {file} is a subclass: what it computes is in its Python code",
        context=f"{shown(kind)}, not {', '.join(sorted(MODELS))}",
        hint="build it from layers as a Functional model and save that",
        code="subclassed-model",
    )
