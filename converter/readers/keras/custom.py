"""Classes that are not Keras's own: a table of descriptions, filled by `register`.

A package that is installed may describe its classes: its entry points of the group
`converter.layers` are imported when a file names a class that nobody has described yet. Which
those are, no file says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from converter.description import Value
from converter.errors import ConverterError, UnsupportedError, UsageError
from converter.readers.strict import named

GROUP = "converter.layers"

Describe = Callable[..., Value | Sequence[Value]]
"""From a `CustomLayer` and the values that go into it to those that come out."""


@dataclass(frozen=True, slots=True)
class Description:
    """How a class is described.

    Attributes:
        function: The description.
        masks: Masks go into the class and through it.
    """

    function: Describe
    masks: bool


_DESCRIPTIONS: dict[str, Description] = {}
_LOADED: set[tuple[str, str, str]] = set()


def register(*names: str, masks: bool = False) -> Callable[[Describe], Describe]:
    """Make the decorated function the description of a Keras class that is not Keras's own.

    The function is called with a `CustomLayer` and a `Value` for each input of the layer, and gives
    the output, or several. It does with `layer.keras(...)` what the `call` of the class does with
    Keras's layers.

    Args:
        names: What files call the class: "Package>Name" where it was registered with Keras, else
            its own name.
        masks: The class sets `supports_masking` and leaves `compute_mask` as it is. Without it a
            masked input is refused.

    Raises:
        UsageError: A name is one of Keras's own classes, or is already described.

    Example:
        >>> @register("examples>Residual")
        ... def residual(layer, x):
        ...     y = layer.keras("LSTM", x, part="lstm", units=4, return_sequences=True)
        ...     return layer.keras("Add", x, y)
    """

    def add(function: Describe) -> Describe:
        for name in names:
            if is_keras_own(name):
                raise UsageError(
                    f"{named(name)} is a class of Keras's own",
                    context="a description that would stand in its place",
                    hint='register the class in Keras, and describe it as "Package>Name"',
                    code="own-layer",
                )
            if name in _DESCRIPTIONS:
                other = _DESCRIPTIONS[name].function
                raise UsageError(
                    f"{named(name)} is already described",
                    context=f"by {other.__module__}.{getattr(other, '__qualname__', other)}",
                    hint="describe each class once; uninstall one of two packages that do",
                    code="described-twice",
                )
        _DESCRIPTIONS.update(dict.fromkeys(names, Description(function, masks)))
        return function

    return add


def is_keras_own(name: str) -> bool:
    """Whether a class of that name is known without a description."""
    from converter.readers.keras import assembly  # noqa: F401  it knows every family
    from converter.readers.keras.architecture import MODELS
    from converter.readers.keras.cells import KINDS as CELLS
    from converter.readers.keras.config import POLICIES
    from converter.readers.keras.layers import KINDS
    from converter.readers.keras.origins import MASK_OPERATIONS
    from converter.readers.keras.refused import CLASSES

    return any(
        name in known
        for known in (KINDS, CLASSES, MODELS, CELLS, POLICIES, MASK_OPERATIONS, OTHERS)
    )


OTHERS = ("InputLayer", "function")
"""What is known beside the layers."""


def description_of(name: str) -> Description | None:
    """The description of a class that is not Keras's own; None if there is none.

    Raises:
        UsageError: An entry point does not load.
    """
    if name not in _DESCRIPTIONS:
        for entry in entry_points(group=GROUP):
            _load(entry)
    return _DESCRIPTIONS.get(name)


def _load(entry: EntryPoint) -> None:
    """Import what an entry point names, if that was not done before."""
    package = entry.dist.name if entry.dist else ""
    key = (package, entry.name, entry.value)
    if key in _LOADED:
        return
    try:
        entry.load()
    except ConverterError:
        raise
    except Exception as error:  # whatever the import of somebody's package raises
        raise UsageError(
            f"the layers of the package {package or entry.name} do not load",
            context=f"{entry.name} = {entry.value}: {type(error).__name__}: {error}",
            hint=f"repair it, or pip uninstall {package or entry.name}",
            code="entry-point",
        ) from error
    _LOADED.add(key)


def unknown(what: str, found: str, name: str = "") -> UnsupportedError:
    """The error for a class that nobody has described.

    Args:
        what: The layer and the file.
        found: What the file says of the class.
        name: By which it could be described; "" where it could not.
    """
    return UnsupportedError(
        f"{what} is of a class that is not known",
        context=found,
        hint=f"describe it: converter.register({named(name)}), see docs/custom-layers.md"
        if name
        else "replace it by layers of Keras itself; code of other classes is never run",
        code="unknown-layer",
    )


def settings_of(values: dict[str, Any]) -> dict[str, Any]:
    """Settings as a config has them: lists for tuples."""
    return {key: list(one) if isinstance(one, tuple) else one for key, one in values.items()}
