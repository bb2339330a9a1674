from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

import converter.gates
from converter.gates import LAYOUTS, Cell
from scripts.fuzz_models import Builder, fuzz
from scripts.random_models.draw import plans
from scripts.random_models.plan import Node, Plan


@pytest.fixture(autouse=True)
def _needs_keras() -> None:
    for package in ("tensorflow", "keras", "tf_keras", "torch"):
        pytest.importorskip(package)


@pytest.fixture
def builders() -> Iterator[dict[str, Builder]]:
    with Builder("keras") as builder:
        yield {"keras": builder}


def test_a_wrong_order_of_gates_is_found_and_shrunk(
    builders: dict[str, Builder], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (Cell.LSTM, "keras")
    wrong = {**LAYOUTS, key: replace(LAYOUTS[key], gates="icfo")}
    monkeypatch.setattr(converter.gates, "LAYOUTS", wrong)
    config = {"units": 3, "return_sequences": True, "activation": "relu"}
    plan = Plan(
        nodes=(
            Node(name="x", kind="Input", config={"batch_shape": (None, 4, 2), "dtype": "float32"}),
            Node(name="dense", kind="Dense", config={"units": 2}, inputs=("x",)),
            Node(name="lstm", kind="LSTM", config=config, inputs=("dense",)),
            Node(name="flat", kind="Flatten", inputs=("lstm",)),
        ),
        outputs=("flat",),
    )
    done: Counter[str] = Counter()
    (failure,) = fuzz(iter([(0, plan)]), builders, done)
    assert done == {"wrong": 1}
    assert "judge" in failure.found.where
    assert [node.kind for node in failure.smallest.nodes] == ["Input", "LSTM"]
    assert failure.smallest.nodes[1].config.keys() == {"units"}


def test_what_keras_refuses_is_counted_and_no_failure(builders: dict[str, Builder]) -> None:
    plan = next(islice((plan for plan in plans(0) if plan.keras == "keras"), 1))
    broken = replace(plan, nodes=(*plan.nodes, Node(name="z", kind="Nothing")))
    done: Counter[str] = Counter()
    assert list(fuzz(iter([(0, broken)]), builders, done)) == []
    assert [what.split(":")[0] for what in done] == ["Keras refuses"]
