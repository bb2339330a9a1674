"""Models built by hand, for tests: no saved file, weights of size 1 from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converter.activations import LINEAR, Activation
from converter.description import (
    Call,
    Dense,
    Direction,
    Embedding,
    Layer,
    Merge,
    Model,
    Recurrent,
    Shape,
    Source,
    Stored,
    Value,
    Weight,
)
from converter.gates import (
    AS_IS,
    GATES,
    LAYOUTS,
    Array,
    Cell,
    Form,
    bias_form,
    kernel_form,
)
from converter.targets.tensors import write_tensors
from converter.targets.torch import file_text, write_source


class Maker:
    """Draws layers; the same for the same seed.

    Args:
        seed: Of the weights.
        size: Their standard deviation.
        dtype: Of the arrays as the source stores them.
    """

    def __init__(self, seed: int = 0, *, size: float = 1.0, dtype: str = "float32") -> None:
        self.generator = np.random.default_rng(seed)
        self.size = size
        self.dtype = np.dtype(dtype)

    def array(self, *shape: int) -> Array:
        """Normal numbers."""
        return (self.generator.normal(size=shape) * self.size).astype(self.dtype)

    def weight(self, name: str, *shape: int, form: Form = AS_IS) -> Weight:
        """A weight of the description's `shape`, stored as `form` says."""
        arrays = form.write(self.array(*shape))
        names = [name] if len(arrays) == 1 else [f"{name}/{k}" for k in range(len(arrays))]
        stored = [
            Stored.of(one, np.ascontiguousarray(array, self.dtype))
            for one, array in zip(names, arrays, strict=True)
        ]
        return Weight(shape, tuple(stored), form)

    def direction(
        self,
        name: str,
        cell: Cell,
        inputs: int,
        units: int,
        *,
        biases: int | None = None,
        **settings: Any,
    ) -> Direction:
        """One direction, its arrays stored as Keras stores them.

        Args:
            name: Of the arrays, in front.
            cell: Which.
            inputs: Features.
            units: H.
            biases: 0, 1 or 2; by default as many as Keras has.
            settings: Other fields of `Direction`.
        """
        gates, usual = len(GATES[cell]), LAYOUTS[cell, "keras"].biases
        count = usual if biases is None else biases
        kernel = kernel_form(cell, "keras")
        bias = bias_form(cell, "keras") if count == usual else AS_IS
        return Direction(
            cell=cell,
            kernel=self.weight(f"{name}/kernel", gates, units, inputs, form=kernel),
            recurrent_kernel=self.weight(
                f"{name}/recurrent_kernel", gates, units, units, form=kernel
            ),
            bias=self.weight(f"{name}/bias", count, gates, units, form=bias) if count else None,
            **settings,
        )

    def recurrent(
        self,
        name: str,
        cell: Cell,
        inputs: int,
        units: int,
        *,
        biases: int | None = None,
        activations: dict[str, Activation] | None = None,
        **settings: Any,
    ) -> Recurrent:
        """A recurrent layer; with `merge` among the settings, one of two directions."""
        options = {"biases": biases, **(activations or {})}
        forward = self.direction(f"{name}/forward", cell, inputs, units, **options)
        if "merge" in settings:
            settings["backward"] = self.direction(
                f"{name}/backward", cell, inputs, units, go_backwards=True, **options
            )
        return Recurrent(name=name, forward=forward, **settings)

    def lstm(self, name: str, inputs: int, units: int, **settings: Any) -> Recurrent:
        return self.recurrent(name, Cell.LSTM, inputs, units, **settings)

    def gru(self, name: str, inputs: int, units: int, **settings: Any) -> Recurrent:
        return self.recurrent(name, Cell.GRU, inputs, units, **settings)

    def rnn(self, name: str, inputs: int, units: int, **settings: Any) -> Recurrent:
        return self.recurrent(name, Cell.RNN, inputs, units, **settings)

    def dense(
        self, name: str, inputs: int, units: int, *, bias: bool = True, act: Activation = LINEAR
    ) -> Dense:
        return Dense(
            name=name,
            kernel=self.weight(f"{name}/kernel", inputs, units),
            bias=self.weight(f"{name}/bias", units) if bias else None,
            activation=act,
        )

    def embedding(self, name: str, rows: int, units: int) -> Embedding:
        return Embedding(name=name, embeddings=self.weight(f"{name}/embeddings", rows, units))


def chain(
    *layers: Layer, shape: Shape = (None, None, 3), dtype: str = "float32", name: str = "by_hand"
) -> Model:
    """A model of layers one after another; every output of the last one is an output."""
    given = (Value("x", shape, dtype),)
    values, calls = given, []
    for layer in layers:
        call = called(layer, values[0])
        calls.append(call)
        values = call.outputs
    return Model(
        name=name,
        inputs=given,
        calls=tuple(calls),
        outputs=values,
        source=Source(path=f"{name}.keras", form="by hand", sha256="0" * 64),
    )


def called(layer: Layer, *values: Value) -> Call:
    """A call, with its outputs named as a reader names them."""
    shapes = layer.output_shapes(tuple(value.shape for value in values))
    outputs = (Value(layer.name + (f":{k}" if k else ""), shape) for k, shape in enumerate(shapes))
    return Call(layer, values, tuple(outputs))


def graph(inputs: Sequence[Value], calls: Sequence[Call], outputs: Sequence[Value]) -> Model:
    """A model of calls."""
    return Model(name="graph", inputs=tuple(inputs), calls=tuple(calls), outputs=tuple(outputs))


def random_model(seed: int) -> Model:
    """One to four layers: recurrent of any cell, in one direction or two, and Dense."""
    maker = Maker(seed)
    generator = np.random.default_rng([seed, 1])
    features = width = int(generator.integers(1, 6))
    depth = int(generator.integers(1, 5))
    layers: list[Layer] = []
    sequence = True
    for k in range(depth):
        units = int(generator.integers(1, 7))
        if not sequence or generator.random() < 0.2:
            layers.append(maker.dense(f"dense_{k}", width, units, bias=bool(k % 2)))
            width = units
            continue
        cell = (Cell.LSTM, Cell.GRU, Cell.GRU_RESET_BEFORE, Cell.RNN)[generator.integers(4)]
        sequence = k + 1 < depth and generator.random() < 0.8
        settings: dict[str, Any] = {"return_sequences": sequence}
        if generator.random() < 0.4:
            settings["merge"] = (Merge.CONCAT, Merge.SUM, Merge.MULTIPLY, Merge.AVERAGE)[
                generator.integers(4)
            ]
        if generator.random() < 0.2:
            settings["biases"] = 0
        layers.append(maker.recurrent(f"{cell.name.lower()}_{k}", cell, width, units, **settings))
        width = units * (2 if settings.get("merge") is Merge.CONCAT else 1)
    return chain(*layers, shape=(None, None, features), name=f"random_{seed}")


def put_on_disk(model: Model, folder: Path) -> Path:
    """A folder with model.py and model.safetensors, as `convert` writes them."""
    written = write_source(model)
    placements = {name: one for one in written.placements for name in one.names}
    shapes = {
        name: (shape, one.weight.dtype)
        for one in written.placements
        for name, shape in one.shapes().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(file_text(written), encoding="utf-8")
    with (folder / "model.safetensors").open("wb") as file:
        write_tensors(file, shapes, lambda name: placements[name].tensor(name))
    return folder
