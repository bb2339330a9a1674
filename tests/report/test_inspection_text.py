from __future__ import annotations

import re
from dataclasses import replace

import pytest

from converter.description import Era, Layer, Model, Source, Value
from converter.gates import Cell
from converter.report.inspection import inspect
from converter.report.inspection_text import show_inspection
from tests.report.models import HARD_SIGMOID_2, chain, dense, question, recurrent
from tests.report.terminal import in_a_log, on_a_terminal, plain

QUESTION = """\
models/question.keras
  model       question
  form        Keras archive (.keras)
  written by  Keras 3.15.1, read as Keras 3
  sha256      9f2c41d09f2c
  input       x (batch, 1, 2) float32
  output      lstm (batch, 1) float32

  layer       what it is  output      Keras  PyTorch
  lstm        LSTM(1)     (batch, 1)     16       20
  parameters                             16       20

lstm: LSTM(1), 2 features a step
  A step x is one vector of F = 2 features; there is no loop over features.
  Each of the 4 gates is a dense layer on x and the previous output h (U = 1).

    i  = sigmoid(x @ kernel_i + h @ recurrent_kernel_i + bias_i)
    f  = sigmoid(x @ kernel_f + h @ recurrent_kernel_f + bias_f)
    c~ = tanh(x @ kernel_c + h @ recurrent_kernel_c + bias_c)
    o  = sigmoid(x @ kernel_o + h @ recurrent_kernel_o + bias_o)
    c  = f * c + i * c~
    h  = o * tanh(c)

  array         Keras                    PyTorch nn.LSTM
  weights of x  kernel (2, 4)            weight_ih_l0 (4, 2)
  weights of h  recurrent_kernel (1, 4)  weight_hh_l0 (4, 1)
  bias          bias (4,)                bias_ih_l0 (4,)
  second bias   none                     bias_hh_l0 (4,), zeros
  gates         i f c o in columns       i f g o in rows

  Keras    4·F·U + 4·U·U + 4·U = 8 + 4 + 4 = 16
  PyTorch  4·F·U + 4·U·U + 8·U = 8 + 4 + 8 = 20
  With one feature a step Keras counts 12; each further one adds 4·U = 4.
  PyTorch adds a second bias; it is zeros, and kept out of training.

  gate          Keras columns  PyTorch rows  its kernel       its recurrent kernel       its bias
  i  input      0:1            0:1           kernel_i (2, 1)  recurrent_kernel_i (1, 1)  bias_i (1,)
  f  forget     1:2            1:2           kernel_f (2, 1)  recurrent_kernel_f (1, 1)  bias_f (1,)
  c  candidate  2:3            2:3 (g)       kernel_c (2, 1)  recurrent_kernel_c (1, 1)  bias_c (1,)
  o  output     3:4            3:4           kernel_o (2, 1)  recurrent_kernel_o (1, 1)  bias_o (1,)

  numbers                      i       f      c~       o
  kernel            x[0]  0.0000  0.0200  0.0400  0.0600
                    x[1]  0.0100  0.0300  0.0500  0.0700
  recurrent_kernel  h[0]  1.0000  1.0100  1.0200  1.0300
  bias                    2.0000  2.0100  2.0200  2.0300
"""


def log(model: Model, *, values: bool | None = None) -> str:
    return in_a_log(lambda console: show_inspection(console, inspect(model, values=values)))


def terminal(model: Model, width: int, *, colour: bool = True) -> str:
    return on_a_terminal(
        lambda console: show_inspection(console, inspect(model)), width, colour=colour
    )


def test_the_answer_to_the_question() -> None:
    assert log(question()) == QUESTION


def test_with_one_feature_it_says_what_a_second_would_add() -> None:
    text = log(question(1))
    assert "A step x is one vector of F = 1 feature.\n" in text
    assert (
        "With one feature a step Keras counts 12; each further one adds 4·U = 4, so 16 with two."
        in text
    )


