"""The Keras column of the grid: `emit[layer](layer, around)` gives one layer as Keras has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from converter.description import Call, Layer, Weight
from converter.description.model import Shape
from converter.dtypes import HALVES
from converter.errors import UnsupportedError
from converter.gates import AS_IS, Form
from converter.registry import Registry


class Dialect(Enum):
    """Who is to read it: their configs differ in form, and some words in meaning.

    KERAS_3 is read by Keras 3 alone. LEGACY is what Keras 2 wrote into `.h5`; tf_keras and Keras 3
    both read it, so it says only what both understand alike.
    """

    KERAS_3 = "Keras 3"
    LEGACY = "legacy .h5"


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a Keras layer, in the order in which Keras makes them.

    Attributes:
        name: Keras's: "kernel".
        weight: Of the description.
        form: How Keras stores it.
        both_biases: Its form has a second array, which is kept where Keras does not look.
    """

    name: str
    weight: Weight
    form: Form = AS_IS
    both_biases: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A Keras layer, or what is inside one.

    Attributes:
        kind: Its class.
        config: Without name, trainable and dtype.
        variables: Its own.
        call: The arguments that are true when it is called: "use_causal_mask".
        operation: The module of keras.src.ops that it is from; "" for a layer.
        operands: Of an operation that takes more than tensors: each argument, and None in the place
            of each tensor.
        listed: An operation takes its tensors as a list.
        parts: What holds more of them, by the attribute's name: "cell", "forward_layer", "layer".
    """

    kind: str
    config: dict[str, Any] = field(default_factory=dict)
    variables: tuple[Variable, ...] = ()
    parts: tuple[tuple[str, Part], ...] = ()
    call: tuple[str, ...] = ()
    operation: str = ""
    operands: tuple[Any, ...] = ()
    listed: bool = False

    def placed(self) -> Iterator[tuple[tuple[str, ...], int, Variable]]:
        """Every variable, the attributes that lead to it, and its number there."""
        for number, variable in enumerate(self.variables):
            yield (), number, variable
        for name, part in self.parts:
            for inside, number, variable in part.placed():
                yield (name, *inside), number, variable


@dataclass(frozen=True, slots=True)
class Around:
    """What a layer's handler may ask about its place.

    Attributes:
        call: The first call of the layer.
    """

    dialect: Dialect
    call: Call

    @property
    def shape(self) -> Shape:
        """Of the first input."""
        return self.call.inputs[0].shape


emit: Registry[Callable[[Any, Around], Part]] = Registry("form in Keras")


def serialized(
    part: Part,
    name: str,
    dialect: Dialect,
    *,
    trainable: bool = True,
    policy: str = "float32",
    inside: bool = False,
) -> dict[str, Any]:
    """A layer as a config holds it.

    Args:
        part: What it is.
        name: Of the layer.
        dialect: Who is to read it.
        trainable: Whether it is not frozen.
        policy: In which dtypes it computes and keeps its weights.
        inside: It is in the config of another layer, where Keras 3 always wants to know its module.
    """
    if part.operation:
        return {
            "module": f"keras.src.ops.{part.operation}",
            "class_name": part.kind,
            "config": {"name": name, **part.config},
            "registered_name": part.kind,
        }
    config: dict[str, Any] = {"name": name, "trainable": trainable, "dtype": policy}
    if part.kind.startswith(("SpatialDropout", "Discretization")):  # they take no such argument
        del config["trainable"]
    config |= part.config
    if dialect is Dialect.LEGACY and not inside:
        return {"class_name": part.kind, "config": config}
    return {
        "module": "keras.layers",
        "class_name": part.kind,
        "config": config,
        "registered_name": None,
    }


def operation(
    layer: Layer,
    around: Around,
    kind: str,
    config: dict[str, Any] | None = None,
    *,
    module: str = "numpy",
    **more: Any,
) -> Part:
    """One of keras.ops.

    Args:
        layer: Of the description.
        around: Its place.
        kind: The class of the operation.
        config: Its settings.
        module: Of keras.src.ops.
        more: Other fields of the part.

    Raises:
        UnsupportedError: The file is one of Keras 2 as well, which has no such operations.
    """
    if around.dialect is Dialect.LEGACY:
        raise refusal(
            layer,
            f"keras.ops: {kind}; .h5 holds layers alone",
            "--to keras writes a file for Keras 3 alone",
            "legacy-operation",
        )
    return Part(kind=kind, config=config or {}, operation=module, **more)


def initial(layer: Layer) -> dict[str, str]:
    """How a recurrent layer draws the weights that are loaded then.

    By default, orthogonal matrices, which no backend draws in half precision.
    """
    half = layer.variable_dtype in HALVES
    return {"recurrent_initializer": "glorot_uniform"} if half else {}


def refusal(layer: Layer, found: str, hint: str, code: str) -> UnsupportedError:
    """The error for what a Keras file cannot say."""
    return UnsupportedError(
        f"layer '{layer.name}' cannot be written for Keras", context=found, hint=hint, code=code
    )


def data_format(channels_first: bool) -> str:
    """Keras's word for where the channels are."""
    return "channels_first" if channels_first else "channels_last"
