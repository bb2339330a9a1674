"""A column of the grid: one function a layer type, found by the type of its first argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from converter.errors import UnsupportedError

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Registry(Generic[Handler]):
    """Handlers by layer type.

    Args:
        what: What a handler gives, in words, for the refusal: "a PyTorch module".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._handlers: dict[type, Handler] = {}

    def register(self, kind: type) -> Callable[[Handler], Handler]:
        """Make the decorated function the handler of `kind`.

        Raises:
            ValueError: `kind` already has one.
        """

        def add(handler: Handler) -> Handler:
            if kind in self._handlers:
                raise ValueError(f"{kind.__name__} already has {self.what}")
            self._handlers[kind] = handler
            return handler

        return add

    def __getitem__(self, layer: object) -> Handler:
        """The handler of a layer.

        Raises:
            UnsupportedError: Its type has none.
        """
        handler = self._handlers.get(type(layer))
        if handler is None:
            name = getattr(layer, "name", "?")
            raise UnsupportedError(
                f"layer '{name}' has no {self.what}",
                context=f"{type(layer).__name__}; known: "
                + ", ".join(sorted(kind.__name__ for kind in self._handlers)),
                hint="replace the layer, or register a handler for its type",
                code="unsupported-layer",
            )
        return handler

    def __contains__(self, kind: type) -> bool:
        return kind in self._handlers
