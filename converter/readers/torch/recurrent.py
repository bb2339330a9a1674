"""Which tensors of a checkpoint are layers, by their names and shapes: those of torch.nn.

nn.LSTM, nn.GRU and nn.RNN name their tensors weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0,
weight_hr_l0 and those with _reverse; their cells leave _l0 out. H is by the columns of weight_hh,
or of weight_hr with a projection; how many times H the rows are says which of the three it is.

Shape letters: F features, H units, P projection, G gates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from converter.description import Direction, Stored, Weight
from converter.dtypes import is_float
from converter.gates import Cell, kernel_form, split_bias_form

_NAME = re.compile(r"((?:.*[./])?)(weight|bias)_(ih|hh|hr)(?:_l(\d{1,4})(_reverse)?)?", re.DOTALL)

CELLS = {4: Cell.LSTM, 3: Cell.GRU, 1: Cell.RNN}
"""By the number of gates."""

WORDS = {Cell.LSTM: "LSTM", Cell.GRU: "GRU", Cell.RNN: "RNN"}
"""What torch.nn calls them."""

Roles = dict[str, Stored]
"""The tensors of one direction: "weight_ih", "bias_hh", ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchRecurrent:
    """An nn.LSTM, nn.GRU, nn.RNN, or one of their cells.

    Attributes:
        name: Of the module: "model/encoder.lstm"; "" for a state dict of the module alone.
        what: "LSTM", "GRU", "RNN", and "Cell" behind it; "" where the tensors do not say it.
        inputs: F of the first layer.
        units: H.
        projection: P, or 0.
        bidirectional: Of two directions.
        biases: Of each direction: 0 or 2.
        depth: How many layers.
        levels: The directions of each layer; none where Keras has no such layer.
        arrays: Every tensor.
        problem: Why they are not such a module, in words; "" where they are one.
    """

    name: str
    what: str = ""
    inputs: int = 0
    units: int = 0
    projection: int = 0
    bidirectional: bool = False
    biases: int = 0
    depth: int = 0
    levels: tuple[tuple[Direction, ...], ...] = ()
    arrays: tuple[Stored, ...]
    problem: str = ""

    @property
    def parameters(self) -> int:
        """As PyTorch counts them."""
        return sum(Weight(one.shape, (one,)).size for one in self.arrays)

    @property
    def keras_parameters(self) -> int | None:
        """As Keras counts them: one bias for an LSTM or a SimpleRNN; None where it has no such."""
        if not self.levels:
            return None
        return sum(
            direction.kernel.size
            + direction.recurrent_kernel.size
            + (0 if direction.bias is None else direction.bias.size // _share(direction.cell))
            for directions in self.levels
            for direction in directions
        )


def _share(cell: Cell) -> int:
    return 1 if cell is Cell.GRU else 2


@dataclass(slots=True)
class _Group:
    """The tensors of one module, by the number of the layer and the direction."""

    name: str
    cells: bool
    directions: dict[tuple[int, bool], Roles] = field(default_factory=dict)

    @property
    def arrays(self) -> tuple[Stored, ...]:
        return tuple(one for roles in self.directions.values() for one in roles.values())


def recurrent_modules(
    tensors: Mapping[str, Stored],
) -> tuple[list[TorchRecurrent], dict[str, Stored]]:
    """The recurrent modules in the order in which they come, and the tensors that are in none."""
    groups: dict[tuple[str, bool], _Group] = {}
    others: dict[str, Stored] = {}
    for name, stored in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None:
            others[name] = stored
            continue
        prefix, kind, side, number, back = match.groups()
        key = prefix, number is None
        group = groups.setdefault(key, _Group(prefix[:-1], number is None))
        roles = group.directions.setdefault((int(number or 0), bool(back)), {})
        role = f"{kind}_{side}"
        if role in roles:  # l0 and l00
            others[name] = stored
        else:
            roles[role] = stored
    return [_module(group) for group in groups.values()], others


def _module(group: _Group) -> TorchRecurrent:
    numbers = sorted({number for number, _ in group.directions})
    backs = {back for _, back in group.directions}
    whole = {(number, back) for number in range(len(numbers)) for back in backs}
    if set(group.directions) != whole or False not in backs:
        return _no(group, "layers or directions are missing")
    first = group.directions[0, False]
    if not {"weight_ih", "weight_hh"} <= first.keys():
        return _no(group, f"{', '.join(sorted(first))} alone")
    if any(roles.keys() != first.keys() for roles in group.directions.values()):
        return _no(group, "its layers or directions have not the same tensors")
    if ("bias_ih" in first) != ("bias_hh" in first):
        return _no(group, "one bias, where torch.nn has two or none")
    state = first.get("weight_hr", first["weight_hh"])
    if any(len(one.shape) != 2 for one in (first["weight_ih"], first["weight_hh"], state)):
        return _no(group, f"weights of shape {first['weight_ih'].shape}, {state.shape}")
    units, rows = state.shape[1], first["weight_hh"].shape[0]
    gates = rows // units if units else 0
    cell = CELLS.get(gates)
    projection = first["weight_hr"].shape[0] if "weight_hr" in first else 0
    if cell is None or rows != gates * units or (projection and cell is not Cell.LSTM):
        return _no(group, f"{rows} rows of weight_hh for {units} units, which is 4, 3 or 1 of none")
    inputs = first["weight_ih"].shape[1]
    wide = inputs
    for number in numbers:
        for back in sorted(backs):
            roles = group.directions[number, back]
            expected = _shapes(gates, units, wide, projection)
            for role, one in roles.items():
                if one.shape != expected[role]:
                    return _no(group, f"{role} {one.shape}; expected {expected[role]}")
                if not is_float(one.dtype):
                    return _no(group, f"{role} of {one.dtype}")
        wide = (projection or units) * len(backs)
    levels = [
        tuple(_direction(cell, group.directions[number, back], back) for back in sorted(backs))
        for number in numbers
    ]
    return TorchRecurrent(
        name=group.name,
        what=WORDS[cell] + ("Cell" if group.cells else ""),
        inputs=inputs,
        units=units,
        projection=projection,
        bidirectional=len(backs) == 2,
        biases=2 if "bias_ih" in first else 0,
        depth=len(levels),
        levels=() if projection else tuple(levels),
        arrays=group.arrays,
    )


def _no(group: _Group, problem: str) -> TorchRecurrent:
    return TorchRecurrent(name=group.name, arrays=group.arrays, problem=problem)


def _shapes(gates: int, units: int, inputs: int, projection: int) -> dict[str, tuple[int, ...]]:
    rows = gates * units
    return {
        "weight_ih": (rows, inputs),
        "weight_hh": (rows, projection or units),
        "weight_hr": (projection, units),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
    }


def _direction(cell: Cell, roles: Roles, back: bool) -> Direction:
    kernel, recurrent_kernel = roles["weight_ih"], roles["weight_hh"]
    gates = {cell: count for count, cell in CELLS.items()}[cell]
    form = kernel_form(cell, "torch")
    units = kernel.shape[0] // gates
    bias = None
    if "bias_ih" in roles:
        both = roles["bias_ih"], roles["bias_hh"]
        bias = Weight((2, gates, units), both, split_bias_form(cell, "torch", 2))
    return Direction(
        cell=cell,
        kernel=Weight((gates, units, kernel.shape[1]), (kernel,), form),
        recurrent_kernel=Weight((gates, units, units), (recurrent_kernel,), form),
        bias=bias,
        go_backwards=back,
    )


def directions_of(one: TorchRecurrent) -> Iterator[tuple[int, Direction]]:
    """Each direction with the number of its layer."""
    for number, directions in enumerate(one.levels):
        yield from ((number, direction) for direction in directions)
