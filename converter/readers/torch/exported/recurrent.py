"""nn.LSTM, nn.GRU and nn.RNN: a layer for each of their layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from converter.activations import TANH, Activation
from converter.description import (
    Direction,
    Dropout,
    Elementwise,
    Function,
    Merge,
    Noise,
    Recurrent,
    Value,
    Weight,
)
from converter.gates import STATES, Cell, kernel_form, split_bias_form
from converter.readers.torch.exported.held import (
    Filled,
    Held,
    Lifted,
    Packed,
    Sorted,
    Stacked,
    computing,
    settings,
    weight_of,
    whole,
)
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Parameter, Step

CELLS = {
    "LSTM": (Cell.LSTM, TANH),
    "GRU": (Cell.GRU, TANH),
    "RNN_TANH": (Cell.RNN, TANH),
    "RNN_RELU": (Cell.RNN, Activation.of("relu")),
}

BATCH_FIRST = (1, 0, 2)


@dataclass(frozen=True, slots=True)
class Begin:
    """What a recurrent layer of PyTorch begins with.

    Attributes:
        states: For each layer and direction its h, and its c; () for zeros.
        buffers: In which the module keeps them from one call to the next; () where it does not.
    """

    states: tuple[tuple[Value, ...], ...]
    buffers: tuple[Parameter, ...] = ()


@lifts("ifco.recurrent")
def _(lifting: Lifting, step: Step) -> Lifted:
    """A layer for each layer, both directions in one, with a dropout between."""
    count = 2 if step["bidirectional"] else 1
    cell, _ = CELLS[step["kind"]]
    packed = _packed(lifting, step)
    tensor = packed.x if packed else lifting.tensor(step["x"])
    batch_first = packed is not None or step["batch_first"]
    x = lifting.arranged(tensor, range(3) if batch_first else BATCH_FIRST)
    weights = _weights(lifting, step, count)
    start = begin(lifting, step, STATES[cell], step["layers"] * count)
    finals: list[Sequence[Value]] = []
    for k in range(step["layers"]):
        part = f"_l{k}" if step["layers"] > 1 else ""
        if k and step["dropout"]:
            name = lifting.name(step, f"_l{k - 1}_dropout")
            rate = float(step["dropout"])
            between = Dropout(name=name, noise=Noise.DROPOUT, rate=rate, **computing(x.dtype))
            (x,) = lifting.call(between, (x,), x.dtype)
        own = weights[k * count : (k + 1) * count]
        make = _maker(step, own, x.dtype, stateful=bool(start.buffers), masked=packed is not None)
        layer = lifting.shared(step, make, part=part)
        states = [one for each in start.states[k * count : (k + 1) * count] for one in each]
        masks = () if packed is None else (packed.mask, *(None for _ in states))
        x, *last = lifting.call(layer, (x, *states), x.dtype, masks)
        finals += [last[i : i + STATES[cell]] for i in range(0, len(last), STATES[cell])]
    first, second, _ = tensor.sizes
    axes = (0, 1, 2) if batch_first else BATCH_FIRST
    batch = first if batch_first else second
    stacks = tuple(
        Stacked(tuple(whole(own[k], (batch, own[k].shape[1])) for own in finals))  # type: ignore[arg-type]
        for k in range(STATES[cell])
    )
    if start.buffers:
        lifting.keeps(step, start.buffers, stacks)
    result = Held(x, axes, (first, second, count * weights[0][1].shape[1]))
    if packed is None:
        return (result, *stacks)
    order = packed.order
    if order is None:
        return (Packed(result, packed.mask, None), *stacks)
    return (Packed(result, packed.mask, order), *(Sorted(one, order) for one in stacks))


def _packed(lifting: Lifting, step: Step) -> Packed | None:
    """The input, if it is packed.

    Raises:
        UnsupportedError: It is, and something was computed with its steps.
    """
    if step["lengths"] is None:
        return None
    given = lifting.of(step["x"])
    if isinstance(given, Packed):
        return given
    raise refusal(
        step,
        "a packed sequence whose steps were computed with outside of a recurrent layer",
        "compute with the padded sequence, and pack it behind that",
        "packed",
    )


def _weights(lifting: Lifting, step: Step, count: int) -> list[list[Parameter]]:
    """Those of each layer and direction: kernels, and biases if there are some."""
    given = [lifting.parameter(step, one) for one in step["weights"]]
    each = len(given) // (step["layers"] * count)
    if each > (4 if step["has_biases"] else 2):
        raise refusal(
            step,
            f"proj_size={given[each - 1].shape[0]}: a matrix between the cell and its state",
            "no layer of Keras has one; train it with proj_size=0",
            "proj-size",
        )
    return [given[k : k + each] for k in range(0, len(given), each)]  # type: ignore[misc]


def _maker(
    step: Step,
    weights: Sequence[Sequence[Parameter]],
    dtype: str,
    *,
    stateful: bool,
    masked: bool,
) -> Callable[[str], Recurrent]:
    """Gives a layer a name."""

    def make(name: str) -> Recurrent:
        directions = [_direction(step, own, k == 1) for k, own in enumerate(weights)]
        return Recurrent(
            name=name,
            forward=directions[0],
            backward=directions[1] if len(directions) > 1 else None,
            merge=Merge.CONCAT if len(directions) > 1 else None,
            return_sequences=True,
            return_state=True,
            stateful=stateful,
            zero_output_for_mask=masked,
            **settings(*(one for own in weights for one in own), dtype=dtype),
        )

    return make


def _direction(step: Step, weights: Sequence[Parameter], backward: bool) -> Direction:
    """The weights of one direction, both biases apart."""
    cell, activation = CELLS[step["kind"]]
    kernel, recurrent_kernel, *biases = weights
    form = kernel_form(cell, "torch")
    return Direction(
        cell=cell,
        kernel=weight_of([kernel], form),
        recurrent_kernel=weight_of([recurrent_kernel], form),
        bias=bias_of(cell, biases),
        activation=activation,
        go_backwards=backward,
    )


def bias_of(cell: Cell, biases: Sequence[Parameter]) -> Weight | None:
    """The biases of a direction as one weight; None without any.

    Zeros that are not trained stand in the second where there is one bias, as `convert` writes it.
    """
    if not biases:
        return None
    second = biases[1]
    alone = cell is not Cell.GRU and not second.trained and not second.read().any()
    return weight_of(biases, split_bias_form(cell, "torch", 1 if alone else 2))


def begin(lifting: Lifting, step: Step, states: int, layers: int) -> Begin:
    """The states of the first step, of each layer and direction: `layers` of them."""
    lifted = [_in_order(lifting.of(ref)) for ref in step["states"]]
    zeros = [isinstance(one, Filled) and not one.number for one in lifted]
    if all(zeros):
        return Begin(((),) * layers)
    buffers = [one for one in lifted if isinstance(one, Parameter)]
    kept = [one for one in buffers if one.name in lifting.traced.changed]
    if kept:
        if len(kept) < states or any(one.read().any() for one in kept):
            raise refusal(
                step,
                f"states in {', '.join(one.name for one in kept)} that are not zeros, or not all",
                "set them to zeros before the module is read, as a layer of Keras begins",
                "kept-state",
            )
        return Begin(((),) * layers, tuple(kept))
    parts = [
        None if zero else _parts(lifting, one, layers)
        for one, zero in zip(lifted, zeros, strict=True)
    ]
    return Begin(
        tuple(
            tuple(_state(lifting, [None if own is None else own[k] for own in parts]))
            for k in range(layers)
        )
    )


def _in_order(lifted: Lifted) -> Lifted:
    """States as they were before the examples were sorted, as the input is."""
    return lifted.inner if isinstance(lifted, Sorted) else lifted


def _parts(lifting: Lifting, lifted: Lifted, layers: int) -> list[Value]:
    """A tensor of states (layers and directions, B, H) as that of each."""
    if isinstance(lifted, Stacked):
        return [lifting.plain(part) for part in lifted.parts]
    held = lifting.as_held(lifted, "states")
    return [
        lifting.plain(lifting.selected(lifting.unique(f"{held.value.name}_{k}"), held, 0, k))
        for k in range(layers)
    ]


def _state(lifting: Lifting, own: Sequence[Value | None]) -> Iterator[Value]:
    """h, and c; zeros for the one that is not given."""
    known = next(one for one in own if one is not None)
    for one in own:
        if one is not None:
            yield one
            continue
        name = lifting.unique(f"{known.name}_zeros")
        layer = Elementwise(
            name=name, function=Function.ZEROS_LIKE, operands=(None,), **computing(known.dtype)
        )
        yield from lifting.call(layer, (known,), known.dtype)


@lifts("aten.lstm_cell", "aten.gru_cell", "aten.rnn_tanh_cell", "aten.rnn_relu_cell")
def _(_lifting: Lifting, step: Step) -> Lifted:
    """A cell in a loop, which a trace shows step by step for one number of steps."""
    raise refusal(
        step,
        "a cell of one step, and a loop that fixes how many there are",
        "nn.LSTM, nn.GRU and nn.RNN run the loop; their weights are the cell's, with _l0 behind",
        "cell-loop",
    )
