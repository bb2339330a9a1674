"""Masks and initial states: what Keras 3 and tf_keras answer, in the judge, PyTorch and ONNX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import converter
from converter.activations import Activation
from converter.description import Call, Masking, Model, Value
from converter.judge import Judge
from converter.runtimes import onnxruntime
from tests.asking import asked_once
from tests.models_by_hand import Maker, called, graph
from tests.targets.onnx.running import opened, written_as

EXACT = 1e-12
"""Of the largest output, in float64: rounding over 7 steps is below 1e-14."""

FLOAT32 = 1e-5
"""Of the largest output, in float32: measured below 1e-6."""

NAMES = [
    "lstm_last", "lstm_sequences", "gru_sequences", "gru_before", "rnn_last", "softsign",
    "stacked", "other_value", "zeros_sequences", "zeros_last", "zeros_softsign", "backwards",
    "backwards_last", "backwards_zeros", "both_last", "both_sequences", "both_sum",
    "both_softsign", "both_stacked", "both_separate", "both_multiplied",
    "both_last_of_two_cells", "two_cells", "dense_between", "lost_in_a_convolution", "mean",
    "unrolled", "unrolled_zeros", "both_unrolled", "cells_backwards", "cells_backwards_zeros",
    "both_cells", "both_cells_last", "both_cells_unrolled", "tagger", "residual", "states",
    "started", "both_started", "translator",
    "merged_three", "merged_three_extreme", "joined_features", "joined_steps",
    "joined_with_unmasked", "through_a_model", "out_of_a_model", "in_a_model", "given", "shared",
    "hierarchy", "each_page", "mean_of_each_page",
    *(f"merged_by_{kind}{one}"
      for kind in ("add", "subtract", "average", "multiply", "maximum", "minimum")
      for one in ("", "_one")),
]  # fmt: skip

TF_KERAS_ALONE = ["pages", "time_major", "time_major_both"]

STREAMS = [
    "stream", "stream_stacked", "stream_both", "stream_masked", "stream_masked_both",
    "stream_backwards", "stream_two_cells",
]  # fmt: skip


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each Keras."""
    names = ("keras", "tf_keras")
    commands = {name: ("tests.masks.keras_masks", name, f"{{folder}}/{name}") for name in names}
    folder = asked_once(tmp_path_factory, "masks", commands)
    return {name: folder / name for name in names}


def model_of(folder: Path, name: str) -> Model:
    return converter.read(next(path for path in folder.glob(f"{name}.*") if path.suffix != ".npz"))


def arrays(folder: Path, name: str, kind: str, call: int = 0) -> list[np.ndarray]:
    recorded = np.load(folder / f"{name}.npz")
    count = sum(key.startswith(f"{call}{kind}") for key in recorded)
    return [recorded[f"{call}{kind}{i}"] for i in range(count)]


def distance(given: object, expected: list[np.ndarray]) -> float:
    """The largest error as a part of the largest output; infinite where NaN is elsewhere."""
    answers = given if isinstance(given, tuple) else (given,)
    assert [np.shape(one) for one in answers] == [one.shape for one in expected]
    largest = 0.0
    for one, other in zip(map(np.asarray, answers), expected, strict=True):
        if not np.array_equal(np.isnan(one), np.isnan(other)):
            return float("inf")
        largest = max(largest, float(np.nanmax(np.abs(one - other)) / np.nanmax(np.abs(other))))
    return largest


def judged(model: Model, folder: Path, name: str, kind: str) -> float:
    answers = converter.judge(model, *arrays(folder, name, "in"))
    return distance(answers, arrays(folder, name, kind))


def judged_streams(model: Model, folder: Path, name: str, kind: str, *, reset: bool) -> list[float]:
    """How far each of two runs is, one after the other."""
    judge = Judge(model)
    distances = []
    for call in range(2):
        values = judge.run(arrays(folder, name, "in", call))
        answers = tuple(values[value.name] for value in model.outputs)
        distances.append(distance(answers, arrays(folder, name, kind, call)))
        if reset:
            judge.reset_states()
    return distances


@pytest.mark.parametrize("name", NAMES)
def test_keras_3_means_what_the_judge_computes_and_the_module_too(
    saved: dict[str, Path], name: str
) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    assert judged(model, folder, name, "exact") < EXACT
    module = converter.to_torch(model)
    with torch.inference_mode():
        given = module(*map(torch.from_numpy, arrays(folder, name, "in")))
    assert distance(given, arrays(folder, name, "out")) < FLOAT32


