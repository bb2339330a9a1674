"""The generated file: its text, from a model, and where each weight goes."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

from converter import __version__
from converter.activations import Activation
from converter.description import Model, Value, with_casts
from converter.targets.torch import (  # noqa: F401  each family registers its handlers
    attention,
    conv_recurrent,
    convolution,
    core,
    indexing,
    masking,
    merging,
    normalization,
    operations,
    pooling,
    preprocessing,
    recurrent,
    resizing,
    shaping,
)
from converter.targets.torch.emit import emit
from converter.targets.torch.layout import COLUMNS, statement
from converter.targets.torch.names import FILE_NAMES, LONGEST_VARIABLE, class_name, identifier
from converter.targets.torch.source import RESET, TO, Held, Source, fill, shape_words

LOAD = '''def load(path: str | Path | None = None) -> {name}:
    """The model with its weights, in eval mode; they lie beside this file."""
    model = {name}()
    load_model(model, path or Path(__file__).with_name("model.safetensors"))
    return model.eval()
'''

MANY = 4
"""Outputs that are not counted in the return type."""

COPIED = (
    "modules.py",
    "mixed_modules.py",
    "conv_modules.py",
    "attention_modules.py",
    "dropout_modules.py",
    "value_modules.py",
    "variant_modules.py",
)
"""Files of which classes and functions are copied into a generated file that needs them."""

RESERVED = FILE_NAMES | {"Callable", "Sequence", "functional_call"}


def write_source(model: Model) -> Source:
    """Every layer written, in order; `file_text` makes the file of it.

    Raises:
        UnsupportedError: A layer cannot be expressed.
    """
    source = Source(model)
    calls = with_casts(model).calls
    source.uses = Counter(value.name for call in calls for value in call.needs)
    source.uses.update(value.name for value in model.outputs)
    names = ["x"] if len(model.inputs) == 1 and _is_automatic(model.inputs[0]) else []
    for value in model.inputs[len(names) :]:
        names.append(identifier(value.name, RESERVED | set(names), LONGEST_VARIABLE))
    for value, name in zip(model.inputs, names, strict=True):
        source.held[value.name] = Held(name)
        source.variables.add(name)
        source.parameters.append(name)
        source.kept.add(name)
    for call in calls:
        source.call = call
        emit[call.layer](call.layer, source)
        source.uses.subtract(value.name for value in call.needs)
    source.call = None
    return source


def _is_automatic(value: Value) -> bool:
    """Whether Keras made the name of an input, so that it says nothing."""
    stem = value.name.rstrip("0123456789_")
    return stem in {"input", "input_layer", "keras_tensor"} or value.name.endswith("_input")


def file_text(source: Source) -> str:
    """The generated Python file.

    It is unchanged by `ruff format`, and the same for the same model.
    """
    name = class_of(source)
    functions = [_function(name, activation) for name, activation in source.functions.items()]
    names, classes = _copied(source)
    body = [_class_text(source, name), LOAD.format(name=name)]
    code = "\n\n".join([*functions, *classes, *body])
    head = "\n".join([_header(source), _imports(code), *(["", *names] if names else [])])
    return f"{head}\n\n\n{code}"


def class_of(source: Source) -> str:
    """The name of the model's class."""
    taken = RESERVED | set(_definitions()) | set(source.functions) | set(source.classes)
    return class_name(source.model.name, taken)


