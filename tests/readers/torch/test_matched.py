"""A checkpoint of PyTorch with an architecture of Keras: PyTorch's own answers, or both lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import converter
from converter.errors import ConverterError
from converter.readers import read
from tests.readers.files import given, layer, sequential

Error = Callable[[Callable[[], object]], str]
Config = dict[str, Any]


def both(units: int, name: str, **settings: Any) -> Config:
    inner = layer("LSTM", f"{name}_inner", units=units, **settings)
    return layer("Bidirectional", name, layer=inner)


def each(inner: Config, name: str) -> Config:
    return layer("TimeDistributed", name, layer=inner)


def drawn(net: nn.Module) -> nn.Module:
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.5)
        for buffer in net.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2)
    return net.eval()


class Tagger(nn.Module):
    """An embedding, a stack in both directions, and layers on each step."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 3)
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.gru = nn.GRU(8, 5, batch_first=True)
        self.rnn = nn.RNN(5, 6, batch_first=True, bias=False)
        self.tag = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.lstm(self.words(x))
        y, _ = self.gru(self.norm(y))
        y, _ = self.rnn(y)
        out: torch.Tensor = self.tag(y).softmax(-1)
        return out


TAGGER = sequential(
    layer("InputLayer", "x", batch_shape=[None, None], dtype="int32"),
    layer("Embedding", "embedding", input_dim=7, output_dim=3),
    both(4, "first", return_sequences=True),
    both(4, "second", return_sequences=True),
    layer("LayerNormalization", "norm", axis=-1, epsilon=1e-5),
    layer("GRU", "gru", units=5, return_sequences=True, reset_after=True),
    layer("SimpleRNN", "rnn", units=6, return_sequences=True, use_bias=False),
    each(layer("Dense", "inner", units=2, activation="softmax"), "tag"),
)


