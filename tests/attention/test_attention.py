"""Attention: what Keras 3 and tf_keras answer, in the judge and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import converter
from converter.description import (
    Attention,
    Call,
    EinsumDense,
    Layer,
    Masked,
    MaskedSoftmax,
    Model,
    MultiHeadAttention,
    Weight,
)
from converter.errors import UnsupportedError
from converter.gates import Array
from converter.runtimes.keras import Job, run
from converter.targets.keras import Dialect, write_model
from tests.asking import asked_once
from tests.targets.keras.keras_files import put

EXACT = 1e-12
"""Of the largest output, in float64: sums of a few elements in another order."""

FLOAT32 = 1e-5
"""Of the largest output, in float32: measured below 1e-6."""

SHOWS = 1e-3
"""What something wrong changes at least."""

BOTH = [
    "dot", "dot_scaled", "dot_key", "dot_causal", "concat", "concat_plain", "additive",
    "additive_plain", "dot_masked", "dot_masked_causal", "dot_masked_value", "additive_masked",
    "dot_carried", "dot_carried_query", "dot_itself", "heads", "heads_sizes", "heads_scores",
    "heads_causal", "heads_causal_scores", "heads_allowed", "heads_allowed_dropout",
    "heads_allowed_each", "heads_number", "heads_carried", "heads_carried_scores",
    "heads_carried_causal", "heads_carried_value", "heads_carried_on", "heads_carried_allowed",
    "heads_itself", "heads_twice", "heads_dropped", "heads_shared", "heads_order", "heads_nested",
    "transformer", "axis_last", "axis_last_scores", "axis_first", "axes_both", "softmax_masked",
    "einsum_dense",
    "einsum_dots", "einsum_heads", "einsum_shared", "einsum_steps", "einsum_behind", "translator",
]  # fmt: skip

KERAS_3_ALONE = [
    "heads_shape", "heads_given", "heads_given_query", "heads_given_key", "grouped",
    "grouped_carried", "axis_last_carried", "softmax_masked_axes",
]  # fmt: skip

TF_KERAS_ALONE = ["heads_robust"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each Keras."""
    commands = {
        who: ("tests.attention.keras_attention", who, f"{{folder}}/{who}")
        for who in ("keras", "tf_keras")
    }
    return asked_once(tmp_path_factory, "attention", commands)


def model_of(folder: Path, name: str) -> Model:
    return converter.read(next(path for path in folder.glob(f"{name}.*") if path.suffix != ".npz"))


def arrays(folder: Path, name: str, kind: str) -> list[Array]:
    """`kind` is "0in", "0out", "1in", "1out" or "1exact"."""
    recorded = np.load(folder / f"{name}.npz")
    return [recorded[f"{kind}{i}"] for i in range(sum(key.startswith(kind) for key in recorded))]


def distance(given: object, expected: list[Array]) -> float:
    """The largest error as a part of the largest output."""
    answers = given if isinstance(given, tuple) else (given,)
    assert [np.shape(one) for one in answers] == [one.shape for one in expected]
    return max(
        float(np.abs(np.asarray(one) - other).max() / np.abs(other).max())
        for one, other in zip(answers, expected, strict=True)
    )


def judged(model: Model, folder: Path, name: str, kind: str) -> float:
    answers = converter.judge(model, *arrays(folder, name, f"{kind[0]}in"))
    return distance(answers, arrays(folder, name, kind))


def computed(model: Model, folder: Path, name: str) -> float:
    """How far PyTorch is from Keras, with rows that are masked whole."""
    module = converter.to_torch(model)
    with torch.inference_mode():
        given = module(*map(torch.from_numpy, arrays(folder, name, "0in")))
    return distance(given, arrays(folder, name, "0out"))


@pytest.mark.parametrize("name", [*BOTH, *KERAS_3_ALONE])
def test_keras_3_means_what_the_judge_computes_and_the_module_too(saved: Path, name: str) -> None:
    folder = saved / "keras"
    model = model_of(folder, name)
    assert judged(model, folder, name, "1exact") < EXACT
    assert judged(model, folder, name, "0out") < FLOAT32
    assert computed(model, folder, name) < FLOAT32


@pytest.mark.parametrize("name", [*BOTH, *TF_KERAS_ALONE])
def test_tf_keras_means_what_the_judge_computes_and_the_module_too(saved: Path, name: str) -> None:
    folder = saved / "tf_keras"
    model = model_of(folder, name)
    assert judged(model, folder, name, "1out") < FLOAT32
    assert judged(model, folder, name, "0out") < FLOAT32
    assert computed(model, folder, name) < FLOAT32