@pytest.mark.parametrize("name", NAMES)
def test_keras_3_means_what_onnxruntime_computes(saved: dict[str, Path], name: str) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    given = opened(model).run(arrays(folder, name, "in"))
    assert distance(given, arrays(folder, name, "out")) < FLOAT32
    proto = onnx.load_model_from_string(written_as(model))
    assert not {"Loop", "Scan"} & {node.op_type for node in proto.graph.node}


@pytest.mark.parametrize("name", [*NAMES, *TF_KERAS_ALONE])
def test_tf_keras_means_what_onnxruntime_computes(saved: dict[str, Path], name: str) -> None:
    folder = saved["tf_keras"]
    given = opened(model_of(folder, name)).run(arrays(folder, name, "in"))
    assert distance(given, arrays(folder, name, "out")) < FLOAT32


@pytest.mark.parametrize("name", ["lstm_sequences", "both_last", "both_sequences", "mean"])
def test_a_mask_that_is_ignored_or_turned_round_in_onnx_shows(
    saved: dict[str, Path], name: str
) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    for wrong in (everywhere, turned_round):
        session = onnxruntime.open(written_as(model, change=wrong))
        given = session.run(arrays(folder, name, "in"))
        assert distance(given, arrays(folder, name, "out")) > 1e-3


def masking(proto: onnx.ModelProto) -> tuple[int, onnx.NodeProto]:
    """Where the mask is made: by the last node of Masking."""
    return next((k, node) for k, node in enumerate(proto.graph.node) if node.op_type == "Less")


def everywhere(proto: onnx.ModelProto) -> None:
    """Every step counts."""
    _, node = masking(proto)
    node.op_type, node.input[1] = "GreaterOrEqual", node.input[0]


def turned_round(proto: onnx.ModelProto) -> None:
    """The mask of the last step first."""
    at, node = masking(proto)
    name, node.output[0] = node.output[0], "straight"
    numbers = {"starts": [-1], "ends": [-(2**63)], "axes": [1], "steps": [-1]}
    for key, value in numbers.items():
        array = np.array(value, np.int64)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, key))
    turned = onnx.helper.make_node("Slice", ["straight", *numbers], [name])
    proto.graph.node.insert(at + 1, turned)


@pytest.mark.parametrize("name", [*NAMES, *TF_KERAS_ALONE])
def test_tf_keras_means_what_the_judge_computes_and_the_module_too(
    saved: dict[str, Path], name: str
) -> None:
    folder = saved["tf_keras"]
    model = model_of(folder, name)
    assert judged(model, folder, name, "out") < FLOAT32
    module = converter.to_torch(model)
    with torch.inference_mode():
        given = module(*map(torch.from_numpy, arrays(folder, name, "in")))
    assert distance(given, arrays(folder, name, "out")) < FLOAT32


GIVEN_STATES = {"started", "both_started"}

UNUSED = {"lost_in_a_convolution", "joined_with_unmasked"}
"""Models in which a mask is lost, or says that every step counts."""

NONE_IN_KERAS_3 = {f"merged_by_{kind}_one" for kind in ("add", "subtract", "average")}
"""In Keras 3, the sum of a tensor with a mask and one without has none."""

USES_A_MASK = sorted(set(NAMES) - UNUSED - NONE_IN_KERAS_3 - GIVEN_STATES)


@pytest.mark.parametrize("name", sorted(GIVEN_STATES))
def test_keras_3_gives_no_mask_to_a_layer_that_is_given_its_states(
    saved: dict[str, Path], name: str
) -> None:
    # layer.py of Keras 3 passes a mask on only where one argument is a tensor.
    assert not any(call.mask for call in model_of(saved["keras"], name).calls)
    assert any(call.mask for call in model_of(saved["tf_keras"], name).calls)


@pytest.mark.parametrize("name", USES_A_MASK)
def test_a_mask_that_is_ignored_shows(saved: dict[str, Path], name: str) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    blind = replace(model, calls=tuple(replace(call, masks=()) for call in model.calls))
    assert judged(blind, folder, name, "exact") > 1e-3


