from __future__ import annotations

import inspect
import re

import pytest

from converter import errors
from converter.errors import ConverterError, UsageError

CLASSES = {
    name: one
    for name, one in vars(errors).items()
    if inspect.isclass(one) and issubclass(one, ConverterError)
}


def drawn() -> dict[str, str]:
    """The hierarchy in the docstring: each class and the one that it stands under."""
    above: list[str] = []
    parents: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    (?P<lines>[│├└─ ]*)(?P<name>[A-Z]\w*Error)", line)
        if found:
            depth = len(found["lines"]) // 4
            above = [*above[:depth], found["name"]]
            parents[found["name"]] = above[-2] if depth else "Exception"
    return parents


def test_the_hierarchy_is_as_drawn() -> None:
    assert drawn() == {name: one.__base__.__name__ for name, one in CLASSES.items() if one.__base__}


def test_a_hierarchy_with_a_line_elsewhere_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = (errors.__doc__ or "").replace("│   ├── FormatError", "├── FormatError")
    monkeypatch.setattr(errors, "__doc__", moved)
    assert drawn()["FormatError"] == "ConverterError"


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_an_error_has_four_parts(kind: type[ConverterError]) -> None:
    error = kind("layer 'a' of b.h5", context="c; expected d", hint="e", code="f-g")
    assert (error.message, error.context, error.hint, error.code) == (
        "layer 'a' of b.h5",
        "c; expected d",
        "e",
        "f-g",
    )
    assert str(error) == "error[f-g]: layer 'a' of b.h5\n  found: c; expected d\n  help:  e"


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_wrong_usage_ends_with_2_and_the_rest_with_3(kind: type[ConverterError]) -> None:
    assert kind.exit_code == (2 if kind is UsageError else 3)


def test_none_of_the_four_parts_may_be_left_out() -> None:
    with pytest.raises(TypeError, match="hint"):
        ConverterError("a", context="b", code="c")  # type: ignore[call-arg]
