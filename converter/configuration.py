"""Options of the command from the nearest pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict

from converter.errors import UsageError

FILE = "pyproject.toml"


class Configuration:
    """[tool.ifco] for all commands, and [tool.ifco.convert] for one.

    What is typed wins over a command's own table, and that over the table for all. An option of
    another command is left to it; one that no command has is an error.

    Args:
        options: Of each command, as they are typed, without their dashes in front.
    """

    def __init__(self, options: Mapping[str, frozenset[str]]) -> None:
        self.options = options

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Give one command's arguments what the file says and the command line does not.

        Raises:
            UsageError: The file is no TOML, or says something that is no option.
        """
        path = find(Path.cwd())
        if path is None or not commands:
            return
        command, *_ = commands
        table = read(path).get("tool", {}).get("ifco", {})
        if not isinstance(table, dict):
            raise _wrong(path, "tool.ifco is not a table", found=repr(table))
        # A table of a command's name is the command's; `verify` is an option of convert as well.
        own = {
            key: value
            for key, value in table.items()
            if key in self.options and isinstance(value, dict)
        }
        shared = {key: value for key, value in table.items() if key not in own}
        everything = frozenset().union(*self.options.values())
        given = {
            key: value
            for key, value in _checked(path, "tool.ifco", shared, everything).items()
            if key in self.options[command]
        }
        for name, values in own.items():
            checked = _checked(path, f"tool.ifco.{name}", values, self.options[name])
            if name == command:
                given |= checked
        Dict({command: given}, source=str(path))(app, commands, arguments)


def find(folder: Path) -> Path | None:
    """The pyproject.toml of a folder, or of the nearest folder above it that has one."""
    return next((path for one in (folder, *folder.parents) if (path := one / FILE).is_file()), None)


def read(path: Path) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        UsageError: It cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read",
            context=str(error),
            hint="correct it: options of ifco stand there under [tool.ifco]",
            code="configuration",
        ) from error


def _checked(
    path: Path, name: str, table: Mapping[str, Any], known: frozenset[str]
) -> dict[str, Any]:
    """A table with its keys as they are typed, if all of them are options."""
    dashed = {key.replace("_", "-"): value for key, value in table.items()}
    for key, value in dashed.items():
        if key not in known:
            options = ", ".join(sorted(known))
            raise _wrong(path, f"{key} in [{name}] is no option", found=f"options: {options}")
        if not isinstance(value, str | int):
            found = f"{value!r}; expected a string, a number, true or false"
            raise _wrong(path, f"{key} in [{name}] has no such value", found=found)
    return dashed


def _wrong(path: Path, message: str, *, found: str) -> UsageError:
    return UsageError(
        f"{message}: {path}",
        context=found,
        hint="ifco COMMAND --help says what each option is",
        code="configuration",
    )
