"""A verdict of equal says which mistakes it would have seen, and is none where it would not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converter.activations import TANH, Activation
from converter.description import (
    Call,
    ConvDirection,
    ConvLSTM,
    Masking,
    Merge,
    Model,
    Padding,
    Recurrent,
    Value,
    Weight,
)
from converter.gates import Cell
from converter.judge import Judge
from converter.report.text import power_in_words
from converter.runtimes import keras
from converter.targets.keras import Dialect, write_file, write_model
from converter.targets.onnx import write_graph
from converter.verify import decide, verify_folder
from converter.verify.comparison import answers_of_judge, compare
from converter.verify.inputs import Case, cases
from converter.verify.keras import verify_file
from converter.verify.mistakes import mistakes
from converter.verify.onnx import verify_onnx
from converter.verify.power import redrawn, with_power
from converter.verify.verdict import Comparison, Status, Verdict
from tests.models_by_hand import Maker, chain, put_on_disk

UNITS, FEATURES = 3, 2


def lstm(size: float = 1.0, **settings: object) -> Model:
    make = Maker(size=size)
    return chain(make.lstm("layer", FEATURES, UNITS, **settings), shape=(None, None, FEATURES))


def without_bias(model: Model) -> Model:
    """Every bias of zeros, as in a new model."""
    return model.map_weights(
        lambda _layer, name, weight: (
            Weight.of(0 * weight.read()) if name.endswith("bias") else weight
        )
    )


def held(model: Model, answering: Model) -> list[Comparison]:
    """What a runtime answers that computes `answering` in the place of `model`."""
    judge = Judge(answering)

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        (outputs,) = answers_of_judge(judge, [Case("", tuple(arrays))])
        return [array.astype(np.float32) for array in outputs]

    return compare(model, tuple(cases(model)), run)


def verdict_on(model: Model) -> Verdict:
    return decide(
        Verdict(
            status=Status.EQUAL,
            original="a",
            artefact="b",
            reason="",
            comparisons=tuple(held(model, model)),
        )
    )


def never(_model: Model) -> list[Comparison]:
    raise AssertionError("the weights in hand show everything")


def words(model: Model) -> list[str]:
    return [one.words for one in mistakes(model)]


def test_weights_of_size_1_show_every_mistake() -> None:
    model = lstm()
    decided = with_power(verdict_on(model), model, never)
    assert decided.status is Status.EQUAL
    assert decided.power is not None
    assert decided.power.mistakes == len(words(model)) == 6 + 1 + 2 + 1
    assert power_in_words(decided.power) == "all 10 mistakes of a mapping"


def test_a_bias_of_zeros_is_shown_by_weights_drawn_anew(tmp_path: Path) -> None:
    verdict = verify_folder(model := without_bias(lstm()), put_on_disk(model, tmp_path / "out"))
    assert verdict.status is Status.EQUAL
    assert verdict.power is not None
    assert verdict.power.redrawn == (
        "the bias left out in layer 'layer'",
        "the bias doubled in layer 'layer'",
    )
    assert power_in_words(verdict.power) == (
        "all 10 mistakes of a mapping, 2 of them with weights drawn anew"
    )


@pytest.mark.parametrize("form", ["keras", "h5", "weights.h5", "onnx"])
def test_every_target_is_written_again(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras, "is_here", lambda: False)
    model, path = without_bias(lstm()), tmp_path / f"model.{form}"
    if form == "onnx":
        graph = write_graph(model)
        path.write_bytes(graph.bytes())
        verdict = verify_onnx(graph, path)
    else:
        dialect = Dialect.LEGACY if form == "h5" else Dialect.KERAS_3
        write_file(path, write_model(model, dialect), form)
        verdict = verify_file(model, path)
    assert verdict.status is Status.EQUAL
    assert verdict.power is not None
    assert len(verdict.power.redrawn) == 2


def test_a_small_recurrent_kernel_does_not_show_that_it_is_transposed() -> None:
    model = lstm().map_weights(
        lambda _layer, name, weight: (
            Weight.of(weight.read() * np.float32(1e-9)) if "recurrent" in name else weight
        )
    )
    decided = with_power(verdict_on(model), model, lambda drawn: held(drawn, drawn))
    assert decided.status is Status.EQUAL
    assert decided.power is not None
    assert decided.power.redrawn == ("the recurrent_kernel transposed in layer 'layer'",)


def test_a_writer_that_is_wrong_for_other_weights_differs() -> None:
    """It loses the bias: right by luck for the model in hand, whose bias is of zeros."""
    model = without_bias(lstm())
    decided = with_power(verdict_on(model), model, lambda drawn: held(drawn, without_bias(drawn)))
    assert decided.status is Status.DIFFERS
    assert decided.reason.startswith("with weights drawn anew, output 'layer', case batch=")


def test_what_nothing_shows_is_undecided() -> None:
    """A tolerance that lets everything pass shows no mistake, whatever the weights are."""

    def blind(drawn: Model) -> list[Comparison]:
        return [replace(one, tolerance=1e3) for one in held(drawn, drawn)]

    model = without_bias(lstm())
    decided = with_power(verdict_on(model), model, blind)
    assert decided.status is Status.UNDECIDED
    assert decided.reason == "no input would have shown the bias left out in layer 'layer'"
    assert decided.power is not None
    assert power_in_words(decided.power) == "8 of 10 mistakes of a mapping"


def test_what_changes_nothing_is_no_mistake() -> None:
    """Where the gates have the candidate's activation, i and c are a product of the same."""
    model = lstm(activations={"recurrent_activation": TANH})
    decided = with_power(verdict_on(model), model, lambda drawn: held(drawn, drawn))
    assert decided.status is Status.EQUAL
    assert decided.power is not None
    assert decided.power.without_effect == ("gates i and c exchanged in layer 'layer'",)
    assert power_in_words(decided.power) == "all 9 mistakes of a mapping"


