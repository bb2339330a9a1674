"""From an ONNX file to a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from converter.description import Call, Identity, Model, Source, Value
from converter.errors import UnsupportedError
from converter.metadata import STATES
from converter.readers.beside import sha256_of
from converter.readers.file import File
from converter.readers.masks import with_masks, with_zeros
from converter.readers.onnx import (  # noqa: F401  each family registers its readers
    constants,
    convolution,
    core,
    indexing,
    normalization,
    operations,
    packing,
    pooling,
    recurrent,
    shaping,
)
from converter.readers.onnx.folds import FOLDS
from converter.readers.onnx.held import Kept, Pieces, Seen
from converter.readers.onnx.lifting import LIFTERS, Lift
from converter.readers.onnx.messages import Document, Graph, Node, Tensor, malformed, read_document
from converter.readers.onnx.sizes import Size, known
from converter.readers.sharing import with_shared
from converter.readers.strict import named, parse
from converter.readers.tidying import tidied

FORM = "ONNX"
MAGIC = b"\x08"
"""The version of the form, the first field of a file."""


def read(file: File) -> Model:
    """The model of an ONNX file.

    Raises:
        FormatError: The file is damaged.
        UnsupportedError: It has a node that is not read.
    """
    document = read_document(file)
    lift = Lift(file.path, document.opset)
    _count(document.graph, lift)
    pairs = _kept(document)
    inputs = tuple(_inputs(document.graph, lift, pairs))
    _check_kinds(document.graph, lift)
    lift.run(document.graph)
    outputs, renamed = _outputs(document.graph, lift, pairs)
    calls = tuple(_renamed(call, renamed) for call in lift.calls.values())
    model = Model(
        name=document.graph.name or Path(file.path).stem,
        inputs=inputs,
        calls=calls,
        outputs=outputs,
        source=_source(file, document),
        axes=tuple(_axes(value, lift) for value in inputs),
    )
    return with_shared(with_zeros(tidied(with_masks(model))))


def _axes(value: Value, lift: Lift) -> tuple[str, ...]:
    """The names of an input's free axes."""
    return tuple(str(size) if isinstance(size, Size) else "" for size in lift.sizes[value.name])


def _source(file: File, document: Document) -> Source:
    files = [(Path(file.path).name, file), *document.beside.items()]
    return Source(
        path=file.path,
        form=FORM,
        sha256=file.sha256 if len(files) == 1 else sha256_of(files),
        version=document.producer,
    )


LOOPS = frozenset({"If", "Loop", "Scan"})
"""Kinds that are named first where a file has several that are not read."""


def _check_kinds(graph: Graph, lift: Lift) -> None:
    """Refuse nodes of a kind that is not read, before any other is."""
    kinds = {*LIFTERS, *FOLDS, *packing.FOLLOWED}
    unread = [node for node in graph.nodes if node.kind not in kinds]
    for node in sorted(unread, key=lambda node: node.kind not in LOOPS)[:1]:
        raise lift.refusal(node, f"a node of the kind {node.kind}, which is not read")


def _count(graph: Graph, lift: Lift) -> None:
    """How often each name is read."""
    for node in graph.nodes:
        lift.uses.update(name for name in node.inputs if name)
        lift.makers.update(dict.fromkeys(node.outputs, node))
        if node.kind == "TopK":
            lift.ordering.update(node.inputs[:1])
        for attribute in node.attributes.values():
            if isinstance(attribute, Graph):
                _count(attribute, lift)
    lift.uses.update(output.name for output in graph.outputs)


def _kept(document: Document) -> dict[str, str]:
    """The inputs that hold states which layers keep, and the outputs with the next."""
    text = document.metadata.get(STATES)
    if text is None:
        return {}
    pairs = parse(text, f"{STATES} in the metadata")
    names = {tensor.name for tensor in document.graph.inputs}
    found: dict[str, str] = {}
    for pair in pairs if isinstance(pairs, list) else ():
        match pair:
            case [str(given), str(following)] if given in names:
                found[given] = following
    return found


