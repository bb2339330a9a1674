"""A module with the tensors of a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from converter.description import Stored
from converter.errors import WeightError
from converter.gates import Array
from converter.readers.torch.checkpoint import Checkpoint

PREFIXES = ("", "module.", "_orig_mod.", "model.", "net.")
"""What DataParallel, torch.compile and habit put before every name."""

SHOWN = 8
"""Tensors that an error lists."""


def with_state(module: nn.Module, checkpoint: Checkpoint) -> nn.Module:
    """A copy of the module with the one state of the checkpoint that has its names and shapes.

    Raises:
        WeightError: None has, or several have.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    states = _states(checkpoint.tensors)
    fitting = [
        {name: own[f"{prefix}{name}"] for name in wanted}
        for own in states.values()
        for prefix in PREFIXES
        if {name: stored.shape for name, stored in own.items()}
        == {f"{prefix}{name}": shape for name, shape in wanted.items()}
    ]
    if len(fitting) != 1:
        raise _not_one(wanted, states, len(fitting), checkpoint.path, type(module).__name__)
    made = copy.deepcopy(module)
    made.load_state_dict({name: _tensor(one.read()) for name, one in fitting[0].items()})
    return made


def _states(tensors: Mapping[str, Stored]) -> dict[str, dict[str, Stored]]:
    """The tensors of each container, by their names there."""
    found: dict[str, dict[str, Stored]] = {}
    for name, stored in tensors.items():
        container, _, own = name.rpartition("/")
        found.setdefault(container, {})[own] = stored
    return found


def _tensor(array: Array) -> torch.Tensor:
    """An array in its own dtype, bfloat16 by its bits."""
    plain = np.array(array, order="C")
    if plain.dtype.name == "bfloat16":
        return torch.from_numpy(plain.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(plain)


def _not_one(
    wanted: Mapping[str, tuple[int, ...]],
    states: Mapping[str, Mapping[str, Stored]],
    count: int,
    path: str,
    kind: str,
) -> WeightError:
    if count:
        return WeightError(
            f"{path} has the weights of {kind} several times",
            context=f"{count} containers of {', '.join(states)}",
            hint="save one of them alone: torch.save(checkpoint[...], path)",
            code="several-states",
        )
    shapes = [{name: one.shape for name, one in own.items()} for own in states.values()]
    nearest = max(shapes, key=lambda own: len(own.items() & wanted.items()), default={})
    here = sorted(f"{name} {shape}" for name, shape in wanted.items() - nearest.items())
    there = sorted(f"{name} {shape}" for name, shape in nearest.items() - wanted.items())
    return WeightError(
        f"the tensors of {path} are not those of {kind}",
        context=f"of the module: {_list(here)}; of the checkpoint: {_list(there)}",
        hint="ifco inspect shows the checkpoint; the module must be made with the same settings",
        code="other-modules",
    )


def _list(lines: list[str]) -> str:
    shown = ", ".join(lines[:SHOWN]) or "none"
    return shown + (", ..." if len(lines) > SHOWN else "")
