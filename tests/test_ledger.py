"""The ledger sees every bit that is not where it was put, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from converter.activations import Activation
from converter.arrays import sha256
from converter.description import BatchNormalization, Layer, Merge, Model, Weight
from converter.gates import GATES, LAYOUTS, Array, Cell, bias_form
from converter.ledger import entries, wrong_arrays
from converter.targets.torch import Placement, write_source
from tests.models_by_hand import Maker, chain

Tensors = dict[str, Array]

HARD = {"recurrent_activation": Activation.of("hard_sigmoid", alpha=0.2, beta=0.5)}


def layers(dtype: str = "float32") -> dict[str, Layer]:
    """One of each kind; F is H, so that no shape tells a kernel from its transpose."""
    make = Maker(dtype=dtype)
    return {
        "lstm": make.lstm("lstm", 4, 4),
        "lstm without bias": make.lstm("lstm", 4, 4, biases=0),
        "lstm, two biases": make.lstm("lstm", 4, 4, biases=2),
        "lstm, both directions": make.lstm("lstm", 4, 4, merge=Merge.CONCAT),
        "lstm, a cell class": make.lstm("lstm", 4, 4, activations=HARD),
        "gru": make.gru("gru", 4, 4),
        "gru, one bias": make.gru("gru", 4, 4, biases=1),
        "gru, both directions": make.gru("gru", 4, 4, merge=Merge.SUM),
        "gru, a cell class": make.gru("gru", 4, 4, activations=HARD),
        "gru, reset before": make.recurrent("gru", Cell.GRU_RESET_BEFORE, 4, 4),
        "rnn": make.rnn("rnn", 4, 4),
        "rnn, two biases": make.rnn("rnn", 4, 4, biases=2),
        "dense": make.dense("dense", 4, 4),
        "dense without bias": make.dense("dense", 4, 4, bias=False),
        "embedding": make.embedding("embedding", 4, 4),
        "statistics": BatchNormalization(
            name="statistics",
            axes=(2,),
            gamma=None,
            beta=make.weight("statistics/beta", 4),
            moving_mean=make.weight("statistics/moving_mean", 4),
            moving_variance=make.weight("statistics/moving_variance", 4),
            epsilon=1e-3,
            momentum=0.99,
        ),
    }


LAYERS = layers()
every_layer = pytest.mark.parametrize("name", LAYERS)
RECURRENT = [name for name in LAYERS if "lstm" in name or "gru" in name or "rnn" in name]
every_recurrent = pytest.mark.parametrize("name", RECURRENT)


def model_of(layer: Layer) -> Model:
    if layer.name == "embedding":
        return chain(layer, shape=(None, None), dtype="int32")
    return chain(layer, shape=(None, None, 4))


def placements(layer: Layer) -> list[Placement]:
    return write_source(model_of(layer)).placements


def tensors(layer: Layer) -> Tensors:
    """What the artefact holds: copies, as they are read from its file."""
    return {
        name: np.array(array, array.dtype.newbyteorder("="), order="C")
        for one in placements(layer)
        for name, array in one.tensors()
    }


def wrong(layer: Layer, changed: Tensors) -> list[str]:
    return list(wrong_arrays(placements(layer), changed))


def own(layer: Layer) -> list[tuple[str, list[str]]]:
    """Each tensor that holds some of the source, and the names of that."""
    return [
        (name, [stored.name for stored in one.weight.stored])
        for one in placements(layer)
        if not one.added
        for name in one.names
    ]


def stored_names(layer: Layer) -> list[str]:
    return [stored.name for weight in layer.weights.values() for stored in weight.stored]


# Nothing is wrong with what is right


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "<f4", ">f4", ">f8"])
@every_layer
def test_an_honest_file_has_no_wrong_array(name: str, dtype: str) -> None:
    layer = layers(dtype)[name]
    assert wrong(layer, tensors(layer)) == []


@every_layer
def test_odd_numbers_are_given_back(name: str) -> None:
    """NaN with a payload, infinities, -0 and denormals are bits like others."""
    odd = np.array([0x7FC00001, 0xFFC00000, 0x7F800000, 0xFF800000, 0x80000000, 1], np.uint32)

    def strewn(_layer: Layer, _name: str, weight: Weight) -> Weight:
        return Weight.of(np.resize(odd, weight.shape).view(np.float32), f"{name}/{_name}")

    (layer,) = model_of(LAYERS[name]).map_weights(strewn).layers
    assert wrong(layer, tensors(layer)) == []


@every_layer
def test_tensors_that_are_not_the_source_s_are_no_matter(name: str) -> None:
    held = tensors(LAYERS[name]) | {"another.weight": np.ones(3)}
    assert wrong(LAYERS[name], held) == []


def test_what_only_pytorch_has_is_not_the_source_s() -> None:
    """nn.BatchNorm1d counts its batches; Keras does not."""
    layer = LAYERS["statistics"]
    added = [name for one in placements(layer) if one.added for name in one.names]
    assert added
    held = tensors(layer)
    assert wrong(layer, {name: held[name] for name in held.keys() - set(added)}) == []


# Everything is wrong with what is wrong


def flipped(array: Array, element: int, bit: int) -> Array:
    changed = array.copy()
    bits = changed.reshape(-1).view(f"u{array.dtype.itemsize}")
    bits[element] ^= np.array(1, bits.dtype) << np.array(bit, bits.dtype)
    return changed


@every_layer
def test_any_flipped_bit_is_seen_and_its_array_named(name: str) -> None:
    layer = LAYERS[name]
    held = tensors(layer)
    generator = np.random.default_rng(0)
    for tensor, sources in own(layer):
        for bit in range(32):
            element = int(generator.integers(held[tensor].size))
            changed = held | {tensor: flipped(held[tensor], element, bit)}
            assert wrong(layer, changed) == sources, (tensor, element, bit)


def blocks(array: Array, gates: int) -> Array:
    """Rows by gate."""
    return array.reshape(gates, -1, *array.shape[1:])


@every_recurrent
def test_any_two_gates_swapped_are_seen(name: str) -> None:
    layer = LAYERS[name]
    gates = len(GATES[layer.cell])
    held = tensors(layer)
    zero = {tensor for tensor, array in held.items() if not array.any()}
    for tensor, sources in own(layer):
        for a, b in combinations(range(gates), 2):
            order = list(range(gates))
            order[a], order[b] = b, a
            swapped = blocks(held[tensor], gates)[order].reshape(held[tensor].shape)
            expected = [] if tensor in zero else sources
            assert wrong(layer, held | {tensor: swapped}) == expected, (tensor, a, b)


@every_recurrent
def test_gates_swapped_in_every_tensor_are_seen(name: str) -> None:
    """As a wrong row of the table would have it."""
    layer = LAYERS[name]
    gates = len(GATES[layer.cell])
    changed = {
        tensor: blocks(array, gates)[::-1].reshape(array.shape)
        for tensor, array in tensors(layer).items()
    }
    assert sorted(wrong(layer, changed)) == ([] if gates == 1 else sorted(stored_names(layer)))


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "statistics"])
def test_a_kernel_transposed_is_seen(name: str) -> None:
    """Its shape is the same: F is H, and each gate is square."""
    layer = LAYERS[name]
    held = tensors(layer)
    for tensor, sources in own(layer):
        if held[tensor].ndim == 2:
            square = held[tensor].reshape(-1, 4, 4).swapaxes(1, 2).reshape(held[tensor].shape)
            assert wrong(layer, held | {tensor: square}) == sources, tensor


PAIRS = [
    ("bias_ih_l0", "bias_hh_l0"),
    ("weight_ih_l0", "weight_hh_l0"),
    ("weight_ih_l0", "weight_ih_l0_reverse"),
    ("weight_hh_l0", "weight_hh_l0_reverse"),
    ("bias_ih_l0", "bias_ih_l0_reverse"),
    ("bias_hh_l0", "bias_hh_l0_reverse"),
    ("running_mean", "running_var"),
]


@pytest.mark.parametrize("pair", PAIRS)
@every_layer
def test_two_tensors_exchanged_are_seen(name: str, pair: tuple[str, str]) -> None:
    layer = LAYERS[name]
    held = tensors(layer)
    a, b = (f"{layer.name}.{part}" for part in pair)
    if not {a, b} <= held.keys():
        return
    changed = held | {a: held[b], b: held[a]}
    differ = held[a].tobytes() != held[b].tobytes()
    expected = [n for tensor, sources in own(layer) if tensor in (a, b) for n in sources]
    assert wrong(layer, changed) == (list(dict.fromkeys(expected)) if differ else [])


def test_every_pair_is_exchanged_somewhere() -> None:
    names = {tensor for layer in LAYERS.values() for tensor in tensors(layer)}
    parts = {name.split(".")[1] for name in names}
    assert {part for pair in PAIRS for part in pair} <= parts


@every_layer
def test_a_lost_tensor_is_seen(name: str) -> None:
    layer = LAYERS[name]
    for tensor, sources in own(layer):
        held = tensors(layer)
        del held[tensor]
        assert wrong(layer, held) == sources


@every_layer
def test_without_any_tensor_every_array_is_wrong(name: str) -> None:
    assert sorted(wrong(LAYERS[name], {})) == sorted(stored_names(LAYERS[name]))


CHANGES: dict[str, Callable[[Array], Array]] = {
    "flat": lambda x: x.reshape(1, -1),
    "one row less": lambda x: x[1:],
    "one row more": lambda x: np.concatenate([x, x[:1]]),
    "empty": lambda x: x[:0],
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "integers of the same bits": lambda x: x.view(np.int32),
    "the other sign": lambda x: -x,
    "all zero": np.zeros_like,
    "as bfloat16 has it": lambda x: (x.view(np.uint32) & 0xFFFF0000).view(np.float32),
}


@pytest.mark.parametrize("change", CHANGES)
@every_layer
def test_another_shape_dtype_or_value_is_seen(name: str, change: str) -> None:
    layer = LAYERS[name]
    held = tensors(layer)
    for tensor, sources in own(layer):
        changed = CHANGES[change](held[tensor])
        zero = not held[tensor].any()  # stays what it is
        same = zero and change in ("all zero", "as bfloat16 has it")
        assert wrong(layer, held | {tensor: changed}) == ([] if same else sources), tensor


@pytest.mark.parametrize("name", ["lstm", "gru", "dense", "embedding"])
def test_a_zero_that_loses_its_sign_is_seen(name: str) -> None:
    def negative_zeros(_layer: Layer, part: str, weight: Weight) -> Weight:
        return Weight.of(np.full(weight.shape, -0.0, np.float32), part)

    (layer,) = model_of(LAYERS[name]).map_weights(negative_zeros).layers
    held = tensors(layer)
    assert wrong(layer, held) == []
    for tensor, sources in own(layer):
        if np.signbit(held[tensor]).all():
            assert wrong(layer, held | {tensor: held[tensor] + 0.0}) == sources


# PyTorch's second bias


def test_a_second_bias_of_zeros_is_dropped_and_not_added() -> None:
    """-0.0 + 0.0 is +0.0, which is another array."""
    layer = Maker().lstm("lstm", 2, 3)
    (single,) = (
        chain(layer, shape=(None, None, 2))
        .map_weights(lambda _, name, weight: Weight.of(-np.zeros(weight.shape, "f4"), name))
        .layers
    )
    written = write_source(chain(single, shape=(None, None, 2))).placements
    held = {name: np.array(array) for one in written for name, array in one.tensors()}
    assert np.signbit(held["lstm.bias_ih_l0"]).all()
    assert not np.signbit(held["lstm.bias_hh_l0"]).any()
    assert list(wrong_arrays(written, held)) == []


@pytest.mark.parametrize("value", [1.0, 1e-30, 1e-45, -0.0, np.nan])
def test_a_second_bias_that_is_not_the_zeros_that_were_written_is_seen(value: float) -> None:
    """Also where it is too small to change the sum."""
    layer = LAYERS["lstm"]
    held = tensors(layer)
    held["lstm.bias_hh_l0"][3] = value
    assert wrong(layer, held) == ["lstm/forward/bias"]


def test_a_bias_in_the_place_of_the_other_is_seen() -> None:
    """Their sum is the same."""
    layer = LAYERS["lstm"]
    held = tensors(layer)
    held["lstm.bias_ih_l0"], held["lstm.bias_hh_l0"] = (
        held["lstm.bias_hh_l0"],
        held["lstm.bias_ih_l0"],
    )
    assert wrong(layer, held) == ["lstm/forward/bias"]


def test_two_biases_of_the_source_stay_two() -> None:
    layer = LAYERS["lstm, two biases"]
    held = tensors(layer)
    both = layer.weights["forward.bias"].read()
    assert held["lstm.bias_ih_l0"].tobytes() == both[0].tobytes()
    assert held["lstm.bias_hh_l0"].tobytes() == both[1].tobytes()
    summed = held | {
        "lstm.bias_ih_l0": held["lstm.bias_ih_l0"] + held["lstm.bias_hh_l0"],
        "lstm.bias_hh_l0": np.zeros_like(held["lstm.bias_hh_l0"]),
    }
    assert wrong(layer, summed) == ["lstm/forward/bias"]


# A map that cannot be undone


def summed() -> tuple[Placement, Tensors]:
    """The two biases of an LSTM of PyTorch's, where Keras has one."""
    bias = Maker().weight("bias", 2, 4, 3)
    form = bias_form(Cell.LSTM, "keras")
    placement = Placement(("lstm/bias",), bias, form, lossy="two biases added")
    return placement, dict(placement.tensors())