def with_recurrent(model: Model, **changes: object) -> Model:
    """The same with other settings of its recurrent layers that use a mask."""
    layers = {call.layer.name: replace(call.layer, **changes) for call in model.calls if call.mask}
    calls: tuple[Call, ...] = tuple(
        replace(call, layer=layers.get(call.layer.name, call.layer)) for call in model.calls
    )
    return replace(model, calls=calls)


@pytest.mark.parametrize(
    "name", ["lstm_sequences", "zeros_sequences", "zeros_last", "both_sequences", "tagger"]
)
def test_zeros_in_place_of_repeated_outputs_show(saved: dict[str, Path], name: str) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    (flag,) = {call.layer.zero_output_for_mask for call in model.calls if call.mask}
    other = with_recurrent(model, zero_output_for_mask=not flag)
    assert judged(other, folder, name, "exact") > 1e-3


def test_states_exchanged_show(saved: dict[str, Path]) -> None:
    folder = saved["keras"]
    model = model_of(folder, "started")
    x, h, c = arrays(folder, "started", "in")
    answers = converter.judge(model, x, c, h)
    assert distance(answers, arrays(folder, "started", "exact")) > 1e-3


def test_a_masked_lstm_is_one_call_in_the_source(saved: dict[str, Path]) -> None:
    text = converter.to_torch_source(model_of(saved["keras"], "tagger"))
    assert "    mask = tokens != 0  # (batch, time)" in text
    assert "x, _ = masked(self.both, self.words(tokens), mask)" in text


CONVERTED = [
    "softsign", "zeros_last", "both_stacked", "two_cells", "mean", "tagger", "both_separate",
    "merged_three", "merged_three_extreme", "joined_steps", "in_a_model", "given", "hierarchy",
    "translator", *STREAMS,
]  # fmt: skip


@pytest.mark.parametrize("name", CONVERTED)
def test_convert_verifies_with_masked_steps_and_several_calls(
    saved: dict[str, Path], name: str, tmp_path: Path
) -> None:
    source = next(saved["keras"].glob(f"{name}.keras"))
    verdict = converter.convert(source, out=tmp_path / "out").verdict
    assert verdict is not None
    assert verdict.status is converter.Status.EQUAL, verdict.reason
    said = [one.case for one in verdict.comparisons]
    assert any("masked" in case for case in said) or name in STREAMS
    assert any(case.endswith("call 2") for case in said) == (name in STREAMS)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("who", ["keras", "tf_keras"])
def test_a_stateful_layer_goes_on_in_the_judge_and_in_the_module(
    saved: dict[str, Path], who: str, name: str
) -> None:
    folder = saved[who]
    model = model_of(folder, name)
    if who == "keras":
        assert max(judged_streams(model, folder, name, "exact", reset=False)) < EXACT
    module = converter.to_torch(model)
    for call in (0, 1):
        with torch.inference_mode():
            given = module(*map(torch.from_numpy, arrays(folder, name, "in", call)))
        assert distance(given, arrays(folder, name, "out", call)) < FLOAT32
    module.reset_states()
    with torch.inference_mode():
        given = module(*map(torch.from_numpy, arrays(folder, name, "in", 0)))
    assert distance(given, arrays(folder, name, "out", 0)) < FLOAT32


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("who", ["keras", "tf_keras"])
def test_a_stateful_layer_goes_on_in_onnxruntime(
    saved: dict[str, Path], who: str, name: str
) -> None:
    folder = saved[who]
    session = opened(model_of(folder, name))
    answers = [session.run(arrays(folder, name, "in", call)) for call in (0, 1)]
    for call, given in enumerate(answers):
        assert distance(given, arrays(folder, name, "out", call)) < FLOAT32
    session.reset_states()
    assert distance(session.run(arrays(folder, name, "in", 0)), [*answers[0]]) == 0
    session.reset_states()
    assert distance(session.run(arrays(folder, name, "in", 1)), [*answers[1]]) > 1e-3


@pytest.mark.parametrize("name", STREAMS)
def test_a_state_that_is_lost_between_calls_shows(saved: dict[str, Path], name: str) -> None:
    folder = saved["keras"]
    distances = judged_streams(model_of(folder, name), folder, name, "exact", reset=True)
    assert distances[0] < EXACT
    assert distances[1] > 1e-3


