"""Where there is an NVIDIA GPU: the same model there, and nodes where they were forecast."""

from __future__ import annotations

import pytest

import converter
from converter.activations import Activation
from converter.compare.timings import Row
from converter.description import Model
from converter.gates import Cell
from converter.verify.verdict import Status
from tests.models_by_hand import Maker, chain

HARD = {"recurrent_activation": Activation.of("hard_sigmoid", alpha=0.2, beta=0.5)}

TAKEN = {
    "lstm": chain(Maker().recurrent("layer", Cell.LSTM, 3, 4)),
    "gru": chain(Maker().recurrent("layer", Cell.GRU, 3, 4)),
}
"""What CUDA's provider has nodes for."""

LEFT = {
    "hard_sigmoid": chain(Maker().recurrent("layer", Cell.LSTM, 3, 4, activations=HARD)),
    "reset before": chain(Maker().recurrent("layer", Cell.GRU_RESET_BEFORE, 3, 4)),
}
"""What it leaves to the CPU."""


def on_gpu(model: Model, runtime: str) -> Row:
    """What a runtime does there; a skip where it was built without CUDA."""
    found = converter.compare(
        model, runtimes=(runtime,), providers=("cuda",), batches=(1, 32), times=(7,), rounds=3
    )
    (row,) = (row for row in found.rows if row.name == f"{runtime}:cuda")
    if row.failure:
        pytest.skip(f"needs_gpu: {row.failure}")
    return row


@pytest.mark.needs_gpu
@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
@pytest.mark.parametrize("name", [*TAKEN, *LEFT])
def test_a_gpu_computes_the_same_model(runtime: str, name: str) -> None:
    row = on_gpu({**TAKEN, **LEFT}[name], runtime)
    assert row.verdict is not None
    assert row.verdict.status is Status.EQUAL
    assert row.verdict.comparisons


@pytest.mark.needs_gpu
@pytest.mark.parametrize("name", [*TAKEN, *LEFT])
def test_nodes_run_where_they_were_forecast(name: str) -> None:
    row = on_gpu({**TAKEN, **LEFT}[name], "onnxruntime")
    assert row.surprises == ()
    assert bool(row.fallbacks) == (name in LEFT)
