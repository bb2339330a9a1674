"""A result as JSON: plain values, plain characters, and no NaN, which JSON has not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from converter.errors import ConverterError

if TYPE_CHECKING:
    from converter.conversion import Conversion


def as_json(result: Mapping[str, Any]) -> str:
    """`result` as indented JSON. Floats that JSON has not become "nan", "inf" and "-inf".

    >>> print(as_json({"schema": 1, "error": float("nan"), "where": (2, np.int64(6))}))
    {
      "schema": 1,
      "error": "nan",
      "where": [
        2,
        6
      ]
    }
    """
    return json.dumps(_plain(result), indent=2, allow_nan=False)


def conversion_as_dict(done: Conversion) -> dict[str, Any]:
    """What was written and what `conversion.json` says, the verdict with it."""
    return {
        "schema": 1,
        "folder": done.folder,
        "written": done.files,
        "record": done.record,
    }


def error_as_dict(error: ConverterError) -> dict[str, Any]:
    """The four parts of an error; the schema has a version."""
    return {
        "schema": 1,
        "error": {
            "code": error.code,
            "message": error.message,
            "found": error.context,
            "help": error.hint,
        },
    }


def _plain(value: Any) -> Any:
    """Dictionaries, lists, strings and numbers."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    match value:
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case Enum():
            return value.value
        case PurePath():
            return str(value)
        case float() if not isfinite(value):
            return str(value)
    return value
