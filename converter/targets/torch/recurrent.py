"""Recurrent layers: nn.LSTM, nn.GRU, nn.RNN, or a cell class where they cannot say it.

Two directions of one kind are one bidirectional module; others are a module each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from converter.activations import SIGMOID, TANH, Activation
from converter.description import Direction, Drops, Merge, Recurrent, Value, Weight
from converter.gates import (
    AS_IS,
    LAYOUTS,
    STATES,
    Cell,
    Form,
    bias_form,
    kernel_form,
    split_bias_form,
)
from converter.targets.torch.emit import callable_text, emit
from converter.targets.torch.source import Source, is_mixed

RELU = Activation.of("relu")

SUM = "the sum of two biases, which the class adds as one; it cannot be undone"

CLASSES = {
    Cell.LSTM: "ActivatedLSTM",
    Cell.GRU: "ActivatedGRU",
    Cell.GRU_RESET_BEFORE: "ResetBeforeGRU",
    Cell.RNN: "ActivatedRNN",
}
"""The cell classes of modules.py; dropout_modules.py has each with "Dropout" in front."""


@emit.register(Recurrent)
def _(layer: Recurrent, source: Source) -> None:
    """One module, or one for each direction; then what the layer returns."""
    x, *states = source.inputs
    returned, last = _outputs(layer, source)
    time_axis = 0 if layer.time_major else 1
    if layer.backward is None:
        passes = [_Pass(layer.forward, layer.forward.go_backwards)]
    elif _alike(layer.forward, layer.backward):
        passes = [_Pass(layer.forward, False, layer.backward)]
    else:
        passes = [
            _Pass(layer.forward, layer.forward.go_backwards, part="forward"),
            _Pass(layer.backward, layer.backward.go_backwards, part="backward"),
        ]
    texts: list[str] = []
    finals: list[str] = []
    # With a mask, what is returned last need not be the last state, unless both begin with zeros.
    zeros = not (states or layer.stateful or layer.zero_output_for_mask)
    ends = zeros or not (source.call and source.call.mask)
    used = any(source.uses[value.name] for value in returned)
    for one in passes:
        need_sequence = used and (layer.return_sequences or one.backward is None or not ends)
        need_states = bool(last) or layer.stateful or not need_sequence
        sequence, state_names = _statement(
            layer, one, source, x, states, time_axis, need_sequence, need_states
        )
        count = 1 if one.backward is None else 2
        states = states[STATES[one.direction.cell] * count :]
        if last:
            finals += [f"{name}[{k}]" for k in range(count) for name in state_names]
            source.whole.update((name, count) for name in state_names)
        if not used:
            continue
        if count == 2:
            h = state_names[0] if state_names else ""
            texts += _both(layer, source, sequence, h, one.direction.units)
        elif not layer.return_sequences:
            texts.append(f"{sequence}[-1]" if layer.time_major else f"{sequence}[:, -1]")
        elif one.part == "backward":
            texts.append(f"{sequence}.flip({time_axis})")
        else:
            texts.append(sequence)
    if used:
        _give(layer, source, returned, texts)
    for value, text in zip(last, finals, strict=True):
        source.hold(value, text)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One module: a direction, or two alike."""

    direction: Direction
    flipped: bool
    backward: Direction | None = None
    part: str = ""


ALIKE = (
    "cell",
    "units",
    "activation",
    "recurrent_activation",
    "dropout",
    "recurrent_dropout",
    "drops",
    "state_activation",
    "coupled",
    "clip",
)
"""What two directions in one module have in common."""


def _alike(forward: Direction, backward: Direction) -> bool:
    """Whether one bidirectional module can hold both."""
    return (
        all(getattr(forward, name) == getattr(backward, name) for name in ALIKE)
        and (forward.bias is None) == (backward.bias is None)
        and (forward.peepholes is None) == (backward.peepholes is None)
        and not forward.go_backwards
        and backward.go_backwards
    )


def _outputs(layer: Recurrent, source: Source) -> tuple[Sequence[Value], Sequence[Value]]:
    """What is returned, and the last states."""
    count = 2 if layer.merge is Merge.SEPARATE else 1
    return source.outputs[:count], source.outputs[count:]


