"""The first 200 random models, ten a test: `python -m scripts.fuzz_models` goes on from there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice

import pytest

from scripts.fuzz_models import Builder, fuzz
from scripts.random_models.draw import plans

COUNT, EACH = 200, 10


@pytest.fixture(scope="session")
def both() -> Iterator[dict[str, Builder]]:
    """Each Keras in a process, which a worker starts once."""
    for package in ("tensorflow", "keras", "tf_keras", "torch", "onnxruntime"):
        pytest.importorskip(package)
    with ExitStack() as stack:
        yield {name: stack.enter_context(Builder(name)) for name in ("keras", "tf_keras")}


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, COUNT, EACH))
def test_random_models_come_out_the_same(both: dict[str, Builder], start: int) -> None:
    numbered = islice(enumerate(plans(0, start), start), EACH)
    done: Counter[str] = Counter()
    failures = [f"{one.number}: {one.found}, {one.smallest}" for one in fuzz(numbered, both, done)]
    assert failures == []
    assert done["equal"] == EACH, done
