from __future__ import annotations

from itertools import islice

from scripts.random_models.draw import plans
from scripts.random_models.plan import Plan
from scripts.random_models.shrink import shrunk


def kinds(plan: Plan) -> list[str]:
    return [node.kind for node in plan.nodes]


def test_a_failure_is_shrunk_to_the_node_that_makes_it() -> None:
    def fails(plan: Plan) -> bool:
        return "GRU" in kinds(plan)

    for plan in filter(fails, islice(plans(0), 60)):
        smallest = shrunk(plan, fails)
        assert len(smallest.nodes) <= 2
        assert fails(smallest)
        assert all(node.config == {} for node in smallest.nodes if node.kind == "GRU")


def test_what_it_needs_stays() -> None:
    def fails(plan: Plan) -> bool:
        return any(node.states for node in plan.nodes)

    for plan in filter(fails, islice(plans(0), 60)):
        smallest = shrunk(plan, fails)
        names = {node.name for node in smallest.nodes}
        assert all(set(node.needs) <= names for node in smallest.nodes)
        assert fails(smallest)
