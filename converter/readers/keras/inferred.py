"""Which recurrent layer some arrays are, by their names and shapes alone.

Shape letters: F features, U units, G gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from converter.description import Direction, Era, Stored, Weight
from converter.errors import FormatError, WeightError
from converter.gates import (
    BIASES_APART,
    GATES,
    KERNELS_APART,
    Cell,
    bias_form,
    cudnn_kernel_form,
    kernel_form,
)
from converter.readers.keras.era import Writer
from converter.readers.strict import named

UNKNOWN = "GRU, reset before or after"
"""One without a bias: its arrays are the same in both cases."""

_BY_NAMES: Mapping[frozenset[str], str] = {
    frozenset({"embeddings"}): "Embedding",
    frozenset({"gamma", "beta"}): "a normalization",
    frozenset({"gamma", "beta", "moving_mean", "moving_variance"}): "BatchNormalization",
}
_BY_RANK = {2: "Dense", 3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}


@dataclass(slots=True)
class ArraySet:
    """Arrays that lie together.

    Attributes:
        name: Of the layer.
        direction: "forward", "backward" or "".
        place: Where they lie, for another name where two have one.
        by_names: They have names of their own, not numbers.
    """

    name: str
    direction: str
    place: str
    by_names: bool
    recurrent: bool = False
    arrays: dict[str, Stored] = field(default_factory=dict)


def infer(one: ArraySet, path: str, version: str) -> tuple[str, Direction | None]:
    """What a set is in words, and the direction that it is."""
    apart = _apart(one, path)
    if apart is not None:
        _check_numbers(one, path)
        return apart
    names = {"kernel", "recurrent_kernel", "bias"} if one.by_names else {"0", "1", "2"}
    needed = names - {"bias", "2"}
    kernel, recurrent_kernel, bias = (
        one.arrays.get(name)
        for name in (("kernel", "recurrent_kernel", "bias") if one.by_names else ("0", "1", "2"))
    )
    if (
        kernel is None
        or recurrent_kernel is None
        or not needed <= one.arrays.keys() <= names
        or not (one.by_names or one.recurrent)
    ):
        return _other(one), None
    if len(kernel.shape) > 2:
        return f"ConvLSTM{len(kernel.shape) - 2}D", None
    _check_numbers(one, path)
    return _stacked(one, kernel, recurrent_kernel, bias, path, version)


def _check_numbers(one: ArraySet, path: str) -> None:
    """Refuse a recurrent layer of whole numbers."""
    for stored in one.arrays.values():
        if stored.dtype.kind != "f":
            raise WeightError(
                f"{named(stored.name)} of {path} does not hold floating point numbers",
                context=f"dtype {stored.dtype}",
                hint="save the weights again with model.save_weights",
                code="dtype",
            )


def _stacked(
    one: ArraySet,
    kernel: Stored,
    recurrent_kernel: Stored,
    bias: Stored | None,
    path: str,
    version: str,
) -> tuple[str, Direction | None]:
    """Three arrays, or two, with the gates side by side."""
    units = recurrent_kernel.shape[0] if len(recurrent_kernel.shape) == 2 else 0
    gates = recurrent_kernel.shape[1] // units if units else 0
    stacked = gates * units
    fits = (
        gates in (1, 3, 4)
        and recurrent_kernel.shape[1] == stacked
        and len(kernel.shape) == 2
        and kernel.shape[0] > 0
        and kernel.shape[1] == stacked
    )
    if not fits:
        raise _misshapen(one, path, "(F, G·U) and (U, G·U), G of 1, 3 or 4")
    found = None if bias is None else bias.shape
    kinds: dict[tuple[int, tuple[int, ...] | None], tuple[str, Cell | None]] = {
        (4, None): ("LSTM", Cell.LSTM),
        (4, (stacked,)): ("LSTM", Cell.LSTM),
        (4, (2 * stacked,)): ("CuDNNLSTM", Cell.LSTM),
        (3, (stacked,)): ("GRU, reset before", Cell.GRU_RESET_BEFORE),
        (3, (2, stacked)): ("GRU, reset after", Cell.GRU),
        (3, (2 * stacked,)): ("CuDNNGRU", Cell.GRU),
        (3, None): (UNKNOWN, None),
        (1, None): ("SimpleRNN", Cell.RNN),
        (1, (stacked,)): ("SimpleRNN", Cell.RNN),
    }
    if (gates, found) not in kinds:
        raise _misshapen(one, path, f"a bias of {stacked} numbers, or twice as many")
    what, cell = kinds[gates, found]
    if cell is None and _always_before(version):
        what, cell = "GRU, reset before", Cell.GRU_RESET_BEFORE
    if cell is None:
        return what, None
    cudnn = what.startswith("CuDNN")
    form = cudnn_kernel_form(cell) if cudnn else kernel_form(cell, "keras")
    biases = 2 if cudnn or cell is Cell.GRU else 1
    features = kernel.shape[0]
    return what, Direction(
        cell=cell,
        kernel=Weight((gates, units, features), (kernel,), form),
        recurrent_kernel=Weight((gates, units, units), (recurrent_kernel,), form),
        bias=None
        if bias is None
        else Weight(
            (biases, gates, units), (bias,), bias_form(cell, "cudnn" if cudnn else "keras")
        ),
        go_backwards=one.direction == "backward",
    )


def _apart(one: ArraySet, path: str) -> tuple[str, Direction] | None:
    """Keras 1: an array a gate, by their names. None if they are no such arrays."""
    for cell, what in ((Cell.LSTM, "LSTM"), (Cell.GRU_RESET_BEFORE, "GRU, reset before")):
        gates = GATES[cell]
        names = [[f"{letter}_{gate}" for gate in gates] for letter in "WUb"]
        if set(one.arrays) != {name for some in names for name in some}:
            continue
        kernels, recurrent, biases = (tuple(one.arrays[name] for name in some) for some in names)
        units = biases[0].shape[0] if len(biases[0].shape) == 1 else 0
        features = kernels[0].shape[0] if len(kernels[0].shape) == 2 else 0
        for arrays, shape in (
            (kernels, (features, units)),
            (recurrent, (units, units)),
            (biases, (units,)),
        ):
            if not units or not features or any(array.shape != shape for array in arrays):
                raise _misshapen(one, path, "(F, U), (U, U) and (U,) for each gate")
        return what, Direction(
            cell=cell,
            kernel=Weight((len(gates), units, features), kernels, KERNELS_APART),
            recurrent_kernel=Weight((len(gates), units, units), recurrent, KERNELS_APART),
            bias=Weight((1, len(gates), units), biases, BIASES_APART),
            go_backwards=one.direction == "backward",
        )
    return None


def _always_before(version: str) -> bool:
    """Whether that Keras had no other GRU: `reset_after` came with 2.1.5."""
    try:
        writer = Writer.of(version, "")
    except FormatError:
        return False
    return writer.era in (Era.KERAS_1, Era.KERAS_2) and writer.number < (2, 1)


def _other(one: ArraySet) -> str:
    """What has such names and ranks and is not recurrent; "" where they say nothing."""
    if not one.by_names:
        return one.place.rsplit("/", 1)[-1]
    names = frozenset(one.arrays)
    if names in _BY_NAMES:
        return _BY_NAMES[names]
    if "kernel" in names <= {"kernel", "bias"}:
        return _BY_RANK.get(len(one.arrays["kernel"].shape), "")
    return ""


def _misshapen(one: ArraySet, path: str, expected: str) -> WeightError:
    shapes = ", ".join(f"{name} {array.shape}" for name, array in list(one.arrays.items())[:12])
    return WeightError(
        f"the arrays of layer {named(one.name)} of {path} do not belong together",
        context=f"{shapes}; expected {expected}",
        hint="the file may be cut off or damaged; save the weights again",
        code="shape",
    )
