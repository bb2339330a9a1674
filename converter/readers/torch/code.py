"""A module that somebody's code builds: `package.module:build`. This executes the code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from converter.errors import ReadError, UsageError
from converter.readers.torch import is_module


def is_code(source: object) -> bool:
    """Whether it names a function, `package.module:build`, and no file.

    >>> is_code("models.net:build"), is_code("net.py")
    (True, False)
    """
    module, colon, name = str(source).partition(":")
    names = [*module.split("."), *name.split(".")]
    return (
        bool(colon) and all(one.isidentifier() for one in names) and not Path(str(source)).exists()
    )


def named(source: Path) -> Path:
    """What a file that is made of it is named after: the path itself, or the module of the code.

    >>> named(Path("a/b.h5")).name, named(Path("models.net:build")).name
    ('b.h5', 'net')
    """
    return Path(str(source).partition(":")[0].rpartition(".")[2]) if is_code(source) else source


def source_of(source: Path, *, run_code: bool) -> tuple[Any, Any]:
    """What is read, and example inputs for it, if it is a module that code builds.

    Args:
        source: A path, or `package.module:build`.
        run_code: Somebody has said that the code may run.

    Raises:
        UsageError: It is code, and nobody has.
    """
    if run_code:
        return built(source)
    if is_code(source):
        raise UsageError(
            f"{source} is code, which is not run unless you say so",
            context="a function of a Python module, and no file of that name",
            hint=f"ifco convert {source} --run-code",
            code="run-code",
        )
    return source, None


def built(source: object) -> tuple[Any, Any]:
    """What the function gives: a module, and the example inputs that it may give beside it.

    The module is searched for from the folder in which we are, then as Python searches.

    Args:
        source: `package.module:build`; build takes no arguments.

    Raises:
        UsageError: There is no such function.
        ReadError: It fails, or gives no module.
    """
    module, _, name = str(source).partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        build: Any = importlib.import_module(module)
        for one in name.split("."):
            build = getattr(build, one)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"there is no {source}",
            context=f"{type(error).__name__}: {error}",
            hint="package.module:build, as Python would import it from the folder you are in",
            code="no-such-function",
        ) from error
    finally:
        sys.path.remove(here)
    try:
        given = build()
    except Exception as error:  # whatever somebody's code raises
        raise ReadError(
            f"{source} fails",
            context=" ".join(f"{type(error).__name__}: {error}".split()),
            hint=f"run it by hand: python -c 'import {module}; {module}.{name}()'",
            code="build-fails",
        ) from error
    found, example_inputs = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not is_module(found):
        raise ReadError(
            f"{source} gives no torch.nn.Module",
            context=f"it gives {type(found).__name__}",
            hint="return the module, or (module, example_inputs)",
            code="no-module",
        )
    return found, example_inputs