def _header(source: Source) -> str:
    """The docstring of the file."""
    origin = source.model.source
    name = _plain(Path(origin.path).name or source.model.name)
    lines = [f'"""{class_of(source)}, written by ifco {__version__} from {name}.', ""]
    if origin.sha256:
        lines.append(f"Source sha256 {origin.sha256[:16]}.")
    lines += [
        "Weights: model.safetensors beside this file. Needs torch and safetensors only.",
        '"""',
        "",
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A name from a file inside a docstring: nothing that ends it or escapes from it."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown.replace("\\", "/").replace('"', "'")[:60]


def _imports(code: str) -> str:
    """What the code below uses."""
    lines = ["from pathlib import Path", ""]
    abstract = [name for name in ("Callable", "Sequence") if f"{name}[" in code]
    if abstract:
        lines.insert(0, f"from collections.abc import {', '.join(abstract)}")
    if "torch." in code:
        lines.append("import torch")
    if "F." in code:
        lines.append("import torch.nn.functional as F")
    lines += ["from safetensors.torch import load_model", "from torch import Tensor, nn"]
    if "functional_call(" in code:
        lines.append("from torch.func import functional_call")
    return "\n".join(lines)


def _function(name: str, activation: Activation) -> str:
    """An activation as a function of the file."""
    text = fill(activation.torch, Held("x"))
    return f'def {name}(x: Tensor) -> Tensor:\n    """{activation}."""\n    return {text}\n'


def _class_text(source: Source, name: str) -> str:
    """The model's class."""
    returned = _returned(source)
    results = len(source.model.outputs)
    kind = "Tensor" if results == 1 else f"tuple[{', '.join(['Tensor'] * results)}]"
    if results > MANY:
        kind = "tuple[Tensor, ...]"
    given = ", ".join(["self", *(f"{one}: Tensor" for one in source.parameters)])
    lines = [f"class {name}(nn.Module):", *_docstring(source), ""]
    lines += ["    def __init__(self) -> None:", "        super().__init__()", *source.modules]
    if source.dtype not in ("", "float32"):
        lines.append(f"        self{TO[source.dtype]}")
    lines.append("")
    lines += _reset(source)
    lines += statement(f"def forward({given}) -> {kind}:", 4)
    for target, text, comment in source.statements:
        lines += statement(f"{target} = {text}", 8, comment, above=False)
    lines += statement(f"return {returned}", 8)
    return "\n".join([*lines, ""])


def _reset(source: Source) -> list[str]:
    """The method that makes all states zero, where there are some."""
    if not source.states:
        return []
    lines = [f"    def {RESET}(self) -> None:", '        """Begin a new sequence."""']
    for name in source.states:
        lines += statement(f"self.{name} = torch.zeros_like(self.{name})", 8)
    return [*lines, ""]


def _returned(source: Source) -> str:
    """What forward returns; a last statement that only names it is folded in."""
    texts = [source.take(value).text for value in source.model.outputs]
    returned = ", ".join(texts)
    if source.statements:
        target, text, _ = source.statements[-1]
        if target == returned and len(f"        return {text}") <= COLUMNS:
            source.statements.pop()
            return text
    return returned


def _docstring(source: Source) -> list[str]:
    """What goes in and what comes out: `x (batch, time, 5) -> (batch, 1)`."""

    def words(value: Value) -> str:
        return f"({', '.join(shape_words(value.shape))})"

    given = [
        f"{name} {words(value)}"
        for name, value in zip(source.parameters, source.model.inputs, strict=True)
    ]
    results = ", ".join(words(value) for value in source.model.outputs)
    line = f'    """{", ".join(given)} -> {results}."""'
    if len(line) <= COLUMNS:
        return [line]
    inputs = [f"        {one}" for one in given]
    outputs = [f"        {words(value)}" for value in source.model.outputs]
    return ['    """From', *inputs, "    to", *outputs, '    """']


@cache
def _definitions() -> dict[str, str]:
    """Each class and function of modules.py, and its text.

    Read as text, so that writing a file needs no torch.
    """
    found: dict[str, str] = {}
    for name in COPIED:
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        lines = text.splitlines()
        found |= {
            defined: "\n".join(lines[node.lineno - 1 : node.end_lineno])
            for node in ast.parse(text).body
            if (defined := _defined(node))
        }
    return found


def _defined(node: ast.stmt) -> str:
    """The name that a statement of modules.py defines, "" for an import."""
    match node:
        case ast.ClassDef() | ast.FunctionDef():
            return node.name
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def _copied(source: Source) -> tuple[list[str], list[str]]:
    """The texts of the names and of the classes that are used, after those that they use."""
    texts = _definitions() | {name: text.rstrip() for name, text in source.classes.items() if text}
    wanted: dict[str, None] = {}

    def want(name: str) -> None:
        for node in ast.walk(ast.parse(texts[name])):
            if isinstance(node, ast.Name) and node.id in texts and node.id != name:
                want(node.id)
        wanted[name] = None

    for name in source.classes:
        want(name)
    blocks = [texts[name] for name in wanted]
    lines = [text for text in blocks if "\n" not in text]
    return lines, [f"{text}\n" for text in blocks if "\n" in text]
