"""What the command prints: results on stdout, errors and what is being done on stderr."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from converter.errors import ConverterError, OutputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

Format = Literal["text", "json"]


def show(format: Format, text: Callable[[Console], None], as_dict: Callable[[], Any]) -> None:
    """Print a result on stdout: as JSON, or as the text that is a view of it.

    Raises:
        OutputError: stdout cannot be written.
    """
    from converter.report.console import console_on
    from converter.report.json import as_json

    try:
        if format == "json":
            sys.stdout.write(as_json(as_dict()) + "\n")
        else:
            text(console_on(sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        forget_stdout()
        raise OutputError(
            "the result cannot be printed",
            context=f"stdout: {error.strerror}",
            hint="free some space, or send stdout elsewhere",
            code="stdout",
        ) from error


def forget_stdout() -> None:
    """Let what Python still holds for stdout go nowhere: it is written once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_error(error: ConverterError, tokens: Sequence[str]) -> int:
    """Print an error on stderr, and on stdout as JSON where that was asked for."""
    from converter.report.console import console_on
    from converter.report.text import show_error as show_text

    if wants_json(tokens):
        from converter.report.json import as_json, error_as_dict

        sys.stdout.write(as_json(error_as_dict(error)) + "\n")
    show_text(console_on(sys.stderr), error)
    return error.exit_code


def wants_json(tokens: Sequence[str]) -> bool:
    """Whether JSON was asked for, however wrong the rest of the command line is."""
    return "--format=json" in tokens or ("--format", "json") in pairwise(tokens)


@contextmanager
def progress(doing: str) -> Iterator[None]:
    """Say on stderr what is being done, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    from converter.report.console import console_on
    from converter.report.words import printable

    with console_on(sys.stderr).status(printable(doing)):
        yield


def usage_error(error: Exception, tokens: Sequence[str], commands: Collection[str]) -> UsageError:
    """What is wrong with a command line, in four parts."""
    typed = shlex.join(["ifco", *tokens])
    command = next((token for token in tokens if token in commands), "")
    return UsageError(
        str(error).strip(),
        context=typed,
        hint=f"ifco {command} --help".replace("  ", " "),
        code="usage",
    )


def internal_error(error: Exception) -> ConverterError:
    """What nobody foresaw, in four parts."""
    return ConverterError(
        "ifco has a mistake: this should not have happened",
        context=f"{type(error).__name__}: {error}",
        hint="report it with the lines above and the model's config",
        code="internal",
    )
