from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from converter.mapping import (
    KerasWeights,
    gru_from_torch,
    gru_to_torch,
    lstm_from_torch,
    lstm_to_torch,
    rnn_from_torch,
    rnn_to_torch,
)

Arrays = tuple[np.ndarray, ...]
BATCH, TIME, FEATURES, UNITS = 3, 6, 5, 4
TO_TORCH: dict[str, Callable[..., dict[str, np.ndarray]]] = {
    "LSTM": lstm_to_torch,
    "GRU": gru_to_torch,
    "RNN": rnn_to_torch,
}
FROM_TORCH: dict[str, Callable[..., tuple[tuple[KerasWeights, ...], ...]]] = {
    "LSTM": lstm_from_torch,
    "GRU": gru_from_torch,
    "RNN": rnn_from_torch,
}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# Float64 and six steps: what is left is rounding. Any mutant is ten orders of magnitude larger.
TOLERANCE = 1e-12
VISIBLE = 1e-3


def keras_weights(kind: str, seed: int = 0, features: int = FEATURES, units: int = UNITS) -> Arrays:
    """Random arrays as Keras stores them, of the size at which every gate matters."""
    rng = np.random.default_rng(seed)
    stacked = GATES[kind] * units
    bias = (2, stacked) if kind == "GRU" else (stacked,)
    return tuple(
        rng.normal(0, 0.5, shape) for shape in [(features, stacked), (units, stacked), bias]
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def by_formula(
    kind: str, x: np.ndarray, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """The outputs (B, T, U) by Keras's formulas (keras/src/layers/rnn), in NumPy."""
    units = len(recurrent_kernel)
    h = c = np.zeros((len(x), units))
    outputs = []
    for step in x.swapaxes(0, 1):
        if kind == "LSTM":
            i, f, g, o = np.split(step @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif kind == "GRU":
            x_z, x_r, x_h = np.split(step @ kernel + bias[0], 3, axis=-1)
            h_z, h_r, h_h = np.split(h @ recurrent_kernel + bias[1], 3, axis=-1)
            z = sigmoid(x_z + h_z)
            h = z * h + (1 - z) * np.tanh(x_h + sigmoid(x_r + h_r) * h_h)
        else:
            h = np.tanh(step @ kernel + h @ recurrent_kernel + bias)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def by_torch(
    kind: str, x: np.ndarray, state_dict: dict[str, np.ndarray], **settings: Any
) -> np.ndarray:
    """The outputs (B, T, D·U) of the PyTorch module with these arrays."""
    module = getattr(torch.nn, kind)(
        x.shape[-1],
        state_dict["weight_hh_l0"].shape[1],
        batch_first=True,
        bias="bias_ih_l0" in state_dict,
        **settings,
    ).double()
    tensors = {name: torch.from_numpy(array) for name, array in state_dict.items()}
    module.load_state_dict(tensors)
    with torch.no_grad():
        outputs: np.ndarray = module(torch.from_numpy(x))[0].numpy()
    return outputs


def inputs(features: int = FEATURES) -> np.ndarray:
    return np.random.default_rng(7).normal(0, 1.5, (BATCH, TIME, features))


@pytest.mark.parametrize("kind", TO_TORCH)
def test_the_module_computes_what_the_formulas_say(kind: str) -> None:
    weights = keras_weights(kind)
    computed = by_torch(kind, inputs(), TO_TORCH[kind](*weights))
    np.testing.assert_allclose(
        computed, by_formula(kind, inputs(), *weights), atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("kind", TO_TORCH)
def test_as_many_features_as_units_are_no_different(kind: str) -> None:
    weights = keras_weights(kind, features=UNITS)
    computed = by_torch(kind, inputs(UNITS), TO_TORCH[kind](*weights))
    expected = by_formula(kind, inputs(UNITS), *weights)
    np.testing.assert_allclose(computed, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("kind", TO_TORCH)
def test_a_layer_without_bias_gives_a_module_without_bias(kind: str) -> None:
    kernel, recurrent_kernel, bias = keras_weights(kind)
    state_dict = TO_TORCH[kind](kernel, recurrent_kernel)
    assert list(state_dict) == ["weight_ih_l0", "weight_hh_l0"]
    expected = by_formula(kind, inputs(), kernel, recurrent_kernel, np.zeros_like(bias))
    computed = by_torch(kind, inputs(), state_dict)
    np.testing.assert_allclose(computed, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("biases", ["first", "second", "split"])
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_the_bias_may_stand_on_either_side_or_on_both(kind: str, biases: str) -> None:
    weights = keras_weights(kind)
    state_dict = TO_TORCH[kind](*weights, biases=biases)
    first, second = state_dict["bias_ih_l0"], state_dict["bias_hh_l0"]
    assert (first.any(), second.any()) == (biases != "second", biases != "first")
    if biases == "split":
        np.testing.assert_array_equal(first, second)
    computed = by_torch(kind, inputs(), state_dict)
    np.testing.assert_allclose(
        computed, by_formula(kind, inputs(), *weights), atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("kind", TO_TORCH)
def test_two_layers_of_two_directions_make_one_module(kind: str) -> None:
    x, state_dict = inputs(), {}
    for layer, features in enumerate([FEATURES, 2 * UNITS]):
        forward = keras_weights(kind, seed=10 + layer, features=features)
        backward = keras_weights(kind, seed=20 + layer, features=features)
        state_dict |= TO_TORCH[kind](*forward, layer=layer)
        state_dict |= TO_TORCH[kind](*backward, layer=layer, reverse=True)
        x = np.concatenate(
            [by_formula(kind, x, *forward), by_formula(kind, x[:, ::-1], *backward)[:, ::-1]],
            axis=-1,
        )
    computed = by_torch(kind, inputs(), state_dict, num_layers=2, bidirectional=True)
    np.testing.assert_allclose(computed, x, atol=TOLERANCE, rtol=0)


def rows(array: np.ndarray, gate: int, gates: int) -> slice:
    return slice(gate * len(array) // gates, (gate + 1) * len(array) // gates)


def mutants(kind: str, state_dict: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The same arrays with one thing wrong."""
    gates, wrong = GATES[kind], {}
    for name, array in state_dict.items():
        for a, b in combinations(range(gates), 2):
            swapped = array.copy()
            swapped[rows(array, a, gates)] = array[rows(array, b, gates)]
            swapped[rows(array, b, gates)] = array[rows(array, a, gates)]
            if not np.array_equal(swapped, array):  # a second bias of zeros
                wrong[f"{name}: gates {a} and {b} swapped"] = {**state_dict, name: swapped}
        if name.startswith("bias") and array.any():
            wrong[f"{name} lost"] = {**state_dict, name: np.zeros_like(array)}
            wrong[f"{name} doubled"] = {**state_dict, name: 2 * array}
    square = state_dict["weight_hh_l0"].reshape(gates, UNITS, UNITS).swapaxes(1, 2)
    wrong["weight_hh_l0 transposed"] = {
        **state_dict,
        "weight_hh_l0": np.ascontiguousarray(square.reshape(-1, UNITS)),
    }
    if kind == "GRU":
        wrong["biases exchanged"] = {
            **state_dict,
            "bias_ih_l0": state_dict["bias_hh_l0"],
            "bias_hh_l0": state_dict["bias_ih_l0"],
        }
    return wrong


@pytest.mark.parametrize("kind", TO_TORCH)
def test_every_mutant_of_the_mapping_is_seen(kind: str) -> None:
    weights = keras_weights(kind)
    expected = by_formula(kind, inputs(), *weights)
    wrong = mutants(kind, TO_TORCH[kind](*weights))
    assert len(wrong) == {"LSTM": 3 * 6 + 3, "GRU": 4 * 3 + 6, "RNN": 3}[kind]
    moved = {
        what: np.abs(by_torch(kind, inputs(), state_dict) - expected).max()
        for what, state_dict in wrong.items()
    }
    assert {what: size for what, size in moved.items() if size < VISIBLE} == {}


def bits(array: np.ndarray) -> bytes:
    return array.tobytes()


anything = st.floats(width=32, allow_nan=True, allow_infinity=True, allow_subnormal=True)


@st.composite
def layers(draw: st.DrawFn, kind: str, biased: bool = True) -> KerasWeights:
    features, units = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stacked = GATES[kind] * units
    bias = (2, stacked) if kind == "GRU" else (stacked,)
    take = lambda shape: draw(arrays(np.float32, shape, elements=anything))  # noqa: E731
    return KerasWeights(
        take((features, stacked)), take((units, stacked)), take(bias) if biased else None
    )


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("kind", TO_TORCH)
@given(data=st.data())
def test_what_came_from_keras_goes_back_bit_for_bit(
    kind: str, biased: bool, data: st.DataObject
) -> None:
    weights = data.draw(layers(kind, biased))
    settings = {} if kind == "GRU" else {"biases": data.draw(st.sampled_from(["first", "second"]))}
    ((returned,),) = FROM_TORCH[kind](TO_TORCH[kind](*weights, **settings))
    for before, after in zip(weights, returned, strict=True):
        assert (before is None) == (after is None)
        if before is not None and after is not None:
            assert (before.shape, before.dtype) == (after.shape, after.dtype)
            assert bits(before) == bits(after)


@given(
    bias=arrays(np.float32, 8, elements=st.floats(width=32, allow_nan=False, allow_subnormal=True))
)
def test_halves_give_back_the_bias_they_were_made_of(bias: np.ndarray) -> None:
    state_dict = lstm_to_torch(np.ones((1, 8)), np.ones((2, 8)), bias, biases="split")
    ((returned,),) = lstm_from_torch(state_dict)
    assert returned.bias is not None
    assert bits(returned.bias) == bits(bias)


@pytest.mark.parametrize("biases", ["first", "second", "split"])
@pytest.mark.parametrize("bias", [[-0.0] * 4, [-0.0, 0.0, 1.0, -0.0], [0.0] * 4])
def test_the_sign_of_a_zero_stays(bias: list[float], biases: Any) -> None:
    state_dict = lstm_to_torch(np.ones((1, 4)), np.ones((1, 4)), bias, biases=biases)
    ((returned,),) = lstm_from_torch(state_dict)
    assert returned.bias is not None
    assert bits(returned.bias) == bits(np.array(bias))


@pytest.mark.parametrize("kind", FROM_TORCH)
@pytest.mark.parametrize(
    "settings", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}]
)
def test_a_module_with_its_own_weights_goes_to_keras(kind: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(3)
    module = getattr(torch.nn, kind)(FEATURES, UNITS, batch_first=True, **settings).double()
    x = inputs()
    with torch.no_grad():
        expected = module(torch.from_numpy(x))[0].numpy()
    for directions in FROM_TORCH[kind](module.state_dict()):
        outputs = [by_formula(kind, x, *directions[0])]
        if len(directions) == 2:
            outputs.append(by_formula(kind, x[:, ::-1], *directions[1])[:, ::-1])
        x = np.concatenate(outputs, axis=-1)
    np.testing.assert_allclose(x, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("kind", FROM_TORCH)
def test_a_prefix_finds_the_module_in_a_whole_model(kind: str) -> None:
    module = getattr(torch.nn, kind)(2, 3, bias=False)
    model = torch.nn.ModuleDict({"body": module, "head": torch.nn.Linear(3, 1)})
    ((weights,),) = FROM_TORCH[kind](model.state_dict(), prefix="body.")
    assert weights.kernel.shape == (2, 3 * GATES[kind])
    assert weights.bias is None


@pytest.mark.parametrize("biases", ["first", "second"])
def test_one_bias_is_taken_where_the_other_is_zero(biases: Any) -> None:
    bias = np.arange(4.0)
    state_dict = lstm_to_torch(np.ones((1, 4)), np.ones((1, 4)), bias, biases=biases)
    ((weights,),) = lstm_from_torch(state_dict, biases=biases)
    assert weights.bias is not None
    np.testing.assert_array_equal(weights.bias, bias)


def test_results_share_no_memory_with_what_they_were_made_of() -> None:
    weights = keras_weights("LSTM", features=1, units=1)
    state_dict = lstm_to_torch(*weights)
    ((returned,),) = lstm_from_torch(state_dict)
    for made in (*state_dict.values(), *returned):
        assert made is not None
        assert made.flags.c_contiguous
        assert not any(np.may_share_memory(made, array) for array in weights)
    assert not any(np.may_share_memory(a, b) for a in returned for b in state_dict.values())


def test_a_parameter_that_is_trained_is_taken_too() -> None:
    module = torch.nn.LSTM(2, 3)
    ((weights,),) = lstm_from_torch(dict(module.named_parameters()))
    np.testing.assert_array_equal(weights.kernel, module.weight_ih_l0.detach().numpy().T)
