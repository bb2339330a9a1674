"""Convolutions mean what Keras computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from converter.description import Convolution, Padding, Weight
from tests.judge.answers import SHOWS, TOLERANCE, Answer, Answers, asked, difference


@pytest.mark.parametrize(("name", "who"), asked("convolution"))
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


def with_kernel(answer: Answer, change: Any) -> float:
    assert isinstance(answer.layer, Convolution)
    wrong = replace(answer.layer, kernel=Weight.of(change(answer.layer.kernel.read())))
    return difference(answer, answer.with_layer(wrong))


@pytest.mark.parametrize("name", ["conv1d-valid-stride-1-dilation-1-groups-1", "conv2d-same-plain"])
def test_a_kernel_turned_round_shows(answers: Answers, name: str) -> None:
    assert with_kernel(answers(name), lambda kernel: kernel[::-1]) > SHOWS


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("name", ["conv2d-valid-plain", "conv2d-valid-groups"])
def test_channels_or_filters_in_another_order_show(answers: Answers, name: str, axis: int) -> None:
    assert with_kernel(answers(name), lambda kernel: np.flip(kernel, axis)) > SHOWS


def test_the_odd_zero_is_at_the_end(answers: Answers) -> None:
    """A kernel of two sees one zero beyond the last step; PyTorch users put it at the start."""
    answer = answers("conv1d-kernel-of-two")
    wrong = replace(answer.layer, padding=Padding.CAUSAL)
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_causal_kernel_does_not_see_the_future(answers: Answers, dilation: int) -> None:
    answer = answers(f"conv1d-causal-stride-1-dilation-{dilation}-groups-1")
    wrong = replace(answer.layer, padding=Padding.SAME)
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


def test_a_lost_dilation_shows(answers: Answers) -> None:
    answer = answers("conv1d-same-stride-1-dilation-2-groups-1")
    assert difference(answer, answer.with_layer(replace(answer.layer, dilation=(1,)))) > SHOWS


def test_a_lost_bias_shows(answers: Answers) -> None:
    answer = answers("conv3d-valid-plain")
    assert difference(answer, answer.with_layer(replace(answer.layer, bias=None))) > SHOWS
