"""The examples in the docstrings run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "converter").rglob("*.py"))
    if ">>>" in path.read_text()
]


def test_the_examples_give_what_they_say() -> None:
    results = {name: doctest.testmod(importlib.import_module(name)) for name in MODULES}
    assert [name for name, result in results.items() if result.failed] == []


def test_an_example_that_gives_something_else_fails() -> None:
    module = ModuleType("wrong", doc=">>> 1 + 1\n3\n")
    assert doctest.testmod(module, report=False).failed == 1