def _statement(
    layer: Recurrent,
    one: _Pass,
    source: Source,
    x: Value,
    states: Sequence[Value],
    time_axis: int,
    need_sequence: bool,
    need_states: bool,
) -> tuple[str, list[str]]:
    """`sequence, (h, c) = self.lstm(x)`: the names of its results."""
    module = _module(layer, one, source)
    given = source.take(x)
    text = f"{given.atom}.flip({time_axis})" if one.flipped else given.text
    text = _dropped(layer, one, source, text)
    count = STATES[one.direction.cell]
    kept = _kept(layer, one, source, x) if layer.stateful else ()
    initial = kept[0] if len(kept) == 1 else f"({', '.join(kept)})" if kept else ""
    if states:
        initial = _initial(one, source, states, count)
    text = _called(layer, module, one, source, text, initial)
    units = one.direction.units * (1 if one.backward is None else 2)
    whole = replace(x, shape=(*x.shape[:-1], units))
    wishes = ("h", "c")[:count] if layer.return_state or layer.stateful else ("h",)
    ending = f"_{one.part}" if one.part else ""
    names = [source.variable(x, wish + ending) for wish in wishes if need_states]
    wish = "" if layer.return_sequences and not one.part else one.part or "sequence"
    sequence = source.variable(whole, wish) if need_sequence else "_"
    shown = names[0] if names else "_"
    # A masked module gives h alone where nobody asks for c.
    alone = "masked(" in text and len(names) == 1
    if count == 2 and names and not alone:
        shown = f"({', '.join(names)})" if len(names) == 2 else f"({shown}, _)"
    note = source.comment(whole)
    if not need_sequence:
        directions = 1 if one.backward is None else 2
        note = f"{names[0]} ({directions}, batch, {one.direction.units})"
    source.say(f"{sequence}, {shown}", text, note)
    if kept:
        source.say(", ".join(kept), ", ".join(f"{name}.detach()" for name in names))
    if layer.zero_output_for_mask and source.call and source.call.mask:
        mask = _mask(one, source, time_axis)
        source.say(sequence, f"{sequence} * {mask}.unsqueeze(-1)")
    return sequence, names


def _kept(layer: Recurrent, one: _Pass, source: Source, x: Value) -> list[str]:
    """The buffers with the states that are kept from call to call."""
    ending = f"_{one.part}" if one.part else ""
    batch = x.shape[1 if layer.time_major else 0]
    shape = (1 if one.backward is None else 2, batch, one.direction.units)
    names = ("h", "c")[: STATES[one.direction.cell]]
    return [source.state(layer, name + ending, f"torch.zeros{shape}") for name in names]


def _mask(one: _Pass, source: Source, time_axis: int) -> str:
    """The mask of the call in hand, as this module reads it; "" without one."""
    mask = source.call.mask if source.call else None
    if mask is None:
        return ""
    held = source.take(mask)
    return f"{held.atom}.flip({time_axis})" if one.flipped else held.text


def _called(layer: Recurrent, module: str, one: _Pass, source: Source, x: str, initial: str) -> str:
    """`self.lstm(x)`, with initial states and a mask where there are some."""
    mask = _mask(one, source, 0 if layer.time_major else 1)
    if not mask:
        return f"{module}({x}, {initial})" if initial else f"{module}({x})"
    from_state = ", from_state=True" if initial and layer.starts_from_state else ""
    own = _drops_inside(one) or not _constructor(one.direction, source)[0].startswith("nn.")
    if not own:
        states = f", {initial}" if initial else ""
        whole = layer.return_state or layer.stateful
        kept = ", keep_c=True" if whole and one.direction.cell is Cell.LSTM else ""
        inside = f"{module}.module" if is_mixed(layer) else module
        return f"{source.copied('masked')}({inside}, {x}, {mask}{states}{from_state}{kept})"
    return f"{module}({x}, {initial or None}, {mask}{from_state})"


