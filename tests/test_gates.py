"""The gate table says what the frameworks do, and its maps lose no bit."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from converter.description import Direction, Recurrent, Value, Weight
from converter.errors import UnsupportedError
from converter.gates import (
    AS_IS,
    GATES,
    LAYOUTS,
    STATES,
    TRANSPOSED,
    Array,
    Cell,
    Form,
    bias_form,
    convolution_form,
    kernel_form,
    layout,
    permuted,
    split_bias_form,
    stack,
    stack_bias,
    unstack,
    unstack_bias,
)
from converter.judge import judge
from tests.judge.describe import model_of

ROWS = sorted(LAYOUTS, key=str)
SIZES = st.integers(1, 4)
FLOATS = {"float16": "uint16", "float32": "uint32", "float64": "uint64"}


@st.composite
def floats(draw: st.DrawFn, *shape: int) -> Array:
    """Any bits at all: -0.0, infinities, and NaNs with every payload among them."""
    dtype = draw(st.sampled_from(sorted(FLOATS)))
    return draw(arrays(FLOATS[dtype], shape)).view(dtype)


def bits(array: Array) -> tuple[str, tuple[int, ...], bytes]:
    """All that two arrays must share to be the same, bit by bit."""
    return str(array.dtype), array.shape, array.tobytes()


def kernels(cell: Cell) -> st.SearchStrategy[Array]:
    return st.tuples(SIZES, SIZES).flatmap(lambda sizes: floats(len(GATES[cell]), *sizes))


def biases(cell: Cell, count: int) -> st.SearchStrategy[Array]:
    return SIZES.flatmap(lambda units: floats(count, len(GATES[cell]), units))


# Nothing is lost


@pytest.mark.parametrize(("cell", "framework"), ROWS)
@settings(max_examples=40)  # for each of the rows
@given(data=st.data())
def test_unstack_undoes_stack_bit_by_bit(cell: Cell, framework: str, data: st.DataObject) -> None:
    kernel = data.draw(kernels(cell))
    assert bits(unstack(stack(kernel, cell, framework), cell, framework)) == bits(kernel)
    bias = data.draw(biases(cell, layout(cell, framework).biases))
    assert bits(unstack_bias(stack_bias(bias, cell, framework), cell, framework)) == bits(bias)


@pytest.mark.parametrize(("cell", "framework"), ROWS)
@settings(max_examples=40)  # for each of the rows
@given(data=st.data())
def test_stack_undoes_unstack_bit_by_bit(cell: Cell, framework: str, data: st.DataObject) -> None:
    """The way from a framework and back to it."""
    stored = stack(data.draw(kernels(cell)), cell, framework)
    assert bits(stack(unstack(stored, cell, framework), cell, framework)) == bits(stored)
    count = layout(cell, framework).biases
    stored = stack_bias(data.draw(biases(cell, count)), cell, framework)
    assert bits(stack_bias(unstack_bias(stored, cell, framework), cell, framework)) == bits(stored)


def assert_undone(form: Form, array: Array) -> None:
    assert bits(form.read(form.write(array))) == bits(array)


@settings(max_examples=40)  # for each of the rows
@given(array=st.tuples(SIZES, SIZES).flatmap(lambda sizes: floats(*sizes)))
def test_a_weight_as_it_is_or_transposed_keeps_its_bits(array: Array) -> None:
    assert_undone(AS_IS, array)
    assert_undone(TRANSPOSED, array)
    assert bits(TRANSPOSED.write(array)[0]) == bits(array.T)


@settings(max_examples=40)  # for each of the rows
@given(
    array=st.tuples(SIZES, SIZES, SIZES, SIZES).flatmap(lambda sizes: floats(*sizes)),
    axes=st.permutations(range(4)),
)
def test_a_weight_with_its_axes_in_another_order_keeps_its_bits(
    array: Array, axes: list[int]
) -> None:
    form = permuted(*axes)
    assert_undone(form, array)
    assert form.write(array)[0].shape == tuple(array.shape[axis] for axis in axes)


@pytest.mark.parametrize(("cell", "framework"), ROWS)
@settings(max_examples=40)  # for each of the rows
@given(data=st.data())
def test_kernels_and_biases_of_every_row_keep_their_bits(
    cell: Cell, framework: str, data: st.DataObject
) -> None:
    assert_undone(kernel_form(cell, framework), data.draw(kernels(cell)))
    count = layout(cell, framework).biases
    assert_undone(bias_form(cell, framework), data.draw(biases(cell, count)))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("cell", "framework"), ROWS)
@settings(max_examples=10)  # for each of the rows
@given(data=st.data())
def test_kernels_of_convolutions_keep_their_bits(
    cell: Cell, framework: str, rank: int, data: st.DataObject
) -> None:
    sizes = data.draw(st.tuples(*[SIZES] * (rank + 2)))
    array = data.draw(floats(len(GATES[cell]), *sizes))
    form = convolution_form(cell, framework)
    assert_undone(form, array)
    # A window of one element is a product.
    point = array[(slice(None), *(slice(1) for _ in range(rank)))]
    (kernel,) = kernel_form(cell, framework).write(point.reshape(len(array), *sizes[-2:]).mT)
    assert bits(form.write(point)[0].reshape(kernel.shape)) == bits(kernel)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("cell", [cell for cell, framework in ROWS if framework == "torch"])
@settings(max_examples=40)  # for each of the rows
@given(data=st.data())
def test_a_bias_in_two_arrays_keeps_its_bits(cell: Cell, count: int, data: st.DataObject) -> None:
    """One bias, too: the zeros beside it are dropped, not added, so that -0.0 stays."""
    assert_undone(split_bias_form(cell, "torch", count), data.draw(biases(cell, count)))


def test_a_recurrent_bias_that_was_trained_is_added() -> None:
    form = split_bias_form(Cell.RNN, "torch", 1)
    assert form.read([np.array([1.0, 2.0]), np.array([0.5, 0.0])]).tolist() == [[[1.5, 2.0]]]


def test_two_biases_become_one_by_addition() -> None:
    both = np.array([[[1.0, 2.0]], [[0.5, 0.0]]])
    assert stack_bias(both, Cell.RNN, "keras").tolist() == [1.5, 2.0]


def test_a_recurrent_bias_of_zeros_is_dropped_and_not_added() -> None:
    both = np.array([[[-0.0, 2.0]], [[0.0, 0.0]]])
    assert bits(stack_bias(both, Cell.RNN, "keras")) == bits(np.array([-0.0, 2.0]))


def test_one_bias_becomes_two_with_zeros_for_the_state() -> None:
    one = np.array([[[1.0, 2.0]]])
    assert stack_bias(one, Cell.RNN, "torch").tolist() == [[1.0, 2.0], [0.0, 0.0]]


# What the table cannot say


def test_a_cell_without_a_row_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError) as refused:
        stack(np.zeros((3, 2, 2)), Cell.GRU_RESET_BEFORE, "torch")
    assert str(refused.value) == (
        "error[no-such-cell]: torch has no module for GRU (reset before)\n"
        "  found: rows for torch: LSTM, GRU, SimpleRNN\n"
        "  help:  converter.to_torch writes a cell class where torch.nn has none"
    )


@pytest.mark.parametrize(
    "form", [kernel_form, bias_form, lambda cell, name: split_bias_form(cell, name, 1)]
)
def test_a_form_without_a_row_is_refused_before_any_array_is_read(form: Any) -> None:
    with pytest.raises(UnsupportedError, match="no-such-cell"):
        form(Cell.GRU_RESET_BEFORE, "torch")


@pytest.mark.parametrize(("cell", "framework"), ROWS)
def test_every_row_has_every_gate_once(cell: Cell, framework: str) -> None:
    assert sorted(layout(cell, framework).gates) == sorted(GATES[cell])


@pytest.mark.parametrize("cell", Cell)
def test_the_order_of_the_description_is_that_of_keras(cell: Cell) -> None:
    assert layout(cell, "keras").gates == GATES[cell]


# The frameworks themselves. What the judge computes is what Keras computes (tests/judge), so a
# framework whose own arrays, unstacked, give its own answers has the right row.

TOLERANCE = 1e-12
"""Answers are below 1, float64 steps by 1e-16, and five steps of a few sums of ten elements stay
below 1e-14. A wrong order of gates changes these answers by more than 1e-3."""

BATCH, TIME, INPUTS, H = 2, 5, 4, 3


def meant(
    cell: Cell, framework: str, kernel: Array, recurrent_kernel: Array, bias: Array, x: Array
) -> Array:
    """What the description means with a framework's arrays."""
    direction = Direction(
        cell=cell,
        kernel=Weight.of(unstack(kernel, cell, framework)),
        recurrent_kernel=Weight.of(unstack(recurrent_kernel, cell, framework)),
        bias=Weight.of(unstack_bias(bias, cell, framework)),
    )
    layer = Recurrent(name="layer", forward=direction, return_sequences=True)
    return np.asarray(judge(model_of(layer, Value("x", (None, None, INPUTS))), x))


