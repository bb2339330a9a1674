"""Checkpoints that torch itself wrote: every tensor is read to the bit, without torch."""

from __future__ import annotations

import argparse
import collections
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from converter.errors import ConverterError, FormatError
from converter.gates import Cell
from converter.readers.file import File, InMemory
from converter.readers.torch import checkpoint
from converter.readers.torch.checkpoint import Checkpoint
from converter.readers.torch.recurrent import TorchRecurrent, recurrent_modules

DEPRECATED = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, and traces warn


class Net(nn.Module):
    """A module of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        self.gru = nn.GRU(8, 3, bias=False)
        self.head = nn.Linear(3, 2)
        self.register_buffer("count", torch.tensor([1, 2]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of indices (time, batch)."""
        y, _ = self.lstm(self.embedding(x))
        y, _ = self.gru(y)
        out: torch.Tensor = self.head(y)
        return out


def opened(path: Path) -> Checkpoint:
    file = File.at(path)
    assert checkpoint.is_checkpoint(file)
    return checkpoint.read(file)


def tensors_of(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Those that torch.load gives, by the names that they have here."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict | list | tuple):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in entries:
            yield from tensors_of(one, f"{name}/{key}" if name else str(key))


def bits(tensor: torch.Tensor) -> bytes:
    plain = tensor.detach().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes()


def assert_same(found: Checkpoint, value: Any) -> None:
    expected = dict(tensors_of(value))
    assert list(found.tensors) == list(expected)
    for name, tensor in expected.items():
        stored = found.tensors[name]
        array = stored.read()
        assert array.shape == stored.shape == tuple(tensor.shape)
        assert array.dtype == stored.dtype
        assert str(array.dtype) == str(tensor.dtype).removeprefix("torch.")
        assert np.ascontiguousarray(array).tobytes() == bits(tensor), name
        assert not array.flags.writeable


def state(net: nn.Module) -> dict[str, Any]:
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.zeros(2, 1, dtype=torch.long)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best": torch.tensor(0.5),
        "history": [torch.ones(2), (torch.zeros(1),)],
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_with_the_state_of_its_optimizer_is_read_to_the_bit(
    zipped: bool, tmp_path: Path
) -> None:
    path = tmp_path / "c.pt"
    value = state(Net())
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    found = opened(path)
    assert_same(found, value)
    assert found.form == (checkpoint.ZIP if zipped else checkpoint.LEGACY)
    in_memory = checkpoint.read(InMemory.of(path.read_bytes()))
    assert_same(in_memory, value)


def views() -> dict[str, torch.Tensor]:
    """Tensors that are not their storage from its first to its last element."""
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "whole": base,
        "rows": base[1:3],
        "columns": base[:, 2:5],
        "turned": base.t(),
        "every second": base[::2, 1::2],
        "repeated": base[0, :1].expand(5),
        "empty": base[:0],
        "number": base[2, 3],
        "one": base[3:, :1],
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_views_of_one_storage_are_read_with_their_offsets_and_strides(
    zipped: bool, tmp_path: Path
) -> None:
    path = tmp_path / "views.pt"
    torch.save(views(), path, _use_new_zipfile_serialization=zipped)
    assert_same(opened(path), views())


DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    *(torch.uint16, torch.uint32, torch.uint64),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.complex128),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_exact(dtype: torch.dtype, tmp_path: Path) -> None:
    tensor = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype)
    parameter = tensor.t() if dtype.is_floating_point and dtype.itemsize > 1 else tensor
    torch.save({"it": parameter}, tmp_path / "t.pt")
    assert_same(opened(tmp_path / "t.pt"), {"it": parameter})


def test_nan_infinity_and_negative_zero_are_kept(tmp_path: Path) -> None:
    tensor = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    torch.save([tensor], tmp_path / "t.pt")
    assert_same(opened(tmp_path / "t.pt"), [tensor])


