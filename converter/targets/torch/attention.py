"""Attention: F.scaled_dot_product_attention, or a class of ours around it.

nn.MultiheadAttention wants heads that share the features of the query among them, stacks three
kernels in one tensor, and gives NaN where Keras gives the mean of steps that are all masked.
"""

from __future__ import annotations

from math import prod

import numpy as np

from converter.description import (
    Attention,
    EinsumDense,
    Masked,
    MaskedSoftmax,
    MultiHeadAttention,
    Projection,
    Scoring,
    Value,
    Weight,
)
from converter.dtypes import HALVES
from converter.gates import Form
from converter.targets.torch.emit import activated, emit
from converter.targets.torch.source import TO, Held, Source

LOWERED = {"float16": "-65504.0"}
"""What Keras adds to a score that is masked in a dtype, where it does not replace it; else -1e9."""

LOWEST = {"float16": "-30000.0"}
"""What it puts there where masked scores give zeros, in a dtype that has no -1e9."""


@emit.register(Attention)
def _(layer: Attention, source: Source) -> None:
    """A function where there is nothing but the product, else a class with its scores."""
    query, value, key = source.inputs[0], source.inputs[1], source.inputs[-1]
    key = value if len(source.inputs) == 2 else key
    texts = [source.take(one).text for one in (query, key, value)]
    masks = source.call.masks if source.call else ()
    plain = layer.scoring is Scoring.DOT and layer.scale is None and not layer.dropout
    if plain and not any(masks) and not _used(source, 1):
        causal = "is_causal=True, " if layer.causal else ""
        text = f"F.scaled_dot_product_attention({', '.join(texts)}, {causal}scale=1.0)"
        source.give(source.outputs[0], text)
        return
    module = _scored(layer, source)
    for name, mask in zip(("query_mask", "value_mask"), masks, strict=False):
        if mask is not None:
            texts.append(f"{name}={source.take(mask).text}")
    _say_both(source, f"{module}({', '.join(texts)})")


def _scored(layer: Attention, source: Source) -> str:
    """The module of the class that computes these scores."""
    given: list[str] = []
    parameters: dict[str, Weight] = {}
    if layer.scale is not None:
        parameters["scale"] = layer.scale
    match layer.scoring:
        case Scoring.DOT:
            kind = "ScaledAttention" if parameters else "Attention"
        case Scoring.CONCAT:
            kind, given = "ConcatAttention", [f"scale={bool(parameters)}"]
        case Scoring.ADDITIVE:
            kind = "AdditiveAttention"
            given = [str(layer.scale.shape[0])] if layer.scale else ["0", "scale=False"]
    if layer.factor is not None:
        parameters["factor"] = layer.factor
    given += [f"dropout={layer.dropout!r}"] if layer.dropout else []
    given += ["causal=True"] if layer.causal else []
    return source.module(layer, f"{source.copied(kind)}({', '.join(given)})", parameters)


def _used(source: Source, number: int) -> bool:
    """Whether anybody reads an output."""
    return len(source.outputs) > number and bool(source.uses[source.outputs[number].name])


def _say_both(source: Source, text: str, behind: str = "") -> None:
    """`output, scores = text`; what stands `behind` the output waits for its next statement."""
    output = source.outputs[0]
    name = source.variable(output)
    if name in source.reads(" ".join(source.held[one.name].text for one in source.inputs[1:])):
        name = source.variable(output, output.name)  # not that of the value, if it is free
    scores = "_"
    if _used(source, 1):
        scores = source.variable(source.outputs[1], "weights")
        source.held[source.outputs[1].name] = Held(scores)
    note = "" if behind else source.comment(output)
    source.say(f"{name}, {scores}", text, note)
    if behind:
        source.hold(output, f"{name}{behind}")
    else:
        source.held[output.name] = Held(name)


@emit.register(MultiHeadAttention)
def _(layer: MultiHeadAttention, source: Source) -> None:
    """The class, which takes its steps before the features."""
    query, value, key = source.inputs[:3]
    module = _heads(layer, source)
    shown = source.take(query)
    if len(layer.axes) > 1 and not shown.text.isidentifier():
        shown = source.named(shown)
    q, k, v = (
        _steps_last(held, layer, len(query.shape))
        for held in (shown, source.take(key), source.take(value))
    )
    texts = [q, k, v]
    if mask := _mask(layer, source):
        texts.append(mask)
    if _used(source, 1):
        texts.append("need_weights=True")
    _say_both(source, f"{module}({', '.join(texts)})", _steps_back(shown.text, layer, query))


def _heads(layer: MultiHeadAttention, source: Source) -> str:
    """The module."""
    size = layer.query.kernel.shape[0]
    key_size, value_size = layer.key.kernel.shape[0], layer.value.kernel.shape[0]
    features = prod(layer.features)
    calls = [call for call in source.model.calls if call.layer.name == layer.name]
    masked = any(any(call.masks) or len(call.inputs) > 3 for call in calls)
    settings = {
        "value_dim": (layer.value_dim, layer.key_dim),
        "kdim": (key_size, size),
        "vdim": (value_size, size),
        "output_dim": (features, size),
        "key_heads": (layer.key_heads, layer.heads),
        "bias": (layer.query.bias is not None, True),
        "dropout": (layer.dropout, 0.0),
        "causal": (layer.causal, False),
        "zero": (masked and layer.masked is Masked.ZERO, False),
        "scale": (_scale(layer), None),
    }
    given = [str(size), str(layer.heads), str(layer.key_dim)]
    given += [f"{name}={one!r}" for name, (one, usual) in settings.items() if one != usual]
    low = LOWEST.get(layer.dtype, "") if layer.masked is Masked.ZERO else ""
    if layer.masked is Masked.LOWERED:
        low = LOWERED.get(layer.dtype, "-1e9")
    given += [f"low={low}"] if masked and low else []
    parameters: dict[str, tuple[Weight, Form]] = {}
    for name, part in _parts(layer):
        parameters[f"{name}.weight"] = part.kernel, _flat(part.kernel.shape, 2 - (name != "output"))
        if part.bias is not None:
            parameters[f"{name}.bias"] = part.bias, _flat(part.bias.shape, 0)
    kind = source.copied("MultiHeadAttention")
    return source.module(layer, f"{kind}({', '.join(given)})", parameters)


