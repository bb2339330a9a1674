from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations, islice, product
from pathlib import Path

from scripts.random_models.covering import covering
from scripts.random_models.draw import plans
from scripts.random_models.options import OPTIONS, allowed
from scripts.random_models.plan import plan_of

ROOT = Path(__file__).parents[2]

SMALL = {"a": (1, 2, 3), "b": (1, 2), "c": (1, 2), "d": (1, 2, 3)}


def uncovered(rows: list[dict[str, int]]) -> list[tuple[object, ...]]:
    return [
        (names, values)
        for names in combinations(SMALL, 3)
        for values in product(*(SMALL[name] for name in names))
        if not any(tuple(row[name] for name in names) == values for row in rows)
    ]


def test_any_three_options_meet_in_a_row() -> None:
    rows = list(covering(SMALL, lambda _: True))
    assert uncovered(rows) == []
    assert len(rows) < 36


def test_rows_that_lack_one_are_told_apart() -> None:
    rows = list(covering(SMALL, lambda _: True))
    assert uncovered(rows[1:])


def test_what_does_not_go_together_is_in_no_row() -> None:
    rows = list(covering(SMALL, lambda row: not (row.get("a") == 1 and row.get("b") == 2)))
    assert not any(row["a"] == 1 and row["b"] == 2 for row in rows)
    assert all(values[:2] == (1, 2) for names, values in uncovered(rows) if names[:2] == ("a", "b"))


def test_every_row_of_the_options_goes_together() -> None:
    assert all(allowed(row) for row in covering(OPTIONS, allowed))


def test_a_seed_draws_the_same_plans_again_from_any_number_on() -> None:
    first = list(islice(plans(0), 20))
    assert list(islice(plans(0, start=15), 5)) == first[15:]
    assert list(islice(plans(1), 20)) != first


def test_another_process_draws_the_same() -> None:
    code = "from scripts.random_models.draw import plans; print(next(plans(0, 30)))"
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(drawn) == 1


def test_a_plan_is_the_same_after_it_was_written_down() -> None:
    for plan in islice(plans(0), 50):
        assert plan_of(plan.as_dict()) == plan