def test_80_columns_are_enough() -> None:
    text = plain(terminal(question(), 80))
    assert max(map(len, text.splitlines())) <= 80
    assert "  gate  its kernel       its recurrent kernel       its bias\n" in text
    # Nothing but the one wide table is other than in a log.
    differing = set(QUESTION.splitlines()) - set(text.splitlines())
    assert all(re.match(r"  (gate|i|f|c|o) ", line) for line in differing)


def test_a_wide_terminal_shows_what_a_log_holds() -> None:
    assert plain(terminal(question(), 160)) == QUESTION


def test_a_terminal_has_colours() -> None:
    assert "\x1b[1;36mi" in terminal(question(), 80)


def test_no_color_is_obeyed() -> None:
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", terminal(question(), 80, colour=False)))
    assert codes <= {"0", "1"}  # bold, and its end


def test_a_log_has_neither_colours_nor_boxes_nor_blanks_at_the_end_of_a_line() -> None:
    text = log(question())
    assert not re.search(r"\x1b|[\u2500-\u257f]", text)
    assert not re.search(r" $", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("layer", "lines"),
    [
        (
            recurrent(Cell.GRU, 3, 2, name="gru"),
            [
                "gru: GRU(2), 3 features a step",
                "    z   = sigmoid(x_z + h_z)",
                "    h~  = tanh(x_h + r * h_h)",
                "    h_z = h @ recurrent_kernel_z + recurrent_bias_z, ...",
                "  second bias   bias (2, 6), row 1       bias_hh_l0 (6,)",
                "  gates         z r h in columns         r z n in rows",
                "  Keras    3·F·U + 3·U·U + 6·U = 18 + 12 + 12 = 42",
                "  PyTorch  3·F·U + 3·U·U + 6·U = 18 + 12 + 12 = 42",
                "  With one feature a step Keras counts 30; each further one adds 3·U = 6.",
                "  Both have two biases, because the reset gate multiplies the second.",
            ],
        ),
        (
            recurrent(Cell.GRU_RESET_BEFORE, 3, 2, name="gru", recurrent_activation=HARD_SIGMOID_2),
            [
                "  gru         GRU(2, reset_after=False)  (batch, 2)     36       36",
                "    z  = hard_sigmoid(x @ kernel_z + h @ recurrent_kernel_z + bias_z)",
                "    h~ = tanh(x @ kernel_h + (r * h) @ recurrent_kernel_h + bias_h)",
                "    with hard_sigmoid(alpha=0.2, beta=0.5)",
                "  PyTorch's nn.GRU resets after the product: convert writes a class that resets "
                "before.",
            ],
        ),
        (
            recurrent(Cell.LSTM, 3, 2, recurrent_activation=HARD_SIGMOID_2),
            [
                "  array         Keras                    PyTorch ActivatedLSTM",
                "  bias          bias (8,)                bias_ih_l0 (8,)",
                "  gates         i f c o in columns       i f c o in rows",
                "  PyTorch's nn.LSTM has other activations: convert writes a class.",
            ],
        ),
        (
            recurrent(Cell.RNN, 3, 2, name="rnn"),
            [
                "rnn: SimpleRNN(2), 3 features a step",
                "  The layer is a dense layer on x and the previous output h (U = 2).",
                "    h = tanh(x @ kernel + h @ recurrent_kernel + bias)",
                "  Keras    F·U + U·U + U   = 6 + 4 + 2 = 12",
                "  PyTorch  F·U + U·U + 2·U = 6 + 4 + 4 = 14",
                "  With one feature a step Keras counts 8; each further one adds U = 2.",
            ],
        ),
        (
            recurrent(Cell.LSTM, 3, 2, biases=0),
            [
                "  lstm        LSTM(2, use_bias=False)  (batch, 2)     40       40",
                "    i  = sigmoid(x @ kernel_i + h @ recurrent_kernel_i)",
                "  Keras    4·F·U + 4·U·U = 24 + 16 = 40",
            ],
        ),
        (
            recurrent(Cell.LSTM, 3, 2, name="bi", both=True),
            [
                "  bi          Bidirectional(LSTM(2), concat)  (batch, 4)     96      112",
                "bi: LSTM(2), forward and backward, 3 features a step",
                "  weights of x  kernel (3, 8)                  weight_ih_l0 (8, 3)",
                "  twice         forward_layer, backward_layer  names as they are, and _reverse",
                "  Keras    4·F·U + 4·U·U + 4·U = 24 + 16 + 8 = 48, twice: 96",
                "  With one feature a step Keras counts 64; each further one adds 8·U = 16.",
            ],
        ),
    ],
    ids=["gru", "gru reset before", "lstm of Keras 2", "rnn", "no bias", "two directions"],
)
def test_a_layer_is_taken_apart(layer: Layer, lines: list[str]) -> None:
    text = log(chain(Value("x", (None, None, 3)), layer)).splitlines()
    assert [line for line in lines if line not in text] == []


