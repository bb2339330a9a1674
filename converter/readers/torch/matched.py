"""Tensors of a checkpoint in the layers of an architecture that is not PyTorch's.

Each layer says which tensors torch.nn has for it, with their shapes; each module of the checkpoint
is a set of tensors with shapes. Both must be the same sets, as often as each other. Of several
layers that are alike, each has the module of its name, or all are taken in their order.

Shape letters: F features, H units, G gates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from converter.description import (
    BatchNormalization,
    Convolution,
    Dense,
    Direction,
    Embedding,
    Flatten,
    Layer,
    LayerNormalization,
    Model,
    Recurrent,
    Stored,
    TimeDistributed,
    Weight,
)
from converter.description.convolution import Windowed
from converter.dtypes import is_float
from converter.errors import UnsupportedError, WeightError
from converter.gates import AS_IS, TRANSPOSED, Cell, Form, permuted
from converter.readers.strict import named
from converter.readers.torch.checkpoint import Checkpoint
from converter.readers.torch.layers import COUNT
from converter.readers.torch.recurrent import TorchRecurrent, recurrent_modules

Signature = tuple[tuple[str, tuple[int, ...]], ...]
"""The names and shapes of a module's tensors, sorted."""

Wants = dict[str, tuple[str, tuple[int, ...], Form]]
"""By the name of a tensor: that of the weight, the shape of the tensor, and its form."""

SHOWN = 12
"""Layers and modules that an error lists."""


