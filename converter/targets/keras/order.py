"""The order in which Keras lists the layers of a Functional model.

Keras puts the layers in an order of its own when it loads a config, and finds weights by it: the
third LSTM's are in `lstm_2`. So a file must be written in that order. It is by depth, counted from
the outputs, and within a depth by the first visit of a search from the outputs: `map_graph` in
keras/src/ops/function.py (3.15), `_map_graph_network` in tf_keras/src/engine/functional.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Node = tuple[str, int]
"""A layer by its name, and which of its calls."""


def layer_order(
    inputs: Sequence[str], outputs: Sequence[Node], parents: Mapping[Node, Sequence[Node]]
) -> list[str]:
    """The names of the layers, the inputs among them.

    Args:
        inputs: Of the model.
        outputs: Of the model.
        parents: For each call, those whose results it takes, in order; none for an input.
    """
    visited, finished = _search(outputs, parents)
    node_depth: dict[Node, int] = {}
    depth: dict[str, int] = {}
    for node in reversed(finished):
        own = max(node_depth.get(node, 0), depth.get(node[0], 0))
        depth[node[0]] = node_depth[node] = own
        for parent in parents[node]:
            node_depth[parent] = max(own + 1, node_depth.get(parent, 0))
    place = {name: k for k, name in enumerate(visited)}
    for name in inputs:  # one that nothing uses
        if name not in depth:
            depth[name], place[name] = 0, -1
    return sorted(depth, key=lambda name: (-depth[name], place[name]))


def _search(
    outputs: Sequence[Node], parents: Mapping[Node, Sequence[Node]]
) -> tuple[list[str], list[Node]]:
    """The layers in the order of their first visit, the calls in that of their last."""
    visited: dict[str, None] = {}
    finished: dict[Node, None] = {}
    for output in outputs:
        stack = [(output, iter(parents[output]))] if output not in finished else []
        visited.setdefault(output[0])
        while stack:
            node, left = stack[-1]
            parent = next((one for one in left if one not in finished), None)
            if parent is None:
                finished.setdefault(node)
                stack.pop()
                continue
            visited.setdefault(parent[0])
            stack.append((parent, iter(parents[parent])))
    return list(visited), list(finished)
