"""An ONNX file that is read back by the reader, beside the source that it was written from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

import converter
from converter.activations import Activation
from converter.artefacts import Options
from converter.description import Merge, Model
from converter.gates import Cell
from converter.onnx_file import LARGEST, OnnxFile
from converter.output import staged
from converter.precision import with_precision
from converter.targets.onnx import write_graph
from converter.verify.inputs import cases
from converter.verify.onnx import verify_onnx
from converter.verify.read_back import with_reading
from converter.verify.verdict import Status, Verdict
from tests.models_by_hand import Maker, chain
from tests.targets.onnx.test_layers import after_a_mask
from tests.targets.onnx.test_recurrent import MUTANTS

DATA = Path(__file__).parents[1] / "data" / "keras3"


def verdict(model: Model, folder: Path, *, largest: int = LARGEST) -> Verdict:
    made = OnnxFile(model, "m.onnx", Options(), largest=largest)
    with staged(folder, made.names, source="", force=True, alone="m.onnx") as staging:
        made.write(staging)
        staging.commit()
    return verify_onnx(write_graph(model), folder / "m.onnx")


def tagger() -> Model:
    maker = Maker()
    layer = maker.lstm("tags", 3, 4, merge=Merge.CONCAT, return_sequences=True)
    return chain(layer, maker.dense("head", 8, 2))


@pytest.mark.parametrize(
    "make",
    [
        tagger,
        lambda: after_a_mask(Maker().gru("layer", 3, 4)),
        lambda: chain(Maker().lstm("layer", 3, 4, stateful=True), shape=(2, None, 3)),
    ],
    ids=["both ways", "masked", "stateful"],
)
def test_what_is_read_back_is_the_same_to_rounding_of_float64(
    make: Callable[[], Model], tmp_path: Path
) -> None:
    found = verdict(make(), tmp_path)
    assert found.status is Status.EQUAL
    assert found.reason.endswith("; read back, it is the same to rounding of float64")


def test_a_file_in_half_precision_says_that_it_was_not_read_back(tmp_path: Path) -> None:
    found = verdict(with_precision(tagger(), "float16"), tmp_path)
    assert found.status is Status.EQUAL
    assert "it was not read back, for a cast to float16" in found.reason


def test_arrays_beside_the_file_are_read_back_too(tmp_path: Path) -> None:
    found = verdict(tagger(), tmp_path, largest=100)
    assert (tmp_path / "m.onnx.data").exists()
    assert found.reason.endswith("; read back, it is the same to rounding of float64")


def test_a_constant_is_float32_in_the_file_and_the_verdict_says_so(tmp_path: Path) -> None:
    found = verdict(converter.read(DATA / "normalization_given.keras"), tmp_path)
    assert found.status is Status.EQUAL
    assert found.reason.endswith("it is the same to float32 rounding of its constants")


def test_what_the_reader_does_not_know_is_said(tmp_path: Path) -> None:
    settings = {"activation": Activation.of("gelu")}
    found = verdict(chain(Maker().recurrent("y", Cell.RNN, 3, 4, activations=settings)), tmp_path)
    assert found.status is Status.EQUAL
    assert "; it was not read back, for a node of the kind Scan" in found.reason


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_file_with_one_thing_wrong_means_something_else(mutant: str, tmp_path: Path) -> None:
    model = chain(Maker().lstm("layer", 3, 4))
    found = verdict(model, tmp_path)
    path = tmp_path / "m.onnx"
    proto = onnx.load(path)
    MUTANTS[mutant](proto)
    path.write_bytes(proto.SerializeToString())
    judged = with_reading(found, model, path, tuple(cases(model)))
    assert judged.status is Status.DIFFERS
    assert judged.reason.startswith("read back, output 'layer' is ")
