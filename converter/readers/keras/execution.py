"""The order of the calls of a Functional model: as its config lists them, or as Keras 3 runs them.

Which of the two matters only where a layer does something to its inputs: MultiHeadAttention takes
their masks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import heapify, heappop, heappush

Node = tuple[str, int]
"""A layer or an operation by its name, and which of its calls."""


def executed(outputs: Sequence[Node], parents: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """Every call that the outputs need, as Keras 3 runs them.

    By depth, counted from the outputs; within a depth as they were first met: `map_graph` in
    keras/src/ops/function.py (3.15).

    Args:
        outputs: Of the model.
        parents: For each call, those whose results it takes; there is no cycle.
    """
    depth: dict[Node, int] = {}
    deepest: dict[str, int] = {}
    for node in reversed(_finished(outputs, parents)):
        own = max(depth.setdefault(node, 0), deepest.get(node[0], 0))
        deepest[node[0]] = depth[node] = own
        for parent in parents.get(node, ()):
            depth[parent] = max(own + 1, depth.get(parent, 0))
    return sorted(depth, key=lambda node: -depth[node])


def _finished(outputs: Sequence[Node], parents: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """The calls as a search from the outputs leaves them."""
    finished: dict[Node, None] = {}
    for output in outputs:
        stack = [(output, iter(parents.get(output, ())))] if output not in finished else []
        while stack:
            node, left = stack[-1]
            parent = next((one for one in left if one not in finished), None)
            if parent is None:
                finished.setdefault(node)
                stack.pop()
            else:
                stack.append((parent, iter(parents.get(parent, ()))))
    return list(finished)


def as_listed(needs: Mapping[Node, Sequence[Node]], given: Collection[Node]) -> list[Node]:
    """The calls, each after those that it needs, else as listed; not those that wait for ever.

    Args:
        needs: For each call, those whose results it takes.
        given: What is there before any call: the inputs.
    """
    place = {node: k for k, node in enumerate(needs)}
    nodes = list(needs)
    users: dict[Node, list[Node]] = {}
    open_needs: dict[Node, int] = {}
    for node, sources in needs.items():
        missing = set(sources) - set(given)
        open_needs[node] = len(missing)
        for source in missing:
            users.setdefault(source, []).append(node)
    ready = [place[node] for node, count in open_needs.items() if not count]
    heapify(ready)
    ordered = []
    while ready:
        node = nodes[heappop(ready)]
        ordered.append(node)
        for user in users.get(node, ()):
            open_needs[user] -= 1
            if not open_needs[user]:
                heappush(ready, place[user])
    return ordered
