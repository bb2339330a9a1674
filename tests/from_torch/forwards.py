"""Small modules: what people write around nn.LSTM, each with what it is in layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Forward = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A module.

    Attributes:
        parts: Its submodules, made anew for each test.
        forward: With the module as first argument.
        example: What goes in.
        layers: What it becomes: "name Class", in order.
        silent: Weights that change nothing that it gives.
    """

    parts: Callable[[], dict[str, nn.Module]]
    forward: Forward
    example: tuple[Any, ...]
    layers: tuple[str, ...]
    silent: tuple[str, ...] = ()

    def module(self) -> nn.Module:
        """With numbers of size 1, in float64."""
        torch.manual_seed(0)
        module = Written(self.forward, self.parts()).double()
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(torch.randn_like(tensor) * 0.5)
                if name.endswith("running_var"):
                    tensor.abs_().add_(0.5)
        return module.eval()


class Written(nn.Module):
    def __init__(self, forward: Forward, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *args: Any) -> Any:
        return self._forward(self, *args)


def sequence(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)


def words(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64)


X = (sequence(2, 7, 3),)
TIME_FIRST = (sequence(7, 2, 3),)


def lstm(**options: Any) -> Callable[[], dict[str, nn.Module]]:
    return lambda: {"rnn": nn.LSTM(3, 4, **{"batch_first": True, **options})}


def gru(**options: Any) -> Callable[[], dict[str, nn.Module]]:
    return lambda: {"rnn": nn.GRU(3, 4, **{"batch_first": True, **options})}


def rnn(**options: Any) -> Callable[[], dict[str, nn.Module]]:
    return lambda: {"rnn": nn.RNN(3, 4, **{"batch_first": True, **options})}


ONE = "rnn LSTM(4)"
WHOLE = "rnn LSTM(4, return_sequences)"
STATES = "rnn LSTM(4, return_state)"
BOTH = "rnn Bidirectional LSTM(4)"

