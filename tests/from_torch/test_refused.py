"""What no layer says is refused, with the line of the user's forward, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import converter
from tests.from_torch.forwards import Written

X = torch.zeros(2, 7, 3)


def fft(m: Any, x: Tensor) -> Tensor:
    y = m.rnn(x)[0]
    return torch.fft.rfft(y, dim=1).abs()


def by_numbers(m: Any, x: Tensor) -> Tensor:
    if x.sum() > 0:
        return m.rnn(x)[0]
    return x


def longest(m: Any, x: Tensor, lengths: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(m.rnn(packed)[0], batch_first=True)[0]


def gathered(m: Any, x: Tensor, index: Tensor) -> Tensor:
    y = m.rnn(x)[0]
    return y[torch.arange(len(y)), index]


def part_in_place(m: Any, x: Tensor) -> Tensor:
    y = m.rnn(x)[0]
    y[:, 0] = 0
    return y


def into_the_input(m: Any, x: Tensor) -> Tensor:
    return x.add_(1)


def both_free(m: Any, x: Tensor) -> Tensor:
    y = m.rnn(x)[0]
    return y.reshape(y.size(1), y.size(0), 4)


def counted(m: Any, x: Tensor) -> Tensor:
    m.count = m.count + 1
    return x + m.count


def normed(m: Any, tokens: Tensor) -> Tensor:
    return m.words(tokens)


def pooled(m: Any, x: Tensor) -> Tensor:
    return F.avg_pool1d(x, 3, padding=1)


def hidden(m: Any, x: Tensor) -> Tensor:
    return m.rnn(x)[1][0][-1]


def masked(m: Any, x: Tensor) -> Tensor:
    return m.attend(x, x, x, key_padding_mask=x[:, :, 0] > 0)[0]


def learned(m: Any, x: Tensor) -> Tensor:
    return F.linear(x, m.rnn.weight_ih_l0 * 2)


def looped(m: Any, x: Tensor) -> Tensor:
    h = x.new_zeros(x.size(0), 4)
    for step in x.unbind(1):
        h = m.cell(step, h)
    return h


def learned_state(m: Any, x: Tensor) -> Tensor:
    return m.rnn(x, (m.count[None, None].expand(1, x.size(0), 3),) * 2)[0]


class Counting(Written):
    """What it runs is called forward, since torch.export keeps the lines of such alone."""

    def __init__(self, forward: Callable[..., Any], parts: dict[str, nn.Module]) -> None:
        forward.__code__ = forward.__code__.replace(co_name="forward")  # type: ignore[attr-defined]
        super().__init__(forward, parts)
        self.register_buffer("count", torch.zeros(3))


def rnn(**options: Any) -> dict[str, nn.Module]:
    return {"rnn": nn.LSTM(3, 4, **{"batch_first": True, **options})}


REFUSED: list[tuple[Callable[..., Any], dict[str, nn.Module], tuple[Tensor, ...], str, str]] = [
    (fft, rnn(), (X,), "torch-operation", "return torch.fft.rfft(y, dim=1).abs()"),
    (by_numbers, rnn(), (X,), "not-traceable", "if x.sum() > 0:"),
    (
        longest,
        rnn(),
        (X, torch.tensor([3, 7])),
        "total-length",
        "return pad_packed_sequence(m.rnn(packed)[0], batch_first=True)[0]",
    ),
    (
        gathered,
        rnn(),
        (X, torch.tensor([3, 6])),
        "gather",
        "return y[torch.arange(len(y)), index]",
    ),
    (part_in_place, rnn(), (X,), "torch-operation", "y[:, 0] = 0"),
    (both_free, rnn(), (X,), "free-axes", "return y.reshape(y.size(1), y.size(0), 4)"),
    (counted, {}, (X,), "kept-state", "m.count = m.count + 1"),
    (
        normed,
        {"words": nn.Embedding(9, 3, max_norm=1.0)},
        (torch.zeros(2, 7, dtype=torch.int64),),
        "max-norm",
        "return m.words(tokens)",
    ),
    (pooled, {}, (X,), "pooling", "return F.avg_pool1d(x, 3, padding=1)"),
    (hidden, rnn(proj_size=2), (X,), "proj-size", "return m.rnn(x)[1][0][-1]"),
    (
        masked,
        {"attend": nn.MultiheadAttention(3, 1, batch_first=True)},
        (X,),
        "attention",
        "return m.attend(x, x, x, key_padding_mask=x[:, :, 0] > 0)[0]",
    ),
    (looped, {"cell": nn.GRUCell(3, 4)}, (X,), "cell-loop", "h = m.cell(step, h)"),
    (
        learned_state,
        {"rnn": nn.LSTM(3, 3, batch_first=True)},
        (X,),
        "repeat",
        "return m.rnn(x, (m.count[None, None].expand(1, x.size(0), 3),) * 2)[0]",
    ),
    (learned, rnn(), (X,), "computed-weight", "return F.linear(x, m.rnn.weight_ih_l0 * 2)"),
]


@pytest.mark.parametrize(
    ("forward", "parts", "example", "code", "line"),
    REFUSED,
    ids=[forward.__name__ for forward, *_ in REFUSED],
)
def test_what_no_layer_says_is_refused_with_its_line(
    forward: Callable[..., Any],
    parts: dict[str, nn.Module],
    example: tuple[Tensor, ...],
    code: str,
    line: str,
) -> None:
    module = Counting(forward, parts)
    with pytest.raises(converter.ConverterError) as caught:
        converter.read(module, example)
    assert caught.value.code == code
    place = re.search(r"test_refused\.py:(\d+): ", caught.value.message)
    assert place is not None
    source = forward.__code__
    assert int(place[1]) in {number for *_, number in source.co_lines()}
    assert caught.value.message.endswith(line)


def test_the_whole_text_of_a_refusal() -> None:
    with pytest.raises(converter.UnsupportedError) as caught:
        converter.read(Counting(fft, rnn()), X)
    line = fft.__code__.co_firstlineno + 2
    assert str(caught.value) == (
        f"error[torch-operation]: no layer says tests/from_torch/test_refused.py:{line}: "
        "return torch.fft.rfft(y, dim=1).abs()\n"
        "  found: aten.fft_rfft, which is not among the operations that are read\n"
        "  help:  write it with the operations in docs/from-pytorch.md"
    )


def test_a_module_that_writes_into_its_input_is_refused() -> None:
    with pytest.raises(converter.UnsupportedError, match=r"error\[input-changed\]"):
        converter.read(Written(into_the_input, {}), X)


def test_inputs_that_forward_does_not_take_are_refused() -> None:
    with pytest.raises(converter.UsageError, match=r"error\[example-inputs\]"):
        converter.read(nn.Linear(3, 2), (X, X))


def test_a_module_without_example_inputs_is_refused() -> None:
    with pytest.raises(converter.UsageError, match=r"error\[example-inputs\]"):
        converter.read(nn.Linear(3, 2))


def test_a_module_with_an_architecture_is_refused() -> None:
    with pytest.raises(converter.UsageError, match=r"error\[two-architectures\]"):
        converter.read(nn.Linear(3, 2), X, arch={})
