"""Models in float16: what is written, what onnxruntime answers, how far that is from float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import converter
from converter.activations import ACTIVATIONS, Activation
from converter.artefacts import Options
from converter.description import Activate, Masking, Merge, Model
from converter.errors import UnsupportedError, UsageError
from converter.gates import Cell
from converter.onnx_file import OnnxFile
from converter.output import staged
from converter.precision import with_precision
from converter.runtimes import onnxruntime
from converter.targets.onnx import write_graph
from converter.verify import Status, Verdict
from converter.verify.deviation import Rounded, bounded
from converter.verify.onnx import verify_alone
from tests.models_by_hand import Maker, chain
from tests.targets.onnx.running import kinds, wrong
from tests.targets.onnx.test_layers import after_a_mask
from tests.targets.onnx.test_recurrent import MUTANTS

EXAMPLE = Path(__file__).parents[2] / "data" / "examples" / "forecaster.h5"


def forecaster(size: float = 0.5) -> Model:
    maker = Maker(size=size)
    return chain(maker.lstm("layer", 3, 4), maker.dense("head", 4, 1))


def half(model: Model, *, half_io: bool = False) -> Model:
    return with_precision(model, "float16", half_io=half_io)


def judged(model: Model, folder: Path) -> Verdict:
    """The verdict on a model that is written in float16."""
    made = OnnxFile(half(model), "m.onnx", Options(rounded=Rounded("float16", model)))
    with staged(folder, made.names, source="", force=False, alone="m.onnx") as staging:
        made.write(staging)
        staging.commit()
    return made.verify(folder, "m.onnx")


def types(model: Model) -> set[tuple[str, int]]:
    graph = write_graph(model).whole().graph
    return {(one.name, one.type.tensor_type.elem_type) for one in (*graph.input, *graph.output)}


def test_inputs_and_outputs_stay_float32_unless_asked() -> None:
    edges = {"x", "head"}
    assert types(half(forecaster())) == {(one, onnx.TensorProto.FLOAT) for one in edges}
    asked = half(forecaster(), half_io=True)
    assert types(asked) == {(one, onnx.TensorProto.FLOAT16) for one in edges}
    assert kinds(half(forecaster())) == ["Cast", "Transpose", "LSTM", "Squeeze", "Gemm", "Cast"]
    assert kinds(asked) == ["Transpose", "LSTM", "Squeeze", "Gemm"]
    assert wrong(asked) == []


def test_weights_are_float16_and_rounded_once() -> None:
    model = forecaster()
    stored = {one.name: one for one in write_graph(half(model)).whole().graph.initializer}
    exact = {one.name: one for one in write_graph(model).whole().graph.initializer}
    for name in ("layer_W", "layer_R", "layer_B", "head_kernel", "head_bias"):
        array = onnx.numpy_helper.to_array(stored[name])
        rounded = onnx.numpy_helper.to_array(exact[name]).astype(np.float16)
        assert array.tobytes() == rounded.tobytes()


@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
@pytest.mark.parametrize("masked", [False, True])
def test_every_cell_answers_as_the_judge_that_rounds(cell: Cell, masked: bool) -> None:
    layer = Maker(size=0.5).recurrent(
        "layer", cell, 3, 4, merge=Merge.CONCAT, return_sequences=True, return_state=True
    )
    model = half(after_a_mask(layer) if masked else chain(layer))
    for opset in (15, 25):
        assert wrong(model, opset=opset) == []


@pytest.mark.parametrize("optimization", ["none", "all"])
@pytest.mark.parametrize("kind", ["gelu", "silu", "softmax"])
def test_a_scan_and_what_is_multiplied_after_a_transpose(kind: str, optimization: str) -> None:
    """NchwcTransformer of onnxruntime 1.32 crashes on Transpose, Cast from float16, MatMul."""
    settings = {"activation": Activation.of(kind)}
    layer = Maker(size=0.5).recurrent("layer", Cell.LSTM, 3, 4, activations=settings)
    assert wrong(half(chain(layer)), optimization=optimization) == []
    assert kinds(half(chain(layer)))[:3] == ["Cast", "MatMul", "Transpose"]


@pytest.mark.parametrize("kind", sorted(set(ACTIVATIONS) - {"exponential"}))
def test_every_activation_is_known_in_float16(kind: str) -> None:
    layer = Activate(name="activation", activation=Activation.of(kind))
    assert wrong(half(chain(layer, shape=(None, None, 4)))) == []


def test_a_step_is_masked_that_is_rounded_to_the_value_of_one() -> None:
    """onnxruntime's CPU provider leaves a cast to float16 and back out, and compares float32."""
    model = after_a_mask(Maker(size=0.5).lstm("layer", 3, 4))
    masking = model.calls[0].layer
    assert isinstance(masking, Masking)
    calls = (replace(model.calls[0], layer=replace(masking, mask_value=-1.0)), *model.calls[1:])
    model = half(replace(model, calls=calls))
    session = onnxruntime.open(write_graph(model).bytes())
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    answers = []
    for last in (-1.0, -0.9999, -0.999):
        x[:, 4:] = last
        answers.append(session.run([x])[0])
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_node_with_one_thing_wrong_is_told_apart(mutant: str) -> None:
    model = half(chain(Maker().lstm("layer", 3, 4)))
    assert wrong(model) == []
    assert wrong(model, change=MUTANTS[mutant]) != []


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_a_dtype_without_recurrent_nodes_is_refused(dtype: str) -> None:
    layer = replace(Maker().lstm("layer", 3, 4), dtype=dtype)
    with pytest.raises(UnsupportedError) as caught:
        write_graph(chain(layer))
    assert str(caught.value) == (
        f"error[onnx-dtype]: layer 'layer' cannot be written as ONNX in {dtype}\n"
        "  found: onnxruntime's CPU provider runs such nodes in float32 and float16 alone\n"
        "  help:  --precision float32 writes it in that; --to pytorch keeps its dtypes"
    )


