"""Who may import whom, what the light commands load, what the wheel holds, how files are cut."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "converter"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))

# Each optional or heavy package, and the only files that may import it, also inside a function.
# `*` goes through folders.
HOMES = {
    "torch": (
        "converter/targets/torch/*",
        "converter/runtimes/torch.py",
        "converter/readers/torch/exported/activations.py",
        "converter/readers/torch/exported/own.py",
        "converter/readers/torch/exported/stated.py",
        "converter/readers/torch/exported/flat.py",
        "converter/readers/torch/exported/tracing.py",
        "converter/readers/torch/exported/whole.py",
    ),
    "onnx": ("converter/readers/onnx*", "converter/targets/onnx/*"),
    "onnx_ir": ("converter/readers/onnx*", "converter/targets/onnx/*"),
    "onnxruntime": ("converter/runtimes/onnxruntime.py",),
    "keras": ("converter/runtimes/keras*.py",),
    "tf_keras": ("converter/runtimes/keras*.py",),
    "tensorflow": ("converter/runtimes/keras*.py",),
    "jinja2": ("converter/report/*",),
    "matplotlib": ("converter/report/*",),
}
HEAVY = frozenset(HOMES)

# What a target copies into files, the reader knows again by its code.
KNOWN_AGAIN = {"converter/readers/torch/exported/own.py": "converter.targets.torch"}
# A framework behind another package's door.
DOORS = {"safetensors.torch": "torch", "safetensors.tensorflow": "tensorflow"}

# What everything else stands on: NumPy, the standard library and each other.
CORE = ("description", "gates", "activations", "errors")
CORE_FILES = tuple(f"converter/{name}{end}" for name in CORE for end in (".py", "/*"))
CORE_MAY = frozenset({"numpy", "__future__"}) | sys.stdlib_module_names

# Each box knows the model, and none of its neighbours.
BOXES = ("readers", "judge", "targets")
ABOVE = ("runtimes", "verify", "compare", "report", "batch", "cli")

OUTSIDE = frozenset({"models", "tests", "scripts"})
TYPES_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(file: str, source: str) -> Iterator[tuple[str, int]]:
    """Each module that the source imports when it runs, by its full name, and the line.

    An import for the type checker alone never runs. `importlib.import_module("x")` and
    `__import__("x")` are imports too.
    """
    package = file.removesuffix(".py").split("/")[:-1]
    todo: list[ast.AST] = [ast.parse(source)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in TYPES_ONLY:
            todo.extend(node.orelse)
            continue
        todo.extend(ast.iter_child_nodes(node))
        match node:
            case ast.Import():
                yield from ((alias.name, node.lineno) for alias in node.names)
            case ast.ImportFrom():
                stem = package[: len(package) + 1 - node.level] if node.level else []
                base = ".".join([*stem, *([node.module] if node.module else [])])
                yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name, node.lineno


def within(module: str, *names: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def offences(file: str, source: str) -> list[str]:
    """What a file of the package imports and may not, a line each."""
    found = []
    for module, line in imports(file, source):
        top = next((DOORS[door] for door in DOORS if within(module, door)), module.split(".")[0])
        homes = HOMES.get(top, ("*",))
        box = next((box for box in BOXES if file.startswith(f"converter/{box}/")), None)
        others = {*BOXES, *ABOVE} - {box}
        if not any(fnmatch(file, home) for home in homes):
            rule = f"{top} belongs in {' and '.join(homes)}"
        elif top in OUTSIDE:
            rule = "the package imports nothing that the wheel does not hold"
        elif (
            any(fnmatch(file, core) for core in CORE_FILES)
            and top not in CORE_MAY
            and not within(module, *(f"converter.{name}" for name in CORE))
        ):
            rule = "this file stands on NumPy and the standard library alone"
        elif (
            box
            and within(module, *(f"converter.{other}" for other in others))
            and not within(module, KNOWN_AGAIN.get(file, "-"))
        ):
            rule = f"{box}/ knows the model and none of its neighbours"
        else:
            continue
        found.append(f"{file}:{line} imports {module}: {rule}")
    return found


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_what_its_folder_may(file: str) -> None:
    assert offences(file, (ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("converter/description/core.py", "import h5py"),
        ("converter/description/core.py", "from ..targets import torch"),
        ("converter/description/core.py", "from converter.readers import read"),
        ("converter/gates.py", "import torch"),
        ("converter/activations.py", "from converter import judge"),
        ("converter/errors.py", "from rich import print"),
        ("converter/cli.py", "import torch.nn as nn"),
        ("converter/cli.py", "def f():\n    from torch import nn"),
        ("converter/cli.py", "try:\n    import onnxruntime\nexcept ImportError:\n    pass"),
        ("converter/cli.py", "import importlib\nimportlib.import_module('tensorflow.lite')"),
        ("converter/cli.py", "__import__('tf_keras')"),
        ("converter/cli.py", "if not TYPE_CHECKING:\n    import matplotlib"),
        ("converter/batch.py", "from jinja2 import Template"),
        ("converter/readers/torch/__init__.py", "import torch"),
        ("converter/readers/torch/exported/recurrent.py", "from torch import nn"),
        ("converter/readers/torch.py", "from safetensors.torch import load_file"),
        ("converter/readers/keras/config.py", "import keras"),
        ("converter/readers/keras/config.py", "import onnx"),
        ("converter/targets/torch/core.py", "import onnx_ir"),
        ("converter/targets/onnx/core.py", "import torch"),
        ("converter/targets/onnx/core.py", "from ..torch.core import x; import keras"),
        ("converter/targets/keras/core.py", "import keras"),
        ("converter/runtimes/judge.py", "import torch"),
        ("converter/runtimes/torch.py", "import onnx"),
        ("converter/verify/inputs.py", "from models import forecaster"),
        ("converter/verify/inputs.py", "import tests.conftest"),
        ("converter/verify/inputs.py", "from scripts.make_test_data import write"),
        ("converter/readers/onnx.py", "from converter.targets.onnx import write"),
        ("converter/targets/torch/core.py", "from ...readers import read"),
        ("converter/judge/core.py", "from converter import verify"),
    ],
)
def test_an_import_out_of_place_is_found(file: str, source: str) -> None:
    assert len(offences(file, source)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("converter/description/core.py", "import dataclasses\nimport numpy as np"),
        ("converter/description/core.py", "from converter.gates import Cell"),
        ("converter/description/__init__.py", "from .core import Dense"),
        ("converter/readers/torch/exported/tracing.py", "import torch"),
        ("converter/targets/torch/core.py", "from torch import nn"),
        ("converter/targets/torch/__init__.py", "from safetensors.torch import save_file"),
        ("converter/targets/torch/core.py", "from converter.description import Dense"),
        ("converter/targets/onnx/recurrent.py", "import onnx_ir as ir"),
        ("converter/readers/onnx.py", "import onnx"),
        ("converter/readers/onnx/graph.py", "import onnx"),
        ("converter/readers/torch.py", "from safetensors import safe_open"),
        ("converter/runtimes/keras.py", "import keras"),
        ("converter/runtimes/keras_runner.py", "import keras"),
        ("converter/runtimes/onnxruntime.py", "import onnxruntime"),
        ("converter/runtimes/judge.py", "from converter.judge import run"),
        ("converter/report/html.py", "def f():\n    import jinja2"),
        ("converter/__init__.py", "if TYPE_CHECKING:\n    from torch import nn"),
    ],
)
def test_an_import_in_place_is_not(file: str, source: str) -> None:
    assert offences(file, source) == []


def loaded(*arguments: str) -> frozenset[str]:
    """The heavy packages that a Python process loads, the whole command included."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stderr.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    other = [line for line in lines if not line.startswith("import time:")]
    assert done.returncode == 0, "\n".join(other)
    return HEAVY & {name.split(".")[0] for name in names}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("-c", "import converter") == set()


