"""Conversions, verdicts and errors as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from converter.dtypes import FLOATS
from converter.errors import ConverterError
from converter.report.console import columns, show
from converter.report.words import arrays_words, deviation_words, printable
from converter.verify.verdict import Comparison, Power, Status, Verdict

if TYPE_CHECKING:
    from converter.conversion import Conversion

STYLES = {
    Status.EQUAL: "bold green",
    Status.APPROXIMATE: "bold green",
    Status.DIFFERS: "bold red",
    Status.UNDECIDED: "bold yellow",
    Status.INCONCLUSIVE: "bold yellow",
}


def show_error(console: Console, error: ConverterError) -> None:
    """Print the four parts of an error, each on one line."""
    lines = Text()
    lines.append(f"error[{error.code}]", style="bold red")
    lines.append(f": {printable(error.message)}\n", style="bold")
    lines.append(f"  found: {printable(error.context)}\n")
    lines.append(f"  help:  {printable(error.hint)}\n")
    console.print(lines, end="", soft_wrap=True)


FILES = {
    "model.py": "the network, to be read and changed",
    "model.safetensors": "its weights",
    "conversion.json": "what became of every array",
}

ENDS = {
    ".conversion.json": FILES["conversion.json"],
    ".onnx": "the model, for onnxruntime and others",
    ".onnx.data": "its weights, too many for one file",
    ".weights.h5": "the weights, for a model that is built in Python",
    ".keras": "the model, for Keras 3",
    ".h5": "the model, for tf_keras and Keras 3",
    ".safetensors": "the recurrent layers, as state dicts of torch.nn",
}


def show_conversion(console: Console, done: Conversion) -> None:
    """Print what was written, and the verdict on it."""
    source = printable(done.model.source.path)
    if done.files:
        show(console, Text(f"converted {source}", style="bold"))
    else:
        show(console, Text(f"nothing written for {source}: it would not be the same", style="bold"))
    table = columns("", "", "", right=(1,))
    target = done.record.get("target", "")
    for path in done.files:
        table.add_row(printable(str(path)), _size(path), _words(path, target))
    if done.files:
        show(console, table, indent=2)
    for layer, notes in done.record.get("rewritten", {}).items():
        for note in notes:
            line = f"  rewritten: layer '{printable(layer)}', {printable(note)}"
            console.print(Text(line), soft_wrap=True)
    for old, new in done.record.get("renamed", {}).items():
        where = "ONNX" if target == "onnx" else "Keras"
        line = f"  renamed: {printable(old)} is {printable(new)} in {where}"
        console.print(Text(line), soft_wrap=True)
    for module, why in done.record.get("no_layer_of_keras", {}).items():
        line = f"  no layer of Keras: {printable(module)}, {printable(why)}; its tensors are kept"
        console.print(Text(line), soft_wrap=True)
    for left_out in done.model.source.dropped:
        console.print(Text(f"  left out: {printable(left_out)}"), soft_wrap=True)
    show(console, "")
    if done.verdict is not None:
        show_verdict(console, done.verdict)
        return
    console.print(Text.assemble(("not verified", STYLES[Status.UNDECIDED]), f": {source}"))
    place = done.folder if done.artefact == Path() else done.artefact
    command = shlex.join(["ifco", "verify", done.model.source.path, str(place)])
    console.print(Text(f"  help:  {printable(command)}"), soft_wrap=True)


def _words(path: Path, target: str) -> str:
    """What a file of an output is."""
    if target == "keras-weights" and path.suffix == ".h5":
        return "the weights, for load_weights(..., by_name=True)"
    ends = (end for end in ENDS if path.name.endswith(end))
    return FILES.get(path.name) or ENDS.get(next(ends, ""), "")


def _size(path: Path) -> str:
    """The size of a file in units of 1000 bytes.

    >>> _size(Path("there is no such file"))
    ''
    """
    try:
        size: float = path.stat().st_size
    except OSError:
        return ""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def show_verdict(console: Console, verdict: Verdict) -> None:
    """Print the verdict in one line, then why, then the numbers that it rests on."""
    equal = verdict.status in (Status.EQUAL, Status.APPROXIMATE)
    first = Text.assemble((verdict.status.value, STYLES[verdict.status]), f": {_where(verdict)}")
    console.print(first, soft_wrap=True)
    if equal:
        show(console, Text(printable(verdict.reason)), indent=2)
    else:
        console.print(Text(f"  found: {printable(_found(verdict))}"), soft_wrap=True)
        console.print(Text(f"  help:  {printable(_help(verdict))}"), soft_wrap=True)
    table = columns("", "")
    for name, text in _numbers(verdict):
        table.add_row(name, text)
    if table.row_count:
        show(console, table, indent=2)


def _where(verdict: Verdict) -> str:
    """Both sides, and the comparison that decided against them."""
    sides = f"{printable(verdict.original)} and {printable(verdict.artefact)}"
    against = _against(verdict)
    return f"{sides}, {_place(against)}" if against else sides


def _against(verdict: Verdict) -> Comparison | None:
    """The comparison that says most clearly that the models differ."""
    if verdict.status is not Status.DIFFERS:
        return None
    different = (one for one in verdict.comparisons if one.reason and one.conditioned)
    return max(different, key=lambda one: one.ratio, default=None)


def _place(one: Comparison) -> str:
    return f"output '{printable(one.output)}', case {printable(one.case)}"


def _found(verdict: Verdict) -> str:
    against = _against(verdict)
    return against.reason if against else verdict.reason


def _help(verdict: Verdict) -> str:
    """Where to look, or what would decide it."""
    if verdict.status is Status.DIFFERS:
        if verdict.layer:
            return f"look at layer '{verdict.layer}': it is the first that differs"
        return "--format json has every comparison"
    if verdict.deviation is not None and verdict.deviation.of not in FLOATS:
        return "--max-deviation 0.05 allows a twentieth of the largest number"
    if verdict.status is Status.UNDECIDED:
        return "nothing differed; the inputs could not have shown every mistake"
    return "rounding alone moves these outputs too far to say more"


def _numbers(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """What was compared, and how near it came to its tolerance."""
    judged = verdict.deviation is None or verdict.deviation.of in FLOATS
    worst = _against(verdict) or (verdict.worst if judged else None)
    if worst is not None and worst.ratio == inf:
        yield "largest error", f"not measured: {printable(worst.reason)}"
    elif worst is not None:
        yield "largest error", f"{worst.error:.3g}, {_part(worst)}"
        yield "", f"{worst.units:.3g} units in the last place"
    if worst is not None:
        yield "where", _place(worst) + (f", at {worst.where}" if worst.where else "")
    if verdict.comparisons:
        outputs = len({one.output for one in verdict.comparisons})
        cases = len({one.case for one in verdict.comparisons})
        yield "compared", f"{_count(outputs, 'output')} of {_count(cases, 'case')}"
    if verdict.deviation is not None:
        yield "deviation", deviation_words(verdict.deviation)
    if arrays := arrays_words(verdict):
        yield "arrays", arrays
    if verdict.power is not None:
        yield "would show", power_in_words(verdict.power)


def power_in_words(power: Power) -> str:
    """How many mistakes of a mapping the comparisons would have shown.

    >>> power_in_words(Power(mistakes=9, redrawn=("the bias doubled in layer 'lstm'",)))
    'all 9 mistakes of a mapping, 1 of them with weights drawn anew'
    """
    counted = power.mistakes - len(power.without_effect)
    shown = counted - len(power.hidden)
    words = (
        f"{'all' if not power.hidden else f'{shown} of'} {_count(counted, 'mistake')} of a mapping"
    )
    if power.redrawn:
        words += f", {len(power.redrawn)} of them with weights drawn anew"
    return words


def _part(one: Comparison) -> str:
    if not one.tolerance:
        return "no tolerance"
    return f"{one.ratio:.3g} of the tolerance {one.tolerance:.3g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