@pytest.mark.parametrize("name", STREAMS)
def test_a_caller_that_carries_the_states_gets_what_keras_keeps(
    saved: dict[str, Path], name: str
) -> None:
    folder = saved["keras"]
    held = converter.explicit_states(model_of(folder, name))
    module = converter.to_torch(held).double()
    first = arrays(folder, name, "in", 0)
    states = [np.zeros([len(first[0]), *value.shape[1:]]) for value in held.inputs[len(first) :]]
    in_torch = states
    for call in (0, 1):
        given, expected = arrays(folder, name, "in", call), arrays(folder, name, "exact", call)
        count = len(expected)
        found = converter.judge(held, *given, *states)
        assert distance(found[:count], expected) < EXACT
        with torch.inference_mode():
            tensors = [torch.from_numpy(np.asarray(one)) for one in (*given, *in_torch)]
            made = module(*(one.double() for one in tensors))
        assert distance(made[:count], expected) < EXACT
        if call:
            lost = converter.judge(held, *given, *(0 * one for one in states))
            assert distance(lost[:count], expected) > 1e-3
        states, in_torch = list(found[count:]), [one.numpy() for one in made[count:]]


def test_states_are_no_parameters_and_not_in_the_file(saved: dict[str, Path]) -> None:
    module = converter.to_torch(model_of(saved["keras"], "stream"))
    assert any(name.endswith("_h") for name in dict(module.named_buffers()))
    assert not any(name.endswith(("_h", "_c")) for name in module.state_dict())


def test_a_stateful_module_is_trained_from_call_to_call(saved: dict[str, Path]) -> None:
    # The states are no part of the graph: else the second backward would fail.
    module = converter.to_torch(model_of(saved["keras"], "stream"))
    for call in (0, 1):
        module(torch.from_numpy(arrays(saved["keras"], "stream", "in", call)[0])).sum().backward()


@pytest.mark.parametrize("name", ["lstm_sequences", "both_last", "both_sequences", "mean"])
def test_a_mask_that_is_turned_round_shows(saved: dict[str, Path], name: str) -> None:
    folder = saved["keras"]
    model = model_of(folder, name)
    module = converter.to_torch(model)
    text = converter.to_torch_source(model).replace(".any(-1)", ".any(-1).flip(1)")
    namespace: dict[str, type[torch.nn.Module]] = {}
    exec(compile(text, "model.py", "exec"), namespace)
    turned = namespace[type(module).__name__]()
    turned.load_state_dict(module.state_dict())
    with torch.inference_mode():
        given = turned(*map(torch.from_numpy, arrays(folder, name, "in")))
    assert distance(given, arrays(folder, name, "out")) > 1e-3


def from_state(*, starts: bool, activation: str) -> Model:
    """A masked GRU with an initial state, as Keras 2 before 2.3 has it, or as all others have."""
    layer = Maker(3).gru(
        "gru",
        3,
        4,
        activations={"activation": Activation.of(activation)},
        return_sequences=True,
        return_state=True,
        starts_from_state=starts,
    )
    x, h = Value("x", (None, None, 3)), Value("h", (None, 4))
    made = called(Masking(name="masking", mask_value=0.0), x)
    kept, mask = made.outputs
    used = replace(called(layer, kept, h), masks=(replace(mask, dtype="bool"), None))
    return graph((x, h), (made, used), used.outputs)


@pytest.mark.parametrize("activation", ["tanh", "softsign"])
@pytest.mark.parametrize("starts", [True, False])
def test_a_step_before_the_first_returns_the_initial_state_or_zeros(
    starts: bool, activation: str
) -> None:
    generator = np.random.default_rng(0)
    x, h = generator.normal(size=(3, 5, 3)), generator.normal(size=(3, 4))
    x[0, :2] = x[1] = 0  # the first two steps, and all
    model = from_state(starts=starts, activation=activation)
    sequence, last = converter.judge(model, x, h)
    first = h if starts else np.zeros_like(h)
    np.testing.assert_array_equal(sequence[0, :2], [first[0]] * 2)
    np.testing.assert_array_equal(sequence[1], [first[1]] * 5)
    np.testing.assert_array_equal(last[1], h[1])
    assert np.abs(sequence[0, 2] - sequence[0, 1]).max() > 1e-3
    module = converter.to_torch(model).double()
    given = [one.detach().numpy() for one in module(torch.from_numpy(x), torch.from_numpy(h))]
    assert distance(tuple(given), [sequence, last]) < EXACT
    ran = opened(model).run([x, h])
    assert distance(ran, [sequence, last]) < FLOAT32