def _scale(layer: MultiHeadAttention) -> float | None:
    """By which scores are multiplied, where float64 shows that it was rounded to float32."""
    exact = layer.key_dim**-0.5
    kept = float(np.float32(exact)) if layer.scale_is_float32 else exact
    return kept if layer.dtype == "float64" and kept != exact else None


def _parts(layer: MultiHeadAttention) -> tuple[tuple[str, Projection], ...]:
    return (
        ("query", layer.query),
        ("key", layer.key),
        ("value", layer.value),
        ("output", layer.output),
    )


def _flat(shape: tuple[int, ...], inputs: int) -> Form:
    """A kernel as nn.Linear has it, whose first axes are those of the input; a bias has none."""
    size = prod(shape[:inputs])
    return Form(
        "heads side by side, transposed" if inputs else "heads side by side",
        lambda arrays: arrays[0].T.reshape(shape),
        lambda array: (array.reshape(size, -1).T if inputs else array.reshape(-1),),
    )


def _mask(layer: MultiHeadAttention, source: Source) -> str:
    """Which scores count, of all masks."""
    masks = source.call.masks if source.call else ()
    texts = []
    for number, mask in enumerate(masks[:3]):
        if mask is not None:
            text = f"{source.take(mask).atom}.unsqueeze({-1 if not number else -2})"
            texts += [text] if text not in texts else []
    if len(source.inputs) > 3:
        given = source.inputs[3]
        numbers = layer.masked is Masked.LOWERED and not texts and not layer.causal
        held = source.take(given)
        texts.append(held.text if given.dtype == "bool" or numbers else f"{held.atom}.bool()")
    return " & ".join(texts)


def _steps_last(held: Held, layer: MultiHeadAttention, rank: int) -> str:
    """An input with its steps in one axis, before the features."""
    around = [axis for axis in range(rank - 1) if axis not in layer.axes]
    order = (*around, *layer.axes, rank - 1)
    moved = order != tuple(range(rank))
    text = f"{held.atom}.permute{order}" if moved else held.text
    if len(layer.axes) > 1:
        atom = text if moved else held.atom
        text = f"{atom}.flatten({len(around)}, {len(around) + len(layer.axes) - 1})"
    return text


def _steps_back(query: str, layer: MultiHeadAttention, value: Value) -> str:
    """What gives an output the axes of the query, and features of several axes; "" if it has."""
    rank = len(value.shape)
    around = [axis for axis in range(rank - 1) if axis not in layer.axes]
    order = [*around, *layer.axes]
    text = f".unflatten(-1, {layer.features})" if len(layer.features) > 1 else ""
    if len(layer.axes) > 1:
        sizes = ", ".join(f"{query}.shape[{axis}]" for axis in layer.axes)
        text += f".unflatten({len(around)}, ({sizes}))"
    if order != sorted(order):
        last = range(rank - 1, rank - 1 + len(layer.features))
        text += f".permute{(*(order.index(axis) for axis in range(rank - 1)), *last)}"
    return text


@emit.register(MaskedSoftmax)
def _(layer: MaskedSoftmax, source: Source) -> None:
    """A softmax of what is left."""
    (value,) = source.inputs
    x = source.take(value)
    mask = source.take(source.call.mask) if source.call and source.call.mask else None
    if mask is None:
        source.hold(source.outputs[0], activated(layer.softmax, x, source))
        return
    if layer.masked is Masked.LOWERED:
        text, compound = f"{x.atom} + ~{mask.atom} * {LOWERED.get(layer.dtype, '-1e9')}", True
        if layer.dtype in HALVES:
            text, compound = f"({text}){TO[layer.dtype]}", False
    else:
        low = LOWEST.get(layer.dtype, "-1e9")
        text, compound = f"{x.atom}.masked_fill(~{mask.atom}, {low})", False
    text = activated(layer.softmax, Held(text, compound=compound), source)
    if layer.masked is Masked.ZERO:
        text = f"{text}.masked_fill(~{mask.atom}, 0.0)"
    source.give(source.outputs[0], text)


@emit.register(EinsumDense)
def _(layer: EinsumDense, source: Source) -> None:
    """A class with a weight of any shape."""
    given = [f'"{layer.equation}"', str(layer.kernel.shape)]
    parameters = {"weight": layer.kernel}
    if layer.bias is not None:
        given.append(str(layer.bias.shape))
        parameters["bias"] = layer.bias
    kind = source.copied("EinsumDense")
    module = source.module(layer, f"{kind}({', '.join(given)})", parameters)
    x = source.take(source.inputs[0])
    text = activated(layer.activation, Held(f"{module}({x.text})"), source)
    source.hold(source.outputs[0], text)
