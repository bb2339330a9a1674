"""Depthwise, separable and transposed convolutions, and layers that change lengths.

The judge and the PyTorch that is written are both held against Keras in float64.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from converter.description import Interpolation, Layer, Padding, Weight
from tests.judge.answers import SHOWS, TOLERANCE, Answers, asked, difference
from tests.judge.in_torch import torch_difference

ASKED = [*asked("transposing"), *asked("resizing"), *asked("adapting")]


@pytest.mark.parametrize(("name", "who"), ASKED)
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in ASKED))
def test_pytorch_computes_what_keras_computes(answers: Answers, name: str) -> None:
    assert torch_difference(answers(name)) <= TOLERANCE


def test_softmax_of_a_convolution_is_over_its_channels_in_pytorch(answers: Answers) -> None:
    """They are axis 1 there."""
    assert torch_difference(answers("conv1d-activation-of-channels")) <= TOLERANCE


def flipped(weight: Weight, axis: int) -> Weight:
    return Weight.of(np.flip(weight.read(), axis))


WRONG: dict[str, tuple[str, Any]] = {
    "a depthwise kernel turned round": (
        "depthwise1d-valid-plain",
        lambda layer: {"kernel": flipped(layer.kernel, 0)},
    ),
    "its channels in another order": (
        "depthwise2d-valid-plain",
        lambda layer: {"kernel": flipped(layer.kernel, -2)},
    ),
    "its filters in another order": (
        "depthwise1d-valid-multiplied",
        lambda layer: {"kernel": flipped(layer.kernel, -1)},
    ),
    "a separable one that looks into the future": (
        "old-separable1d-causal-plain",
        lambda _: {"padding": Padding.SAME},
    ),
    "its products in another order": (
        "separable1d-valid-multiplied",
        lambda layer: {"pointwise": flipped(layer.pointwise, -2)},
    ),
    "a transposed kernel turned round": (
        "transpose1d-same-stride-2-size-3-more-None",
        lambda layer: {"kernel": flipped(layer.kernel, 0)},
    ),
    "its filters exchanged": (
        "conv2dtranspose-valid-plain",
        lambda layer: {"kernel": flipped(layer.kernel, -2)},
    ),
    "nearest for bilinear": (
        "sampling2d-bilinear-2",
        lambda _: {"interpolation": Interpolation.NEAREST},
    ),
    "zeros at the other end": (
        "padding1d-sides",
        lambda layer: {"ends": tuple(pair[::-1] for pair in layer.ends)},
    ),
    "elements left out at the other end": (
        "cropping2d-sides",
        lambda layer: {"ends": tuple(pair[::-1] for pair in layer.ends)},
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_shows(answers: Answers, what: str) -> None:
    name, change = WRONG[what]
    answer = answers(name)
    layer: Layer = replace(answer.layer, **change(answer.layer))
    assert difference(answer, answer.with_layer(layer)) > SHOWS
    assert torch_difference(answer, answer.with_layer(layer)) > SHOWS
