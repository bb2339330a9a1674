"""Masks in a Keras file: stated where they can be, as Keras 3 does, refused where it differs."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import converter
from converter.description import (
    AnyOf,
    Call,
    Combination,
    Combine,
    Concatenate,
    Flip,
    JoinMasks,
    Masking,
    Merge,
    Model,
    Unequal,
    Value,
)
from converter.errors import UnsupportedError
from converter.gates import Cell
from converter.runtimes.keras import Job, run
from converter.targets.keras import Dialect, write_model
from converter.targets.keras.masks import Masks, masks_of
from converter.verify import Status
from converter.verify.keras import verify_file
from tests.models_by_hand import Maker, called, graph
from tests.targets.keras.keras_files import FLOAT32, largest, put

X, Y = Value("x", (None, 5, 3)), Value("y", (None, 5, 3))
H, C = Value("h", (None, 4)), Value("c", (None, 4))


def masking(name: str, x: Value) -> Call:
    call = called(Masking(name=name, mask_value=0.0), x)
    kept, mask = call.outputs
    return replace(call, outputs=(kept, replace(mask, dtype="bool")))


def with_mask(call: Call, mask: Value | None) -> Call:
    return replace(call, masks=(mask, *(None for _ in call.inputs[1:])))


def masked() -> Model:
    """Masking, then an LSTM that skips steps."""
    first = masking("masking", X)
    last = with_mask(called(Maker(0).lstm("lstm", 3, 4), first.outputs[0]), first.outputs[1])
    return graph([X], [first, last], last.outputs)


def decoder() -> Model:
    """A mask and initial states, as tf.keras uses both: Keras 3 would take the states alone."""
    first = masking("masking", X)
    layer = Maker(1).lstm("lstm", 3, 4, return_sequences=True)
    last = with_mask(called(layer, first.outputs[0], H, C), first.outputs[1])
    return graph([X, H, C], [first, last], last.outputs)


def both_directions() -> Model:
    first = masking("masking", X)
    layer = Maker(2).recurrent(
        "both", Cell.GRU, 3, 4, merge=Merge.CONCAT, return_sequences=True, zero_output_for_mask=True
    )
    last = with_mask(called(layer, first.outputs[0]), first.outputs[1])
    return graph([X], [first, last], last.outputs)


def joined() -> Model:
    """Two masks, of which a step needs one: as Keras 3 joins them for a Concatenate."""
    one, other = masking("masking_x", X), masking("masking_y", Y)
    layer = called(Concatenate(name="concatenate", axis=-1), one.outputs[0], other.outputs[0])
    join = called(JoinMasks(name="joined", every=False), one.outputs[1], other.outputs[1])
    join = replace(join, outputs=(replace(join.outputs[0], dtype="bool"),))
    last = with_mask(called(Maker(3).lstm("lstm", 6, 4), layer.outputs[0]), join.outputs[0])
    return graph([X, Y], [one, other, layer, join, last], last.outputs)


def made_by_hand() -> Model:
    """A mask of another tensor than the layer's input, which no layer passes on."""
    made, mask = by_hand()
    last = with_mask(called(Maker(4).lstm("lstm", 3, 4), X), mask)
    return graph([X, Y], [*made, last], last.outputs)


def by_hand() -> tuple[list[Call], Value]:
    """A mask of y alone, and what makes it."""
    unequal = called(Unequal(name="unequal", number=0.0), Y)
    unequal = replace(unequal, outputs=(replace(unequal.outputs[0], dtype="bool"),))
    whole = called(AnyOf(name="any_of"), unequal.outputs[0])
    whole = replace(whole, outputs=(replace(whole.outputs[0], dtype="bool"),))
    return [unequal, whole], whole.outputs[0]


def handed_on() -> Model:
    """A product that knows no masks, of what Keras hands the stated mask on to."""
    made, mask = by_hand()
    sequence = called(Maker(5).lstm("lstm", 3, 4, return_sequences=True), X)
    dense = called(Maker(6).dense("dense", 4, 4), sequence.outputs[0])
    product = Combine(name="product", combination=Combination.MULTIPLY)
    last = called(product, sequence.outputs[0], dense.outputs[0])
    return graph([X, Y], [*made, with_mask(sequence, mask), dense, last], last.outputs)


def turned() -> Model:
    """A mask from its end to its beginning."""
    made, mask = by_hand()
    turn = called(Flip(name="turn", axes=(1,)), mask)
    turn = replace(turn, outputs=(replace(turn.outputs[0], dtype="bool"),))
    last = with_mask(called(Maker(7).lstm("lstm", 3, 4), X), turn.outputs[0])
    return graph([X, Y], [*made, turn, last], last.outputs)


def both_repeating() -> Model:
    """Two directions that repeat what is masked, where Bidirectional of Keras 3 returns zeros."""
    model = both_directions()
    *rest, last = model.calls
    layer = replace(last.layer, zero_output_for_mask=False)
    return replace(model, calls=(*rest, replace(last, layer=layer)))


