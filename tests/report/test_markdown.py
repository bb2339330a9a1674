from __future__ import annotations

from dataclasses import replace

from converter.report.markdown import as_markdown
from tests.report.timings import TIMINGS

HEAD = """\
**equal**: model.keras is the same model in onnxruntime:cpu, onnxruntime:cuda, torch:cpu

- onnxruntime:cuda: recurrent layers fell back to the CPU: hours
"""

RUNTIMES = """
| runtime | version | verdict | largest error | import | load | memory |
| --- | --- | --- | --- | --- | --- | --- |
| onnxruntime:cpu | onnxruntime 1.32.0 | equal | 3.5 ulp | 297 ms | 13.1 ms | 63 MB |
| onnxruntime:cuda | onnxruntime 1.32.0 | equal | 2.5 ulp | 900 ms | 410 ms | 1210 MB |
| torch:cpu | PyTorch 2.13.0 | equal | 0.9 ulp | 2900 ms | 14.2 ms | 253 MB |
- onnxruntime:openvino did not run: onnxruntime has no OpenVINOExecutionProvider here \
(onnxruntime-openvino brings it)
- onnxruntime:cpu: nodes: 2 on CPU
- onnxruntime:cuda: nodes: 1 on CPU, 1 on CUDA
  - **hours** (LSTM) ran on CPUExecutionProvider: cuDNN has LSTM with sigmoid, tanh, tanh

batch 1, time 1:

| runtime | median | quartiles | p99 | copies | sequences/s | calls |
| --- | --- | --- | --- | --- | --- | --- |
| onnxruntime:cpu | 0.0253 ms | 0.0228 to 0.0304 ms | 0.0759 ms | 0.01 ms | 39,506 | 250 |
"""


def test_a_comparison_is_tables() -> None:
    text = as_markdown(TIMINGS)
    assert text.startswith(HEAD)
    assert RUNTIMES in text


def test_a_name_is_nothing_but_text() -> None:
    text = as_markdown(replace(TIMINGS, model="a|b<script>"))
    assert text.startswith("**equal**: a\\|b\\<script\\> is the same")