def test_what_was_written_is_enough_where_a_map_cannot_be_undone() -> None:
    placement, held = summed()
    assert list(wrong_arrays([placement], held)) == []
    assert list(wrong_arrays([replace(placement, lossy="")], held)) == ["bias"]


@pytest.mark.parametrize("bit", [0, 22, 31])
def test_any_flipped_bit_is_seen_where_a_map_cannot_be_undone(bit: int) -> None:
    placement, held = summed()
    changed = {"lstm/bias": flipped(held["lstm/bias"], 5, bit)}
    assert list(wrong_arrays([placement], changed)) == ["bias"]
    assert list(wrong_arrays([placement], {})) == ["bias"]


def test_an_entry_says_why_a_map_cannot_be_undone() -> None:
    (entry,) = entries([summed()[0]])
    assert entry.how == "as it is -> gates ifco (two biases added)"


# The entries


def by_hand(array: Array) -> str:
    """The SHA-256 of the elements in the order of C, which is row by row."""
    return hashlib.sha256(array.tobytes("C")).hexdigest()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="float32").reshape(2, 3),
        np.arange(6, dtype="float32").reshape(2, 3).T,
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(24, dtype="float16").reshape(2, 3, 4)[::-1, :, ::2],
        np.array(3.0),
        np.array([], dtype="int8"),
        np.array([True, False]),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=str,
)
def test_a_hash_is_that_of_the_bytes_row_by_row(array: Array) -> None:
    assert sha256(array) == by_hand(array)


