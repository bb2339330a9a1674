"""Activations: by name, as a function, as a layer; and those of somebody's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from converter.activations import LINEAR, Activation
from converter.description import Activate, Dense, Layer
from tests.readers.files import counted

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Layer]

LEAKY = Activation.of("leaky_relu", negative_slope=0.3)


@pytest.mark.parametrize(
    ("kind", "settings", "activation"),
    [
        ("Activation", {"activation": "tanh"}, Activation.of("tanh")),
        ("Activation", {"activation": None}, LINEAR),
        ("Activation", {"activation": "swish"}, Activation.of("silu")),
        ("Activation", {"activation": "softmax_v2"}, Activation.of("softmax")),
        (
            "Activation",
            {"activation": "LeakyReLU"},
            Activation.of("leaky_relu", negative_slope=0.3),
        ),
        ("ReLU", {}, Activation.of("relu")),
        (
            "ReLU",
            {"max_value": 6, "negative_slope": 0.1, "threshold": 0.5},
            Activation.of("relu", max_value=6.0, negative_slope=0.1, threshold=0.5),
        ),
        ("ReLU", {"max_value": None, "negative_slope": None}, Activation.of("relu")),
        ("LeakyReLU", {}, Activation.of("leaky_relu", negative_slope=0.3)),
        ("LeakyReLU", {"alpha": 0.25}, Activation.of("leaky_relu", negative_slope=0.25)),
        ("LeakyReLU", {"negative_slope": 0.25}, Activation.of("leaky_relu", negative_slope=0.25)),
        ("ThresholdedReLU", {"theta": 0.5}, Activation.of("relu", threshold=0.5)),
        ("ELU", {"alpha": 0.5}, Activation.of("elu", alpha=0.5)),
        ("Softmax", {}, Activation.of("softmax")),
        ("Softmax", {"axis": 1}, Activation.of("softmax", axis=1)),
        ("Softmax", {"axis": [1]}, Activation.of("softmax", axis=1)),
    ],
)
def test_activations_as_layers(
    kind: str, settings: dict[str, Any], activation: Activation, one: One
) -> None:
    found = one(kind, **settings)
    assert isinstance(found, Activate)
    assert found.activation == activation


@pytest.mark.parametrize(
    "value",
    [
        "relu",
        {"class_name": "function", "config": "relu", "module": "builtins"},
        {"class_name": "function", "config": "relu", "registered_name": "function"},
        {"class_name": "ReLU", "config": {"name": "re_lu"}, "module": "keras.layers"},
        {"class_name": "Activation", "config": {"activation": "relu"}},
    ],
)
def test_an_activation_is_said_in_several_ways(value: object, one: One) -> None:
    dense = one("Dense", counted(3, 2), counted(2), units=2, activation=value)
    assert isinstance(dense, Dense)
    assert dense.activation == Activation.of("relu")


@pytest.mark.parametrize(
    "value",
    [
        "mine",
        "mine>tripled",
        {"class_name": "function", "config": "mine", "module": "builtins"},
        {"class_name": "function", "config": "", "module": "builtins"},
        {"class_name": "PReLU", "config": {}},
    ],
)
def test_an_activation_of_somebody_else_is_refused(
    value: object, one: One, error_of: Error
) -> None:
    text = error_of(lambda: one("Dense", units=2, activation=value))
    assert text.startswith(
        "error[unknown-activation]: activation of layer 'it' of model is not an activation of Keras"
    )
    assert "\n  help:  use one of celu, elu, " in text


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"class_name": "function", "config": "relu", "module": "os"}, "unknown-layer"),
        ({"class_name": "ReLU", "config": {"slope": 1}}, "config-key"),
        ({"class_name": "ReLU", "config": []}, "config"),
        ({"class_name": "ReLU"}, "config"),
        (["relu"], "config"),
        (3, "config"),
    ],
)
def test_an_activation_that_is_none_has_its_code(
    value: object, code: str, one: One, error_of: Error
) -> None:
    text = error_of(lambda: one("Dense", units=2, activation=value))
    assert text.startswith(f"error[{code}]: ")


def test_glu_halves_its_axis_and_stands_alone(one: One, error_of: Error) -> None:
    glu = one("Activation", shape=(None, 4), activation="glu")
    assert glu.output_shapes(((None, 4),)) == ((None, 2),)
    assert error_of(lambda: one("Dense", units=2, activation="glu")) == (
        "error[unknown-activation]: activation of layer 'it' of model halves the number of "
        'features, which is not read there\n  found: "glu"\n'
        "  help:  use a layer Activation('glu') behind it"
    )


def test_a_softmax_over_several_axes_has_them(one: One, error_of: Error) -> None:
    softmax = one("Softmax", axis=[1, 2], shape=(None, 3, 4, 5))
    assert softmax.activation == Activation.of("softmax", axis=(1, 2))
    assert str(softmax.activation) == "softmax(axis=(1, 2))"
    for axes, found in (
        ([1, -3], "axes (1, -3) of a tensor of rank 4: one twice"),
        ([1, 4], "axis 4 of a tensor of rank 4"),
        ([], "[]; expected at least one axis"),
        ([1, "2"], '[1, "2"]; expected a list of whole numbers, -32 or more'),
    ):
        assert found in error_of(lambda axes=axes: one("Softmax", axis=axes, shape=(None, 3, 4, 5)))
