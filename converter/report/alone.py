"""What `ifco inspect` finds in weights without an architecture, and what it cannot find."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from converter.description import Direction
from converter.readers.keras.alone import FORM, Alone, Loose
from converter.readers.keras.inferred import UNKNOWN
from converter.report.console import columns, show
from converter.report.words import printable

UNKNOWN_OF_ALL = (
    "activations, return_sequences, go_backwards, masks: they are settings, not weights",
    "layers without weights, and how the layers follow each other",
)
"""What no file of weights says."""

BIASES = {0: "none", 1: "one", 2: "two"}


def alone_as_dict(found: Alone) -> dict[str, Any]:
    """Plain values for JSON; the schema has a version."""
    return {
        "schema": 1,
        "path": found.path,
        "form": FORM,
        "version": found.version,
        "sha256": found.sha256,
        "layers": [_layer(one) for one in found.layers],
        "unknown": unknown(found),
    }


def unknown(found: Alone) -> list[str]:
    """What cannot be known, in words."""
    gru = [one.name for one in found.layers if UNKNOWN in one.what]
    more = (
        [f"whether {', '.join(gru)} resets before or after the product: it has no bias"]
        if gru
        else []
    )
    return [*UNKNOWN_OF_ALL, *more]


def _layer(one: Loose) -> dict[str, Any]:
    first = one.directions[0] if one.directions else None
    return {
        "name": one.name,
        "what": one.what,
        "features": first.inputs if first else None,
        "units": first.units if first else None,
        "directions": len(one.directions),
        "biases": None if first is None else _biases(first),
        "arrays": [
            {"name": stored.name, "shape": stored.shape, "dtype": str(stored.dtype)}
            for stored in one.arrays
        ],
    }


def _biases(direction: Direction) -> int:
    return 0 if direction.bias is None else direction.bias.shape[0]


def show_alone(console: Console, found: Alone) -> None:
    """Print it: the header, a line a layer, what is not known, and what can be done."""
    show(console, Text(printable(found.path), style="bold"))
    header = columns("", "")
    header.add_row("form", FORM)
    header.add_row("written by", f"Keras {printable(found.version) or 'of unknown version'}")
    header.add_row("sha256", printable(found.sha256[:12]))
    show(console, header, indent=2)
    show(console, "")
    table = columns(
        "layer",
        "by its arrays",
        "features",
        "units",
        "directions",
        "biases",
        "arrays",
        right=(2, 3),
    )
    for one in found.layers:
        row = _layer(one)
        recurrent = bool(one.directions)
        table.add_row(
            printable(one.name),
            printable(one.what) or "not known",
            str(row["features"]) if recurrent else "",
            str(row["units"]) if recurrent else "",
            ("forward, backward" if len(one.directions) == 2 else "one") if recurrent else "",
            BIASES[row["biases"]] if recurrent else "",
            _arrays(one),
        )
    show(console, table, indent=2)
    show(console, "")
    show(console, Text("not in the file", style="bold"))
    for line in unknown(found):
        show(console, Text(printable(line)), indent=2)
    show(console, "")
    for text in (
        "--arch model.json, or another saved model of this architecture, makes it a whole model",
        "--to state-dict of ifco convert takes the recurrent layers out, for nn.LSTM and nn.GRU",
    )[: 2 if any(one.directions for one in found.layers) else 1]:
        show(console, Text(f"help:  {text}"), indent=2)


def _arrays(one: Loose) -> str:
    """Their own names and shapes, or how many there are."""
    if len(one.arrays) > 6:  # those of Keras 1, one a gate
        return f"{len(one.arrays)} arrays"
    words = [
        f"{printable(stored.name.rsplit('/', 1)[-1].split(':')[0])} {stored.shape}"
        for stored in one.arrays
    ]
    half = len(words) // 2
    if len(one.directions) == 2 and words[:half] == words[half:]:
        return ", ".join(words[:half]) + ", twice"
    return ", ".join(words)
