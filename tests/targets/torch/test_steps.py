"""Layers behind a TimeDistributed, whose steps stand in one axis with the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import converter
from converter.description import (
    BatchNormalization,
    Convolution,
    Dropout,
    Flatten,
    GlobalPooling,
    Layer,
    LayerNormalization,
    Noise,
    Padding,
    Permute,
    Pool,
    Pooling,
    Reshape,
    TimeDistributed,
    Weight,
)
from tests.targets.torch.by_hand import chain, weight

SHAPE = (None, 3, 4, 4, 2)
"""(batch, time, 4, 4, 2): images, three steps of them."""


def convolution(name: str, channels: int, filters: int, rank: int) -> Convolution:
    return Convolution(
        name=name,
        kernel=weight(*(1,) * rank, channels, filters),
        bias=weight(filters),
        strides=(1,) * rank,
        dilation=(1,) * rank,
        padding=Padding.VALID,
    )


def each_step() -> TimeDistributed:
    """Convolutions of images, after which the channels stand in front."""
    return TimeDistributed(name="steps", layer=convolution("steps/conv", 2, 5, 2))


def normalization(size: int, axis: int) -> BatchNormalization:
    return BatchNormalization(
        name="it",
        gamma=weight(size),
        beta=weight(size),
        moving_mean=weight(size),
        moving_variance=Weight.of(np.arange(1, size + 1, dtype=np.float32)),
        axes=(axis,),
        epsilon=1e-3,
        momentum=0.99,
    )


AFTER: dict[str, Layer] = {
    "flatten": Flatten(name="it"),
    "reshape": Reshape(name="it", target=(6, 40)),
    "permute": Permute(name="it", dims=(2, 1, 3, 4)),
    "convolution": convolution("it", 5, 2, 3),
    "pooling": Pooling(
        name="it", pool=Pool.AVERAGE, size=(2, 2, 2), strides=(1, 2, 2), padding=Padding.VALID
    ),
    "global pooling": GlobalPooling(name="it", pool=Pool.MAX, rank=3),
    "normalization of channels": normalization(5, 4),
    "normalization of steps": normalization(3, 1),
    "normalization of all": LayerNormalization(
        name="it", gamma=weight(4, 4, 5), beta=weight(4, 4, 5), axes=(2, 3, 4), epsilon=1e-3
    ),
    "dropout": Dropout(name="it", noise=Noise.SPATIAL, rate=0.5),
}


@pytest.mark.parametrize("name", AFTER)
def test_a_layer_behind_it_sees_the_steps_in_an_axis_of_their_own(name: str) -> None:
    model = chain(SHAPE, each_step(), AFTER[name])
    x = np.random.default_rng(1).normal(size=(2, *SHAPE[1:]))
    with torch.inference_mode():
        given = converter.to_torch(model).double()(torch.from_numpy(x)).numpy()
    expected = converter.judge(model, x)
    assert given.shape == expected.shape
    assert np.abs(given - expected).max() < 1e-12 * np.abs(expected).max()


def test_a_layer_that_took_batch_and_time_for_one_axis_would_show() -> None:
    model = chain(SHAPE, each_step(), AFTER["normalization of steps"])
    x = np.random.default_rng(1).normal(size=(3, *SHAPE[1:]))
    right, wrong = converter.judge(model, x), converter.judge(model, x.swapaxes(0, 1))
    assert np.abs(right - wrong.swapaxes(0, 1)).max() > 0.1


def test_channels_in_front_are_not_moved_twice() -> None:
    text = converter.to_torch_source(chain(SHAPE, each_step(), AFTER["convolution"]))
    assert "self.it(x.unflatten(0, (-1, 3)).transpose(1, 2))" in text
