"""Configs as graphs: inputs, outputs, shared layers, models in models, both forms of calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.description import Model, Recurrent, Value
from converter.gates import Array
from converter.readers import read
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

Error = Callable[[Callable[[], object]], str]

AGAIN = "  help:  the file may be damaged; save the model again"


def dense(name: str, units: int = 2, **settings: Any) -> Config:
    """A Dense without a bias."""
    return layer("Dense", name, units=units, use_bias=False, **settings)


def kernels(*names: str, size: int = 2) -> dict[str, Array]:
    """A kernel for each of these folders of an archive."""
    return {
        f"layers/{name}/vars/0": counted(size, size, start=10 * k) for k, name in enumerate(names)
    }


def calls(model: Model) -> list[tuple[str, list[str], list[str]]]:
    """The calls of a model by names: layer, inputs, outputs."""
    return [
        (call.layer.name, [x.name for x in call.inputs], [y.name for y in call.outputs])
        for call in model.calls
    ]


def test_a_sequential_is_a_chain(file: Path) -> None:
    config = sequential(given((None, 2)), dense("a"), dense("b"))
    model = read(archive(file, config, kernels("dense", "dense_1")))
    assert model.inputs == (Value("x", (None, 2)),)
    assert calls(model) == [("a", ["x"], ["a"]), ("b", ["a"], ["b"])]
    assert model.outputs == (Value("b", (None, 2)),)


def test_a_sequential_may_be_a_bare_list(file: Path) -> None:
    config = sequential(given((None, 2)), dense("a"))
    config["config"] = config["config"]["layers"]
    model = read(archive(file, config, kernels("dense")))
    assert (model.name, len(model.calls)) == ("sequential", 1)


@pytest.mark.parametrize("key", ["batch_input_shape", "batch_shape"])
def test_the_first_layer_may_say_the_shape_of_the_input(key: str, file: Path) -> None:
    config = sequential(dense("a", **{key: [4, 2]}))
    model = read(archive(file, config, kernels("dense")))
    assert model.inputs == (Value("a_input", (4, 2)),)


def test_a_model_that_was_built_late_says_its_shape(file: Path) -> None:
    config = sequential(dense("a"), build_input_shape=[None, 2])
    model = read(archive(file, config, kernels("dense")))
    assert model.inputs == (Value("a_input", (None, 2)),)


def test_a_bidirectional_may_have_the_shape_inside(file: Path) -> None:
    inner = layer("SimpleRNN", "r", units=2, use_bias=False, batch_input_shape=[None, 5, 2])
    weights = {
        f"layers/bidirectional/{part}_layer/cell/vars/{k}": counted(2, 2)
        for part in ("forward", "backward")
        for k in range(2)
    }
    model = read(archive(file, sequential(layer("Bidirectional", "b", layer=inner)), weights))
    assert model.inputs == (Value("b_input", (None, 5, 2)),)


def test_a_model_without_a_shape_is_refused(file: Path, error_of: Error) -> None:
    path = archive(file, sequential(dense("a")), kernels("dense"))
    assert error_of(lambda: read(path)) == (
        "error[no-input-shape]: model 'model' of model does not say the shape of its input\n"
        "  found: Dense without batch_input_shape, and no build_input_shape\n"
        "  help:  call the model once, or give its first layer an Input, and save it again"
    )


def test_inputs_and_outputs_keep_their_order(file: Path) -> None:
    config = functional(
        [
            called(given((None, 2), "p")),
            called(given((None, 2), "q")),
            called(dense("a"), "p"),
            called(dense("b"), "q"),
        ],
        ["q", "p"],
        ["b", "a", "b", "p"],
    )
    model = read(archive(file, config, kernels("dense", "dense_1")))
    assert [value.name for value in model.inputs] == ["q", "p"]
    assert [value.name for value in model.outputs] == ["b", "a", "b", "p"]


def test_one_input_and_one_output_may_stand_alone(file: Path) -> None:
    config = functional([called(given((None, 2))), called(dense("a"), "x")], [], [])
    config["config"]["input_layers"], config["config"]["output_layers"] = ["x", 0, 0], ["a", 0, 0]
    assert calls(read(archive(file, config, kernels("dense")))) == [("a", ["x"], ["a"])]


def test_inputs_in_a_dictionary_come_in_the_order_of_its_keys(file: Path) -> None:
    config = functional(
        [
            called(given((None, 2), "p")),
            called(given((None, 3), "q")),
            called(layer("Concatenate", "c"), ["p", "q"]),
        ],
        [],
        ["c"],
    )
    config["config"]["input_layers"] = {"z": ["p", 0, 0], "a": ["q", 0, 0]}
    assert [value.name for value in read(archive(file, config, {})).inputs] == ["q", "p"]


@pytest.mark.parametrize("form", [2, 3])
def test_a_shared_layer_is_one_object_and_its_calls_are_counted(form: int, file: Path) -> None:
    if form == 2:
        a = called_2(dense("a"), [["x", 0, 0, {}]], [["a", 0, 0, {"training": False}]])
        c = called_2(layer("Add", "c"), [["a", 0, 0], ["a", 1, 0, {"mask": None}]])
        parts = [called_2(given((None, 2))), a, c]
    else:
        a = called(dense("a"), "x", tensor("a", 0))
        c = called(layer("Add", "c"), {"args": [[tensor("a", 0), tensor("a", 1)]], "kwargs": {}})
        parts = [called(given((None, 2))), a, c]
    model = read(archive(file, functional(parts, ["x"], ["c"]), kernels("dense")))
    assert calls(model) == [
        ("a", ["x"], ["a"]),
        ("a", ["a"], ["a@1"]),
        ("c", ["a", "a@1"], ["c"]),
    ]
    assert model.calls[0].layer is model.calls[1].layer


def test_calls_come_in_an_order_in_which_they_can_be_computed(file: Path) -> None:
    config = functional(
        [called(dense("b"), "a"), called(dense("a"), "x"), called(given((None, 2)))], ["x"], ["b"]
    )
    model = read(archive(file, config, kernels("dense", "dense_1")))
    assert [call.layer.name for call in model.calls] == ["a", "b"]
    assert np.array_equal(model.layer("a").weights["kernel"].read(), counted(2, 2, start=10))


def test_outputs_of_a_layer_are_numbered(file: Path) -> None:
    weights = {f"layers/lstm/cell/vars/{k}": counted(n, 8) for k, n in ((0, 3), (1, 2))}
    lstm = layer("LSTM", "l", units=2, use_bias=False, return_state=True)
    config = functional(
        [called(given((None, None, 3))), called(lstm, "x")], ["x"], [["l", 0, 2], ["l", 0, 0]]
    )
    model = read(archive(file, config, weights))
    assert calls(model) == [("l", ["x"], ["l", "l:1", "l:2"])]
    assert [value.name for value in model.outputs] == ["l:2", "l"]


def inner(*, name: str = "inner") -> Config:
    """A Functional of two outputs: a Dense, and another on top."""
    return functional(
        [
            called(given((None, 2), "i")),
            called(dense("a"), "i"),
            called(dense("b"), "a"),
        ],
        ["i"],
        ["a", "b"],
        name,
    )


INNER = kernels("functional/layers/dense", "functional/layers/dense_1")


@pytest.mark.parametrize(
    ("form", "first"), [(3, 0), (2, 1), (2, 0)], ids=["keras 3", "keras 2", "keras 2, from 0"]
)
def test_a_model_in_a_model_is_opened_for_each_call(form: int, first: int, file: Path) -> None:
    """Keras 2 counts the calls of a model from 1, because its own graph is one."""
    make = called if form == 3 else called_2
    x: Any = "x" if form == 3 else [["x", 0, 0, {}]]
    again: Any = tensor("inner", first, 1) if form == 3 else [["inner", first, 1, {}]]
    out = 1 if form == 3 else first
    parts = [make(given((None, 2))), make(inner(), x, again)]
    config = functional(parts, ["x"], [["inner", out, 0], ["inner", out + 1, 1]])
    model = read(archive(file, config, INNER))
    assert calls(model) == [
        ("inner/a", ["x"], ["inner/a"]),
        ("inner/b", ["inner/a"], ["inner/b"]),
        ("inner/a", ["inner/b"], ["inner/a@1"]),
        ("inner/b", ["inner/a@1"], ["inner/b@1"]),
    ]
    assert [value.name for value in model.outputs] == ["inner/a", "inner/b@1"]
    assert model.layer("inner/b").weights["kernel"].read()[0, 0] == 10


def test_a_dead_branch_is_left_out_and_its_weights_are_still_known(file: Path) -> None:
    parts = [called(given((None, 2))), called(inner(), "x")]
    model = read(archive(file, functional(parts, ["x"], [["inner", 1, 0]]), INNER))
    assert calls(model) == [("inner/a", ["x"], ["inner/a"])]


def test_models_nest_to_any_level(file: Path) -> None:
    config: Config = sequential(given((None, 2)), dense("d"))
    config["config"]["name"] = "m0"
    for level in range(1, 6):
        config = sequential(given((None, 2)), config)
        config["config"]["name"] = f"m{level}"
    folder = "sequential/layers/" * 5 + "dense"
    model = read(archive(file, config, kernels(folder)))
    assert calls(model) == [("m4/m3/m2/m1/m0/d", ["x"], ["m4/m3/m2/m1/m0/d"])]


def test_a_model_of_every_step_is_made_of_layers_of_every_step(file: Path) -> None:
    part = sequential(given((None, 2)), dense("a"), dense("b"))
    part["config"]["name"] = "step"
    config = sequential(given((None, 4, 2)), layer("TimeDistributed", "td", layer=part))
    folder = "time_distributed/layer/layers/"
    model = read(archive(file, config, kernels(folder + "dense", folder + "dense_1")))
    assert [call.layer.name for call in model.calls] == ["td/step/a", "td/step/b"]
    assert [type(found).__name__ for found in model.layers] == ["TimeDistributed"] * 2
    assert model.outputs[0].shape == (None, 4, 2)
    assert model.layers[1].weights["layer.kernel"].read()[0, 0] == 10


def test_a_model_of_every_step_may_join_tensors(file: Path) -> None:
    part = functional(
        [called(given((None, 2), "i")), called(layer("Add", "sum"), ["i", "i"])], ["i"], ["sum"]
    )
    config = sequential(given((None, 4, 2)), layer("TimeDistributed", "td", layer=part))
    (call,) = read(archive(file, config, {})).calls
    assert [value.name for value in call.inputs] == ["x", "x"]
    assert call.outputs[0].shape == (None, 4, 2)


def test_initial_states_within_a_step_are_refused(file: Path, error_of: Error) -> None:
    first = called(layer("GlobalMaxPooling1D", "first"), "i")
    states = {"args": [tensor("i")], "kwargs": {"initial_state": [tensor("first")]}}
    lstm = called(layer("GRU", "gru", units=2), states)
    part = functional([called(given((None, 3, 2), "i")), first, lstm], ["i"], ["gru"])
    config = sequential(given((None, 4, 3, 2)), layer("TimeDistributed", "td", layer=part))
    assert error_of(lambda: read(archive(file, config, {}))) == (
        "error[time-distributed-model]: layer 'td/model/gru' of model takes several tensors within "
        "each step, which is not read yet\n  found: GRU in a model in a TimeDistributed\n"
        "  help:  apply the layers one by one, each in a TimeDistributed"
    )


def test_frozen_is_what_is_in_something_frozen(file: Path) -> None:
    frozen = inner()
    frozen["config"]["trainable"] = False
    parts = [called(given((None, 2))), called(frozen, "x")]
    model = read(archive(file, functional(parts, ["x"], [["inner", 1, 1]]), INNER))
    assert [found.trainable for found in model.layers] == [False, False]
    parts = [called(given((None, 2))), called(inner(), "x")]
    model = read(archive(file, functional(parts, ["x"], [["inner", 1, 1]]), INNER))
    assert [found.trainable for found in model.layers] == [True, True]


def test_an_unused_input_stays(file: Path) -> None:
    parts = [called(given((None, 2))), called(given((None, 2), "y")), called(dense("a"), "x")]
    model = read(archive(file, functional(parts, ["x", "y"], ["a"]), kernels("dense")))
    assert [value.name for value in model.inputs] == ["x", "y"]


def test_whole_numbers_stay_whole_until_they_are_embedded(file: Path) -> None:
    x = given((None, 6))
    x["config"]["dtype"] = "int32"
    config = sequential(
        x,
        layer("Reshape", "r", target_shape=[2, 3]),
        layer("Embedding", "e", input_dim=5, output_dim=2),
    )
    model = read(archive(file, config, {"layers/embedding/vars/0": counted(5, 2)}))
    assert [value.dtype for value in (*model.inputs, model.calls[0].outputs[0])] == ["int32"] * 2
    assert model.outputs == (Value("e", (None, 2, 3, 2)),)


def test_a_recurrent_layer_has_the_units_of_its_own_config(file: Path) -> None:
    weights = {f"layers/lstm/cell/vars/{k}": counted(n, 20) for k, n in ((0, 3), (1, 5))}
    config = sequential(given((None, None, 3)), layer("LSTM", "l", units=5, use_bias=False))
    found = read(archive(file, config, weights)).layer("l")
    assert isinstance(found, Recurrent)
    assert found.units == 5
