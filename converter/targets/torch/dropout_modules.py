"""Recurrent modules with Keras's dropout; their text is copied as that of modules.py is."""

# mypy: disable-error-code="misc, no-any-return, no-untyped-call, override"
# `forward` takes a mask as well, which nn.LSTM's does not; torch leaves `unflatten` untyped.

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn

from converter.targets.torch.modules import (
    ActivatedGRU,
    ActivatedLSTM,
    ActivatedRNN,
    ResetBeforeGRU,
    States,
    masked,
)

Own = dict[str, Tensor]


class RecurrentDropout(nn.Module):
    """In front of a recurrent module: drops its inputs and states in training, as Keras does.

    What is dropped is drawn once for a sequence, by `each_gate` for each gate on its own, or of
    the input by `each_step` for each step. In eval mode it is the module itself.
    """

    states = 1
    activation: Callable[[Tensor], Tensor] = staticmethod(torch.tanh)
    recurrent_activation: Callable[[Tensor], Tensor] = staticmethod(torch.sigmoid)
    recurrent_slope: float = 1.0
    hidden_size: int
    batch_first: bool

    def __init__(
        self,
        *sizes: int,
        input_rate: float = 0.0,
        recurrent_rate: float = 0.0,
        each_gate: bool = False,
        each_step: bool = False,
        **options: object,
    ) -> None:
        super().__init__(*sizes, **options)
        self.input_rate = input_rate
        self.recurrent_rate = recurrent_rate
        self.each_gate = each_gate
        self.each_step = each_step

    def cell(self, x: Tensor, old: States, dropped: Tensor, own: Own) -> States:
        """The next state; x (gates, batch, hidden_size) is the input's product.

        `dropped` is h as each gate sees it, or as all do.
        """
        raise NotImplementedError

    def product(self, dropped: Tensor, own: Own) -> Tensor:
        """Of h, for each gate."""
        product = dropped @ own["weight_hh"].transpose(1, 2)
        return product + own["bias_hh"].unsqueeze(1) if "bias_hh" in own else product

    def gate(self, x: Tensor) -> Tensor:
        """The activation of a gate."""
        return self.recurrent_activation(self.recurrent_slope * x)

    def forward(
        self,
        x: Tensor,
        initial: Tensor | States | None = None,
        mask: Tensor | None = None,
        from_state: bool = False,
    ) -> tuple[Tensor, Tensor | States]:
        """As the module itself, with a mask (batch, time) of the steps that count."""
        if not self.training:
            if not isinstance(self, nn.RNNBase):
                return super().forward(x, initial, mask, from_state)
            if mask is None:
                return super().forward(x, initial)
            keep_c = self.states == 2
            return masked(self, x, mask, initial, from_state, keep_c)
        if self.batch_first:
            x, mask = x.transpose(0, 1), None if mask is None else mask.transpose(0, 1)
        both = hasattr(self, "weight_ih_l0_reverse")
        suffixes = ("_l0", "_l0_reverse") if both else ("_l0",)
        if initial is None:
            zeros = x.new_zeros(len(suffixes), x.shape[1], self.hidden_size)
            initial = (zeros, zeros) if self.states == 2 else zeros
        starts = (initial,) if isinstance(initial, Tensor) else initial
        sequences, ends = [], []
        for k, suffix in enumerate(suffixes):
            steps, counts = x, mask
            if k:
                steps, counts = x.flip(0), None if mask is None else mask.flip(0)
            start = tuple(one[k] for one in starts)
            outputs, last = self.read_dropping(steps, start, suffix, counts, from_state)
            sequences.append(outputs.flip(0) if k else outputs)
            ends.append(last)
        sequence = torch.cat(sequences, -1)
        sequence = sequence.transpose(0, 1) if self.batch_first else sequence
        states = tuple(torch.stack(each) for each in zip(*ends, strict=True))
        return sequence, states if self.states == 2 else states[0]

    def read_dropping(
        self,
        x: Tensor,
        state: States,
        suffix: str,
        mask: Tensor | None,
        from_state: bool,
    ) -> tuple[Tensor, States]:
        """The outputs of one direction in the order of reading, and its last state."""
        own = {
            name.removesuffix(suffix): one.unflatten(0, (-1, self.hidden_size))
            for name, one in self.named_parameters()
            if name.endswith(("ih" + suffix, "hh" + suffix))
        }
        count = own["weight_ih"].shape[0] if self.each_gate else 1
        steps = x.shape[0] if self.each_step else 1
        kept = F.dropout(x.new_ones(count, steps, *x.shape[1:]), self.input_rate)
        products = (x * kept) @ own["weight_ih"].transpose(1, 2).unsqueeze(1)
        if "bias_ih" in own:
            products = products + own["bias_ih"].unsqueeze(1).unsqueeze(1)
        held = F.dropout(x.new_ones(count, *state[0].shape), self.recurrent_rate)
        output = state[0] if from_state else torch.zeros_like(state[0])
        outputs = []
        for k, step in enumerate(products.unbind(1)):
            new = self.cell(step, state, state[0] * held, own)
            if mask is None:
                state, output = new, new[0]
            else:
                now = mask[k].unsqueeze(1)
                output = torch.where(now, new[0], output)
                pairs = zip(new, state, strict=True)
                state = tuple(torch.where(now, *pair) for pair in pairs)
            outputs.append(output)
        return torch.stack(outputs), state


