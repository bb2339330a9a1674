"""A model as a drawing of its layers, in words."""

from __future__ import annotations

from converter.compare.timings import Part
from converter.description import Call, ConvLSTM, Model, Recurrent
from converter.report.words import layer_words, shape_words


def drawing(model: Model) -> tuple[Part, ...]:
    """The inputs, and each call of a layer, in order."""
    inputs = (
        Part(name=value.name, words="input", shape=shape_words(value.shape))
        for value in model.inputs
    )
    return (*inputs, *(_part(call, model) for call in model.calls))


def _part(call: Call, model: Model) -> Part:
    makers = {value.name: one.outputs[0].name for one in model.calls for value in one.outputs}
    value = call.outputs[0]
    return Part(
        name=value.name,
        words=layer_words(call.layer),
        shape=shape_words(value.shape),
        inputs=tuple(dict.fromkeys(makers.get(one.name, one.name) for one in call.needs)),
        recurrent=isinstance(call.layer, Recurrent | ConvLSTM),
    )
