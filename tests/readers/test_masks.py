"""Which mask a layer uses: the rules of each Keras, and masks that a config states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter.description import AnyOf, Call, Embedding, JoinMasks, Model, Recurrent, Unequal
from converter.readers import read
from tests.readers.files import (
    Config,
    archive,
    called,
    called_2,
    counted,
    functional,
    given,
    hdf5,
    layer,
    tensor,
)

Error = Callable[[Callable[[], object]], str]

TABLE = counted(5, 3)
LSTM = (counted(3, 8), counted(2, 8), counted(8))


def words(name: str) -> Config:
    return layer("Embedding", name, input_dim=5, output_dim=3, mask_zero=True)


def index(name: str) -> Config:
    return layer("InputLayer", name, batch_shape=[None, None], dtype="int32")


def lstm(**settings: Any) -> Config:
    return layer("LSTM", "lstm", units=2, **settings)


def weights_of(*layers: str) -> dict[str, Any]:
    """Those of an archive."""
    found = {f"layers/{name}/vars/0": TABLE for name in layers}
    return found | {f"layers/lstm/cell/vars/{k}": array for k, array in enumerate(LSTM)}


def groups_of(*layers: str) -> dict[str, Any]:
    """Those of an HDF5 file."""
    found: dict[str, Any] = {name: {f"{name}/embeddings:0": TABLE} for name in layers}
    names = ("kernel", "recurrent_kernel", "bias")
    return found | {"lstm": {f"lstm/{n}:0": a for n, a in zip(names, LSTM, strict=True)}}


def user(model: Model) -> Call:
    """The call of the LSTM."""
    return next(call for call in model.calls if call.layer.name == "lstm")


def maker(model: Model) -> object:
    """The layer that makes the mask of the LSTM; None without one."""
    mask = user(model).mask
    return next((call.layer for call in model.calls if mask and mask in call.outputs), None)


def of_keras_3(file: Path, version: str, *, both: bool) -> Model:
    """A sum of words, of both inputs or of one and numbers, before an LSTM."""
    second = [index("j"), words("b")] if both else [given((None, None, 3), "b")]
    layers = [called(index("i")), called(words("a"), "i"), called(second[0])]
    if both:
        layers.append(called(second[1], "j"))
    layers += [called(layer("Add", "sum"), ["a", "b"]), called(lstm(), "sum")]
    inputs = ["i", "j"] if both else ["i", "b"]
    tables = ("embedding", "embedding_1") if both else ("embedding",)
    config = functional(layers, inputs, ["lstm"])
    return read(archive(file, config, weights_of(*tables), version=version))


def of_keras_2(file: Path, version: str, *, both: bool) -> Model:
    """The same."""
    second = [index("j"), words("b")] if both else [given((None, None, 3), "b")]
    layers = [called_2(index("i")), called_2(words("a"), [["i", 0, 0, {}]]), called_2(second[0])]
    if both:
        layers.append(called_2(second[1], [["j", 0, 0, {}]]))
    layers += [
        called_2(layer("Add", "sum"), [["a", 0, 0, {}], ["b", 0, 0, {}]]),
        called_2(lstm(), [["sum", 0, 0, {}]]),
    ]
    inputs = ["i", "j"] if both else ["i", "b"]
    config = functional(layers, inputs, ["lstm"])
    return read(hdf5(file, config, groups_of(*(["a", "b"] if both else ["a"])), version=version))


@pytest.mark.parametrize("version", ["3.4.0", "3.15.1"])
def test_keras_3_counts_a_step_that_any_of_several_masks_counts(file: Path, version: str) -> None:
    made = maker(of_keras_3(file, version, both=True))
    assert isinstance(made, JoinMasks)
    assert not made.every
    assert maker(of_keras_3(file, version, both=False)) is None


def test_keras_3_lost_several_masks_before_3_4(file: Path) -> None:
    assert maker(of_keras_3(file, "3.3.3", both=True)) is None


@pytest.mark.parametrize("version", ["2.2.4", "2.3.1", "2.15.0"])
def test_keras_2_counts_a_step_that_all_of_several_masks_count(file: Path, version: str) -> None:
    made = maker(of_keras_2(file, version, both=True))
    assert isinstance(made, JoinMasks)
    assert made.every
    assert isinstance(maker(of_keras_2(file, version, both=False)), Embedding)


def with_states(file: Path, version: str, backend: str = "tensorflow", **settings: Any) -> Model:
    """Words and initial states before an LSTM."""
    layers = [
        called_2(index("i")),
        called_2(words("a"), [["i", 0, 0, {}]]),
        called_2(given((None, 2), "h")),
        called_2(given((None, 2), "c")),
        called_2(lstm(**settings), [["a", 0, 0, {}], ["h", 0, 0, {}], ["c", 0, 0, {}]]),
    ]
    config = functional(layers, ["i", "h", "c"], ["lstm"])
    return read(hdf5(file, config, groups_of("a"), version=version, backend=backend))


@pytest.mark.parametrize(
    ("version", "backend", "settings", "starts"),
    [
        ("2.2.4", "tensorflow", {}, True),
        ("2.2.4", "tensorflow", {"unroll": True}, False),
        ("2.2.4", "theano", {}, False),
        ("2.3.1", "tensorflow", {}, False),
        ("2.15.0", "tensorflow", {}, False),
    ],
)
def test_keras_2_before_2_3_began_masked_steps_with_the_initial_state(
    file: Path, version: str, backend: str, settings: dict[str, Any], starts: bool
) -> None:
    call = user(with_states(file, version, backend, **settings))
    assert call.mask is not None
    assert isinstance(call.layer, Recurrent)
    assert call.layer.starts_from_state is starts


def stating(file: Path, mask: Any, *more: Config, dtype: str = "int32", **settings: Any) -> Model:
    """Numbers and a tensor m before an LSTM whose call states a mask."""
    m = layer("InputLayer", "m", batch_shape=[None, None], dtype=dtype)
    call = {"args": [tensor("x")], "kwargs": {"mask": mask}}
    layers = [called(given((None, None, 3))), called(m), *more, called(lstm(**settings), call)]
    return read(archive(file, functional(layers, ["x", "m"], ["lstm"]), weights_of()))


def operation(kind: str, name: str, *arguments: Any, **settings: Any) -> Config:
    """An operation as Keras 3 writes it."""
    part = layer(kind, name, **settings) | {"module": "keras.src.ops.numpy"}
    return called(part, {"args": list(arguments), "kwargs": {}})


def test_a_mask_may_be_an_input(file: Path) -> None:
    model = stating(file, tensor("m"), dtype="bool")
    assert user(model).mask == model.inputs[1]


def test_a_mask_of_numbers_counts_what_is_not_0(file: Path) -> None:
    made = maker(stating(file, tensor("m")))
    assert isinstance(made, Unequal)
    assert made.number == 0


def test_operations_that_make_a_mask_are_read(file: Path) -> None:
    unequal = operation("NotEqual", "n", tensor("x"), 0.5)
    some = operation("Any", "s", tensor("n"), axis=-1, keepdims=False)
    model = stating(file, tensor("s"), unequal, some)
    assert isinstance(maker(model), AnyOf)
    (made,) = [one for one in model.layers if isinstance(one, Unequal)]
    assert made.number == 0.5


def test_other_operations_are_refused_by_name(file: Path, error_of: Error) -> None:
    wide = operation("ExpandDims", "w", tensor("m"), axis=0)
    assert error_of(lambda: stating(file, tensor("w"), wide)) == (
        "error[mask]: layer 'lstm' of model would use a mask that is not read yet\n"
        "  found: a mask that is made by other operations than a layer's\n"
        "  help:  save the model without the mask where all sequences have their full length"
    )


def test_an_operation_of_masks_that_tensors_go_through_is_read_as_one(file: Path) -> None:
    ones = operation("OnesLike", "w", tensor("x"))
    layers = [called(given((None, None, 3))), ones, called(lstm(), "w")]
    config = functional(layers, ["x"], ["lstm"])
    model = read(archive(file, config, weights_of()))
    assert [type(layer).__name__ for layer in model.layers] == ["Elementwise", "Recurrent"]


def test_a_loop_that_keras_unrolls_backwards_is_zeroed_at_other_steps(file: Path) -> None:
    settings = {"zero_output_for_mask": True, "return_sequences": True, "go_backwards": True}
    call = stating(file, tensor("m"), **settings).calls[-1]
    assert call.layer.zero_output_for_mask
    first, wide, zeroed = stating(file, tensor("m"), unroll=True, **settings).calls[-3:]
    assert not first.layer.zero_output_for_mask
    assert first.masks[0] == wide.inputs[0]  # not turned
    assert zeroed.inputs == (wide.outputs[0], first.outputs[0])


def test_kept_and_given_states_of_tf_keras_are_refused(file: Path, error_of: Error) -> None:
    layers = [
        called_2(layer("InputLayer", "x", batch_shape=[2, None, 3], dtype="float32")),
        called_2(given((2, 2), "h")),
        called_2(given((2, 2), "c")),
        called_2(lstm(stateful=True), [["x", 0, 0, {}], ["h", 0, 0, {}], ["c", 0, 0, {}]]),
    ]
    config = functional(layers, ["x", "h", "c"], ["lstm"])
    assert error_of(lambda: read(hdf5(file, config, groups_of(), version="2.15.0"))) == (
        "error[stateful]: layer 'lstm' of model keeps its states, and is given initial ones\n"
        "  found: stateful=True and initial_state\n"
        "  help:  save the model without initial_state, or with stateful=False"
    )
    assert read(hdf5(file, config, groups_of(), version="2.2.4"))
