"""What `ifco inspect` finds in a model: its layers, and each recurrent layer taken apart.

Counts are those of Keras (`model.count_params()`) and of the PyTorch that `convert` writes
(`sum(p.numel() for p in module.parameters())`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from converter.description import (
    BatchNormalization,
    ConvLSTM,
    GroupNormalization,
    Layer,
    LayerNormalization,
    Model,
    Normalization,
    Recurrent,
    Shape,
    TimeDistributed,
    Value,
)
from converter.report import conv_recurrent
from converter.report.recurrent import DirectionRow, directions_of, keras_side, torch_side
from converter.report.words import layer_words


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """A layer in the table.

    Attributes:
        what: In words: "LSTM(32, return_sequences)".
        outputs: The shapes of its outputs at its first call.
    """

    name: str
    what: str
    outputs: tuple[Shape, ...]
    keras_parameters: int
    torch_parameters: int
    trainable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is in a model.

    Attributes:
        dropped: What the file holds beside the model: "optimizer (7 arrays)".
        keras_parameters: Of all layers; `torch_parameters` likewise.
    """

    name: str
    path: str
    form: str
    version: str
    era: str
    sha256: str
    dropped: tuple[str, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    layers: tuple[LayerRow, ...]
    recurrent: tuple[DirectionRow, ...]
    keras_parameters: int
    torch_parameters: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the schema has a version."""
        return {"schema": 1, **asdict(self)}


def inspect(model: Model, *, values: bool | None = None) -> Inspection:
    """What is in `model`.

    Args:
        model: Any model.
        values: Whether the numbers of recurrent layers are read; None for small layers only.
    """
    first = {call.layer.name: call for call in reversed(model.calls)}
    rows = tuple(
        LayerRow(
            name=layer.name,
            what=layer_words(layer),
            outputs=tuple(value.shape for value in first[layer.name].outputs),
            keras_parameters=keras_parameters(layer),
            torch_parameters=torch_parameters(layer),
            trainable=layer.trainable,
        )
        for layer in model.layers
    )
    return Inspection(
        name=model.name,
        path=model.source.path,
        form=model.source.form,
        version=model.source.version,
        era=model.source.era.value,
        sha256=model.source.sha256,
        dropped=model.source.dropped,
        inputs=model.inputs,
        outputs=model.outputs,
        layers=rows,
        recurrent=tuple(row for layer in model.layers for row in _directions(layer, values)),
        keras_parameters=sum(row.keras_parameters for row in rows),
        torch_parameters=sum(row.torch_parameters for row in rows),
    )


def _directions(layer: Layer, values: bool | None) -> Iterator[DirectionRow]:
    """Each direction of a recurrent layer, inside TimeDistributed too."""
    while isinstance(layer, TimeDistributed):
        layer = layer.layer
    if isinstance(layer, ConvLSTM):
        yield from conv_recurrent.directions_of(layer)
    else:
        yield from directions_of(layer, values)


def keras_parameters(layer: Layer) -> int:
    """The number of parameters of the Keras layer, which adds one bias where PyTorch adds two."""
    match layer:
        case TimeDistributed():
            return keras_parameters(layer.layer)
        case Recurrent():
            return sum(keras_side(direction).parameters for direction in layer.directions)
    return layer.parameters


def torch_parameters(layer: Layer) -> int:
    """The number of parameters of the PyTorch module, its buffers not counted."""
    match layer:
        case TimeDistributed():
            return torch_parameters(layer.layer)
        case Recurrent():
            return sum(torch_side(direction).parameters for direction in layer.directions)
        case BatchNormalization():
            # The moving statistics are buffers; scale and centre come in pairs.
            affine = layer.gamma is not None or layer.beta is not None
            return 2 * layer.moving_mean.size if affine else 0
        case Normalization():
            return 0  # its statistics are buffers
        case GroupNormalization():
            return 2 * max((weight.size for weight in layer.weights.values()), default=0)
        case LayerNormalization(beta=beta) if beta is not None:
            return 2 * beta.size
    return layer.parameters
