"""What a recurrent cell's dropout and recurrent_dropout are drawn for, in training.

Sources: `call` of the cells in keras/src/layers/rnn (3.7, 3.8 and 3.15), tf_keras (2.21) and
keras/layers/recurrent.py (1.2, 2.2.4 and 2.3.1).
"""

from __future__ import annotations

from converter.activations import SIGMOID, TANH
from converter.description import Direction, Drops, Era
from converter.gates import Cell
from converter.readers.keras.config import Config
from converter.readers.keras.era import Writer

EACH_GATE = (3, 8)
"""The Keras 3 from which a recurrent_dropout, or implementation 1, has masks for each gate."""


def read_drops(config: Config, direction: Direction, writer: Writer) -> Drops:
    """What a cell draws its masks for.

    Args:
        config: Of the cell, or of the layer that has its settings.
        direction: The cell.
        writer: Who wrote the file.
    """
    together = 1 if _is_keras_1_apart(config, writer) else 2
    implementation = config.integer("implementation", least=0, most=2, default=together)
    if direction.cell is Cell.RNN or not (direction.dropout or direction.recurrent_dropout):
        return Drops.SEQUENCE
    if writer.keras_3:
        apart = direction.recurrent_dropout > 0 or implementation == 1
        return Drops.GATE if apart and writer.number >= EACH_GATE else Drops.SEQUENCE
    if implementation != 2:
        return Drops.GATE
    fused = writer.era is Era.TF_KERAS and _is_fused(config, direction)
    return Drops.STEP if fused else Drops.SEQUENCE


def _is_keras_1_apart(config: Config, writer: Writer) -> bool:
    return writer.era is Era.KERAS_1 and config.value("consume_less", default="cpu") != "gpu"


def _is_fused(config: Config, direction: Direction) -> bool:
    """Whether tf.keras computes a layer in one piece, and drops in the whole sequence before."""
    return (
        config.kind in ("LSTM", "GRU")
        and direction.cell in (Cell.LSTM, Cell.GRU)
        and (direction.activation, direction.recurrent_activation) == (TANH, SIGMOID)
        and direction.recurrent_dropout == 0
        and direction.bias is not None
        and not config.boolean("unroll", default=False)
    )
