"""Files of PyTorch, read as data: neither torch nor any code in them is run; modules in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeGuard


class TorchModule(Protocol):
    """A `torch.nn.Module`, as far as it is looked at without torch."""

    def state_dict(self) -> Any:
        """Its parameters and buffers."""

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        """It, and every module in it."""


def is_module(source: object) -> TypeGuard[TorchModule]:
    """Whether it is a `torch.nn.Module`, known by its class: nothing is imported.

    A model of Keras on PyTorch is one too, and is taken for what it says itself.
    """
    classes = [(one.__module__, one.__name__) for one in type(source).__mro__]
    keras = any(module.startswith("keras.") for module, _ in classes)
    return ("torch.nn.modules.module", "Module") in classes and not keras
