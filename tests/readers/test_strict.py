"""JSON of a stranger: duplicates, numbers that are none, and what would take too much."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from converter.errors import FormatError
from converter.readers import read
from converter.readers.strict import MAX_DEPTH, named, parse, shown
from tests.readers.files import archive

Error = Callable[[Callable[[], object]], str]

AGAIN = "  help:  the file may be damaged; save the model again"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', 'two values for the key "a"'),
        ('{"b": {"a": 1, "c": 2, "a": 1}}', 'two values for the key "a"'),
        ("NaN", "NaN is no number of JSON"),
        ("[Infinity]", "Infinity is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ("1e999", '"1e999" is too large a number'),
        ("7" * 5000, "a number of 5000 digits"),
        ("[" * 200_000, "it is nested over 100 levels deep"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "it is nested over 100 levels deep"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[1] 2", "Extra data: line 1 column 5 (char 4)"),
        ("[" + "1," * 1_000_000 + "1]", "up to 1000002 values; at most 1000000 are read"),
    ],
)
def test_what_is_not_the_json_of_keras_is_refused(text: str, reason: str, error_of: Error) -> None:
    start = time.perf_counter()
    assert error_of(lambda: parse(text, "config.json")) == (
        f"error[json]: config.json is not the JSON that Keras writes\n  found: {reason}\n{AGAIN}"
    )
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", [b"\xff", b'"\xed\xa0\x80"', b'"\\ud800"', b'{"\\udc00": 1}'])
def test_what_is_no_unicode_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError, match="is not the JSON that Keras writes"):
        parse(text, "config.json")


def test_many_values_are_refused_before_they_take_memory() -> None:
    text = "[" + "[]," * 3_000_000 + "[]]"
    tracemalloc.start()
    with pytest.raises(FormatError, match="JSON"):
        parse(text, "config.json")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_what_json_allows_is_read() -> None:
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse('{"ä": [1, 2.5, true, null, "\\u00e4"], "": {}}'.encode(), "x") == {
        "ä": [1, 2.5, True, None, "ä"],
        "": {},
    }
    assert parse(deep, "x") == [] or parse(deep, "x")
    assert parse("9" * 20, "x") == 10**20 - 1


def test_a_value_is_shown_on_one_line_and_cut_off() -> None:
    assert shown({"a": "\x1b\n"}) == '{"a": "\\u001b\\n"}'
    assert shown("x" * 1000) == '"' + "x" * 79 + "..."
    assert named("a'\x1b") == '"a\'\\x1b"'
    assert named("x" * 1000) == "'" + "x" * 80 + "...'"


def test_a_config_of_an_archive_is_held_to_that(file: Path, error_of: Error) -> None:
    path = archive(file, b'{"a": 1, "a": 2}', {})
    assert error_of(lambda: read(path)) == (
        "error[json]: config.json of model is not the JSON that Keras writes\n"
        f'  found: two values for the key "a"\n{AGAIN}'
    )
