"""A comparison with made-up numbers: one falls back, one is not there, two cannot be told."""

from __future__ import annotations

from converter.compare.machine import Machine
from converter.compare.providers import CPU, PROVIDERS, Forecast
from converter.compare.statistics import Spread
from converter.compare.timings import Measured, Node, Part, Point, Row, Timings
from converter.verify.verdict import Comparison, Status, Verdict

CUDA = PROVIDERS["cuda"].name
PLACES = [(batch, time) for batch in (1, 32) for time in (1, 20, 100)]


def verdict(name: str, units: float) -> Verdict:
    """Equal, with two comparisons."""
    comparisons = tuple(
        Comparison(
            case=f"batch={batch} time=7 normal",
            output="forecast",
            shape=(batch, 1),
            error=units * factor * 6e-8,
            units=units * factor,
            tolerance=1.2e-6,
        )
        for batch, factor in ((3, 1.0), (1, 0.4))
    )
    return Verdict(
        status=Status.EQUAL,
        original="model.keras",
        artefact=name,
        reason="every output of every case is as near to float64 as rounding explains",
        comparisons=comparisons,
    )


def measured(scale: float, step: float) -> tuple[Measured, ...]:
    """Latencies that grow with batch and time."""
    found = []
    for batch, time in PLACES:
        median = scale + step * time * (1 + batch / 16)
        spread = Spread(
            median=median, lower=0.9 * median, upper=1.2 * median, p99=3 * median, count=250
        )
        one = Measured(batch=batch, time=time, latency=spread, copies=0.01, first=10 * median)
        found.append(one)
    return tuple(found)


def node(name: str, kind: str, provider: str, forecast: Forecast | None = None) -> Node:
    return Node(name=name, kind=kind, provider=provider, forecast=forecast)


ROWS = (
    Row(
        name="onnxruntime:cpu",
        version="onnxruntime 1.32.0",
        device=CPU,
        verdict=verdict("onnxruntime:cpu", 3.5),
        importing=297,
        loading=13.1,
        memory=63,
        nodes=(
            node("hours", "LSTM", CPU, Forecast(CPU)),
            node("forecast", "Gemm", CPU, Forecast(CPU)),
        ),
        measured=measured(0.02, 0.005),
    ),
    Row(
        name="onnxruntime:cuda",
        version="onnxruntime 1.32.0",
        device=CUDA,
        verdict=verdict("onnxruntime:cuda", 2.5),
        importing=900,
        loading=410,
        memory=1210,
        nodes=(
            node("hours", "LSTM", CPU, Forecast(CPU, "cuDNN has LSTM with sigmoid, tanh, tanh")),
            node("forecast", "Gemm", CUDA),
        ),
        measured=measured(0.4, 0.001),
    ),
    Row(
        name="torch:cpu",
        version="PyTorch 2.13.0",
        device="cpu",
        verdict=verdict("torch:cpu", 0.9),
        importing=2900,
        loading=14.2,
        memory=253,
        measured=measured(0.021, 0.005),
    ),
    Row(
        name="onnxruntime:openvino",
        failure="onnxruntime has no OpenVINOExecutionProvider here",
        help="onnxruntime-openvino brings it",
    ),
)

TIMINGS = Timings(
    model="model.keras",
    sha256="9f2c41d0" * 8,
    form="Keras archive (.keras)",
    parameters=4321,
    machine=Machine(
        processor="AMD EPYC", cores=2, memory=25.3, system="Linux 6.1", python="3.11.7"
    ),
    threads=1,
    rounds=10,
    grid=tuple(Point(batch=batch, time=time, shapes=((batch, time, 5),)) for batch, time in PLACES),
    rows=ROWS,
    drawing=(
        Part(name="measurements", words="input", shape="(batch, time, 5)"),
        Part(
            name="hours",
            words="LSTM(16, return_sequences)",
            shape="(batch, time, 16)",
            inputs=("measurements",),
            recurrent=True,
        ),
        Part(
            name="both",
            words="Concatenate(axis=2)",
            shape="(batch, time, 21)",
            inputs=("measurements", "hours"),
        ),
        Part(name="forecast", words="Dense(1)", shape="(batch, 1)", inputs=("both",)),
    ),
)
