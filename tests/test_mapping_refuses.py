from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from converter.errors import ConverterError, UnsupportedError, UsageError, WeightError
from converter.mapping import (
    gru_to_torch,
    lstm_from_torch,
    lstm_to_torch,
    rnn_from_torch,
    rnn_to_torch,
)


def refused(
    error: type[ConverterError], call: Callable[..., object], *given: Any, **named: Any
) -> str:
    with pytest.raises(error) as caught:
        call(*given, **named)
    return str(caught.value)


def test_one_bias_in_a_gru_is_refused_by_name() -> None:
    text = refused(UnsupportedError, gru_to_torch, np.ones((2, 9)), np.ones((3, 9)), np.ones(9))
    assert text == (
        "error[gru-reset-before]: "
        "torch.nn.GRU cannot compute this Keras GRU: it resets before the product\n"
        "  found: bias of shape (9,): reset_after=False; with reset_after=True it would be (2, 9)\n"
        "  help:  converter.to_torch writes a cell class for the whole model"
    )


def test_a_projection_is_refused_by_name() -> None:
    module = torch.nn.LSTM(2, 4, proj_size=3)
    assert refused(UnsupportedError, lstm_from_torch, module.state_dict()) == (
        "error[lstm-projection]: Keras has no LSTM with a projection of its output\n"
        "  found: weight_hr_l0: the module has proj_size\n"
        "  help:  keep the module in PyTorch, or train it without proj_size"
    )


def test_a_transposed_kernel_is_recognized() -> None:
    text = refused(WeightError, lstm_to_torch, np.ones((8, 5)), np.ones((2, 8)))
    assert text == (
        "error[shape]: kernel of a Keras LSTM has the wrong shape\n"
        "  found: (8, 5); expected (F, 8)\n"
        "  help:  it looks transposed: Keras has units in columns, PyTorch in rows"
    )


def test_a_transposed_recurrent_kernel_is_recognized() -> None:
    text = refused(WeightError, gru_to_torch, np.ones((5, 9)), np.ones((9, 3)))
    assert text == (
        "error[shape]: recurrent_kernel of a Keras GRU has the wrong shape\n"
        "  found: (9, 3); expected (U, 3·U)\n"
        "  help:  it looks transposed: Keras has units in columns, PyTorch in rows"
    )


