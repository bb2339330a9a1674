"""Attention as configs say it: each version's meaning, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.description import (
    Attention,
    Dense,
    EinsumDense,
    Era,
    Masked,
    MaskedSoftmax,
    Model,
    MultiHeadAttention,
    Scoring,
)
from converter.errors import ConverterError
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
    tensor,
)

DATA = Path(__file__).parents[1] / "data"

Error = Callable[[Callable[[], object]], str]

HEADS = {
    **{
        f"layers/multi_head_attention/{part}_dense/vars/{k}": counted(*shape)
        for part in ("query", "key", "value")
        for k, shape in enumerate([(3, 2, 4), (2, 4)])
    },
    "layers/multi_head_attention/output_dense/vars/0": counted(2, 4, 3),
    "layers/multi_head_attention/output_dense/vars/1": counted(3),
}


def heads(**settings: Any) -> Config:
    plain = {"num_heads": 2, "key_dim": 4, "use_bias": True}
    return layer("MultiHeadAttention", "it", **(plain | settings))


def attention(**settings: Any) -> Config:
    return layer("Attention", "it", **({"use_scale": False, "dropout": 0.0} | settings))


def called_with(*tensors: Any, **keywords: Any) -> Config:
    return {"args": list(tensors), "kwargs": keywords}


TWO = called_with(tensor("x"), tensor("y"))
LISTED = called_with([tensor("x"), tensor("y")])


def model(
    file: Path,
    item: Config,
    *calls: Any,
    weights: Any = HEADS,
    version: str = "3.15.1",
    shape: tuple[int | None, ...] = (None, None, 3),
    output: int = 0,
    **options: Any,
) -> Model:
    """A model of inputs x, y and m, of bool, and one layer of them."""
    allowed = given((None, None, None), "m", **options)
    allowed["config"]["dtype"] = "bool"
    inputs = [called(given(shape, name)) for name in ("x", "y")]
    make = called_2 if calls and isinstance(calls[0], list) else called
    config = functional(
        [*inputs, called(allowed), make(item, *calls)],
        ["x", "y", "m"],
        [["it", len(calls) - 1, output]],
    )
    return read(archive(file, config, weights, version=version))


def only(found: Model) -> Any:
    (one,) = found.layers
    return one


@pytest.mark.parametrize(
    ("version", "fused", "scores"),
    [
        ("2.15.0", Masked.LOWERED, Masked.LOWERED),
        ("3.6.0", Masked.LOWERED, Masked.LOWERED),
        ("3.7.0", Masked.EQUAL, Masked.LOWERED),
        ("3.9.2", Masked.EQUAL, Masked.LOWERED),
        ("3.10.0", Masked.EQUAL, Masked.ZERO),
        ("3.15.1", Masked.EQUAL, Masked.ZERO),
    ],
)
def test_a_row_that_is_masked_whole_means_what_its_version_computed(
    file: Path, version: str, fused: Masked, scores: Masked
) -> None:
    plain, dropping, telling = (
        only(model(file, item, call, version=version))
        for item, call in (
            (heads(), TWO),
            (heads(dropout=0.1), TWO),
            (heads(), called_with(tensor("x"), tensor("y"), return_attention_scores=True)),
        )
    )
    assert (plain.masked, dropping.masked, telling.masked) == (fused, scores, scores)
    assert telling.return_scores
    assert not plain.return_scores


def test_robust_masking_of_tf_keras_makes_masked_scores_equal(file: Path) -> None:
    found = only(model(file, heads(softmax_robust_masking=True), TWO, version="2.15.0"))
    assert found.masked is Masked.EQUAL


@pytest.mark.parametrize(
    ("version", "masked"),
    [("2.15.0", Masked.LOWERED), ("3.9.2", Masked.LOWERED), ("3.10.0", Masked.ZERO)],
)
def test_a_softmax_with_a_mask_likewise(file: Path, version: str, masked: Masked) -> None:
    call = called_with(tensor("x"), mask=tensor("m"))
    found = model(file, layer("Softmax", "it"), call, weights={}, version=version)
    assert isinstance(only(found), MaskedSoftmax)
    assert only(found).masked is masked
    assert [mask.name for mask in found.calls[0].masks] == ["m"]


def test_parts_have_an_underscore_where_python_has(file: Path) -> None:
    named = {path.replace("attention/", "attention/_"): array for path, array in HEADS.items()}
    read_from = []
    for weights in (HEADS, named):
        found = only(model(file, heads(), TWO, weights=weights))
        assert isinstance(found, MultiHeadAttention)
        read_from.append({name: weight.read().tolist() for name, weight in found.weights.items()})
    assert read_from[0] == read_from[1]
    assert len(read_from[0]) == 8


@pytest.mark.parametrize(
    "call",
    [
        TWO,
        called_with(query=tensor("x"), value=tensor("y")),
        called_with(tensor("x"), value=tensor("y"), key=None, attention_mask=None),
        [["x", 0, 0, {"value": ["y", 0, 0]}]],
        ["x", 0, 0, {"value": ["y", 0, 0], "use_causal_mask": False}],
    ],
)
def test_every_way_to_call_heads_is_the_same(file: Path, call: Any) -> None:
    found = model(file, heads(), call)
    assert [value.name for value in found.calls[0].inputs] == ["x", "y", "y"]
    assert found.calls[0].masks == ()


def test_the_key_and_the_mask_stand_in_their_places(file: Path) -> None:
    keywords = {"key": ["x", 0, 0], "attention_mask": ["m", 0, 0], "use_causal_mask": True}
    for call in (
        called_with(*map(tensor, "xyx"), attention_mask=tensor("m"), use_causal_mask=True),
        [["x", 0, 0, {"value": ["y", 0, 0], **keywords}]],
    ):
        found = model(file, heads(), call)
        assert [value.name for value in found.calls[0].inputs] == ["x", "y", "x", "m"]
        assert only(found).causal


def test_attention_that_was_causal_by_itself(file: Path) -> None:
    """A key of TensorFlow 2.1 to 2.9; later ones are told in the call."""
    for settings, causal in (({"causal": True}, True), ({"causal": False}, False), ({}, False)):
        found = model(file, attention(**settings), LISTED, weights={}, version="2.8.0")
        assert isinstance(only(found), Attention)
        assert only(found).causal is causal


def test_attention_is_scored_as_it_says(file: Path) -> None:
    weights = {f"layers/attention/vars/{k}": np.float32(k + 2) for k in range(2)}
    item = attention(use_scale=True, score_mode="concat")
    found = only(model(file, item, LISTED, weights=weights))
    assert found.scoring is Scoring.CONCAT
    assert (found.scale.read(), found.factor.read()) == (2, 3)


@pytest.mark.parametrize(
    ("equation", "sizes", "axes", "kind"),
    [
        ("abc,cd->abd", [None, 2], "d", Dense),
        ("...x,xy->...y", 2, "y", Dense),
        ("abc,cd->abd", [None, 2], None, Dense),
        ("abc,dc->abd", [None, 2], "d", EinsumDense),
        ("abc,cde->abde", [None, 2, 4], "de", EinsumDense),
        ("abc,cde->abde", [None, 2, 4], "d", EinsumDense),
    ],
)
def test_an_einsum_over_the_last_axis_is_a_dense(
    file: Path, equation: str, sizes: Any, axes: str | None, kind: type
) -> None:
    kernel = {"cde": (3, 2, 4), "dc": (2, 3)}.get(equation.split(",")[1].split("-")[0], (3, 2))
    bias = {"de": (2, 4), "d": (2, 1) if len(kernel) == 3 else (2,)}.get(str(axes), (2,))
    weights = {"layers/einsum_dense/vars/0": counted(*kernel)}
    if axes:
        weights["layers/einsum_dense/vars/1"] = counted(*bias)
    item = layer("EinsumDense", "it", equation=equation, output_shape=sizes, bias_axes=axes)
    found = model(file, item, "x", weights=weights)
    assert type(only(found)) is kind
    assert found.outputs[0].shape[-1] in (2, 4)


@pytest.mark.parametrize("equation", ["abc", "abc,cd", "abc,cd->abe", "ab,bc->ac", "abc,ad->abd"])
def test_an_einsum_that_is_none_is_refused(file: Path, error_of: Error, equation: str) -> None:
    item = layer("EinsumDense", "it", equation=equation, output_shape=[None, 2], bias_axes=None)
    said = error_of(lambda: model(file, item, "x", weights={}))
    assert "equation of layer 'it' of model is not as Keras writes it" in said


CALL_TWICE = (TWO, called_with(tensor("x"), tensor("y"), use_causal_mask=True))
FOUR = (None, 2, 5, 3)


@pytest.mark.parametrize(
    ("item", "calls", "options", "code", "found"),
    [
        (heads(use_gate=True), (TWO,), {}, "attention-setting", "use_gate=true"),
        (heads(sliding_window=3), (TWO,), {}, "attention-setting", "sliding_window=3"),
        (heads(), CALL_TWICE, {}, "call-argument", "plain or use_causal_mask"),
        (heads(attention_axes=[2]), (TWO,), {}, "config", "axes in order, from 1 to 1"),
        (
            heads(attention_axes=[-2]),
            (TWO,),
            {"shape": FOUR, "version": "3.11.0"},
            "config",
            "axes in order, from 1 to 2",
        ),
        (
            heads(attention_axes=[2]),
            (CALL_TWICE[1],),
            {"shape": FOUR},
            "attention-axes",
            "Keras counts the steps of axis 1",
        ),
        (
            heads(),
            (called_with(tensor("x"), tensor("y"), return_attention_scores=True),),
            {"shape": FOUR},
            "attention-axes",
            "a mask or scores over several axes",
        ),
        (
            heads(),
            (called_with(tensor("x"), tensor("y"), use_causal_mask=tensor("m")),),
            {},
            "call-argument",
            "__keras_tensor__",
        ),
        (heads(), ("x",), {}, "config", "a query and a value"),
        (
            attention(),
            (called_with([tensor("x"), tensor("y")], mask=[None, tensor("m")]),),
            {"weights": {}},
            "mask",
            "masks of shapes",
        ),
    ],
)
def test_what_is_not_read_is_refused_by_name(
    file: Path, item: Config, calls: tuple[Any, ...], options: dict[str, Any], code: str, found: str
) -> None:
    with pytest.raises(ConverterError) as caught:
        model(file, item, *calls, **options)
    assert caught.value.code == code
    assert found in str(caught.value)
    assert "'it'" in str(caught.value)


def test_a_layer_of_that_name_before_tf_keras_is_somebodys_own(file: Path) -> None:
    config = functional(
        [called(given((None, 4, 3))), called_2(attention(), [["x", 0, 0, {}]])], ["x"], ["it"]
    )
    with pytest.raises(ConverterError) as caught:
        read(archive(file, config, {}, version="2.2.4"), era=Era.KERAS_2)
    assert caught.value.code == "unknown-layer"


def test_one_without_the_words_of_keras_is_not_taken_for_its_own(file: Path) -> None:
    with pytest.raises(ConverterError) as caught:
        model(file, layer("Attention", "it"), LISTED, weights={})
    assert "has no use_scale" in str(caught.value)


@pytest.mark.parametrize("name", ["keras3/attention_parts", "keras215/attention_heads"])
def test_weights_alone_are_those_of_the_whole(tmp_path: Path, name: str) -> None:
    """Keras 2.15's parts have an underscore, and so have those of groups of heads."""
    whole = DATA / f"{name}.keras"
    with zipfile.ZipFile(whole) as file:
        weights = Path(file.extract("model.weights.h5", tmp_path))
    found, expected = (
        {layer.name: {n: w.read().tolist() for n, w in layer.weights.items()} for layer in m.layers}
        for m in (read(weights, arch=whole), read(whole))
    )
    assert found == expected
    assert any(found.values())


def test_a_mask_of_a_value_is_laid_over_the_batch_up_to_3_11(file: Path) -> None:
    steps = given((None, 5), "m")
    steps["config"]["dtype"] = "bool"
    layers = [called(given((None, 5, 3), name)) for name in ("x", "y")]
    call = called_with([tensor("x"), tensor("y")], mask=[None, tensor("m")])
    config = functional(
        [*layers, called(steps), called(attention(), call)], ["x", "y", "m"], ["it"]
    )
    assert only(read(archive(file, config, {}, version="3.12.0"))).scoring is Scoring.DOT
    with pytest.raises(ConverterError) as caught:
        read(archive(file, config, {}, version="3.11.3"))
    assert caught.value.code == "mask"