def test_the_deviation_is_that_of_the_source_and_is_explained(tmp_path: Path) -> None:
    model = forecaster()
    verdict = judged(model, tmp_path)
    far = verdict.deviation
    assert verdict.status is Status.EQUAL
    assert "as near to float64 as float16 rounding explains" in verdict.reason
    assert far is not None
    assert (far.of, far.output) == ("float16", "head")
    assert 1e-5 < far.error < far.explained < 0.05
    session = onnxruntime.open(tmp_path / "m.onnx")
    x = np.random.default_rng(7).normal(size=(3, 7, 3)).astype(np.float32)
    exact = converter.judge(model, x)
    assert isinstance(exact, np.ndarray)
    given = float(np.abs(session.run([x])[0] - exact).max())
    assert far.error / 20 < given < far.explained
    alone = verify_alone(tmp_path / "m.onnx")
    assert alone.status is Status.EQUAL
    assert "float16 rounding" in alone.reason


def test_a_deviation_beyond_its_bound_differs(tmp_path: Path) -> None:
    verdict = judged(forecaster(), tmp_path)
    assert verdict.deviation is not None
    ratio = verdict.deviation.ratio
    assert bounded(verdict, ratio * 1.01).status is Status.EQUAL
    beyond = bounded(verdict, ratio * 0.99)
    assert beyond.status is Status.DIFFERS
    assert "more than --max-deviation" in beyond.reason
    assert bounded(verdict, None).status is Status.EQUAL


def test_numbers_that_float16_does_not_hold_differ(tmp_path: Path) -> None:
    model = chain(Maker(size=300.0).dense("head", 3, 2), Maker(size=300.0).dense("end", 2, 1))
    verdict = bounded(judged(model, tmp_path), None)
    assert verdict.status is Status.DIFFERS
    assert verdict.reason.startswith("float16 is too narrow: output 'end' is not finite in case")


def test_convert_and_verify_take_the_precision(tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    done = converter.convert(EXAMPLE, to="onnx", out=out, precision="float16", max_deviation=0.01)
    assert done.verdict is not None
    assert done.verdict.status is Status.EQUAL
    assert (done.record["precision"], done.record["half_io"]) == ("float16", False)
    assert 0 < done.record["verdict"]["deviation"]["ratio"] < 0.01
    assert "(rounded to float16)" in done.record["tensors"][0]["map"]
    assert converter.verify(EXAMPLE, out, precision="float16").status is Status.EQUAL
    assert converter.verify(EXAMPLE, out).status is Status.DIFFERS
    strict = converter.verify(EXAMPLE, out, precision="float16", max_deviation=1e-6)
    assert strict.status is Status.DIFFERS
    refused = converter.convert(
        EXAMPLE, to="onnx", out=out, precision="float16", max_deviation=1e-6, force=True
    )
    assert refused.files == ()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"half_io": True}, "half-io"),
        ({"max_deviation": 0.1}, "max-deviation"),
        ({"precision": "float16", "max_deviation": -1.0}, "max-deviation"),
    ],
)
def test_options_that_say_nothing_are_refused(
    options: dict[str, object], code: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        converter.convert(EXAMPLE, to="onnx", out=tmp_path / "m.onnx", **options)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []
