"""What a model is: layers, the calls of them in order, and the values that flow between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar

from converter.description.weight import Weight, replace_weights, weights_of

Shape = tuple[int | None, ...]
"""Batch first; None where the length is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer with its settings and weights. A layer that is called twice is one object.

    Attributes:
        name: As in the source, unique in the model; layers of a nested model are
            "outer/inner".
        trainable: False where the source has frozen it.
        dtype: In which it computes, and gives what is not whole. Its floating point inputs and its
            weights are cast to it, as `converter.description.casting` says.
        variable_dtype: In which it keeps its weights.
        autocast: False where it takes its inputs as they are.
    """

    HAS_WEIGHTS: ClassVar[bool] = True

    name: str
    trainable: bool = True
    dtype: str = "float32"
    variable_dtype: str = "float32"
    autocast: bool = True

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The shapes of the outputs for inputs of these shapes.

        Raises:
            ShapeMismatchError: No such input is possible.
        """
        raise NotImplementedError(type(self).__name__)

    @property
    def policy(self) -> str:
        """Its two dtypes in Keras's word for them: "mixed_float16"."""
        return self.dtype if self.dtype == self.variable_dtype else f"mixed_{self.dtype}"

    @property
    def casts_weights(self) -> bool:
        """Whether its weights are cast to `dtype`.

        False where it computes in float32 inside, if `dtype` is narrower, and casts its result.
        """
        return True

    @property
    def weights(self) -> dict[str, Weight]:
        """Its weights by name, those of its parts as "forward.kernel"."""
        return dict(weights_of(self))

    @property
    def parameters(self) -> int:
        """The number of trainable and other parameters, as Keras counts them."""
        return sum(weight.size for weight in self.weights.values())


class ShapeMismatchError(ValueError):
    """A layer cannot take inputs of these shapes; the message says why, without a name."""


@dataclass(frozen=True, slots=True)
class Value:
    """What flows along one edge.

    Attributes:
        name: Unique in the model; that of the layer, and ":1" for a second output,
            "@1" for a second call.
        shape: Batch first.
        dtype: "float32", "int32", ...
    """

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Call:
    """A layer applied to values.

    Attributes:
        masks: For each input, which of its steps count, of bool; None where all of them do. ()
            where the layer has no use for masks.
    """

    layer: Layer
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    masks: tuple[Value | None, ...] = ()

    @property
    def mask(self) -> Value | None:
        """That of the first input."""
        return self.masks[0] if self.masks else None

    @property
    def needs(self) -> tuple[Value, ...]:
        """Every value that it reads: the inputs, and the masks."""
        return (*self.inputs, *(mask for mask in self.masks if mask is not None))


class Era(Enum):
    """Which Keras wrote a model, where the same words meant different things."""

    KERAS_1 = "Keras 1"
    KERAS_2 = "multi-backend Keras 2"
    TF_KERAS = "tf.keras"
    KERAS_3 = "Keras 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model came from.

    Attributes:
        path: As it was given; "" for a live object.
        form: "Keras archive (.keras)", "Keras HDF5", ...
        sha256: Of the file, in hexadecimal.
        version: Of the framework that wrote it, as the file says.
        dropped: What the file holds beside the model, and is left out: "optimizer (7 arrays)".
    """

    path: str = ""
    form: str = ""
    sha256: str = ""
    version: str = ""
    era: Era = Era.KERAS_3
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model: a graph in the order in which it is computed.

    Attributes:
        inputs: In the source's order.
        calls: Each after those that it needs.
        outputs: In the source's order.
        axes: For each input the names of its axes, where the source has some: those of one name
            are as long as each other. "" for one that has none.
    """

    name: str
    inputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Value, ...]
    source: Source = Source()
    axes: tuple[tuple[str, ...], ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer once, in the order of their first calls."""
        return tuple({call.layer.name: call.layer for call in self.calls}.values())

    def layer(self, name: str) -> Layer:
        """The layer of that name.

        Raises:
            KeyError: There is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def parameters(self) -> int:
        """The number of parameters, as Keras counts them."""
        return sum(layer.parameters for layer in self.layers)

    def map_weights(self, new: Callable[[Layer, str, Weight], Weight]) -> Model:
        """The same model with `new(layer, name, weight)` in the place of each weight."""

        def renewed(layer: Layer) -> Layer:
            changed: Layer = replace_weights(layer, lambda name, weight: new(layer, name, weight))
            return changed

        layers: dict[str, Layer] = {layer.name: renewed(layer) for layer in self.layers}
        calls = tuple(replace(call, layer=layers[call.layer.name]) for call in self.calls)
        return replace(self, calls=calls)

    def until(self, *outputs: Value) -> Model:
        """The part of the model that computes these values."""
        wanted = {value.name for value in outputs}
        calls: list[Call] = []
        for call in reversed(self.calls):
            if any(value.name in wanted for value in call.outputs):
                wanted.update(value.name for value in call.needs)
                calls.append(call)
        return replace(self, calls=tuple(reversed(calls)), outputs=outputs)


def axis_of(axis: int, rank: int, what: str = "axis") -> int:
    """`axis` counted from the front.

    Raises:
        ShapeMismatchError: A tensor of that rank has no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeMismatchError(f"{what} {axis} of a tensor of rank {rank}")
    return axis % rank


def rank_at_least(shape: Shape, rank: int) -> Shape:
    """`shape`, if it has that many axes.

    Raises:
        ShapeMismatchError: It has fewer.
    """
    if len(shape) < rank:
        raise ShapeMismatchError(f"an input of rank {len(shape)}; expected at least {rank}")
    return shape
