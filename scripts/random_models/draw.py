"""Plans: a recurrent layer by a row of options, and other layers around it at random."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, islice
from typing import Any

from scripts.random_models.covering import Row, covering
from scripts.random_models.options import OPTIONS, allowed
from scripts.random_models.plan import Node, Plan

BATCH = 3
LONGEST = 6
VOCABULARY = 7
MOST_AROUND = 6

Shape = tuple[int | None, ...]
"""Of a tensor without its batch; None is a free axis."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the plan."""

    name: str
    shape: Shape


@dataclass(slots=True)
class Drawing:
    """A plan that is being drawn.

    Attributes:
        row: The options of its recurrent layer.
        choose: Decides all else.
        open: The values that nothing has used: at last, the outputs.
    """

    row: Row
    choose: random.Random
    nodes: list[Node] = field(default_factory=list)
    open: list[Value] = field(default_factory=list)

    def add(
        self,
        kind: str,
        config: dict[str, Any],
        inputs: Sequence[Value],
        shapes: Sequence[Shape],
        *,
        states: Sequence[Value] = (),
        mask: Value | None = None,
        **more: Any,
    ) -> list[Value]:
        """A node and its values, with a name such as people give."""
        ending = self.choose.choice(("", "", "", "-x", ".y"))
        name = f"{kind.lower()}{ending}_{len(self.nodes)}"
        used = [*inputs, *states, *([mask] if mask else [])]
        self.open = [value for value in self.open if value not in used]
        self.nodes.append(
            Node(
                name=name,
                kind=kind,
                config=config,
                inputs=tuple(value.name for value in inputs),
                states=tuple(value.name for value in states),
                mask=mask.name if mask else None,
                **more,
            )
        )
        values = [Value(f"{name}:{k}" if k else name, shape) for k, shape in enumerate(shapes)]
        self.open += values
        return values

    def input(self, shape: Shape, dtype: str = "float32") -> Value:
        """An input of the model; a stateful one has a fixed batch."""
        batch = BATCH if self.row["state"] == "stateful" else None
        return self.add("Input", {"batch_shape": (batch, *shape), "dtype": dtype}, [], [shape])[0]


def plans(seed: int, start: int = 0) -> Iterator[Plan]:
    """Those of the covering array, then others without end; the same for the same seed.

    Args:
        seed: Of all that is drawn.
        start: The number of the first one that is wanted.
    """
    rows = chain(_covering_rows(seed), _random_rows(seed))
    for number, row in enumerate(islice(rows, start, None), start):
        yield drawn(row, f"{seed}/{number}")


@cache
def _covering_rows(seed: int) -> tuple[Row, ...]:
    return tuple(covering(OPTIONS, allowed, seed))


def _random_rows(seed: int) -> Iterator[Row]:
    choose = random.Random(f"{seed}/rows")
    while True:
        row = {name: choose.choice(values) for name, values in OPTIONS.items()}
        if allowed(row):
            yield row


def drawn(row: Row, seed: str) -> Plan:
    """The plan of a row."""
    choose = random.Random(seed)
    drawing = Drawing(row, choose)
    _recurrent(drawing, _read_by_it(drawing))
    chain_only = row["structure"] == "Sequential"
    for _ in range(choose.randint(0, MOST_AROUND)):
        _one_more(drawing, chain_only)
    return Plan(
        nodes=tuple(drawing.nodes),
        outputs=tuple(value.name for value in drawing.open),
        sequential=chain_only,
        keras=row["keras"],
        calls=2 if row["state"] == "stateful" else 1,
        seed=choose.randrange(2**31),
    )


def _read_by_it(drawing: Drawing) -> Value:
    """A sequence, with a mask where the row wants one."""
    row, choose = drawing.row, drawing.choose
    time = None if row["time"] == "free" else choose.randint(1, LONGEST)
    features = choose.randint(1, 4)
    if row["mask"] == "Embedding":
        ids = drawing.input((time,), "int32")
        config = {"input_dim": VOCABULARY, "output_dim": features, "mask_zero": True}
        return drawing.add("Embedding", config, [ids], [(time, features)])[0]
    space = {"ConvLSTM1D": (4,), "ConvLSTM2D": (4, 3)}.get(row["cell"], ())
    value = drawing.input((time, *space, features))
    if row["mask"] == "Masking":
        return drawing.add("Masking", {"mask_value": 0.0}, [value], [value.shape])[0]
    if not space:
        for _ in range(choose.randint(0, 2)):
            name = choose.choice(("Dense", "Conv1D", "LayerNormalization", "LSTM"))
            value = _called(drawing, name, value)
    return value


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A recurrent layer of one direction: its class, its arguments, its states' shapes."""

    kind: str
    config: dict[str, Any]
    states: tuple[Shape, ...]

    def layer(self, **changes: Any) -> dict[str, Any]:
        """To stand inside another one."""
        return {"kind": self.kind, "config": self.config | changes}


