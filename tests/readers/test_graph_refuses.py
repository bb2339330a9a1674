"""Configs that are no graph, and calls that are not read: each with its whole text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter.readers import read
from converter.readers.keras import graph
from tests.readers.files import (
    Config,
    archive,
    called,
    called_2,
    counted,
    functional,
    given,
    layer,
    sequential,
    tensor,
)
from tests.readers.test_graph import INNER, calls, dense, inner, kernels

Error = Callable[[Callable[[], object]], str]

AGAIN = "  help:  the file may be damaged; save the model again"
NO_GRAPH = "error[graph]: model 'model' of model is no graph that Keras can have built\n"
X = given((None, 2))


def refusal(error_of: Error, file: Path, config: Config, weights: Any = None) -> str:
    """The text of the error for a config."""
    return error_of(lambda: read(archive(file, config, weights or kernels("dense", "dense_1"))))


@pytest.mark.parametrize("form", [called, called_2])
def test_a_cycle_is_found(form: Any, file: Path, error_of: Error) -> None:
    a, b = (tensor("b"), tensor("a")) if form is called else ([["b", 0, 0]], [["a", 0, 0]])
    config = functional([form(X), form(dense("a"), a), form(dense("b"), b)], ["x"], ["b"])
    assert refusal(error_of, file, config) == (
        f"{NO_GRAPH}  found: a cycle through 'a' and 'b'\n{AGAIN}"
    )


def test_a_layer_that_needs_itself_is_a_cycle(file: Path, error_of: Error) -> None:
    config = functional([called(X), called(dense("a"), "a")], ["x"], ["a"])
    assert "found: a cycle through 'a' and 'a'\n" in refusal(error_of, file, config)


def test_an_output_that_is_not_connected_is_named(file: Path, error_of: Error) -> None:
    config = functional([called(X), called(given((None, 2), "y"))], ["x"], ["y"])
    assert refusal(error_of, file, config) == (
        f"{NO_GRAPH}  found: the output 'y' that is connected to no input\n{AGAIN}"
    )


def test_an_input_that_is_not_listed_is_named(file: Path, error_of: Error) -> None:
    config = functional(
        [called(X), called(given((None, 2), "y")), called(dense("a"), "y")], ["x"], ["a"]
    )
    assert refusal(error_of, file, config) == (
        f"{NO_GRAPH}  found: the input 'y', which is not among input_layers\n{AGAIN}"
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "found"),
    [
        (["y"], ["a"], "the input 'y', which is no InputLayer"),
        (["a"], ["a"], "the input 'a', which is no InputLayer"),
        ([["x", 0, 1]], ["a"], "the input 'x', which is no InputLayer"),
        (["x"], ["y"], "the layer 'y', which is not in the model"),
        (["x"], [["a", 1, 0]], "call 1 of 'a', which has 1"),
        (["x"], [["x", 1, 0]], "call 1 of 'x', which has 1"),
        (["x"], [["a", 0, 1]], "output 1 of a layer that has 1"),
    ],
)
def test_a_reference_to_nothing_is_named(
    inputs: list[Any], outputs: list[Any], found: str, file: Path, error_of: Error
) -> None:
    config = functional([called(X), called(dense("a"), "x")], inputs, outputs)
    assert refusal(error_of, file, config) == f"{NO_GRAPH}  found: {found}\n{AGAIN}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (tensor("y"), "the layer 'y', which is not in the model"),
        (tensor("x", 3), "call 3 of 'x', which has 1"),
        (tensor("x", 0, 2), "output 2 of a layer that has 1"),
    ],
)
def test_a_call_on_nothing_is_named(
    source: Config, found: str, file: Path, error_of: Error
) -> None:
    config = functional([called(X), called(dense("a"), source)], ["x"], ["a"])
    assert refusal(error_of, file, config) == f"{NO_GRAPH}  found: {found}\n{AGAIN}"


def test_two_layers_of_one_name_are_refused(file: Path, error_of: Error) -> None:
    config = sequential(X, dense("a"), dense("a"))
    assert refusal(error_of, file, config) == (
        "error[duplicate-layer]: model 'model' of model has two layers of one name\n"
        f"  found: 'a'\n{AGAIN}"
    )


def test_a_slash_may_not_make_two_layers_one(file: Path, error_of: Error) -> None:
    config = sequential(X, inner_named("a", "b"), dense("a/b"))
    weights = kernels("sequential/layers/dense", "dense")
    assert refusal(error_of, file, config, weights) == (
        "error[duplicate-layer]: model 'model' of model has two layers of one name\n"
        "  found: 'a/b'\n"
        "  help:  give the layers other names and save the model again"
    )


def inner_named(name: str, part: str) -> Config:
    """A Sequential with one Dense."""
    made = sequential(given((None, 2)), dense(part))
    made["config"]["name"] = name
    return made


def test_a_sequential_passes_one_tensor_on(file: Path, error_of: Error) -> None:
    weights = {f"layers/lstm/cell/vars/{k}": counted(n, 8) for k, n in ((0, 3), (1, 2))}
    lstm = layer("LSTM", "l", units=2, use_bias=False, return_state=True)
    config = sequential(given((None, None, 3)), lstm, dense("a"))
    assert refusal(error_of, file, config, weights) == (
        f"{NO_GRAPH}  found: 3 tensors before 'a'; expected 1\n{AGAIN}"
    )


def test_an_input_stands_first(file: Path, error_of: Error) -> None:
    config = sequential(X, dense("a"), given((None, 2), "y"))
    assert refusal(error_of, file, config) == (
        f"{NO_GRAPH}  found: the input 'y' behind other layers\n{AGAIN}"
    )


@pytest.mark.parametrize("layers", [None, [], {}, 3])
def test_a_model_has_layers(layers: Any, file: Path, error_of: Error) -> None:
    config = sequential(X)
    config["config"]["layers"] = layers
    text = refusal(error_of, file, config)
    assert text.startswith("error[config]: layers of model 'model' of model is not as Keras")


def test_an_input_of_a_wrong_shape_is_named(file: Path, error_of: Error) -> None:
    config = functional(
        [called(X), called(given((None, 3), "y")), called(dense("a"), "x", "y")],
        ["x", "y"],
        [["a", 0, 0], ["a", 1, 0]],
    )
    assert refusal(error_of, file, config) == (
        "error[graph-shape]: layer 'a' of model cannot take its input\n"
        f"  found: a last axis of 3; its kernel has 2\n{AGAIN}"
    )


def test_a_free_axis_says_no_shape(file: Path, error_of: Error) -> None:
    assert refusal(error_of, file, sequential(given((None, None)), dense("a"))) == (
        "error[free-axis]: layer 'a' of model cannot say the shape of its weights\n"
        "  found: an input of shape (None, None); axis -1 must have a size\n"
        "  help:  build the model with the size of its features and save it again"
    )


@pytest.mark.parametrize("count", [0, 2])
def test_a_layer_takes_one_input(count: int, file: Path, error_of: Error) -> None:
    node = {"args": [[tensor("x")] * count], "kwargs": {}}
    config = functional([called(X), called(dense("a"), node)], ["x"], ["a"])
    assert refusal(error_of, file, config) == (
        "error[graph]: layer 'a' of model is called with a wrong number of inputs\n"
        f"  found: {count}; expected 1\n{AGAIN}"
    )


def test_a_model_takes_its_inputs(file: Path, error_of: Error) -> None:
    config = functional([called(X), called(inner(), ["x", "x"])], ["x"], [["inner", 1, 0]])
    assert refusal(error_of, file, config, INNER) == (
        "error[graph]: model 'inner' of model is no graph that Keras can have built\n"
        f"  found: 2 inputs; expected 1\n{AGAIN}"
    )


def test_models_that_call_models_do_not_grow_without_end(
    file: Path, error_of: Error, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "MAX_CALLS", 1000)
    config = inner_named("m", "a")
    for _ in range(12):  # 4096 calls of the innermost
        config = functional(
            [called(given((None, 2))), called(config, "x", tensor("m"))], ["x"], [["m", 1, 0]], "m"
        )
    weights = kernels("functional/layers/" * 11 + "sequential/layers/dense")
    text = refusal(error_of, file, config, weights)
    assert "found: over 1000 calls of layers\n" in text


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"args": [tensor("x")], "kwargs": {"mask": tensor("x")}}, "mask"),
        ([["x", 0, 0, {"mask": ["x", 0, 0]}]], "mask"),
        ({"args": [tensor("x")], "kwargs": {"training": True}}, "training"),
        ([["x", 0, 0, {"training": True}]], "training"),
        ({"args": [tensor("x"), tensor("x")], "kwargs": {}}, "call-argument"),
        ({"args": [tensor("x")], "kwargs": {"scale": 2}}, "call-argument"),
        ([["x", 0, 0, {"constants": [["x", 0, 0]]}]], "call-argument"),
        ({"args": [{"class_name": "__numpy__", "config": {}}], "kwargs": {}}, "call-argument"),
        ([["_CONSTANT_VALUE", -1, 2.0, {}]], "call-argument"),
        ({"args": [{"a": tensor("x")}], "kwargs": {}}, "call-argument"),
        ({"args": [], "kwargs": {}}, "config"),
        ({"args": 3, "kwargs": {}}, "config"),
        ({"args": [tensor("x")]}, "config"),
        ({"args": [tensor("x")], "kwargs": []}, "config"),
        ({"args": [3], "kwargs": {}}, "config"),
        ({"args": [{"class_name": "__keras_tensor__"}], "kwargs": {}}, "config"),
        ([["x", 0]], "config"),
        ([["x", "0", 0]], "config"),
        ([["x", 0, True]], "config"),
        ([["x", -1, 0]], "config"),
        ([["x", 0, 0, []]], "config"),
        ([[["x", 0, 0]]], "config"),
        (3, "config"),
    ],
)
def test_a_call_that_is_not_read_has_its_code(
    node: Any, said: str, file: Path, error_of: Error
) -> None:
    part = {**layer("Dense", "a", units=2), "name": "a", "inbound_nodes": [node]}
    config = functional([called(X), part], ["x"], ["a"])
    assert refusal(error_of, file, config).startswith(f"error[{said}]: ")


@pytest.mark.parametrize(
    "node",
    [
        {"args": [tensor("x"), None], "kwargs": {"mask": None, "training": False}},
        {"args": [tensor("x")], "kwargs": {"mask": [None, [None]], "training": None}},
        {"args": [], "kwargs": {"inputs": tensor("x")}},
        {"args": [{"class_name": "__tuple__", "items": [tensor("x")]}], "kwargs": {}},
        [["x", 0, 0]],
        ["x", 0, 0, {}],
        [["x", 0, 0, {"training": False, "mask": None}]],
    ],
)
def test_every_form_of_a_plain_call_is_read(node: Any, file: Path) -> None:
    part = {**dense("a"), "name": "a", "inbound_nodes": [node]}
    config = functional([called(X), part], ["x"], ["a"])
    assert calls(read(archive(file, config, kernels("dense")))) == [("a", ["x"], ["a"])]


def test_the_texts_of_refused_calls(file: Path, error_of: Error) -> None:
    def text(node: Any) -> str:
        part = {**dense("a"), "name": "a", "inbound_nodes": [node]}
        return refusal(error_of, file, functional([called(X), part], ["x"], ["a"]))

    assert text({"args": [tensor("x")], "kwargs": {"mask": tensor("x")}}) == (
        "error[mask]: layer 'a' of model would use a mask that is not read yet\n"
        "  found: Dense with a mask\n"
        "  help:  save the model without the mask where all sequences have their full length"
    )
    assert text([["x", 0, 0, {"mask": ["x", 0, 0]}]]) == (
        "error[mask]: layer 'a' of model would use a mask that is not read yet\n"
        "  found: Dense with a mask\n"
        "  help:  save the model without the mask where all sequences have their full length"
    )
    assert text([["x", 0, 0, {"mask": True}]]) == (
        "error[mask]: layer 'a' of model is given a mask, which is not read yet\n"
        "  found: mask=true\n"
        "  help:  save the model without the mask where all sequences have full length"
    )
    assert text([["x", 0, 0, {"training": True}]]) == (
        "error[training]: layer 'a' of model is called as in training\n"
        "  found: training=true: its dropout draws anew at every call\n"
        "  help:  build the model without training=True and save it again"
    )
    assert text([["x", 0, 0, {"scale": 2}]]) == (
        "error[call-argument]: layer 'a' of model is called with the argument \"scale\", which is "
        "not read\n  found: 2\n  help:  call the layer with the tensors alone"
    )
    assert text({"args": [{"p": tensor("x")}], "kwargs": {}}) == (
        "error[call-argument]: layer 'a' of model is called with a dictionary, which is not read\n"
        "  found: keys 'p'\n  help:  call it with a list of tensors"
    )


def test_a_dictionary_for_a_model_with_the_same_one_is_read(file: Path, error_of: Error) -> None:
    part = functional(
        [
            called(given((None, 2), "p")),
            called(given((None, 3), "q")),
            called(layer("Concatenate", "c"), ["p", "q"]),
        ],
        [],
        ["c"],
        "inner",
    )
    part["config"]["input_layers"] = {"u": ["p", 0, 0], "v": ["q", 0, 0]}
    for names, is_read in ((("u", "v"), True), (("u", "w"), False)):
        node = {"args": [dict(zip(names, (tensor("x"), tensor("y")), strict=True))], "kwargs": {}}
        config = functional(
            [called(X), called(given((None, 3), "y")), called(part, node)],
            ["x", "y"],
            [["inner", 1, 0]],
        )
        path = archive(file, config, {})
        if is_read:
            assert calls(read(path)) == [("inner/c", ["x", "y"], ["inner/c"])]
        else:
            assert error_of(lambda path=path: read(path)).startswith("error[call-argument]")