@pytest.mark.parametrize("name", ["dot_masked_causal", "heads_carried_scores", "axis_last_carried"])
def test_the_module_is_exported_and_compiled_alike(saved: Path, name: str) -> None:
    """For any batch; torch.compile without its own compiler, which takes long."""
    folder = saved / "keras"
    module = converter.to_torch(model_of(folder, name))
    given = tuple(map(torch.from_numpy, arrays(folder, name, "0in")))
    sizes = tuple({0: torch.export.Dim.AUTO} for _ in given)
    program = torch.export.export(module, given, dynamic_shapes=sizes)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    with torch.inference_mode():
        fewer = tuple(one[:2] for one in given)
        expected = [one[:2] for one in arrays(folder, name, "0out")]
        exported = program.module()(*fewer)
        assert (
            distance(exported if isinstance(exported, tuple) else (exported,), expected) < FLOAT32
        )
        assert distance(compiled(*given), arrays(folder, name, "0out")) < FLOAT32


# As a file for today's Keras

WRITTEN = [
    "dot_masked", "dot_masked_causal", "dot_masked_value", "additive_masked", "concat_plain",
    "heads_given", "heads_given_key", "heads_given_query", "heads_twice", "heads_dropped",
    "heads_carried_scores", "heads_allowed", "heads_allowed_dropout", "heads_shared",
    "heads_shape", "softmax_masked", "grouped_carried", "axis_last_carried", "einsum_shared",
    "transformer", "translator",
]  # fmt: skip


@pytest.fixture(scope="module")
def written(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """How far Keras's answers to each written file are from those to its source."""
    folder = saved / "keras"
    files = tmp_path_factory.mktemp("written")
    jobs = [
        Job(
            put(write_model(model_of(folder, name)), files / f"{name}.keras"),
            [arrays(folder, name, "0in"), arrays(folder, name, "1in")],
            None,
        )
        for name in WRITTEN
    ]
    distances = {}
    for name, given in zip(WRITTEN, run(jobs, backend="tensorflow").outputs, strict=True):
        assert isinstance(given, list), given
        distances[name] = max(
            distance(tuple(one), arrays(folder, name, f"{case}out"))
            for case, one in enumerate(given)
        )
    return distances


@pytest.mark.parametrize("name", WRITTEN)
def test_keras_answers_a_written_file_as_its_source(written: dict[str, float], name: str) -> None:
    assert written[name] < FLOAT32


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("heads_carried", "scores lowered in the model, equal in Keras"),
        ("heads_carried_scores", "scores lowered in the model, zero in Keras"),
        ("softmax_masked", "scores lowered in the model, zero in Keras"),
    ],
)
def test_what_keras_3_does_otherwise_is_refused(saved: Path, name: str, found: str) -> None:
    model = model_of(saved / "tf_keras", name)
    with pytest.raises(UnsupportedError) as caught:
        write_model(model)
    layer = model.calls[-1].layer.name
    assert str(caught.value) == (
        f"error[mask]: layer '{layer}' would be given another mask in Keras\n"
        f"  found: where all are masked: {found}\n"
        "  help:  --to pytorch and --to onnx can say it"
    )


def test_heads_cannot_be_said_in_a_legacy_file(saved: Path) -> None:
    model = model_of(saved / "tf_keras", "heads")
    with pytest.raises(UnsupportedError) as caught:
        write_model(model, Dialect.LEGACY)
    assert caught.value.code == "legacy-arguments"


# The opposite: the same with one thing wrong

Change = Callable[[Layer], Layer]


def changed(model: Model, change: Change) -> Model:
    return replace(
        model, calls=tuple(replace(call, layer=change(call.layer)) for call in model.calls)
    )


def unmasked(model: Model) -> Model:
    """Attention and Softmax without their masks."""

    def without(call: Call) -> Call:
        if isinstance(call.layer, Attention | MaskedSoftmax):
            return replace(call, masks=())
        if isinstance(call.layer, MultiHeadAttention):
            return replace(call, masks=(), inputs=call.inputs[:3])
        return call

    return replace(model, calls=tuple(map(without, model.calls)))


def otherwise(kind: type[Layer], **settings: object) -> Change:
    return lambda layer: replace(layer, **settings) if isinstance(layer, kind) else layer


def reweighed(*names: str, by: Callable[[Array], Array]) -> Change:
    """Weights whose names end so, made others."""

    def change(layer: Layer) -> Layer:
        model = Model(name="", inputs=(), calls=(Call(layer, (), ()),), outputs=())
        (call,) = model.map_weights(
            lambda _, name, weight: Weight.of(by(weight.read())) if name.endswith(names) else weight
        ).calls
        return call.layer

    return change


