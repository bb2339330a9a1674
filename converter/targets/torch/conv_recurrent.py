"""Convolutional LSTM: the class ConvLSTM of conv_modules.py, one for each direction.

It has the channels in front of the axes in space, behind batch and time; `MOVED` brings a
sequence to where the model has them.
"""

from __future__ import annotations

from dataclasses import replace

from converter.activations import SIGMOID, TANH, Activation
from converter.description import ConvDirection, ConvLSTM, Merge, Padding, Value
from converter.gates import STATES, Cell, Form, bias_form, convolution_form
from converter.targets.torch.emit import callable_text, emit
from converter.targets.torch.source import MOVED, Held, Source


@emit.register(ConvLSTM)
def _(layer: ConvLSTM, source: Source) -> None:
    """A statement for each direction; then what the layer returns."""
    x, *states = source.inputs
    count = STATES[Cell.LSTM]
    returned = source.outputs[: 2 if layer.merge is Merge.SEPARATE else 1]
    last = source.outputs[len(returned) :]
    given = _sequence(layer, x, source)
    texts: list[str] = []
    finals: list[str] = []
    for direction in layer.directions:
        part = "" if layer.backward is None else ("forward", "backward")[len(texts)]
        flip = ".flip(1)" if direction.go_backwards else ""
        module = _module(layer, direction, part, source)
        kept = _kept(layer, direction, part, x, source) if layer.stateful else []
        initial = kept
        if states:
            first = not layer.channels_first
            initial = [source.take(one, channels_first=first).text for one in states[:count]]
            states = states[count:]
        text = _called(module, given + flip, initial, _mask(layer, flip, source))
        name, ends = _statement(layer, part, text, bool(initial), returned[0], source)
        if kept:
            source.say(", ".join(kept), ", ".join(f"{end}.detach()" for end in ends))
        name = _zeroed(layer, name, flip, source)
        if not layer.return_sequences and name not in ends:
            name += "[:, -1]"
        finals += ends
        back = direction is layer.backward and layer.return_sequences
        texts.append(f"{name}.flip(1)" if back else name)
    _give(layer, source, returned, texts)
    for value, text in zip(last, finals if last else [], strict=True):
        source.hold(value, text, Held("", channels_first=not layer.channels_first))


def _called(module: str, x: str, initial: list[str], mask: str) -> str:
    """`self.conv_lstm(x)`, with initial states and a mask where there are some."""
    arguments = [x]
    if initial or mask:
        arguments.append(f"({', '.join(initial)})" if initial else "None")
    if mask:
        arguments.append(mask)
    return f"{module}({', '.join(arguments)})"


def _kept(
    layer: ConvLSTM, direction: ConvDirection, part: str, x: Value, source: Source
) -> list[str]:
    """The buffers with the states that are kept from call to call."""
    shape = direction.state_shape((x.shape[0], *x.shape[2:]), layer.channels_first)
    if not layer.channels_first:
        shape = (shape[0], shape[-1], *shape[1:-1])
    ending = f"_{part}" if part else ""
    return [source.state(layer, name + ending, f"torch.zeros{shape}") for name in ("h", "c")]


def _mask(layer: ConvLSTM, flip: str, source: Source) -> str:
    """The mask of the call in hand as the module reads it; "" without one."""
    mask = source.call.mask if source.call else None
    if mask is None:
        return ""
    text = source.take(mask).atom + flip
    whole = len(mask.shape) > 2 and not layer.channels_first
    return f"{text}.unsqueeze(2)" if whole else text


def _zeroed(layer: ConvLSTM, sequence: str, flip: str, source: Source) -> str:
    """The sequence with zeros where its mask is False, if the layer does so."""
    mask = source.call.mask if source.call else None
    if mask is None or not layer.zero_output_for_mask:
        return sequence
    text = _mask(layer, flip, source)
    rank = len(mask.shape) + (1 if text.endswith(".unsqueeze(2)") else 0)
    axes = ", None" * (layer.rank + 3 - rank)
    source.say(sequence, f"{sequence} * {text}" + (f"[...{axes}]" if axes else ""))
    return sequence


def _sequence(layer: ConvLSTM, x: Value, source: Source) -> str:
    """The input as (batch, time, channels, ...); something that a dot may follow."""
    held = source.take_folded(x, channels_first=None)
    if layer.channels_first:
        return source.take(x).atom
    if held.steps and held.channels_first:
        folded = ".flatten(0, 1)"
        if held.text.endswith(folded):
            return held.text.removesuffix(folded)
        return f"{held.atom}.unflatten(0, (-1, {held.steps}))"
    if held.channels_first:
        return f"{held.atom}.transpose(1, 2)"
    held = source.take(x)
    if held.text.endswith(MOVED):
        return held.text.removesuffix(MOVED)
    return f"{held.atom}.movedim(-1, 2)"


