"""A config as a graph: layers that are built once, and their calls in the order of computation.

A model in a model is opened: its layers are called "outer/inner", and once more for each call of
the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from converter.description import (
    Call,
    ConvLSTM,
    Elementwise,
    Era,
    ExpandDims,
    Function,
    Layer,
    Model,
    Recurrent,
    Shape,
    ShapeMismatchError,
    Source,
    TimeDistributed,
    Value,
)
from converter.description.indexing import moves_batch
from converter.errors import FormatError, UnsupportedError
from converter.readers.keras.architecture import LayerPart, ModelPart
from converter.readers.keras.attended import forgets
from converter.readers.keras.calls import Arguments, Reference
from converter.readers.keras.chain import Calls, Chain, TwoChains, apart
from converter.readers.keras.config import Config
from converter.readers.keras.custom import description_of
from converter.readers.keras.described import Built, Described
from converter.readers.keras.era import Writer
from converter.readers.keras.execution import Node
from converter.readers.keras.inputs import input_value, named_input
from converter.readers.keras.layers import KINDS, build, build_one
from converter.readers.keras.masked import JOINING, check_unrolled, makes_mask, zeroes_turned
from converter.readers.keras.masked import refusal as mask_refusal
from converter.readers.keras.masks import Masks, Stated
from converter.readers.keras.nodes import CONSTANT, refusal
from converter.readers.keras.numbering import INPUT, first_calls
from converter.readers.keras.ordering import (
    in_order_of_keras,
    needed,
    node_of,
    ordered,
    output_of,
    refuse,
)
from converter.readers.keras.origins import turned_round
from converter.readers.keras.policies import dtype_of, typed
from converter.readers.keras.weights import Give, Weights
from converter.readers.strict import named

MAX_CALLS = 100_000
"""A model that calls a model twice that calls a model twice, thirty levels deep, has a billion."""


def wire(model: ModelPart, writer: Writer, give: Give) -> Model:
    """The model, its weights as `give` gives them.

    Raises:
        FormatError: The config is no graph, or not one that Keras could have built.
        UnsupportedError: It has something that is not read.
    """
    graph = _Graph(writer, give)
    inputs = graph.inputs(model)
    outputs = graph.outputs(model, inputs)
    whole = Model(
        name=model.name,
        inputs=tuple(inputs),
        calls=tuple(graph.calls),
        outputs=tuple(outputs),
        source=Source(era=writer.era, version=writer.version),
    )
    return whole.until(*outputs)  # an output of an inner model that nobody uses


class _Graph:
    def __init__(self, writer: Writer, give: Give) -> None:
        self.calls: list[Call] = []
        self._writer = writer
        self._give = give
        self._layers: dict[LayerPart, Built] = {}
        self._times: Counter[LayerPart] = Counter()
        self._names: set[str] = set()
        self._masks = Masks(writer, self._call_mask)
        self._opened = 0

    def inputs(self, model: ModelPart) -> list[Value]:
        """The inputs of the whole model."""
        if model.sequential:
            found = [named_input(model, keras_3=self._writer.keras_3)]
        else:
            layers = {layer.name: layer for layer in model.layers}
            found = [
                input_value(self._input_layer(model, layers, reference))
                for reference in model.inputs
            ]
        for value in found:
            self._claim(value.name, model)
        self._masks.seen(found)
        return found

    def outputs(self, model: ModelPart, inputs: Sequence[Value]) -> list[Value]:
        """The outputs of one call of a model; the calls of its layers are added."""
        self._opened += 1
        if self._opened + len(self.calls) > MAX_CALLS:
            refuse(model, f"over {MAX_CALLS} calls of layers")
        if model.sequential:
            return self._in_sequence(model, inputs)
        return self._in_graph(model, inputs)

    def _in_sequence(self, model: ModelPart, inputs: Sequence[Value]) -> list[Value]:
        values = list(inputs)
        for layer in model.layers:
            if len(values) != 1:
                refuse(model, f"{len(values)} tensors before {named(layer.name)}; expected 1")
            if layer.kind != INPUT:
                values = list(self._call(layer, values))
            elif layer is not model.layers[0]:
                refuse(model, f"the input {named(layer.name)} behind other layers")
        return values

    def _in_graph(self, model: ModelPart, inputs: Sequence[Value]) -> list[Value]:
        layers = {layer.name: layer for layer in (*model.constants, *model.layers)}
        if len(inputs) != len(model.inputs):
            refuse(model, f"{len(inputs)} inputs; expected {len(model.inputs)}")
        values: dict[Node, Sequence[Value]] = {}
        for reference, value in zip(model.inputs, inputs, strict=True):
            values[self._input_layer(model, layers, reference).name, 0] = (value,)
        first = first_calls(model)

        def value_of(reference: Reference) -> Value:
            node = node_of(model, layers, reference, first[0])
            return output_of(model, values[node], reference.output)

        needs: dict[Node, list[Node]] = {}
        for layer in layers.values():
            for number, arguments in enumerate(layer.calls):
                needs[layer.name, number] = [
                    node_of(model, layers, reference, first[0])
                    for reference in needed(model, arguments)
                ]
        order = ordered(model, needs, values)
        if any(forgets(layer.kind, self._writer) for layer in model.layers):
            order = in_order_of_keras(model, layers, order, first)
        for node in order:
            layer = layers[node[0]]
            arguments = layer.calls[node[1]]
            self._check_keys(layer, arguments)
            given = [value_of(reference) for reference in arguments.inputs]
            stated = tuple(
                None if mask is None else self._masks.stated(model.mask_operations, mask, value_of)
                for mask in arguments.masks
            )
            values[node] = self._call(layer, given, stated)
        found = []
        for reference in model.outputs:
            node = node_of(model, layers, reference, first[1])
            if node not in values:
                refuse(model, f"the output {named(node[0])} that is connected to no input")
            found.append(output_of(model, values[node], reference.output))
        return found

    def _call(
        self, part: LayerPart, inputs: Sequence[Value], stated: Stated = ()
    ) -> Sequence[Value]:
        """The outputs of a layer, or of a whole model, for these inputs and the stated masks."""
        if part.model is not None:
            self._masks.entered(part.where, inputs, stated)
            found = self.outputs(part.model, inputs)
            if part.model.each_step:
                self._masks.left_steps(part.where, inputs, found)
            return found
        layer = self._layers.get(part)
        if layer is not None and not inputs and part.kind != CONSTANT:
            refuse(part.owner, f"{named(part.name)} called once more, with nothing")
        time = self._times[part]
        self._times[part] += 1
        try:
            if layer is None:
                shapes = tuple(value.shape for value in inputs)
                weights = Weights(self._give, part)
                built = self._built(part, part.view(), shapes, weights)
                layer = self._layers[part] = typed(built, part, inputs, self._writer)
            return self._call_built(part, layer, inputs, time, stated)
        except ShapeMismatchError as error:
            raise FormatError(
                f"{part.where} cannot take its input",
                context=str(error),
                hint="the file may be damaged; save the model again",
                code="graph-shape",
            ) from error

    def _call_built(
        self, part: LayerPart, layer: Built, inputs: Sequence[Value], time: int, stated: Stated
    ) -> Sequence[Value]:
        """The outputs of what was built."""
        match layer:
            case Recurrent() if zeroes_turned(part.config, layer):
                masked = self._masks.of_steps(inputs, stated) is not None
                if masked and time:
                    raise mask_refusal(part.where, "unroll=True, and a call without a mask before")
                if masked or len(part.calls) > 1:  # the same layers for each
                    chain = self._layers[part] = apart(layer)
                    return self._call_chain(part, chain, inputs, time, stated)
            case Chain() | TwoChains():
                return self._call_chain(part, layer, inputs, time, stated)
            case Described():
                return self._call_described(part, layer, inputs, stated)
        return self._call_layer(part, layer, inputs, time, stated)

    def _call_described(
        self,
        part: LayerPart,
        described: Described,
        inputs: Sequence[Value],
        stated: Stated,
    ) -> Sequence[Value]:
        """The outputs of a layer of a registered class."""
        masks = described.description.masks
        self._masks.entered_class(part.where, inputs, stated, masks=masks)

        def call(inner: LayerPart, layer: Built, given: Sequence[Value]) -> Sequence[Value]:
            time = self._times[inner]
            self._times[inner] += 1
            return self._call_built(inner, layer, given, time, ())

        outputs = described.called(inputs, call)
        self._masks.left_class(inputs, outputs, masks=masks)
        return outputs

    def _call_chain(
        self,
        part: LayerPart,
        chain: Chain | TwoChains,
        inputs: Sequence[Value],
        time: int,
        stated: Stated,
    ) -> Sequence[Value]:
        """Each layer of it; a mask is in the order of time, which what is between may not be."""
        mask = self._masks.of_steps(inputs, stated)

        def steps(layer: Recurrent, given: Sequence[Value], turned: bool) -> Sequence[Value]:
            own = mask
            if turned and isinstance(mask, tuple):
                own = turned_round(mask, 0 if layer.time_major else 1)
            return self._call_layer(part, layer, given, time, (own,))

        def zeroed(layer: Recurrent, x: Value) -> Value:
            known = self._masks.value(mask, part.where, layer)
            if known is None:
                return x
            counts = ExpandDims(name=f"{layer.name}/counts", axes=(2,))
            zeros = Elementwise(
                name=f"{layer.name}/zeroed", function=Function.WHERE, operands=(None, None, 0)
            )
            wide = self._call_plain(part, counts, [known], time, "bool")
            return self._call_plain(part, zeros, [wide, x], time, x.dtype)

        def plain(layer: Layer, given: Sequence[Value]) -> Value:
            return self._call_plain(part, layer, given, time, given[0].dtype)

        outputs = chain.called(inputs, Calls(steps, zeroed, plain))
        self._masks.left_chain(part.kind, chain.last, inputs, outputs[: chain.returned], stated)
        return outputs

    def _call_plain(
        self, part: LayerPart, layer: Layer, inputs: Sequence[Value], time: int, dtype: str
    ) -> Value:
        """A layer that is around the layers of a chain; it has no mask of its own."""
        (shape,) = layer.output_shapes(tuple(value.shape for value in inputs))
        value = Value(layer.name + (f"@{time}" if time else ""), shape, dtype)
        self._claim(value.name, part.owner)
        self._masks.seen([value])
        self.calls.append(Call(layer, tuple(inputs), (value,)))
        return value

    def _call_layer(
        self,
        part: LayerPart,
        layer: Layer,
        inputs: Sequence[Value],
        time: int,
        stated: Stated,
    ) -> Sequence[Value]:
        outputs = layer.output_shapes(tuple(value.shape for value in inputs))
        dtype = dtype_of(part, layer, inputs, self._writer)
        values = tuple(
            Value(layer.name + (f":{k}" if k else "") + (f"@{time}" if time else ""), shape, dtype)
            for k, shape in enumerate(outputs)
        )
        for value in values:
            self._claim(value.name, part.owner)
        self._masks.seen(values)
        self._check_states(part, layer, inputs)
        used = self._masks.used(part.kind, part.where, layer, inputs, stated)
        if makes_mask(layer):
            given, mask = values[0], replace(values[1], dtype="bool")
            self.calls.append(Call(layer, tuple(inputs), (given, mask)))
            self._masks.make(part.kind, layer, inputs[0], given, mask)
            return (given,)
        self._masks.passed(part.kind, layer, inputs, values, stated)
        if used and used[0] is not None:
            check_unrolled(part.where, part.config, layer, used[0])
        self.calls.append(Call(layer, tuple(inputs), values, used))
        return values

    def _check_states(self, part: LayerPart, layer: Layer, inputs: Sequence[Value]) -> None:
        """Refuse states that are kept and given, which tf.keras takes only where all are zeros."""
        kept = isinstance(layer, ConvLSTM | Recurrent) and layer.stateful
        if kept and len(inputs) > 1 and self._writer.era is Era.TF_KERAS:
            raise UnsupportedError(
                f"{part.where} keeps its states, and is given initial ones",
                context="stateful=True and initial_state",
                hint="save the model without initial_state, or with stateful=False",
                code="stateful",
            )

    def _call_mask(self, layer: Layer, inputs: Sequence[Value]) -> Value:
        """A mask that a layer of the description's own makes."""
        (shape,) = layer.output_shapes(tuple(value.shape for value in inputs))
        mask = Value(layer.name, shape, "bool")
        self._masks.seen([mask])
        self.calls.append(Call(layer, tuple(inputs), (mask,)))
        return mask

    def _built(
        self, part: LayerPart, config: Config, shapes: tuple[Shape, ...], weights: Weights
    ) -> Built:
        steps = part.owner.steps
        description = None if config.kind in KINDS else description_of(config.kind)
        if description is not None and not steps:
            config.float32()
            config.boolean("autocast", default=True)  # each layer in it casts what it takes
            return Described(part, config, description, weights, self._built)
        if not steps:
            return build(config, shapes, weights, self._writer)
        if len(shapes) > 1 and config.kind not in JOINING:
            raise UnsupportedError(
                f"{part.where} takes several tensors within each step, which is not read yet",
                context=f"{part.kind} in a model in a TimeDistributed",
                hint="apply the layers one by one, each in a TimeDistributed",
                code="time-distributed-model",
            )
        for shape in shapes:
            if len(shape) < 2 + steps:
                raise ShapeMismatchError(f"an input of rank {len(shape)}; expected {2 + steps}")
        config.name += "/layer" * steps
        inside = tuple((None, *shape[1 + steps :]) for shape in shapes)
        layer = build_one(config, inside, weights, self._writer)
        if moves_batch(layer, len(shapes[0]) - steps):
            raise refusal(part.where, "one that moves the batch, in a TimeDistributed")
        for _ in range(steps):
            name = layer.name.removesuffix("/layer")
            layer = TimeDistributed(
                name=name,
                trainable=layer.trainable,
                dtype=layer.dtype,
                variable_dtype=layer.variable_dtype,
                autocast=layer.autocast,
                layer=layer,
            )
        return layer

    def _claim(self, name: str, model: ModelPart) -> None:
        """Refuse two tensors of one name: "a/b" in a model, and b in a model a."""
        if name in self._names:
            raise FormatError(
                f"{model.where} has two layers of one name",
                context=named(name),
                hint="give the layers other names and save the model again",
                code="duplicate-layer",
            )
        self._names.add(name)

    def _input_layer(
        self, model: ModelPart, layers: dict[str, LayerPart], reference: Reference
    ) -> LayerPart:
        layer = layers.get(reference.layer)
        if layer is None or layer.kind != INPUT or reference.output:
            refuse(model, f"the input {named(reference.layer)}, which is no InputLayer")
        return layer

    def _check_keys(self, layer: LayerPart, arguments: Arguments) -> None:
        """Refuse a dictionary of inputs, but for a model that has the same one."""
        expected = None if layer.model is None else layer.model.input_keys
        if arguments.keys not in (None, expected):
            raise UnsupportedError(
                f"{layer.where} is called with a dictionary, which is not read",
                context=f"keys {', '.join(named(key) for key in arguments.keys)}",
                hint="call it with a list of tensors",
                code="call-argument",
            )