@pytest.mark.parametrize(
    "name",
    [
        "dot_masked", "dot_masked_causal", "dot_masked_value", "additive_masked", "dot_carried",
        "dot_itself", "heads_allowed", "heads_allowed_dropout",
        "heads_allowed_each", "heads_number", "heads_carried", "heads_carried_scores",
        "heads_carried_causal", "heads_carried_value", "heads_carried_allowed", "heads_itself",
        "transformer", "heads_twice", "heads_dropped", "softmax_masked", "translator",
        "heads_given", "heads_given_key", "grouped_carried", "axis_last_carried",
    ],
)  # fmt: skip
def test_a_mask_that_is_ignored_shows(saved: Path, name: str) -> None:
    folder = saved / "keras"
    assert judged(unmasked(model_of(folder, name)), folder, name, "0out") > SHOWS


@pytest.mark.parametrize("name", ["dot_causal", "heads_causal", "heads_causal_scores"])
def test_later_steps_that_are_seen_show(saved: Path, name: str) -> None:
    folder = saved / "keras"
    seeing = changed(
        changed(model_of(folder, name), otherwise(Attention, causal=False)),
        otherwise(MultiHeadAttention, causal=False),
    )
    assert judged(seeing, folder, name, "1out") > SHOWS


@pytest.mark.parametrize(
    ("who", "name", "masked"),
    [
        ("keras", "heads_carried", Masked.ZERO),
        ("keras", "heads_carried_scores", Masked.EQUAL),
        ("keras", "softmax_masked", Masked.EQUAL),
        ("keras", "grouped_carried", Masked.LOWERED),
        ("tf_keras", "heads_carried", Masked.ZERO),
        ("tf_keras", "softmax_masked", Masked.ZERO),
    ],
)
def test_a_row_that_is_masked_whole_shows_what_becomes_of_it(
    saved: Path, who: str, name: str, masked: Masked
) -> None:
    folder = saved / who
    model = model_of(folder, name)
    for kind in (MultiHeadAttention, MaskedSoftmax):
        model = changed(model, otherwise(kind, masked=masked))
    assert judged(model, folder, name, "0out") > SHOWS


@pytest.mark.parametrize("name", ["dot_scaled", "dot_key", "concat", "additive"])
def test_a_scale_that_is_lost_shows(saved: Path, name: str) -> None:
    folder = saved / "keras"
    lost = changed(model_of(folder, name), otherwise(Attention, scale=None))
    assert judged(lost, folder, name, "1out") > SHOWS


@pytest.mark.parametrize("name", ["concat", "concat_plain"])
def test_a_factor_that_is_lost_shows(saved: Path, name: str) -> None:
    folder = saved / "keras"
    lost = changed(model_of(folder, name), otherwise(Attention, factor=None))
    assert judged(lost, folder, name, "1out") > SHOWS


@pytest.mark.parametrize("part", ["query", "key", "value", "output"])
@pytest.mark.parametrize("name", ["heads", "heads_scores", "grouped", "axis_last", "axes_both"])
def test_heads_that_are_exchanged_show(saved: Path, name: str, part: str) -> None:
    folder = saved / "keras"
    axis = 0 if part == "output" else 1
    turned = reweighed(f"{part}.kernel", by=lambda kernel: np.flip(kernel, axis))
    assert judged(changed(model_of(folder, name), turned), folder, name, "1out") > SHOWS


@pytest.mark.parametrize("part", ["query", "value", "output"])
@pytest.mark.parametrize("name", ["heads", "grouped", "axis_first"])
def test_a_bias_that_is_lost_shows(saved: Path, name: str, part: str) -> None:
    """That of the key alone adds the same to each score, and so nothing."""
    folder = saved / "keras"
    lost = changed(model_of(folder, name), reweighed(f"{part}.bias", by=np.zeros_like))
    assert judged(lost, folder, name, "1out") > SHOWS


def test_key_and_value_that_are_exchanged_show(saved: Path) -> None:
    folder = saved / "keras"
    model = model_of(folder, "heads_scores")

    def exchanged(call: Call) -> Call:
        query, value, key = call.inputs
        return replace(call, inputs=(query, key, value))

    wrong = replace(model, calls=tuple(map(exchanged, model.calls)))
    assert judged(wrong, folder, "heads_scores", "1out") > SHOWS


@pytest.mark.parametrize("name", ["einsum_heads", "einsum_shared", "einsum_steps"])
def test_an_einsum_whose_kernel_is_reversed_shows(saved: Path, name: str) -> None:
    folder = saved / "keras"
    model = model_of(folder, name)
    assert any(isinstance(layer, EinsumDense) for layer in model.layers)
    wrong = changed(model, reweighed("kernel", by=lambda kernel: kernel[..., ::-1]))
    assert judged(wrong, folder, name, "1out") > SHOWS
