"""Layers that normalize and prepare values: the judge and PyTorch against Keras in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from converter.description import CategoryEncoding, Encoding, Value, Weight
from converter.errors import UsageError
from converter.judge import judge
from tests.judge.answers import SHOWS, TOLERANCE, Answers, asked, difference
from tests.judge.describe import model_of
from tests.judge.in_torch import torch_difference

ASKED = [*asked("scaling"), *asked("preparing")]


@pytest.mark.parametrize(("name", "who"), ASKED)
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in [*ASKED, *asked("merging")]))
def test_pytorch_computes_what_keras_computes(answers: Answers, name: str) -> None:
    assert torch_difference(answers(name)) <= TOLERANCE


def flipped(weight: Weight) -> Weight:
    return Weight.of(np.flip(weight.read(), 0))


WRONG: dict[str, tuple[str, Any]] = {
    "other groups": ("group-plain", lambda _: {"groups": 3}),
    "another axis": ("group-axis-1", lambda _: {"axis": 3, "gamma": None, "beta": None}),
    "PyTorch's epsilon": ("group-plain", lambda _: {"epsilon": 1e-5}),
    "a lost scale": ("group-sequences", lambda _: {"gamma": None}),
    "a scale in another order": ("rms-plain", lambda layer: {"scale": flipped(layer.scale)}),
    "another axis of a norm": ("unit-plain", lambda _: {"axes": (1,)}),
    "the least norm of tf.keras": ("unit-of-size-1e-07", lambda _: {"least": 1e-6}),
    "that of Keras 3": ("old-unit-of-size-1e-07", lambda _: {"least": 1e-12}),
    "that of Keras 3 in Dot": ("old-dot-of-size-1e-07", lambda _: {"least": 1e-7}),
    "a lost offset": ("rescaling-offset", lambda _: {"offset": (0.0,)}),
    "the variance for the mean": (
        "normalization-found",
        lambda layer: {"mean": layer.variance},
    ),
    "variances in another order": (
        "normalization-vectors",
        lambda layer: {"variance": layer.variance[::-1]},
    ),
    "a lost inverse": ("normalization-vectors-inverted", lambda _: {"invert": False}),
    "how often for whether": (
        "encoding-count-of-4-int32",
        lambda _: {"encoding": Encoding.MULTI_HOT},
    ),
    "a boundary that is above": (
        "bins-of-indices",
        lambda layer: {"boundaries": tuple(one + 0.5 for one in layer.boundaries)},
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_shows(answers: Answers, what: str) -> None:
    name, change = WRONG[what]
    answer = answers(name)
    wrong = answer.with_layer(replace(answer.layer, **change(answer.layer)))
    assert difference(answer, wrong) > SHOWS
    assert torch_difference(answer, wrong) > SHOWS


@pytest.mark.parametrize("number", [-1, 4])
def test_a_number_that_is_no_category_is_refused(number: int) -> None:
    layer = CategoryEncoding(name="words", depth=4, encoding=Encoding.COUNT)
    with pytest.raises(UsageError) as refused:
        judge(model_of(layer, Value("x", (None, 2), "int32")), np.array([[1, number]]))
    assert str(refused.value) == (
        "error[category]: a number is none of the categories of layer 'words'\n"
        f"  found: {number}; expected 0 to 3\n"
        "  help:  give the numbers that the model was trained with"
    )