class Sounds(nn.Module):
    """Convolutions before a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm1d(4)
        self.conv2 = nn.Conv1d(4, 4, 2, groups=2)
        self.gru = nn.GRU(4, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x.transpose(1, 2)))
        y = torch.relu(self.conv2(y)).transpose(1, 2)
        _, h = self.gru(y)
        last: torch.Tensor = h[0]
        return last


SOUNDS = sequential(
    given((None, None, 3)),
    layer("Conv1D", "a", filters=4, kernel_size=[3], use_bias=False),
    layer("BatchNormalization", "b", epsilon=1e-5),
    layer("Conv1D", "c", filters=4, kernel_size=[2], groups=2, activation="relu"),
    layer("GRU", "d", units=5, reset_after=True),
)


@pytest.fixture
def arch(tmp_path: Path) -> Callable[[Config], Path]:
    """Writes an architecture as `model.to_json()` does."""

    def write(config: Config) -> Path:
        path = tmp_path / "model.json"
        path.write_text(json.dumps(config))
        return path

    return write


MODELS = [
    (Tagger, TAGGER, torch.tensor([[0, 3, 6, 1], [2, 2, 5, 4]])),
    (Sounds, SOUNDS, torch.linspace(-2, 2, 48).reshape(2, 8, 3)),
]


@pytest.mark.parametrize(("kind", "config", "x"), MODELS, ids=["tagger", "sounds"])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"net": s, "opt": {"m": torch.ones(2)}}])
def test_a_checkpoint_answers_as_the_module_that_it_is_of(
    kind: type[nn.Module],
    config: Config,
    x: torch.Tensor,
    wrap: Callable[[Any], Any],
    arch: Callable[[Config], Path],
    tmp_path: Path,
) -> None:
    net = drawn(kind())
    torch.save(wrap(net.state_dict()), tmp_path / "m.pt")
    model = read(tmp_path / "m.pt", arch=arch(config))
    with torch.inference_mode():
        expected = net(x).numpy()
        made = converter.to_torch(model)(x).numpy()
    assert np.abs(converter.judge(model, x.numpy()) - expected).max() < 1e-6
    assert np.abs(made - expected).max() < 1e-6
    names = {s.name for one in model.layers for w in one.weights.values() for s in w.stored}
    there = {name.removeprefix("net/") for name in names}
    assert there == {name for name in net.state_dict() if "num_batches" not in name}


def test_both_biases_are_those_of_the_checkpoint(
    arch: Callable[[Config], Path], tmp_path: Path
) -> None:
    net = drawn(nn.LSTM(3, 4))
    torch.save(net.state_dict(), tmp_path / "m.pt")
    config = sequential(given((None, None, 3)), layer("LSTM", "lstm", units=4))
    state = converter.to_torch(read(tmp_path / "m.pt", arch=arch(config))).state_dict()
    for name, tensor in net.state_dict().items():
        assert torch.equal(state[f"lstm.{name}"], tensor)


ALIKE = sequential(given((None, 4)), layer("Dense", "one", units=4), layer("Dense", "two", units=4))


def test_layers_that_are_alike_are_taken_by_name_or_in_order(
    arch: Callable[[Config], Path], tmp_path: Path
) -> None:
    first, second = drawn(nn.Linear(4, 4)), drawn(nn.Linear(4, 4))
    with torch.no_grad():
        second.weight.add_(1)
    for names, expected in ((("two", "one"), [second, first]), (("a", "b"), [first, second])):
        net = nn.ModuleDict(dict(zip(names, (first, second), strict=True)))
        torch.save(net.state_dict(), tmp_path / "m.pt")
        model = read(tmp_path / "m.pt", arch=arch(ALIKE))
        for one, module in zip(model.layers, expected, strict=True):
            kernel = one.weights["kernel"].read()
            assert np.array_equal(kernel, module.weight.detach().numpy().T)


def refused(state: object, config: Config, tmp_path: Path, arch: Callable[[Config], Path]) -> str:
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(ConverterError) as caught:
        read(tmp_path / "m.pt", arch=arch(config))
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_other_sizes_are_refused_with_both_lists(
    arch: Callable[[Config], Path], tmp_path: Path
) -> None:
    net = nn.ModuleDict({"lstm": nn.LSTM(3, 4), "head": nn.Linear(4, 2)})
    config = sequential(
        given((None, None, 3)),
        layer("LSTM", "memory", units=4),
        layer("Dense", "out", units=3),
    )
    assert refused(net.state_dict(), config, tmp_path, arch) == (
        "error[other-modules]: the modules of m.pt are not the layers of the architecture\n"
        "  found: layers: out bias (3,) weight (3, 4); modules: head bias (2,) weight (2, 4)\n"
        "  help:  ifco inspect shows the checkpoint; the architecture must have the same sizes, in "
        "PyTorch's order"
    )


def test_tensors_without_a_layer_are_refused(
    arch: Callable[[Config], Path], tmp_path: Path
) -> None:
    state = nn.LSTM(3, 4).state_dict() | {"scale": torch.ones(3)}
    config = sequential(given((None, None, 3)), layer("LSTM", "memory", units=4))
    text = refused(state, config, tmp_path, arch)
    assert "found: layers: none; modules:" in text
    assert "scale (3,)" in text


def test_a_layer_without_a_bias_is_not_that_of_a_module_with_one(
    arch: Callable[[Config], Path], tmp_path: Path
) -> None:
    config = sequential(given((None, None, 3)), layer("LSTM", "m", units=4, use_bias=False))
    assert "bias_ih (16,)" in refused(nn.LSTM(3, 4).state_dict(), config, tmp_path, arch)


def test_two_states_of_one_model_are_refused(
    arch: Callable[[Config], Path], tmp_path: Path
) -> None:
    state = {"last": nn.Linear(3, 2).state_dict(), "best": nn.Linear(3, 2).state_dict()}
    nested = {"a": {"l": state["last"]}, "b": {"l": state["best"]}}
    config = sequential(given((None, 3)), layer("Dense", "d", units=2))
    text = refused(nested, config, tmp_path, arch)
    assert text.startswith(
        "error[several-states]: m.pt has the weights of the architecture several"
    )
    assert "'a', 'b'" in text


def test_what_no_module_computes_is_refused(arch: Callable[[Config], Path], tmp_path: Path) -> None:
    before = sequential(given((None, None, 3)), layer("GRU", "g", units=4, reset_after=False))
    assert "error[no-module]: layer 'g'" in refused(
        nn.GRU(3, 4).state_dict(), before, tmp_path, arch
    )
    flat = sequential(
        given((None, 8, 3)),
        layer("Conv1D", "c", filters=4, kernel_size=[3]),
        layer("Flatten", "f"),
        layer("Dense", "d", units=2),
    )
    text = refused(nn.Linear(24, 2).state_dict(), flat, tmp_path, arch)
    assert text.startswith("error[flattened-channels]: layer 'f' puts channels in a row")


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_pytorch_to_keras_to_pytorch_gives_the_same_bits(
    form: str, arch: Callable[[Config], Path], tmp_path: Path
) -> None:
    net = drawn(Tagger())
    torch.save(net.state_dict(), tmp_path / "m.pt")
    out = tmp_path / f"m.{form}"
    converter.convert(tmp_path / "m.pt", arch=arch(TAGGER), to=form, out=out, verify=False)
    made = converter.to_torch(out).state_dict()
    names = {
        "words": "embedding",
        "lstm.*_l0": "first",
        "lstm.*_l1": "second",
        "norm": "norm",
        "gru": "gru",
        "rnn": "rnn",
        "tag": "tag",
    }
    compared = 0
    for name, tensor in net.state_dict().items():
        module, _, own = name.partition(".")
        level = f"{module}.*_l1" if "_l1" in own else f"{module}.*_l0"
        layer_name = names.get(level) or names[module]
        twin = made[f"{layer_name}.{own.replace('_l1', '_l0')}"]
        assert twin.numpy().tobytes() == tensor.numpy().tobytes(), name
        compared += 1
    assert compared == len(made) == len(net.state_dict())