class LSTMDropout(RecurrentDropout):
    """Of an LSTM; gates i, f, g, o."""

    states = 2

    def cell(self, x: Tensor, old: States, dropped: Tensor, own: Own) -> States:
        """The next h and c."""
        i, f, g, o = x + self.product(dropped, own)
        c = self.gate(f) * old[1] + self.gate(i) * self.activation(g)
        return self.gate(o) * self.activation(c), c


class GRUDropout(RecurrentDropout):
    """Of a GRU that applies the reset gate after the product; gates r, z, n."""

    def cell(self, x: Tensor, old: States, dropped: Tensor, own: Own) -> States:
        """The next h."""
        h_r, h_z, h_n = self.product(dropped, own)
        r, z = self.gate(x[0] + h_r), self.gate(x[1] + h_z)
        n = self.activation(x[2] + r * h_n)
        h = old[0] if self.each_gate else dropped[0]
        return (z * h + (1 - z) * n,)


class ResetBeforeDropout(RecurrentDropout):
    """Of a GRU that applies the reset gate before the product; gates r, z, n."""

    def cell(self, x: Tensor, old: States, dropped: Tensor, own: Own) -> States:
        """The next h."""
        h_r, h_z, _ = self.product(dropped, own)
        r, z = self.gate(x[0] + h_r), self.gate(x[1] + h_z)
        n = self.activation(x[2] + (r * dropped[-1]) @ own["weight_hh"][2].T)
        h = old[0] if self.each_gate else dropped[0]
        return (z * h + (1 - z) * n,)


class RNNDropout(RecurrentDropout):
    """Of a simple RNN."""

    def cell(self, x: Tensor, old: States, dropped: Tensor, own: Own) -> States:
        """The next h."""
        return (self.activation((x + self.product(dropped, own))[0]),)


class DropoutLSTM(LSTMDropout, nn.LSTM):
    """nn.LSTM with Keras's dropout."""


class DropoutGRU(GRUDropout, nn.GRU):
    """nn.GRU with Keras's dropout."""


class DropoutRNN(RNNDropout, nn.RNN):
    """nn.RNN with Keras's dropout."""

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        """As nn.RNN says it."""
        return torch.relu if self.nonlinearity == "relu" else torch.tanh


class DropoutActivatedLSTM(LSTMDropout, ActivatedLSTM):
    """ActivatedLSTM with Keras's dropout."""


class DropoutActivatedGRU(GRUDropout, ActivatedGRU):
    """ActivatedGRU with Keras's dropout."""


class DropoutResetBeforeGRU(ResetBeforeDropout, ResetBeforeGRU):
    """ResetBeforeGRU with Keras's dropout."""


class DropoutActivatedRNN(RNNDropout, ActivatedRNN):
    """ActivatedRNN with Keras's dropout."""
