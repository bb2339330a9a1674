"""What torch.nn cannot say: the text of a class is copied into a generated file that needs it.

Each stands alone: it uses torch, `nn`, `F`, `Tensor`, and what it derives from or calls here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn

States = tuple[Tensor, ...]
Bias = Tensor | None


class Recurrence(nn.Module):
    """The loop over the steps, for cells that nn.LSTM, nn.GRU and nn.RNN lack.

    Called like them, and with parameters of the same names. Gates are recurrent_activation of
    recurrent_slope times what others take. Eager, under torch.compile and
    torch.export; both unroll the loop for the length that they see.
    """

    gates: tuple[bool, ...] = (False,)  # those with recurrent_activation
    states = 1
    biases: tuple[str, ...] = ("bias_ih",)
    beside = "bias_hh"  # what a step takes as `bias`

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        batch_first: bool = False,
        bidirectional: bool = False,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        recurrent_slope: float = 1.0,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.batch_first = batch_first
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.recurrent_slope = recurrent_slope
        self.directions = ("_l0", "_l0_reverse") if bidirectional else ("_l0",)
        rows = len(self.gates) * hidden_size
        shapes = {"weight_ih": [rows, input_size], "weight_hh": [rows, hidden_size]}
        if bias:
            shapes |= {name: [rows] for name in self.biases}
        for direction in self.directions:
            for name, shape in shapes.items():
                parameter = nn.Parameter(torch.empty(shape))
                nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)
                self.register_parameter(name + direction, parameter)

    def step(self, x: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """The next state; x (batch, gates * hidden_size) is the input's product."""
        raise NotImplementedError

    def scan(self, steps: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """Each state after every step, (time, batch, hidden_size); the first is the output."""
        states = []
        for step in steps.unbind(0):
            state = self.step(step, state, weight, bias)
            states.append(state)
        return tuple(torch.stack(each) for each in zip(*states, strict=True))

    def folded(self) -> dict[str, Tensor]:
        """The parameters, with the slope in them: once, rather than at every step."""
        own: dict[str, Tensor] = dict(self.named_parameters(recurse=False))
        if self.recurrent_slope == 1:
            return own
        slopes = [self.recurrent_slope if gate else 1 for gate in self.gates]
        slope = own["weight_hh_l0"].new_tensor(slopes)
        slope = slope.repeat_interleave(self.hidden_size)
        matrix = slope.unsqueeze(1)
        for name, one in own.items():
            own[name] = one * (matrix if one.dim() == 2 else slope)
        return own

    def put_back(
        self,
        states: States,
        start: States,
        mask: Tensor,
        from_state: bool,
    ) -> tuple[Tensor, States]:
        """The outputs of the steps that count where these belong, and the last state."""
        index = mask.cumsum(1) - 1
        before, index = (index < 0).unsqueeze(2), index.clamp(min=0)
        rows = torch.arange(mask.shape[0], device=mask.device)
        first = start[0].unsqueeze(1) if from_state else 0
        outputs = torch.where(before, first, states[0][index.T, rows].transpose(0, 1))
        pairs = zip(start, states, strict=True)
        at = index[:, -1]
        last = [torch.where(before[:, -1], old, new[at, rows]) for old, new in pairs]
        return outputs, tuple(last)

    def read(
        self,
        x: Tensor,
        state: States,
        direction: str,
        mask: Tensor | None,
        from_state: bool,
    ) -> tuple[Tensor, States]:
        """The outputs of one direction, (batch, time, hidden_size), and its last state."""
        backwards = direction.endswith("_reverse")
        if backwards:
            x, mask = x.flip(1), None if mask is None else mask.flip(1)
        if mask is not None:  # the steps that count are moved to the front
            rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
            x = x[rows, (~mask).byte().argsort(dim=1, stable=True)]
        own = self.folded()
        weight, bias = own["weight_hh" + direction], own.get(self.beside + direction)
        steps = F.linear(
            x,
            own["weight_ih" + direction],
            own.get("bias_ih" + direction),
        )
        states = self.scan(steps.transpose(0, 1), state, weight, bias)
        if mask is None:
            outputs, last = states[0].transpose(0, 1), tuple(one[-1] for one in states)
        else:
            outputs, last = self.put_back(states, state, mask, from_state)
        return outputs.flip(1) if backwards else outputs, last

    def forward(
        self,
        x: Tensor,
        initial: Tensor | tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        from_state: bool = False,
    ) -> tuple[Tensor, Tensor | States]:
        """As nn.LSTM: (sequence, (h, c)); or as nn.GRU: (sequence, h).

        A step whose mask is False leaves the state and repeats the output before it: zeros where
        there is none, or with `from_state` the initial h.
        """
        if not self.batch_first:
            x, mask = x.transpose(0, 1), None if mask is None else mask.transpose(0, 1)
        if initial is None:
            zeros = x.new_zeros(len(self.directions), x.shape[0], self.hidden_size)
            initial = (zeros, zeros) if self.states == 2 else zeros
        each = (initial,) if isinstance(initial, Tensor) else initial
        starts = list(zip(*each, strict=True))
        pairs = zip(starts, self.directions, strict=True)
        read = [self.read(x, *pair, mask, from_state) for pair in pairs]
        parts = [outputs for outputs, _ in read]
        sequence = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        sequence = sequence if self.batch_first else sequence.transpose(0, 1)
        ends = [state for _, state in read]
        last = [torch.stack([end[k] for end in ends]) for k in range(self.states)]
        return sequence, (last[0], last[1]) if self.states == 2 else last[0]


class ActivatedLSTM(Recurrence):
    """nn.LSTM with other activations than tanh and sigmoid, and one bias."""

    gates = (True, True, False, True)
    states = 2

    def step(self, x: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """Gates i, f, g, o."""
        h, c = state
        i, f, g, o = torch.addmm(x, h, weight.T).chunk(4, 1)
        i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
        c = f * c + i * self.activation(g)
        return o * self.activation(c), c

    def scan(self, steps: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """Without gradients in place: no step takes memory, or slices it."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return super().scan(steps, state, weight, bias)
        h, c = state
        outputs, cells = steps.new_empty(2, steps.shape[0], *h.shape)
        product = steps.new_empty(steps.shape[1:])
        gates = product.view(product.shape[0], 4, -1)
        ready = torch.empty_like(gates)
        (i, f, _, o), g = ready.unbind(1), gates[:, 2]
        weight = weight.T
        each = (steps.unbind(0), outputs.unbind(0), cells.unbind(0))
        for step, output, cell in zip(*each, strict=True):
            torch.addmm(step, h, weight, out=product)
            ready.copy_(self.recurrent_activation(gates))
            c = torch.mul(c, f, out=cell).addcmul_(i, self.activation(g))
            h = torch.mul(o, self.activation(c), out=output)
        return outputs, cells


class ActivatedGRU(Recurrence):
    """nn.GRU with other activations than tanh and sigmoid."""

    gates = (True, True, False)
    biases = ("bias_ih", "bias_hh")

    def step(self, x: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """Gates r, z, n; the reset gate is applied after the product."""
        (h,) = state
        x_r, x_z, x_n = x.chunk(3, 1)
        h_r, h_z, h_n = F.linear(h, weight, bias).chunk(3, 1)
        r = self.recurrent_activation(x_r + h_r)
        z = self.recurrent_activation(x_z + h_z)
        n = self.activation(x_n + r * h_n)
        return (z * h + (1 - z) * n,)


class ResetBeforeGRU(Recurrence):
    """A GRU that applies the reset gate before the product (reset_after=False), with one bias."""

    gates = (True, True, False)

    def step(self, x: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """Gates r, z, n."""
        (h,) = state
        size = 2 * self.hidden_size
        r, z = torch.addmm(x[:, :size], h, weight[:size].T).chunk(2, 1)
        r, z = self.recurrent_activation(r), self.recurrent_activation(z)
        n = self.activation(torch.addmm(x[:, size:], r * h, weight[size:].T))
        return (z * h + (1 - z) * n,)


class ActivatedRNN(Recurrence):
    """nn.RNN with another activation than tanh and relu, and one bias."""

    def step(self, x: Tensor, state: States, weight: Tensor, bias: Bias) -> States:
        """One gate."""
        return (self.activation(torch.addmm(x, state[0], weight.T)),)


def masked(
    module: nn.RNNBase,
    x: Tensor,
    mask: Tensor,
    initial: Tensor | tuple[Tensor, ...] | None = None,
    from_state: bool = False,
    keep_c: bool = False,
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """A recurrent module over the steps whose mask (batch, time) is True: (sequence, h).

    As in Keras, a step that is skipped leaves the state and repeats the output before it. Where
    there is none before it that is zeros, or with `from_state` the initial h. The steps that
    count are moved to the front, run in one call, and their outputs spread to where they belong.
    With `keep_c`, for an LSTM: (sequence, (h, c)).

    Eager, under torch.compile and torch.export, as the module alone: torch.compile leaves the
    loop outside of its graph, torch.export unrolls it for the length that it sees.
    """
    if not module.batch_first:
        x, mask = x.transpose(0, 1), mask.transpose(0, 1)
    run = getattr(torch, module.mode.lower())  # torch.lstm, gru, rnn_tanh or rnn_relu
    if initial is None:
        initial = x.new_zeros(len(module.all_weights), x.shape[0], module.hidden_size)
        initial = (initial, initial) if module.mode == "LSTM" else initial
    starts = initial if isinstance(initial, tuple) else (initial,)
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    sequences, ends = [], []
    for k, own in enumerate(module.all_weights):
        weights: Sequence[Tensor] = [weight.to(x.dtype) for weight in own]
        # Backwards is forwards through what is turned round.
        steps, counts = (x.flip(1), mask.flip(1)) if k else (x, mask)
        steps = steps[rows, (~counts).byte().argsort(dim=1, stable=True)]
        if keep_c:
            steps, weights = hold_c(steps, counts, weights)
        start = [one[k : k + 1] for one in starts]
        state = tuple(start) if module.mode == "LSTM" else start[0]
        options = (module.bias, 1, 0.0, module.training, False, True)
        outputs, *last = run(steps, state, weights, *options)
        index = counts.cumsum(1) - 1
        first = start[0].transpose(0, 1) if from_state else 0
        outputs = outputs[rows, index.clamp(min=0)]
        outputs = torch.where(index.unsqueeze(2) >= 0, outputs, first)
        last[0] = torch.where(counts.any(1, keepdim=True), outputs[:, -1], start[0])
        sequences.append(outputs.flip(1) if k else outputs)
        ends.append(last)
    sequence = torch.cat(sequences, 2)
    sequence = sequence if module.batch_first else sequence.transpose(0, 1)
    h = torch.cat([last[0] for last in ends])
    return sequence, (h, torch.cat([last[1] for last in ends])) if keep_c else h


def hold_c(
    steps: Tensor,
    counts: Tensor,
    weights: Sequence[Tensor],
) -> tuple[Tensor, Sequence[Tensor]]:
    """An LSTM's input and weights that leave c as it is behind the steps that count.

    One more feature, 1 there, shuts the gate i and opens f beyond what rounds to 0 and 1.
    """
    weight = weights[0]
    shut = torch.finfo(weight.dtype).max / 4
    gates = weight.new_tensor([-shut, shut, 0, 0]).unsqueeze(1)
    feature = gates.repeat_interleave(weight.shape[0] // 4, 0)
    index = torch.arange(steps.shape[1], device=steps.device)
    behind = index >= counts.sum(1, keepdim=True)
    steps = torch.cat([steps, behind.unsqueeze(2).to(steps.dtype)], 2)
    return steps, [torch.cat([weight, feature], 1), *weights[1:]]


def masked_mean(x: Tensor, mask: Tensor, axis: int, keepdim: bool = False) -> Tensor:
    """The mean over the steps whose mask (batch, time) is True; NaN where there are none."""
    counts = mask.unsqueeze(2 if axis == 1 else 1)
    total = torch.where(counts, x, 0).sum(axis, keepdim=keepdim)
    return total / counts.sum(axis, keepdim=keepdim)


def masked_product(xs: tuple[Tensor, ...], masks: tuple[Tensor | None, ...]) -> Tensor:
    """As Keras multiplies: a masked step of a factor is 1; one that is masked in all gives 0."""
    product = torch.ones_like(xs[0])
    for x, mask in zip(xs, masks, strict=True):
        factor = x if mask is None else torch.where(mask.unsqueeze(-1), x, 1)
        product = product * factor
    known = [mask for mask in masks if mask is not None]
    if len(known) < len(masks):
        return product
    return torch.where(torch.stack(known).any(0).unsqueeze(-1), product, 0)


def masked_extreme(
    extreme: Callable[[Tensor, Tensor], Tensor],
    xs: tuple[Tensor, ...],
    masks: tuple[Tensor | None, ...],
) -> Tensor:
    """torch.maximum or minimum, as Keras takes them: of the inputs that are not masked."""
    result, some = xs[0], masks[0]
    for x, mask in zip(xs[1:], masks[1:], strict=True):
        other = x if mask is None else torch.where(mask.unsqueeze(-1), x, result)
        if some is not None:
            result = torch.where(some.unsqueeze(-1), result, other)
        some = None if mask is None or some is None else some | mask
        result = extreme(result, other)
    return result


class GaussianNoise(nn.Module):
    """Adds noise of a standard deviation in training, and nothing in eval mode."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """Of x, of any shape."""
        return x + torch.randn_like(x) * self.deviation if self.training else x


class GaussianDropout(nn.Module):
    """Multiplies by noise of mean 1 and variance rate / (1 - rate) in training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.deviation = (rate / (1 - rate)) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Of x, of any shape."""
        return x * (1 + torch.randn_like(x) * self.deviation) if self.training else x


class SharedDropout(nn.Module):
    """Dropout whose mask is shared along the axes where `shape` has 1; None is the input's."""

    def __init__(self, rate: float, shape: tuple[int | None, ...]) -> None:
        super().__init__()
        self.rate = rate
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Of x, of as many axes as `shape`."""
        sizes = [n or x.shape[axis] for axis, n in enumerate(self.shape)]
        return x * F.dropout(x.new_ones(sizes), self.rate, self.training)


class ElementPReLU(nn.Module):
    """nn.PReLU with a slope for each element of an example, or shared along some axes."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Of x (batch, *shape), or broadcast to it."""
        return torch.relu(x) - self.weight * torch.relu(-x)


def pad_same(
    x: Tensor,
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    value: float = 0.0,
    dilations: tuple[int, ...] | None = None,
) -> Tensor:
    """Padding "same" for any length: ceil(n / stride) windows, the odd element at the end."""
    amounts: list[int] = []
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        n = x.shape[axis + 2]
        window = (dilations[axis] if dilations else 1) * (size - 1) + 1
        total = max((-(-n // stride) - 1) * stride + window - n, 0)
        amounts = [total // 2, total - total // 2, *amounts]
    return F.pad(x, amounts, value=value)


class SameAvgPool(nn.Module):
    """Average pooling with padding "same", which counts no padding."""

    def __init__(self, sizes: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.strides = strides

    def forward(self, x: Tensor) -> Tensor:
        """Of x (batch, channels, ...)."""
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(self.sizes) - 1]
        mean, part = (
            pool(pad_same(each, self.sizes, self.strides), self.sizes, self.strides)
            for each in (x, torch.ones_like(x))
        )
        return mean / part


def sparsemax(x: Tensor, axis: int) -> Tensor:
    """As Keras computes it: the cumulative sums of the support are added up."""
    ordered, _ = x.sort(axis, descending=True)
    sums = ordered.cumsum(axis)
    shape = [1] * x.dim()
    shape[axis] = -1
    k = torch.arange(1, x.shape[axis] + 1, device=x.device, dtype=x.dtype).view(shape)
    support = ordered - (sums - 1) / k > 0
    size = support.sum(axis, keepdim=True)
    tau = ((sums * support).sum(axis, keepdim=True) - 1) / size
    return torch.relu(x - tau)
