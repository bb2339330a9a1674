"""The casts that layers do to their inputs, as calls of their own.

A layer of Keras casts its floating point inputs to the dtype that it computes in. `with_casts`
writes that down, so that a judge or a target need not know the rule: in its result every layer is
called with what it computes in, and `Value.dtype` says what a value is. Who adds a layer has
nothing to do: its handler sees inputs of `layer.dtype`, and gives outputs of it.

>>> from converter.description.core import Dropout, Noise
>>> from converter.description.model import Call, Model, Value
>>> x, y = Value("x", (None, 2)), Value("y", (None, 2), "float16")
>>> layer = Dropout(name="y", dtype="float16", noise=Noise.DROPOUT, rate=0.5)
>>> model = Model(name="m", inputs=(x,), calls=(Call(layer, (x,), (y,)),), outputs=(y,))
>>> [call.outputs[0].name for call in with_casts(model).calls]
['x:float16', 'y']
"""

from __future__ import annotations

from dataclasses import replace

from converter.description.model import Call, Model, Value
from converter.description.operations import HALVES, WIDTHS, Cast


def with_casts(model: Model) -> Model:
    """The same model, with a `Cast` wherever a layer casts its input."""
    return _Casting(model).model()


class _Casting:
    def __init__(self, model: Model) -> None:
        self._given = model
        self._calls: list[Call] = []
        self._cast: dict[tuple[str, str], Value] = {}
        self._names = {value.name for value in model.inputs}
        self._names.update(value.name for call in model.calls for value in call.outputs)

    def model(self) -> Model:
        for call in self._given.calls:
            self._call(call)
        return replace(self._given, calls=tuple(self._calls))

    def _call(self, call: Call) -> None:
        layer = call.layer
        dtype = layer.dtype
        if not layer.autocast and layer.casts_weights:
            self._calls.append(call)
            return
        if not layer.autocast:  # it computes in what it is given, and casts its result
            least = dtype if dtype in HALVES else "float32"
            dtype = max([least, *_floats(call)], key=WIDTHS.__getitem__)
        inputs = tuple(self._as(value, dtype) for value in call.inputs)
        if dtype == layer.dtype:
            self._calls.append(replace(call, inputs=inputs))
            return
        wide = tuple(self._renamed(value, dtype) for value in call.outputs)
        self._calls.append(Call(replace(layer, dtype=dtype), inputs, wide, call.masks))
        for value, result in zip(wide, call.outputs, strict=True):
            self._calls.append(_cast(value, result, value.name))

    def _as(self, value: Value, dtype: str) -> Value:
        """A value in that dtype; one that holds no floating point numbers as it is."""
        if value.dtype == dtype or value.dtype not in WIDTHS:
            return value
        key = value.name, dtype
        if key not in self._cast:
            self._cast[key] = self._renamed(value, dtype)
            self._calls.append(_cast(value, self._cast[key], self._cast[key].name))
        return self._cast[key]

    def _renamed(self, value: Value, dtype: str) -> Value:
        name = f"{value.name}:{dtype}"
        while name in self._names:
            name += "'"
        self._names.add(name)
        return Value(name, value.shape, dtype)


def _floats(call: Call) -> list[str]:
    return [value.dtype for value in call.inputs if value.dtype in WIDTHS]


def _cast(value: Value, result: Value, name: str) -> Call:
    return Call(Cast(name=name, dtype=result.dtype), (value,), (result,))
