"""Dense, Embedding, activations, the dropouts and TimeDistributed."""

from __future__ import annotations

from dataclasses import replace

from converter.description import (
    Activate,
    Call,
    Dense,
    Dropout,
    Embedding,
    Identity,
    Masking,
    Noise,
    PReLU,
    TimeDistributed,
    Value,
)
from converter.gates import AS_IS, TRANSPOSED, Form
from converter.targets.torch.emit import activated, emit
from converter.targets.torch.masking import say_mask
from converter.targets.torch.source import MOVED, Held, Source, is_compound


@emit.register(Dense)
def _(layer: Dense, source: Source) -> None:
    """nn.Linear on the last axis, and its activation."""
    bias = "" if layer.bias is not None else ", bias=False"
    parameters = {"weight": (layer.kernel, TRANSPOSED)}
    if layer.bias is not None:
        parameters["bias"] = (layer.bias, AS_IS)
    module = source.module(layer, f"nn.Linear({layer.inputs}, {layer.units}{bias})", parameters)
    x = source.take_folded(source.inputs[0])
    text = activated(layer.activation, replace(x, text=f"{module}({x.text})"), source)
    source.give(source.outputs[0], text, x)


@emit.register(Embedding)
def _(layer: Embedding, source: Source) -> None:
    """nn.Embedding; an index that is a float is cut to an integer, as Keras does."""
    module = source.module(
        layer, f"nn.Embedding({layer.rows}, {layer.units})", {"weight": layer.embeddings}
    )
    x = source.take_folded(source.inputs[0])
    whole = source.inputs[0].dtype.startswith(("int", "uint"))
    text = x.text if whole else f"{x.atom}.long()"
    if layer.mask_zero and source.uses[source.outputs[1].name]:
        say_mask(source, source.outputs[1], f"{x.atom} != 0", x)
    source.hold(source.outputs[0], f"{module}({text})", x)


@emit.register(Activate)
def _(layer: Activate, source: Source) -> None:
    """A function; one with an axis wants the axes where the model has them."""
    (value,) = source.inputs
    if layer.activation.axes:
        x = source.take(value)
    else:
        x = source.take_folded(value, channels_first=None)
    text = activated(layer.activation, x, source)
    source.hold(source.outputs[0], text, x, compound=is_compound(text))


@emit.register(Identity)
def _(_layer: Identity, source: Source) -> None:
    """Nothing is to be done."""
    x = source.take_folded(source.inputs[0], channels_first=None)
    source.hold(source.outputs[0], x.text, x, compound=x.compound)


@emit.register(PReLU)
def _(layer: PReLU, source: Source) -> None:
    """nn.PReLU where every axis but the channels is shared, a class of ours elsewhere."""
    (value,) = source.inputs
    *shared, channels = layer.alpha.shape
    if all(size == 1 for size in shared):
        flat = Form(
            "its axes of 1 dropped",
            lambda arrays: arrays[0].reshape(layer.alpha.shape),
            lambda array: (array.reshape(-1),),
        )
        module = source.module(layer, f"nn.PReLU({channels})", {"weight": (layer.alpha, flat)})
        x = source.take(value, channels_first=True)
    else:
        sizes = ", ".join(map(str, layer.alpha.shape))
        kind = source.copied("ElementPReLU")
        module = source.module(layer, f"{kind}({sizes})", {"weight": layer.alpha})
        x = source.take(value)
    source.hold(source.outputs[0], f"{module}({x.text})", x)


