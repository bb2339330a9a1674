"""Where text goes: a terminal of some width, or a log that nobody wraps.

No boxes and no lines are drawn, so a log, a diff and a message hold the same as the terminal.
Colour is a terminal's alone; rich obeys NO_COLOR.
"""

from __future__ import annotations

from typing import TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.segment import Segment, SegmentLines
from rich.table import Table
from rich.text import Text

GATE_STYLES = ("bold cyan", "bold magenta", "bold yellow", "bold green")

LOG_WIDTH = 100
"""Where columns of numbers break that are wider than any line should be."""


class _Console(Console):
    """A console that leaves a broken pipe to who called it."""

    def on_broken_pipe(self) -> None:
        """Raise what was raised, where rich ends the process."""
        raise


def console_on(stream: TextIO) -> Console:
    """A console on `stream`. What is no terminal is so wide that nothing wraps."""
    terminal = stream.isatty()
    return _Console(
        file=stream,
        width=None if terminal else 10_000,
        highlight=False,
        markup=False,
        emoji=False,
    )


def width_of(console: Console) -> int:
    """How wide a block of numbers may be."""
    return console.width if console.is_terminal else LOG_WIDTH


def show(console: Console, what: RenderableType, indent: int = 0) -> None:
    """Print without blanks at the ends of lines."""
    if what == "":
        console.print()
        return
    lines = console.render_lines(Padding.indent(what, indent), pad=False)
    for line in lines:
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
        if not _encodes(console, "·"):
            line[:] = [Segment(one.text.replace("·", "*"), one.style) for one in line]
        line.append(Segment.line())
    console.print(SegmentLines(lines), end="", soft_wrap=True)


def _encodes(console: Console, text: str) -> bool:
    """Whether the console's encoding has these characters."""
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def gate_text(gate: str, index: int) -> Text:
    """A gate's letter in its colour, which is the same wherever that gate is meant."""
    return Text(gate, style=GATE_STYLES[index])


def columns(*headings: str | Text, right: tuple[int, ...] = ()) -> Table:
    """A table of aligned columns; those in `right` are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.show_header = any(headings)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index in right else "left", overflow="fold")
    return table