def _initial(one: _Pass, source: Source, states: Sequence[Value], count: int) -> str:
    """Initial states as PyTorch takes them: (directions, batch, units) each."""
    directions = 1 if one.backward is None else 2
    texts = [source.take(state) for state in states[: count * directions]]
    each = []
    for k in range(count):
        own = texts[k::count]
        whole = own[0].text.removesuffix("[0]")
        if [held.text for held in own] == [
            f"{whole}[{d}]" for d in range(source.whole.get(whole, 0))
        ]:
            each.append(whole)  # another layer's, as it gives them
        elif directions == 1:
            each.append(f"{own[0].atom}.unsqueeze(0)")
        else:
            each.append(f"torch.stack(({own[0].text}, {own[1].text}))")
    return each[0] if count == 1 else f"({', '.join(each)})"


def _both(layer: Recurrent, source: Source, sequence: str, h: str, units: int) -> list[str]:
    """The two directions of one module."""
    if not layer.return_sequences and sequence != "_":
        # With a mask: what each returned last, which need not be its state.
        last, first = ("-1, :", "0, :") if layer.time_major else (":, -1", ":, 0")
        return [f"{sequence}[{last}, :{units}]", f"{sequence}[{first}, {units}:]"]
    if not layer.return_sequences:
        return [f"{h}[0]", f"{h}[1]"]
    if layer.merge is Merge.CONCAT:
        return [sequence]
    names = [source.variable(source.outputs[0], wish) for wish in ("ahead", "back")]
    source.say(", ".join(names), f"{sequence}.chunk(2, -1)")
    return names


def _give(
    layer: Recurrent, source: Source, returned: Sequence[Value], texts: Sequence[str]
) -> None:
    """What the layer returns: a sequence as it stands, or the directions merged."""
    first = returned[0]
    match layer.merge:
        case Merge.SUM:
            source.hold(first, " + ".join(texts), compound=True)
        case Merge.MULTIPLY:
            source.hold(first, " * ".join(texts), compound=True)
        case Merge.AVERAGE:
            source.hold(first, f"({' + '.join(texts)}) / 2", compound=True)
        case Merge.CONCAT if len(texts) == 2:
            source.give(first, f"torch.cat(({', '.join(texts)}), -1)")
        case Merge.SEPARATE:
            for value, text in zip(returned, texts, strict=True):
                source.hold(value, text)
        case _:
            source.hold(first, texts[0])


def _module(layer: Recurrent, one: _Pass, source: Source) -> str:
    """Declare the module with its weights."""
    direction = one.direction
    directions = [direction] if one.backward is None else [direction, one.backward]
    kind, options = _constructor(direction, source)
    cells = not kind.startswith("nn.")
    if _drops_inside(one):
        kind = source.copied(f"Dropout{kind.removeprefix('nn.')}")
        options += _dropping(direction)
    given = [str(direction.inputs), str(direction.units), *options]
    if direction.bias is None:
        given.append("bias=False")
    if not layer.time_major:
        given.append("batch_first=True")
    if len(directions) == 2:
        given.append("bidirectional=True")
    parameters: dict[str, tuple[Weight, Form]] = {}
    shared: list[tuple[tuple[str, ...], Weight, Form]] = []
    frozen: dict[str, str] = {}
    for each, suffix in zip(directions, ("_l0", "_l0_reverse"), strict=False):
        form = kernel_form(each.cell, "cells" if cells else "torch")
        parameters[f"weight_ih{suffix}"] = (each.kernel, form)
        parameters[f"weight_hh{suffix}"] = (each.recurrent_kernel, form)
        if each.peepholes is not None:
            parameters[f"weight_ph{suffix}"] = (each.peepholes, AS_IS)
        if each.bias is None:
            continue
        count = each.bias.shape[0]
        if cells and LAYOUTS[each.cell, "cells"].biases == 1:
            form = bias_form(each.cell, "cells")
            form = form if count == 1 else replace(form, lossy=SUM)
            parameters[f"bias_ih{suffix}"] = (each.bias, form)
            continue
        names = (f"bias_ih{suffix}", f"bias_hh{suffix}")
        shared.append((names, each.bias, split_bias_form(each.cell, "torch", count)))
        if count == 1:
            frozen[names[1]] = "zero: Keras has one bias"
    return source.module(
        layer,
        f"{kind}({', '.join(given)})",
        parameters,
        part=one.part,
        shared=shared,
        frozen=frozen,
    )


