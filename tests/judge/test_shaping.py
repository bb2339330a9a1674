"""Layers that move elements move them as Keras does, bit by bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from converter.description import Flatten, Permute, RepeatVector, Reshape, Value
from converter.judge import judge
from tests.judge.answers import SHOWS, Answers, asked, difference
from tests.judge.describe import model_of


@pytest.mark.parametrize(("name", "who"), asked("shaping"))
def test_each_layer_moves_elements_as_keras_does(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) == 0


def test_flattening_with_the_channels_elsewhere_shows(answers: Answers) -> None:
    answer = answers("flatten-channels-first")
    wrong = replace(answer.layer, channels_first=False)
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


def test_an_inverse_permutation_shows() -> None:
    x = np.arange(27.0).reshape(1, 3, 3, 3)
    meant, inverse = (
        np.asarray(judge(model_of(Permute(name="p", dims=dims), Value("x", (None, 3, 3, 3))), x))
        for dims in ((2, 3, 1), (3, 1, 2))
    )
    assert meant[0, 1, 2, 0] == x[0, 0, 1, 2]  # out[i, j, k] is in[k, i, j]
    assert not np.array_equal(meant, inverse)


@pytest.mark.parametrize(
    ("layer", "inside", "shape"),
    [
        (Flatten(name="f"), (2, 3), (0, 6)),
        (Reshape(name="r", target=(3, -1)), (2, 3), (0, 3, 2)),
        (Permute(name="p", dims=(2, 1)), (2, 3), (0, 3, 2)),
        (RepeatVector(name="v", n=4), (3,), (0, 4, 3)),
    ],
)
def test_an_empty_batch_keeps_its_shape(
    layer: Flatten | Reshape | Permute | RepeatVector,
    inside: tuple[int, ...],
    shape: tuple[int, ...],
) -> None:
    model = model_of(layer, Value("x", (None, *inside)))
    assert np.shape(judge(model, np.zeros((0, *inside)))) == shape


def test_integers_stay_integers() -> None:
    model = model_of(Flatten(name="f"), Value("x", (None, 2, 2), "int32"))
    found = np.asarray(judge(model, np.arange(4, dtype=np.int32).reshape(1, 2, 2)))
    assert (found.dtype, found.tolist()) == (np.dtype("int32"), [[0, 1, 2, 3]])
