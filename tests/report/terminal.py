"""What a view prints, in a log and on a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from converter.report.console import console_on

Show = Callable[[Console], None]


class Terminal(StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def in_a_log(show: Show) -> str:
    stream = StringIO()
    show(console_on(stream))
    return stream.getvalue()


def on_a_terminal(show: Show, width: int, *, colour: bool = True) -> str:
    """With the escape sequences of colours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm-256color")
        patch.delenv("NO_COLOR", raising=False)
        if not colour:
            patch.setenv("NO_COLOR", "1")
        stream = Terminal()
        show(console_on(stream))
    return stream.getvalue()


def plain(text: str) -> str:
    """Without the escape sequences of colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
