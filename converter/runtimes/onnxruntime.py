"""onnxruntime: opens an ONNX file, runs it, and says where its nodes run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from converter.errors import ReadError, UsageError
from converter.gates import Array
from converter.metadata import STATES
from converter.runtimes import ArtefactFailure

CPU = "CPUExecutionProvider"

LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    **{f"tensor({name})": name for name in ("bool", "int8", "int16", "int32", "int64")},
    **{f"tensor({name})": name for name in ("uint8", "uint16", "uint32", "uint64")},
}


DEVICES = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}
"""Where a provider takes its inputs; in the memory of the host by default."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph that runs, after onnxruntime has rewritten it.

    Attributes:
        name: Of the node.
        kind: "LSTM".
        provider: Where it runs.
    """

    name: str
    kind: str
    provider: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A call whose inputs are where they are used.

    Attributes:
        binding: Of inputs and outputs.
        values: What the binding does not keep alive.
    """

    binding: onnxruntime.IOBinding
    values: list[tuple[str, onnxruntime.OrtValue]]


class Session:
    """An ONNX file that is open.

    A stateful model goes on where the run before it ended.

    Attributes:
        providers: Those that the session has, in the order in which they are asked.
        metadata: What the file says of itself.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
        self._pairs: list[tuple[str, str]] = json.loads(self.metadata.get(STATES, "[]"))
        kept = {given for given, _ in self._pairs}
        self._inputs = [one for one in session.get_inputs() if one.name not in kept]
        self._zeros = {
            one.name: np.zeros(one.shape, DTYPES[one.type])
            for one in session.get_inputs()
            if one.name in kept
        }
        following = {name for _, name in self._pairs}
        names = [one.name for one in session.get_outputs()]
        self._names = [name for name in names if name not in following]
        self._states = dict(self._zeros)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Their names in order, without those of states."""
        return tuple(one.name for one in self._inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Their names in order, without those of states."""
        return tuple(self._names)

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs for some inputs, each cast to what the file declares.

        Raises:
            ArtefactFailure: The file does not take them.
        """
        given = self._given(inputs)
        try:
            results = self._session.run(self._wanted, given)
        except Exception as error:  # onnxruntime's own classes have no common one
            raise ArtefactFailure(_in_one_line(error)) from error
        return self._kept(results)

    def place(self, inputs: Sequence[Array], device: str = "cpu") -> Placed:
        """Inputs on a device, and room for the outputs there."""
        values = [
            (name, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
            for name, array in self._given(inputs).items()
        ]
        binding = self._session.io_binding()
        for name, value in values:
            binding.bind_ortvalue_input(name, value)
        for name in self._wanted:
            binding.bind_output(name, device)
        return Placed(binding, values)

    def execute(self, placed: Placed) -> Placed:
        """Run, and wait until it is done."""
        self._session.run_with_iobinding(placed.binding)
        placed.binding.synchronize_outputs()
        return placed

    def fetch(self, placed: Placed) -> tuple[Array, ...]:
        """The outputs in memory."""
        return self._kept([value.numpy() for value in placed.binding.get_outputs()])

    @property
    def _wanted(self) -> list[str]:
        return [*self._names, *(name for _, name in self._pairs)]

    def _given(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Every input by its name, the states among them."""
        if len(inputs) != len(self._inputs):
            raise ArtefactFailure(f"it takes {len(self._inputs)} inputs, not {len(inputs)}")
        given = {
            one.name: np.ascontiguousarray(array, DTYPES[one.type])
            for one, array in zip(self._inputs, inputs, strict=True)
        }
        return {**given, **self._states}

    def _kept(self, results: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs, without the states, which are kept for the next call."""
        count = len(self._names)
        self._states = {
            given: result for (given, _), result in zip(self._pairs, results[count:], strict=True)
        }
        return tuple(results[:count])

    def reset_states(self) -> None:
        """Begin new sequences."""
        self._states = dict(self._zeros)

    def placement(self) -> tuple[Node, ...]:
        """Every node that runs and where, as the session reports it."""
        return tuple(
            Node(node.name, node.op_type, part.ep_name)
            for part in self._session.get_provider_graph_assignment_info()
            for node in part.get_nodes()
        )


def available() -> tuple[str, ...]:
    """The providers of the installed package."""
    return tuple(onnxruntime.get_available_providers())


def open(
    file: str | os.PathLike[str] | bytes,
    providers: Sequence[str] = (CPU,),
    *,
    threads: int | None = None,
    optimization: str = "all",
) -> Session:
    """Open an ONNX file.

    Args:
        file: Its path; what it holds, where nothing lies beside it.
        providers: In the order in which they are asked for each node; the CPU takes what is left.
        threads: For one node; by default as many as onnxruntime chooses.
        optimization: One of `LEVELS`.

    Raises:
        UsageError: A provider is not there.
        ReadError: onnxruntime does not load the file.
    """
    if missing := [one for one in providers if one not in available()]:
        raise UsageError(
            f"onnxruntime has no {missing[0]} here",
            context=f"onnxruntime {onnxruntime.__version__} has {', '.join(available())}",
            hint="install the package of onnxruntime that brings it",
            code="no-provider",
        )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[optimization]
    options.log_severity_level = 4  # an error is raised, too
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    given = file if isinstance(file, bytes) else str(Path(file))
    try:
        session = onnxruntime.InferenceSession(
            given, options, providers=[(one, _options(one, threads)) for one in providers]
        )
        return Session(session)
    except Exception as error:  # onnxruntime's own classes have no common one
        name = "the ONNX model" if isinstance(file, bytes) else str(file)
        raise ReadError(
            f"onnxruntime cannot load {name}",
            context=_in_one_line(error),
            hint="convert again; a file that lies beside it must stay there",
            code="onnx-not-loaded",
        ) from error


def quantize(path: Path, result: Path, leave: Sequence[str]) -> None:
    """Round the weights of an ONNX file to int8, by onnxruntime's own tool.

    Each column of a weight has a step of its own. What flows between the nodes is rounded to 8 bits
    when it runs.

    Args:
        path: The file.
        result: Where the other is written.
        leave: Nodes that stay as they are.
    """
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(
        path,
        result,
        op_types_to_quantize=["Conv", "Gather", "LSTM", "MatMul"],
        nodes_to_exclude=list(leave),
        per_channel=True,
    )


def _options(provider: str, threads: int | None) -> dict[str, str]:
    """What a provider is told that has threads of its own."""
    if provider != "OpenVINOExecutionProvider" or threads is None:
        return {}
    return {"load_config": json.dumps({"CPU": {"INFERENCE_NUM_THREADS": threads}})}


class Engine:
    """A session with one provider, for a comparison of runtimes."""

    def __init__(self, session: Session, provider: str) -> None:
        self._session = session
        self._place = DEVICES.get(provider, "cpu")
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.device = provider
        self.placed = [(node.name, node.kind, node.provider) for node in session.placement()]
        self.execute = session.execute
        self.fetch = session.fetch

    def place(self, inputs: Sequence[Array]) -> Placed:
        """The inputs where the provider takes them."""
        return self._session.place(inputs, self._place)


def engine(request: Mapping[str, Any]) -> Engine:
    """The file and the provider that a comparison asks for.

    Raises:
        UsageError: The provider is not there, or has not started: onnxruntime then falls back to
            the CPU.
    """
    provider = request["device"]
    session = open(request["path"], (provider,), threads=request["threads"])
    if provider not in session.providers:
        raise UsageError(
            f"{provider} did not start",
            context=f"onnxruntime fell back to {', '.join(session.providers)}",
            hint="look for its device, its driver and its libraries",
            code="no-provider",
        )
    return Engine(session, provider)


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
