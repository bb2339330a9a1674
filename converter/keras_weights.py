"""The weights of a PyTorch checkpoint as Keras's arrays, in a file that `load_weights` takes.

    lstm_l0  ["lstm_l0/lstm_cell/kernel:0", ".../recurrent_kernel:0", ".../bias:0"]
    head     ["head/kernel:0", "head/bias:0"]

It is the legacy `.h5` of Keras 2, which knows each layer by its name and lists its arrays in the
order in which `layer.set_weights` takes them. Beside the layers, where Keras does not look, are
both biases of an LSTM, and the tensors that are no layer of Keras for certain, as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from converter.artefacts import Artefact, Options
from converter.description import Call, Era, Layer, Model, Recurrent, Source, Stored, Value, Weight
from converter.dtypes import is_float
from converter.errors import UnsupportedError, UsageError
from converter.gates import AS_IS, Array, Form
from converter.output import Staging
from converter.targets.placement import Placement
from converter.verify.verdict import Verdict

if TYPE_CHECKING:
    from converter.readers import Architecture, Readable

OTHERS = "other tensors"
"""The group of those that are no layer. No layer has a name with a blank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose(Model):
    """The layers of a checkpoint, each on an input of its own.

    Attributes:
        others: Tensors of no layer.
        problems: Why recurrent tensors are no layer of Keras, by the module.
    """

    others: tuple[Stored, ...] = ()
    problems: Mapping[str, str]


def is_checkpoint(source: object) -> bool:
    """Whether it is the path of a checkpoint of PyTorch."""
    from converter.readers.file import File
    from converter.readers.torch import checkpoint

    if not isinstance(source, str | os.PathLike) or not Path(source).is_file():
        return False
    return checkpoint.is_checkpoint(File.at(source))


def read_layers(
    source: Readable, *, era: Era | None = None, arch: Architecture | None = None
) -> Loose:
    """The layers of a checkpoint of PyTorch.

    Args:
        source: Its path, its bytes, or an open file.
        era: There is none to choose.
        arch: None: with an architecture, it is a whole model.

    Raises:
        UsageError: It is no checkpoint, or more was given.
        UnsupportedError: It has no layer that Keras has.
    """
    from converter.readers.file import File, InMemory
    from converter.readers.torch import checkpoint
    from converter.readers.torch.layers import take_layers

    if isinstance(source, str | os.PathLike):
        file = File.at(source)
    elif isinstance(source, bytes) or hasattr(source, "read"):
        file = InMemory.of(source)  # type: ignore[arg-type]  # it has a read()
    else:
        raise _no_checkpoint(type(source).__name__)
    if era is not None or arch is not None:
        raise _no_checkpoint("an era or an architecture")
    if not checkpoint.is_checkpoint(file):
        if foreign := checkpoint.foreign(file):
            raise foreign
        raise _no_checkpoint(file.path)
    found = checkpoint.read(file)
    taken = take_layers(found.tensors)
    if not taken.layers:
        raise UnsupportedError(
            f"{file.path} has no layer that Keras has",
            context=next((f"{name}: {why}" for name, why in taken.problems.items()), "")
            or f"{len(found.tensors)} tensors of no LSTM, GRU, RNN, Linear or BatchNorm",
            hint="ifco inspect shows what is in it",
            code="no-recurrent",
        )
    calls = [_call(layer) for layer in taken.layers]
    dropped = [
        f"{name} ({count} tensor{'s' if count > 1 else ''})" for name, count in taken.apart.items()
    ]
    dropped += [f"{name} ({what})" for name, what in found.held.items()]
    return Loose(
        name=Path(file.path).stem,
        inputs=tuple(call.inputs[0] for call in calls),
        calls=tuple(calls),
        outputs=tuple(call.outputs[0] for call in calls),
        source=Source(path=file.path, form=found.form, sha256=file.sha256, dropped=tuple(dropped)),
        others=taken.others,
        problems=taken.problems,
    )


def _no_checkpoint(found: str) -> UsageError:
    return UsageError(
        "--to keras-weights takes weights out of a checkpoint of PyTorch",
        context=found,
        hint="--to weights.h5 writes the weights of a whole model",
        code="not-a-checkpoint",
    )


def _call(layer: Layer) -> Call:
    """A layer on an input of its own."""
    shape = (None, None) if isinstance(layer, Recurrent) else (None,)
    first = next(iter(layer.weights.values()))
    inputs = layer.forward.inputs if isinstance(layer, Recurrent) else first.shape[0]
    x = Value(f"{layer.name}:x", (*shape, inputs), layer.dtype)
    (output,) = layer.output_shapes((x.shape,))
    return Call(layer, (x,), (Value(layer.name, output, layer.dtype),))


class KerasWeights(Artefact):
    """A legacy `.h5` of the layers of a checkpoint.

    Args:
        model: As `read_layers` gives it.
        name: Of the file.
        options: Of the conversion.
    """

    def __init__(self, model: Model, name: str, options: Options) -> None:
        from converter.targets.keras import Dialect, write_model

        if not isinstance(model, Loose):
            raise _no_checkpoint("a whole model")
        self.names = (name,)
        self.model = model
        self.options = options
        self.written = write_model(model, Dialect.LEGACY)
        self.others = [_as_it_is(stored) for stored in model.others]
        self.placements = (*self.written.placements, *self.others)
        self.details: Mapping[str, Any] = {
            "layers": {
                group.name: {"class": self._class(group.name), "arrays": list(group.weights)}
                for group in self.written.groups
            },
            "no_layer_of_keras": dict(model.problems),
            "renamed": self.written.renamed,
            "rewritten": self.written.rewritten,
        }

    def _class(self, name: str) -> str:
        layers = self.written.config["config"]["layers"]
        (kind,) = {one["class_name"] for one in layers if one["name"] == name}
        return str(kind)

    def write(self, staging: Staging) -> None:
        """One array in memory at a time."""
        from converter.targets.keras import write_legacy_weights

        (name,) = self.names
        arrays = staging.scratch(name)
        write_legacy_weights(arrays, self.written, self.others)
        staging.adopt(name, arrays)

    def verify(self, folder: Path, name: str) -> Verdict:
        """By reading it back, and in Keras where there is one."""
        from converter.verify.keras import verify_weights

        path = folder / self.names[0]
        return verify_weights(
            self.model,
            path,
            self.others,
            name=name,
            keras_python=self.options.keras_python,
            rounded=self.options.rounded,
        )


def _as_it_is(stored: Stored) -> Placement:
    """A tensor of no layer, under its own name, of which every character is one of a path."""
    name = quote(stored.name, safe=" :,+-_=()[]")
    if not name.strip("."):  # a path would go up
        name = "%2E" * len(name)
    weight = Weight(stored.shape, (stored,))
    return Placement((f"{OTHERS}/{name}",), weight, _form(stored))


def _form(stored: Stored) -> Form:
    """As it is; as bytes where HDF5 has no such numbers."""
    if is_float(stored.dtype) or stored.dtype.kind in "iu":
        return AS_IS

    def read(arrays: Sequence[Array]) -> Array:
        return arrays[0].reshape(-1).view(stored.dtype).reshape(stored.shape)

    def write(array: Array) -> tuple[Array, ...]:
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return (raw.reshape(*stored.shape, stored.dtype.itemsize),)

    return Form(f"the bytes of {stored.dtype}", read, write)
