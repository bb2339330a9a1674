"""Weights of PyTorch as Keras's arrays: Keras that loads them answers as PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import converter
from converter.conversion import convert
from converter.errors import ConverterError
from converter.runtimes import keras
from converter.verify import verify
from converter.verify.verdict import Status

ROOT = Path(__file__).parents[1]


class Net(nn.Module):
    """Of each layer that is taken out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(8, 5, batch_first=True)
        self.rnn = nn.RNN(5, 6, batch_first=True)
        self.head = nn.Linear(6, 7)
        self.norm = nn.BatchNorm1d(7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of a sequence (batch, time, 3)."""
        y, _ = self.lstm(x)
        y, _ = self.gru(y)
        y, _ = self.rnn(y)
        out: torch.Tensor = self.norm(self.head(y).transpose(1, 2)).transpose(1, 2)
        return out


def drawn(net: nn.Module, seed: int = 3) -> nn.Module:
    """With weights of size 1, statistics too."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.5)
        for buffer in net.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2)
    return net.eval()


def taken(state: object, folder: Path, name: str = "weights", **options: object) -> Path:
    torch.save(state, folder / "net.pt")
    out = folder / f"{name}.h5"
    convert(folder / "net.pt", to="keras-weights", out=out, verify=False, force=True, **options)
    return out


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(note)
    return found


