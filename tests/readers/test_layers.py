"""The other layers: what each config becomes, and which weights it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.activations import LINEAR, Activation
from converter.description import (
    BatchNormalization,
    Combine,
    Concatenate,
    Convolution,
    Dense,
    Dot,
    Dropout,
    Embedding,
    Flatten,
    GlobalPooling,
    Layer,
    LayerNormalization,
    Noise,
    Padding,
    Permute,
    Pool,
    Pooling,
    PReLU,
    RepeatVector,
    Reshape,
    TimeDistributed,
)
from converter.readers import read
from tests.readers.files import archive, called, counted, functional, given, layer, sequential

Error = Callable[[Callable[[], object]], str]
One = Callable[..., Layer]


def test_dense(one: One) -> None:
    dense = one("Dense", counted(3, 2), counted(2, start=9), units=2, activation="relu")
    assert isinstance(dense, Dense)
    assert np.array_equal(dense.kernel.read(), counted(3, 2))
    assert dense.bias is not None
    assert np.array_equal(dense.bias.read(), counted(2, start=9))
    assert dense.activation == Activation.of("relu")
    plain = one("Dense", counted(3, 2), units=2, use_bias=False)
    assert isinstance(plain, Dense)
    assert (plain.bias, plain.activation) == (None, LINEAR)


def test_embedding(one: One) -> None:
    embedding = one("Embedding", counted(5, 2), shape=(None, 7), input_dim=5, output_dim=2)
    assert isinstance(embedding, Embedding)
    assert (embedding.rows, embedding.units) == (5, 2)


@pytest.mark.parametrize(
    ("shared", "shape"), [(None, (4, 3)), ([1], (1, 3)), ([1, 2], (1, 1)), ([2], (4, 1))]
)
def test_prelu(shared: list[int] | None, shape: tuple[int, ...], one: One) -> None:
    prelu = one("PReLU", counted(*shape), shape=(None, 4, 3), shared_axes=shared)
    assert isinstance(prelu, PReLU)
    assert prelu.alpha.shape == shape


@pytest.mark.parametrize(
    ("kind", "settings", "noise", "rate"),
    [
        ("Dropout", {"rate": 0.2}, Noise.DROPOUT, 0.2),
        ("SpatialDropout1D", {"rate": 0.2}, Noise.SPATIAL, 0.2),
        ("AlphaDropout", {"rate": 0.2}, Noise.ALPHA, 0.2),
        ("GaussianDropout", {"rate": 0.2}, Noise.GAUSSIAN_DROPOUT, 0.2),
        ("GaussianNoise", {"stddev": 2.5}, Noise.GAUSSIAN_NOISE, 2.5),
    ],
)
def test_dropouts(kind: str, settings: dict[str, Any], noise: Noise, rate: float, one: One) -> None:
    dropout = one(kind, **settings)
    assert isinstance(dropout, Dropout)
    assert (dropout.noise, dropout.rate) == (noise, rate)


@pytest.mark.parametrize(("given_shape", "shape"), [(None, ()), ([None, 1, None], (None, 1, None))])
def test_the_shape_of_a_dropout(
    given_shape: object, shape: tuple[int | None, ...], one: One
) -> None:
    dropout = one("Dropout", rate=0.5, noise_shape=given_shape)
    assert isinstance(dropout, Dropout)
    assert dropout.noise_shape == shape


def test_time_distributed(one: One) -> None:
    found = one(
        "TimeDistributed",
        counted(3, 2),
        counted(2),
        inside="layer/",
        shape=(None, 4, 3),
        layer=layer("Dense", "inner", units=2),
    )
    assert isinstance(found, TimeDistributed)
    assert isinstance(found.layer, Dense)
    assert (found.name, found.layer.name) == ("it", "it/inner")


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        ("Conv1D", (None, None, 4), (3,)),
        ("Convolution1D", (None, None, 4), (3,)),
        ("Conv2D", (None, 8, 8, 4), (3, 2)),
        ("Conv3D", (None, 8, 8, 8, 4), (3, 2, 1)),
    ],
)
def test_convolutions(
    kind: str, shape: tuple[int | None, ...], size: tuple[int, ...], one: One
) -> None:
    rank = len(size)
    conv = one(
        kind,
        counted(*size, 2, 6),
        counted(6),
        shape=shape,
        filters=6,
        kernel_size=list(size),
        strides=2,
        padding="same",
        dilation_rate=[1] * rank,
        groups=2,
        activation="relu",
    )
    assert isinstance(conv, Convolution)
    assert (conv.rank, conv.size, conv.channels, conv.filters) == (rank, size, 4, 6)
    assert (conv.strides, conv.dilation, conv.groups) == ((2,) * rank, (1,) * rank, 2)
    assert (conv.padding, conv.channels_first) == (Padding.SAME, False)


def test_a_convolution_with_channels_first(one: One) -> None:
    settings = {"filters": 6, "kernel_size": 3, "use_bias": False, "data_format": "channels_first"}
    conv = one("Conv1D", counted(3, 4, 6), shape=(None, 4, 9), **settings)
    assert isinstance(conv, Convolution)
    assert (conv.channels_first, conv.bias) == (True, None)


def test_only_one_axis_has_a_cause(one: One, error_of: Error) -> None:
    settings = {"filters": 6, "kernel_size": 3, "use_bias": False, "padding": "causal"}
    assert one("Conv1D", counted(3, 4, 6), shape=(None, 9, 4), **settings)
    text = error_of(lambda: one("Conv2D", shape=(None, 9, 9, 4), **settings))
    assert text.startswith(
        "error[config]: padding of layer 'it' of model is not as Keras writes it"
    )


def test_groups_divide_the_channels(one: One, error_of: Error) -> None:
    assert error_of(lambda: one("Conv1D", filters=6, kernel_size=3, groups=2)) == (
        "error[config]: layer 'it' of model has channels that its groups do not divide\n"
        "  found: 3 channels to 6 filters in 2 groups\n"
        "  help:  the file may be damaged; save the model again"
    )


@pytest.mark.parametrize("size", [[3, 3], [], [0], 0, -1, "3", None, [3.0], True])
def test_a_window_has_a_size_for_each_axis(size: object, one: One, error_of: Error) -> None:
    text = error_of(lambda: one("Conv1D", filters=6, kernel_size=size))
    assert text.startswith("error[config]: kernel_size of layer 'it' of model is not as Keras")
    assert "expected 1 positive whole numbers\n" in text


@pytest.mark.parametrize(
    ("kind", "pool"),
    [
        ("MaxPooling1D", Pool.MAX),
        ("MaxPool1D", Pool.MAX),
        ("AveragePooling1D", Pool.AVERAGE),
        ("AvgPool1D", Pool.AVERAGE),
    ],
)
def test_pooling(kind: str, pool: Pool, one: One) -> None:
    found = one(kind, shape=(None, 9, 3), pool_size=[3], strides=[2], padding="same")
    assert isinstance(found, Pooling)
    assert (found.pool, found.size, found.strides) == (pool, (3,), (2,))
    assert found.padding is Padding.SAME
    found = one(kind, shape=(None, 9, 3), pool_size=3, strides=None)
    assert isinstance(found, Pooling)
    assert found.strides == (3,)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("word", ["Max", "Average"])
def test_global_pooling(word: str, rank: int, one: One) -> None:
    shape = (None, *(5,) * rank, 3)
    found = one(f"Global{word}Pooling{rank}D", shape=shape, keepdims=True)
    assert isinstance(found, GlobalPooling)
    assert (found.rank, found.keepdims, found.pool.value) == (rank, True, word.lower())


def test_batch_normalization(one: One) -> None:
    weights = [counted(3, start=10 * k) for k in range(4)]
    found = one("BatchNormalization", *weights, axis=[2], momentum=0.9, epsilon=0.01)
    assert isinstance(found, BatchNormalization)
    assert (found.axes, found.momentum, found.epsilon) == ((2,), 0.9, 0.01)
    assert found.moving_variance.read()[0] == 30
    found = one("BatchNormalization", *weights[:3], axis=-1, scale=False)
    assert isinstance(found, BatchNormalization)
    assert found.gamma is None
    assert found.beta is not None
    assert (found.beta.read()[0], found.moving_variance.read()[0]) == (0, 20)


@pytest.mark.parametrize("axis", [0, 3, -3, -4, [1, 2], [], "1", None, True, [1.0]])
def test_a_batch_is_normalized_along_one_axis(axis: object, one: One, error_of: Error) -> None:
    text = error_of(lambda: one("BatchNormalization", axis=axis))
    assert text.startswith(("error[config]: axis of layer 'it'", "error[graph-shape]: layer 'it'"))


def test_renormalization_is_refused(one: One, error_of: Error) -> None:
    assert error_of(lambda: one("BatchNormalization", renorm=True)) == (
        "error[batch-renormalization]: renorm of layer 'it' of model is not read yet\n"
        "  found: renorm=true\n  help:  use a plain BatchNormalization and save the model again"
    )


def test_layer_normalization(one: One, error_of: Error) -> None:
    found = one("LayerNormalization", counted(4, 3), shape=(None, 4, 3), axis=[1, 2], center=False)
    assert isinstance(found, LayerNormalization)
    assert found.gamma is not None
    assert (found.axes, found.gamma.shape, found.beta) == ((1, 2), (4, 3), None)
    assert error_of(lambda: one("LayerNormalization", axis=[2, 1])).startswith(
        "error[config]: axis"
    )
    deviation = one("LayerNormalization", counted(3), rms_scaling=True, scale=False)
    assert isinstance(deviation, LayerNormalization)
    assert not deviation.centred
    assert (deviation.gamma is None, deviation.beta is None) == (False, True)


def joined(file: Path, kind: str, *shapes: tuple[int | None, ...], **settings: Any) -> Layer:
    """A layer of several inputs."""
    names = [f"x{k}" for k in range(len(shapes))]
    parts = [called(given(shape, name)) for name, shape in zip(names, shapes, strict=True)]
    config = functional([*parts, called(layer(kind, "it", **settings), names)], names, ["it"])
    (found,) = read(archive(file, config, {})).layers
    return found


@pytest.mark.parametrize("kind", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])
def test_combinations(kind: str, file: Path, error_of: Error) -> None:
    found = joined(file, kind, (None, 3), (None, 3))
    assert isinstance(found, Combine)
    assert found.combination.value == kind
    text = error_of(lambda: joined(file, kind, (None, 3), (None, 4)))
    assert text == (
        "error[graph-shape]: layer 'it' of model cannot take its input\n"
        "  found: axes of [3, 4] in one place\n"
        "  help:  the file may be damaged; save the model again"
    )


def test_concatenate(file: Path) -> None:
    found = joined(file, "Concatenate", (None, 2, 3), (None, 4, 3), axis=1)
    assert isinstance(found, Concatenate)
    assert found.axis == 1


@pytest.mark.parametrize(("axes", "expected"), [(1, (1, 1)), (-1, (2, 2)), ([2, 1], (2, 1))])
def test_dot(axes: object, expected: tuple[int, int], file: Path) -> None:
    found = joined(file, "Dot", (None, 3, 3), (None, 3, 3), axes=axes, normalize=True)
    assert isinstance(found, Dot)
    assert (found.axes, found.normalize) == (expected, True)


@pytest.mark.parametrize("axes", [[1], [1, 2, 3], None, "1", [1, None], 1.0])
def test_dot_has_one_axis_of_each(axes: object, file: Path, error_of: Error) -> None:
    text = error_of(lambda: joined(file, "Dot", (None, 3), (None, 3), axes=axes))
    assert text.startswith("error[config]: axes of layer 'it' of model is not as Keras writes it")


def test_shaping(one: One) -> None:
    assert one("Flatten", data_format="channels_first") == Flatten(name="it", channels_first=True)
    assert one("Reshape", shape=(None, 6), target_shape=[2, -1]) == Reshape(
        name="it", target=(2, -1)
    )
    assert one("Permute", dims=[2, 1]) == Permute(name="it", dims=(2, 1))
    assert one("RepeatVector", shape=(None, 3), n=4) == RepeatVector(name="it", n=4)


@pytest.mark.parametrize("target", [[-1, -1], [0, 3], [-2], None, "x", [1.0]])
def test_a_target_has_one_free_size(target: object, one: One, error_of: Error) -> None:
    text = error_of(lambda: one("Reshape", shape=(None, 6), target_shape=target))
    assert text.startswith("error[config]: target_shape of layer 'it' of model is not as Keras")


def test_weights_follow_the_counters_of_their_class(file: Path) -> None:
    config = sequential(
        given((None, 3)),
        layer("Dense", "dense_1", units=3, use_bias=False),
        layer("LeakyReLU", "dense"),
        layer("Dense", "dense_7", units=3, use_bias=False),
    )
    weights = {
        "layers/dense/vars/0": counted(3, 3),
        "layers/dense_1/vars/0": counted(3, 3, start=10),
    }
    model = read(archive(file, config, weights))
    assert model.layer("dense_1").weights["kernel"].read()[0, 0] == 1
    assert model.layer("dense_7").weights["kernel"].read()[0, 0] == 10
