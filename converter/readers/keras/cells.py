"""The cells of an RNN, as its config has them: one, or several that are stacked."""

from __future__ import annotations

import re

from converter.description import Era
from converter.errors import UnsupportedError
from converter.readers.keras.config import Config, serialized
from converter.readers.keras.era import Writer
from converter.readers.strict import shown

RNN = "RNN"
STACKED = "StackedRNNCells"
KINDS = {"LSTMCell": "lstm_cell", "GRUCell": "gru_cell", "SimpleRNNCell": "simple_rnn_cell"}
"""The cells, each with the folder that it has in an archive."""

MAX_CELLS = 1000


def one_cell(config: Config) -> Config:
    """The cell of an RNN in another layer.

    Raises:
        UnsupportedError: It is none of Keras's own.
    """
    return _known(config.child("cell"))


def stacked_inside(where: str) -> UnsupportedError:
    """The error for stacked cells in a place that takes one layer."""
    return UnsupportedError(
        f"{where} stacks cells inside another layer, which is not read",
        context="several layers of which each has states, in the place of one",
        hint="use an RNN of one cell for each of them, one after another",
        code="rnn-cells",
    )


def is_stacked(config: Config) -> bool:
    """Whether an RNN has several cells, or one in the place of several."""
    return config.child("cell").kind == STACKED


def stacked_cells(config: Config) -> list[Config]:
    """The cells of an RNN that stacks them, in order.

    Raises:
        UnsupportedError: One is none of Keras's own.
    """
    stack = config.child("cell")
    items = stack.value("cells")
    if not isinstance(items, list) or not 0 < len(items) <= MAX_CELLS:
        raise stack.wrong("cells", items, f"a list of 1 to {MAX_CELLS} cells")
    stack.boolean("reverse_state_order", default=False)
    stack.done()
    names: set[str] = set()
    return [_item(config, stack, item, names) for item in items]


def _item(config: Config, stack: Config, item: object, names: set[str]) -> Config:
    """A cell of a stack, "rnn/lstm_cell": Keras allows two of one name, a model does not."""
    kind, values = serialized(item, f"cells of {stack.where}")
    own = values.get("name") if isinstance(values, dict) else None
    name = wish = own if isinstance(own, str) else kind
    count = 0
    while name in names:
        count += 1
        name = f"{wish}_{count}"
    names.add(name)
    path = f"{config.name}/{name}"
    cell = Config(kind, path, values, config.file, trainable=stack.trainable)
    cell.computes_as(stack)
    return _known(cell)


def _known(cell: Config) -> Config:
    if cell.kind not in KINDS:
        raise UnsupportedError(
            f"{cell.where} is a cell that is not known",
            context=f"{shown(cell.kind)}; known: {', '.join(KINDS)}",
            hint="use LSTMCell, GRUCell or SimpleRNNCell",
            code="rnn-cells",
        )
    return cell


def states_reversed(config: Config, writer: Writer, *, used: bool) -> bool:
    """Whether a stack gives and takes the states of its last cell first.

    Keras 2 did so up to 2.2.2, and since then with `reverse_state_order`. tf.keras has that setting
    too, but gives the states in the order of the cells whatever it says (stacked_rnn_cells.py).

    Args:
        config: Of the RNN.
        writer: Who wrote the file.
        used: Somebody gives or takes the states.

    Raises:
        UnsupportedError: TensorFlow 1 wrote it, where the order depends on what no file says.
    """
    asked = config.child("cell").boolean("reverse_state_order", default=False)
    if writer.era in (Era.KERAS_1, Era.KERAS_2):
        return asked or _is_before_the_setting(writer)
    if used and writer.era is Era.TF_KERAS and writer.number < (2, 2):
        raise UnsupportedError(
            f"the order of the states of {config.where} cannot be told",
            context=f"stacked cells of tf.keras {shown(writer.version)}",
            hint="save the model with TensorFlow 1.13 or newer",
            code="state-order",
        )
    return False


def _is_before_the_setting(writer: Writer) -> bool:
    """Whether it is older than 2.2.3; one that does not say so is not."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", writer.version, re.ASCII)
    return match is not None and tuple(map(int, match.groups())) < (2, 2, 3)
