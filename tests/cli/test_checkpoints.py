"""Checkpoints of PyTorch at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.cli.command import Command

SHOWN = """\
net.pt
  form     PyTorch checkpoint
  tensors  12, of 641 elements
  sha256   {sha256}

  module      by its tensors  features  units  layers  directions         biases  \
in PyTorch  in Keras
  model/lstm  LSTM                   3      4       2  forward, backward  none    \
       608       608
  model/cell  not known

  model/cell is no module of torch.nn: weight_ih alone

  other tensors       shape   dtype
  model/head.weight   (2, 8)  float32
  model/head.bias     (2,)    float32
  optimizer/momentum  (3,)    float64

held, and not looked into
  args: argparse.Namespace

not in the file
  batch_first, dropout, and whether an RNN is of tanh or relu: they are settings, not weights
  modules without tensors, and how the modules follow each other

  help:  --arch model.json, an architecture of Keras, makes it a whole model
  help:  --to keras-weights takes its layers out as Keras's arrays
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint with what each part of the listing shows."""
    import argparse

    monkeypatch.chdir(tmp_path)
    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, bias=False)
    parts = {"lstm": lstm, "head": nn.Linear(8, 2)}
    state = {
        f"{name}.{key}": tensor
        for name, part in parts.items()
        for key, tensor in part.state_dict().items()
    }
    state["cell.weight_ih"] = torch.ones(4, 3)
    value = {
        "optimizer": {"momentum": torch.ones(3, dtype=torch.float64)},
        "model": state,
        "args": argparse.Namespace(rate=0.1),
    }
    torch.save(value, "net.pt")
    return tmp_path / "net.pt"


def test_inspect_lists_what_is_in_a_checkpoint(ifco: Command, net: Path) -> None:
    import hashlib

    sha256 = hashlib.sha256(net.read_bytes()).hexdigest()[:12]
    done = ifco("inspect net.pt")
    expected = SHOWN.format(sha256=sha256)
    assert (done.code, done.err) == (0, "")
    assert done.out == expected


def test_inspect_gives_all_of_it_as_json(ifco: Command, net: Path) -> None:
    found = ifco(f"inspect {net} --format json").json
    assert [one["name"] for one in found["recurrent"]] == ["model/lstm", "model/cell"]
    lstm = found["recurrent"][0]
    assert (lstm["what"], lstm["features"], lstm["units"], lstm["layers"]) == ("LSTM", 3, 4, 2)
    assert (lstm["torch_parameters"], lstm["keras_parameters"]) == (608, 608)
    assert len(lstm["tensors"]) == 8
    assert found["recurrent"][1]["problem"] == "weight_ih alone"
    assert {one["name"] for one in found["others"]} == {
        "model/head.weight",
        "model/head.bias",
        "optimizer/momentum",
    }
    assert found["held"] == {"args": "argparse.Namespace"}


def test_code_builds_the_module_of_a_checkpoint_only_if_it_may_run(
    ifco: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("twin_of_net.py").write_text(
        "import torch\nfrom torch import nn\n\n\ndef build():\n"
        "    open('ran', 'w').close()\n"
        "    return nn.Sequential(nn.Linear(3, 2), nn.Tanh()), (torch.ones(2, 3),)\n"
    )
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    torch.save(net.state_dict(), "net.pt")
    done = ifco("convert net.pt --arch twin_of_net:build --to pytorch --out out")
    assert done.code == 2
    assert done.err.startswith("error[run-code]: twin_of_net:build is code, which is not run")
    assert not Path("ran").exists()
    done = ifco("convert net.pt --arch twin_of_net:build --run-code --to pytorch --out out")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("converted net.pt\n")
    assert Path("ran").exists()