def test_a_model_without_recurrent_layers_has_none() -> None:
    model = chain(Maker().dense("head", FEATURES, 2), shape=(None, FEATURES))
    assert with_power(verdict_on(model), model, never).power is None


def test_a_verdict_that_is_not_equal_stays() -> None:
    model = lstm()
    other = replace(verdict_on(model), status=Status.INCONCLUSIVE)
    assert with_power(other, model, never) is other


@pytest.mark.parametrize(
    ("cell", "more", "expected"),
    [
        (Cell.LSTM, {"biases": 0}, 6 + 1 + 1),
        (Cell.GRU, {}, 3 + 1 + 3 + 1),
        (Cell.GRU_RESET_BEFORE, {}, 3 + 1 + 2 + 1),
        (Cell.RNN, {}, 1 + 2 + 1),
        (Cell.LSTM, {"merge": Merge.CONCAT}, 2 * (6 + 1 + 2) + 1),
    ],
)
def test_every_cell_has_its_mistakes(cell: Cell, more: dict[str, object], expected: int) -> None:
    layer = Maker().recurrent("layer", cell, FEATURES, UNITS, **more)
    model = chain(layer, shape=(None, None, FEATURES))
    assert len(set(words(model))) == len(words(model)) == expected
    decided = with_power(verdict_on(model), model, never)
    assert decided.power is not None
    assert decided.power.mistakes == expected


def test_a_square_kernel_can_be_transposed_and_a_slope_be_another() -> None:
    hard = Activation.of("hard_sigmoid", alpha=0.2, beta=0.5)
    layer = Maker().lstm("layer", UNITS, UNITS, activations={"recurrent_activation": hard})
    found = words(chain(layer, shape=(None, None, UNITS)))
    assert "the kernel transposed" in found
    assert "the recurrent_activation of another Keras" in found


def test_a_mask_can_be_ignored_and_states_be_exchanged() -> None:
    x, steps = Value("x", (None, 5, FEATURES)), Value("steps", (None, 5), "bool")
    states = [Value(name, (None, UNITS)) for name in ("h", "c")]
    out = Value("layer", (None, UNITS))
    masked = Value("masking", x.shape)
    layer = Maker().lstm("layer", FEATURES, UNITS)
    model = Model(
        name="m",
        inputs=(x, *states),
        calls=(
            Call(Masking(name="masking", mask_value=0.0), (x,), (masked, steps)),
            Call(layer, (masked, *states), (out,), (steps,)),
        ),
        outputs=(out,),
    )
    assert words(model)[-2:] == ["the mask ignored", "the states h and c exchanged"]
    decided = with_power(verdict_on(model), model, never)
    assert decided.power is not None
    assert decided.power.mistakes == 12


def test_a_stateful_layer_is_tried_from_its_first_call_on() -> None:
    layer = Maker().lstm("layer", FEATURES, UNITS, stateful=True)
    model = chain(layer, shape=(3, None, FEATURES))
    decided = with_power(verdict_on(model), model, never)
    assert decided.status is Status.EQUAL


def test_a_convolutional_lstm_has_its_mistakes() -> None:
    make = Maker()
    direction = ConvDirection(
        kernel=make.weight("kernel", 4, 3, FEATURES, UNITS),
        recurrent_kernel=make.weight("recurrent_kernel", 4, 3, UNITS, UNITS),
        bias=make.weight("bias", 1, 4, UNITS),
        strides=(1,),
        dilation=(1,),
        padding=Padding.SAME,
    )
    model = chain(ConvLSTM(name="layer", forward=direction), shape=(None, 4, 5, FEATURES))
    decided = with_power(verdict_on(model), model, never)
    assert decided.power is not None
    assert decided.power.mistakes == 6 + 2 + 1


def test_weights_drawn_anew_are_of_the_same_shapes_and_types() -> None:
    model = lstm()
    old, new = model.layer("layer"), redrawn(model).layer("layer")
    assert isinstance(new, Recurrent)
    assert {name: (one.shape, one.dtype) for name, one in old.weights.items()} == {
        name: (one.shape, one.dtype) for name, one in new.weights.items()
    }
    assert not np.array_equal(
        old.weights["forward.kernel"].read(), new.weights["forward.kernel"].read()
    )
