"""Dropout of recurrent layers in training: with the masks that Keras drew, its answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import converter
from converter.description import (
    ConvDirection,
    ConvLSTM,
    Direction,
    Drops,
    Model,
    Recurrent,
)
from converter.gates import Cell
from tests.cells.answers import distance

EXACT, SHOWS = 1e-12, 1e-2
"""Of the largest output, in float64: rounding over 5 steps is below 1e-14."""

NAMES = (
    "both", "both_input", "cell", "cell_input", "conv", "conv_both", "conv_input", "conv_state",
    "gru", "gru_before", "gru_hard", "gru_input", "lstm", "lstm_hard", "lstm_hard_input",
    "lstm_input", "lstm_state", "masked", "masked_both", "masked_input", "no_bias", "rnn",
    "rnn_input", "rnn_relu",
)  # fmt: skip

SAVED = [("keras", name) for name in NAMES] + [
    ("tf_keras", name) for name in (*NAMES, "one_by_one", "one_by_one_gru")
]


class Saved:
    """A saved model, and what Keras did with it in training."""

    def __init__(self, folder: Path, who: str, name: str) -> None:
        with np.load(folder / who / f"{name}.npz") as file:
            self.arrays: dict[str, Any] = dict(file)
        self.path = folder / who / f"{name}.{'keras' if who == 'keras' else 'h5'}"
        self.model = converter.read(self.path)
        kinds = ConvLSTM | Recurrent
        (self.layer,) = (one for one in self.model.layers if isinstance(one, kinds))

    @property
    def masks(self) -> list[np.ndarray]:
        return [self.arrays[f"mask{k}"] for k in range(len(self.arrays) - 3)]

    def queue(self) -> Iterator[np.ndarray]:
        """The masks as the module asks for them: of a direction the input's, then the state's."""
        drawn = iter(self.masks)
        for direction in self.layer.directions:
            if isinstance(direction, ConvDirection):
                for rate in (direction.dropout, direction.recurrent_dropout):
                    masks = [next(drawn) for _ in range(4)] if rate else []
                    if masks:
                        yield np.concatenate([np.moveaxis(one, -1, 1) for one in masks], 1)
                continue
            if direction.dropout:
                yield self._input(drawn, direction)
            if direction.recurrent_dropout:
                mask = self._taken(drawn, direction)
                yield mask if mask.ndim == 3 else mask[np.newaxis]

    def _input(self, drawn: Iterator[np.ndarray], direction: Direction) -> np.ndarray:
        """(gates or 1, steps or 1, batch, features), in the order of reading."""
        mask = self._taken(drawn, direction)
        match direction.drops:
            case Drops.GATE:
                return mask[:, np.newaxis]
            case Drops.STEP:
                steps = mask[:, ::-1] if direction.go_backwards else mask
                return steps.swapaxes(0, 1)[np.newaxis]
        return mask[np.newaxis, np.newaxis]

    def _taken(self, drawn: Iterator[np.ndarray], direction: Direction) -> np.ndarray:
        """One mask, or those of the gates in PyTorch's order; tf.keras draws more than it uses."""
        gates = {Cell.LSTM: [0, 1, 2, 3], Cell.RNN: [0]}.get(direction.cell, [1, 0, 2])
        if direction.drops is Drops.GATE:
            masks = [next(drawn) for _ in gates]
            return np.stack([masks[gate] for gate in gates])
        first = next(drawn)
        if self.path.suffix == ".h5":
            for _ in gates[1:]:
                next(drawn)
        return first

    def trained(self, monkeypatch: pytest.MonkeyPatch, model: Model | None = None) -> float:
        """How far the module in training is from Keras, with Keras's masks."""
        module = converter.to_torch(model or self.model).double().train()
        masks = self.queue()

        def dropout(
            x: torch.Tensor, p: float, training: bool = True, _inplace: bool = False
        ) -> torch.Tensor:
            if not (p and training):
                return x
            mask = torch.from_numpy(next(masks).copy())
            if isinstance(self.layer, ConvLSTM):
                return x * mask.reshape(x.shape)
            # In front of a module: (batch, steps or 1, features).
            return x * (mask[0].transpose(0, 1) if mask.dim() == 4 > x.dim() else mask)

        monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
        answer = module(torch.from_numpy(self.arrays["x"]))
        assert next(masks, None) is None
        return distance(answer.detach().numpy(), [self.arrays["answer"]])


