"""Which weight of an HDF5 group is which: by names where they say it, else in Keras's order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converter.description import BatchNormalization, Dense, Recurrent
from converter.gates import Array
from converter.readers import read
from tests.readers.files import (
    BIAS,
    DENSE,
    DENSE_BIAS,
    KERNEL,
    RECURRENT,
    SMALL,
    SMALL_GROUPS,
    called_2,
    counted,
    functional,
    given,
    hdf5,
    layer,
    sequential,
    small_hdf5,
)

Error = Callable[[Callable[[], object]], str]

ELSEWHERE = "  help:  the file may be cut off or its weights may belong to another model"
ANOTHER = "  help:  its weights may belong to another model; save the model again"
AGAIN = "  help:  save the model again with model.save"


def kernel(model: Any, name: str) -> Array:
    """A Dense's kernel."""
    dense = model.layer(name)
    assert isinstance(dense, Dense)
    return dense.kernel.read()


def two_inside(**settings: Any) -> dict[str, Any]:
    """A model in a model: two Dense of one shape, of the names "a" and "b"."""
    inner = sequential(
        given((None, 2)),
        layer("Dense", "a", units=2, use_bias=False, **settings),
        layer("Dense", "b", units=2, use_bias=False),
    )
    inner["config"]["name"] = "inner"
    return sequential(given((None, 2)), inner)


A, B = counted(2, 2), counted(2, 2, start=10)


@pytest.mark.parametrize("end", ["", ":0"])
@pytest.mark.parametrize("folder", ["lstm/lstm_cell", "lstm", "sequential/lstm/lstm_cell_7", "x/y"])
def test_names_may_have_any_folder_and_tensorflows_end(end: str, folder: str, file: Path) -> None:
    groups = {
        "lstm": {
            f"{folder}/kernel{end}": KERNEL,
            f"{folder}/recurrent_kernel{end}": RECURRENT,
            f"{folder}/bias{end}": BIAS,
        },
        "dense": SMALL_GROUPS["dense"],
    }
    lstm = read(hdf5(file, SMALL, groups)).layer("lstm")
    assert isinstance(lstm, Recurrent)
    assert np.array_equal(lstm.gates["f"].recurrent_kernel, RECURRENT[:, 2:4])


def test_the_order_of_the_names_does_not_matter(file: Path) -> None:
    groups = {name: dict(reversed(weights.items())) for name, weights in SMALL_GROUPS.items()}
    model = read(hdf5(file, SMALL, groups))
    assert np.array_equal(kernel(model, "dense"), DENSE)


def test_a_name_that_tensorflow_saw_again_is_known(file: Path) -> None:
    groups = {
        "lstm": SMALL_GROUPS["lstm"],
        "dense": {"dense_1/kernel_3:0": DENSE, "dense_1/bias_2:0": DENSE_BIAS},
    }
    assert np.array_equal(kernel(read(hdf5(file, SMALL, groups)), "dense"), DENSE)


@pytest.mark.parametrize(
    "names",
    [
        ("a/kernel:0", "b/kernel:0"),
        ("inner/a/kernel", "inner/b/kernel"),
        ("a_1/kernel:0", "b_1/kernel:0"),  # built a second time
        ("other/kernel:0", "other_1/kernel:0"),  # renamed afterwards: in order
        ("a_1/kernel:0", "a_2/kernel:0"),
    ],
)
def test_layers_of_an_inner_model_are_told_apart(names: tuple[str, str], file: Path) -> None:
    model = read(hdf5(file, two_inside(), {"inner": dict(zip(names, (A, B), strict=True))}))
    assert np.array_equal(kernel(model, "inner/a"), A)
    assert np.array_equal(kernel(model, "inner/b"), B)


def test_names_count_more_than_the_order(file: Path) -> None:
    groups = {"inner": {"b/kernel:0": B, "a/kernel:0": A}}  # a is frozen: it comes last
    model = read(hdf5(file, two_inside(trainable=False), groups))
    assert np.array_equal(kernel(model, "inner/a"), A)
    assert model.layer("inner/a").trainable is False


def test_without_names_a_frozen_layer_is_ambiguous(file: Path, error_of: Error) -> None:
    groups = {"inner": {"x/kernel:0": B, "y/kernel:0": A}}
    path = hdf5(file, two_inside(trainable=False), groups)
    assert error_of(lambda: read(path)) == (
        "error[ambiguous-weights]: it cannot be said which kernel belongs to which layer of model\n"
        "  found: 'inner/x/kernel:0', 'inner/y/kernel:0'\n"
        "  help:  give the layers different names and save the model again"
    )


BOTH = sequential(
    given((None, None, 3)),
    layer("Bidirectional", "both", layer=layer("SimpleRNN", "rnn", units=2, use_bias=False)),
)
PARTS = [counted(3, 2), counted(2, 2, start=10), counted(3, 2, start=20), counted(2, 2, start=30)]


