"""The classes that are copied into generated files, beside torch.nn where it has the same."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from converter.targets.torch import modules
from converter.targets.torch.mixed_modules import Mixed

CELLS = {
    "LSTM": (nn.LSTM, modules.ActivatedLSTM),
    "GRU": (nn.GRU, modules.ActivatedGRU),
    "RNN": (nn.RNN, modules.ActivatedRNN),
}


@pytest.fixture(autouse=True)
def _double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def same_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Their weights in ours; where ours has one bias, theirs is the input's alone."""
    state = theirs.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(torch.randn_like(tensor))
            if name not in ours.state_dict():
                tensor.zero_()
    ours.load_state_dict({name: state[name] for name in ours.state_dict()})


def states(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_cell_class_with_tanh_and_sigmoid_is_torchs_own(cell, bidirectional, batch_first, bias):
    kind, own = CELLS[cell]
    options = {"batch_first": batch_first, "bidirectional": bidirectional, "bias": bias}
    theirs, ours = kind(3, 4, **options), own(3, 4, **options)
    same_weights(theirs, ours)
    x = torch.randn(2, 5, 3)
    (sequence, last), (expected, expected_last) = ours(x), theirs(x)
    torch.testing.assert_close(sequence, expected, rtol=0, atol=1e-14)
    for one, other in zip(states(last), states(expected_last), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_cell_class_takes_initial_states_as_torch_does(cell, bidirectional):
    kind, own = CELLS[cell]
    theirs, ours = (one(3, 4, bidirectional=bidirectional) for one in (kind, own))
    same_weights(theirs, ours)
    x, h, c = torch.randn(5, 2, 3), *torch.randn(2, 1 + bidirectional, 2, 4)
    initial = (h, c) if cell == "LSTM" else h
    torch.testing.assert_close(ours(x, initial)[0], theirs(x, initial)[0], rtol=0, atol=1e-14)
    assert not torch.allclose(ours(x, initial)[0], ours(x)[0])


def test_another_activation_is_another_answer():
    x = torch.randn(2, 5, 3)
    one = modules.ActivatedLSTM(3, 4)
    other = modules.ActivatedLSTM(3, 4, activation=torch.relu)
    other.load_state_dict(one.state_dict())
    assert not torch.allclose(one(x)[0], other(x)[0])


def test_the_reset_gate_of_a_reset_before_gru_is_in_the_product():
    gru = modules.ResetBeforeGRU(3, 4, batch_first=True)
    x = torch.randn(2, 1, 3)
    h = torch.randn(1, 2, 4)
    sequence, _ = gru(x, h)
    own = gru.state_dict()
    product = F.linear(x[:, 0], own["weight_ih_l0"], own["bias_ih_l0"])
    r, z, n = own["weight_hh_l0"].chunk(3)
    x_r, x_z, x_n = product.chunk(3, 1)
    reset, update = torch.sigmoid(x_r + h[0] @ r.T), torch.sigmoid(x_z + h[0] @ z.T)
    new = torch.tanh(x_n + (reset * h[0]) @ n.T)
    expected = update * h[0] + (1 - update) * new
    torch.testing.assert_close(sequence[:, 0], expected, rtol=0, atol=1e-14)
    after = torch.tanh(x_n + reset * (h[0] @ n.T))
    assert not torch.allclose(sequence[:, 0], update * h[0] + (1 - update) * after)


def test_a_slope_is_that_of_the_gates_alone():
    def steeper(x):
        return F.hardsigmoid(1.2 * x)

    x = torch.randn(2, 5, 3)
    for kind in (modules.ActivatedLSTM, modules.ActivatedGRU, modules.ResetBeforeGRU):
        one = kind(3, 4, recurrent_activation=steeper)
        other = kind(3, 4, recurrent_activation=F.hardsigmoid, recurrent_slope=1.2)
        usual = kind(3, 4, recurrent_activation=F.hardsigmoid)
        for module in (other, usual):
            module.load_state_dict(one.state_dict())
        torch.testing.assert_close(other(x)[0], one(x)[0], rtol=0, atol=1e-14)
        assert not torch.allclose(usual(x)[0], one(x)[0])


@pytest.mark.parametrize(
    "activations",
    [
        {"recurrent_activation": F.hardsigmoid},
        {"activation": F.softsign, "recurrent_activation": lambda x: x.softmax(-1)},
        {"activation": lambda x: x, "recurrent_activation": lambda x: x},  # the same memory
    ],
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_without_gradients_is_the_one_with_them(activations, bidirectional):
    lstm = modules.ActivatedLSTM(3, 4, bidirectional=bidirectional, **activations)
    x, initial = torch.randn(5, 2, 3), tuple(torch.randn(2, 1 + bidirectional, 2, 4))
    kept = [one.clone() for one in initial]
    expected, ends = lstm(x, initial)
    with torch.no_grad():
        sequence, last = lstm(x, initial)
    for one, other in zip((sequence, *last), (expected, *ends), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
    assert all(torch.equal(one, other) for one, other in zip(kept, initial, strict=True))


COUNTS = torch.tensor(
    [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1],
        [1, 0, 1, 0, 1],
        [0, 0, 0, 0, 0],
    ],
    dtype=torch.bool,
)


def step_by_step(module, x, mask, initial, from_state):
    """A sequence and the last states by one call for each example and step."""
    sequences, lasts = [], []
    for k in range(1 + module.bidirectional):
        one = type(module)(module.input_size, module.hidden_size, batch_first=True)
        suffix = "_reverse" if k else ""
        own = module.state_dict()
        one.load_state_dict({name: own[name + suffix] for name in one.state_dict()})
        rows, ends = [], []
        for example in range(len(x)):
            state = tuple(start[k : k + 1, example : example + 1] for start in initial)
            output = state[0][0, 0] if from_state else torch.zeros(module.hidden_size)
            outputs = [None] * x.shape[1]
            for t in range(x.shape[1])[:: -1 if k else 1]:
                if mask[example, t]:
                    given = state if len(state) == 2 else state[0]
                    result, last = one(x[example : example + 1, t : t + 1], given)
                    output, state = result[0, 0], states(last)
                outputs[t] = output
            rows.append(torch.stack(outputs))
            ends.append([each[0, 0] for each in state])
        sequences.append(torch.stack(rows))
        lasts.append([torch.stack(each) for each in zip(*ends, strict=True)])
    return torch.cat(sequences, -1), [torch.stack(each) for each in zip(*lasts, strict=True)]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("from_state", [False, True])
def test_a_masked_module_reads_the_steps_that_count_alone(kind, bidirectional, from_state):
    module = kind(3, 4, batch_first=True, bidirectional=bidirectional)
    x, initial = torch.randn(5, 5, 3), tuple(torch.randn(2, 1 + bidirectional, 5, 4))
    initial = initial if kind is nn.LSTM else initial[:1]
    expected, ends = step_by_step(module, x, COUNTS, initial, from_state)
    given = initial if kind is nn.LSTM else initial[0]
    keep = {"keep_c": True} if kind is nn.LSTM else {}
    sequence, last = modules.masked(module, x, COUNTS, given, from_state, **keep)
    for one, other in zip((sequence, *states(last)), (expected, *ends), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
    assert torch.allclose(modules.masked(module, x, COUNTS, given, from_state)[0], sequence)
    for wrong in (COUNTS.flip(0), COUNTS.flip(1), torch.ones_like(COUNTS)):
        found, _ = modules.masked(module, x, wrong, given, from_state)
        assert not torch.allclose(found, expected)


def test_an_lstm_keeps_c_in_float32_whatever_is_behind():
    lstm = nn.LSTM(3, 4, batch_first=True).float()
    x = 1e4 * torch.randn(5, 5, 3, dtype=torch.float32)
    other = torch.where(COUNTS.unsqueeze(2), x, -x.flip(0))
    with torch.inference_mode():
        (_, (_, c)), (_, (_, again)) = (
            modules.masked(lstm, one, COUNTS, keep_c=True) for one in (x, other)
        )
    assert torch.equal(c, again)
    assert not c[:, 4].any()  # no step counts: the initial c


def test_gradients_of_a_masked_module_are_those_of_the_steps_that_count():
    lstm = nn.LSTM(2, 3, batch_first=True, bidirectional=True)
    x = torch.randn(5, 5, 2, requires_grad=True)

    def both(x):
        sequence, (h, c) = modules.masked(lstm, x, COUNTS, keep_c=True)
        return sequence, h, c

    assert torch.autograd.gradcheck(both, (x,), fast_mode=True)
    sum(one.sum() for one in both(x)).backward()
    assert not x.grad[~COUNTS].any()
    assert all(parameter.grad.isfinite().all() for parameter in lstm.parameters())


class MaskedTagger(nn.Module):
    """A module as the generated code has it."""

    def __init__(self, kind):
        super().__init__()
        self.lstm = kind(3, 4, batch_first=True, bidirectional=True)

    def forward(self, x, mask):
        """The sequence and the last h."""
        if isinstance(self.lstm, nn.LSTM):
            return modules.masked(self.lstm, x, mask)
        sequence, (h, _) = self.lstm(x, None, mask)
        return sequence, h


@pytest.mark.parametrize("kind", [nn.LSTM, modules.ActivatedLSTM])
def test_masks_work_under_compile_and_export(kind):
    tagger = MaskedTagger(kind).eval()
    x = torch.randn(5, 5, 3)
    expected = tagger(x, COUNTS)
    torch._dynamo.reset()
    compiled = torch.compile(tagger, backend="aot_eager")
    free = torch.export.Dim.AUTO
    shapes = {"x": {0: free}, "mask": {0: free}}
    exported = torch.export.export(tagger, (x, COUNTS), dynamic_shapes=shapes).module()
    for module in (compiled, exported):
        for one, other in zip(module(x, COUNTS), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
    fewer = exported(x[:3], COUNTS[:3])
    torch.testing.assert_close(fewer[0], expected[0][:3], rtol=0, atol=1e-14)
    assert not torch.allclose(exported(x, COUNTS.flip(0))[0], expected[0])


def test_gradients_reach_every_parameter_of_a_cell_class():
    lstm = modules.ActivatedLSTM(2, 3, bidirectional=True, activation=F.softsign)
    x = torch.randn(4, 2, 2)
    assert torch.autograd.gradcheck(lambda x: lstm(x)[0], (x.requires_grad_(),))
    lstm(x)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in lstm.parameters())


@pytest.mark.parametrize(
    ("module", "variance"),
    [(modules.GaussianNoise(0.5), 0.25), (modules.GaussianDropout(0.2), 0.25)],
)
def test_noise_is_drawn_in_training_alone(module, variance):
    x = torch.ones(100_000)
    assert torch.equal(module.eval()(x), x)
    noisy = module.train()(x)
    # The mean and the variance of 100,000 draws are known to about a hundredth.
    assert abs(float(noisy.mean()) - 1) < 0.01
    assert abs(float(noisy.var()) - variance) < 0.01


def test_a_shared_mask_drops_whole_axes():
    module = modules.SharedDropout(0.5, (None, 1, None)).train()
    dropped = module(torch.ones(4, 6, 50))
    assert torch.equal(dropped, dropped[:, :1].expand(-1, 6, -1))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(module.eval()(dropped), dropped)


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (4, 3), (3, 1), (5, 4)])
def test_same_padding_gives_as_many_windows_as_keras(n, size, stride):
    padded = modules.pad_same(torch.zeros(1, 1, n), (size,), (stride,), 7.0)
    windows = (padded.shape[2] - size) // stride + 1
    assert windows == math.ceil(n / stride)
    added = (padded == 7).sum()
    before = int((padded[0, 0, :size] == 7).int().cumprod(0).sum())
    assert before == int(added) // 2


def test_an_average_with_same_padding_counts_no_padding():
    module = modules.SameAvgPool((3,), (2,))
    averaged = module(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    # One zero is needed, at the end: windows 1 2 3 and 3 4 and nothing.
    torch.testing.assert_close(averaged, torch.tensor([[[2.0, 3.5]]]))


def test_sparsemax_is_kerass_and_sums_to_one_with_one_element():
    x = torch.tensor([[5.0, 0.0, 0.0]])
    torch.testing.assert_close(modules.sparsemax(x, -1), torch.tensor([[1.0, 0.0, 0.0]]))


def test_a_slope_for_each_element():
    module = modules.ElementPReLU(2, 3)
    with torch.no_grad():
        module.weight.copy_(torch.arange(6.0).view(2, 3))
    x = -torch.ones(1, 2, 3)
    assert torch.equal(module(x), -module.weight[None])
    assert torch.equal(module(-x), -x)


# nn.LSTM keeps a list of its weights, which is made of other tensors each time.
@pytest.mark.filterwarnings("ignore:The tensor attributes self.module._flat_weights")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.Linear])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_mixed_module_is_compiled_and_exported(kind, dtype):
    """For any batch; torch.compile without its own compiler, which takes long."""
    settings = {"batch_first": True} if kind is nn.LSTM else {}
    module = kind(3, 4, **settings).float()
    mixed = Mixed(module, dtype)
    x = torch.randn(5, 7, 3).to(dtype)

    def answers(made):
        found = made(x)
        return found[0] if isinstance(found, tuple) else found

    free = ({0: torch.export.Dim.AUTO},)
    exported = torch.export.export(mixed, (x[:2],), dynamic_shapes=(free,)).module()
    for made in (torch.compile(mixed, backend="aot_eager"), exported):
        assert torch.equal(answers(made), answers(mixed))
    wide = module(x.float())
    assert not torch.equal(answers(mixed).float(), wide[0] if isinstance(wide, tuple) else wide)
