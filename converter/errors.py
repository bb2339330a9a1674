"""Every error that a user can meet.

    ConverterError
    ├── UsageError              the call or the configuration is wrong (exit code 2)
    ├── MissingExtraError       an optional package is not installed
    ├── ReadError               the source cannot be read
    │   ├── FormatError         not a model, cut off, or malformed
    │   └── WeightError         a weight is missing, surplus or misshapen
    ├── UnsupportedError        read, and not expressible: refused by name
    └── OutputError             the result cannot be written

Each has four parts: what is wrong and where (the message), what was found, what to do, and a
stable code in kebab-case. `str(error)` is the text that the command prints.
"""

from __future__ import annotations


class ConverterError(Exception):
    """A four-part error.

    Attributes:
        message: What is wrong, naming the file and the layer.
        context: What was found, and what was expected.
        hint: Something that the user can do or type.
        code: Stable, kebab-case, for scripts.
        exit_code: What the command ends with.
    """

    exit_code = 3

    def __init__(self, message: str, *, context: str, hint: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.context = context
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"error[{self.code}]: {self.message}\n  found: {self.context}\n  help:  {self.hint}"


class UsageError(ConverterError):
    """The call or the configuration is wrong."""

    exit_code = 2


class MissingExtraError(ConverterError):
    """An optional package is not installed."""


class ReadError(ConverterError):
    """The source cannot be read."""


class FormatError(ReadError):
    """The source is not a model, is cut off, or is malformed."""


class WeightError(ReadError):
    """A weight is missing, surplus or misshapen."""


class UnsupportedError(ConverterError):
    """The model was read, and has something that cannot be expressed."""


class OutputError(ConverterError):
    """The result cannot be written."""