def _statement(
    layer: ConvLSTM, part: str, text: str, started: bool, value: Value, source: Source
) -> tuple[str, list[str]]:
    """`sequence, (h, c) = self.conv_lstm(x)`: what is returned of it, and the states.

    With a mask, what is returned last need not be the last state, unless both begin with zeros.
    """
    masked = source.call is not None and source.call.mask is not None
    need_sequence = layer.return_sequences or (masked and (started or layer.zero_output_for_mask))
    ending = f"_{part}" if part else ""
    wish = {"forward": "ahead", "backward": "back"}.get(part, "")
    note = "" if need_sequence > layer.return_sequences else _comment(layer, value, source)
    if not (layer.return_state or layer.stateful):
        name = source.variable(value, wish)
        target = f"{name}, _" if need_sequence else f"_, ({name}, _)"
        source.say(target, text, note)
        return name, [] if need_sequence else [name]
    states = [source.variable(value, f"{letter}{ending}") for letter in ("h", "c")]
    name = states[0]
    if need_sequence:
        name = source.variable(value, wish or ("" if layer.return_sequences else "sequence"))
    sequence = name if need_sequence else "_"
    source.say(f"{sequence}, ({', '.join(states)})", text, note)
    return name, states


def _comment(layer: ConvLSTM, value: Value, source: Source) -> str:
    """The shape of what is returned, as the module gives it; of each direction before it joins."""
    shape = value.shape
    if not layer.channels_first:
        place = 2 if layer.return_sequences else 1
        shape = (*shape[:place], layer.forward.filters, *shape[place:-1])
    elif layer.merge is Merge.CONCAT:
        shape = (*shape[:-1], None)
    return source.comment(replace(value, shape=shape))


def _give(layer: ConvLSTM, source: Source, returned: tuple[Value, ...], texts: list[str]) -> None:
    """What the layer returns, its directions joined, held where its channels are."""
    sequence = layer.return_sequences and not layer.channels_first
    like = Held("", channels_first=not layer.channels_first and not sequence)
    joined = {Merge.SUM: " + ", Merge.MULTIPLY: " * ", Merge.AVERAGE: " + "}
    if layer.merge is Merge.CONCAT:
        axis = -1 if layer.channels_first else 2 if sequence else 1
        texts = [f"torch.cat(({', '.join(texts)}), {axis})"]
    elif layer.merge in joined:
        text = joined[layer.merge].join(texts)
        texts = [f"({text}) / 2" if layer.merge is Merge.AVERAGE else text]
    compound = layer.merge in joined
    for value, text in zip(returned, texts, strict=True):
        if sequence:
            source.hold(value, (f"({text})" if compound else text) + MOVED, like)
        else:
            source.hold(value, text, like, compound=compound)


def _module(layer: ConvLSTM, direction: ConvDirection, part: str, source: Source) -> str:
    """Declare the module with its weights."""
    given = [str(direction.channels), str(direction.filters), str(direction.size)]
    if set(direction.strides) != {1}:
        given.append(f"stride={direction.strides}")
    if direction.padding is Padding.SAME:
        given.append('padding="same"')
    if set(direction.dilation) != {1}:
        given.append(f"dilation={direction.dilation}")
    if direction.bias is None:
        given.append("bias=False")
    if direction.activation != TANH:
        text = callable_text(_in_module(direction.activation, layer), source)
        given.append(f"activation={text}")
    if direction.recurrent_activation != SIGMOID:
        text = callable_text(_in_module(direction.recurrent_activation, layer), source)
        given.append(f"recurrent_activation={text}")
    rates = {"input_rate": direction.dropout, "recurrent_rate": direction.recurrent_dropout}
    dropping = [f"{name}={rate:g}" for name, rate in rates.items() if rate]
    kind = source.copied("DropoutConvLSTM" if dropping else "ConvLSTM")
    given += dropping
    form: Form = convolution_form(Cell.LSTM, "cells")
    parameters = {
        "input.weight": (direction.kernel, form),
        "recurrent.weight": (direction.recurrent_kernel, form),
    }
    if direction.bias is not None:
        parameters["input.bias"] = (direction.bias, bias_form(Cell.LSTM, "cells"))
    return source.module(
        layer,
        f"{kind}({', '.join(given)})",
        parameters,
        part=part,
    )


def _in_module(activation: Activation, layer: ConvLSTM) -> Activation:
    """An activation of a state that has its channels in front of the axes in space."""
    if layer.channels_first or not activation.axes:
        return activation
    rank = layer.rank + 2
    moved = [(0, *range(2, rank), 1)[axis] for axis in activation.axes]
    return Activation.of(activation.kind, axis=moved[0] if len(moved) == 1 else tuple(moved))