def group_of(forward: str, backward: str) -> dict[str, Array]:
    """The weights of a Bidirectional."""
    names = [
        f"{part}/{name}:0"
        for part in (forward, backward)
        for name in ("kernel", "recurrent_kernel")
    ]
    return dict(zip(names, PARTS, strict=True))


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        ("both/forward_rnn", "both/backward_rnn"),
        ("both/forward_rnn/simple_rnn_cell_1", "both/backward_rnn/simple_rnn_cell_2"),
        ("both/forward_rnn_1", "both/backward_rnn_1"),
    ],
)
@pytest.mark.parametrize("turn", [False, True])
def test_directions_are_told_apart_by_their_names(
    forward: str, backward: str, turn: bool, file: Path
) -> None:
    group = group_of(forward, backward)
    if turn:  # the forward one is frozen, and comes last
        group = dict([*group.items()][2:] + [*group.items()][:2])
    both = read(hdf5(file, BOTH, {"both": group})).layer("both")
    assert isinstance(both, Recurrent)
    assert both.backward is not None
    assert np.array_equal(both.forward.kernel.read()[0].T, PARTS[0])
    assert np.array_equal(both.backward.kernel.read()[0].T, PARTS[2])


def test_directions_without_names_are_ambiguous(file: Path, error_of: Error) -> None:
    path = hdf5(file, BOTH, {"both": group_of("one", "two")})
    assert error_of(lambda: read(path)).startswith("error[ambiguous-weights]: it cannot be said")


def test_frozen_statistics_come_last_and_are_found(file: Path) -> None:
    inner = sequential(
        given((None, 2)),
        layer("BatchNormalization", "first"),
        layer("BatchNormalization", "second"),
    )
    inner["config"]["name"] = "inner"
    names = [
        *(f"{n}/{w}:0" for n in ("p", "q") for w in ("gamma", "beta")),
        *(f"{n}/{w}:0" for n in ("p", "q") for w in ("moving_mean", "moving_variance")),
    ]
    arrays = {name: counted(2, start=10 * k) for k, name in enumerate(names)}
    model = read(hdf5(file, sequential(given((None, 2)), inner), {"inner": arrays}))
    second = model.layer("inner/second")
    assert isinstance(second, BatchNormalization)
    assert np.array_equal(second.moving_mean.read(), counted(2, start=60))


def test_the_whole_path_tells_layers_of_two_inner_models_apart(file: Path) -> None:
    parts = []
    for name in ("p", "q"):
        part = sequential(given((None, 2)), layer("Dense", "same", units=2, use_bias=False))
        part["config"]["name"] = name
        parts.append(part)
    inner = sequential(given((None, 2)), *parts)
    inner["config"]["name"] = "inner"
    groups = {"inner": {"q/same/kernel": B, "p/same/kernel": A}}
    model = read(hdf5(file, sequential(given((None, 2)), inner), groups))
    assert np.array_equal(kernel(model, "inner/p/same"), A)
    assert np.array_equal(kernel(model, "inner/q/same"), B)


def test_a_missing_weight_is_named(file: Path, error_of: Error) -> None:
    groups = {"lstm": SMALL_GROUPS["lstm"], "dense": {"dense/kernel:0": DENSE}}
    assert error_of(lambda: read(hdf5(file, SMALL, groups))) == (
        "error[missing-weight]: bias of layer 'dense' of model is missing\n"
        "  found: 'dense/dense/kernel:0'\n" + ELSEWHERE
    )


def test_a_missing_group_is_named(file: Path, error_of: Error) -> None:
    groups = {"lstm": SMALL_GROUPS["lstm"]}
    assert error_of(lambda: read(hdf5(file, SMALL, groups))) == (
        "error[missing-weight]: kernel of layer 'dense' of model is missing\n"
        "  found: nothing\n" + ELSEWHERE
    )


def test_a_surplus_weight_is_named(file: Path, error_of: Error) -> None:
    groups = {**SMALL_GROUPS, "dense": {**SMALL_GROUPS["dense"], "dense/more:0": DENSE}}
    assert error_of(lambda: read(hdf5(file, SMALL, groups))) == (
        "error[surplus-weight]: model has weights that belong to no layer\n"
        "  found: 'dense/dense/more:0'\n" + ANOTHER
    )


def test_a_surplus_group_is_named(file: Path, error_of: Error) -> None:
    groups = {**SMALL_GROUPS, "other": {"other/kernel:0": DENSE}}
    assert error_of(lambda: read(hdf5(file, SMALL, groups))) == (
        "error[surplus-weight]: model has weights that belong to no layer\n"
        "  found: 'other/other/kernel:0'\n" + ANOTHER
    )


def test_a_group_without_weights_is_no_surplus(file: Path) -> None:
    assert read(hdf5(file, SMALL, {**SMALL_GROUPS, "x": {}, "top_level_model_weights": {}}))


def test_weights_of_the_model_itself_are_surplus(file: Path, error_of: Error) -> None:
    groups = {**SMALL_GROUPS, "top_level_model_weights": {"scale:0": DENSE}}
    assert error_of(lambda: read(hdf5(file, SMALL, groups))).startswith("error[surplus-weight]")


