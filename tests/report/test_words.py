from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from converter.activations import SIGMOID, Activation
from converter.description import (
    Activate,
    Attention,
    Combination,
    Combine,
    Concatenate,
    Convolution,
    Dot,
    Dropout,
    EinsumDense,
    Embedding,
    Flatten,
    GlobalPooling,
    Layer,
    Masked,
    MaskedSoftmax,
    MultiHeadAttention,
    Noise,
    Padding,
    Permute,
    Pool,
    Pooling,
    Projection,
    RepeatVector,
    Reshape,
    Scoring,
    TimeDistributed,
)
from converter.gates import Cell
from converter.report.words import layer_words, printable, shape_words
from tests.report.models import dense, recurrent, weight


def convolution(**settings: object) -> Convolution:
    plain = Convolution(
        name="c",
        kernel=weight(3, 4, 8),
        bias=None,
        strides=(1,),
        dilation=(1,),
        padding=Padding.VALID,
    )
    return replace(plain, **settings)


def attention(scoring: Scoring, **settings: object) -> Attention:
    plain = Attention(
        name="a",
        scoring=scoring,
        scale=None,
        factor=None,
        dropout=0.0,
        causal=False,
        return_scores=False,
    )
    return replace(plain, **settings)


def heads(value_dim: int = 3, key_heads: int = 2) -> MultiHeadAttention:
    def projection(*shape: int) -> Projection:
        return Projection(kernel=weight(*shape), bias=None)

    return MultiHeadAttention(
        name="m",
        query=projection(4, 2, 3),
        key=projection(4, key_heads, 3),
        value=projection(4, key_heads, value_dim),
        output=projection(2, value_dim, 4),
        axes=(1,),
        dropout=0.0,
        causal=False,
        masked=Masked.EQUAL,
        return_scores=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin(Layer):
    """A layer that nobody here knows."""


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (recurrent(units=4), "LSTM(4)"),
        (
            recurrent(Cell.GRU, layer={"return_sequences": True, "return_state": True}),
            "GRU(1, return_sequences, return_state)",
        ),
        (recurrent(layer={"stateful": True, "time_major": True}), "LSTM(1, stateful, time_major)"),
        (recurrent(Cell.RNN, go_backwards=True), "SimpleRNN(1, go_backwards)"),
        (recurrent(Cell.GRU_RESET_BEFORE, biases=0), "GRU(1, reset_after=False, use_bias=False)"),
        (
            recurrent(both=True, layer={"return_sequences": True}),
            "Bidirectional(LSTM(1), concat, return_sequences)",
        ),
        (dense(3, 2), "Dense(2)"),
        (replace(dense(3, 2, activation=SIGMOID), bias=None), "Dense(2, sigmoid, use_bias=False)"),
        (replace(dense(3, 2), trainable=False), "Dense(2), frozen"),
        (TimeDistributed(name="t", layer=dense(3, 2)), "TimeDistributed(Dense(2))"),
        (Embedding(name="e", embeddings=weight(10, 4)), "Embedding(10, 4)"),
        (
            Activate(name="a", activation=Activation.of("elu", alpha=0.5)),
            "Activation(elu(alpha=0.5))",
        ),
        (Dropout(name="d", noise=Noise.SPATIAL, rate=0.25), "SpatialDropout(0.25)"),
        (convolution(), "Conv1D(8, 3)"),
        (
            convolution(padding=Padding.CAUSAL, dilation=(2,), activation=Activation.of("relu")),
            "Conv1D(8, 3, causal, dilation=2, relu)",
        ),
        (
            convolution(
                kernel=weight(3, 5, 2, 8),
                strides=(2, 2),
                dilation=(1, 1),
                groups=2,
                channels_first=True,
            ),
            "Conv2D(8, 3x5, strides=2, groups=2, channels_first)",
        ),
        (
            Pooling(name="p", pool=Pool.MAX, size=(2,), strides=(1,), padding=Padding.SAME),
            "MaxPooling1D(2, strides=1, same)",
        ),
        (GlobalPooling(name="g", pool=Pool.AVERAGE, rank=2), "GlobalAveragePooling2D"),
        (Combine(name="c", combination=Combination.SUBTRACT), "Subtract"),
        (Concatenate(name="c", axis=-1), "Concatenate(axis=-1)"),
        (Dot(name="d", axes=(1, 2), normalize=True), "Dot(axes=(1, 2), normalize)"),
        (attention(Scoring.DOT), "Attention"),
        (
            attention(Scoring.CONCAT, scale=weight(), causal=True),
            "Attention(concat, use_scale, causal)",
        ),
        (attention(Scoring.ADDITIVE, return_scores=True), "AdditiveAttention(scores)"),
        (heads(), "MultiHeadAttention(heads=2, key_dim=3, use_bias=False)"),
        (heads(2), "MultiHeadAttention(heads=2, key_dim=3, value_dim=2, use_bias=False)"),
        (
            heads(key_heads=1),
            "GroupQueryAttention(heads=2, key_heads=1, key_dim=3, use_bias=False)",
        ),
        (
            MaskedSoftmax(name="s", softmax=Activation.of("softmax"), masked=Masked.ZERO),
            "Softmax(mask)",
        ),
        (
            EinsumDense(name="e", equation="ab,bc->ac", kernel=weight(2, 3), bias=None, sizes=(3,)),
            "EinsumDense(ab,bc->ac)",
        ),
        (Flatten(name="f"), "Flatten"),
        (Reshape(name="r", target=(-1, 4)), "Reshape((-1, 4))"),
        (Permute(name="p", dims=(2, 1)), "Permute(2, 1)"),
        (RepeatVector(name="r", n=7), "RepeatVector(7)"),
        (Plugin(name="p"), "Plugin"),
    ],
)
def test_a_layer_in_words(layer: Layer, words: str) -> None:
    assert layer_words(layer) == words


def test_a_shape_in_words() -> None:
    assert shape_words((None, None, 3)) == "(batch, time, 3)"
    assert shape_words((None,)) == "(batch,)"


@pytest.mark.parametrize("text", ["plain", "Zürich", "層"])
def test_what_can_be_printed_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb", r"a\nb"),
        ("\u202eabc", r"\u202eabc"),
        ("\udc80", r"\udc80"),
        ("\u200b", r"\u200b"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