def _of_row(drawing: Drawing, read: Value) -> Recurrent:
    """The layer that the row asks for."""
    row, choose = drawing.row, drawing.choose
    units = choose.randint(1, 5)
    settings = {name: row[name] for name in ("return_sequences", "return_state", "go_backwards")}
    settings["stateful"] = row["state"] == "stateful"
    kind = row["cell"]
    if kind.startswith("ConvLSTM"):
        sizes = [choose.randint(1, 3) for _ in read.shape[1:-1]]
        padding = choose.choice(("same", "valid"))
        steps = (
            None if n is None else n - (size - 1) * (padding == "valid")
            for n, size in zip(read.shape[1:-1], sizes, strict=True)
        )
        words = ("activation", "recurrent_activation", "use_bias")
        config = {"filters": units, "kernel_size": sizes, "padding": padding}
        config |= {name: row[name] for name in words}
        step = (*steps, units)
        return Recurrent(kind, config | settings, (step, step))
    settings |= {
        "unroll": row["time"] == "unrolled",
        "zero_output_for_mask": row["zero_output_for_mask"],
    }
    if kind == "cells":
        kinds = [choose.choice(("LSTMCell", "GRUCell", "SimpleRNNCell")) for _ in range(2)]
        cells = [{"kind": one, "config": _cell(row, one, units)} for one in kinds]
        return Recurrent(
            "RNN", {"cell": cells, **settings}, ((units,),) * sum(map(_state_count, kinds))
        )
    states = ((units,),) * _state_count(kind)
    if kind.endswith("Cell"):
        cell = {"kind": kind, "config": _cell(row, kind, units)}
        return Recurrent("RNN", {"cell": cell, **settings}, states)
    return Recurrent(kind.split()[0], _cell(row, kind, units) | settings, states)


def _state_count(kind: str) -> int:
    return 2 if "LSTM" in kind else 1


def _cell(row: Row, kind: str, units: int) -> dict[str, Any]:
    config = {"units": units, "activation": row["activation"], "use_bias": row["use_bias"]}
    if "SimpleRNN" not in kind:
        config["recurrent_activation"] = row["recurrent_activation"]
    if kind == "GRU reset before":
        config["reset_after"] = False
    return config


def _recurrent(drawing: Drawing, read: Value) -> None:
    """The layer of the row, in one direction or two, called once or twice, or in a model inside."""
    row = drawing.row
    one = _of_row(drawing, read)
    directions = 1 if row["merge"] == "one direction" else 2
    states = one.states * directions
    step = one.states[0]
    whole = (read.shape[0], *step) if row["return_sequences"] else step
    shapes = [whole]
    if row["merge"] is None:
        shapes = [whole, whole]
    elif row["merge"] == "concat":
        shapes = [_doubled(whole)]
    shapes += states if row["return_state"] else ()
    kind, config = one.kind, one.config
    if directions == 2:
        kind = "Bidirectional"
        config = {"layer": one.layer(), "merge_mode": row["merge"]}
    if row["structure"] == "nested":
        _nested(drawing, kind, config, read, shapes[0])
        return
    given: list[Value] = []
    if row["state"] == "inputs":
        given = [drawing.input(shape) for shape in states]
    elif row["state"] == "encoder":
        given = [value for _ in range(directions) for value in _last_states(drawing, one, read)]
    mask = drawing.input(read.shape[:1], "bool") if row["mask"] == "given" else None
    drawing.add(kind, config, [read], shapes, states=given, mask=mask)
    if row["structure"] == "shared":
        again = drawing.input(read.shape)
        drawing.add(kind, {}, [again], shapes, shares=drawing.nodes[-2].name)


def _last_states(drawing: Drawing, one: Recurrent, read: Value) -> list[Value]:
    """Of another layer of the same kind, which reads an input of its own."""
    config = one.config | {"return_state": True, "return_sequences": False}
    source = drawing.input(read.shape)
    output, *states = drawing.add(one.kind, config, [source], [one.states[0], *one.states])
    if drawing.choose.random() < 0.5:
        drawing.open.remove(output)
    return states


