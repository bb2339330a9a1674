"""Every activation is what Keras computes, in NumPy and as a PyTorch expression.

`python -m tests.test_activations answers.npz`, from the root of the project, asks Keras: a process
of its own, since Keras takes float64 for the whole of one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from converter.activations import (
    ACTIVATIONS,
    KERAS_2_PARAMETERS,
    KERAS_ALIASES,
    KERAS_NAMES,
    Activation,
    Parameter,
    from_keras,
)
from converter.gates import Array

ROOT = Path(__file__).parents[1]

TOLERANCE = 1e-13
"""Of the scale, 1 at least. Float64 steps by 2e-16, exp and tanh are good to a few of those, and no
formula has more than a handful of operations, cancelling some digits near zero."""

NOT_NAMED = {"threshold"}
"""Keras lists it, but it has arguments without defaults: no config can hold it by its name."""

PARAMETERS: dict[str, list[dict[str, Parameter]]] = {
    "relu": [
        {"negative_slope": 0.1},
        {"max_value": 6.0},
        {"max_value": 0.7},
        {"threshold": 0.5},
        {"threshold": -0.5},
        {"negative_slope": 0.1, "max_value": 0.7},
        {"negative_slope": 0.1, "threshold": 0.5},
        {"max_value": 0.7, "threshold": 0.5},
        {"negative_slope": 0.1, "max_value": 0.7, "threshold": 0.5},
    ],
    "leaky_relu": [{"negative_slope": 0.01}],
    "elu": [{"alpha": 0.7}],
    "celu": [{"alpha": 0.7}],
    "gelu": [{"approximate": True}],
    "hard_shrink": [{"threshold": 0.2}],
    "soft_shrink": [{"threshold": 0.2}],
    "squareplus": [{"b": 2}],
    "softmax": [{"axis": 1}, {"axis": (1, 2)}],
    "log_softmax": [{"axis": 1}],
    "sparsemax": [{"axis": 1}],
    "glu": [{"axis": 1}],
}

CASES = {str(index): Activation.of(kind) for index, kind in enumerate(ACTIVATIONS)} | {
    f"{kind}-{index}": Activation.of(kind, **parameters)
    for kind, given in PARAMETERS.items()
    for index, parameters in enumerate(given)
}


def inputs() -> Array:
    """Where anything happens, and the corners: (B, T, F) with T and F even, for glu."""
    rng = np.random.default_rng(0)
    corners = [
        0.0,
        -0.0,
        0.2,
        -0.2,
        0.5,
        -0.5,
        0.7,
        1.0,
        -1.0,
        2.5,
        -2.5,
        3.0,
        -3.0,
        6.0,
        1e-9,
        -1e-9,
    ]
    tails = np.linspace(-19, 19, 16)  # from 20 on Keras on PyTorch takes softplus(x) for x
    values = np.concatenate([corners, tails, rng.normal(0, 3, 128)])
    return rng.permutation(values).reshape(10, 4, 4)


X = inputs()


def ask(path: Path) -> None:
    """Write what Keras answers, and the names that it knows."""
    keras = import_module("keras")
    keras.config.set_floatx("float64")
    known = import_module("keras.src.activations").ALL_OBJECTS_DICT
    found = {"names": np.array(sorted(known))}
    for name, activation in CASES.items():
        function = keras.activations.get(activation.kind)
        given = {} if name.isdigit() else dict(activation.parameters)
        found[name] = np.asarray(function(keras.ops.convert_to_tensor(X), **given))
    np.savez(path, **found)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    pytest.importorskip("keras")
    path = tmp_path_factory.mktemp("activations") / "answers.npz"
    child = subprocess.run(
        [sys.executable, "-m", "tests.test_activations", str(path)],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    with np.load(path) as file:
        return dict(file)


def error(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.float64
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def by_torch(activation: Activation, x: Array) -> Array:
    """The PyTorch expression, evaluated as it stands in a generated file."""
    names = {"torch": torch, "F": torch.nn.functional, "x": torch.from_numpy(x)}
    found: Array = eval(activation.torch.format(x="x"), names).numpy()
    return found


@pytest.mark.parametrize("name", CASES, ids=[str(activation) for activation in CASES.values()])
def test_each_formula_is_what_keras_computes(answers: dict[str, Array], name: str) -> None:
    assert error(CASES[name](X), answers[name]) <= TOLERANCE


@pytest.mark.parametrize(
    "name",
    [name for name, activation in CASES.items() if activation.kind != "sparsemax"],
    ids=lambda name: str(CASES[name]),
)
def test_each_torch_expression_is_what_keras_computes(answers: dict[str, Array], name: str) -> None:
    assert error(by_torch(CASES[name], X), answers[name]) <= TOLERANCE


@pytest.mark.parametrize("kind", sorted(set(ACTIVATIONS) - {"sparsemax"}))
def test_formula_and_expression_agree_far_out(kind: str) -> None:
    """Where exp would overflow, and where softplus is cut off."""
    x = np.array([[-800.0, -100, -40.5, -39.5, -20.5, 20.5, 39.5, 40.5, 100, 700]])
    activation = Activation.of(kind)
    with np.errstate(all="ignore"):
        found, expected = activation(x), by_torch(activation, x)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    np.testing.assert_allclose(found[finite], expected[finite], rtol=TOLERANCE, atol=TOLERANCE)


SAME = [{"relu6", "relu(max_value=6)"}, {"elu(alpha=1)", "celu(alpha=1)"}]
"""Two names of one function."""


def test_any_two_activations_are_told_apart(answers: dict[str, Array]) -> None:
    """The opposite of the above: no row would pass in the place of another."""
    for activation in CASES.values():
        found = activation(X)
        others = {
            str(CASES[other])
            for other, expected in answers.items()
            if other in CASES and expected.shape == found.shape and error(found, expected) < 1e-6
        }
        assert others == next((same for same in SAME if str(activation) in same), {str(activation)})


def test_the_hard_sigmoid_of_keras_2_is_another(answers: dict[str, Array]) -> None:
    old = from_keras("hard_sigmoid", keras_3=False)
    assert error(old(X), answers[name_of("hard_sigmoid")]) > 0.01
    assert error(by_torch(old, X), old(X)) <= TOLERANCE
    np.testing.assert_array_equal(old(X), np.clip(0.2 * X + 0.5, 0, 1))


def name_of(kind: str) -> str:
    return str(list(ACTIVATIONS).index(kind))


def test_every_name_that_a_config_may_hold_is_in_the_table(answers: dict[str, Array]) -> None:
    assert set(answers["names"]) - NOT_NAMED == KERAS_NAMES


def test_an_alias_is_its_activation() -> None:
    for alias, kind in KERAS_ALIASES.items():
        assert from_keras(alias, keras_3=True) == Activation.of(kind)


def test_the_eras_differ_where_the_table_says_so() -> None:
    different = {
        kind
        for kind in ACTIVATIONS
        if from_keras(kind, keras_3=True) != from_keras(kind, keras_3=False)
    }
    assert different == set(KERAS_2_PARAMETERS)


def test_a_parameter_of_the_config_is_stronger_than_the_era() -> None:
    given = from_keras("hard_sigmoid", keras_3=False, alpha=0.3)
    assert dict(given.parameters) == {"alpha": 0.3, "beta": 0.5}


def test_an_unknown_activation_is_no_activation() -> None:
    with pytest.raises(KeyError):
        Activation.of("threshold")


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(KeyError, match="relu has no parameter alpha"):
        Activation.of("relu", alpha=0.1)


def test_an_activation_reads_as_a_person_says_it() -> None:
    assert str(Activation.of("tanh")) == "tanh"
    assert str(from_keras("hard_sigmoid", keras_3=False)) == "hard_sigmoid(alpha=0.2, beta=0.5)"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation_keeps_the_dtype(kind: str, dtype: type) -> None:
    with np.errstate(all="ignore"):
        assert Activation.of(kind)(X.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation_of_nothing_is_nothing(kind: str) -> None:
    assert Activation.of(kind)(np.empty((0, 4))).shape == (0, 2 if kind == "glu" else 4)


if __name__ == "__main__":
    ask(Path(sys.argv[1]))
