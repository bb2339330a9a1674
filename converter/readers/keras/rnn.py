"""RNN of one cell, and of stacked ones, which are a chain of layers."""

from __future__ import annotations

from converter.description import Layer, Recurrent, Shape
from converter.readers.keras.cells import KINDS, is_stacked, stacked_cells, states_reversed
from converter.readers.keras.chain import Chain
from converter.readers.keras.config import Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.recurrent import read_cell, read_direction, read_sequence, zeroes
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
        return _stacked(config, inputs, weights, writer)
    cell = config.child("cell")
    return Recurrent(
        **config.base() | {"trainable": cell.trainable},
        forward=read_direction(config, inputs[0], weights, writer),
        zero_output_for_mask=zeroes(config),
        **read_sequence(config, inputs[0], writer),
    )


def _stacked(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Chain:
    """Layers "rnn/lstm_cell", "rnn/gru_cell", ...: all but the last hand on their sequence.

    Only the first reads from the end: the others take what it read in the order of reading.
    """
    config.boolean("unroll", default=False)
    backwards = config.boolean("go_backwards", default=False)
    zeroed = zeroes(config)
    sequence = read_sequence(config, inputs[0], writer)
    x = inputs[0]
    layers: list[Recurrent] = []
    cells = stacked_cells(config)
    parts = weights.part("cell").part("cells")
    seen: dict[str, int] = {}
    for k, cell in enumerate(cells):
        folder = KINDS[cell.kind]
        count = seen[folder] = seen.get(folder, -1) + 1
        inside = parts.part(folder + (f"_{count}" if count else ""), cell.own_name)
        direction = read_cell(cell, x, inside, writer, go_backwards=backwards and not k)
        cell.done()
        layers.append(
            Recurrent(
                **cell.base(),
                forward=direction,
                zero_output_for_mask=zeroed,
                **(sequence if k == len(cells) - 1 else {**sequence, "return_sequences": True}),
            )
        )
        x = (*x[:-1], direction.units)
    used = len(inputs) > 1 or (sequence["return_state"] and len(cells) > 1)
    return Chain(tuple(layers), states_reversed(config, writer, used=used))
