"""JSON out of a stranger's file: data, held against limits before and after it is parsed."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, NoReturn

from converter.errors import FormatError

MAX_BYTES = 16 * 2**20
"""Of one document. The config of a thousand layers takes two million bytes."""

MAX_VALUES = 1_000_000
"""In one document: 16 million bytes of `[[],[],...]` would take 500 million in memory."""

MAX_DEPTH = 100
"""A nested model takes five levels, so that twenty can be nested."""

MAX_DIGITS = 20
"""Of a whole number; the reading of a long one takes quadratic time."""

MAX_SHOWN = 80
"""How much of a value an error repeats."""


def parse(text: bytes | str, what: str) -> Any:
    """A JSON document as Python values.

    Args:
        text: UTF-8 where it is bytes.
        what: What it is, in words, for the error: "config.json of model.keras".

    Raises:
        FormatError: It is no JSON, or over a limit, or has two values for one key.
    """
    if len(text) > MAX_BYTES:
        raise too_large(what, len(text))
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        values = 1 + sum(decoded.count(sign) for sign in ",[{")
        if values > MAX_VALUES:
            _refuse(f"up to {values} values; at most {MAX_VALUES} are read")
        document = json.loads(
            decoded,
            object_pairs_hook=_object,
            parse_constant=lambda name: _refuse(f"{name} is no number of JSON"),
            parse_int=_integer,
            parse_float=_float,
        )
        _check(document)
    except RecursionError as error:
        raise _malformed(what, f"it is nested over {MAX_DEPTH} levels deep") from error
    except ValueError as error:  # among them what json, decode and this file raise
        raise _malformed(what, str(error)) from error
    return document


def shown(value: object) -> str:
    """A value of a document as an error repeats it: on one line, in ASCII, cut off if long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def named(name: str) -> str:
    """A name as an error repeats it: in quotes, without control characters, cut off if long."""
    return repr(name if len(name) <= MAX_SHOWN else name[:MAX_SHOWN] + "...")


def too_large(what: str, size: int) -> FormatError:
    """The error for a document over `MAX_BYTES`."""
    return FormatError(
        f"{what} is too large",
        context=f"{size} bytes; at most {MAX_BYTES} are read",
        hint="the file may be damaged; save the model again",
        code="too-large",
    )


def _malformed(what: str, context: str) -> FormatError:
    return FormatError(
        f"{what} is not the JSON that Keras writes",
        context=context,
        hint="the file may be damaged; save the model again",
        code="json",
    )


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if no key is in it twice."""
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                _refuse(f"two values for the key {shown(key)}")
            seen.add(key)
    return document


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        _refuse(f"a number of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        _refuse(f"{shown(digits)} is too large a number")
    return number


def _check(document: Any) -> None:
    """Refuse what is nested too deep, and text that is no Unicode."""
    level = [document]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value)
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
            elif isinstance(value, str) and not value.isascii():
                value.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
        if not inner:
            return
        level = inner
    _refuse(f"it is nested over {MAX_DEPTH} levels deep")