def both_kept() -> Model:
    """Two directions that keep their states and return them."""
    x = Value("x", (4, 5, 3))
    first = masking("masking", x)
    layer = Maker(8).recurrent(
        "both", Cell.LSTM, 3, 4, merge=Merge.SUM, stateful=True, return_state=True
    )
    last = with_mask(called(layer, first.outputs[0]), first.outputs[1])
    return graph([x], [first, last], last.outputs)


MODELS = {
    "masked": masked,
    "handed_on": handed_on,
    "turned": turned,
    "both_repeating": both_repeating,
    "both_kept": both_kept,
    "decoder": decoder,
    "both_directions": both_directions,
    "joined": joined,
    "made_by_hand": made_by_hand,
}


def inputs(model: Model) -> list[np.ndarray]:
    """Random, with masked steps at the end, in between, everywhere and nowhere."""
    generator = np.random.default_rng(5)
    arrays = [
        generator.normal(size=(4, *value.shape[1:])).astype(np.float32) for value in model.inputs
    ]
    for k, array in enumerate(arrays):
        if array.ndim == 3:
            array[0, 3:] = 0
            array[1, 1 + k] = 0
            array[2] = 0
    return arrays


def answers(model: Model) -> list[np.ndarray]:
    given = converter.judge(model, *inputs(model))
    return list(given) if isinstance(given, tuple) else [given]


@pytest.mark.parametrize("name", MODELS)
def test_a_mask_is_read_back(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    back = converter.read(put(write_model(model), tmp_path / "model.keras"))
    assert largest([answers(back)], [answers(model)]) < 1e-12


@pytest.mark.parametrize("name", MODELS)
def test_without_its_mask_a_model_answers_otherwise(name: str) -> None:
    model = MODELS[name]()
    calls = tuple(replace(call, masks=()) for call in model.calls)
    assert largest([answers(replace(model, calls=calls))], [answers(model)]) > 0.01


def test_keras_uses_the_masks_that_are_meant(tmp_path: Path) -> None:
    if find_spec("keras") is None:
        pytest.skip("keras is not installed")
    models = [make() for make in MODELS.values()]
    jobs = [
        Job(put(write_model(model), tmp_path / f"{k}.keras"), [inputs(model)])
        for k, model in enumerate(models)
    ]
    for model, given in zip(models, run(jobs).outputs, strict=True):
        assert isinstance(given, list), given
        assert largest(given, [answers(model)]) < FLOAT32


def test_a_mask_is_made_by_operations_as_keras_writes_them() -> None:
    layers = write_model(decoder()).config["config"]["layers"]
    kinds = [layer["class_name"] for layer in layers]
    assert kinds.count("NotEqual") == kinds.count("Any") == 1
    (node,) = layers[kinds.index("LSTM")]["inbound_nodes"]
    assert set(node["kwargs"]) == {"initial_state", "mask"}


def refused(model: Model, dialect: Dialect = Dialect.KERAS_3) -> str:
    with pytest.raises(UnsupportedError) as caught:
        write_model(model, dialect)
    return str(caught.value)


def test_a_layer_that_keras_3_would_mask_and_the_model_does_not_is_refused() -> None:
    first = masking("masking", X)
    last = called(Maker(0).lstm("lstm", 3, 4), first.outputs[0])
    assert refused(graph([X], [first, last], last.outputs)) == (
        "error[mask]: layer 'lstm' would be given another mask in Keras\n"
        "  found: no mask in the model, a mask in Keras\n"
        "  help:  --to pytorch and --to onnx can say it"
    )


def test_a_product_of_other_ranks_that_skips_masked_steps_in_keras_3_alone_is_refused() -> None:
    one = masking("masking_x", X)
    layer = Combine(name="product", combination=Combination.MULTIPLY)
    last = called(layer, one.outputs[0], Value("z", (None, 3)))
    model = graph([X, Value("z", (None, 3))], [one, last], last.outputs)
    assert "layer 'product' would be given another mask in Keras" in refused(model)


def test_a_file_in_which_keras_masks_what_the_model_does_not_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("converter.runtimes.keras.is_here", lambda: False)
    model = handed_on()
    path = put(write_model(model), tmp_path / "model.keras")
    assert verify_file(model, path).status is Status.EQUAL

    def careless(model: Model) -> Masks:
        found = masks_of(model)
        found.bare.clear()  # the product is a layer of Keras 3
        return found

    monkeypatch.setattr("converter.targets.keras.graph.masks_of", careless)
    path = put(write_model(model), tmp_path / "other.keras")
    assert verify_file(model, path).status is Status.DIFFERS


def test_a_mask_as_an_output_is_refused() -> None:
    first = masking("masking", X)
    text = refused(graph([X], [first], first.outputs))
    assert "output 'masking:1' takes a mask as a tensor" in text


@pytest.mark.parametrize("name", ["decoder", "joined", "made_by_hand"])
def test_what_two_kerases_mask_otherwise_is_refused_in_a_legacy_file(name: str) -> None:
    assert "error[legacy-arguments]" in refused(MODELS[name](), Dialect.LEGACY)


def test_a_simple_mask_is_said_in_a_legacy_file_by_its_layer(tmp_path: Path) -> None:
    model = masked()
    back = converter.read(put(write_model(model, Dialect.LEGACY), tmp_path / "model.h5"))
    assert largest([answers(back)], [answers(model)]) < 1e-12
