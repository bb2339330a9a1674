"""From an nn.Module to the steps that it takes: torch.export, with recurrent layers kept whole.

While the module is traced, what `torch.nn` calls for recurrent layers and attention is replaced by
operations of `whole`, as its docstring says.
"""

from __future__ import annotations

import logging
import operator
import re
import sysconfig
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import compress, product
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, export
from torch.export.graph_signature import InputKind, OutputKind, OutputSpec
from torch.fx import Node

from converter.arrays import sha256
from converter.errors import ReadError, UnsupportedError
from converter.gates import Array
from converter.readers.torch.exported import own, whole
from converter.readers.torch.exported.flat import Flat, Watched
from converter.readers.torch.exported.traced import (
    Line,
    Parameter,
    Ref,
    Size,
    Step,
    Tensor,
    Traced,
)

FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<number>\d+), in [^\n]*\n\s*(?P<text>[^\n]*)')
LIBRARY = str(Path(torch.__file__).parent)
STANDARD = sysconfig.get_paths()["stdlib"]
HERE = str(Path(__file__).parent)

LOGS = tuple(
    map(logging.getLogger, ("torch._export.non_strict_utils", "torch._subclasses.fake_tensor"))
)

MAY_ALIAS = frozenset(
    f"aten::{name}"
    for name in ("contiguous", "dropout", "feature_dropout", "flatten", "reshape", "to", "type_as")
)
"""Operations that may give back what they take, which their schemas do not say."""

TRIES = 16
"""How often a module is traced, at most, with some axes of 1 made longer."""

CHECKS = ("_assert", "sym_constrain_range")
"""Operations by which torch.export holds the sizes that it has assumed; they give nothing."""


def trace(module: nn.Module, example_inputs: object) -> Traced:
    """The steps that a module takes in eval mode, whatever the batch and the time.

    Args:
        module: It is left as it was.
        example_inputs: What forward takes: a tensor, a tuple of the arguments, a dictionary.

    Raises:
        UsageError: The inputs are not those of forward.
        UnsupportedError: torch.export cannot trace it.
    """
    flat = Watched(module, example_inputs)
    with _in_eval_mode(module):
        program = _exported(flat)
    return _traced(flat, program)


@contextmanager
def _in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Without dropout, and with the statistics that were learnt."""
    before = [(one, one.training) for one in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for one, training in before:
            one.training = training


def _exported(flat: Flat) -> ExportedProgram:
    """With free axes where the module leaves them free; rows and columns of pictures are fixed.

    torch.export takes an axis of 1 for one that is always 1, so those that may be batch or time are
    made longer, as many as the module takes.
    """
    short = [
        (k, axis)
        for k, one in enumerate(flat.example)
        for axis in range(min(one.dim(), 2))
        if one.size(axis) == 1
    ]
    choices = sorted(product((True, False), repeat=len(short)), key=sum, reverse=True)
    for longer in choices[: TRIES - 1]:
        example = list(flat.example)
        for k, axis in compress(short, longer):
            example[k] = example[k].repeat_interleave(2, axis)
        if any(longer):
            with suppress(Exception):  # one of them must be 1
                return _export(flat, tuple(example))
    try:
        return _export(flat, flat.example)
    except Exception as error:
        raise _untraceable(flat.module, error) from error


def _export(flat: Flat, example: tuple[torch.Tensor, ...]) -> ExportedProgram:
    axes = tuple(
        dict.fromkeys(range(one.dim() if one.dim() <= 3 else 2), Dim.AUTO) for one in example
    )
    with warnings.catch_warnings(), torch.no_grad(), _without_log():
        warnings.simplefilter("ignore")  # of tensors that are attributes, which stay what they are
        with own.kept(flat), whole.kept():
            program = export(flat, example, dynamic_shapes=(axes,))
        plain = all(map(_is_simple, program.graph.nodes))
        return program if plain else program.run_decompositions({})


def _is_simple(node: Node) -> bool:
    """Whether a step changes no tensor that anything else sees.

    What changes a tensor in its place gives it back, and steps behind it read that. It is the same
    as one that gives a new tensor, if no other name is left for the old one.
    """
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return True
    at = node
    while at.op == "call_function" and (at is node or _may_alias(at)):
        before = at.args[0]
        if not isinstance(before, Node) or before.op != "call_function":
            return False
        users = [user for user in before.users if user is not at]
        if any(map(_may_alias, users)) or (at is not node and users):
            return False
        at = before
    return True


def _may_alias(node: Node) -> bool:
    """Whether what it gives may be another name for what it takes."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return node.target is not operator.getitem
    views = any(one.alias_info is not None for one in schema.returns) and not schema.is_mutable
    return views or schema.name in MAY_ALIAS


