"""What a comparison tries to run: each runtime on each device."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from converter.compare import RUNTIMES
from converter.compare.providers import PROVIDERS, provider_names
from converter.errors import UsageError

PathName = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime on a device.

    Attributes:
        runtime: Of `RUNTIMES`.
        device: As it is typed: "cuda".
        forms: Of what it runs, the second where the first cannot be opened.
        module: In `converter.runtimes`, or "keras".
        python: The interpreter that has it; None for this one.
    """

    runtime: str
    device: str
    forms: tuple[str, ...]
    module: str
    python: PathName | None = None

    @property
    def name(self) -> str:
        """Of the row: "onnxruntime:cuda"."""
        return f"{self.runtime}:{self.device}"

    @property
    def compiled(self) -> bool:
        """Whether it runs under `torch.compile`."""
        return self.runtime == "torch-compiled"

    @property
    def request(self) -> dict[str, object]:
        """What a worker must know to open it."""
        provider = PROVIDERS[self.device].name if self.module == "onnxruntime" else self.device
        return {"runtime": self.module, "device": provider, "compiled": self.compiled}

    @property
    def help(self) -> str:
        """What to do where it is not there."""
        if self.module == "keras":
            return 'pip install "ifco[keras]", or give another --keras-python'
        if self.compiled and self.device == "cpu":
            return 'pip install "ifco[torch]"; torch.compile needs a C++ compiler as well'
        if self.module == "torch":
            cuda = "a build of torch for CUDA, and an NVIDIA GPU"
            return cuda if self.device == "cuda" else 'pip install "ifco[torch]"'
        row = PROVIDERS[self.device]
        if self.device == "cpu":
            return 'pip install "ifco[runtime]"'
        needs = f"; it needs {row.needs}" if row.needs else ""
        return f"{row.package} brings it{needs} (--python {self.device}=/path/to/python)"


def candidates(
    runtimes: Sequence[str],
    providers: Sequence[str] | None,
    python: Mapping[str, PathName],
    keras_python: PathName | None,
) -> tuple[Candidate, ...]:
    """Those that are asked for, in order.

    Args:
        runtimes: Of `RUNTIMES`.
        providers: Of `PROVIDERS`; None for those that onnxruntime has here.
        python: For some providers another interpreter.
        keras_python: Likewise for Keras.

    Raises:
        UsageError: There is no such runtime or provider.
    """
    _check("runtime", runtimes, RUNTIMES)
    _check("provider", [*(providers or ()), *python], tuple(PROVIDERS))
    found: list[Candidate] = []
    for runtime in dict.fromkeys(runtimes):
        if runtime == "onnxruntime":
            asked = _here() if providers is None else providers
            found += [
                Candidate(runtime, name, ("onnx",), "onnxruntime", python.get(name))
                for name in dict.fromkeys([*asked, *python])
            ]
        elif runtime == "keras":
            found.append(Candidate(runtime, "cpu", ("source", "keras"), "keras", keras_python))
        else:
            cuda = "cuda" in (providers or ()) or shutil.which("nvidia-smi") is not None
            devices = ("cpu", "cuda") if cuda else ("cpu",)
            found += [Candidate(runtime, device, ("pytorch",), "torch") for device in devices]
    return tuple(found)


def _here() -> tuple[str, ...]:
    """The providers of the onnxruntime that is installed."""
    if find_spec("onnxruntime") is None:
        return ("cpu",)
    from converter.runtimes.onnxruntime import available

    return provider_names(available())


def _check(kind: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(
                f"there is no {kind} '{name}'",
                context=f"{kind}s: {', '.join(known)}",
                hint="ifco compare --help",
                code=f"unknown-{kind}",
            )