@dataclass(slots=True)
class _Module:
    """A module of the checkpoint, or one layer of a stack.

    Attributes:
        name: "model/encoder.lstm", or with the number of the layer.
        signature: Of its tensors.
        tensors: By their own names.
        directions: Of a recurrent one.
    """

    name: str
    signature: Signature
    tensors: Mapping[str, Stored] = field(default_factory=dict)
    directions: tuple[Direction, ...] = ()

    @property
    def container(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def own(self) -> str:
        return self.name.rpartition("/")[2]


@dataclass(slots=True)
class _Place:
    """A layer that wants tensors.

    Attributes:
        layer: Of the model.
        wanted: The tensors that torch.nn has for it.
        signature: The same without the weights.
    """

    layer: Layer
    wanted: Wants
    signature: Signature


def fill(model: Model, checkpoint: Checkpoint) -> Model:
    """The model with the tensors of a checkpoint in the place of its weights.

    Args:
        model: An architecture; its weights are not read.
        checkpoint: Of the same layers.

    Raises:
        WeightError: Its modules are not those of the model.
        UnsupportedError: The model has weights that no module of torch.nn has, or what a checkpoint
            does not say.
    """
    _check_flattened(model)
    places = [_place(layer) for layer in model.layers if layer.weights]
    modules = list(_modules(checkpoint.tensors))
    found = _container(places, modules, checkpoint.path)
    weights: dict[tuple[str, str], Weight] = {}
    for place, module in _pairs(places, found):
        weights |= {(place.layer.name, name): one for name, one in _weights(place, module)}
    used = {id(module) for module in found}
    left = Counter(module.container or module.name for module in modules if id(module) not in used)
    dropped = [f"{name} ({count} module{'s' if count > 1 else ''})" for name, count in left.items()]
    containers = {module.container for module in found}
    dropped += [
        f"{name}, which Keras does not count"
        for name in checkpoint.tensors
        if name.endswith(COUNT) and name.rpartition("/")[0] in containers
    ]
    dropped += [f"{name} ({what})" for name, what in checkpoint.held.items()]
    whole = model.map_weights(lambda layer, name, _: weights[layer.name, name])
    source = replace(
        model.source, path=checkpoint.path, form=checkpoint.form, dropped=tuple(dropped)
    )
    return replace(whole, source=source)


def _check_flattened(model: Model) -> None:
    """Refuse what puts channels and places in a row: PyTorch and Keras do so in two orders."""
    inner = [one.layer if isinstance(one, TimeDistributed) else one for one in model.layers]
    convolved = any(isinstance(one, Windowed) for one in inner)
    for one in inner:
        if convolved and isinstance(one, Flatten):
            raise UnsupportedError(
                f"layer '{one.name}' puts channels in a row, in an order that no checkpoint says",
                context="Flatten behind a convolution: channels come first in PyTorch, last in "
                "Keras",
                hint="pool over the places instead, or convert the module itself: --run-code",
                code="flattened-channels",
            )


def _place(layer: Layer) -> _Place:
    """What torch.nn has for a layer.

    Raises:
        UnsupportedError: It has nothing.
    """
    inner, prefix = layer, ""
    while isinstance(inner, TimeDistributed):
        inner, prefix = inner.layer, f"{prefix}layer."
    wanted = _wanted(inner)
    if wanted is None or set(inner.weights) != {name for name, _, _ in wanted.values()}:
        raise UnsupportedError(
            f"layer '{layer.name}' has weights that no module of torch.nn has",
            context=f"{type(inner).__name__} with {', '.join(inner.weights)}",
            hint="give an architecture of LSTM, GRU, SimpleRNN, Dense, Embedding, convolutions, "
            "BatchNormalization and LayerNormalization",
            code="no-module",
        )
    named_ = {
        tensor: (f"{prefix}{name}", shape, form) for tensor, (name, shape, form) in wanted.items()
    }
    signature = tuple(sorted((tensor, shape) for tensor, (_, shape, _) in named_.items()))
    return _Place(layer, named_, signature)


def _wanted(layer: Layer) -> Wants | None:
    """The tensors of a layer: the weight's name, the shape of the tensor, its form."""
    match layer:
        case Recurrent():
            return _of_recurrent(layer)
        case Dense():
            return _of_kernel(layer, TRANSPOSED)
        case Convolution():
            return _of_kernel(layer, permuted(layer.rank + 1, layer.rank, *range(layer.rank)))
        case Embedding():
            return {"weight": ("embeddings", layer.embeddings.shape, AS_IS)}
        case BatchNormalization() | LayerNormalization():
            names = {
                "weight": "gamma",
                "bias": "beta",
                "running_mean": "moving_mean",
                "running_var": "moving_variance",
            }
            return {
                tensor: (name, layer.weights[name].shape, AS_IS)
                for tensor, name in names.items()
                if name in layer.weights
            }
    return None


def _of_kernel(layer: Dense | Convolution, form: Form) -> Wants:
    *sizes, channels, filters = layer.kernel.shape
    wanted = {"weight": ("kernel", (filters, channels, *sizes), form)}
    if layer.bias is not None:
        wanted["bias"] = ("bias", layer.bias.shape, AS_IS)
    return wanted


def _of_recurrent(layer: Recurrent) -> Wants | None:
    """Those of each direction; their forms are the module's own."""
    wanted: Wants = {}
    ends = ("", "_reverse")
    for part, direction, end in zip(("forward", "backward"), layer.directions, ends, strict=False):
        if direction.cell is Cell.GRU_RESET_BEFORE:
            return None
        for role, shape in _tensors_of(direction).items():
            name = "bias" if role.startswith("bias") else ROLES[role]
            wanted[f"{role}{end}"] = (f"{part}.{name}", shape, AS_IS)
    return wanted


ROLES = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel"}


def _tensors_of(direction: Direction) -> dict[str, tuple[int, ...]]:
    gates, units, inputs = direction.kernel.shape
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (gates * units, inputs),
        "weight_hh": (gates * units, units),
    }
    if direction.bias is not None:
        shapes |= {"bias_ih": (gates * units,), "bias_hh": (gates * units,)}
    return shapes


def _modules(tensors: Mapping[str, Stored]) -> Iterator[_Module]:
    """Every module, in the order of the checkpoint; each layer of a stack on its own."""
    recurrent, others = recurrent_modules(tensors)
    found = [*_stacks(recurrent), *_plain(others)]
    order = {name: k for k, name in enumerate(tensors)}
    yield from sorted(found, key=lambda one: order[next(iter(one.tensors.values())).name])


def _stacks(recurrent: Sequence[TorchRecurrent]) -> Iterator[_Module]:
    ends = ("", "_reverse")
    for one in recurrent:
        if not one.levels:
            shapes = tuple(sorted((stored.name, stored.shape) for stored in one.arrays))
            yield _Module(one.name, shapes, {stored.name: stored for stored in one.arrays})
        for number, directions in enumerate(one.levels):
            signature: dict[str, tuple[int, ...]] = {}
            tensors: dict[str, Stored] = {}
            for direction, end in zip(directions, ends, strict=False):
                for role, shape in _tensors_of(direction).items():
                    signature[f"{role}{end}"] = shape
                for weight in (direction.kernel, direction.recurrent_kernel, direction.bias):
                    tensors |= {} if weight is None else {s.name: s for s in weight.stored}
            name = one.name if one.depth == 1 else f"{one.name}.l{number}"
            yield _Module(name, tuple(sorted(signature.items())), tensors, directions)


