"""What the generated source says, each thing in a small model."""

import pytest
import torch

import converter
from converter.activations import Activation
from converter.description import (
    Activate,
    BatchNormalization,
    Call,
    Combination,
    Combine,
    Dense,
    Dropout,
    LayerNormalization,
    Model,
    Noise,
    Source,
    Value,
    Weight,
)
from converter.errors import UnsupportedError
from tests.models_by_hand import Maker, called, graph
from tests.targets.torch.by_hand import chain, lstm, weight


def forward_of(model: Model) -> list[str]:
    """The lines of forward, without their margin."""
    text = converter.to_torch_source(model)
    body = text.split("    def forward(")[1].split("\n\n\ndef load")[0]
    return [line.strip() for line in body.splitlines()[1:]]


def test_an_lstm_and_a_dense_layer_are_two_modules_and_two_lines():
    model = chain((None, None, 5), lstm("lstm", 5, 4), dense("head", 4, 1))
    assert (
        converter.to_torch_source(model)
        == '''"""Forecaster, written by ifco 0.1.0 from model.keras.

Source sha256 9f2c41d000000000.
Weights: model.safetensors beside this file. Needs torch and safetensors only.
"""

from pathlib import Path

from safetensors.torch import load_model
from torch import Tensor, nn


class Forecaster(nn.Module):
    """x (batch, time, 5) -> (batch, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 4, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # zero: Keras has one bias
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        sequence, _ = self.lstm(x)  # (batch, time, 4)
        return self.head(sequence[:, -1])


def load(path: str | Path | None = None) -> Forecaster:
    """The model with its weights, in eval mode; they lie beside this file."""
    model = Forecaster()
    load_model(model, path or Path(__file__).with_name("model.safetensors"))
    return model.eval()
'''
    )


def dense(name: str, inputs: int, units: int, **options) -> Dense:
    return Dense(name=name, kernel=weight(inputs, units), bias=weight(units), **options)


def test_the_same_model_gives_the_same_bytes():
    def text() -> str:
        return converter.to_torch_source(chain((None, None, 5), lstm("lstm", 5, 4)))

    assert text() == text()


def test_the_second_bias_is_zero_and_out_of_training():
    module = converter.to_torch(chain((None, None, 5), lstm("lstm", 5, 4)))
    assert not module.lstm.bias_hh_l0.any()
    assert not module.lstm.bias_hh_l0.requires_grad
    assert module.lstm.bias_ih_l0.requires_grad


def test_a_step_of_training_moves_the_one_bias_as_far_as_in_keras():
    # With both biases in training the sum of them would move twice as far.
    module = converter.to_torch(chain((None, None, 5), lstm("lstm", 5, 4))).train()
    before = module.lstm.bias_ih_l0 + module.lstm.bias_hh_l0
    before = before.detach().clone()
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=1.0)
    module(torch.ones(2, 3, 5)).sum().backward()
    gradient = module.lstm.bias_ih_l0.grad.clone()
    optimizer.step()
    after = module.lstm.bias_ih_l0 + module.lstm.bias_hh_l0
    torch.testing.assert_close(after, before - gradient)


def test_a_frozen_layer_is_frozen():
    model = chain((None, 5), dense("one", 5, 4, trainable=False), dense("two", 4, 1))
    module = converter.to_torch(model)
    assert [name for name, p in module.named_parameters() if p.requires_grad] == [
        "two.weight",
        "two.bias",
    ]
    assert "self.one.requires_grad_(False)  # trainable=False in Keras" in (
        converter.to_torch_source(model)
    )


def test_dropout_in_the_cell_is_in_front_of_it_or_a_module_of_its_own():
    model = chain((None, None, 5), lstm("lstm", 5, 4, dropout=0.2))
    text = converter.to_torch_source(model)
    assert "self.lstm = nn.LSTM(5, 4, batch_first=True)\n" in text
    assert "self.lstm_dropout = SharedDropout(0.2, (None, 1, None))\n" in text
    assert "self.lstm(self.lstm_dropout(x))" in text
    model = chain((None, None, 5), lstm("lstm", 5, 4, dropout=0.2, recurrent_dropout=0.1))
    text = converter.to_torch_source(model)
    assert "DropoutLSTM(\n            5, 4, input_rate=0.2, recurrent_rate=0.1" in text


