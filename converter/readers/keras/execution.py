"""The order in which Keras 3 runs the calls of a Functional model.

It matters where a layer does something to its inputs: MultiHeadAttention takes their masks. By
depth, counted from the outputs; within a depth as they were first met: `map_graph` in
keras/src/ops/function.py (3.15).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Node = tuple[str, int]
"""A layer or an operation by its name, and which of its calls."""


def executed(outputs: Sequence[Node], parents: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """Every call that the outputs need, in order.

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
