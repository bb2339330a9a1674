"""What `ifco inspect` finds in a checkpoint of PyTorch, and what no checkpoint says."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from converter.description import Stored, Weight
from converter.readers.torch.checkpoint import Checkpoint
from converter.readers.torch.recurrent import TorchRecurrent, recurrent_modules
from converter.report.console import columns, show
from converter.report.words import printable

UNKNOWN = (
    "batch_first, dropout, and whether an RNN is of tanh or relu: they are settings, not weights",
    "modules without tensors, and how the modules follow each other",
)
"""What no checkpoint says."""

BIASES = {0: "none", 2: "two"}
SHOWN = 40
"""Tensors that are listed; the others are counted. JSON has them all."""


def checkpoint_as_dict(found: Checkpoint) -> dict[str, Any]:
    """Plain values for JSON; the schema has a version."""
    modules, others = recurrent_modules(found.tensors)
    return {
        "schema": 1,
        "path": found.path,
        "form": found.form,
        "sha256": found.sha256,
        "recurrent": [_module(one) for one in modules],
        "others": [_tensor(one) for one in others.values()],
        "held": dict(found.held),
        "unknown": list(UNKNOWN),
    }


def _module(one: TorchRecurrent) -> dict[str, Any]:
    return {
        "name": one.name,
        "what": one.what,
        "features": one.inputs or None,
        "units": one.units or None,
        "projection": one.projection or None,
        "layers": one.depth or None,
        "bidirectional": one.bidirectional,
        "biases": None if one.problem else one.biases,
        "torch_parameters": one.parameters,
        "keras_parameters": one.keras_parameters,
        "problem": one.problem,
        "tensors": [_tensor(stored) for stored in one.arrays],
    }


def _tensor(one: Stored) -> dict[str, Any]:
    return {"name": one.name, "shape": list(one.shape), "dtype": str(one.dtype)}


def show_checkpoint(console: Console, found: Checkpoint) -> None:
    """Print it: the header, a line a recurrent module, the other tensors, and what is not known."""
    modules, others = recurrent_modules(found.tensors)
    show(console, Text(printable(found.path), style="bold"))
    header = columns("", "")
    header.add_row("form", found.form)
    header.add_row("tensors", f"{len(found.tensors)}, of {_size(found):,} elements")
    header.add_row("sha256", found.sha256[:12])
    show(console, header, indent=2)
    show(console, "")
    if modules:
        _show_modules(console, modules)
    _show_others(console, _beside(modules, list(others.values())))
    if found.held:
        show(console, Text("held, and not looked into", style="bold"))
        for name, what in list(found.held.items())[:SHOWN]:
            show(console, Text(f"{printable(name)}: {printable(what)}"), indent=2)
        _show_more(console, len(found.held))
        show(console, "")
    show(console, Text("not in the file", style="bold"))
    for line in UNKNOWN:
        show(console, Text(line), indent=2)
    if any(one.levels for one in modules):
        show(console, "")
        for line in (
            "--arch model.json, an architecture of Keras, makes it a whole model",
            "--to keras-weights takes its layers out as Keras's arrays",
        ):
            show(console, Text(f"help:  {line}"), indent=2)


def _beside(modules: list[TorchRecurrent], others: list[Stored]) -> list[Stored]:
    """The other tensors, those first that are in one container with a module: no optimizer's."""
    containers = {_container(one.name) for one in modules}
    return sorted(others, key=lambda one: _container(one.name) not in containers)


def _container(name: str) -> str:
    return name.rpartition("/")[0]


def _size(found: Checkpoint) -> int:
    return sum(Weight(one.shape, (one,)).size for one in found.tensors.values())


def _show_modules(console: Console, modules: list[TorchRecurrent]) -> None:
    table = columns(
        "module",
        "by its tensors",
        "features",
        "units",
        "layers",
        "directions",
        "biases",
        "in PyTorch",
        "in Keras",
        right=(2, 3, 4, 7, 8),
    )
    problems = []
    for one in modules:
        keras = one.keras_parameters
        if one.problem:
            table.add_row(printable(one.name) or "(itself)", "not known", *("",) * 7)
            problems.append(
                f"{printable(one.name) or 'it'} is no module of torch.nn: {one.problem}"
            )
            continue
        if one.projection:
            problems.append(
                f"{printable(one.name) or 'it'} has a projection to {one.projection}, "
                "for which Keras has no layer"
            )
        table.add_row(
            printable(one.name) or "(itself)",
            one.what,
            str(one.inputs),
            str(one.units),
            str(one.depth),
            "forward, backward" if one.bidirectional else "one",
            BIASES[one.biases],
            f"{one.parameters:,}",
            "" if keras is None else f"{keras:,}",
        )
    show(console, table, indent=2)
    show(console, "")
    for line in problems:
        show(console, Text(printable(line)), indent=2)
    if problems:
        show(console, "")


def _show_others(console: Console, others: list[Stored]) -> None:
    if not others:
        return
    table = columns("other tensors", "shape", "dtype")
    for stored in others[:SHOWN]:
        table.add_row(printable(stored.name), str(stored.shape), str(stored.dtype))
    show(console, table, indent=2)
    _show_more(console, len(others))
    show(console, "")


def _show_more(console: Console, count: int) -> None:
    if count > SHOWN:
        show(console, Text(f"and {count - SHOWN} more: --format json has them all"), indent=2)
