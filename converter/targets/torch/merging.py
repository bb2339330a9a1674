"""Layers that make one tensor of several."""

from __future__ import annotations

from functools import reduce
from string import ascii_lowercase

from converter.description import Combination, Combine, Concatenate, Dot
from converter.targets.torch.emit import emit
from converter.targets.torch.normalization import unit_text
from converter.targets.torch.source import Held, Source

OPERATORS = {
    Combination.ADD: "+",
    Combination.AVERAGE: "+",
    Combination.SUBTRACT: "-",
    Combination.MULTIPLY: "*",
}


@emit.register(Combine)
def _(layer: Combine, source: Source) -> None:
    """An operator, or a function of two."""
    values = source.inputs
    if source.call and source.call.masks:
        x = ", ".join(source.take(value).text for value in values)
        masks = (None if mask is None else source.take(mask).text for mask in source.call.masks)
        given = f"({x}), ({', '.join(map(str, masks))})"
        if layer.combination is Combination.MULTIPLY:
            text = f"{source.copied('masked_product')}({given})"
        else:
            function = f"torch.{layer.combination.value.lower()}"
            text = f"{source.copied('masked_extreme')}({function}, {given})"
        source.give(source.outputs[0], text)
        return
    rank = max(len(value.shape) for value in values)
    as_held = [source.held[value.name] for value in values]
    alike = all(
        held.channels_first and not held.steps and len(value.shape) == rank
        for held, value in zip(as_held, values, strict=True)
    )
    texts = []
    for value in values:
        held = source.take(value, channels_first=alike)
        text = held.atom
        if len(value.shape) < rank:
            text += ".unsqueeze(1)" * (rank - len(value.shape))
        texts.append(text)
    (output,) = source.outputs
    like = Held("", channels_first=alike)
    operator = OPERATORS.get(layer.combination)
    if operator is None:
        name = "torch.maximum" if layer.combination is Combination.MAXIMUM else "torch.minimum"
        source.give(output, reduce(lambda a, b: f"{name}({a}, {b})", texts), like)
        return
    text = f" {operator} ".join(texts)
    if layer.combination is Combination.AVERAGE:
        text = f"({text}) / {len(texts)}"
    source.give(output, text, like)


@emit.register(Concatenate)
def _(layer: Concatenate, source: Source) -> None:
    """torch.cat."""
    texts = ", ".join(source.take(value).text for value in source.inputs)
    source.give(source.outputs[0], f"torch.cat(({texts}), {layer.axis})")


@emit.register(Dot)
def _(layer: Dot, source: Source) -> None:
    """torch.einsum: one axis of each is summed, the batch is shared."""
    texts, letters = [], []
    rest = iter(ascii_lowercase[2:])
    for value, axis in zip(source.inputs, layer.axes, strict=True):
        held = source.take(value)
        text = held.text
        if layer.normalize:
            text = unit_text(text, (axis,), layer.least, layer.dtype, source)
        texts.append(text)
        letters.append(
            ["b" if k == 0 else "a" if k == axis else next(rest) for k in range(len(value.shape))]
        )
    a, b = letters
    result = [letter for letter in a if letter != "a"] + [
        letter for letter in b if letter not in "ab"
    ]
    equation = f"{''.join(a)},{''.join(b)}->{''.join(result)}"
    text = f'torch.einsum("{equation}", {", ".join(texts)})'
    source.give(source.outputs[0], text if len(result) > 1 else f"{text}.unsqueeze(1)")