def test_the_help_loads_nothing_heavy() -> None:
    assert loaded("-m", "converter.cli", "--help") == set()


def test_the_installed_command_loads_nothing_heavy() -> None:
    command = Path(sysconfig.get_path("scripts")) / "ifco"
    if not command.exists():
        pytest.skip(f"ifco: the package is not installed in {command.parent}")
    assert loaded(str(command), "--help") == set()


def test_a_heavy_import_is_noticed() -> None:
    assert "onnx" in loaded("-c", "def f():\n import onnx.helper\nf()")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the wheel holds; built from a copy, so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    copytree(
        ROOT,
        folder / "tree",
        ignore=ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info"),
    )
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), "tree"]
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_package_alone(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"converter"}
    assert len(tops) == 2


def test_the_wheel_holds_every_file_of_the_package(wheel: list[str]) -> None:
    assert set(FILES) <= set(wheel)
    assert {"converter/py.typed", "converter/report/report.html"} <= set(wheel)
    assert "converter/report/report.css" in wheel


def test_the_wheel_holds_the_licence(wheel: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


def test_the_public_names_are_sorted_and_there() -> None:
    converter = importlib.import_module("converter")
    names = list(converter.__all__)
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(converter, name)] == []


@pytest.mark.parametrize("file", FILES)
def test_a_module_is_named_for_what_it_holds(file: str) -> None:
    assert not {"utils", "helpers", "common", "misc"} & set(file.removesuffix(".py").split("/"))


@pytest.mark.parametrize("file", FILES)
def test_a_file_can_be_read_from_top_to_bottom(file: str) -> None:
    assert len((ROOT / file).read_text().splitlines()) <= 450
