"""PyTorch: loads what `convert` wrote, and runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from converter.dtypes import numpy_dtype
from converter.errors import FormatError, ReadError, UsageError
from converter.gates import Array
from converter.runtimes import ArtefactFailure


def find(folder: Path) -> Path:
    """The model.py of a folder.

    Raises:
        FormatError: There is none.
    """
    path = folder / "model.py"
    if not path.is_file():
        raise FormatError(
            f"{folder} holds no PyTorch model",
            context="no model.py in it" if folder.is_dir() else "it is not a folder",
            hint="name the folder that `ifco convert --to pytorch` wrote",
            code="no-model-py",
        )
    return path


def load(folder: Path) -> nn.Module:
    """The module of a folder with model.py and model.safetensors. It executes model.py.

    Raises:
        ReadError: The file cannot be executed, or the weights are not those of its module.
    """
    path = find(folder)
    module = ModuleType("ifco_generated_model")
    module.__file__ = str(path)
    try:
        exec(compile(path.read_bytes(), path, "exec", dont_inherit=True), module.__dict__)
        loaded = module.load(folder / "model.safetensors")
    except (Exception, SystemExit) as error:  # what a model.py raises can be anything
        raise ReadError(
            f"{path} cannot be loaded",
            context=in_one_line(error),
            hint="convert again, or run it by hand: python -c 'import model; model.load()'",
            code="model-py-fails",
        ) from error
    if not isinstance(loaded, nn.Module):
        raise ReadError(
            f"{path} cannot be loaded",
            context=f"its load() gives {type(loaded).__name__}; expected an nn.Module",
            hint="convert again",
            code="model-py-fails",
        )
    return loaded


def run(module: nn.Module, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs for some inputs, each in its own dtype.

    Raises:
        ArtefactFailure: The module does not take them, or gives no tensors.
    """
    given = [as_tensor(array) for array in inputs]
    try:
        with torch.inference_mode():
            outputs = module(*given)
        results = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(as_array(result) for result in results)
    except Exception as error:
        raise ArtefactFailure(in_one_line(error)) from error


def as_tensor(array: Array) -> torch.Tensor:
    """An array in its own dtype; NumPy and PyTorch have no bfloat16 in common but its bits."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def as_array(tensor: torch.Tensor) -> Array:
    """A tensor in its own dtype."""
    if getattr(tensor, "dtype", None) is torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(numpy_dtype("bfloat16"))
    array: Array = tensor.numpy()
    return array


class Engine:
    """A module on a device, for a comparison of runtimes."""

    def __init__(self, module: nn.Module, device: str, name: str) -> None:
        self._module = module
        self._device = torch.device(device)
        self.name = name
        cuda = self._device.type == "cuda"
        self.device = torch.cuda.get_device_name(self._device) if cuda else device

    def place(self, inputs: Sequence[Array]) -> list[torch.Tensor]:
        """The inputs on the device."""
        return [as_tensor(array).to(self._device) for array in inputs]

    def execute(self, placed: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Run, and wait until it is done."""
        with torch.inference_mode():
            outputs = self._module(*placed)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def fetch(self, outputs: Sequence[torch.Tensor]) -> tuple[Array, ...]:
        """The outputs in memory."""
        return tuple(as_array(output.cpu()) for output in outputs)


def engine(request: Mapping[str, Any]) -> Engine:
    """The folder, the device and the way of running that a comparison asks for.

    Raises:
        UsageError: There is no such device.
    """
    torch.set_num_threads(request["threads"])
    if request["device"] == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "PyTorch has no CUDA device here",
            context=f"torch {torch.__version__}",
            hint="install the build of torch for CUDA, and NVIDIA's driver",
            code="no-device",
        )
    module = load(Path(request["path"])).to(request["device"])
    name = f"PyTorch {torch.__version__}"
    if not request["compiled"]:
        return Engine(module, request["device"], name)
    module.compile()
    return Engine(module, request["device"], f"{name}, compiled")


def in_one_line(error: BaseException) -> str:
    """What was raised, and what it says; PyTorch's own messages have several lines."""
    return " ".join(f"{type(error).__name__}: {error}".split())
