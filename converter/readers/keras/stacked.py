"""Stacked cells, which are a chain of layers."""

from __future__ import annotations

from converter.description import Recurrent, Shape
from converter.readers.keras.cells import (
    KINDS,
    RNN,
    is_stacked,
    stacked_cells,
    states_reversed,
)
from converter.readers.keras.chain import Chain
from converter.readers.keras.config import Config
from converter.readers.keras.direction import read_cell, read_direction, read_sequence
from converter.readers.keras.era import Writer
from converter.readers.keras.weights import Weights


def read_stacked(
    config: Config,
    inputs: tuple[Shape, ...],
    weights: Weights,
    writer: Writer,
    *,
    zeroed: bool,
    turned: bool = False,
) -> Chain:
    """Layers "rnn/lstm_cell", "rnn/gru_cell", ...: all but the last hand on their sequence.

    Only the first reads from the end: the others take what it read in the order of reading.

    Args:
        config: Of an RNN; or of a layer beside one in a Bidirectional, which is a chain of one.
        inputs: The shapes of the sequence, and of states where they are given.
        weights: Of the layer.
        writer: Who wrote the file.
        zeroed: A masked step returns zeros.
        turned: It reads the other way than its config says.
    """
    sequence = read_sequence(config, inputs[0], writer)
    unrolled = config.boolean("unroll", default=False)
    backwards = config.boolean("go_backwards", default=False) is not turned
    wrongly = unrolled and backwards and zeroed and sequence["return_sequences"]
    last = {**sequence, "zero_output_for_mask": zeroed and not wrongly}
    if not (config.kind == RNN and is_stacked(config)):
        direction = read_direction(config, inputs[0], weights, writer, turned=turned)
        return Chain((Recurrent(**config.base(), forward=direction, **last),), zeros_turned=wrongly)
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
        settings = last
        if k < len(cells) - 1:  # what it returns at a masked step is masked in the next one too
            settings = {**last, "return_sequences": True, "zero_output_for_mask": False}
        layers.append(Recurrent(**cell.base(), forward=direction, **settings))
        x = (*x[:-1], direction.units)
    used = len(inputs) > 1 or (sequence["return_state"] and len(cells) > 1)
    return Chain(tuple(layers), states_reversed(config, writer, used=used), zeros_turned=wrongly)
