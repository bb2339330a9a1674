"""A convolutional LSTM taken apart: shapes, gates and counts in Keras's and in PyTorch's terms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.description import ConvDirection, ConvLSTM, Merge, Padding, Value
from converter.report.inspection import inspect
from converter.report.inspection_text import show_inspection
from converter.report.words import layer_words
from converter.targets.torch import to_torch
from tests.report.models import chain, weight
from tests.report.terminal import in_a_log


def direction(*size: int, **settings: object) -> ConvDirection:
    """Two channels, three filters."""
    once = (1,) * len(size)
    plain = ConvDirection(
        kernel=weight(4, *size, 2, 3),
        recurrent_kernel=weight(4, *size, 3, 3, start=1),
        bias=weight(1, 4, 3, start=2),
        strides=once,
        dilation=once,
        padding=Padding.VALID,
    )
    return replace(plain, **settings)


ONE = ConvLSTM(name="video", forward=direction(3, 3, padding=Padding.SAME))
BOTH = ConvLSTM(
    name="video",
    forward=direction(3, 2),
    backward=direction(3, 2, go_backwards=True),
    merge=Merge.CONCAT,
    return_sequences=True,
)
VIDEO = Value("x", (None, None, 8, 8, 2))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (ONE, "ConvLSTM2D(3, 3, same)"),
        (BOTH, "Bidirectional(ConvLSTM2D(3, 3x2), concat, return_sequences)"),
        (
            ConvLSTM(
                name="v",
                forward=direction(2, strides=(2,), dilation=(3,), bias=None, go_backwards=True),
                return_state=True,
                channels_first=True,
            ),
            "ConvLSTM1D(3, 2, strides=2, dilation=3, use_bias=False, channels_first, return_state, "
            "go_backwards)",
        ),
        (ConvLSTM(name="v", forward=direction(2, 2, 2)), "ConvLSTM3D(3, 2)"),
    ],
    ids=["same", "two directions", "every option", "three axes"],
)
def test_it_is_said_as_its_constructor(layer: ConvLSTM, words: str) -> None:
    assert layer_words(layer) == words


def test_it_is_taken_apart() -> None:
    text = in_a_log(lambda console: show_inspection(console, inspect(chain(VIDEO, ONE))))
    expected = [
        "video: ConvLSTM2D(3, 3x3), 2 channels a step",
        "  A step x has C = 2 channels at each place.",
        "    i  = sigmoid(conv(x, kernel_i) + conv(h, recurrent_kernel_i) + bias_i)",
        "  array         Keras                           PyTorch ConvLSTM",
        "  weights of x  kernel (3, 3, 2, 12)            input.weight (12, 2, 3, 3)",
        "  weights of h  recurrent_kernel (3, 3, 3, 12)  recurrent.weight (12, 3, 3, 3)",
        "  bias          bias (12,)                      input.bias (12,)",
        "  gates         i f c o in the last axis        i f c o in the first axis",
        "  Keras    4·3·3·C·F + 4·3·3·F·F + 4·F = 216 + 324 + 12 = 552",
        "  With one channel a step Keras counts 444; each further one adds 36·F = 108.",
        "  torch.nn has no convolutional LSTM: convert writes a class.",
    ]
    assert [line for line in expected if line not in text.splitlines()] == []


def test_two_directions_alike_are_one_section() -> None:
    text = in_a_log(lambda console: show_inspection(console, inspect(chain(VIDEO, BOTH))))
    lines = text.splitlines()
    assert "video: ConvLSTM2D(3, 3x2), forward and backward, 2 channels a step" in lines
    twice = next(line for line in lines if line.startswith("  twice"))
    assert twice.endswith("a module each, _forward and _backward")


@pytest.mark.parametrize("layer", [ONE, BOTH], ids=["one", "both"])
def test_the_arrays_and_counts_are_those_of_the_module(layer: ConvLSTM) -> None:
    found = inspect(chain(VIDEO, layer))
    module = to_torch(chain(VIDEO, layer))
    for name, child in module.named_children():
        (row,) = [row for row in found.recurrent if name.endswith(row.direction)]
        assert {array.name: array.shape for array in row.torch.arrays} == {
            key: tuple(tensor.shape) for key, tensor in child.state_dict().items()
        }
    counted = sum(parameter.numel() for parameter in module.parameters())
    assert found.torch_parameters == found.keras_parameters == counted
    assert counted == sum(row.torch.parameters for row in found.recurrent)