def test_a_file_of_the_other_order_of_bytes_is_turned(tmp_path: Path) -> None:
    value = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(3), "c": torch.ones(2).byte()}
    path = tmp_path / "t.pt"
    torch.save(value, path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            if name.endswith("byteorder"):
                archive.writestr(name, b"big")
            elif "/data/" in name:
                width = {"0": 4, "1": 8, "2": 1}[name[-1]]
                turned = np.frombuffer(member, f"u{width}").byteswap()
                archive.writestr(name, turned.tobytes())
            else:
                archive.writestr(name, member)
    assert path.read_bytes() != data
    assert_same(opened(path), value)


def test_a_module_that_was_saved_whole_gives_its_state_dict(tmp_path: Path) -> None:
    net = Net()
    torch.save(net, tmp_path / "m.pt")
    found = opened(tmp_path / "m.pt")
    assert set(found.tensors) == set(net.state_dict())
    for name, tensor in net.state_dict().items():
        assert found.tensors[name].read().tobytes() == bits(tensor)
    assert found.held == {}


@DEPRECATED
@pytest.mark.parametrize("how", ["script", "trace"])
def test_a_torchscript_archive_gives_its_state_dict(how: str, tmp_path: Path) -> None:
    net = Net()
    given = torch.zeros(2, 1, dtype=torch.long)
    made = torch.jit.script(net) if how == "script" else torch.jit.trace(net, given)
    made.save(tmp_path / "m.pt")
    found = opened(tmp_path / "m.pt")
    assert found.form == checkpoint.SCRIPT
    assert set(found.tensors) == set(net.state_dict())
    for name, tensor in net.state_dict().items():
        assert found.tensors[name].read().tobytes() == bits(tensor)


@DEPRECATED
def test_constants_of_torchscript_are_listed(tmp_path: Path) -> None:
    net = nn.Sequential(nn.GRUCell(2, 3)).eval()
    torch.jit.freeze(torch.jit.trace(net, torch.zeros(1, 2))).save(tmp_path / "m.pt")
    found = opened(tmp_path / "m.pt")
    shapes = sorted(one.shape for one in found.tensors.values() if one.shape[0] == 9)
    assert shapes == [(9,), (9,), (9, 2), (9, 3)]
    weight = net.state_dict()["0.weight_ih"]
    assert any(one.read().tobytes() == bits(weight) for one in found.tensors.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64])
def test_safetensors_are_read_to_the_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    value = {"b.x": torch.arange(6).reshape(2, 3).to(dtype), "a": torch.ones(()).to(dtype)}
    save_file(value, tmp_path / "t.safetensors", {"format": "pt"})
    found = opened(tmp_path / "t.safetensors")
    assert found.form == checkpoint.SAFETENSORS
    assert_same(
        Checkpoint(
            path="",
            sha256="",
            form="",
            tensors={name: found.tensors[name] for name in value},
            held={},
        ),
        value,
    )


def test_settings_are_held_by_name_and_never_made(tmp_path: Path) -> None:
    value = {
        "args": argparse.Namespace(rate=0.1, weight=torch.ones(2)),
        "path": Path("/a/b"),
        "names": {"a", "b"},
        "counts": collections.Counter("aab"),
        "sparse": torch.eye(2).to_sparse(),
        "scale": np.float64(2.0),
        "table": np.ones(3),
        "seed": 2**120,
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "by number": {0: torch.ones(1), 1: torch.zeros(1)},
    }
    torch.save(value, tmp_path / "t.pt")
    found = opened(tmp_path / "t.pt")
    assert list(found.tensors) == ["args.weight", "by number/0", "by number/1"]
    assert {name: what.rpartition(".")[2] for name, what in found.held.items()} == {
        "args": "Namespace",
        "path": "PosixPath",
        "names": "set",
        "counts": "Counter",
        "sparse": "_rebuild_sparse_tensor",
        "scale": "scalar",
        "table": "_reconstruct",
        "device": "device",
    }


def test_one_dictionary_under_two_names_is_read_once(tmp_path: Path) -> None:
    weights = {"weight": torch.ones(2)}
    torch.save({"last": weights, "best": weights}, tmp_path / "t.pt")
    found = opened(tmp_path / "t.pt")
    assert list(found.tensors) == ["last/weight"]
    assert found.held == {"best": "the same as last"}


def modules_of(module: nn.Module | dict[str, torch.Tensor], path: Path) -> list[TorchRecurrent]:
    torch.save(module if isinstance(module, dict) else module.state_dict(), path)
    return recurrent_modules(opened(path).tensors)[0]


KINDS: list[tuple[nn.Module, str, Cell]] = [
    (nn.LSTM(3, 4, num_layers=3, bidirectional=True), "LSTM", Cell.LSTM),
    (nn.LSTM(4, 4, bias=False), "LSTM", Cell.LSTM),
    (nn.GRU(3, 4, num_layers=2), "GRU", Cell.GRU),
    (nn.RNN(3, 4, nonlinearity="relu"), "RNN", Cell.RNN),
    (nn.LSTMCell(12, 3), "LSTMCell", Cell.LSTM),
    (nn.GRUCell(3, 1), "GRUCell", Cell.GRU),
    (nn.RNNCell(1, 1, bias=False), "RNNCell", Cell.RNN),
]