@pytest.mark.parametrize(("who", "name"), SAVED)
def test_the_module_drops_what_keras_drops(
    dropped: Path, who: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Saved(dropped, who, name)
    assert saved.trained(monkeypatch) < EXACT
    module = converter.to_torch(saved.model).double()
    with torch.inference_mode():
        quiet = module(torch.from_numpy(saved.arrays["x"])).numpy()
    assert distance(quiet, [saved.arrays["quiet"]]) < EXACT
    assert distance(quiet, [saved.arrays["answer"]]) > SHOWS


@pytest.mark.parametrize(
    ("who", "name", "drops"),
    [
        ("keras", "lstm_input", Drops.SEQUENCE),
        ("keras", "lstm_hard_input", Drops.SEQUENCE),
        ("keras", "lstm_state", Drops.GATE),
        ("keras", "gru", Drops.GATE),
        ("keras", "rnn", Drops.SEQUENCE),
        ("tf_keras", "lstm_input", Drops.STEP),
        ("tf_keras", "no_bias", Drops.SEQUENCE),
        ("tf_keras", "cell_input", Drops.SEQUENCE),
        ("tf_keras", "one_by_one", Drops.GATE),
    ],
)
def test_masks_are_drawn_for_what_that_keras_draws_them(
    dropped: Path, who: str, name: str, drops: Drops
) -> None:
    saved = Saved(dropped, who, name)
    assert isinstance(saved.layer, Recurrent)
    assert saved.layer.forward.drops is drops
    shapes = {mask.ndim for mask in saved.masks}
    assert shapes == ({3} if drops is Drops.STEP else {2})


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_before", "both", "masked", "conv"])
def test_masks_of_gates_that_are_exchanged_show(
    dropped: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Saved(dropped, "keras", name)
    last = len(saved.masks) - 1
    for one, other in ((0, 1), (last - 1, last)):
        wrong = Saved(dropped, "keras", name)
        names = f"mask{one}", f"mask{other}"
        wrong.arrays |= {names[0]: saved.arrays[names[1]], names[1]: saved.arrays[names[0]]}
        assert wrong.trained(monkeypatch) > SHOWS


@pytest.mark.parametrize("name", ["lstm", "gru_before", "both_input", "rnn", "conv"])
def test_gradients_flow_through_what_is_kept(dropped: Path, name: str) -> None:
    module = converter.to_torch(Saved(dropped, "keras", name).model).double().train()
    x = torch.from_numpy(Saved(dropped, "keras", name).arrays["x"]).requires_grad_()

    def seeded(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        answer: torch.Tensor = module(x)
        return answer

    assert torch.autograd.gradcheck(seeded, (x,), fast_mode=True)
    seeded(x).sum().backward()
    trained = [one for one in module.parameters() if one.requires_grad]
    assert all(one.grad is not None and one.grad.any() for one in trained)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_a_part_is_dropped_and_the_rest_is_larger(dropped: Path) -> None:
    saved = Saved(dropped, "keras", "rnn_input")
    module = converter.to_torch(saved.model).train()
    drop = module.get_submodule(next(n for n, _ in module.named_children() if "dropout" in n))
    torch.manual_seed(0)
    kept = drop(torch.ones(20_000, 5, 3))
    assert torch.equal(kept, kept[:, :1].expand(-1, 5, -1))  # the same at every step
    assert abs(float((kept == 0).float().mean()) - 0.4) < 0.01  # 60,000 draws
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.6])


def test_without_rates_nothing_of_it_is_written(dropped: Path) -> None:
    saved = Saved(dropped, "keras", "lstm")
    assert isinstance(saved.layer, Recurrent)
    layer = replace(
        saved.layer, forward=replace(saved.layer.forward, dropout=0.0, recurrent_dropout=0.0)
    )
    calls = tuple(replace(call, layer=layer) for call in saved.model.calls)
    text = converter.to_torch_source(replace(saved.model, calls=calls))
    assert "nn.LSTM(3, 4, batch_first=True)" in text
    assert "rop" not in text.replace("Copyright", "")
    assert "DropoutLSTM(3, 4, input_rate=0.4" in " ".join(
        converter.to_torch_source(saved.model).split()
    ).replace("DropoutLSTM( ", "DropoutLSTM(")
