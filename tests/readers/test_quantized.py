"""Matrices that are not stored as they are used: what is read of them, and what is refused.

Their values are held against Keras in tests/test_saved_models.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import converter
from converter.gates import Array
from converter.ledger import entries, wrong_arrays
from converter.readers import read
from converter.targets.torch import write_source
from tests.readers.files import counted, given, hdf5, layer, sequential

DATA = Path(__file__).parents[1] / "data"

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Any]


def policy(mode: str, source: str = "float32", kind: str = "QuantizedDTypePolicy") -> Any:
    return {
        "module": "keras.dtype_policies",
        "class_name": kind,
        "config": {"mode": mode, "source_name": source},
        "registered_name": None,
    }


def settings(bits: int, **given: Any) -> Any:
    return {
        "module": "keras.quantizers",
        "class_name": f"Int{bits}QuantizationConfig",
        "config": {"weight_quantizer": None, "activation_quantizer": None, **given},
        "registered_name": None,
    }


WEIGHTS_ALONE = {"dtype": policy("int8"), "quantization_config": settings(8)}
BLOCKS = {
    "dtype": policy("int4/2", kind="Int4DTypePolicy"),
    "quantization_config": settings(4, block_size=2),
}
INT8 = np.array([[1, -2], [3, 4], [-127, 127]], np.int8)
BIAS, SCALE = counted(2), np.array([2, 5], np.float32)
PACKED = np.array([[0x2F], [0x18], [0x7F]], np.uint8).view(np.int8)  # -1 2, -8 1, -1 7
SCALES, ZEROS = np.array([[2, 3], [5, 7]], np.float32), np.array([[1, 0], [-1, 2]], np.int8)
INDEX = np.array([0, 0, 1], np.float32)


def test_a_kernel_of_8_bits_is_divided_by_its_scales(one: One) -> None:
    kernel = one("Dense", INT8, BIAS, SCALE, units=2, **WEIGHTS_ALONE).kernel
    assert (kernel.dtype, kernel.shape) == (np.float32, (3, 2))
    np.testing.assert_array_equal(kernel.read(), INT8 / SCALE)


def test_blocks_have_a_zero_each(one: One) -> None:
    dense = one("Dense", PACKED, BIAS, SCALES, ZEROS, INDEX, units=2, **BLOCKS)
    expected = [[(-1 - 1) * 2, (2 - 0) * 3], [(-8 - 1) * 2, (1 - 0) * 3], [(-1 + 1) * 5, 5 * 7]]
    np.testing.assert_array_equal(dense.kernel.read(), expected)


def test_a_single_number_is_packed_too(one: One) -> None:
    both = {"dtype": policy("int4/-1", kind="Int4DTypePolicy")}
    dense = one("Dense", PACKED, BIAS[:1], SCALE[:1], units=1, **both)
    np.testing.assert_array_equal(dense.kernel.read(), [[-0.5], [-4], [-0.5]])


@pytest.mark.parametrize("wrong", [2, -1, 0.5, np.nan, np.inf])
def test_a_block_that_is_not_there_is_an_error(wrong: float, one: One, error_of: Error) -> None:
    arrays = PACKED, BIAS, SCALES, ZEROS, np.array([0, wrong, 1], np.float32)
    kernel = one("Dense", *arrays, units=2, **BLOCKS).kernel
    assert error_of(kernel.read) == (
        "error[g-idx]: g_idx of layer 'it' of model names blocks that are not there\n"
        "  found: 2 blocks\n"
        "  help:  the file may be damaged; save the model again"
    )


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_a_quantised_kernel_is_of_8_bits(dtype: type, one: One, error_of: Error) -> None:
    found = error_of(
        lambda: one("Dense", INT8.astype(dtype), BIAS, SCALE, units=2, **WEIGHTS_ALONE)
    )
    assert found == (
        "error[dtype]: kernel of layer 'it' of model does not hold whole numbers of 8 bits\n"
        f"  found: dtype {np.dtype(dtype)}; its layer is quantised\n"
        "  help:  save the model again with model.save"
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("quantized_inputs.keras", "int8: its inputs too, by {"),
        ("quantized_inputs.h5", "int8: its inputs too, by {"),
        ("quantized_float8.keras", "float8: its own arithmetic"),
    ],
)
def test_what_keras_quantises_as_it_runs_is_refused(name: str, found: str, error_of: Error) -> None:
    text = error_of(lambda: read(DATA / "bad" / name))
    assert text.startswith("error[quantized]: layer 'dense' of ")
    assert " is quantised in a way that no layer of float weights computes\n" in text
    assert f"\n  found: {found}" in text


@pytest.mark.parametrize(
    ("given", "version", "said"),
    [
        ({"dtype": policy("int8")}, "3.15.1", "int8: its inputs too, by AbsMaxQuantizer, the"),
        ({"dtype": "int8_from_float32"}, "3.3.3", "int8: its inputs too, by AbsMaxQuantizer, the"),
        ({"dtype": policy("int4")}, "3.13.2", "int4: Keras 3.13.2; read from 3.14 on"),
        (WEIGHTS_ALONE | {"dtype": policy("int8", "bfloat16")}, "3.15.1", "int8: from bfloat16"),
        ({"dtype": policy("gptq/4/128", kind="GPTQDTypePolicy")}, "3.15.1", "gptq/4/128: its own"),
        ({"dtype": policy("awq/4/64", kind="AWQDTypePolicy")}, "3.15.1", "awq/4/64: its own"),
        ({"dtype": policy("int4/0")}, "3.15.1", "int4/0: its own"),
    ],
)
def test_other_ways_are_refused_by_name(
    given: dict[str, Any], version: str, said: str, one: One, error_of: Error
) -> None:
    text = error_of(lambda: one("Dense", INT8, BIAS, SCALE, units=2, version=version, **given))
    assert text.startswith("error[quantized]: layer 'it' of model is quantised in a way that no")
    assert f"\n  found: {said}" in text


def test_the_hint_says_how_to_quantise_the_weights_alone(one: One, error_of: Error) -> None:
    text = error_of(lambda: one("Dense", INT8, BIAS, SCALE, units=2, dtype=policy("int8")))
    assert text.endswith(
        "  help:  quantise the weights alone: "
        "model.quantize(config=Int8QuantizationConfig(activation_quantizer=None))"
    )


def test_an_embedding_has_no_inputs_to_quantise(one: One) -> None:
    table = np.array([[1, 2], [3, -4], [5, 6]], np.int8)
    scale = np.array([1, 2, 4], np.float32)
    dtype = policy("int8")
    found = one("Embedding", table, scale, shape=(None, 4), input_dim=3, output_dim=2, dtype=dtype)
    np.testing.assert_array_equal(found.embeddings.read(), [[1, 2], [1.5, -2], [1.25, 1.5]])


def test_two_sizes_of_a_block_are_refused(one: One, error_of: Error) -> None:
    wrong = BLOCKS | {"quantization_config": settings(4, block_size=4)}
    text = error_of(lambda: one("Dense", PACKED, BIAS, SCALES, ZEROS, INDEX, units=2, **wrong))
    assert "found: 4; expected 2, as the dtype says" in text


def with_lora(file: Path, arrays: dict[str, Array], **settings: Any) -> Any:
    config = sequential(given((None, 3)), layer("Dense", "it", units=2, **settings))
    weights = {f"it/{name}": array for name, array in arrays.items()}
    return read(hdf5(file, config, {"it": weights}, version="3.15.1")).layer("it")


KERNEL, A, B = counted(3, 2), counted(3, 4, start=-1), counted(4, 2, start=5)
ADAPTED = {"bias": BIAS, "lora_kernel_a": A, "lora_kernel_b": B, "kernel": KERNEL}


@pytest.mark.parametrize(
    ("alpha", "share"), [({"lora_alpha": 3}, 0.75), ({"lora_alpha": None}, 1.0), ({}, 1.0)]
)
def test_lora_is_added_where_its_parts_are_stored(
    alpha: dict[str, Any], share: float, file: Path
) -> None:
    kernel = with_lora(file, ADAPTED, lora_rank=4, **alpha).kernel
    assert [one.name for one in kernel.stored] == [
        "it/it/kernel",
        "it/it/lora_kernel_a",
        "it/it/lora_kernel_b",
    ]
    np.testing.assert_array_equal(kernel.read(), KERNEL + np.float32(share) * (A @ B))


def test_an_archive_holds_the_sum(one: One) -> None:
    kernel = one("Dense", KERNEL, BIAS, units=2, lora_rank=4, lora_alpha=8).kernel
    np.testing.assert_array_equal(kernel.read(), KERNEL)


def test_lora_of_an_einsum_dense_is_added_along_its_last_axis(file: Path, error_of: Error) -> None:
    kernel, a, b = counted(3, 2, 5), counted(3, 2, 4, start=-1), counted(4, 5, start=5)
    arrays = {"lora_kernel_a": a, "lora_kernel_b": b, "kernel": kernel}
    settings = {"equation": "ab,bcd->acd", "output_shape": [2, 5], "lora_rank": 4}
    config = sequential(given((None, 3)), layer("EinsumDense", "it", **settings))
    groups = {"it": {f"it/{name}": array for name, array in arrays.items()}}
    found = read(hdf5(file, config, groups, version="3.15.1")).layer("it").weights["kernel"]
    np.testing.assert_array_equal(found.read(), kernel + a @ b)
    config["config"]["layers"][1]["config"]["dtype"] = policy("int8")
    text = error_of(lambda: read(hdf5(file, config, groups, version="3.15.1")))
    assert "found: int8: of EinsumDense\n  help:  save the model before it is quantised" in text


def test_parts_of_lora_without_each_other_are_refused(file: Path, error_of: Error) -> None:
    half = {name: array for name, array in ADAPTED.items() if name != "lora_kernel_b"}
    assert error_of(lambda: with_lora(file, half, lora_rank=4)) == (
        "error[missing-weight]: lora_kernel_b of layer 'it' of model is missing\n"
        "  found: 'it/it/lora_kernel_a'\n"
        "  help:  the file may be cut off or its weights may belong to another model"
    )
    text = error_of(lambda: with_lora(file, ADAPTED))
    assert text.startswith("error[surplus-weight]")
    text = error_of(lambda: with_lora(file, ADAPTED, lora_rank=2))
    assert "lora_kernel_a of layer 'it' of model has the wrong shape\n  found: (3, 4)" in text


@pytest.mark.parametrize("name", ["quantized_int4.keras", "quantized_lora.h5", "lora.h5"])
def test_what_was_made_of_the_arrays_is_held_against_them(name: str) -> None:
    model = converter.read(DATA / "keras3" / name)
    placements = write_source(model).placements
    tensors = dict(tensor for one in placements for tensor in one.tensors())
    assert list(wrong_arrays(placements, tensors)) == []
    hows = {one.how for one in entries(placements) if "dense.weight" in one.to}
    assert len(hows) == 1
    assert hows.pop().endswith((" -> transposed (rounded)", " -> transposed (not undone)"))
    changed = tensors | {"dense.weight": np.nextafter(tensors["dense.weight"], 9)}
    wrong = list(wrong_arrays(placements, changed))
    assert len(wrong) > 1
    assert all("dense" in one for one in wrong)
