"""The names of `import converter`."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import converter

ROOT = Path(__file__).parents[1]


def test_the_names_are_sorted_and_each_once() -> None:
    assert converter.__all__ == sorted(set(converter.__all__))


@pytest.mark.parametrize("name", converter.__all__)
def test_a_name_is_what_it_says(name: str) -> None:
    value = getattr(converter, name)
    assert not isinstance(value, ModuleType)
    assert value.__name__ == name
    assert value.__doc__
    assert name in dir(converter)


@pytest.mark.parametrize("name", ["judge", "verify"])
def test_a_package_of_the_same_name_does_not_hide_a_function(name: str) -> None:
    package = importlib.import_module(f"converter.{name}")
    assert isinstance(package, ModuleType)
    assert getattr(converter, name) is not package
    assert callable(getattr(converter, name))


@pytest.mark.parametrize("name", ["judge", "verify"])
def test_the_order_of_imports_does_not_matter(name: str) -> None:
    source = f"""
import converter.{name}, converter
import types
assert isinstance(converter.{name}, types.FunctionType), converter.{name}
"""
    subprocess.run([sys.executable, "-c", source], check=True, cwd=ROOT, timeout=60)


def test_another_submodule_is_found_as_ever() -> None:
    gates = importlib.import_module("converter.gates")
    assert converter.gates is gates  # type: ignore[attr-defined]


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'converter' has no attribute 'lstm'"):
        _ = converter.lstm  # type: ignore[attr-defined]


def loaded_by(statement: str) -> set[str]:
    """The packages that a new Python has after a statement, without the standard library's."""
    source = f"import sys; {statement}; print(*sorted(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", source],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    started = {name.partition(".")[0] for name in done.stdout.split()}
    return {name for name in started - sys.stdlib_module_names if not name.startswith("_")}


def test_importing_the_package_imports_nothing_else() -> None:
    assert loaded_by("import converter") <= {"converter", "distutils-precedence"}


@pytest.mark.parametrize("name", ["Model", "Verdict", "judge", "lstm_to_torch", "ConverterError"])
def test_most_names_need_numpy_alone(name: str) -> None:
    heavy = {"h5py", "torch", "keras", "onnx", "rich", "cyclopts", "safetensors"}
    assert not loaded_by(f"from converter import {name}") & heavy


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert converter.__version__ == project["version"]
