"""PyTorch modules as `torch.onnx.export` writes them, and what PyTorch answers.

    python -m scripts.test_data.exported

needs torch, onnx and onnxscript, which the exporter of torch.export imports. The older exporter
(`dynamo=False`) needs none, so that the tests ask it themselves.
"""

# ruff: noqa: D102
# mypy: disable-error-code="no-any-return"
# The class says what forward does; torch types what calling a module returns as Any.

import inspect
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path("tests/data/onnx")


class Words(nn.Module):
    """The last output of an LSTM, of words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        sequence, _ = self.lstm(self.words(x))
        return self.head(sequence[:, -1])


class Last(nn.Module):
    """The last state of a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, h = self.gru(x)
        return torch.relu(self.head(h[-1]))


class BothWays(nn.Module):
    """Two layers in two directions: the last states of both, and the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        sequence, (h, _) = self.lstm(x)
        return self.head(torch.cat([h[-2], h[-1]], 1)).softmax(-1), sequence


class Started(nn.Module):
    """Time first, with states from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sequence, (h, c) = self.lstm(x, (h, c))
        return sequence, h, c


class Plain(nn.Module):
    """An RNN in two directions, with relu."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(4, 5, nonlinearity="relu", batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0].mean(1)


class Windows(nn.Module):
    """A convolution and pooling before an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.window = nn.Conv1d(4, 6, 3, padding=1)
        self.pool = nn.MaxPool1d(2)
        self.lstm = nn.LSTM(6, 5, batch_first=True, bias=False)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.window(x.transpose(1, 2)))).transpose(1, 2)
        return torch.sigmoid(self.head(self.lstm(x)[0]))


class Lengths(nn.Module):
    """Packed sequences: lengths, which the nodes take as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 5, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        packed, (h, _) = self.lstm(packed)
        sequence, _ = nn.utils.rnn.pad_packed_sequence(
            packed, batch_first=True, total_length=x.shape[1]
        )
        return sequence, h


class Export(NamedTuple):
    """A module, its inputs, and which of their axes are free."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    free: dict[str, dict[int, str]]


BATCH_FIRST = {"x": {0: "batch", 1: "time"}}


def exports() -> dict[str, Export]:
    """Each with weights of size 1, the same each time."""
    torch.manual_seed(6)
    x, steps = torch.randn(3, 7, 4), torch.randn(7, 3, 4)
    state = torch.randn(2, 1, 3, 5)
    started = {"x": {0: "time", 1: "batch"}, "h": {1: "batch"}, "c": {1: "batch"}}
    lengths = {**BATCH_FIRST, "lengths": {0: "batch"}}
    every = {
        "words": Export(Words(), (torch.randint(0, 20, (3, 7)),), BATCH_FIRST),
        "last": Export(Last(), (x,), BATCH_FIRST),
        "both_ways": Export(BothWays(), (x,), BATCH_FIRST),
        "started": Export(Started(), (steps, *state), started),
        "plain": Export(Plain(), (x,), BATCH_FIRST),
        "windows": Export(Windows(), (torch.randn(3, 8, 4),), BATCH_FIRST),
        "lengths": Export(Lengths(), (x, torch.tensor([7, 5, 2])), lengths),
    }
    for one in every.values():
        one.module.eval()
        for parameter in one.module.parameters():
            parameter.data = 0.5 * torch.randn_like(parameter)
    return every


def as_graph(one: Export, path: Path) -> None:
    """By the exporter of torch.export."""
    names = list(inspect.signature(one.module.forward).parameters)
    auto = torch.export.Dim.AUTO
    torch.onnx.export(
        one.module,
        (),
        path,
        kwargs=dict(zip(names, one.inputs, strict=True)),
        dynamo=True,
        dynamic_shapes={name: dict.fromkeys(axes, auto) for name, axes in one.free.items()},
        external_data=False,
        verbose=False,
    )


def as_trace(one: Export, path: Path) -> None:
    """By the exporter of TorchScript."""
    names = list(inspect.signature(one.module.forward).parameters)
    torch.onnx.export(
        one.module, one.inputs, path, dynamo=False, input_names=names, dynamic_axes=one.free
    )


def answers(one: Export) -> tuple[np.ndarray, ...]:
    """What PyTorch answers."""
    with torch.inference_mode():
        given = one.module(*one.inputs)
    return tuple(y.numpy() for y in (given if isinstance(given, tuple) else (given,)))


def main() -> None:
    """Write the files of the newer exporter, and the weights and answers that belong to them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, one in exports().items():
        if name == "lengths":
            continue  # torch.export does not trace packed sequences
        as_graph(one, FOLDER / f"{name}.onnx")
        arrays: dict[str, Any] = {
            f"w.{key}": value.numpy() for key, value in one.module.state_dict().items()
        }
        arrays |= {f"x.{k}": x.numpy() for k, x in enumerate(one.inputs)}
        arrays |= {f"y.{k}": y for k, y in enumerate(answers(one))}
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main()