@pytest.mark.parametrize(
    ("kernel", "recurrent_kernel", "bias", "found"),
    [
        ((5, 9), (2, 8), None, "kernel of a Keras LSTM has the wrong shape"),
        ((0, 8), (2, 8), None, "kernel of a Keras LSTM has the wrong shape"),
        ((8,), (2, 8), None, "kernel of a Keras LSTM has the wrong shape"),
        ((5, 8), (0, 0), None, "recurrent_kernel of a Keras LSTM has the wrong shape"),
        ((5, 8), (2, 4, 2), None, "recurrent_kernel of a Keras LSTM has the wrong shape"),
        ((5, 8), (2, 8), (2, 8), "bias of a Keras LSTM has the wrong shape"),
        ((5, 8), (2, 8), (16,), "bias of a Keras LSTM has the wrong shape"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(
    kernel: tuple[int, ...],
    recurrent_kernel: tuple[int, ...],
    bias: tuple[int, ...] | None,
    found: str,
) -> None:
    given = [
        None if shape is None else np.ones(shape) for shape in (kernel, recurrent_kernel, bias)
    ]
    assert f"error[shape]: {found}" in refused(WeightError, lstm_to_torch, *given)


def test_the_second_layer_must_take_what_the_first_gives() -> None:
    state_dict = lstm_to_torch(np.ones((5, 8)), np.ones((2, 8)))
    state_dict |= lstm_to_torch(np.ones((3, 8)), np.ones((2, 8)), layer=1)
    assert refused(WeightError, lstm_from_torch, state_dict) == (
        "error[shape]: weight_ih_l1 of torch.nn.LSTM has the wrong shape\n"
        "  found: (8, 3); expected (8, 2)\n"
        "  help:  the arrays may belong to different layers"
    )


def test_the_state_dict_of_another_cell_is_refused() -> None:
    text = refused(WeightError, lstm_from_torch, torch.nn.GRU(2, 3).state_dict())
    assert "weight_hh_l0 of torch.nn.LSTM has the wrong shape" in text
    assert "found: (9, 3); expected (4·U, U)" in text


@pytest.mark.parametrize(
    "lost", ["weight_hh_l0", "bias_hh_l0", "bias_ih_l1_reverse", "weight_ih_l1"]
)
def test_an_array_that_is_missing_is_named(lost: str) -> None:
    state_dict = torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True).state_dict()
    del state_dict[lost]
    text = refused(WeightError, lstm_from_torch, state_dict)
    assert text.startswith(
        f"error[missing-weight]: {lost} of torch.nn.LSTM is not in the state dict\n"
    )
    assert " and 9 more\n" in text


def test_a_module_elsewhere_is_pointed_at() -> None:
    model = torch.nn.ModuleDict({"body": torch.nn.LSTM(2, 3)})
    assert refused(WeightError, lstm_from_torch, model.state_dict()) == (
        "error[missing-weight]: no weights of torch.nn.LSTM in the state dict\n"
        "  found: body.weight_ih_l0, body.weight_hh_l0, body.bias_ih_l0, body.bias_hh_l0\n"
        "  help:  say where the module is: prefix='body.'"
    )


def test_an_empty_state_dict_is_refused() -> None:
    assert refused(WeightError, rnn_from_torch, {}, prefix="rnn.") == (
        "error[missing-weight]: no weights of torch.nn.RNN in the state dict under 'rnn.'\n"
        "  found: no names\n"
        "  help:  take the state dict of the recurrent module: module.state_dict()"
    )


@pytest.mark.parametrize(("biases", "lost"), [("first", "bias_hh_l0"), ("second", "bias_ih_l0")])
def test_a_bias_is_not_lost(biases: str, lost: str) -> None:
    state_dict = torch.nn.LSTM(2, 3).state_dict()
    assert refused(WeightError, lstm_from_torch, state_dict, biases=biases) == (
        f"error[bias-lost]: biases='{biases}' would lose {lost}\n"
        "  found: 12 of its 12 numbers are not zero\n"
        '  help:  biases="sum" adds both, which computes the same'
    )


def test_an_unknown_way_with_biases_is_refused() -> None:
    kernels = np.ones((1, 4)), np.ones((1, 4))
    assert refused(UsageError, lstm_to_torch, *kernels, biases="both") == (
        "error[unknown-value]: biases='both' is not known\n"
        "  found: known: 'first', 'second', 'split'\n"
        "  help:  leave it out for 'first'"
    )
    assert "leave it out for 'sum'" in refused(UsageError, lstm_from_torch, {}, biases="split")


@pytest.mark.parametrize("layer", [-1, 1.0, True])
def test_a_layer_is_a_number_from_zero(layer: Any) -> None:
    assert refused(UsageError, rnn_to_torch, [[1.0]], [[1.0]], layer=layer) == (
        f"error[layer]: layer={layer!r} is no layer of torch.nn.RNN\n"
        "  found: layers are counted from 0\n"
        "  help:  layer=0 for the first, or the only one"
    )


@pytest.mark.parametrize(
    "value",
    [
        torch.ones((1, 4), dtype=torch.bfloat16),  # NumPy has no such dtype
        [[1.0, 2.0], [3.0]],
        [["a", "b", "c", "d"]],
        np.ones((1, 4), dtype=complex),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value: Any) -> None:
    text = refused(WeightError, lstm_to_torch, value, np.ones((1, 4)))
    assert text.startswith("error[dtype]: kernel of a Keras LSTM ")
