"""The smallest plan that still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from scripts.random_models.plan import Node, Plan, node_of


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Take away whatever can be, as long as it fails.

    Args:
        plan: One that fails.
        fails: Whether a smaller one does; one that Keras does not build does not.
    """
    while True:
        smaller = next((one for one in candidates(plan) if fails(one)), None)
        if smaller is None:
            return plan
        plan = smaller


def candidates(plan: Plan) -> Iterator[Plan]:
    """Plans that are smaller by one thing, the greatest first."""
    for node in plan.nodes:
        if node.kind != "Input" and plan.outputs != (node.name,):
            yield _only_needed(replace(plan, outputs=(node.name,)))
    for output in plan.outputs:
        if len(plan.outputs) > 1:
            others = tuple(one for one in plan.outputs if one != output)
            yield _only_needed(replace(plan, outputs=others))
    for node in plan.nodes:
        if len(node.inputs) and node.kind != "Plan":
            yield _only_needed(_bypassed(plan, node))
    if plan.calls > 1:
        yield replace(plan, calls=1)
    for k, node in enumerate(plan.nodes):
        for simpler in _simpler(node):
            yield _only_needed(
                replace(plan, nodes=(*plan.nodes[:k], simpler, *plan.nodes[k + 1 :]))
            )


def _simpler(node: Node) -> Iterator[Node]:
    """Without a mask, states or an argument that Keras has a default for."""
    if node.mask:
        yield replace(node, mask=None)
    if node.states:
        yield replace(node, states=())
    if node.kind == "Input":
        return
    for name in node.config:
        yield replace(node, config={key: node.config[key] for key in node.config if key != name})
    for name, value in node.config.items():
        if isinstance(value, dict):
            for key in value["config"]:
                inside = {one: value["config"][one] for one in value["config"] if one != key}
                layer = {**value, "config": inside}
                yield replace(node, config={**node.config, name: layer})


def _bypassed(plan: Plan, gone: Node) -> Plan:
    """Its input in the place of each of its outputs."""

    def instead(value: str) -> str:
        return gone.inputs[0] if node_of(value) == gone.name else value

    nodes = [
        replace(
            node,
            inputs=tuple(map(instead, node.inputs)),
            states=tuple(map(instead, node.states)),
            mask=node.mask and instead(node.mask),
        )
        for node in plan.nodes
        if node is not gone and node.shares != gone.name
    ]
    outputs = tuple(dict.fromkeys(map(instead, plan.outputs)))
    return replace(plan, nodes=tuple(nodes), outputs=outputs)


def _only_needed(plan: Plan) -> Plan:
    """Without the nodes that no output needs."""
    needed = {node_of(value) for value in plan.outputs}
    for node in reversed(plan.nodes):
        if node.name in needed:
            needed.update(node.needs)
    return replace(plan, nodes=tuple(node for node in plan.nodes if node.name in needed))
