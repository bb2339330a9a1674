"""Statements as `ruff format` lays them out, in 88 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

COLUMNS = 88


def statement(text: str, indent: int, comment: str = "", *, above: bool = True) -> list[str]:
    """A statement on one line, or split at its last bracket pair as the formatter would.

    The comment follows on the same line where it fits; where it does not, it stands above, or is
    left out.
    """
    margin = " " * indent
    line = f"{margin}{text}"
    note = f"  # {comment}" if comment else ""
    if len(line) + len(note) <= COLUMNS:
        return [line + note]
    first = _comment(comment, indent) if comment and above else []
    if len(line) <= COLUMNS:
        return [*first, line]
    return [*first, *_split(text, indent)]


def _comment(text: str, indent: int) -> list[str]:
    """A comment of its own, on as many lines as it needs."""
    room = COLUMNS - indent - 2
    lines: list[str] = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return [f"{' ' * indent}# {line}" for line in lines]


def _split(text: str, indent: int, comma: str = "") -> list[str]:
    """`head(`, the arguments, `)tail`: at the first bracket after which the line is too long."""
    margin = " " * indent
    values = arguments(text.removeprefix("return "))
    if text.startswith("return ") and len(values) > 1:
        return [f"{margin}return (", *_each(values, indent + 4), f"{margin})"]
    target, value = _assigned(text)
    if target and len(terms := _terms(value)) > 2:
        whole = [value] if indent + 4 + len(value) <= COLUMNS else terms
        inside = [line for term in whole for line in _split(term, indent + 4)]
        return [f"{margin}{target}(", *inside, f"{margin}){comma}"]
    pairs = _brackets(text)[:1] if text.startswith("def ") else _brackets(text)
    for k, (start, end) in enumerate(pairs):
        needed = text[: pairs[k + 1][0] + 1] if pairs[k + 1 :] else text + comma
        if indent + len(needed) <= COLUMNS:
            continue
        head, body, tail = text[: start + 1], text[start + 1 : end], text[end:]
        inside = _each(arguments(body), indent + 4)
        if not _is_literal(text, start) and indent + 4 + len(body) <= COLUMNS:
            inside = [f"{margin}    {body}"]
        elif not _is_literal(text, start) and len(arguments(body)) == 1:
            inside = _split(body, indent + 4)
        return [margin + head, *inside, *_split(tail, indent, comma)]
    return [f"{margin}{text}{comma}"]


def _assigned(text: str) -> tuple[str, str]:
    """`y = ` or `return `, and what follows; ("", text) for other text."""
    if text.startswith("return "):
        return "return ", text.removeprefix("return ")
    name, equals, value = text.partition(" = ")
    return (name + equals, value) if equals and name.isidentifier() else ("", text)


def _terms(text: str) -> list[str]:
    """A sum apart, or else a product: each term but the first with its operator in front.

    >>> _terms("a + b * c - d"), _terms("f(a + b) @ c")
    (['a', '+ b * c', '- d'], ['f(a + b)', '@ c'])
    """
    for operators in ("+-", "*/@"):
        ends, depth = [0], 0
        for k, character in _code(text):
            depth += (character in "([{") - (character in ")]}")
            if not depth and character in operators and text[k - 1 : k + 2] == f" {character} ":
                ends.append(k)
        if len(ends) > 1:
            return [text[i:j].strip() for i, j in pairwise([*ends, len(text)])]
    return [text]


def _each(values: Sequence[str], indent: int) -> list[str]:
    """Each value and its comma, on a line or split in its turn."""
    return [line for value in values for line in _split(value, indent, ",")]


def _is_literal(text: str, start: int) -> bool:
    """Whether the bracket at `start` is that of a list or a tuple, not of a call or an index."""
    before = text[:start].rstrip()
    return not before or before[-1] in "=,([{" or start != len(before)


def _brackets(text: str) -> list[tuple[int, int]]:
    """Where each pair of brackets that is in no other opens and closes, but for empty ones.

    A bracket that closes what was opened before `text` is none.
    """
    pairs: list[tuple[int, int]] = []
    start = depth = 0
    for k, character in _code(text):
        if character in "([{":
            start = start if depth else k
            depth += 1
        elif character in ")]}" and depth:
            depth -= 1
            if not depth and k > start + 1:
                pairs.append((start, k))
    return pairs


def _code(text: str) -> Iterator[tuple[int, str]]:
    """Each character that is in no string, with its place."""
    quote = ""
    for k, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            yield k, character


def arguments(text: str) -> list[str]:
    """Arguments apart: at the commas that are in no bracket and no string.

    >>> arguments("[a, b], -1, name='x, y'")
    ['[a, b]', '-1', "name='x, y'"]
    """
    ends, depth = [-1], 0
    for k, character in _code(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            ends.append(k)
    parts = [text[start + 1 : end].strip() for start, end in pairwise([*ends, len(text)])]
    return [part for part in parts if part]
