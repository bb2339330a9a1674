"""The reader's column of the grid: a function a Keras class, by its name in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from converter.description import Layer, Shape
from converter.errors import FormatError, UnsupportedError
from converter.readers.keras.cells import stacked_inside
from converter.readers.keras.chain import Chain, TwoChains
from converter.readers.keras.config import PREFIX, Config
from converter.readers.keras.custom import description_of, unknown
from converter.readers.keras.era import Writer
from converter.readers.keras.nodes import refusal
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown

Builder = Callable[[Config, tuple[Shape, ...], Weights, Writer], Layer | Chain | TwoChains]
"""From a checked config, the shapes of the inputs, and the weights, to a layer or to several."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a class is read.

    Attributes:
        build: Its builder.
        several: It takes more than one input.
        none: It takes no input.
    """

    build: Builder
    several: bool
    none: bool


_ENTRIES: dict[str, Entry] = {}
KINDS: Mapping[str, Entry] = _ENTRIES


def reads(*kinds: str, several: bool = False, none: bool = False) -> Callable[[Builder], Builder]:
    """Make the decorated function the builder of these classes.

    Args:
        kinds: Keras's names: that of the class, and older ones.
        several: The layer takes more than one input.
        none: It takes no input.

    Raises:
        ValueError: One of them already has a builder.
    """

    def add(builder: Builder) -> Builder:
        for kind in kinds:
            if kind in _ENTRIES:
                raise ValueError(f"{kind} already has a builder")
            _ENTRIES[kind] = Entry(builder, several, none)
        return builder

    return add


def build(
    config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer
) -> Layer | Chain | TwoChains:
    """The layer of a config; every key of it is known.

    Raises:
        UnsupportedError: Its class or one of its settings is not read.
        FormatError: Its config is not as Keras writes it.
    """
    entry = KINDS.get(config.kind)
    if entry is None and description_of(config.kind) is not None:
        raise UnsupportedError(
            f"{config.where} is described by layers where one must stand",
            context=f"{shown(config.kind)} in a TimeDistributed",
            hint="use the layers that it is described by, each in a TimeDistributed",
            code="custom-inside",
        )
    if entry is None and config.kind.startswith(PREFIX):
        raise refusal(config.where, f"keras.ops: {config.kind.removeprefix(PREFIX)}")
    if entry is None:
        raise unknown(config.where, shown(config.kind), config.kind)
    if bool(inputs) == entry.none or (len(inputs) > 1 and not entry.several):
        raise FormatError(
            f"{config.where} is called with a wrong number of inputs",
            context=f"{len(inputs)}; expected 1",
            hint="the file may be damaged; save the model again",
            code="graph",
        )
    layer = entry.build(config, inputs, weights, writer)
    config.done()
    return layer


def build_one(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    """As `build`, for a place that takes one layer.

    Raises:
        UnsupportedError: It stands for several.
    """
    built = build(config, inputs, weights, writer)
    if isinstance(built, Chain | TwoChains):
        raise stacked_inside(config.where)
    return built


def keeps_states(config: Config, x: Shape, time_axis: int = 1) -> bool:
    """Whether a layer is stateful.

    Args:
        config: Of the layer, or of one of its directions.
        x: The shape of the sequence.
        time_axis: Of `x`.

    Raises:
        UnsupportedError: It is, and nothing says how large its states are.
    """
    stateful = config.boolean("stateful", default=False)
    if stateful and None in (*x[:time_axis], *x[time_axis + 1 :]):
        raise UnsupportedError(
            f"{config.where} keeps its states, and nothing says of how many sequences",
            context=f"stateful=True and an input of shape {x}",
            hint="build the model with a fixed batch: batch_shape=(1, None, ...)",
            code="stateful",
        )
    return stateful


def known_size(config: Config, shape: Shape, axis: int) -> int:
    """The size of an axis, which the shape of a weight depends on.

    Raises:
        FormatError: There is no such axis, or its length is free.
    """
    size = shape[axis] if -len(shape) <= axis < len(shape) else None
    if size is None:
        raise FormatError(
            f"{config.where} cannot say the shape of its weights",
            context=f"an input of shape {shape}; axis {axis} must have a size",
            hint="build the model with the size of its features and save it again",
            code="free-axis",
        )
    return size
