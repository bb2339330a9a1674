"""A checkpoint in the module that it is of: PyTorch's own answers, or what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import converter
from converter.errors import ConverterError
from converter.readers import read
from tests.readers.torch.test_matched import drawn


class Net(nn.Module):
    """A stack, and its last step."""

    def __init__(self, units: int = 4) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, units, num_layers=2, batch_first=True)
        self.head = nn.Linear(units, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.lstm(x)
        last: torch.Tensor = self.head(y[:, -1])
        return last


X = torch.linspace(-2, 2, 42).reshape(2, 7, 3)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_a_checkpoint_in_its_module_answers_as_it(prefix: str, tmp_path: Path) -> None:
    net, other = drawn(Net()), Net()
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    state = {f"{prefix}{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "momentum": {"a": torch.ones(2)}}, tmp_path / "m")
    model = read(tmp_path / "m", (X,), arch=other)
    with torch.inference_mode():
        expected = net(X).numpy()
    assert np.abs(converter.judge(model, X.numpy()) - expected).max() < 1e-6
    assert all(torch.equal(before[name], one) for name, one in other.state_dict().items())
    assert model.source.path == str(tmp_path / "m")
    state = converter.to_torch(model).state_dict()
    held = sorted(tensor.numpy().tobytes() for tensor in state.values())
    assert held == sorted(tensor.numpy().tobytes() for tensor in net.state_dict().values())


def refused(state: object, tmp_path: Path) -> str:
    torch.save(state, tmp_path / "m")
    with pytest.raises(ConverterError) as caught:
        read(tmp_path / "m", (X,), arch=Net())
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_checkpoint_of_other_sizes_is_refused_with_both_lists(tmp_path: Path) -> None:
    state = Net().state_dict()
    state["head.bias"] = torch.ones(3)
    assert refused(state, tmp_path) == (
        "error[other-modules]: the tensors of m are not those of Net\n"
        "  found: of the module: head.bias (2,); of the checkpoint: head.bias (3,)\n"
        "  help:  ifco inspect shows the checkpoint; the module must be made with the same settings"
    )
    one = Net().state_dict()
    assert refused({"last": one, "best": Net().state_dict()}, tmp_path).startswith(
        "error[several-states]: m has the weights of Net several times"
    )


def test_a_module_is_no_architecture_of_a_keras_file() -> None:
    source = Path(__file__).parents[2] / "data/cudnn/cudnn_lstm.h5"
    with pytest.raises(ConverterError) as caught:
        read(source, (X,), arch=Net())
    assert caught.value.code == "not-a-checkpoint"
