"""Dense, Embedding, activations, PReLU and TimeDistributed mean what Keras computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from converter.activations import LINEAR, Activation
from converter.description import Dense, Dropout, Embedding, Noise, PReLU, Value, Weight
from converter.errors import UsageError
from converter.judge import judge
from tests.judge.answers import SHOWS, TOLERANCE, Answers, asked, difference
from tests.judge.describe import model_of


@pytest.mark.parametrize(("name", "who"), asked("core"))
def test_each_layer_means_what_keras_computes(answers: Answers, name: str, who: str) -> None:
    assert difference(answers(name, who)) <= TOLERANCE


def test_a_dense_layer_without_its_bias_shows(answers: Answers) -> None:
    answer = answers("dense-rank-3")
    assert difference(answer, answer.with_layer(replace(answer.layer, bias=None))) > SHOWS


def test_a_dense_layer_without_its_activation_shows(answers: Answers) -> None:
    answer = answers("dense-tanh")
    assert difference(answer, answer.with_layer(replace(answer.layer, activation=LINEAR))) > SHOWS


def test_a_dense_kernel_transposed_shows(answers: Answers) -> None:
    answer = answers("dense-rank-2")
    assert isinstance(answer.layer, Dense)
    kernel = answer.layer.kernel.read()  # (4, 5): the same elements in the wrong order
    wrong = replace(answer.layer, kernel=Weight.of(kernel.T.reshape(kernel.shape)))
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


def test_hard_sigmoid_is_another_in_keras_2(answers: Answers) -> None:
    old, new = answers("old-hard-sigmoid"), answers("activation-hard_sigmoid")
    as_new, as_old = (
        replace(new.layer, activation=Activation.of("hard_sigmoid", **parameters))
        for parameters in ({}, {"alpha": 0.2})
    )
    assert difference(old, old.with_layer(as_new)) > SHOWS
    assert difference(new, new.with_layer(as_old)) > SHOWS


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("relu-0.1-None-0.5", {"negative_slope": 0.1}),
        ("relu-0.0-6.0-0.0", {"max_value": 1.5}),
        ("relu-0.1-1.5-0.5", {"max_value": 1.5, "threshold": 0.5}),
    ],
)
def test_a_lost_parameter_of_relu_shows(
    answers: Answers, name: str, other: dict[str, float]
) -> None:
    answer = answers(name)
    wrong = replace(answer.layer, activation=Activation.of("relu", **other))
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


def test_softmax_over_another_axis_shows(answers: Answers) -> None:
    answer = answers("softmax-1")
    wrong = replace(answer.layer, activation=Activation.of("softmax", axis=2))
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


def test_the_slope_of_prelu_is_that_of_its_element(answers: Answers) -> None:
    answer = answers("prelu")
    assert isinstance(answer.layer, PReLU)
    alpha = answer.layer.alpha.read()
    wrong = replace(answer.layer, alpha=Weight.of(alpha[::-1]))
    assert difference(answer, answer.with_layer(wrong)) > SHOWS


@pytest.mark.parametrize("noise", Noise)
def test_a_dropout_changes_nothing(noise: Noise) -> None:
    layer = Dropout(name="dropout", noise=noise, rate=0.9)
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(judge(model_of(layer, Value("x", (None, 3))), x), x)


def table(rows: int = 5) -> Embedding:
    return Embedding(name="words", embeddings=Weight.of(np.arange(2.0 * rows).reshape(rows, 2)))


@pytest.mark.parametrize("wrong", [[[0, 5]], [[-1, 0]], [[0.0, 5.0]], [[np.nan, 0.0]]])
def test_an_index_outside_the_table_is_refused_by_name(wrong: list[list[float]]) -> None:
    dtype = "float32" if isinstance(wrong[0][0], float) else "int32"
    with pytest.raises(UsageError) as refused:
        judge(model_of(table(), Value("x", (None, 2), dtype)), wrong)
    index = next(index for index in wrong[0] if index != 0)
    assert str(refused.value) == (
        "error[embedding-index]: an index is outside the table of layer 'words'\n"
        f"  found: {index}; expected 0 to 4\n"
        "  help:  give the indices that the model was trained with"
    )


def test_an_index_is_truncated_as_keras_does() -> None:
    model = model_of(table(), Value("x", (None, 4), "float32"))
    found = judge(model, [[0.0, 1.9, 4.99, -0.5]])
    np.testing.assert_array_equal(found, [[[0, 1], [2, 3], [8, 9], [0, 1]]])


def test_the_largest_index_of_any_integer_type_is_found() -> None:
    model = model_of(table(256), Value("x", (None, 1), "uint8"))
    found = judge(model, np.array([[255]], np.uint8))
    np.testing.assert_array_equal(found, [[[510, 511]]])
