"""The commands on saved models, nothing put in the place of the library."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.command import Command

EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
FORECASTER = shlex.quote(str(EXAMPLES / "forecaster.h5"))
BIDIRECTIONAL = shlex.quote(str(EXAMPLES / "bidirectional.keras"))


def without_figures(text: str) -> str:
    """Measured figures and sizes differ from machine to machine."""
    text = re.sub(r"\d[\d.]*(e-?\d+)? units", "N units", text)
    text = re.sub(r"(largest error +|where +).*", r"\1N", text)
    return re.sub(r" +[\d.]+ k?B ", " SIZE ", text)


def test_a_model_is_converted_and_verified(ifco: Command) -> None:
    done = ifco(f"convert {FORECASTER} --out out")
    assert (done.code, done.err) == (0, "")
    assert without_figures(done.out) == (
        f"converted {EXAMPLES / 'forecaster.h5'}\n"
        "  out/model.py SIZE  the network, to be read and changed\n"
        "  out/model.safetensors SIZE  its weights\n"
        "  out/conversion.json SIZE  what became of every array\n"
        "\n"
        "equal: forecaster.h5 and out/model.py\n"
        "  every output of every case is as near to float64 as float32 rounding explains\n"
        "  largest error  N\n"
        "                 N units in the last place\n"
        "  where          N\n"
        "  compared       1 output of 8 cases\n"
        "  arrays         all 8 bit for bit\n"
        "  would show     all 22 mistakes of a mapping\n"
    )
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "conversion.json",
        "model.py",
        "model.safetensors",
    ]
    again = ifco(f"verify {FORECASTER} out")
    assert (again.code, again.err) == (0, "")
    assert again.out == done.out.partition("\n\n")[2]


def test_an_onnx_file_is_verified_with_its_source_and_alone(ifco: Command) -> None:
    done = ifco(f"convert {BIDIRECTIONAL} --to onnx --out activity.onnx")
    assert (done.code, done.err) == (0, "")
    assert without_figures(done.out).startswith(
        f"converted {EXAMPLES / 'bidirectional.keras'}\n"
        "  activity.onnx SIZE  the model, for onnxruntime and others\n"
        "  activity.onnx.conversion.json SIZE  what became of every array\n"
        "\n"
        "equal: bidirectional.keras and activity.onnx\n"
    )
    again = ifco(f"verify {BIDIRECTIONAL} activity.onnx")
    assert (again.code, again.out) == (0, done.out.partition("\n\n")[2])
    alone = ifco("verify activity.onnx")
    assert (alone.code, alone.err) == (0, "")
    assert alone.out.startswith("equal: bidirectional.keras and activity.onnx\n")
    other = ifco(f"verify {FORECASTER} activity.onnx")
    assert other.code == 1


def test_json_is_the_record_of_the_conversion(ifco: Command) -> None:
    done = ifco(f"convert {FORECASTER} --out out --format json")
    assert done.code == 0
    assert done.json["record"] == json.loads(Path("out/conversion.json").read_text())
    assert done.json["record"]["verdict"]["status"] == "equal"


def test_what_exists_is_replaced_only_by_force(ifco: Command) -> None:
    assert ifco(f"convert {FORECASTER} --no-verify --out out").code == 0
    done = ifco(f"convert {FORECASTER} --no-verify --out out")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error[output-exists]: ")
    assert ifco(f"convert {FORECASTER} --no-verify --out out --force").code == 0


def test_a_weight_that_is_not_the_sources_is_found(ifco: Command) -> None:
    ifco(f"convert {FORECASTER} --no-verify --out out")
    weights = Path("out/model.safetensors")
    tensors = load_file(weights)
    tensors["days.bias_ih_l0"] = tensors["days.bias_ih_l0"][::-1].copy()
    save_file(tensors, weights)
    done = ifco(f"verify {FORECASTER} out")
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith("differs: forecaster.h5 and out/model.py, output 'forecast', case ")
    assert "  help:  look at layer 'days': it is the first that differs\n" in done.out
    assert "not bit for bit: days/days/lstm_cell/bias:0\n" in done.out


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        (
            FORECASTER,
            [
                "  written by  Keras 2.15.0, read as tf.keras",
                "  input       measurements (batch, time, 5) float32",
                "  hours       LSTM(16, return_sequences)  (batch, time, 16)  1,408    1,408",
                "hours: LSTM(16), 5 features a step",
                "    with hard_sigmoid(alpha=0.2, beta=0.5)",
            ],
        ),
        (
            BIDIRECTIONAL,
            [
                "  written by  Keras 3.15.1, read as Keras 3",
                "  both_ways   Bidirectional(LSTM(16), concat)  (batch, 32)  2,944    3,072",
                "  activity    Dense(4, softmax)                (batch, 4)     132      132",
                "both_ways: LSTM(16), forward and backward, 6 features a step",
            ],
        ),
    ],
    ids=["forecaster", "bidirectional"],
)
def test_a_saved_model_is_inspected(ifco: Command, source: str, lines: list[str]) -> None:
    done = ifco(f"inspect {source}")
    assert (done.code, done.err) == (0, "")
    assert [line for line in lines if line not in done.out.splitlines()] == []
