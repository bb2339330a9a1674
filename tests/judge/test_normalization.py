"""BatchNormalization and LayerNormalization mean what Keras computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from converter.description import BatchNormalization, LayerNormalization, Weight
from converter.judge import judge
from tests.judge.answers import SHOWS, TOLERANCE, Answers, asked, difference


@pytest.mark.parametrize(("name", "who"), asked("normalization"))
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


@pytest.mark.parametrize("name", ["batch-plain", "layer-plain"])
@pytest.mark.parametrize("change", [{"gamma": None}, {"beta": None}, {"epsilon": 1e-5}])
def test_anything_lost_shows(answers: Answers, name: str, change: dict[str, float | None]) -> None:
    """The epsilon is PyTorch's own."""
    answer = answers(name)
    assert difference(answer, answer.with_layer(replace(answer.layer, **change))) > SHOWS


def squared(weight: Weight) -> Weight:
    """A variance must be positive."""
    return Weight.of(weight.read() ** 2)


def test_mean_and_variance_exchanged_show(answers: Answers) -> None:
    answer = answers("batch-neither")
    layer = answer.layer
    assert isinstance(layer, BatchNormalization)
    mean, variance = layer.moving_mean, layer.moving_variance
    wrong = replace(layer, moving_mean=variance, moving_variance=squared(mean))
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


def test_a_mean_that_is_subtracted_shows(answers: Answers) -> None:
    answer = answers("layer-deviation")
    layer = answer.layer
    assert isinstance(layer, LayerNormalization)
    assert difference(answer, answer.with_layer(replace(layer, centred=True))) > SHOWS


def test_other_axes_show(answers: Answers) -> None:
    answer = answers("layer-axes-2-3")
    layer = answer.layer
    assert isinstance(layer, LayerNormalization)
    # gamma and beta are (5, 2): along (1, 3) they would be (4, 2).
    ones = replace(layer, gamma=Weight.of(np.ones((5, 2))), beta=None)
    others = replace(layer, axes=(1, 3), gamma=Weight.of(np.ones((4, 2))), beta=None)
    x = answer.calls[0].inputs[0]
    meant, wrong = (judge(answer.with_layer(each), x) for each in (ones, others))
    assert np.abs(np.subtract(meant, wrong)).max() > SHOWS