def _nested(drawing: Drawing, kind: str, config: dict[str, Any], read: Value, shape: Shape) -> None:
    """A model inside: the layer, and a Dense behind it."""
    units = drawing.choose.randint(1, 4)
    given = {"batch_shape": (None, *read.shape), "dtype": "float32"}
    inside = Plan(
        nodes=(
            Node(name="given", kind="Input", config=given),
            Node(name="inner", kind=kind, config=config, inputs=("given",)),
            Node(name="dense", kind="Dense", config={"units": units}, inputs=("inner",)),
        ),
        outputs=("dense",),
        sequential=drawing.choose.random() < 0.5,
        keras=drawing.row["keras"],
    )
    drawing.add("Plan", {}, [read], [(*shape[:-1], units)], plan=inside)


def _one_more(drawing: Drawing, chain_only: bool) -> None:
    """A layer on one of the open values; one that is used stays open for others at times."""
    choose = drawing.choose
    value = choose.choice(drawing.open)
    names = [name for name, takes in LAYERS.items() if takes(value.shape)]
    result = _called(drawing, choose.choice(names), value)
    if not chain_only and choose.random() < 0.3 and value.shape == result.shape:
        kind = choose.choice(("Add", "Multiply", "Average", "Maximum", "Concatenate"))
        shape = value.shape
        if kind == "Concatenate":
            shape = _doubled(shape)
        drawing.add(kind, {}, [value, result], [shape])


def _any(shape: Shape) -> bool:
    return bool(shape)


def _sequence(shape: Shape) -> bool:
    return len(shape) == 2


def _vector(shape: Shape) -> bool:
    return len(shape) == 1


def _fixed(shape: Shape) -> bool:
    return None not in shape


LAYERS = {
    "Dense": _any,
    "Activation": _any,
    "Dropout": _any,
    "LayerNormalization": _any,
    "BatchNormalization": _any,
    "Flatten": _fixed,
    "Conv1D": _sequence,
    "TimeDistributed": _sequence,
    "LSTM": _sequence,
    "GRU": _sequence,
    "Bidirectional": _sequence,
    "GlobalAveragePooling1D": _sequence,
    "GlobalMaxPooling1D": _sequence,
    "RepeatVector": _vector,
    "Reshape": _vector,
}
"""What may stand around the recurrent layer, and on which shapes."""


def _called(drawing: Drawing, name: str, value: Value) -> Value:
    """One of `LAYERS`, with arguments drawn."""
    choose, shape = drawing.choose, value.shape
    units = choose.randint(1, 5)
    wider = (*shape[:-1], units)
    activation = {"activation": choose.choice(("linear", "relu", "tanh", "sigmoid"))}
    config: dict[str, Any] = {}
    match name:
        case "Dense":
            config, shape = {"units": units, **activation}, wider
        case "Activation":
            config = activation
        case "Dropout":
            config = {"rate": 0.3}
        case "LayerNormalization" | "BatchNormalization":
            config = {"epsilon": 0.1}  # so that a row of equal numbers is no singular place
        case "Flatten":
            shape = (_product(shape),)
        case "Conv1D":
            padding = choose.choice(("same", "causal"))
            size = choose.randint(1, 3)
            config = {"filters": units, "kernel_size": size, "padding": padding, **activation}
            shape = wider
        case "TimeDistributed":
            config, shape = {"layer": {"kind": "Dense", "config": {"units": units}}}, wider
        case "LSTM" | "GRU":
            config, shape = {"units": units, "return_sequences": True}, wider
        case "Bidirectional":
            layer = {"kind": "GRU", "config": {"units": units}}
            config, shape = {"layer": layer}, (2 * units,)
        case "GlobalAveragePooling1D" | "GlobalMaxPooling1D":
            shape = shape[1:]
        case "RepeatVector":
            config, shape = {"n": units}, (units, *shape)
        case "Reshape":
            config, shape = {"target_shape": [-1, 1]}, (shape[0], 1)
    return drawing.add(name, config, [value], [shape])[0]


def _doubled(shape: Shape) -> Shape:
    """With a last axis twice as long."""
    return (*shape[:-1], 2 * (shape[-1] or 0))


def _product(shape: Shape) -> int:
    total = 1
    for size in shape:
        total *= size or 1
    return total
