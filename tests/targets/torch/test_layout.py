"""Generated statements lie as `ruff format` lays them, so that it changes nothing in the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from converter.targets.torch.layout import COLUMNS, arguments, statement

RUFF = Path(sys.executable).with_name("ruff")

# What stands in a generated file: calls in calls, lists, tuples, keywords, strings and indices.
lengths = st.sampled_from([1, 3, 8, 15, 29])
words = st.builds("{}{}".format, st.sampled_from("bhkm"), lengths.map(lambda n: "aeiou"[n % 5] * n))
strings = st.text("ab ,()[]{}#:='", max_size=12).map('"{}"'.format)
numbers = st.sampled_from(["0", "-1", "12345", "0.5", "1e-05", "None", "True"])
atoms = st.one_of(words, words.map("self.{}".format), numbers, strings)


def joined(values: Sequence[str], named: dict[str, str] | None = None) -> str:
    return ", ".join([*values, *(f"{name}={value}" for name, value in (named or {}).items())])


def a_tuple(values: list[str]) -> str:
    return f"({values[0]},)" if len(values) == 1 else f"({joined(values)})"


def calls_of(inner: st.SearchStrategy[str], most: int = 4) -> st.SearchStrategy[str]:
    return st.builds(
        lambda module, name, values, named: f"{module}{name}({joined(values, named)})",
        st.sampled_from(["", "nn.", "self."]),
        words,
        st.lists(inner, max_size=most),
        st.dictionaries(words, inner, max_size=2),
    )


def values_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, max_size=4)
    return st.one_of(
        calls_of(inner),
        several.map(lambda values: f"[{joined(values)}]"),
        several.map(a_tuple),
        st.builds("{}{}".format, calls_of(inner), tails),
    )


tails = st.sampled_from(["[0]", "[:, -1]", ".flip(1)", ".transpose(1, 2)", ".to(kaa, hoo, mii)"])
values = st.recursive(atoms, values_of, max_leaves=8)
calls = calls_of(values, most=9)
ended = st.builds("{}{}".format, calls, st.one_of(st.just(""), tails))
targets = st.one_of(
    words,
    words.map("self.{}".format),
    st.sampled_from(["x, _", "x, h", "x, (h, c)", "forward, (h_forward, _)"]),
)
statements = st.one_of(
    st.builds("{} = {}".format, targets, ended),
    ended.map("return {}".format),
    st.lists(ended, min_size=2, max_size=4).map(lambda values: f"return {joined(values)}"),
)
signatures = st.builds(
    lambda name, given, kind: f"def {name}({joined(['self', *given])}) -> {kind}:",
    words,
    st.lists(words.map("{}: Tensor".format), max_size=6),
    st.sampled_from(["Tensor", "tuple[Tensor, Tensor]", "tuple[Tensor, Tensor, Tensor, Tensor]"]),
)
comments = st.one_of(st.just(""), st.lists(words, min_size=1, max_size=12).map(" ".join))


def formatted(text: str) -> str:
    """What the formatter makes of it."""
    done = subprocess.run(
        [RUFF, "format", "--isolated", "--no-cache", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def in_a_class(lines: Sequence[str]) -> str:
    return "\n".join(["class M:", "    def forward(self, x):", *lines, ""])


# A formatter is a process, so many statements are one example; what fails is found without
# hypothesis's shrinking, which would start it thousands of times.
many = settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@many
@given(st.lists(st.tuples(statements, comments), min_size=1, max_size=20))
def test_statements_are_unchanged_by_the_formatter(written: list[tuple[str, str]]) -> None:
    each = [statement(text, 8, note) for text, note in written]
    every = in_a_class([line for lines in each for line in lines])
    if formatted(every) != every:
        for lines in each:
            assert formatted(in_a_class(lines)) == in_a_class(lines)
    assert formatted(every) == every


SUMS = st.lists(
    st.builds("{}{}".format, words, st.sampled_from(["", ".flatten(0, 1)", ".transpose(1, 2)"])),
    min_size=3,
    max_size=6,
)


@many
@given(st.lists(st.tuples(words, st.sampled_from("+-*@"), SUMS), min_size=1, max_size=20))
def test_sums_are_unchanged_by_the_formatter(
    written: list[tuple[str, str, list[str]]],
) -> None:
    texts = [f"{name} = {f' {sign} '.join(terms)}" for name, sign, terms in written]
    every = in_a_class([line for text in texts for line in statement(text, 8)])
    assert formatted(every) == every


@many
@given(st.lists(signatures, min_size=1, max_size=20))
def test_signatures_are_unchanged_by_the_formatter(written: list[str]) -> None:
    methods = ["\n".join([*statement(text, 4), "        return x", ""]) for text in written]
    every = "\n".join(["class M:", *methods])
    if formatted(every) != every:
        for method in methods:
            assert formatted(f"class M:\n{method}") == f"class M:\n{method}"
    assert formatted(every) == every


@given(statements, st.integers(0, 12))
@example("x = f()", 8)
def test_a_statement_is_said_whole(text: str, indent: int) -> None:
    """Only spaces, line ends and commas before a closing bracket are added."""

    def bare(text: str) -> str:
        for end in ")]":
            text = text.replace("," + end, end)
        return text

    lines = statement(text, indent)
    said = "".join(line.strip() for line in lines)
    if text.startswith("return ") and len(arguments(text.removeprefix("return "))) > 1 < len(lines):
        text = f"return ({text.removeprefix('return ')})"
    assert bare(said.replace(" ", "")) == bare(text.replace(" ", ""))


@given(statements, st.integers(0, 12))
def test_a_line_is_longer_than_the_columns_only_where_it_cannot_be_split(
    text: str, indent: int
) -> None:
    for line in statement(text, indent):
        if len(line) > COLUMNS:
            inside = line.strip().rstrip(",").strip("()[]")
            assert not arguments(inside)[1:] or "." in inside


# The splits, one by one


def said(text: str, indent: int = 8, comment: str = "") -> str:
    return "\n".join(statement(text, indent, comment))


def test_what_fits_is_one_line() -> None:
    text = "x = f(" + "a" * 73 + ")"
    assert len(text) == COLUMNS - 8
    assert said(text) == f"        {text}"


def test_what_is_one_too_long_is_split() -> None:
    text = "x = f(" + "a" * 74 + ")"
    assert said(text) == "        x = f(\n            " + "a" * 74 + "\n        )"


def test_arguments_that_fit_are_on_one_line() -> None:
    a, b, c = "a" * 30, "b" * 30, "c" * 10
    assert said(f"x = f({a}, {b}, {c})") == (
        f"        x = f(\n            {a}, {b}, {c}\n        )"
    )


@pytest.mark.parametrize(("more", "lines"), [(0, 3), (1, 4)])
def test_arguments_fit_up_to_the_last_column(more: int, lines: int) -> None:
    a, b = "a" * 37, "b" * (37 + more)
    assert len(f"{a}, {b}") == COLUMNS - 12 + more
    written = said(f"x = f({a}, {b})")
    assert len(written.split("\n")) == lines
    assert formatted(in_a_class([written])) == in_a_class([written])


def test_arguments_that_do_not_fit_are_a_line_each() -> None:
    a, b, c = "a" * 30, "b" * 30, "c" * 30
    assert said(f"x = f({a}, {b}, {c})") == (
        f"        x = f(\n            {a},\n            {b},\n            {c},\n        )"
    )


def test_a_list_is_a_line_each() -> None:
    a, b, c = "a" * 30, "b" * 30, "c" * 12
    assert said(f"x = [{a}, {b}, {c}]") == (
        f"        x = [\n            {a},\n            {b},\n            {c},\n        ]"
    )


def test_an_argument_alone_has_no_comma() -> None:
    a = "a" * 75
    assert said(f"x = f(g({a}))") == (
        f"        x = f(\n            g(\n                {a}\n            )\n        )"
    )


def test_the_first_bracket_that_has_to_is_split() -> None:
    a = "a" * 30
    assert said(f"x = f({a}, {a}).transpose(1, 2)") == (
        f"        x = f({a}, {a}).transpose(\n            1, 2\n        )"
    )
    assert said(f"x = f({a}, {a}, {a}).transpose(1, 2)") == (
        f"        x = f(\n            {a},\n            {a},\n            {a},\n"
        "        ).transpose(1, 2)"
    )


def test_several_results_are_in_brackets() -> None:
    a, b = "a" * 40, "b" * 40
    assert said(f"return {a}, {b}") == (
        f"        return (\n            {a},\n            {b},\n        )"
    )


def test_a_signature_is_split_at_its_parameters() -> None:
    text = f"def forward(self, {'a' * 20}: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:"
    assert said(text, 4) == (
        f"    def forward(\n        self, {'a' * 20}: Tensor\n"
        "    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:"
    )


def test_brackets_and_commas_in_a_string_are_text() -> None:
    a = "a" * 70
    assert said(f'x = f(a="), (", {a}, b)') == (
        f'        x = f(\n            a="), (",\n            {a},\n            b,\n        )'
    )


def test_what_has_no_bracket_stays_long() -> None:
    text = "x = " + "a" * 100
    assert said(text) == f"        {text}"


# Comments


def test_a_comment_that_fits_is_on_the_line() -> None:
    assert said("x = f(x)", comment="(batch, 3)") == "        x = f(x)  # (batch, 3)"


def test_a_comment_fits_up_to_the_last_column() -> None:
    room = COLUMNS - len("        x = f(x)  # ")
    assert said("x = f(x)", comment="c" * room) == f"        x = f(x)  # {'c' * room}"
    assert said("x = f(x)", comment="c" * (room + 1)) == (
        f"        # {'c' * (room + 1)}\n        x = f(x)"
    )


def test_a_comment_that_does_not_fit_is_above() -> None:
    text = "x = f(" + "a" * 70 + ")"
    assert said(text, comment="why it is so") == f"        # why it is so\n        {text}"


def test_a_comment_of_a_statement_that_is_split_is_above() -> None:
    a = "a" * 80
    assert said(f"x = f({a})", comment="why") == (
        f"        # why\n        x = f(\n            {a}\n        )"
    )


def test_a_long_comment_is_on_several_lines() -> None:
    lines = statement("x = f(x)", 8, "word " * 40)
    assert lines[-1] == "        x = f(x)"
    assert len(lines) > 2
    assert all(line.startswith("        # word") and len(line) <= COLUMNS for line in lines[:-1])
    assert (
        " ".join(line.removeprefix("        # ") for line in lines[:-1]) == ("word " * 40).strip()
    )


@pytest.mark.parametrize("length", [70, 90])
def test_a_comment_may_be_left_out_where_it_does_not_fit(length: int) -> None:
    text = f"x = f({'a' * length})"
    assert statement(text, 8, "(batch, time, 3)", above=False) == statement(text, 8)
    assert statement("x = f(x)", 8, "(batch, 3)", above=False) == ["        x = f(x)  # (batch, 3)"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b", ["a", "b"]),
        ("a, b,", ["a", "b"]),
        ("f(a, b), [c, d], (e, f)", ["f(a, b)", "[c, d]", "(e, f)"]),
        ("f(g(a, b), c), d", ["f(g(a, b), c)", "d"]),
        ('"a, b", c', ['"a, b"', "c"]),
        ("x=')', y='('", ["x=')'", "y='('"]),
        ("x[:, -1], y", ["x[:, -1]", "y"]),
    ],
)
def test_arguments_are_told_apart(text: str, parts: list[str]) -> None:
    assert arguments(text) == parts