def edited(file: Path, edit: Callable[[h5py.File], None]) -> Path:
    """The small model after an edit."""
    with h5py.File(small_hdf5(file), "r+") as opened:
        edit(opened)
    return file


def test_a_weight_that_no_list_has_is_surplus(file: Path, error_of: Error) -> None:
    path = edited(file, lambda opened: opened.__setitem__("model_weights/dense/hidden", DENSE))
    assert error_of(lambda: read(path)) == (
        "error[surplus-weight]: model has weights that belong to no layer\n"
        "  found: 'model_weights/dense/hidden'\n" + ANOTHER
    )


def test_a_weight_beside_the_model_is_surplus(file: Path, error_of: Error) -> None:
    path = edited(file, lambda opened: opened.__setitem__("more/array", DENSE))
    assert "found: 'more/array'\n" in error_of(lambda: read(path))


def test_the_optimizer_is_ignored(file: Path) -> None:
    path = edited(file, lambda opened: opened.__setitem__("optimizer_weights/Adam/m:0", DENSE))
    assert len(read(path).layers) == 2


def test_a_weight_that_is_listed_and_not_there_is_named(file: Path, error_of: Error) -> None:
    path = edited(file, lambda opened: opened.__delitem__("model_weights/dense/dense/kernel:0"))
    assert error_of(lambda: read(path)) == (
        "error[weight-names]: the lists of weights in model are not as Keras writes them\n"
        "  found: 'model_weights/dense/dense/kernel:0' is listed and not there\n" + AGAIN
    )


def test_lists_that_say_a_thing_twice_are_refused(file: Path, error_of: Error) -> None:
    def names(opened: h5py.File) -> None:
        opened["model_weights"].attrs["layer_names"] = ["lstm", "dense", "lstm"]

    def weights(opened: h5py.File) -> None:
        opened["model_weights/dense"].attrs["weight_names"] = ["dense/kernel:0"] * 2

    def none(opened: h5py.File) -> None:
        del opened["model_weights"].attrs["layer_names"]

    start = "error[weight-names]: the lists of weights in model are not as Keras writes them\n"
    for edit, found in (
        (names, "layer 'lstm' twice"),
        (weights, "a weight that is listed twice"),
        (none, "no layer_names in model_weights"),
    ):
        path = edited(file, edit)
        assert error_of(lambda path=path: read(path)) == f"{start}  found: {found}\n{AGAIN}"


def test_a_transposed_weight_is_guessed(file: Path, error_of: Error) -> None:
    groups = {
        **SMALL_GROUPS,
        "dense": {"dense/kernel:0": DENSE.T, "dense/bias:0": DENSE_BIAS},
    }
    assert error_of(lambda: read(hdf5(file, SMALL, groups))) == (
        "error[shape]: kernel of layer 'dense' of model has the wrong shape\n"
        "  found: (5, 2); expected (2, 5)\n"
        "  help:  it looks transposed: Keras has units in columns"
    )


def test_a_weight_of_another_shape_is_named(file: Path, error_of: Error) -> None:
    groups = {
        **SMALL_GROUPS,
        "dense": {"dense/kernel:0": counted(3, 5), "dense/bias:0": DENSE_BIAS},
    }
    assert error_of(lambda: read(hdf5(file, SMALL, groups))) == (
        "error[shape]: kernel of layer 'dense' of model has the wrong shape\n"
        "  found: (3, 5); expected (2, 5)\n" + ELSEWHERE
    )


def test_a_layer_name_with_slashes_is_a_path_of_groups(file: Path) -> None:
    config = sequential(given((None, 2)), layer("Dense", "a/b", units=5))
    groups = {"a/b": {"a/b/kernel:0": DENSE, "a/b/bias:0": DENSE_BIAS}}
    assert np.array_equal(kernel(read(hdf5(file, config, groups)), "a/b"), DENSE)


def test_inputs_of_a_functional_model_have_empty_groups(file: Path) -> None:
    config = functional(
        [
            called_2(given((None, 2))),
            called_2(layer("Dense", "dense", units=5), [["x", 0, 0, {}]]),
        ],
        ["x"],
        ["dense"],
    )
    groups = {"x": {}, "dense": SMALL_GROUPS["dense"]}
    assert np.array_equal(kernel(read(hdf5(file, config, groups)), "dense"), DENSE)


@pytest.mark.parametrize(("backend", "turned"), [("tensorflow", False), ("theano", True)])
def test_theano_turned_its_kernels_round(backend: str, turned: bool, file: Path) -> None:
    config = sequential(given((None, 8, 2)), layer("Conv1D", "conv", filters=4, kernel_size=[3]))
    array = counted(3, 2, 4)
    groups = {"conv": {"conv/kernel": array, "conv/bias": counted(4)}}
    conv = read(hdf5(file, config, groups, version="2.1.3", backend=backend)).layer("conv")
    weight = conv.weights["kernel"]
    assert np.array_equal(weight.read(), array[::-1] if turned else array)
    assert np.array_equal(weight.form.write(weight.read())[0], array)