def _constructor(direction: Direction, source: Source) -> tuple[str, list[str]]:
    """The class, and those of its arguments that say the activations."""
    activation, recurrent = direction.activation, direction.recurrent_activation
    if direction.variations:
        return _variant(direction, source)
    match direction.cell:
        case Cell.LSTM if (activation, recurrent) == (TANH, SIGMOID):
            return "nn.LSTM", []
        case Cell.GRU if (activation, recurrent) == (TANH, SIGMOID):
            return "nn.GRU", []
        case Cell.RNN if activation == TANH:
            return "nn.RNN", []
        case Cell.RNN if activation == RELU:
            return "nn.RNN", ['nonlinearity="relu"']
    options = []
    if activation != TANH:
        options.append(f"activation={callable_text(activation, source)}")
    if recurrent != SIGMOID and direction.cell is not Cell.RNN:
        recurrent, slope = _sloped(recurrent)
        options.append(f"recurrent_activation={callable_text(recurrent, source)}")
        if slope != 1:
            options.append(f"recurrent_slope={slope:.15g}")
    return source.copied(CLASSES[direction.cell]), options


def _variant(direction: Direction, source: Source) -> tuple[str, list[str]]:
    """The same for what ONNX alone can say."""

    def text(activation: Activation) -> str:
        called = callable_text(activation, source)
        clip = direction.clip
        return called if clip is None else f"{source.copied('Clipped')}({called}, {clip!r})"

    options = []
    if direction.activation != TANH or direction.clip is not None:
        options.append(f"activation={text(direction.activation)}")
    gated = direction.cell is not Cell.RNN
    if gated and (direction.recurrent_activation != SIGMOID or direction.clip is not None):
        options.append(f"recurrent_activation={text(direction.recurrent_activation)}")
    if direction.cell is not Cell.LSTM:
        return source.copied(CLASSES[direction.cell]), options
    state = direction.state_activation or direction.activation
    if state != TANH:
        options.append(f"state_activation={callable_text(state, source)}")
    if direction.peepholes is not None:
        options.append("peepholes=True")
    if direction.coupled:
        options.append("coupled=True")
    return source.copied("VariantLSTM"), options


def _sloped(activation: Activation) -> tuple[Activation, float]:
    """A hard_sigmoid as PyTorch's own, of a multiple of its argument."""
    match activation:
        case Activation("hard_sigmoid", (("alpha", float(alpha)), ("beta", 0.5))):
            return Activation.of("hard_sigmoid"), alpha * 6
    if activation.axes == (1,):  # of (batch, units); the class has the gates in between
        return Activation.of(activation.kind, axis=-1), 1.0
    return activation, 1.0


def _drops_inside(one: _Pass) -> bool:
    """Whether a module of its own drops: states, gates apart, or each direction apart."""
    direction = one.direction
    apart = one.backward is not None or direction.drops is Drops.GATE
    return direction.recurrent_dropout > 0 or (direction.dropout > 0 and apart)


def _dropped(layer: Recurrent, one: _Pass, source: Source, x: str) -> str:
    """The input, dropped in front of the module where that is all that is dropped."""
    rate = one.direction.dropout
    if not rate or _drops_inside(one):
        return x
    kind = f"nn.Dropout({rate:g})"
    if one.direction.drops is not Drops.STEP:
        shape = "(1, None, None)" if layer.time_major else "(None, 1, None)"
        kind = f"{source.copied('SharedDropout')}({rate:g}, {shape})"
    part = f"{one.part}_dropout" if one.part else "dropout"
    return f"{source.module(layer, kind, part=part)}({x})"


def _dropping(direction: Direction) -> list[str]:
    """The arguments of a module that drops."""
    rates = {"input_rate": direction.dropout, "recurrent_rate": direction.recurrent_dropout}
    given = [f"{name}={rate:g}" for name, rate in rates.items() if rate]
    if direction.drops is Drops.GATE:
        given.append("each_gate=True")
    if direction.drops is Drops.STEP and direction.dropout:
        given.append("each_step=True")
    return given