@emit.register(Dropout)
def _(layer: Dropout, source: Source) -> None:
    """A module that does something in training only."""
    (value,) = source.inputs
    rank = len(value.shape)
    spatial = layer.noise is Noise.SPATIAL
    match layer.noise:
        case Noise.SPATIAL:
            constructor = f"nn.Dropout{rank - 2}d({layer.rate!r})"
        case Noise.ALPHA if not layer.noise_shape:
            constructor = f"nn.AlphaDropout({layer.rate!r})"
        case Noise.GAUSSIAN_DROPOUT:
            constructor = f"{source.copied('GaussianDropout')}({layer.rate!r})"
        case Noise.GAUSSIAN_NOISE:
            constructor = f"{source.copied('GaussianNoise')}({layer.rate!r})"
        case _ if layer.noise_shape:
            constructor = f"{source.copied('SharedDropout')}({layer.rate!r}, {layer.noise_shape})"
        case _:
            constructor = f"nn.Dropout({layer.rate!r})"
    module = source.module(layer, constructor)
    if spatial and not layer.channels_first:
        x = source.take(value, channels_first=True)
    elif layer.noise_shape or spatial:
        x = source.take(value)
    else:
        x = source.take_folded(value, channels_first=None)
    source.hold(source.outputs[0], f"{module}({x.text})", x)


def _every_step(layer: TimeDistributed) -> bool:
    """Whether the inner layer does the same with two axes in front as with one."""
    inner = layer.layer
    match inner:
        case Dense() | Embedding() | Identity() | Masking():
            return True
        case Activate():
            return inner.activation.axes in ((), (-1,))
        case Dropout():
            return inner.noise is not Noise.SPATIAL and not inner.noise_shape
    return False


def _folded(value: Value, source: Source) -> tuple[Value, Held]:
    """A tensor as the inner layer sees it: a value of its own, batch and time in one axis.

    Beside it is what was held, its steps among it.
    """
    held = source.take_folded(value, channels_first=None)
    if not held.steps:
        held = source.take(value)
        steps = value.shape[1]
        text = str(steps) if steps is not None else source.steps(value)
        front = held.text.endswith(MOVED)  # then the channels are in front in each step
        atom = held.text.removesuffix(MOVED) if front else held.atom
        held = Held(f"{atom}.flatten(0, 1)", front, text, held.modules)
    inside = Value(f"{value.name} steps", (None, *value.shape[2:]), value.dtype)
    source.held[inside.name] = replace(held, steps="")
    source.uses[inside.name] = 1
    return inside, held


def _folded_mask(mask: Value, source: Source) -> Value:
    """A mask likewise."""
    inside = Value(f"{mask.name} steps", (None, *mask.shape[2:]), mask.dtype)
    held = source.take_folded(mask, channels_first=None)
    text = held.text if held.steps else f"{held.atom}.flatten(0, 1)"
    source.held[inside.name] = Held(text)
    source.uses[inside.name] = 1
    return inside


@emit.register(TimeDistributed)
def _(layer: TimeDistributed, source: Source) -> None:
    """The inner layer, on (batch * time, ...) where it needs that."""
    values, outputs = source.inputs, source.outputs
    inner = replace(layer.layer, name=layer.name, trainable=layer.trainable)
    call = source.call
    if _every_step(layer) and not any(source.held[value.name].steps for value in values):
        emit[inner](inner, source)
        return
    # The inner call sees values of its own, and what it reads ends with it.
    folded = {value.name: _folded(value, source) for value in values}
    inside = tuple(folded[value.name][0] for value in values)
    steps = folded[values[0].name][1].steps
    results = tuple(
        Value(f"{output.name} steps", (None, *output.shape[2:]), output.dtype) for output in outputs
    )
    source.uses.subtract(value.name for value in values)
    source.folded = True
    for output, result in zip(outputs, results, strict=True):
        source.uses[result.name] = source.uses[output.name]
    masks = tuple(
        None if mask is None else _folded_mask(mask, source)
        for mask in (call.masks if call else ())
    )
    source.call = Call(inner, inside, results, masks)
    emit[inner](inner, source)
    source.call, source.folded = call, False
    source.uses.update(value.name for value in values)
    for output, result in zip(outputs, results, strict=True):
        source.held[output.name] = replace(source.held.pop(result.name), steps=steps)
    for name in {value.name for value in inside}:
        del source.held[name]