def _inputs(graph: Graph, lift: Lift, kept: dict[str, str]) -> Iterator[Value]:
    """Those that are no stored tensors, which old files list as well, and no states."""
    for tensor in graph.inputs:
        if tensor.name in graph.stored:
            continue
        if tensor.name in kept:
            lift.held[tensor.name] = Kept(tensor.name, tuple(_sizes(tensor)))
            continue
        if not tensor.dtype or tensor.shape is None:
            raise malformed(lift.path, f"input {named(tensor.name)} has no shape or no dtype")
        if tensor.dtype not in READ:
            raise UnsupportedError(
                f"input {named(tensor.name)} of {lift.path} is not read",
                context=f"a tensor of {tensor.dtype}",
                hint="give the model numbers: convert the part of the graph behind it",
                code="onnx-dtype",
            )
        sizes = tuple(_sizes(tensor))
        value = Value(tensor.name, known(sizes), tensor.dtype)
        lift.value_names.add(tensor.name)
        lift.sizes[tensor.name] = sizes
        lift.held[tensor.name] = Seen(value, tuple(range(len(sizes))), sizes)
        yield value


READ = frozenset(
    "float32 bool int8 uint8 int16 uint16 int32 uint32 int64 uint64".split()  # noqa: SIM905
)
"""The dtypes of inputs that are read."""


def _sizes(tensor: Tensor) -> Iterator[int | Size]:
    for axis, size in enumerate(tensor.shape or ()):
        if isinstance(size, int) and size > 0:
            yield size
        else:  # a size of 0, which some write for one that is free
            yield Size.of(size if isinstance(size, str) and size else f"{tensor.name}.{axis}")


def _outputs(
    graph: Graph, lift: Lift, kept: dict[str, str]
) -> tuple[tuple[Value, ...], dict[str, Value]]:
    """The outputs under the file's names, and what their values are called now."""
    renamed: dict[str, Value] = {}
    outputs = []
    for tensor in graph.outputs:
        node = Node("output", tensor.name, (tensor.name,), (), {})
        if tensor.name in kept.values():
            _check_kept(lift, node, tensor, kept)
            continue
        value = lift.value(lift.as_seen(lift.given(node, 0), node))
        made = any(value in call.outputs for call in lift.calls.values())
        if not made or value.name in renamed:
            (again,) = lift.call(
                Identity(name=lift.name(node, tensor.name), dtype=value.dtype), value
            )
            value = again.value
        renamed[value.name] = replace(value, name=tensor.name)
        outputs.append(renamed[value.name])
    return tuple(outputs), _apart(renamed, lift)


def _check_kept(lift: Lift, node: Node, tensor: Tensor, kept: dict[str, str]) -> None:
    """Refuse states that are not what the layer that keeps them has last."""
    held = lift.given(node, 0)
    (given,) = (name for name, following in kept.items() if following == tensor.name)
    if not isinstance(held, Pieces) or held.parts != lift.kept.get(given):
        raise lift.refusal(node, "states that are kept, of another layer than has them")


def _apart(renamed: dict[str, Value], lift: Lift) -> dict[str, Value]:
    """With other names for values that have an output's name by chance."""
    names = {value.name for value in renamed.values()}
    for call in lift.calls.values():
        for value in call.outputs:
            if value.name in names and value.name not in renamed:
                new = lift.unique(f"{value.name}_inside", lift.value_names)
                renamed[value.name] = replace(value, name=new)
    return renamed


def _renamed(call: Call, names: dict[str, Value]) -> Call:
    def new(value: Value) -> Value:
        return names.get(value.name, value)

    return Call(
        call.layer,
        tuple(map(new, call.inputs)),
        tuple(map(new, call.outputs)),
        tuple(None if mask is None else new(mask) for mask in call.masks),
    )
