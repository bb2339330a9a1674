"""A model as data, before any framework has built it.

A plan can be written down, built again, and made smaller: a failure is a plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A layer called once; its first output is called `name`, the k-th `name:k`.

    Attributes:
        kind: Keras's class, "Input", or "Plan" for a model inside.
        config: Its arguments; a dict with "kind" and "config" is a layer inside.
        inputs: The values that it is called with.
        states: The values given as `initial_state`.
        mask: The value given as `mask`.
        shares: The earlier node whose layer is called again.
        plan: The model inside.
    """

    name: str
    kind: str
    config: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    mask: str | None = None
    shares: str | None = None
    plan: Plan | None = None

    @property
    def needs(self) -> Iterator[str]:
        """The nodes whose values or layer it uses."""
        for value in (*self.inputs, *self.states, *((self.mask,) if self.mask else ())):
            yield node_of(value)
        if self.shares:
            yield self.shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole model.

    Attributes:
        nodes: In an order in which they can be called.
        outputs: Values.
        sequential: It is a chain, and Keras's Sequential.
        keras: Which one builds it: "keras" or "tf_keras".
        calls: How many batches it is given, one after another.
        seed: Of its weights and its inputs.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    sequential: bool = False
    keras: str = "keras"
    calls: int = 1
    seed: int = 0

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes that are given."""
        return tuple(node for node in self.nodes if node.kind == "Input")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def node_of(value: str) -> str:
    """The node that a value is of.

    >>> node_of("lstm:1"), node_of("lstm")
    ('lstm', 'lstm')
    """
    return value.split(":")[0]


def plan_of(data: dict[str, Any]) -> Plan:
    """The inverse of `Plan.as_dict`."""
    nodes = tuple(
        Node(
            **node
            | {
                "inputs": tuple(node["inputs"]),
                "states": tuple(node["states"]),
                "plan": plan_of(node["plan"]) if node["plan"] else None,
            }
        )
        for node in data["nodes"]
    )
    return Plan(**data | {"nodes": nodes, "outputs": tuple(data["outputs"])})
