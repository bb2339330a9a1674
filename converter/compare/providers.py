"""The execution providers of onnxruntime: their names, what brings each, what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RECURRENT = ("LSTM", "GRU", "RNN", "Scan")
"""Nodes that go through the steps of a sequence."""

CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of `PROVIDERS`.

    Attributes:
        name: As onnxruntime calls it.
        package: The package that brings it.
        needs: What else it needs.
    """

    name: str
    package: str
    needs: str = ""


PROVIDERS: Mapping[str, Provider] = {
    "cpu": Provider(CPU, "onnxruntime"),
    "cuda": Provider("CUDAExecutionProvider", "onnxruntime-gpu", "an NVIDIA GPU, CUDA and cuDNN"),
    "tensorrt": Provider(
        "TensorrtExecutionProvider", "onnxruntime-gpu", "an NVIDIA GPU, CUDA and TensorRT"
    ),
    "openvino": Provider("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "directml": Provider("DmlExecutionProvider", "onnxruntime-directml", "Windows and a GPU"),
    "coreml": Provider("CoreMLExecutionProvider", "onnxruntime", "macOS"),
    "qnn": Provider("QNNExecutionProvider", "onnxruntime-qnn", "a Qualcomm processor"),
    "rocm": Provider("ROCMExecutionProvider", "onnxruntime-rocm", "an AMD GPU"),
    "migraphx": Provider("MIGraphXExecutionProvider", "onnxruntime-migraphx", "an AMD GPU"),
    "dnnl": Provider("DnnlExecutionProvider", "a build of onnxruntime with oneDNN"),
    "xnnpack": Provider("XnnpackExecutionProvider", "a build of onnxruntime with XNNPACK"),
}
"""By the name that is typed. A provider that runs elsewhere (Azure) is none of these."""


def provider_names(available: tuple[str, ...]) -> tuple[str, ...]:
    """As they are typed, those of some that are known."""
    return tuple(name for name, one in PROVIDERS.items() if one.name in available)


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node as it is written.

    Attributes:
        activations: Of a recurrent node, in order; () where it has the usual ones.
        parameters: Whether it gives alpha or beta of one of them.
        reset_after: `linear_before_reset`, of a GRU.
        both: Whether it has two directions.
    """

    name: str
    kind: str
    activations: tuple[str, ...] = ()
    parameters: bool = False
    reset_after: bool = False
    both: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where a node is expected to run.

    Attributes:
        provider: As onnxruntime calls it.
        reason: Why not where it was asked to; "" if it is.
    """

    provider: str
    reason: str = ""


# What cuDNN's recurrent kernels are used for; any other node is left to the CPU, with a line in
# the log alone: RNNNeedFallbackToCPU in onnxruntime/core/providers/cuda/cuda_execution_provider.cc.
# A GRU that does not say `linear_before_reset` is taken there and computed as if it were 1.
CUDA_ACTIVATIONS = {
    "LSTM": ("sigmoid", "tanh", "tanh"),
    "GRU": ("sigmoid", "tanh"),
    "RNN": ("tanh",),
}


# Recurrent nodes that a provider lists. Read in: docs/operators.md of onnx-tensorrt; in onnxruntime
# openvino/ov_versions/data_ops.cc, dml/DmlExecutionProvider/src/Operators/OperatorRegistration.cpp,
# coreml/builders/op_builder_factory.cc. What a list does not say, such as an activation that
# OpenVINO lacks, shows when it runs.
LISTED: Mapping[str, frozenset[str]] = {
    "tensorrt": frozenset({"LSTM", "GRU", "RNN", "Scan"}),
    "openvino": frozenset({"LSTM", "GRU", "RNN"}),
    "directml": frozenset({"LSTM", "GRU", "RNN"}),
    "coreml": frozenset(),
}


def forecast(node: GraphNode, provider: str) -> Forecast | None:
    """Where a recurrent node will run; None where nothing is known before.

    Args:
        node: As it is written.
        provider: Which is asked for: "cuda".
    """
    asked = PROVIDERS[provider].name
    if provider == "cpu":
        return Forecast(asked)
    if provider in LISTED and node.kind in RECURRENT:
        return _listed(node, provider)
    if provider != "cuda" or node.kind not in CUDA_ACTIVATIONS:
        return None
    usual = CUDA_ACTIVATIONS[node.kind]
    given = tuple(one.lower() for one in node.activations)
    if given and given != usual * (len(given) // len(usual)):
        return Forecast(CPU, f"cuDNN has {node.kind} with {', '.join(usual)}, not {set_of(given)}")
    if node.parameters:
        return Forecast(CPU, "cuDNN has no activation with alpha or beta")
    if node.kind == "GRU" and not node.reset_after:
        return Forecast(CPU, "cuDNN has GRU with the reset after the product alone")
    return Forecast(asked)


def _listed(node: GraphNode, provider: str) -> Forecast:
    """By the list of its provider."""
    name = PROVIDERS[provider].name
    half = len(node.activations) // 2
    if node.kind not in LISTED[provider]:
        return Forecast(CPU, f"{name} does not list {node.kind}")
    if provider == "tensorrt" and node.both and node.activations[:half] != node.activations[half:]:
        return Forecast(CPU, "TensorRT has one set of activations for both directions")
    return Forecast(name)


def set_of(names: tuple[str, ...]) -> str:
    """Each of them once.

    >>> set_of(("relu", "relu"))
    'relu'
    """
    return ", ".join(dict.fromkeys(names))
