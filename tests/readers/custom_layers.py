"""What the classes in `custom_keras` are made of: what a package of its own would hold."""

from __future__ import annotations

from dataclasses import dataclass

import converter
from converter.description import Layer, Shape, Value, Weight
from converter.gates import Array
from converter.judge import MEANINGS
from converter.targets.torch.emit import emit
from converter.targets.torch.source import Source


def residual(layer: converter.CustomLayer, x: Value) -> Value:
    """LSTM, added to what goes in."""
    units = layer.config.integer("units")
    y = layer.keras("LSTM", x, part="lstm", units=units, return_sequences=True)
    return layer.keras("Add", x, layer.keras("Dense", y, part="project", units=units))


converter.register("tests>Residual", "Plain")(residual)
converter.register("tests>Masked", masks=True)(residual)


@converter.register("tests>Stack")
def stack(layer: converter.CustomLayer, x: Value) -> tuple[Value, ...]:
    """Two LSTMs in a list."""
    units = layer.config.integer("units")
    first = layer.keras(
        "LSTM", x, part="blocks/lstm", name="first", units=units, return_sequences=True
    )
    return layer.keras(
        "LSTM", first, part="blocks/lstm_1", name="second", units=units, return_state=True
    )


@converter.register("tests>Twice")
def twice(layer: converter.CustomLayer, x: Value) -> Value:
    """The layer in its config, two times."""
    inner = layer.config.child("layer")
    return layer.keras(inner, layer.keras(inner, x, part="layer"), part="layer")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedSum(Layer):
    """The sum of all steps, (B, T, F) to (B, F).

    Attributes:
        scale: Of each feature, (F,).
    """

    scale: Weight

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """(B, F)."""
        ((batch, _, features),) = inputs
        return ((batch, features),)


@MEANINGS.register(WeightedSum)
def _(layer: WeightedSum, x: Array) -> tuple[Array, ...]:
    return ((x * layer.scale.read()).sum(axis=1),)


SUM = '''\
class WeightedSum(nn.Module):
    """The sum of all steps, each feature with its weight."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.scale).sum(1)
'''


@emit.register(WeightedSum)
def _(layer: WeightedSum, source: Source) -> None:
    (features,) = layer.scale.shape
    kind = source.copied("WeightedSum", SUM)
    module = source.module(layer, f"{kind}({features})", {"scale": layer.scale})
    x = source.take(source.inputs[0])
    source.hold(source.outputs[0], f"{module}({x.text})", x)


@converter.register("tests>Weighted")
def weighted(layer: converter.CustomLayer, x: Value) -> Value:
    """A layer of a class of its own."""
    scale = layer.weight("scale", (x.shape[-1],))
    return layer.call(WeightedSum(**layer.base(), scale=scale), x)


@converter.register("tests>LSTM")
def relu(layer: converter.CustomLayer, x: Value) -> Value:
    """What hides behind the name of one of Keras's own."""
    layer.config.integer("units")
    return layer.keras("ReLU", x)
