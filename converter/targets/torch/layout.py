"""Statements as `ruff format` lays them out, in 88 columns."""

from __future__ import annotations

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
    """`head(`, the arguments, `)tail`: on one line if they fit, else a line each."""
    margin = " " * indent
    values = arguments(text.removeprefix("return "))
    if text.startswith("return ") and len(values) > 1:
        lines = [f"{margin}return ("]
        for value in values:
            lines.extend(_argument(value, indent + 4))
        return [*lines, f"{margin})"]
    bracket = _first_bracket(text) if text.startswith("def ") else _outer_bracket(text)
    if bracket is None:
        return [f"{margin}{text}{comma}"]
    start, end = bracket
    head, body, tail = text[: start + 1], text[start + 1 : end], text[end:]
    if len(margin) + 4 + len(body) <= COLUMNS:
        return [margin + head, f"{margin}    {body}", margin + tail + comma]
    lines = [margin + head]
    for argument in arguments(body):
        lines.extend(_argument(argument, indent + 4))
    return [*lines, margin + tail + comma]


def _argument(text: str, indent: int) -> list[str]:
    """One argument and its comma, on a line or split in its turn."""
    if indent + len(text) + 1 <= COLUMNS:
        return [f"{' ' * indent}{text},"]
    return _split(text, indent, ",")


def _first_bracket(text: str) -> tuple[int, int]:
    """Where the parameters of a `def` open and close."""
    start, depth = text.index("("), 0
    for k in range(start, len(text)):
        depth += (text[k] in "([{") - (text[k] in ")]}")
        if depth == 0:
            return start, k
    raise ValueError(text)


def _outer_bracket(text: str) -> tuple[int, int] | None:
    """Where the bracket pair of the last call opens and closes."""
    depth, end, quote = 0, -1, ""
    for k in range(len(text) - 1, -1, -1):
        character = text[k]
        if quote:
            if character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character in ")]}":
            if depth == 0 and end == -1:
                end = k
            depth += 1
        elif character in "([{":
            depth -= 1
            if depth == 0:
                return k, end
    return None


def arguments(text: str) -> list[str]:
    """Arguments apart: at the commas that are in no bracket and no string.

    >>> arguments("[a, b], -1, name='x, y'")
    ['[a, b]', '-1', "name='x, y'"]
    """
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
