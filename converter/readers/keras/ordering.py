"""The calls of a model's config, in an order in which they can be made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NoReturn

from converter.description import Value
from converter.errors import FormatError
from converter.readers.keras.architecture import LayerPart, ModelPart
from converter.readers.keras.calls import Arguments, Reference
from converter.readers.keras.execution import Node, as_listed, executed
from converter.readers.keras.numbering import INPUT
from converter.readers.keras.origins import leaves
from converter.readers.strict import named


def needed(model: ModelPart, arguments: Arguments) -> Iterator[Reference]:
    """The inputs of a call, and what its masks are made of."""
    yield from arguments.inputs
    for mask in arguments.masks:
        if mask is not None:
            yield from leaves(model.mask_operations, mask)


def node_of(
    model: ModelPart, layers: dict[str, LayerPart], reference: Reference, first: dict[str, int]
) -> Node:
    """The call that a reference means."""
    layer = layers.get(reference.layer)
    if layer is None:
        refuse(model, f"the layer {named(reference.layer)}, which is not in the model")
    number = reference.call - first.get(layer.name, 0)
    count = 1 if layer.kind == INPUT else len(layer.calls)
    if not 0 <= number < count:
        refuse(model, f"call {reference.call} of {named(layer.name)}, which has {count}")
    return layer.name, number


def ordered(
    model: ModelPart, needs: dict[Node, list[Node]], values: Collection[Node]
) -> list[Node]:
    """The calls, each after those that it needs, else as the config has them."""
    found = as_listed(needs, values)
    if len(found) < len(needs):
        done = set(found)
        left = next(node for node in needs if node not in done)
        source = next(s for s in needs[left] if s not in values and s not in done)
        if source not in needs:
            refuse(model, f"the input {named(source[0])}, which is not among input_layers")
        refuse(model, f"a cycle through {named(left[0])} and {named(source[0])}")
    return found


def in_order_of_keras(
    model: ModelPart,
    layers: dict[str, LayerPart],
    order: list[Node],
    first: tuple[dict[str, int], dict[str, int]],
) -> list[Node]:
    """The calls as Keras 3 executes them, the operations that make masks among them."""

    def called(reference: Reference) -> Node:
        if reference.layer in model.mask_operations:
            return reference.layer, 0
        return node_of(model, layers, reference, first[0])

    parents = {
        (name, 0): [called(one) for one in operation.inputs]
        for name, operation in model.mask_operations.items()
    }
    for name, number in order:
        arguments = layers[name].calls[number]
        masks = [mask for mask in arguments.masks if mask is not None]
        parents[name, number] = [called(one) for one in (*arguments.inputs, *masks)]
    outputs = [node_of(model, layers, reference, first[1]) for reference in model.outputs]
    known = set(order)
    needed = dict.fromkeys(node for node in executed(outputs, parents) if node in known)
    return [*needed, *(node for node in order if node not in needed)]


def output_of(model: ModelPart, values: Sequence[Value], number: int) -> Value:
    """An output of a call, by its number."""
    if number >= len(values):
        refuse(model, f"output {number} of a layer that has {len(values)}")
    return values[number]


def refuse(model: ModelPart, found: str) -> NoReturn:
    """The error for a config that no Keras wrote."""
    raise FormatError(
        f"{model.where} is no graph that Keras can have built",
        context=found,
        hint="the file may be damaged; save the model again",
        code="graph",
    )
