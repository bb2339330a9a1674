"""Layers of several inputs mean what Keras computes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.description import Combination
from tests.judge.answers import SHOWS, TOLERANCE, Answers, asked, difference


@pytest.mark.parametrize(("name", "who"), asked("merging"))
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


@pytest.mark.parametrize("other", Combination)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "average", "maximum", "minimum"])
def test_another_operation_shows(answers: Answers, name: str, other: Combination) -> None:
    answer = answers(f"{name}-two")
    same = other.value.lower() == name
    found = difference(answer, answer.with_layer(replace(answer.layer, combination=other)))
    assert found <= TOLERANCE if same else found > SHOWS


@pytest.mark.parametrize("name", ["subtract-two", "concatenate--1"])
def test_inputs_in_another_order_show(answers: Answers, name: str) -> None:
    answer = answers(name)
    (call,) = answer.model.calls
    call = replace(call, inputs=call.inputs[::-1])
    assert difference(answer, replace(answer.model, calls=(call,))) > SHOWS


@pytest.mark.parametrize("name", ["vectors", "matrices", "rank-4"])
def test_a_product_that_is_not_normalized_shows(answers: Answers, name: str) -> None:
    answer = answers(f"dot-{name}-normalized")
    assert difference(answer, answer.with_layer(replace(answer.layer, normalize=False))) > SHOWS
