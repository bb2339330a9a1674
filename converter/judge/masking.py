"""Where masks come from, and what is done to masks on their way."""

from __future__ import annotations

import numpy as np

from converter.description import AnyOf, EveryStep, JoinMasks, Masking, Unequal, WithinLength
from converter.gates import Array
from converter.judge.meaning import MEANINGS


@MEANINGS.register(Masking)
def _(layer: Masking, x: Array) -> tuple[Array, ...]:
    mask = (x != layer.mask_value).any(-1)
    return np.where(mask[..., np.newaxis], x, 0), mask


@MEANINGS.register(Unequal)
def _(layer: Unequal, x: Array) -> tuple[Array, ...]:
    return (x != layer.number,)


@MEANINGS.register(WithinLength)
def _(layer: WithinLength, x: Array, lengths: Array) -> tuple[Array, ...]:
    steps = np.arange(x.shape[0 if layer.time_major else 1])
    mask = steps < lengths[:, np.newaxis]
    return (mask.T if layer.time_major else mask,)


@MEANINGS.register(AnyOf)
def _(_layer: AnyOf, mask: Array) -> tuple[Array, ...]:
    found: Array = np.asarray(mask.any(-1))
    return (found,)


@MEANINGS.register(JoinMasks)
def _(layer: JoinMasks, *masks: Array) -> tuple[Array, ...]:
    stacked = np.stack(masks)
    mask: Array = np.asarray(stacked.all(0) if layer.every else stacked.any(0))
    return (mask,)


@MEANINGS.register(EveryStep)
def _(_layer: EveryStep, x: Array) -> tuple[Array, ...]:
    return (np.ones(x.shape[:-1], bool),)
