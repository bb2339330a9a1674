"""The help of the command: aligned columns without boxes, the same in a terminal and in a log."""

from __future__ import annotations

from attrs import evolve
from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
from cyclopts.help.specs import DescriptionRenderer
from rich.console import Console, ConsoleOptions
from rich.text import Text

from converter.report.console import columns, show


class HelpText(DefaultFormatter):
    """Each panel as its title and a table."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel: commands, arguments or options."""
        if not panel.entries:
            return
        describe = DescriptionRenderer()
        table = columns("", "")
        for entry in panel.entries:
            if entry.default == "False":  # a flag that is not given
                entry = evolve(entry, default=None)
            table.add_row(_names(entry), describe(entry))
        console.print(Text(str(panel.title), style="bold"))
        show(console, table, indent=2)
        console.print()


def _names(entry: HelpEntry) -> str:
    """`--to CHOICE`, `--force, --no-force`."""
    names = ", ".join(entry.display_labels)
    return f"{names} {entry.metavar}" if entry.metavar and not entry.positional_label else names