@contextmanager
def _without_log() -> Iterator[None]:
    """Without what torch.export says of axes that it takes for fixed, and of what it refuses."""
    before = [log.level for log in LOGS]
    for log in LOGS:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(LOGS, before, strict=True):
            log.setLevel(level)


def _untraceable(module: nn.Module, error: BaseException) -> UnsupportedError:
    """The error for a module that torch.export refuses, with the line that it stopped at."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if _is_users(one.filename)]
    where = f" at {_shown(own[-1].filename)}:{own[-1].lineno}: {own[-1].line}" if own else ""
    said = " ".join(str(error).split())
    return UnsupportedError(
        f"{type(module).__name__} cannot be traced{where}",
        context=f"{type(error).__name__}: {said if len(said) <= 300 else said[:300] + '...'}",
        hint="forward may not choose by the numbers in a tensor; see docs/from-pytorch.md",
        code="not-traceable",
    )


def _is_users(file: str) -> bool:
    """Whether a file, or a cell of a notebook, is neither torch's, nor Python's, nor ours."""
    ours = file.startswith((LIBRARY, HERE, "<frozen", "<string"))
    return not ours and (not file.startswith(STANDARD) or "site-packages" in file)


def _shown(file: str) -> str:
    """A path from where we are, if it is below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _traced(flat: Watched, program: ExportedProgram) -> Traced:
    signature = program.graph_signature
    nodes = {node.name: node for node in program.graph.nodes}
    inputs: list[tuple[str, Ref, Tensor]] = []
    parameters: dict[str, Parameter] = {}
    names = iter(flat.names)
    for spec in signature.input_specs:
        name = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            inputs.append((next(names), Ref(name), _tensor(nodes[name].meta["val"])))
        else:
            parameters[name] = _parameter(flat, program, spec.kind, str(spec.target))
    _check_inputs(flat, signature.output_specs)
    given = [one for one in signature.output_specs if one.kind is OutputKind.USER_OUTPUT]
    outputs = [Ref(one.arg.name) for one in given]
    count = len(outputs) - len(flat.changed)
    changed = dict(zip(flat.changed, outputs[count:], strict=True))
    changed |= {
        str(one.target).removeprefix("module."): Ref(one.arg.name)
        for one in signature.output_specs
        if one.kind is OutputKind.BUFFER_MUTATION
    }
    return Traced(
        name=type(flat.module).__name__,
        inputs=tuple(inputs),
        parameters=parameters,
        steps=tuple(
            _step(node)
            for node in program.graph.nodes
            if node.op == "call_function" and not _is_size(node) and not _is_check(node)
        ),
        outputs=tuple(outputs[:count]),
        changed=changed,
        version=torch.__version__,
    )


def _check_inputs(flat: Flat, outputs: Sequence[OutputSpec]) -> None:
    """Refuse a module that writes into what it is given."""
    names = [str(one.target) for one in outputs if one.kind is OutputKind.USER_INPUT_MUTATION]
    if names:
        raise UnsupportedError(
            f"{type(flat.module).__name__} writes into its inputs",
            context=f"{len(names)} of {len(flat.names)} inputs have other numbers after forward",
            hint="give forward a new tensor: x = x + 1 rather than x += 1",
            code="input-changed",
        )


def _is_size(node: Node) -> bool:
    """Whether it gives a number, which stands where it is used."""
    return isinstance(node.meta.get("val"), torch.SymInt | torch.SymBool | int | bool | float)


def _is_check(node: Node) -> bool:
    return getattr(node.target, "__name__", "").startswith(CHECKS)