def wrong_orders(cell: Cell) -> list[list[int]]:
    first, *others = permutations(range(len(GATES[cell])))
    assert list(first) == sorted(first)
    return [list(order) for order in others]


def by_torch(cell: Cell, x: Array) -> tuple[Array, Array, Array, Array]:
    """The weights of PyTorch's own module, and what it answers."""
    kind = {Cell.LSTM: torch.nn.LSTM, Cell.GRU: torch.nn.GRU, Cell.RNN: torch.nn.RNN}[cell]
    torch.manual_seed(0)
    module = kind(INPUTS, H, batch_first=True, dtype=torch.float64)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        output, _ = module(torch.from_numpy(x))
        stored = [parameter.numpy() for parameter in module.parameters()]
    kernel, recurrent_kernel, bias_ih, bias_hh = stored
    return kernel, recurrent_kernel, np.stack([bias_ih, bias_hh]), output.numpy()


def by_onnx(cell: Cell, x: Array) -> tuple[Array, Array, Array, Array]:
    """Drawn weights, and what ONNX's reference implementation of the operator answers."""
    rng = np.random.default_rng(0)
    rows = len(GATES[cell]) * H
    kernel, recurrent_kernel = rng.normal(size=(rows, INPUTS)), rng.normal(size=(rows, H))
    bias = rng.normal(size=2 * rows)
    operator, attributes = {
        Cell.LSTM: ("LSTM", {}),
        Cell.GRU: ("GRU", {"linear_before_reset": 1}),
        Cell.GRU_RESET_BEFORE: ("GRU", {"linear_before_reset": 0}),
        Cell.RNN: ("RNN", {}),
    }[cell]
    node = helper.make_node(operator, ["x", "W", "R", "B"], ["y"], hidden_size=H, **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in "xWRB"],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    given = {"x": x.swapaxes(0, 1), "W": kernel[None], "R": recurrent_kernel[None], "B": bias[None]}
    (output,) = ReferenceEvaluator(model).run(None, given)
    return kernel, recurrent_kernel, bias, output[:, 0].swapaxes(0, 1)


