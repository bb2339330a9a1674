"""RNN of one cell, and of stacked ones, which are a chain of layers."""

from __future__ import annotations

from converter.description import Layer, Recurrent, Shape
from converter.readers.keras.cells import is_stacked
from converter.readers.keras.chain import Chain
from converter.readers.keras.config import Config
from converter.readers.keras.direction import read_direction, read_sequence, zeroes
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.stacked import read_stacked
from converter.readers.keras.weights import Weights


@reads("RNN", several=True)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer | Chain:
    config.must_be(
        "num_constants",
        None,
        0,
        code="call-argument",
        hint="give the constants to the model as another input of each step",
    )
    if is_stacked(config):
        return read_stacked(config, inputs, weights, writer, zeroed=zeroes(config))
    cell = config.child("cell")
    return Recurrent(
        **config.base() | {"trainable": cell.trainable},
        forward=read_direction(config, inputs[0], weights, writer),
        zero_output_for_mask=zeroes(config),
        **read_sequence(config, inputs[0], writer),
    )
