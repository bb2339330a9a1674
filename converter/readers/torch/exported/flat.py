"""A module as one that takes and gives tensors alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from converter.errors import UsageError


class Flat(nn.Module):
    """A module of tensors alone: the numbers, tuples and dictionaries around them are decided.

    Attributes:
        names: Of the tensors that go in.
    """

    def __init__(self, module: nn.Module, example_inputs: object) -> None:
        super().__init__()
        self.module = module
        bound = _bound(module, example_inputs)
        leaves, self._spec = pytree.tree_flatten((bound.args, bound.kwargs))
        self._fixed = [None if isinstance(one, torch.Tensor) else one for one in leaves]
        self._places = [k for k, one in enumerate(leaves) if isinstance(one, torch.Tensor)]
        # One tensor that is given twice would be one input.
        self.example = tuple(leaves[k].detach().clone() for k in self._places)
        paths, _ = pytree.tree_flatten_with_path(dict(bound.arguments))
        self.names = [_spelled(path) for path, leaf in paths if isinstance(leaf, torch.Tensor)]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Every tensor that the module gives, in order."""
        leaves = list(self._fixed)
        for place, tensor in zip(self._places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        given = pytree.tree_leaves(self.module(*args, **kwargs))
        return tuple(one for one in given if one is not None)


class Watched(Flat):
    """The same, and what it leaves in its attributes, for its next call.

    torch.export sets them back and says nothing.

    Attributes:
        changed: The attributes that have another tensor after a call.
    """

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Every tensor that the module gives, and those that it keeps."""
        before = dict(_attributes(self.module))
        given = super().forward(*tensors)
        after = {
            name: tensor
            for name, tensor in _attributes(self.module)
            if name in before and before[name] is not tensor
        }
        self.changed = list(after)
        return (*given, *after.values())


def _attributes(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors that are attributes of a module, parameters apart."""
    for path, one in module.named_modules():
        for name, value in {**one.__dict__, **one._buffers}.items():
            if isinstance(value, torch.Tensor):
                yield f"{path}.{name}".lstrip("."), value


def _bound(module: nn.Module, example_inputs: object) -> inspect.BoundArguments:
    """Example inputs as the arguments of forward."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    match example_inputs:
        case dict():
            kwargs = example_inputs
        case tuple() | list():
            args = tuple(example_inputs)
        case _:
            args = (example_inputs,)
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"the example inputs are not what {type(module).__name__}.forward takes",
            context=str(error),
            hint="give a tuple of its arguments, or a dictionary of them by name",
            code="example-inputs",
        ) from error
    if not any(isinstance(one, torch.Tensor) for one in pytree.tree_leaves((args, kwargs))):
        raise UsageError(
            "the example inputs hold no tensor",
            context=", ".join(type(one).__name__ for one in args) or "nothing",
            hint="give what forward is called with: (torch.randn(2, 7, 3),)",
            code="example-inputs",
        )
    return bound


def _spelled(path: Sequence[Any]) -> str:
    """Where a tensor is, as a name: `hx_0` for the first of `hx`."""
    return re.sub(r"\W+", "_", pytree.keystr(tuple(path))).strip("_")
