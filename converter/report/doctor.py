"""What the doctor found, as text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from converter.doctor import KERAS, Diagnosis, Effect, Finding
from converter.installed import Setup
from converter.report.console import columns, show
from converter.report.words import printable

MANY = 4
"""Layers that are not all named."""


def show_diagnosis(console: Console, found: Diagnosis) -> None:
    """Print what is wrong with a file, and what to do."""
    written = f", written by Keras {found.written_by}" if found.written_by else ""
    head = f"{printable(found.path)}: {found.form}{printable(written)}"
    console.print(Text(head, style="bold"), soft_wrap=True)
    if not found.findings:
        said = f"nothing known keeps {KERAS} from opening it, or changes its answers"
        console.print(Text(f"  {said}", style="green"), soft_wrap=True)
        return
    for effect, heading in (
        (Effect.REFUSES, f"{KERAS} does not open it"),
        (Effect.DIFFERS, "its answers would change" if found.opens else "and if it did, its "
         "answers would change"),
    ):  # fmt: skip
        own = [one for one in found.findings if one.effect is effect]
        if own:
            console.print(Text(heading, style="bold red"), soft_wrap=True)
        for one in own:
            console.print(Text(f"  {_where(one)}{printable(one.what)}"), soft_wrap=True)
    if found.rescue:
        console.print(Text(f"  help:  {printable(found.rescue)}"), soft_wrap=True)
    else:
        console.print(Text(f"  no command helps: {printable(found.hindrance)}"), soft_wrap=True)


def _where(one: Finding) -> str:
    """The layers, by name."""
    if not one.layers:
        return ""
    names = [f"'{printable(name)}'" for name in one.layers[:MANY]]
    more = len(one.layers) - len(names)
    words = ", ".join(names) + (f" and {more} more" if more else "")
    return f"layer{'s' if len(one.layers) > 1 else ''} {words}: "


def show_setup(console: Console, found: Setup) -> None:
    """Print versions, and how to install what is not there."""
    show(console, Text(f"ifco {found.ifco}, Python {found.python}, {found.platform}", style="bold"))
    table = columns("", "", "")
    for name, version in found.base.items():
        table.add_row(name, version or "not installed", "")
    for extra, packages in found.extras.items():
        missing = not all(packages.values())
        for k, (name, version) in enumerate(packages.items()):
            command = f'pip install "ifco[{extra}]"' if missing and k == 0 else ""
            table.add_row(name, version or "not installed", command)
    show(console, table, indent=2)
