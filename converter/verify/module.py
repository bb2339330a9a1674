"""A second opinion: the module that a model was read from, on the inputs of the verification.

The judge decides what an artefact should answer, and it knows the model that was read. That this
is what the module computes, the module itself says.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from converter.description import Model, WithinLength
from converter.gates import Array
from converter.runtimes import ArtefactFailure
from converter.verify.comparison import compare
from converter.verify.inputs import Case, cases
from converter.verify.verdict import Status, Verdict

if TYPE_CHECKING:
    from converter.readers.torch import TorchModule


def with_original(
    verdict: Verdict, model: Model, module: TorchModule, example_inputs: object
) -> Verdict:
    """A verdict that also holds the module against the model that was read from it.

    Args:
        verdict: On an artefact.
        model: What was read.
        module: What it was read from; a copy of it runs, on the CPU and in eval mode.
        example_inputs: As for `converter.read`.
    """
    from converter.readers.torch.exported.flat import Flat
    from converter.runtimes import torch
    from converter.verify import decide

    if verdict.status is not Status.EQUAL:
        return verdict
    flat = Flat(copy.deepcopy(module), example_inputs).cpu().eval()  # type: ignore[arg-type]

    def answers(arrays: Sequence[Array]) -> Sequence[Array]:
        return torch.run(flat, arrays)

    try:
        compared = compare(model, [_longest_first(model, one) for one in cases(model)], answers)
    except ArtefactFailure as error:
        reason = f"the module that was read fails on inputs that the model takes: {error}"
        return replace(verdict, status=Status.DIFFERS, reason=reason)
    own = [replace(one, case=f"{one.case}, the module that was read") for one in compared]
    decided = decide(replace(verdict, comparisons=(*verdict.comparisons, *own)))
    if decided.status is not Status.EQUAL:
        return decided
    return replace(decided, reason=f"{verdict.reason}; so are those of the module that was read")


def _longest_first(model: Model, case: Case) -> Case:
    """The case with its lengths in order, as `pack_padded_sequence` may ask for them."""
    lengths = {call.inputs[1].name for call in model.calls if isinstance(call.layer, WithinLength)}
    arrays = tuple(
        np.sort(array)[::-1] if value.name in lengths else array
        for value, array in zip(model.inputs, case.arrays, strict=True)
    )
    return replace(case, arrays=arrays)
