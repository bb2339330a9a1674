"""LSTM, GRU and RNN.

Shape letters: B batch, T time, I input features, H units, G gates, D directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from converter.activations import Activation
from converter.description import (
    Direction,
    Elementwise,
    Flip,
    Function,
    Merge,
    Recurrent,
    Stored,
    Value,
    Weight,
    WithinLength,
)
from converter.gates import GATES, STATES, Cell, bias_form, kernel_form, peephole_form
from converter.readers.onnx.core import shortest
from converter.readers.onnx.held import (
    Counted,
    Ends,
    Filled,
    Held,
    Kept,
    Known,
    Packed,
    Pieces,
    Read,
    Seen,
)
from converter.readers.onnx.lifting import Lift, lifts
from converter.readers.onnx.messages import Node
from converter.readers.onnx.naming import named_for
from converter.readers.onnx.packing import LENGTHS

CELLS = {"LSTM": Cell.LSTM, "RNN": Cell.RNN}
GRUS = {0: Cell.GRU_RESET_BEFORE, 1: Cell.GRU}
"""By `linear_before_reset`."""

WAYS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""Whether each direction reads from the end."""

USUAL = {
    Cell.LSTM: ("Sigmoid", "Tanh", "Tanh"),
    Cell.GRU: ("Sigmoid", "Tanh"),
    Cell.GRU_RESET_BEFORE: ("Sigmoid", "Tanh"),
    Cell.RNN: ("Tanh",),
}
"""The functions of a node that says none."""

KNOWN = frozenset(
    [
        "activation_alpha",
        "activation_beta",
        "activations",
        "clip",
        "direction",
        "hidden_size",
        "input_forget",
        "layout",
        "linear_before_reset",
        "output_sequence",
    ]
)


@dataclass(frozen=True, slots=True)
class _Form:
    """What a function of a node is here.

    Attributes:
        kind: Of the activation.
        alpha: What it calls ONNX's alpha, and its default there; beta likewise.
    """

    kind: str
    alpha: tuple[str, float] | None = None
    beta: tuple[str, float] | None = None


FUNCTIONS = {
    "affine": _Form("linear", ("scale", 1.0), ("offset", 0.0)),
    "elu": _Form("elu", ("alpha", 1.0)),
    "hardsigmoid": _Form("hard_sigmoid", ("alpha", 0.2), ("beta", 0.5)),
    "leakyrelu": _Form("leaky_relu", ("negative_slope", 0.01)),
    "relu": _Form("relu"),
    "sigmoid": _Form("sigmoid"),
    "softplus": _Form("softplus"),
    "softsign": _Form("softsign"),
    "tanh": _Form("tanh"),
    "thresholdedrelu": _Form("relu", ("threshold", 1.0)),
}
"""By their names in small letters, which is how they are compared."""


@lifts("LSTM", "GRU", "RNN")
def _(lift: Lift, node: Node) -> list[Held | None]:
    return _Reading(lift, node).results()


