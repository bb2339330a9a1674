from __future__ import annotations

from dataclasses import replace

from converter.compare.providers import CPU, Forecast
from converter.report.timings import show_timings
from converter.verify.verdict import Status
from tests.report.terminal import in_a_log, on_a_terminal
from tests.report.timings import CUDA, ROWS, TIMINGS, node

HEAD = """\
equal: model.keras is the same model in onnxruntime:cpu, onnxruntime:cuda, torch:cpu
  onnxruntime:cuda: recurrent layers fell back to the CPU: hours
  onnxruntime:cpu is fastest at batch 1, time 1; batch 1, time 20; batch 32, time 1; batch 32, \
time 20, not distinguished from torch:cpu
  onnxruntime:cuda is fastest at batch 1, time 100, not distinguished from onnxruntime:cpu, \
torch:cpu
  onnxruntime:cuda is fastest at batch 32, time 100
  onnxruntime:cuda is faster than onnxruntime:cpu from batch 32, time 100 on
  onnxruntime:cuda is faster than torch:cpu from batch 32, time 100 on

runtime           verdict    error   import     load   memory
onnxruntime:cpu   equal    3.5 ulp   297 ms  13.1 ms    63 MB
onnxruntime:cuda  equal    2.5 ulp   900 ms   410 ms  1210 MB
torch:cpu         equal    0.9 ulp  2900 ms  14.2 ms   253 MB
onnxruntime:openvino: onnxruntime has no OpenVINOExecutionProvider here
  help:  onnxruntime-openvino brings it
onnxruntime:cpu: nodes: 2 on CPU
onnxruntime:cuda: hours (LSTM) ran on CPUExecutionProvider
  cuDNN has LSTM with sigmoid, tanh, tanh
onnxruntime:cuda: nodes: 1 on CPU, 1 on CUDA

batch 1, time 1
                       median            quartiles        p99   copies  sequences/s  calls
  onnxruntime:cpu   0.0253 ms  0.0228 to 0.0304 ms  0.0759 ms  0.01 ms       39,506    250  \
among the fastest
  onnxruntime:cuda   0.401 ms    0.361 to 0.481 ms     1.2 ms  0.01 ms        2,493    250
  torch:cpu         0.0263 ms  0.0237 to 0.0316 ms  0.0789 ms  0.01 ms       38,005    250  \
among the fastest
"""

END = """\
AMD EPYC, 2 cores, 25.3 GB, Linux 6.1, Python 3.11.7; 1 thread each, 10 rounds in turns, a \
process a runtime, copies included
"""


def test_a_comparison_says_the_verdict_the_fastest_and_where_it_ran() -> None:
    shown = in_a_log(lambda console: show_timings(console, TIMINGS))
    assert shown.startswith(HEAD)
    assert shown.endswith(END)


def test_what_fell_back_is_red() -> None:
    shown = on_a_terminal(lambda console: show_timings(console, TIMINGS), 200)
    assert "\x1b[1;31monnxruntime:cuda: hours (LSTM) ran on CPUExecutionProvider" in shown


def test_a_runtime_that_differs_is_the_verdict_and_says_why() -> None:
    first = ROWS[0]
    assert first.verdict is not None
    wrong = replace(
        first, verdict=replace(first.verdict, status=Status.DIFFERS, reason="0.5 over it")
    )
    found = replace(TIMINGS, rows=(wrong, *ROWS[1:]))
    shown = in_a_log(lambda console: show_timings(console, found))
    assert shown.startswith(
        "differs: model.keras in onnxruntime:cpu\n  onnxruntime:cpu: 0.5 over it\n"
    )


def test_a_wrong_forecast_is_said() -> None:
    row = replace(ROWS[1], nodes=(node("hours", "LSTM", CUDA, Forecast(CPU, "because")),))
    shown = in_a_log(lambda console: show_timings(console, replace(TIMINGS, rows=(row,))))
    assert (
        "onnxruntime:cuda: hours (LSTM) was forecast on CPUExecutionProvider, "
        "ran on CUDAExecutionProvider\n"
    ) in shown


def test_nothing_that_ran_is_undecided() -> None:
    found = replace(TIMINGS, rows=ROWS[3:])
    assert found.status is Status.UNDECIDED
    shown = in_a_log(lambda console: show_timings(console, found))
    assert shown.startswith("undecided: model.keras ran in no runtime\n")