OWN = [
    (framework, ask, cell)
    for framework, ask in (("torch", by_torch), ("onnx", by_onnx))
    for cell in Cell
    if (cell, framework) in LAYOUTS
]


@pytest.mark.parametrize(("framework", "ask", "cell"), OWN)
def test_a_frameworks_own_arrays_give_its_own_answers(framework: str, ask: Any, cell: Cell) -> None:
    x = np.random.default_rng(1).normal(size=(BATCH, TIME, INPUTS))
    *stored, expected = ask(cell, x)
    found = meant(cell, framework, *stored, x)
    assert found.shape == expected.shape == (BATCH, TIME, H)
    assert np.abs(found - expected).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("framework", "ask", "cell"), [row for row in OWN if len(GATES[row[2]]) > 1]
)
def test_in_any_other_order_they_do_not(framework: str, ask: Any, cell: Cell) -> None:
    x = np.random.default_rng(1).normal(size=(BATCH, TIME, INPUTS))
    kernel, recurrent_kernel, bias, expected = ask(cell, x)
    gates = len(GATES[cell])

    def reordered(array: Array, order: list[int], axis: int) -> Array:
        return np.concatenate([np.split(array, gates, axis)[k] for k in order], axis)

    for order in wrong_orders(cell):
        both = reordered(bias.reshape(2, -1), order, 1)
        wrong = (reordered(kernel, order, 0), reordered(recurrent_kernel, order, 0), both)
        found = meant(cell, framework, *wrong, x)
        assert np.abs(found - expected).max() > 1e6 * TOLERANCE, order


def test_torch_gru_by_hand() -> None:
    """The equations of torch.nn.GRU's documentation, with r z n in the order of its rows."""
    x = np.random.default_rng(1).normal(size=(1, 1, INPUTS))
    kernel, _, (bias_ih, bias_hh), expected = by_torch(Cell.GRU, x)
    # From a state of zeros the state's product is its bias.
    i_r, i_z, i_n = np.split(kernel @ x[0, 0] + bias_ih, 3)
    h_r, h_z, h_n = np.split(bias_hh, 3)
    r, z = (1 / (1 + np.exp(-gate)) for gate in (i_r + h_r, i_z + h_z))
    by_hand = (1 - z) * np.tanh(i_n + r * h_n)
    np.testing.assert_allclose(by_hand, expected[0, 0], rtol=0, atol=TOLERANCE)
    gates = unstack(kernel, Cell.GRU, "torch")
    np.testing.assert_array_equal(gates[GATES[Cell.GRU].index("z")], kernel[H : 2 * H])


@pytest.mark.parametrize("cell", Cell)
def test_a_cell_carries_as_many_states_as_the_frameworks(cell: Cell) -> None:
    schema = onnx.defs.get_schema({Cell.LSTM: "LSTM", Cell.RNN: "RNN"}.get(cell, "GRU"))
    last = [output.name for output in schema.outputs if output.name != "Y"]
    assert len(last) == STATES[cell]