def _plain(tensors: Mapping[str, Stored]) -> Iterator[_Module]:
    modules: dict[str, dict[str, Stored]] = {}
    for name, stored in tensors.items():
        split = max(name.rfind("."), name.rfind("/")) + 1
        modules.setdefault(name[:split], {})[name[split:]] = stored
    for prefix, own in modules.items():
        counted = {name: one for name, one in own.items() if name != COUNT}
        if counted:
            signature = tuple(sorted((name, one.shape) for name, one in counted.items()))
            yield _Module(prefix[:-1], signature, counted)


def _container(places: list[_Place], modules: list[_Module], path: str) -> list[_Module]:
    """The modules of the one container that has exactly those that are wanted.

    Raises:
        WeightError: None has, or several have.
    """
    wanted = Counter(place.signature for place in places)
    by_container: dict[str, list[_Module]] = {}
    for module in modules:
        by_container.setdefault(module.container, []).append(module)
    fitting = [
        own
        for own in by_container.values()
        if Counter(module.signature for module in own) == wanted
    ]
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) > 1:
        names = ", ".join(named(own[0].container) for own in fitting)
        raise WeightError(
            f"{path} has the weights of the architecture several times",
            context=names,
            hint="save one of them alone: torch.save(checkpoint[...], path)",
            code="several-states",
        )
    nearest = max(
        by_container.values(),
        key=lambda own: (Counter(module.signature for module in own) & wanted).total(),
        default=[],
    )
    raise _other(places, nearest, path)


def _other(places: list[_Place], modules: list[_Module], path: str) -> WeightError:
    """The error with both lists, without what they have in common."""
    wanted = Counter(place.signature for place in places)
    there = Counter(module.signature for module in modules)
    layers = [
        f"{place.layer.name} {_shapes(place.signature)}"
        for place in places
        if wanted[place.signature] != there[place.signature]
    ]
    left = [
        f"{module.name} {_shapes(module.signature)}"
        for module in modules
        if wanted[module.signature] != there[module.signature]
    ]
    return WeightError(
        f"the modules of {path} are not the layers of the architecture",
        context=f"layers: {_list(layers)}; modules: {_list(left)}",
        hint="ifco inspect shows the checkpoint; the architecture must have the same sizes, in "
        "PyTorch's order",
        code="other-modules",
    )


def _shapes(signature: Signature) -> str:
    return " ".join(f"{name} {shape}" for name, shape in signature)


def _list(lines: list[str]) -> str:
    shown = ", ".join(lines[:SHOWN]) or "none"
    return shown + (", ..." if len(lines) > SHOWN else "")


def _pairs(places: list[_Place], modules: list[_Module]) -> Iterator[tuple[_Place, _Module]]:
    """Each layer with its module: by name where all that are alike have it, or in order."""
    for signature in dict.fromkeys(place.signature for place in places):
        layers = [one for one in places if one.signature == signature]
        alike = [one for one in modules if one.signature == signature]
        by_name = {_plain_name(one.own): one for one in alike}
        names = [_plain_name(one.layer.name) for one in layers]
        if len(by_name) == len(alike) and set(by_name) == set(names):
            yield from ((one, by_name[name]) for one, name in zip(layers, names, strict=True))
        else:
            yield from zip(layers, alike, strict=True)


def _plain_name(name: str) -> str:
    return name.replace(".", "_").replace("/", "_")


def _weights(place: _Place, module: _Module) -> Iterator[tuple[str, Weight]]:
    """The weights of a layer, by their names there."""
    if module.directions:
        prefix = next(iter(place.wanted.values()))[0].partition("forward.")[0]
        for part, direction in zip(("forward", "backward"), module.directions, strict=False):
            yield f"{prefix}{part}.kernel", direction.kernel
            yield f"{prefix}{part}.recurrent_kernel", direction.recurrent_kernel
            if direction.bias is not None:
                yield f"{prefix}{part}.bias", direction.bias
        return
    for tensor, (name, _, form) in place.wanted.items():
        stored = module.tensors[tensor]
        if not is_float(stored.dtype):
            raise WeightError(
                f"tensor {named(stored.name)} does not hold floating point numbers",
                context=f"dtype {stored.dtype}",
                hint="save the checkpoint with weights that are not quantised",
                code="dtype",
            )
        yield name, Weight(place.layer.weights[name].shape, (stored,), form)