RECURRENT: dict[str, Case] = {
    "the last step": Case(lstm(), lambda m, x: m.rnn(x)[0][:, -1], X, (ONE,)),
    "the last step, all features": Case(lstm(), lambda m, x: m.rnn(x)[0][:, -1, :], X, (ONE,)),
    "the last state": Case(lstm(), lambda m, x: m.rnn(x)[1][0][-1], X, (ONE,)),
    "the first state": Case(lstm(), lambda m, x: m.rnn(x)[1][0][0], X, (ONE,)),
    "the state, squeezed": Case(lstm(), lambda m, x: m.rnn(x)[1][0].squeeze(0), X, (ONE,)),
    "the sequence": Case(lstm(), lambda m, x: m.rnn(x)[0], X, (WHOLE,)),
    "the cell state": Case(lstm(), lambda m, x: m.rnn(x)[1][1][-1], X, (STATES,)),
    "no bias": Case(lstm(bias=False), lambda m, x: m.rnn(x)[0][:, -1], X, (ONE,)),
    "time first": Case(
        lstm(batch_first=False),
        lambda m, x: m.rnn(x)[0][-1],
        TIME_FIRST,
        ("args_0_transpose Transpose", ONE),
    ),
    "time first, transposed": Case(
        lstm(batch_first=False),
        lambda m, x: m.rnn(x.transpose(0, 1))[0].transpose(0, 1),
        X,
        (WHOLE,),
    ),
    "time first, permuted and back": Case(
        lstm(batch_first=False), lambda m, x: m.rnn(x.permute(1, 0, 2))[0][-1], X, (ONE,)
    ),
    "everything": Case(
        lstm(),
        lambda m, x: m.rnn(x),
        X,
        (
            "rnn LSTM(4, return_sequences, return_state)",
            "rnn_1_stack ExpandDims",
            "rnn_2_stack ExpandDims",
        ),
    ),
    "states in and out": Case(
        lstm(num_layers=2),
        lambda m, x, hx: m.rnn(x, hx)[1],
        (*X, (sequence(2, 2, 4), sequence(2, 2, 4))),
        (
            "args_1_0_0 Slice",
            "args_1_0_1 Slice",
            "args_1_1_0 Slice",
            "args_1_1_1 Slice",
            "rnn_l0 LSTM(4, return_sequences, return_state)",
            "rnn_l1 LSTM(4, return_state)",
            "rnn_l0_1_stack Stack",
            "rnn_l0_2_stack Stack",
        ),
    ),
    "a state of its own": Case(
        gru(),
        lambda m, x, h: m.rnn(x, h.unsqueeze(0))[0],
        (*X, sequence(2, 4)),
        ("rnn GRU(4, return_sequences)",),
    ),
    "zeros as states": Case(
        lstm(),
        lambda m, x: m.rnn(x, (x.new_zeros(1, x.size(0), 4), x.new_zeros(1, x.size(0), 4)))[0][
            :, -1
        ],
        X,
        (ONE,),
    ),
    "h alone": Case(
        lstm(),
        lambda m, x, h: m.rnn(x, (h[None], torch.zeros_like(h)[None]))[0][:, -1],
        (*X, sequence(2, 4)),
        ("zeros_like Elementwise", ONE),
    ),
    "two layers": Case(
        lstm(num_layers=2, dropout=0.25),
        lambda m, x: m.rnn(x)[0][:, -1],
        X,
        ("rnn_l0 LSTM(4, return_sequences)", "rnn_l0_dropout Dropout", "rnn_l1 LSTM(4)"),
    ),
    "the states of two layers": Case(
        gru(num_layers=2),
        lambda m, x: m.rnn(x)[1].permute(1, 0, 2).reshape(x.size(0), -1),
        X,
        (
            "rnn_l0 GRU(4, return_sequences, return_state)",
            "rnn_l1 GRU(4)",
            "reshape Concatenate",
        ),
    ),
    "both directions": Case(
        lstm(bidirectional=True),
        lambda m, x: m.rnn(x)[0],
        X,
        ("rnn Bidirectional LSTM(4, return_sequences)",),
    ),
    "both last states": Case(
        lstm(bidirectional=True),
        lambda m, x: (lambda h: torch.cat([h[-2], h[-1]], 1))(m.rnn(x)[1][0]),
        X,
        (BOTH,),
    ),
    "both last states, along the last axis": Case(
        gru(bidirectional=True),
        lambda m, x: (lambda h: torch.cat((h[0], h[1]), dim=-1))(m.rnn(x)[1]),
        X,
        ("rnn Bidirectional GRU(4)",),
    ),
    "both last states, transposed": Case(
        gru(bidirectional=True),
        lambda m, x: m.rnn(x)[1].transpose(0, 1).flatten(1),
        X,
        ("rnn Bidirectional GRU(4)",),
    ),
    "the last step of both": Case(
        gru(bidirectional=True),
        lambda m, x: m.rnn(x)[0][:, -1],
        X,
        ("rnn Bidirectional GRU(4, return_sequences)", "select Slice"),
        silent=("rnn.weight_hh_l0_reverse",),  # its only state is zero
    ),
    "the backward states the other way round": Case(
        gru(bidirectional=True),
        lambda m, x: (lambda h: torch.cat((h[1], h[0]), 1))(m.rnn(x)[1]),
        X,
        ("rnn Bidirectional GRU(4, return_state)", "cat Concatenate"),
    ),
    "two layers of both": Case(
        lstm(num_layers=2, bidirectional=True, batch_first=False),
        lambda m, x: (lambda h: torch.cat((h[-2], h[-1]), 1))(m.rnn(x)[1][0]),
        TIME_FIRST,
        (
            "args_0_transpose Transpose",
            "rnn_l0 Bidirectional LSTM(4, return_sequences)",
            "rnn_l1 Bidirectional LSTM(4)",
        ),
    ),
    "a GRU": Case(gru(), lambda m, x: m.rnn(x)[1][-1], X, ("rnn GRU(4)",)),
    "a tanh RNN": Case(rnn(), lambda m, x: m.rnn(x)[1][-1], X, ("rnn RNN(4)",)),
    "a relu RNN": Case(
        rnn(nonlinearity="relu", bidirectional=True),
        lambda m, x: m.rnn(x)[0],
        X,
        ("rnn Bidirectional RNN(4, return_sequences)",),
    ),
    "called twice": Case(
        lstm(),
        lambda m, x, y: m.rnn(x)[0][:, -1] + m.rnn(y)[0][:, -1],
        (*X, *X),
        (
            "rnn LSTM(4, return_sequences, return_state)",
            "select Slice",
            "select_1 Slice",
            "add Combine",
        ),
    ),
    "the last state at each step": Case(
        lambda: {
            "encoder": nn.GRU(3, 4, batch_first=True),
            "decoder": nn.GRU(4, 3, batch_first=True),
        },
        lambda m, x: m.decoder(m.encoder(x)[1][-1].unsqueeze(1).repeat(1, 6, 1))[0],
        X,
        (
            "encoder GRU(4)",
            "unsqueeze ExpandDims",
            "repeat Repeat",
            "decoder GRU(3, return_sequences)",
        ),
    ),
    "an encoder and a decoder": Case(
        lambda: {
            "encoder": nn.LSTM(3, 4, batch_first=True),
            "decoder": nn.LSTM(3, 4, batch_first=True),
        },
        lambda m, x, y: m.decoder(y, m.encoder(x)[1])[0],
        (*X, *X),
        ("encoder LSTM(4, return_state)", "decoder LSTM(4, return_sequences)"),
    ),
}