@pytest.fixture
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras is not asked by a verification."""
    monkeypatch.setattr(keras, "is_here", lambda: False)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Keras has answered."""
    if find_spec("keras") is None:
        pytest.skip("needs keras")
    folder = tmp_path_factory.mktemp("keras_weights")
    net = drawn(Net())
    taken({"model": net.state_dict(), "optimizer": {"step": torch.ones(1)}}, folder)
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    np.save(folder / "x.npy", x)
    with torch.inference_mode():
        np.save(folder / "expected.npy", net(torch.from_numpy(x)).numpy())
    environment = {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run(
        [sys.executable, "-m", "tests.keras_weights_in_keras", str(folder)],
        cwd=ROOT,
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize("how", ["name", "order", "arrays"])
def test_keras_with_the_arrays_answers_as_pytorch(how: str, asked: Path) -> None:
    expected = np.load(asked / "expected.npy")
    given = np.load(asked / "answers.npz")[how]
    assert given.shape == expected.shape
    # Float32 of both over 6 steps and 5 layers; measured 1e-6.
    assert np.abs(given - expected).max() < 1e-5 * np.abs(expected).max()


def test_an_array_is_where_set_weights_takes_it(tmp_path: Path) -> None:
    net = drawn(Net())
    with h5py.File(taken(net.state_dict(), tmp_path)) as file:
        assert [one.decode() for one in file.attrs["layer_names"]] == [
            *("lstm_l0", "lstm_l1", "gru", "rnn", "head", "norm")
        ]
        group = file["lstm_l1"]
        forward, *_ = (group[name][()] for name in group.attrs["weight_names"])
    assert np.array_equal(forward, net.lstm.weight_ih_l1.detach().numpy().T)


def test_both_biases_are_beside_their_sum(tmp_path: Path) -> None:
    net = drawn(Net())
    found = arrays_of(taken(net.state_dict(), tmp_path))
    both = found["both biases/rnn/rnn/simple_rnn_cell/bias:0"]
    biases = [net.rnn.bias_ih_l0.detach().numpy(), net.rnn.bias_hh_l0.detach().numpy()]
    assert np.array_equal(both, biases)
    assert np.array_equal(found["rnn/rnn/simple_rnn_cell/bias:0"], biases[0] + biases[1])


def test_the_ledger_says_where_every_tensor_went(tmp_path: Path) -> None:
    net = drawn(Net())
    torch.save({"model": net.state_dict(), "adam": {"a": torch.ones(3), "b": 1}}, tmp_path / "n.pt")
    done = convert(tmp_path / "n.pt", to="keras-weights", out=tmp_path / "w.h5", verify=False)
    there = arrays_of(tmp_path / "w.h5")
    said = {entry["source"]: entry["to"] for entry in done.record["tensors"]}
    assert set(said) == {f"model/{name}" for name in net.state_dict()}
    assert {name for names in said.values() for name in names} == set(there)
    assert done.record["dropped"] == ["adam (1 tensor)"]
    assert done.record["layers"]["lstm_l0"]["class"] == "Bidirectional"


ODD: dict[str, torch.Tensor] = {
    "a": torch.arange(6.0).reshape(2, 3).half(),
    "a/b": torch.ones(2),
    "..": torch.tensor([True, False]),
    "ü %2F": torch.tensor([1 + 2j, 3]),
    "deep.er.weight": torch.ones(3, 2, 2).bfloat16(),
    "count": torch.tensor(3),
    "small": torch.ones(2, 2).to(torch.float8_e5m2),
    "empty": torch.ones(0, 2),
}


@pytest.mark.usefixtures("without_keras")
def test_other_tensors_are_kept_as_they_are(tmp_path: Path) -> None:
    state = drawn(nn.RNN(2, 3)).state_dict()
    torch.save(state | {f"{name}": tensor for name, tensor in ODD.items()}, tmp_path / "n.pt")
    done = convert(tmp_path / "n.pt", to="keras-weights", out=tmp_path / "w.h5")
    assert done.verdict is not None
    assert done.verdict.status is Status.EQUAL
    assert done.record["dropped"] == ["a (1 tensor)"]  # in another container
    found = arrays_of(tmp_path / "w.h5")
    for name, tensor in ODD.items():
        if name == "a/b":
            continue
        (place,) = [one for one in found if unquote(one) == f"other tensors/{name}"]
        raw = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        assert found[place].tobytes() == raw, name


@pytest.mark.usefixtures("without_keras")
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_other_dtypes_are_kept_or_widened_exactly(dtype: torch.dtype, tmp_path: Path) -> None:
    net = drawn(nn.LSTM(2, 3)).to(dtype)
    found = arrays_of(taken(net.state_dict(), tmp_path))
    kernel = found["lstm/lstm/lstm_cell/kernel:0"]
    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    assert kernel.dtype == str(wide).removeprefix("torch.")
    assert kernel.T.tobytes() == net.weight_ih_l0.detach().to(wide).numpy().T.tobytes("F")
    torch.save(net.state_dict(), tmp_path / "net.pt")
    assert verify(tmp_path / "net.pt", tmp_path / "weights.h5").status is Status.EQUAL


MISTAKES: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda array: np.roll(array, 1, -1),
    lambda array: -array,
    lambda array: np.nextafter(array, np.float32(9)),
]


@pytest.mark.usefixtures("without_keras")
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize(
    "place",
    ["gru/gru/gru_cell/bias:0", "both biases/rnn/rnn/simple_rnn_cell/bias:0", "head/head/kernel:0"],
)
def test_an_array_that_is_another_differs(
    mistake: Callable[[np.ndarray], np.ndarray], place: str, tmp_path: Path
) -> None:
    out = taken(drawn(Net()).state_dict(), tmp_path)
    with h5py.File(out, "r+") as file:
        file[place][...] = mistake(file[place][()])
    verdict = verify(tmp_path / "net.pt", out)
    assert verdict.status is Status.DIFFERS
    assert verdict.layer == place.removeprefix("both biases/").partition("/")[0]
    assert verdict.wrong_arrays


def test_a_projection_is_no_layer_of_keras_and_its_tensors_are_kept(tmp_path: Path) -> None:
    net = nn.ModuleDict({"lstm": nn.LSTM(2, 4, proj_size=3), "head": nn.Linear(3, 1)})
    torch.save(net.state_dict(), tmp_path / "n.pt")
    done = convert(tmp_path / "n.pt", to="keras-weights", out=tmp_path / "w.h5", verify=False)
    assert done.record["no_layer_of_keras"] == {"lstm": "a projection to 3"}
    found = arrays_of(tmp_path / "w.h5")
    assert np.array_equal(
        found["other tensors/lstm.weight_hr_l0"], net["lstm"].weight_hr_l0.detach().numpy()
    )


def said_of(state: object, folder: Path) -> str:
    torch.save(state, folder / "net.pt")
    with pytest.raises(ConverterError) as caught:
        convert(folder / "net.pt", to="keras-weights", out=folder / "w.h5")
    assert not (folder / "w.h5").exists()
    return str(caught.value).replace(str(folder), "")


def test_what_has_no_layer_of_keras_is_refused(tmp_path: Path) -> None:
    assert said_of({"x": torch.ones(2)}, tmp_path) == (
        "error[no-recurrent]: /net.pt has no layer that Keras has\n"
        "  found: 1 tensors of no LSTM, GRU, RNN, Linear or BatchNorm\n"
        "  help:  ifco inspect shows what is in it"
    )
    projected = nn.LSTM(2, 4, proj_size=3).state_dict()
    assert "a projection to 3" in said_of({"m": {"n": projected}}, tmp_path)


def test_a_whole_model_is_no_checkpoint(tmp_path: Path) -> None:
    source = ROOT / "tests/data/cudnn/cudnn_lstm.h5"
    with pytest.raises(ConverterError) as caught:
        converter.convert(source, to="keras-weights", out=tmp_path / "w.h5")
    assert caught.value.code == "not-a-checkpoint"
    assert caught.value.hint == "--to weights.h5 writes the weights of a whole model"
