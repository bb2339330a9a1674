"""The table of architectures, and how one enters it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Keras modules and their models carry no types that hold for Keras 2 and Keras 3 alike.
Keras = Any
Model = Any

Build = Callable[[Keras], Model]
Finish = Callable[[Keras, Model], None]

KERAS3 = ("keras3",)
KERAS3_AND_215 = ("keras3", "keras215")
KERAS215 = ("keras215",)
ALL_KERAS = ("keras3", "keras215", "tfkeras")
KERAS2 = ("keras215", "tfkeras")

# What Keras 3 saves a model as. The HDF5 file of an option is that of its layer, but for a word
# in the config, so most models are saved as .keras alone.
KERAS = ("keras",)
HDF5 = ("h5",)
BOTH = ("keras", "h5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A model by name, and what its files and its cases need.

    Attributes:
        name: The stem of its files.
        about: What it shows, in a line.
        build: Gives the model, uncompiled and never called, with the Keras it is handed.
        written_by: The Kerases that write it: folders of tests/data.
        formats: The suffixes that Keras 3 saves it with.
        lengths: What a free axis measures in its three cases; the second free axis of one
            input measures one more.
        vocabulary: Integer inputs are below it.
        exact: Whether Keras in float64 is exact to 1e-12, so that its answers are recorded.
            TensorFlow has the slope of leaky_relu and the root in gelu in float32.
        finish: What is done with the model when it has its weights; None for nothing.
        npz: Whether its weights are saved in model.weights.npz.
    """

    name: str
    about: str
    build: Build
    written_by: tuple[str, ...]
    formats: tuple[str, ...]
    lengths: tuple[int, int, int]
    vocabulary: int
    exact: bool
    finish: Finish | None = None
    npz: bool = False


ARCHITECTURES: dict[str, Architecture] = {}


def add(
    name: str,
    build: Build,
    about: str,
    *,
    written_by: tuple[str, ...] = KERAS3,
    formats: tuple[str, ...] = KERAS,
    lengths: tuple[int, int, int] = (1, 2, 7),
    vocabulary: int = 11,
    exact: bool = True,
    finish: Finish | None = None,
    npz: bool = False,
) -> None:
    """Enters one architecture; a name is entered once."""
    if name in ARCHITECTURES:
        raise ValueError(f"two architectures are called {name!r}")
    ARCHITECTURES[name] = Architecture(
        name=name,
        about=about,
        build=build,
        written_by=written_by,
        formats=formats,
        lengths=lengths,
        vocabulary=vocabulary,
        exact=exact,
        finish=finish,
        npz=npz,
    )


def architecture(
    *,
    written_by: tuple[str, ...] = KERAS3,
    formats: tuple[str, ...] = KERAS,
    lengths: tuple[int, int, int] = (1, 2, 7),
    vocabulary: int = 11,
    exact: bool = True,
    finish: Finish | None = None,
    npz: bool = False,
) -> Callable[[Build], Build]:
    """Enters the decorated function under its own name, its docstring as `about`."""

    def enter(build: Build) -> Build:
        add(
            build.__name__,
            build,
            (build.__doc__ or "").strip(),
            written_by=written_by,
            formats=formats,
            lengths=lengths,
            vocabulary=vocabulary,
            exact=exact,
            finish=finish,
            npz=npz,
        )
        return build

    return enter


def chain(
    keras: Keras, shape: tuple[int | None, ...], *layers: Any, dtype: str | None = None
) -> Model:
    """A Sequential from an input of `shape`, without the batch."""
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def fan(keras: Keras, shape: tuple[int | None, ...], *layers: Any) -> Model:
    """A Functional with one input, and an output from each layer."""
    x = keras.Input(shape)
    return keras.Model(x, [layer(x) for layer in layers])


def is_keras2(keras: Keras) -> bool:
    """Whether this is Keras 2, on its own or as tf_keras."""
    return bool(keras.__version__.startswith("2."))
