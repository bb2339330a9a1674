"""Six directions between three frameworks: what goes there and back comes back to the bit.

Each test is a row of the table that stands at the end of pytest's output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import converter
from converter.description import Model, Recurrent, Weight
from tests.from_torch.forwards import RECURRENT
from tests.models_by_hand import random_model
from tests.round_trips.trips import DIRECTIONS, bits, distance, taken, trip

DATA = Path(__file__).parents[1] / "data"

SAVED = (
    "bidirectional_lstm_merges",
    "bidirectional_stacked",
    "bidirectional_states",
    "cells",
    "embedding",
    "gru",
    "gru_options",
    "lstm",
    "lstm_backwards",
    "lstm_recurrent_activations",
    "lstm_states",
    "masked_steps",
    "masked_words",
    "residual",
    "rnn",
    "rnn_options",
    "shared_bidirectional",
    "states",
    "time_distributed_dense",
)
"""Of tests/data/keras3."""

MODULES = (
    "a state of its own",
    "h alone",
    "no bias",
    "the last state",
    "the last step",
    "two layers",
)
"""Of tests/from_torch: both of their biases are drawn."""

REFUSED: dict[tuple[str, str, str], str] = {}
"""By model, home and way: the code of the refusal."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def saved(name: str) -> Callable[[], Model]:
    return lambda: converter.read(DATA / "keras3" / f"{name}.keras")


def module(name: str) -> Callable[[], Model]:
    """A module in float32, both biases of which are trained."""
    case = RECURRENT[name]
    example = torch.utils._pytree.tree_map_only(torch.Tensor, as_float32, case.example)
    return lambda: converter.read(case.module().float(), example)


def as_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


MODELS: dict[str, Callable[[], Model]] = {
    **{name: saved(name) for name in SAVED},
    **{name: module(name) for name in MODULES},
    **{f"random {seed}": partial(random_model, seed) for seed in range(8)},
}
"""The last: one to four layers of any cell, which nobody wrote."""


TITLE = "There and back: the same bits in every array, the same answers to 1e-12"
HEADS = ("model", *(f"{home}, {via}" for home, via in DIRECTIONS))


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name: str, record_property: Callable[[str, object], None]) -> None:
    model = MODELS[name]()
    trips = {(home, via): trip(model, home, via) for home, via in DIRECTIONS}
    record_property("table", (TITLE, HEADS, (name, *(one.word for one in trips.values()))))
    refused = {(name, *way): one.refused for way, one in trips.items() if one.refused}
    assert refused == {way: code for way, code in REFUSED.items() if way[0] == name}
    assert {way: one.word for way, one in trips.items() if not one.refused} == {
        way: "equal" for way, one in trips.items() if not one.refused
    }


def test_one_bit_that_is_lost_is_seen() -> None:
    model = saved("lstm")()

    def turned(_layer: object, name: str, weight: Weight) -> Weight:
        array = weight.read().copy()
        if name == "forward.bias":
            array.flat[0] = np.nextafter(array.flat[0], np.float32(np.inf))
        return Weight.of(array)

    other = model.map_weights(turned)
    for home, _ in DIRECTIONS[::2]:
        assert bits(taken(model, home), home) != bits(taken(other, home), home)
    assert 0 < distance(model, other) < 1e-5


def test_a_bias_that_was_trained_after_it_became_one_comes_back_as_one() -> None:
    """PyTorch's two are kept beside their sum; they are given back only if it is still that."""
    model = module("the last step")()
    back = taken(taken(model, "Keras"), "PyTorch")
    (lstm,) = (layer for layer in back.layers if isinstance(layer, Recurrent))
    assert lstm.forward.bias is not None
    assert lstm.forward.bias.shape[0] == 2
    assert isinstance(converter.to_torch(back), nn.Module)