HEADS: dict[str, Case] = {
    "Sequential": Case(
        lambda: {"net": nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))},
        lambda m, x: m.net(x),
        (sequence(2, 3),),
        ("net/0 Dense", "net/1 Activate", "net/2 Dense"),
    ),
    "an Embedding": Case(
        lambda: {"words": nn.Embedding(9, 3, padding_idx=0), "rnn": nn.LSTM(3, 4)},
        lambda m, tokens: m.rnn(m.words(tokens).transpose(0, 1))[0][-1],
        (words(2, 7),),
        ("words Embedding", ONE),
    ),
    "a head": Case(
        lambda: {"rnn": nn.LSTM(3, 4, batch_first=True), "head": nn.Linear(4, 2)},
        lambda m, x: torch.sigmoid(m.head(torch.relu(m.rnn(x)[0][:, -1]))),
        X,
        (ONE, "relu Activate", "head Dense", "sigmoid Activate"),
    ),
    "steps one by one": Case(
        lambda: {"rnn": nn.LSTM(3, 4, batch_first=True), "head": nn.Linear(4, 2)},
        lambda m, x: (
            m.head(m.rnn(x)[0].reshape(-1, 4)).log_softmax(1).view(x.size(0), x.size(1), -1)
        ),
        X,
        (WHOLE, "head Dense", "log_softmax Activate"),
    ),
    "dropped": Case(
        lambda: {"drop": nn.Dropout(0.3), "rnn": nn.LSTM(3, 4, batch_first=True)},
        lambda m, x: m.rnn(m.drop(x))[0],
        X,
        ("drop Dropout", WHOLE),
    ),
    "a mean over time": Case(
        lstm(), lambda m, x: m.rnn(x)[0].mean(1), X, (WHOLE, "mean GlobalPooling")
    ),
    "the greatest over time": Case(
        lstm(), lambda m, x: m.rnn(x)[0].max(dim=1).values, X, (WHOLE, "max GlobalPooling")
    ),
    "a sum over time": Case(lstm(), lambda m, x: m.rnn(x)[0].sum(1), X, (WHOLE, "sum Reduce")),
    "side by side": Case(
        lstm(),
        lambda m, x: torch.cat([x, m.rnn(x)[0]], dim=2)[:, 1:, :-1],
        X,
        (WHOLE, "cat Concatenate", "slice Slice", "slice_1 Slice"),
    ),
    "beside each other": Case(
        lstm(),
        lambda m, x: torch.stack([m.rnn(x)[0][:, -1], m.rnn(x)[0][:, 0]], 1),
        X,
        (
            "rnn LSTM(4, return_sequences, return_state)",
            "select Slice",
            "select_1 Slice",
            "stack Stack",
        ),
    ),
    "attention by hand": Case(
        lambda: {"rnn": nn.LSTM(3, 4, batch_first=True), "score": nn.Linear(4, 1)},
        lambda m, x: (lambda y: (y * torch.softmax(m.score(y), 1)).sum(1))(m.rnn(x)[0]),
        X,
        (WHOLE, "score Dense", "softmax Activate", "mul Elementwise", "sum Reduce"),
        silent=("score.bias",),  # moves every score alike
    ),
    "attention by products": Case(
        lstm(),
        lambda m, x: (lambda y: torch.bmm((y @ y.transpose(1, 2) / 2).softmax(-1), y))(m.rnn(x)[0]),
        X,
        (
            WHOLE,
            "rnn_permute Permute",
            "matmul Matmul",
            "div Elementwise",
            "softmax Activate",
            "bmm Matmul",
        ),
    ),
    "a residual": Case(
        lambda: {"rnn": nn.LSTM(3, 3, batch_first=True)},
        lambda m, x: x + m.rnn(x)[0],
        X,
        ("rnn LSTM(3, return_sequences)", "add Combine"),
    ),
    "numbers": Case(
        lstm(),
        lambda m, x: (2 - m.rnn(x)[0][:, -1] * 3).clamp(min=0.5),
        X,
        (ONE, "mul Elementwise", "rsub Elementwise", "clamp Elementwise"),
    ),
    "heads apart": Case(
        lstm(),
        lambda m, x: (lambda y: y.view(y.size(0), y.size(1), 2, 2))(m.rnn(x)[0]),
        X,
        (WHOLE, "view Reshape"),
    ),
}

CASES = {**RECURRENT, **HEADS}
