"""Which activation a function of PyTorch is: by its operations, never by its name.

What a function does to its argument is recorded by torch.fx, for it and for each row of
`converter.activations` with the numbers that stand in it. It is the one that does the same.

>>> import torch
>>> str(activation_of(lambda x: (x * 0.2 + 0.5).clamp(0, 1)))
'hard_sigmoid(alpha=0.2, beta=0.5)'
>>> activation_of(torch.erf) is None
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn
from torch.fx import Graph, Node, symbolic_trace

from converter.activations import ACTIVATIONS, Activation

Function = Callable[[Tensor], Tensor]


def activation_of(function: Function) -> Activation | None:
    """The activation, or None where it is none that is known."""
    graph = _graph(function)
    if graph is None:
        return None
    numbers = sorted({one for one in _arguments(graph) if isinstance(one, int | float)})
    said = _said(graph)
    fewest_first = sorted(ACTIVATIONS, key=lambda kind: len(ACTIVATIONS[kind].parameters))
    candidates = (one for kind in fewest_first for one in _candidates(kind, numbers))
    return next((one for one in candidates if _known(one) == said), None)


@cache
def _known(activation: Activation) -> list[Any] | None:
    """What the source of a module does for an activation."""
    graph = _graph(_function(activation))
    return None if graph is None else _said(graph)


def _candidates(kind: str, numbers: list[int | float]) -> Iterator[Activation]:
    """The activation with its defaults, then with each of the numbers for each parameter."""
    defaults = ACTIVATIONS[kind].parameters
    yield Activation.of(kind)
    for values in product(*([default, *numbers] for default in defaults.values())):
        given = dict(zip(defaults, values, strict=True))
        if given != dict(defaults):
            yield Activation.of(kind, **given)


def _function(activation: Activation) -> Function:
    """The activation as the source of a module has it."""
    text = activation.torch.replace("{x}", "x")
    made: Function = eval(f"lambda x: {text}", {"torch": torch, "F": F})  # our own table's text
    return made


class _Calls(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _graph(function: Function) -> Graph | None:
    """What it does; None where that depends on the numbers."""
    try:
        return symbolic_trace(_Calls(function)).graph
    except Exception:  # whatever somebody's function does with a proxy
        return None


def _said(graph: Graph) -> list[Any]:
    """Its operations in order, each with where its arguments come from."""
    order = {node: k for k, node in enumerate(graph.nodes)}

    def argument(value: Any) -> Any:
        if isinstance(value, Node):
            return ("node", order[value])
        if isinstance(value, tuple | list):
            return tuple(argument(one) for one in value)
        return value

    return [
        (
            node.op,
            node.target if node.op not in ("placeholder", "output") else "",
            argument(node.args),
            {name: argument(one) for name, one in node.kwargs.items()},
        )
        for node in graph.nodes
    ]


def _arguments(graph: Graph) -> Iterator[Any]:
    for node in graph.nodes:
        for value in (*node.args, *node.kwargs.values()):
            yield from value if isinstance(value, tuple | list) else (value,)
