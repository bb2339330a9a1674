"""Pooling means what Keras computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from converter.description import Padding, Pool, Pooling, Value
from converter.judge import judge
from tests.judge.answers import SHOWS, TOLERANCE, Answers, asked, difference
from tests.judge.describe import model_of


@pytest.mark.parametrize(("name", "who"), asked("pooling"))
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


@pytest.mark.parametrize("name", ["max-2d-valid-strides", "global-max-2d"])
def test_an_average_in_the_place_of_a_maximum_shows(answers: Answers, name: str) -> None:
    answer = answers(name)
    assert difference(answer, answer.with_layer(replace(answer.layer, pool=Pool.AVERAGE))) > SHOWS


def average(size: tuple[int, ...], strides: tuple[int, ...]) -> Pooling:
    return Pooling(
        name="average", pool=Pool.AVERAGE, size=size, strides=strides, padding=Padding.SAME
    )


def test_an_average_counts_no_padding() -> None:
    model = model_of(average((3, 2), (1, 1)), Value("x", (None, 4, 3, 1)))
    np.testing.assert_array_equal(judge(model, np.ones((1, 4, 3, 1))), np.ones((1, 4, 3, 1)))


def test_a_maximum_of_negative_numbers_does_not_see_the_padding() -> None:
    layer = replace(average((3,), (1,)), pool=Pool.MAX)
    x = -np.arange(1.0, 5.0).reshape(1, 4, 1)
    found = judge(model_of(layer, Value("x", (None, 4, 1))), x)
    np.testing.assert_array_equal(found, np.array([-1.0, -1.0, -2.0, -3.0]).reshape(1, 4, 1))


def test_an_average_over_three_padded_axes_is_one_over_each_in_turn() -> None:
    """Keras computes this one in float32 only: held against those that Keras was asked."""
    size, strides = (3, 2, 2), (2, 3, 1)
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3, 2))
    at_once = judge(model_of(average(size, strides), Value("x", (None, 4, 5, 3, 2))), x)
    in_turn = x
    for axis in (1, 2, 3):
        rows = np.moveaxis(in_turn, axis, -1)
        flat = rows.reshape(-1, rows.shape[-1], 1)
        layer = average((size[axis - 1],), (strides[axis - 1],))
        pooled = np.asarray(judge(model_of(layer, Value("x", (None, None, 1))), flat))
        in_turn = np.moveaxis(pooled.reshape(*rows.shape[:-1], -1), -1, axis)
    np.testing.assert_allclose(at_once, in_turn, rtol=0, atol=TOLERANCE)