@pytest.mark.parametrize(("module", "what", "cell"), KINDS, ids=lambda one: str(one)[:30])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.net.rnn.", "state_dict/net."])
def test_a_recurrent_module_is_known_by_its_tensors(
    module: Any, what: str, cell: Cell, prefix: str, tmp_path: Path
) -> None:
    (found,) = modules_of(
        {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()},
        tmp_path / "m.pt",
    )
    assert (found.name, found.what, found.problem) == (prefix[:-1], what, "")
    assert (found.inputs, found.units) == (module.input_size, module.hidden_size)
    assert found.depth == getattr(module, "num_layers", 1)
    assert found.bidirectional == getattr(module, "bidirectional", False)
    assert found.biases == (2 if module.bias else 0)
    assert found.parameters == sum(one.numel() for one in module.parameters())
    assert {direction.cell for level in found.levels for direction in level} == {cell}


def test_gates_are_where_torch_has_them(tmp_path: Path) -> None:
    module = nn.GRU(3, 4, num_layers=2, bidirectional=True)
    (found,) = modules_of(module, tmp_path / "m.pt")
    _, backward = found.levels[1]
    assert backward.go_backwards
    r, z, n = module.weight_hh_l1_reverse.detach().numpy().reshape(3, 4, 4)
    assert np.array_equal(backward.recurrent_kernel.read(), [z, r, n])
    assert backward.bias is not None
    both = module.bias_ih_l1_reverse, module.bias_hh_l1_reverse
    for row, bias in zip(backward.bias.read(), both, strict=True):
        r, z, n = bias.detach().numpy().reshape(3, 4)
        assert np.array_equal(row, [z, r, n])


def test_a_projection_is_known_and_has_no_layer_of_keras(tmp_path: Path) -> None:
    (found,) = modules_of(nn.LSTM(3, 5, num_layers=2, proj_size=2), tmp_path / "m.pt")
    assert (found.what, found.units, found.projection, found.depth) == ("LSTM", 5, 2, 2)
    assert found.levels == ()
    assert found.problem == ""


def without(name: str) -> dict[str, torch.Tensor]:
    state = nn.LSTM(3, 4, num_layers=2, bidirectional=True).state_dict()
    del state[name]
    return state


WRONG: list[tuple[Callable[[], dict[str, torch.Tensor]], str]] = [
    (lambda: without("weight_ih_l0"), "weight_hh alone"),
    (lambda: without("bias_hh_l1"), "not the same tensors"),
    (lambda: {"weight_ih_l0": torch.ones(8, 3), "weight_hh_l0": torch.ones(8, 4)}, "8 rows"),
    (lambda: {"weight_ih_l0": torch.ones(9, 3), "weight_hh_l0": torch.ones(9, 4)}, "9 rows"),
    (lambda: {"weight_ih": torch.ones(12, 3), "weight_hh": torch.ones(16, 4)}, "weight_ih (12, 3)"),
    (lambda: {"weight_ih_l1": torch.ones(4, 3), "weight_hh_l1": torch.ones(4, 4)}, "are missing"),
    (lambda: {"weight_ih": torch.ones(4), "weight_hh": torch.ones(4, 4)}, "weights of shape (4,)"),
    (
        lambda: {
            "weight_ih": torch.ones(4, 4, dtype=torch.int8),
            "weight_hh": torch.ones(4, 4, dtype=torch.int8),
        },
        "weight_ih of int8",
    ),
]


@pytest.mark.parametrize(("tensors", "reason"), WRONG)
def test_what_is_no_module_of_torch_is_said_to_be_none(
    tensors: Callable[[], dict[str, torch.Tensor]], reason: str, tmp_path: Path
) -> None:
    (found,) = modules_of(tensors(), tmp_path / "m.pt")
    assert reason in found.problem
    assert found.levels == ()


def test_a_checkpoint_is_no_model_of_its_own(tmp_path: Path) -> None:
    from converter.readers import read

    torch.save(nn.LSTM(3, 4).state_dict(), tmp_path / "m.pt")
    with pytest.raises(FormatError) as caught:
        read(tmp_path / "m.pt")
    assert caught.value.code == "no-architecture"


def test_every_prefix_and_flipped_bytes_are_an_error_or_tensors(tmp_path: Path) -> None:
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pt"
        torch.save({"a": torch.ones(2, 2)}, path, _use_new_zipfile_serialization=zipped)
        data = path.read_bytes()
        refused = 0
        for place in range(0, len(data), 3 if zipped else 1):
            damaged = bytearray(data)
            damaged[place] ^= 1 << place % 8
            for one in (bytes(damaged), data[: place or 1]):
                file = InMemory.of(one)
                try:
                    if checkpoint.is_checkpoint(file):
                        for stored in checkpoint.read(file).tensors.values():
                            stored.read()
                    else:
                        refused += 1
                except ConverterError:
                    refused += 1
        assert refused > len(data) // 3