def _parameter(flat: Flat, program: ExportedProgram, kind: InputKind, target: str) -> Parameter:
    if kind is InputKind.CONSTANT_TENSOR:
        tensor = program.constants[target]
        read = partial(as_array, tensor)
    else:
        find = flat.get_parameter if kind is InputKind.PARAMETER else flat.get_buffer
        tensor = find(target)
        read = partial(_current, flat, target, sha256(as_array(tensor)))
    array = as_array(tensor)
    return Parameter(
        name=target.removeprefix("module."),
        shape=array.shape,
        dtype=array.dtype,
        trained=tensor.requires_grad,
        kept=kind is InputKind.BUFFER,
        read=read,
    )


def _current(flat: Flat, target: str, expected: str) -> Array:
    """A parameter or buffer.

    Raises:
        ReadError: It is no longer what was traced.
    """
    *path, name = target.split(".")
    array = as_array(getattr(flat.get_submodule(".".join(path)), name))
    if sha256(array) != expected:
        raise ReadError(
            f"{type(flat.module).__name__} changed after it was read",
            context=f"other numbers in '{target.removeprefix('module.')}'",
            hint="read it again: converter.read(module, example_inputs)",
            code="changed",
        )
    return array


def as_array(tensor: torch.Tensor) -> Array:
    """A tensor as it is now; NumPy and PyTorch have no bfloat16 in common but its bits."""
    held = tensor.detach().cpu()
    if held.dtype is torch.bfloat16:
        import ml_dtypes

        bits: Array = held.contiguous().view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: Array = held.numpy()
    return array


def _step(node: Node) -> Step:
    """A node of the graph."""
    value = node.meta["val"]
    several = isinstance(value, list | tuple)
    module, kind = _module(node)
    if node.target is operator.getitem:
        operation, arguments = "getitem", {"x": node.args[0], "index": node.args[1]}
    else:
        overload: Any = node.target
        operation = f"{overload.namespace}.{overload._opname}"
        arguments = _by_name(overload._schema, node.args, node.kwargs)
    return Step(
        name=node.name,
        operation=operation,
        arguments={name: _argument(one) for name, one in arguments.items()},
        results=tuple(_tensor(one) for one in (value if several else (value,)) if one is not None),
        several=several,
        module=module,
        kind=kind,
        line=_line(node.meta.get("stack_trace") or ""),
    )


def _by_name(schema: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of a schema, with what is left out."""
    given = dict(zip((one.name for one in schema.arguments), args, strict=False))
    return {
        one.name: given.get(one.name, kwargs.get(one.name, one.default_value))
        for one in schema.arguments
    }


def _argument(value: Any) -> Any:
    if isinstance(value, Node):
        return _size(value.meta["val"]) if _is_size(value) else Ref(value.name)
    if isinstance(value, list | tuple):
        return tuple(_argument(one) for one in value)
    return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value


def _size(value: Any) -> Any:
    """A size as a number, or as the text of an expression."""
    if not isinstance(value, torch.SymInt | torch.SymBool):
        return value
    expression = value.node.expr
    return int(expression) if expression.is_Integer else str(expression)


def _tensor(value: Any) -> Tensor:
    sizes: tuple[Size, ...] = tuple(_size(one) for one in value.shape)
    return Tensor(sizes, str(value.dtype).removeprefix("torch."))


def _module(node: Node) -> tuple[str, str]:
    """The attributes that lead to the module of a step, and its class if it is one of torch.nn."""
    stack = [one for one in (node.meta.get("nn_module_stack") or {}).values() if one[0]]
    if not stack:
        return "", ""
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    inside = re.sub(r"@\d+", "", path).removeprefix("module").removeprefix(".")
    return inside, name.rpartition(".")[2] if name.startswith("torch.nn.modules.") else ""


def _line(trace: str) -> Line | None:
    """The innermost line of a stack that is neither torch's nor ours."""
    for frame in reversed(list(FRAME.finditer(trace))):
        if _is_users(frame["file"]):
            return Line(_shown(frame["file"]), int(frame["number"]), frame["text"].strip())
    return None
