"""One small model in the runtimes that are here. Nothing is said of how fast they are."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import converter
from converter.compare.candidates import Candidate, candidates
from converter.compare.files import Files
from converter.compare.running import Running
from converter.errors import UsageError
from converter.gates import Cell
from converter.report.json import as_json
from converter.verify.comparison import expectations
from converter.verify.inputs import cases
from converter.verify.verdict import Status
from tests.models_by_hand import Maker, chain

ROOT = Path(__file__).parents[2]
MODEL = chain(Maker().recurrent("layer", Cell.LSTM, 3, 4))


@pytest.fixture(scope="module")
def timings() -> converter.Timings:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torch")
    return converter.compare(
        MODEL,
        runtimes=("onnxruntime", "torch"),
        providers=("cpu", "openvino"),
        batches=(1, 2),
        times=(3,),
        rounds=3,
    )


def test_every_runtime_is_the_same_model_and_measured_at_every_point(
    timings: converter.Timings,
) -> None:
    assert [row.name for row in timings.ran] == ["onnxruntime:cpu", "torch:cpu"]
    for row in timings.ran:
        assert row.verdict is not None
        assert row.verdict.status is Status.EQUAL
        assert row.verdict.comparisons
        assert [one.place for one in row.measured] == [(1, 3), (2, 3)]
        for one in row.measured:
            assert one.latency.count >= 3
            assert 0 < one.latency.lower <= one.latency.median <= one.latency.upper
            assert 0 < one.copies < one.latency.p99
        assert row.version.startswith(("onnxruntime ", "PyTorch "))
    assert timings.status is Status.EQUAL
    assert [point.shapes for point in timings.grid] == [((1, 3, 3),), ((2, 3, 3),)]


def test_the_session_says_where_each_node_ran(timings: converter.Timings) -> None:
    onnx, torch = timings.ran
    assert ("layer", "LSTM", "CPUExecutionProvider") in [
        (node.name, node.kind, node.provider) for node in onnx.nodes
    ]
    assert onnx.fallbacks == ()
    assert onnx.surprises == ()
    assert torch.nodes == ()


def test_a_provider_that_is_not_there_is_a_row_that_says_what_brings_it(
    timings: converter.Timings,
) -> None:
    (row,) = (one for one in timings.rows if one.failure)
    assert row.name == "onnxruntime:openvino"
    assert "has no OpenVINOExecutionProvider here" in row.failure
    assert row.help.startswith("onnxruntime-openvino brings it")
    assert row.measured == ()
    assert not timings.placed
    assert replace(timings, rows=timings.ran).placed


def test_the_result_is_json_with_a_version(timings: converter.Timings) -> None:
    told = json.loads(as_json(timings.as_dict()))
    assert (told["schema"], told["kind"], told["status"]) == (1, "compare", "equal")
    assert [row["name"] for row in told["rows"]] == [row.name for row in timings.rows]
    assert told["rows"][0]["verdict"]["status"] == "equal"
    assert told["rows"][0]["measured"][0]["throughput"] > 0
    assert told["fastest"][0]["names"]


def test_a_runtime_with_another_model_differs(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    files = Files(chain(Maker(1).recurrent("layer", Cell.LSTM, 3, 4)), tmp_path)
    chosen = list(cases(MODEL))
    candidate = Candidate("onnxruntime", "cpu", ("onnx",), "onnxruntime")
    with Running(candidate, files, tmp_path, 1) as one:
        one.verify(chosen, expectations(MODEL, chosen))
    assert one.row.verdict is not None
    assert one.row.verdict.status is Status.DIFFERS


def test_a_python_without_the_runtime_is_a_row_that_says_so(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # without installed packages
    bare.chmod(0o755)
    (candidate,) = candidates(("keras",), None, {}, bare)
    with Running(candidate, Files(MODEL, tmp_path / "files"), tmp_path, 1) as one:
        assert one.row.failure == "ModuleNotFoundError: No module named 'keras'"
        assert one.row.help == 'pip install "ifco[keras]", or give another --keras-python'


def made_up_keras(folder: Path) -> Path:
    """A Python with a Keras that opens no HDF5 file, and whose models cannot run."""
    (folder / "keras.py").write_text(KERAS)
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(("runtime", "judged"), [("keras", True), ("torch-compiled", False)])
def test_a_model_that_fails_differs_and_a_compiler_that_fails_says_nothing_of_it(
    tmp_path: Path, runtime: str, judged: bool
) -> None:
    candidate = Candidate(runtime, "cpu", ("keras",), "keras", made_up_keras(tmp_path))
    chosen = list(cases(MODEL))
    with Running(candidate, Files(MODEL, tmp_path / "files"), tmp_path, 1) as one:
        one.verify(chosen, expectations(MODEL, chosen))
    assert "AttributeError" in one.row.failure
    assert (one.row.verdict is not None and one.row.verdict.status is Status.DIFFERS) == judged
    assert (one.row.verdict is None) != judged


def test_keras_is_given_a_file_for_it_where_it_cannot_open_the_source(tmp_path: Path) -> None:
    model = converter.read(ROOT / "tests/data/examples/forecaster.h5")
    (candidate,) = candidates(("keras",), None, {}, made_up_keras(tmp_path))
    with Running(candidate, Files(model, tmp_path / "files"), tmp_path, 1) as one:
        assert one.row.failure == ""
        assert one.row.version == "Keras 9.9 (made up), a file written for it"
    with Running(candidate, Files(MODEL, tmp_path / "more"), tmp_path, 1) as one:
        assert one.row.version.startswith("Keras 9.9 (made up)")


KERAS = """
class backend:
    backend = staticmethod(lambda: "made up")

class models:
    @staticmethod
    def load_model(path, compile):
        if not path.endswith(".keras"):
            raise ValueError("an old file")

__version__ = "9.9"
"""


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"runtimes": ("abacus",)}, "unknown-runtime"),
        ({"providers": ("abacus",)}, "unknown-provider"),
        ({"python": {"abacus": "python"}}, "unknown-provider"),
        ({"batches": (0,)}, "compare"),
        ({"times": ()}, "compare"),
        ({"rounds": 0}, "compare"),
    ],
)
def test_what_is_not_there_to_compare_is_refused(settings: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        converter.compare(MODEL, **settings)  # type: ignore[arg-type]
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "inputs"),
    [({"precision": "float16"}, 1), ({"state": "explicit"}, 3)],
    ids=["precision", "state"],
)
def test_a_model_is_compared_as_it_would_be_converted(options: dict[str, str], inputs: int) -> None:
    pytest.importorskip("onnxruntime")
    found = converter.compare(
        MODEL, runtimes=("onnxruntime",), providers=("cpu",), batches=(1,), times=(3,), rounds=1,
        **options,
    )  # fmt: skip
    (row,) = found.ran
    assert row.verdict is not None
    assert row.verdict.status is Status.EQUAL
    casts = [node for node in row.nodes if node.kind == "Cast"]
    assert bool(casts) is ("precision" in options)
    assert len(found.grid[0].shapes) == inputs