def test_dropout_is_a_module_that_drops_in_training():
    layer = Dropout(name="dropout", noise=Noise.DROPOUT, rate=0.5)
    module = converter.to_torch(chain((None, 50), layer))
    x = torch.ones(4, 50)
    assert torch.equal(module(x), x)
    assert set(module.train()(x).unique().tolist()) == {0.0, 2.0}


def test_a_value_that_is_used_twice_is_not_computed_twice():
    x, once, activated, total = (Value(name, (None, 4)) for name in ["x", "once", "act", "sum"])
    model = Model(
        name="residual",
        inputs=(x,),
        calls=(
            Call(dense("once", 4, 4), (x,), (once,)),
            Call(Activate(name="act", activation=Activation("tanh")), (once,), (activated,)),
            Call(Combine(name="sum", combination=Combination.ADD), (once, activated), (total,)),
        ),
        outputs=(total,),
    )
    assert forward_of(model) == ["x = self.once(x)  # (batch, 4)", "return x + torch.tanh(x)"]


def test_a_scale_without_a_centre_has_a_frozen_centre():
    layer = BatchNormalization(
        name="norm",
        axes=(1,),
        gamma=weight(4),
        beta=None,
        moving_mean=weight(4),
        moving_variance=Weight.of(abs(weight(4).read()) + 1),
        epsilon=1e-3,
        momentum=0.9,
    )
    module = converter.to_torch(chain((None, 4), layer))
    assert not module.norm.bias.any()
    assert [name for name, p in module.named_parameters() if p.requires_grad] == ["norm.weight"]


def test_a_normalization_over_a_free_length_is_refused_by_name():
    layer = LayerNormalization(name="norm", axes=(1,), gamma=None, beta=None, epsilon=1e-3)
    with pytest.raises(UnsupportedError) as caught:
        converter.to_torch_source(chain((None, None, 4), layer))
    assert str(caught.value) == (
        "error[layer-norm-shape]: layer 'norm' cannot become an nn.LayerNorm\n"
        "  found: axes (1,) of shape (None, None, 4), of a free length\n"
        "  help:  normalize axes of a fixed length"
    )


@pytest.mark.parametrize(
    "name", ['"""', "a\nb", "\\", "x" * 500, "'", "é", "\u202e", "import os", "{}", "#"]
)
def test_no_name_of_a_file_reaches_the_source_as_code(name):
    layer = dense(name, 5, 2)
    x, y = Value(name, (None, 5)), Value("y", (None, 2))
    source = Source(path=f"{name}.keras", sha256="0" * 64)
    model = Model(
        name=name, inputs=(x,), calls=(Call(layer, (x,), (y,)),), outputs=(y,), source=source
    )
    plain = Model(name="m", inputs=(x,), calls=(Call(dense("d", 5, 2), (x,), (y,)),), outputs=(y,))
    text = converter.to_torch_source(model)
    compile(text, "model.py", "exec")
    assert len(text.splitlines()) <= len(converter.to_torch_source(plain).splitlines()) + 2
    x = torch.ones(1, 5)
    assert converter.to_torch(model)(x).shape == (1, 2)


def test_a_sequence_and_a_state_have_each_a_name_of_its_own():
    maker = Maker()
    x, y, z = (Value(name, (None, None, 3)) for name in "xyz")
    first = called(maker.gru("first", 3, 4, return_state=True), x)
    second = called(maker.gru("second", 3, 4, return_state=True), y)
    settings = {"return_state": True, "return_sequences": True}
    third = called(maker.gru("third", 3, 4, **settings), z, second.outputs[1])
    fourth = called(maker.gru("fourth", 3, 4), z, first.outputs[1])
    calls = [first, second, third, fourth]
    lines = forward_of(graph([x, y, z], calls, [*third.outputs, *fourth.outputs]))
    given = [line.split(" = ")[0].split(", ") for line in lines if " = " in line]
    assert len(given) == 4
    assert all(len(set(names)) == len(names) for names in given)
