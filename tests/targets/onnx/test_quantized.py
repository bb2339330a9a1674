"""Files whose weights are int8: what onnxruntime's tool rounds, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import converter
from converter.activations import Activation
from converter.artefacts import Options
from converter.description import Call, Merge, Model, Value
from converter.errors import UnsupportedError, UsageError
from converter.gates import Cell
from converter.output import staged
from converter.quantized_file import QuantizedFile
from converter.targets.onnx import write_graph
from converter.verify import Status, Verdict
from converter.verify.deviation import bounded
from converter.verify.onnx import verify_alone
from converter.verify.quantized import verify_quantized
from tests.cli.command import Command
from tests.models_by_hand import Maker, called, chain, graph
from tests.targets.onnx.test_layers import after_a_mask

EXAMPLE = Path(__file__).parents[2] / "data" / "examples" / "bidirectional.keras"


@pytest.fixture
def ifco(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def written(model: Model, folder: Path) -> QuantizedFile:
    made = QuantizedFile(model, "m.onnx", Options(quantize="int8"))
    with staged(folder, made.names, source="", force=True, alone="m.onnx") as staging:
        made.write(staging)
        staging.commit()
    return made


def judged(model: Model, folder: Path) -> Verdict:
    written(model, folder)
    return verify_quantized(write_graph(model), folder / "m.onnx")


def plain() -> Model:
    maker = Maker(size=0.3)
    return chain(maker.lstm("lstm", 3, 8), maker.dense("head", 8, 2))


def both_ways() -> Model:
    maker = Maker(size=0.3)
    layer = maker.lstm("lstm", 3, 8, merge=Merge.CONCAT, return_sequences=True)
    return chain(layer, maker.dense("head", 16, 2))


def hard() -> Model:
    settings = {"recurrent_activation": Activation.of("hard_sigmoid", alpha=0.2, beta=0.5)}
    return chain(Maker(size=0.3).recurrent("lstm", Cell.LSTM, 3, 8, activations=settings))


def stream() -> Model:
    layer = Maker(size=0.3).lstm("lstm", 3, 8, stateful=True)
    return chain(layer, shape=(2, None, 3))


def masked() -> Model:
    return after_a_mask(Maker(size=0.3).lstm("lstm", 3, 8, return_sequences=True))


def words() -> Model:
    maker = Maker(size=0.3)
    layers = maker.embedding("table", 20, 6), maker.lstm("lstm", 6, 8)
    x = Value("x", (None, None), "int32")
    calls: list[Call] = []
    for layer in layers:
        calls.append(called(layer, calls[-1].outputs[0] if calls else x))
    return graph([x], calls, calls[-1].outputs)


MODELS = {"plain": plain, "both": both_ways, "hard": hard, "stream": stream, "masked": masked}


@pytest.mark.parametrize("make", [*MODELS.values(), words], ids=[*MODELS, "words"])
def test_how_far_it_is_from_the_source_is_measured_and_not_called_equal(
    make: Callable[[], Model], tmp_path: Path
) -> None:
    model = make()
    verdict = judged(model, tmp_path)
    far = verdict.deviation
    assert verdict.status is Status.UNDECIDED
    assert verdict.wrong_arrays == ()
    assert far is not None
    assert far.of == "int8"
    assert 1e-4 < far.ratio < 0.1
    assert far.explained is not None
    assert far.arrays >= 2
    assert bounded(verdict, far.ratio * 1.01).status is Status.APPROXIMATE
    assert bounded(verdict, far.ratio * 0.99).status is Status.DIFFERS
    proto = onnx.load(tmp_path / "m.onnx")
    assert "DynamicQuantizeLSTM" in [node.op_type for node in proto.graph.node]
    assert not any(one.name.endswith(("_W", "_R")) for one in proto.graph.initializer)
    alone = verify_alone(tmp_path / "m.onnx")
    assert alone.status is Status.UNDECIDED
    assert alone.deviation is not None
    assert 0 < alone.deviation.error <= far.error
    assert bounded(alone, 0.2).status is Status.APPROXIMATE


def stored(proto: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(one for one in proto.graph.initializer if one.name == name)


def one_step(proto: onnx.ModelProto) -> None:
    tensor = stored(proto, "lstm_W_quantized")
    array = numpy_helper.to_array(tensor).copy()
    array[0, 1, 2] += 1 if array[0, 1, 2] < 0 else -1
    tensor.raw_data = array.tobytes()


def exchanged_gates(proto: onnx.ModelProto) -> None:
    for end in ("quantized", "scale", "zero_point"):
        tensor = stored(proto, f"lstm_R_{end}")
        array = numpy_helper.to_array(tensor)
        blocks = array.reshape(*array.shape[:-1], 4, -1)[..., [1, 0, 2, 3], :]
        tensor.raw_data = blocks.reshape(array.shape).tobytes()


def lost_bias(proto: onnx.ModelProto) -> None:
    tensor = stored(proto, "lstm_B")
    tensor.raw_data = bytes(len(tensor.raw_data))


def other_steps(proto: onnx.ModelProto) -> None:
    tensor = stored(proto, "head_kernel_scale")
    tensor.raw_data = (numpy_helper.to_array(tensor) * np.float32(1.05)).tobytes()


def backwards(proto: onnx.ModelProto) -> None:
    node = next(node for node in proto.graph.node if node.op_type == "DynamicQuantizeLSTM")
    node.attribute.append(onnx.helper.make_attribute("direction", "reverse"))


MUTANTS = {
    one_step: "lstm/forward/kernel",
    exchanged_gates: "lstm/forward/recurrent_kernel",
    lost_bias: "lstm/forward/bias",
    other_steps: "head/kernel",
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_number_that_is_not_the_nearest_step_differs(
    mutant: Callable[[onnx.ModelProto], None], tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    assert judged(plain(), tmp_path).wrong_arrays == ()
    proto = onnx.load(path)
    mutant(proto)
    path.write_bytes(proto.SerializeToString())
    verdict = verify_quantized(write_graph(plain()), path)
    assert verdict.status is Status.DIFFERS
    (wrong,) = verdict.wrong_arrays
    assert wrong == MUTANTS[mutant]
    assert bounded(verdict, 1e9).status is Status.DIFFERS


def test_what_is_computed_otherwise_is_beyond_a_bound_that_the_file_keeps(tmp_path: Path) -> None:
    far = judged(plain(), tmp_path).deviation
    proto = onnx.load(tmp_path / "m.onnx")
    backwards(proto)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    verdict = verify_quantized(write_graph(plain()), tmp_path / "m.onnx")
    assert far is not None
    assert bounded(verdict, 2 * far.ratio).status is Status.DIFFERS


def test_what_the_tool_does_not_know_is_said_or_refused(tmp_path: Path) -> None:
    maker = Maker(size=0.3)
    model = chain(maker.gru("gru", 3, 8), maker.dense("head", 8, 2))
    made = written(model, tmp_path)
    assert made.details["quantized"] == ["head_kernel"]
    assert made.details["not_quantized"] == {"gru": "GRU"}
    with pytest.raises(UnsupportedError) as caught:
        written(chain(Maker().gru("gru", 3, 8)), tmp_path)
    assert str(caught.value) == (
        "error[nothing-quantized]: nothing of model 'by_hand' is quantized\n"
        "  found: onnxruntime's tool leaves GRU\n"
        "  help:  it knows LSTM, Dense, Embedding and convolutions; leave --quantize out"
    )


def test_the_file_is_the_same_each_time(tmp_path: Path) -> None:
    written(both_ways(), tmp_path / "a")
    written(both_ways(), tmp_path / "b")
    assert (tmp_path / "a/m.onnx").read_bytes() == (tmp_path / "b/m.onnx").read_bytes()


def test_the_exact_file_is_verified_first(tmp_path: Path) -> None:
    done = converter.convert(
        EXAMPLE, to="onnx", out=tmp_path / "m.onnx", quantize="int8", max_deviation=0.05
    )
    assert done.verdict is not None
    assert done.verdict.status is Status.APPROXIMATE
    assert done.verdict.power is not None
    assert "(rounded to int8)" in done.record["tensors"][0]["map"]
    assert done.record["verdict"]["deviation"]["arrays"] == len(done.record["quantized"]) + 2


def test_the_exit_code_needs_a_bound(ifco: Command, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    typed = f"convert {EXAMPLE} --to onnx --quantize int8 --out {out} --force"
    done = ifco(typed)
    assert done.code == 4
    assert out.exists()
    assert "undecided: bidirectional.keras" in done.out
    assert "--max-deviation 0.05 allows a twentieth of the largest number" in done.out
    assert "3 bit for bit, 5 rounded to the nearest step" in done.out
    done = ifco(f"{typed} --max-deviation 0.05")
    assert done.code == 0
    assert "approximate: bidirectional.keras" in done.out
    assert "int8 weights alone explain" in done.out
    assert ifco(f"verify {out} --max-deviation 0.05").code == 0
    assert ifco(f"verify {EXAMPLE} {out} --quantize int8 --max-deviation 0.05").code == 0
    found = ifco(f"verify {EXAMPLE} {out} --quantize int8 --max-deviation 0.0001 --format json")
    assert found.code == 1
    assert found.json["deviation"]["bound"] == 0.0001
    assert ifco(f"verify {EXAMPLE} {out}").code == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"to": "pytorch", "out": "m"}, "quantize-target"),
        ({"precision": "float16"}, "quantize-target"),
        ({"quantize": "int4"}, "unknown-quantize"),
    ],
)
def test_what_cannot_be_quantized_is_refused(
    options: dict[str, str], code: str, tmp_path: Path
) -> None:
    given = {"to": "onnx", "out": "m.onnx", "quantize": "int8", **options}
    given["out"] = str(tmp_path / given["out"])
    with pytest.raises(UsageError) as caught:
        converter.convert(EXAMPLE, **given)
    assert caught.value.code == code
