"""PyTorch: loads what `convert` wrote, and runs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import torch
from torch import nn

from converter.errors import FormatError, ReadError
from converter.gates import Array
from converter.runtimes import ArtefactFailure


def load(folder: Path) -> nn.Module:
    """The module of a folder with model.py and model.safetensors. It executes model.py.

    Raises:
        ReadError: The file cannot be executed, or the weights are not those of its module.
    """
    path = folder / "model.py"
    spec = spec_from_file_location("ifco_generated_model", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FormatError(
            f"{folder} holds no PyTorch model",
            context="no model.py in it" if folder.is_dir() else "it is not a folder",
            hint="name the folder that `ifco convert --to pytorch` wrote",
            code="no-model-py",
        )
    module = module_from_spec(spec)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
        loaded = module.load(folder / "model.safetensors")
    except (Exception, SystemExit) as error:  # what a model.py raises can be anything
        raise ReadError(
            f"{path} cannot be loaded",
            context=f"{type(error).__name__}: {error}",
            hint="convert again, or run it by hand: python -c 'import model; model.load()'",
            code="model-py-fails",
        ) from error
    finally:
        sys.dont_write_bytecode = bytecode
    if not isinstance(loaded, nn.Module):
        raise ReadError(
            f"{path} cannot be loaded",
            context=f"its load() gives {type(loaded).__name__}; expected an nn.Module",
            hint="convert again",
            code="model-py-fails",
        )
    return loaded


def run(module: nn.Module, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs for some inputs, floats as float32.

    Raises:
        ArtefactFailure: The module does not take them, or gives no tensors.
    """
    given = [
        torch.from_numpy(array.astype(np.float32) if array.dtype.kind == "f" else array.copy())
        for array in inputs
    ]
    try:
        with torch.inference_mode():
            outputs = module(*given)
        results = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(result.numpy() for result in results)
    except Exception as error:
        raise ArtefactFailure(f"{type(error).__name__}: {error}") from error