@every_layer
def test_every_array_of_the_source_has_one_entry_with_its_hash(name: str) -> None:
    layer = LAYERS[name]
    found = list(entries(placements(layer)))
    arrays = {
        stored.name: stored.read() for weight in layer.weights.values() for stored in weight.stored
    }
    assert sorted(entry.stored.name for entry in found) == sorted(arrays)
    for entry in found:
        array = arrays[entry.stored.name]
        assert entry.as_dict() == {
            "source": entry.stored.name,
            "shape": list(array.shape),
            "dtype": "float32",
            "sha256": by_hand(array),
            "to": list(entry.to),
            "map": entry.how,
        }
        assert set(entry.to) <= tensors(layer).keys()


@every_layer
def test_every_tensor_is_in_an_entry_or_added(name: str) -> None:
    layer = LAYERS[name]
    held = [tensor for entry in entries(placements(layer)) for tensor in entry.to]
    added = [tensor for one in placements(layer) if one.added for tensor in one.names]
    assert sorted([*held, *added]) == sorted(tensors(layer))


def test_an_entry_says_what_became_of_an_array() -> None:
    found = {entry.stored.name: entry for entry in entries(placements(LAYERS["gru"]))}
    kernel, bias = found["gru/forward/kernel"], found["gru/forward/bias"]
    assert (kernel.to, kernel.how) == (
        ("gru.weight_ih_l0",),
        "gates zrh (n, G·H) -> gates rzh (G·H, n)",
    )
    assert (bias.to, bias.how) == (
        ("gru.bias_ih_l0", "gru.bias_hh_l0"),
        "gates zrh -> gates rzh, input bias and recurrent bias",
    )


def test_entries_are_read_one_at_a_time() -> None:
    read: list[str] = []
    layer = LAYERS["lstm"]

    def noted(_layer: Layer, name: str, weight: Weight) -> Weight:
        (stored,) = weight.stored

        def read_noted() -> Array:
            read.append(name)
            return stored.read()

        return Weight(
            weight.shape,
            (type(stored)(stored.name, stored.shape, stored.dtype, read_noted),),
            weight.form,
        )

    model = model_of(layer).map_weights(noted)
    written = write_source(model).placements
    assert read == []  # writing the source reads no weight
    for count, _ in enumerate(entries(written), 1):
        assert len(read) == count


def test_the_layers_are_of_every_row_that_torch_has() -> None:
    """A new row of the table is a new layer here."""
    cells = {LAYERS[name].cell for name in RECURRENT}
    assert cells == {cell for cell, framework in LAYOUTS if framework == "cells"}