def test_what_a_kind_of_cell_does_is_said_once() -> None:
    first = recurrent(Cell.LSTM, 3, 2, name="a", layer={"return_sequences": True})
    second = recurrent(Cell.LSTM, 2, 2, name="b")
    text = log(chain(Value("x", (None, None, 3)), first, second, dense(2, 1)))
    assert text.count("A step x is one vector") == 1
    assert text.count("i  = sigmoid(") == 2


def test_columns_of_numbers_break_between_gates() -> None:
    text = log(chain(Value("x", (None, None, 2)), recurrent(Cell.LSTM, 2, 4)))
    heads = [line.split()[1:] for line in text.splitlines() if line.startswith("  numbers")]
    units = [f"{name}[{unit}]" for name in ("i", "f", "c~", "o") for unit in range(4)]
    assert heads == [units[:8], units[8:]]


def test_columns_of_one_gate_break_where_they_must() -> None:
    text = log(chain(Value("x", (None, None, 2)), recurrent(Cell.RNN, 2, 20)), values=True)
    heads = [line.split()[1:] for line in text.splitlines() if line.startswith("  numbers")]
    assert [head for line in heads for head in line] == [f"h[{unit}]" for unit in range(20)]
    assert len(heads) == 3


def test_small_numbers_keep_their_digits() -> None:
    model = question().map_weights(
        lambda layer, name, one: replace(
            one,
            stored=tuple(
                replace(stored, read=lambda stored=stored: stored.read() * 1e-6)
                for stored in one.stored
            ),
        )
    )
    assert "2.000e-08" in log(model)


def test_names_from_a_file_command_no_terminal() -> None:
    hostile = recurrent(name="lstm\x1b[2J\nequal: \u202eall")
    source = Source(path="a\rb.keras", form="f\x07", version="3\n", sha256="\x1b[1m")
    text = log(chain(Value("x\t", (None, 1, 2)), hostile, name="m\x00", source=source))
    assert re.findall(r"[^\n\x20-\x7e·]", text) == []
    assert r"lstm\x1b[2J\nequal: \u202eall" in text
    assert not re.search("^equal", text, flags=re.MULTILINE)


def test_markup_in_a_name_stays_a_name() -> None:
    assert "[bold]x[/bold]" in log(
        chain(Value("x", (None, 1, 2)), recurrent(name="[bold]x[/bold]"))
    )


def test_a_live_model_has_no_file() -> None:
    model = replace(question(), source=Source(era=Era.TF_KERAS))
    assert log(model).startswith(
        "question\n"
        "  model       question\n"
        "  form        in memory\n"
        "  written by  Keras of unknown version, read as tf.keras\n"
        "  input "
    )


def test_a_frozen_layer_says_so() -> None:
    assert "LSTM(1), frozen" in log(
        chain(Value("x", (None, 1, 2)), replace(recurrent(), trainable=False))
    )
