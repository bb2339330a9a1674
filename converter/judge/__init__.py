"""The NumPy float64 meaning of every layer: who is right when two frameworks differ.

It rounds where a model means it to round: the inputs, the weights and the outputs of a layer that
computes in float16 or bfloat16, and each step's states. Between these it computes in float64, as it
does for float32 and float64 layers throughout: how often frameworks round inside a layer differs
from one to the next, and is what a tolerance is for.

>>> import numpy as np
>>> from converter.activations import TANH
>>> from converter.description import Activate, Call, Model, Value
>>> x, y = Value("x", (None, 2)), Value("y", (None, 2))
>>> call = Call(Activate(name="y", activation=TANH), (x,), (y,))
>>> judge(Model(name="m", inputs=(x,), calls=(call,), outputs=(y,)), np.zeros((1, 2)))
array([[0., 0.]])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from converter.description import (
    Call,
    ConvLSTM,
    Layer,
    Model,
    Recurrent,
    Shape,
    ShapeMismatchError,
    Value,
    Weight,
    with_casts,
)
from converter.dtypes import rounded
from converter.errors import UsageError
from converter.gates import Array
from converter.judge import (  # noqa: F401  each registers its family
    attention,
    conv_recurrent,
    convolution,
    core,
    indexing,
    masking,
    merging,
    normalization,
    operations,
    pooling,
    preprocessing,
    recurrent,
    resizing,
    shaping,
)
from converter.judge.meaning import MEANINGS, Meaning

__all__ = ["MEANINGS", "Judge", "Meaning", "judge", "run"]


class Judge:
    """A model with its weights in memory, to be run as often as wanted.

    A layer that is stateful goes on where the run before it ended.

    Attributes:
        model: The same model, with its casts; its weights are arrays of `dtype`.
        dtype: In which everything but integers is computed.
    """

    def __init__(self, model: Model, dtype: DTypeLike = np.float64) -> None:
        self.dtype = np.dtype(dtype)
        self.model = with_casts(model).map_weights(self._in_memory)
        self._states: dict[str, tuple[Array, ...]] = {}

    def reset_states(self) -> None:
        """Begin new sequences: the states of stateful layers are zeros."""
        self._states.clear()

    def _in_memory(self, layer: Layer, name: str, weight: Weight) -> Weight:
        array = weight.read().astype(self.dtype)  # a copy: the source may change
        if layer.casts_weights:
            array = rounded(array, layer.dtype)
        return Weight.of(array, f"{layer.name}.{name}")

    def run(self, inputs: Sequence[ArrayLike]) -> dict[str, Array]:
        """Every value of the model by its name, its inputs included.

        Raises:
            UsageError: The inputs do not fit the model, or an index is outside its table.
            UnsupportedError: The judge does not know a layer, or what it asks for.
        """
        given = [np.asarray(array) for array in inputs]
        _check(self.model, given)
        values = {
            value.name: self._as_declared(array, value)
            for value, array in zip(self.model.inputs, given, strict=True)
        }
        return self.go_on(values)

    def go_on(self, known: Mapping[str, Array]) -> dict[str, Array]:
        """Every value of the model by its name, where some are known: the inputs, at least."""
        values = dict(known)
        with np.errstate(all="ignore"):  # an overflow is an infinity, as in every framework
            for call in self.model.calls:
                if any(value.name not in values for value in call.outputs):
                    values |= self._called(call, values)
        return values

    def _as_declared(self, array: Array, value: Value) -> Array:
        """An input as Keras takes it: of integers where the model declares them."""
        if not value.dtype.startswith(("int", "uint", "bool")):
            return rounded(array.astype(self.dtype, copy=False), value.dtype)
        return array if _is_whole(array) else array.astype(value.dtype)

    def _called(self, call: Call, values: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of one call by their names."""
        layer = call.layer
        arrays = [values[value.name] for value in call.inputs]
        try:
            layer.output_shapes(tuple(array.shape for array in arrays))
        except ShapeMismatchError as error:
            raise UsageError(
                f"layer '{layer.name}' cannot take what these inputs become",
                context=str(error),
                hint="give inputs of a length that every layer can take",
                code="layer-input",
            ) from error
        settings = {}
        if any(call.masks):
            masks = [None if mask is None else values[mask.name] != 0 for mask in call.masks]
            settings = {"masks": masks}
        if isinstance(layer, ConvLSTM | Recurrent) and layer.stateful:
            outputs = self._going_on(layer, arrays, settings)
        else:
            outputs = MEANINGS[layer](layer, *arrays, **settings)
        return {
            value.name: array
            if _is_whole(array)
            else rounded(array.astype(self.dtype, copy=False), value.dtype)
            for value, array in zip(call.outputs, outputs, strict=True)
        }

    def _going_on(
        self, layer: ConvLSTM | Recurrent, arrays: Sequence[Array], settings: Mapping[str, object]
    ) -> tuple[Array, ...]:
        """The outputs of a stateful layer, from the states that it has kept; new ones are kept."""
        if len(arrays) == 1:
            arrays = [*arrays, *self._states.get(layer.name, ())]
        telling = replace(layer, stateful=False, return_state=True)
        outputs = MEANINGS[telling](telling, *arrays, **settings)
        count = layer.state_count
        self._states[layer.name] = outputs[-count:]
        return outputs if layer.return_state else outputs[:-count]


def run(
    model: Model, inputs: Sequence[ArrayLike], dtype: DTypeLike = np.float64
) -> dict[str, Array]:
    """Every value of the model by its name; each weight is read once. See `Judge.run`."""
    return Judge(model, dtype).run(inputs)


def judge(model: Model, *arrays: ArrayLike) -> Array | tuple[Array, ...]:
    """What the model means for these inputs: an array, or a tuple of them for several outputs.

    Raises:
        UsageError: The inputs do not fit the model, or an index is outside its table.
        UnsupportedError: The judge does not know a layer, or what it asks for.
    """
    values = run(model, arrays)
    outputs = tuple(values[value.name] for value in model.outputs)
    return outputs[0] if len(outputs) == 1 else outputs


def _check(model: Model, arrays: Sequence[Array]) -> None:
    """Refuse what is not one array for each input, of its shape."""
    expected = ", ".join(f"{value.name} {_shown(value.shape)}" for value in model.inputs)
    hint = f"give one array for each input, in this order: {expected}"
    if len(arrays) != len(model.inputs):
        raise UsageError(
            f"model '{model.name}' got a wrong number of inputs",
            context=f"{len(arrays)}; expected {len(model.inputs)}",
            hint=hint,
            code="input-count",
        )
    for value, array in zip(model.inputs, arrays, strict=True):
        if len(array.shape) != len(value.shape) or any(
            size not in (None, found) for size, found in zip(value.shape, array.shape, strict=True)
        ):
            raise UsageError(
                f"input '{value.name}' of model '{model.name}' has a wrong shape",
                context=f"{array.shape}; expected {_shown(value.shape)}",
                hint=hint,
                code="input-shape",
            )


def _is_whole(array: Array) -> bool:
    """Whether it holds integers or booleans."""
    return array.dtype.kind in "biu"


def _shown(shape: Shape) -> str:
    """(None, 3) as a person reads it: (any, 3)."""
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"
