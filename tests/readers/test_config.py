"""Each key of a config has its type and its range, and no key is unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter.description import Layer
from converter.errors import ConverterError
from converter.readers import read
from converter.readers.keras.layers import KINDS, reads
from tests.readers.files import (
    SMALL_WEIGHTS,
    archive,
    counted,
    given,
    layer,
    sequential,
)

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Layer]

AGAIN = "  help:  the file may be damaged; save the model again"
LSTM = (counted(3, 8), counted(2, 8), counted(8))


def lstm(one: One, **settings: Any) -> Layer:
    """An LSTM of two units."""
    return one("LSTM", *LSTM, inside="cell/", **{"units": 2, **settings})


@pytest.mark.parametrize("key", ["use_bias", "return_sequences", "go_backwards", "unroll"])
@pytest.mark.parametrize("value", [None, 0, 1, 1.0, "true", [], {}])
def test_what_is_true_or_false_is_nothing_else(
    key: str, value: object, one: One, error_of: Error
) -> None:
    from converter.readers.strict import shown

    assert error_of(lambda: lstm(one, **{key: value})) == (
        f"error[config]: {key} of layer 'it' of model is not as Keras writes it\n"
        f"  found: {shown(value)}; expected true or false\n{AGAIN}"
    )


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 2.0, "2", [2], {}, 1_000_001, 10_000_000, 2**63]
)
def test_units_are_a_positive_whole_number_of_a_sane_size(
    value: object, one: One, error_of: Error
) -> None:
    from converter.readers.strict import shown

    assert error_of(lambda: lstm(one, units=value)) == (
        "error[config]: units of layer 'it' of model is not as Keras writes it\n"
        f"  found: {shown(value)}; expected a whole number from 1 to 1000000\n{AGAIN}"
    )


@pytest.mark.parametrize(("value", "said"), [(-0.1, "from 0 to 1"), (1.5, "from 0 to 1")])
def test_a_rate_is_between_nothing_and_all(
    value: float, said: str, one: One, error_of: Error
) -> None:
    assert error_of(lambda: lstm(one, dropout=value)) == (
        "error[config]: dropout of layer 'it' of model is not as Keras writes it\n"
        f"  found: {value}; expected a number {said}\n{AGAIN}"
    )


@pytest.mark.parametrize("value", [None, True, "0.5", []])
def test_a_rate_is_a_number(value: object, one: One, error_of: Error) -> None:
    assert "expected a number\n" in error_of(lambda: lstm(one, dropout=value))


def test_an_unknown_key_is_refused(one: One, error_of: Error) -> None:
    assert error_of(lambda: lstm(one, peepholes=True)) == (
        "error[config-key]: layer 'it' of model has a setting that is not known\n"
        '  found: "peepholes": true of LSTM\n'
        "  help:  save the model without it, or ask for it to be read"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_initializer": {"class_name": "Zeros", "config": {}}},
        {"recurrent_regularizer": {"class_name": "L2", "config": {"l2": 0.1}}},
        {"bias_constraint": None, "activity_regularizer": None},
        {"unit_forget_bias": True, "seed": 3},
        {"implementation": 0},
        {"implementation": 2, "unroll": True},
        {"batch_input_shape": [None, None, 3], "input_dim": 3, "input_length": None},
        {"zero_output_for_mask": True},
    ],
)
def test_what_says_nothing_about_the_answer_is_accepted(settings: dict[str, Any], one: One) -> None:
    assert lstm(one, **settings).parameters == 48


def test_a_missing_key_is_named(one: One, error_of: Error) -> None:
    text = error_of(lambda: one("LSTM", *LSTM, inside="cell/", activation="tanh"))
    assert text == (
        "error[config]: layer 'it' of model has no units\n"
        f'  found: LSTM with ["activation", "name"]\n{AGAIN}'
    )


def test_old_names_of_keys_are_known(one: One) -> None:
    assert lstm(one, inner_activation="sigmoid", dropout_W=0.1, dropout_U=0.2).parameters == 48
    assert one("Dropout", p=0.3).rate == 0.3  # type: ignore[attr-defined]
    assert one("GaussianNoise", sigma=0.3).rate == 0.3  # type: ignore[attr-defined]


def test_an_old_and_a_new_name_must_agree(one: One, error_of: Error) -> None:
    assert one("Dropout", rate=0.3, p=0.3)
    assert error_of(lambda: one("Dropout", rate=0.3, p=0.4)) == (
        "error[config]: rate of layer 'it' of model is not as Keras writes it\n"
        f"  found: 0.3; expected the same as p\n{AGAIN}"
    )


@pytest.mark.parametrize(
    "dtype",
    [
        None,
        "float32",
        {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
        {"class_name": "Policy", "config": {"name": "float32"}},
    ],
)
def test_float32_may_be_said_in_every_way(dtype: object, one: One) -> None:
    layer = lstm(one, dtype=dtype)
    assert (layer.dtype, layer.variable_dtype) == ("float32", "float32")


@pytest.mark.parametrize(
    ("policy", "compute", "variable"),
    [
        ("float16", "float16", "float16"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("float64", "float64", "float64"),
        ("mixed_float16", "float16", "float32"),
        ("mixed_bfloat16", "bfloat16", "float32"),
    ],
)
def test_a_policy_says_in_what_a_layer_computes_and_keeps_its_weights(
    policy: str, compute: str, variable: str, one: One
) -> None:
    for said in (
        policy,
        {"module": "keras", "class_name": "DTypePolicy", "config": {"name": policy}},
        {"class_name": "Policy", "config": {"name": policy}},
    ):
        layer = lstm(one, dtype=said)
        assert (layer.dtype, layer.variable_dtype) == (compute, variable)


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        ("float8_e4m3fn", '"float8_e4m3fn"'),
        ("mixed_float64", '"mixed_float64"'),
        ("mixed_", '"mixed_"'),
        ("int32", '"int32"'),
        (3, "3"),
        (
            {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "complex64"}},
            '"complex64"',
        ),
    ],
)
def test_every_other_policy_is_refused(dtype: object, said: str, one: One, error_of: Error) -> None:
    assert error_of(lambda: lstm(one, dtype=dtype)) == (
        "error[dtype-policy]: layer 'it' of model has a dtype policy that is not read\n"
        f"  found: dtype {said}\n"
        "  help:  set it to one of float16, bfloat16, float32, float64 or to mixed_float16 or "
        "mixed_bfloat16, and save the model again"
    )


@pytest.mark.parametrize(
    "dtype",
    [
        {"class_name": "DTypePolicy", "config": {}},
        {"class_name": "DTypePolicy", "config": None},
        {"class_name": "QuantizedDTypePolicy", "config": {"name": "float32"}},
        {"class_name": "DTypePolicyMap", "config": {"default_policy": "float32"}},
    ],
)
def test_a_policy_must_be_one(dtype: object, one: One, error_of: Error) -> None:
    text = error_of(lambda: lstm(one, dtype=dtype))
    assert text.startswith("error[config]: dtype of layer 'it' of model is not as Keras writes it")


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_an_old_embedding_may_say_the_dtype_of_its_input(dtype: str, one: One) -> None:
    embedding = one(
        "Embedding", counted(5, 2), shape=(None, None), input_dim=5, output_dim=2, dtype=dtype
    )
    assert embedding.parameters == 10


def part(**changes: Any) -> dict[str, Any]:
    """An LSTM as a layer of a config, with something else in it."""
    made = {**layer("LSTM", "lstm", units=2), **changes}
    return sequential(given((None, None, 3)), made, layer("Dense", "dense", units=5))


@pytest.mark.parametrize(
    "module",
    [
        None,
        "keras",
        "keras.layers",
        "keras.src.layers.rnn.lstm",
        "keras.src.engine.sequential",
        "tensorflow.keras.layers",
        "tensorflow.python.keras.layers",
        "tf_keras.layers",
    ],
)
def test_a_class_of_keras_is_one_by_its_module(module: str | None, file: Path) -> None:
    assert read(archive(file, part(module=module), SMALL_WEIGHTS))


@pytest.mark.parametrize(
    "changes",
    [
        {"module": "os"},
        {"module": "kerasx.layers"},
        {"module": "my.keras.layers"},
        {"module": ["keras.layers"]},
        {"registered_name": "Other"},
        {"registered_name": "LSTM", "module": None},  # a class of a script
        {"registered_name": 3},
    ],
)
def test_a_class_of_somebody_else_is_unknown(
    changes: dict[str, Any], file: Path, error_of: Error
) -> None:
    text = error_of(lambda: read(archive(file, part(**changes), SMALL_WEIGHTS)))
    assert text.startswith(
        "error[unknown-layer]: layer 'lstm' of model is of a class that is not known\n"
        '  found: "LSTM" of module '
    )
    assert text.endswith(
        "  help:  replace it by layers of Keras itself; code of other classes is never run"
    )


def test_a_layer_may_say_nothing_beside_what_keras_says(file: Path, error_of: Error) -> None:
    path = archive(file, part(on_load="os.system"), SMALL_WEIGHTS)
    assert error_of(lambda: read(path)).startswith(
        "error[config]: layer 'lstm' of model is not as Keras writes it\n"
        '  found: ["on_load"]; expected keys among build_config, class_name, '
    )


@pytest.mark.parametrize("value", [None, 3, "LSTM", [], {}, {"config": {}}, {"class_name": 3}])
def test_a_layer_is_an_object_with_a_class(value: object, file: Path) -> None:
    config = sequential(given((None, None, 3)), value)  # type: ignore[arg-type]
    with pytest.raises(ConverterError):
        read(archive(file, config, SMALL_WEIGHTS))


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, {"class_name": ["Sequential"]}])
def test_a_document_is_a_model(value: object, file: Path, error_of: Error) -> None:
    text = error_of(lambda: read(archive(file, value, SMALL_WEIGHTS)))
    assert text.startswith("error[config]: the config of model is not as Keras writes it")


def test_a_kind_has_one_builder() -> None:
    with pytest.raises(ValueError, match="LSTM already has a builder"):
        reads("LSTM")(KINDS["LSTM"].build)