class _Reading:
    """One node."""

    def __init__(self, lift: Lift, node: Node) -> None:
        self.lift, self.node = lift, node
        given = node.attributes
        if surplus := given.keys() - KNOWN:
            raise lift.refusal(node, f"the attribute {sorted(surplus)[0]}")
        before = given.get("linear_before_reset", 0)
        self.cell = CELLS.get(node.kind) or GRUS[bool(before)]
        self.ways = WAYS[given.get("direction", "forward").lower()]
        self.batch_first = bool(given.get("layout", 0))
        self.units: int = given.get("hidden_size", 0)
        self.clip = shortest(given["clip"]) if given.get("clip") else None
        self.coupled = bool(given.get("input_forget", 0))

    def results(self) -> list[Held | None]:
        given = self.lift.given(self.node, 0)
        packed = given if isinstance(given, Packed) else None
        x = self.lift.as_seen(given.held if packed else given, self.node)
        if len(x.sizes) != 3:
            raise ValueError(f"an input of rank {len(x.sizes)}; expected 3")
        as_it_is = x.order[2] != 2 or x.order[0] == 0
        value = self.lift.value(x) if as_it_is else x.value
        time_major = as_it_is != self.batch_first
        kept = self.kept()
        states = [] if kept else self.initial()
        mask = self.mask_of(packed, time_major) if packed else self.mask(x, value, time_major)
        directions = self.directions()
        layer = Recurrent(
            name=self.lift.name(self.node),
            dtype=x.dtype,
            variable_dtype=x.dtype,
            forward=directions[0],
            backward=directions[1] if len(directions) == 2 else None,
            merge=Merge.SEPARATE if len(directions) == 2 else None,
            return_sequences=True,
            return_state=True,
            time_major=time_major,
            stateful=bool(kept),
            zero_output_for_mask=mask is not None and packed is None,
        )
        masks = (mask, *(None for _ in states)) if mask is not None else ()
        outputs = self.lift.call(layer, value, *states, masks=masks)
        count = len(directions)
        turned = (0, 1, 2) if time_major != self.batch_first else (1, 0, 2)
        sequences = [self.lift.ordered(one, turned) for one in outputs[:count]]
        if self.ways == (True,):
            sequences = [self.reversed(sequences[0], 0 if time_major else 1)]
        ends = outputs[count:]
        each = STATES[self.cell]
        for name, k in kept.items():
            self.lift.kept[name] = tuple(ends[k::each])
        axis = 2 if self.batch_first else 1
        last = [Pieces(axis - 1, tuple(ends[k::each])) for k in range(each)]
        if packed is None:
            return [Pieces(axis, tuple(sequences)), *last]
        names = [*self.node.inputs, *("",) * 8][5 : 5 + each]
        read = Read(outputs[0].value.name, tuple(sequences), self.ways, tuple(names))
        ends_of = [Ends(one, packed.by, read, k) for k, one in enumerate(last)]
        return [Packed(Pieces(axis, tuple(sequences)), packed.by, read), *ends_of]

    def reversed(self, sequence: Seen, axis: int) -> Seen:
        """In the order of time: a layer that reads from the end gives its outputs as it reads."""
        layer = Flip(name=self.lift.name(self.node, f"{sequence.value.name}_in_time"), axes=(axis,))
        (result,) = self.lift.call(layer, sequence.value)
        return self.lift.ordered(result, sequence.order)

    # Weights

    def directions(self) -> list[Direction]:
        count = len(self.ways)
        W, R = (self.weight(k, what) for k, what in ((1, "its weights"), (2, "its weights")))
        gates = len(GATES[self.cell])
        if len(W.shape) != 3 or len(R.shape) != 3:
            raise ValueError(f"weights of shapes {W.shape} and {R.shape}")
        units, inputs = R.shape[2], W.shape[2]
        expected: dict[str, tuple[Stored, tuple[int, ...]]] = {
            "W": (W, (count, gates * units, inputs)),
            "R": (R, (count, gates * units, units)),
        }
        B = self.optional(3)
        if B is not None:
            expected["B"] = (B, (count, 2 * gates * units))
        for name, (found, shape) in expected.items():
            if found.shape != shape or not units:
                raise ValueError(f"{name} of shape {found.shape}; expected {shape}")
        if self.units not in (0, units):
            raise ValueError(f"hidden_size={self.units}, and weights for {units}")
        P = self.optional(7) if self.node.kind == "LSTM" else None
        if P is not None and P.shape != (count, 3 * units):
            raise ValueError(f"P of shape {P.shape}; expected {(count, 3 * units)}")
        self.units = units
        peepholes = peephole_form("onnx")
        form = kernel_form(self.cell, "onnx")
        functions = self.functions()
        return [
            Direction(
                cell=self.cell,
                kernel=Weight((gates, units, inputs), (row(W, d),), form),
                recurrent_kernel=Weight((gates, units, units), (row(R, d),), form),
                bias=None if B is None else self.bias(row(B, d), gates),
                activation=functions[d][0 if self.cell is Cell.RNN else 1],
                recurrent_activation=functions[d][0],
                go_backwards=backwards,
                state_activation=self.state_activation(functions[d]),
                peepholes=None if P is None else Weight((3, units), (row(P, d),), peepholes),
                coupled=self.coupled,
                clip=self.clip,
            )
            for d, backwards in enumerate(self.ways)
        ]

    def weight(self, k: int, what: str) -> Stored:
        known = self.lift.known(self.node, k, what)
        if known is None:
            raise ValueError(f"input {k} is left out")
        return known.stored

    def optional(self, k: int) -> Stored | None:
        known = self.lift.known(self.node, k, "its weights")
        return None if known is None else known.stored

    def bias(self, stored: Stored, gates: int) -> Weight:
        """Two biases; one, where the second is zeros, as of a cell that adds one."""
        half = gates * self.units
        two = self.cell is Cell.GRU or bool(np.any(stored.read()[half:]))
        count = 2 if two else 1
        return Weight((count, gates, self.units), (stored,), bias_form(self.cell, "onnx", count))

    # Functions

    def functions(self) -> list[tuple[Activation, ...]]:
        """The activations of each direction, in the order of the node."""
        usual = USUAL[self.cell]
        names = self.node.attributes.get("activations") or usual * len(self.ways)
        if len(names) != len(usual) * len(self.ways):
            raise ValueError(f"{len(names)} activations; expected {len(usual) * len(self.ways)}")
        alphas = iter(self.node.attributes.get("activation_alpha", ()))
        betas = iter(self.node.attributes.get("activation_beta", ()))
        found = [self.function(name, alphas, betas) for name in names]
        return [tuple(found[k : k + len(usual)]) for k in range(0, len(found), len(usual))]

    def state_activation(self, functions: tuple[Activation, ...]) -> Activation | None:
        """Of the cell state, where it is another than that of the candidate."""
        varied = self.cell is Cell.LSTM and functions[1] != functions[2]
        return functions[2] if varied or (self.clip and self.cell is Cell.LSTM) else None

    def function(self, name: str, alphas: Any, betas: Any) -> Activation:
        """One of them; it takes the next of the numbers, if it has any."""
        form = FUNCTIONS.get(name.lower())
        if form is None:
            raise self.lift.refusal(self.node, f"the activation {name}")
        numbers = {}
        for place, given in ((form.alpha, alphas), (form.beta, betas)):
            if place is not None:
                numbers[place[0]] = shortest(next(given, place[1]))
        if form.kind == "linear":
            if numbers != {"scale": 1.0, "offset": 0.0}:
                raise self.lift.refusal(self.node, f"the activation {name} with {numbers}")
            return Activation("linear")
        return Activation.of(form.kind, **numbers)

    # Inputs beside the sequence

    def kept(self) -> dict[str, int]:
        """The states that the layer keeps, by the names of the inputs that hold them."""
        each = STATES[self.cell]
        given = [self.lift.given(self.node, 5 + k) for k in range(each)]
        if not any(isinstance(one, Kept) for one in given):
            return {}
        names = {one.name: k for k, one in enumerate(given) if isinstance(one, Kept)}
        if len(names) < each or names.keys() & self.lift.kept.keys():
            raise self.lift.refusal(self.node, "states that several nodes keep, or some of them")
        return names

    def initial(self) -> list[Value]:
        """The initial states of each direction in turn; none where all are zeros."""
        count, each = len(self.ways), STATES[self.cell]
        given = [self.lift.given(self.node, 5 + k) for k in range(each)]
        if all(is_zero(one) for one in given):
            return []
        parts: list[list[Seen | None]] = []
        for held in given:
            if is_zero(held):
                parts.append([None] * count)
                continue
            axis = 1 if self.batch_first else 0
            parts.append([self.lift.index(held, axis, d, self.node) for d in range(count)])
        states: list[Value] = []
        for d in range(count):
            some = next(part[d] for part in parts if part[d] is not None)
            states += [self.state(part[d], some) for part in parts]
        return states

    def state(self, part: Seen | None, like: Seen | None) -> Value:
        """(B, H); zeros where that is None."""
        if part is not None:
            return self.lift.value(part)
        if like is None:
            raise TypeError("no state to be like")
        zeros = Elementwise(
            name=self.lift.name(self.node, f"{self.node.name or 'state'}_zeros"),
            function=Function.ZEROS_LIKE,
            operands=(None,),
        )
        return self.lift.call(zeros, self.lift.value(like))[0].value

    def mask_of(self, packed: Packed, time_major: bool) -> Value:
        """The mask by which the steps were packed, whose lengths the node must have."""
        lengths = self.lift.given(self.node, 4)
        if lengths != Counted(packed.by, LENGTHS) or self.batch_first:
            raise self.lift.refusal(self.node, "packed steps, and other lengths than theirs")
        by = packed.by.turned((1, 0)) if time_major else packed.by
        return self.lift.value(by)

    def mask(self, x: Seen, value: Value, time_major: bool) -> Value | None:
        """Which steps count, by `sequence_lens`."""
        held = self.lift.given(self.node, 4)
        if held is None:
            return None
        time = x.sizes[1 if self.batch_first else 0]
        if isinstance(held, Filled) and held.number == time:
            return None
        if isinstance(held, Known) and all(one == time for one in held.items()):
            return None
        lengths = self.lift.value(self.lift.as_seen(held, self.node))
        layer = WithinLength(
            name=self.lift.name(self.node, f"{named_for(self.node)}_mask"), time_major=time_major
        )
        return self.lift.call(layer, value, lengths)[0].value


def row(stored: Stored, k: int) -> Stored:
    """One direction's part of a tensor."""
    return Stored(f"{stored.name}[{k}]", stored.shape[1:], stored.dtype, lambda: stored.read()[k])


def is_zero(held: Held | None) -> bool:
    """Whether an initial state is zeros."""
    match held:
        case None:
            return True
        case Filled():
            return held.number == 0
        case Known():
            return not held.is_symbolic and not np.any(held.read())
    return False
