"""What each target makes of a model: its files, and how they are recorded and verified.

A target is a row of `TARGETS`. `convert` knows no more of it than what an `Artefact` does.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter.description import Model
from converter.errors import UsageError
from converter.output import Staging
from converter.targets.placement import Placement
from converter.targets.tensors import write_tensors
from converter.targets.torch import Source, file_text, write_source
from converter.verify.verdict import Verdict

if TYPE_CHECKING:
    from converter.targets.keras import Written
    from converter.verify.deviation import Rounded

RECORD = "conversion.json"


class Artefact(ABC):
    """A model as a target has it, before it is on the disk.

    Attributes:
        names: Of its files.
        placements: Where each weight goes.
        details: What the record says of this target alone.
    """

    names: tuple[str, ...]
    placements: Sequence[Placement]
    details: Mapping[str, Any]

    @abstractmethod
    def write(self, staging: Staging) -> None:
        """Write the files."""

    @abstractmethod
    def verify(self, folder: Path, name: str) -> Verdict:
        """The verdict on the files that were written, read back from the disk.

        Args:
            folder: Where they are.
            name: What the verdict calls them.
        """


@dataclass(frozen=True, slots=True)
class Options:
    """What a conversion may ask of a target.

    Attributes:
        keras_python: An interpreter that has Keras, to run what was written.
        opset: Of an ONNX file.
        verify: What is written will be verified.
        rounded: What was rounded in the model on request.
        quantize: To what the weights of an ONNX file are rounded; "none".
    """

    keras_python: str | os.PathLike[str] | None = None
    opset: int | None = None
    verify: bool = True
    rounded: Rounded | None = None
    quantize: str = "none"


def write_placements(staging: Staging, name: str, placements: Sequence[Placement]) -> None:
    """A safetensors file of every tensor, with one array in memory at a time."""
    places = {tensor: one for one in placements for tensor in one.names}
    tensors = {
        tensor: (shape, one.weight.dtype)
        for one in placements
        for tensor, shape in one.shapes().items()
    }
    staging.write(
        name,
        lambda file: write_tensors(file, tensors, lambda tensor: places[tensor].tensor(tensor)),
        sum(prod(shape) * dtype.itemsize for shape, dtype in tensors.values()),
    )


class TorchFolder(Artefact):
    """model.py and model.safetensors."""

    names = ("model.py", "model.safetensors")

    def __init__(self, model: Model, options: Options = Options()) -> None:
        self.options = options
        self.written: Source = write_source(model)
        self.placements = self.written.placements
        self.details = {"modules": self.written.module_names}

    def write(self, staging: Staging) -> None:
        """One array in memory at a time."""
        text = file_text(self.written).encode()
        staging.write(self.names[0], lambda file: file.write(text), len(text))
        write_placements(staging, self.names[1], self.placements)

    def verify(self, folder: Path, name: str) -> Verdict:
        """By executing it."""
        from converter.verify import verify_folder

        return verify_folder(self.written.model, folder, name, self.options.rounded)


class KerasFile(Artefact):
    """A file that Keras loads: `.keras`, `.h5` or `.weights.h5`."""

    def __init__(self, model: Model, name: str, form: str, options: Options) -> None:
        from converter.targets.keras import Dialect, write_model

        self.names = (name,)
        self.form = form
        self.options = options
        dialect = Dialect.LEGACY if form == "h5" else Dialect.KERAS_3
        self.written: Written = write_model(model, dialect)
        self.placements = self.written.placements
        self.details = {"renamed": self.written.renamed, "rewritten": self.written.rewritten}

    def write(self, staging: Staging) -> None:
        """One array in memory at a time; those of an archive go to the disk twice."""
        from converter.targets.keras import write_archive, write_legacy, write_weights

        (name,) = self.names
        arrays = staging.scratch(name)
        if self.form == "h5":
            write_legacy(arrays, self.written)
        else:
            write_weights(arrays, self.written)
        if self.form != "keras":
            staging.adopt(name, arrays)
            return
        size = arrays.stat().st_size
        staging.write(name, lambda file: write_archive(file, self.written, arrays), size)
        arrays.unlink()

    def verify(self, folder: Path, name: str) -> Verdict:
        """By reading it back, and in Keras where there is one."""
        from converter.verify.keras import verify_file

        path = folder / self.names[0]
        return verify_file(
            self.written.model,
            path,
            name=name,
            keras_python=self.options.keras_python,
            rounded=self.options.rounded,
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A row of `TARGETS`.

    Attributes:
        suffix: Of its file; "" where it is a folder.
        make: From a model, the name of the file, and the options.
    """

    suffix: str
    make: Callable[[Model, str, Options], Artefact]


def _state_dict(model: Model, name: str, _options: Options) -> Artefact:
    from converter.state_dict import StateDict

    return StateDict(model, name)


def _keras_source(model: Model, _name: str, options: Options) -> Artefact:
    from converter.keras_source import KerasSource

    return KerasSource(model, options)


def _keras_weights(model: Model, name: str, options: Options) -> Artefact:
    from converter.keras_weights import KerasWeights

    return KerasWeights(model, name, options)


def _onnx(model: Model, name: str, options: Options) -> Artefact:
    if options.quantize != "none":
        from converter.quantized_file import QuantizedFile

        return QuantizedFile(model, name, options)
    from converter.onnx_file import OnnxFile

    return OnnxFile(model, name, options)


def _keras(form: str) -> Target:
    return Target(f".{form}", lambda model, name, options: KerasFile(model, name, form, options))


TARGETS: Mapping[str, Target] = {
    "pytorch": Target("", lambda model, _name, options: TorchFolder(model, options)),
    "onnx": Target(".onnx", _onnx),
    "keras": _keras("keras"),
    "h5": _keras("h5"),
    "weights.h5": _keras("weights.h5"),
    "state-dict": Target(".safetensors", _state_dict),
    "keras-weights": Target(".h5", _keras_weights),
    "keras-source": Target("", _keras_source),
}
"""What `convert` can write."""


def target_of(to: str) -> Target:
    """The target of that name.

    Raises:
        UsageError: There is none.
    """
    if to not in TARGETS:
        raise UsageError(
            f"there is no target '{to}'",
            context=f"--to {to}",
            hint=f"one of: {', '.join(TARGETS)}",
            code="unknown-target",
        )
    return TARGETS[to]


def default_out(source: Path, to: str) -> Path:
    """Where the result goes if nobody says it: here, named after the source and the target.

    >>> default_out(Path("models/a.h5"), "pytorch"), default_out(Path("models/a.h5"), "keras")
    (PosixPath('a-pytorch'), PosixPath('a.keras'))
    """
    suffix = target_of(to).suffix
    return Path(f"{source.stem}{suffix}" if suffix else f"{source.stem}-{to}")


def check_suffix(out: Path, to: str) -> None:
    """Refuse a name of a file that its readers would not take.

    Raises:
        UsageError: The file has another suffix than its target's.
    """
    suffix = target_of(to).suffix
    weights = suffix == ".h5" and out.name.endswith(".weights.h5")
    if suffix and (not out.name.endswith(suffix) or out.name == suffix or weights):
        raise UsageError(
            f"{out} is no name for what --to {to} writes",
            context=f"such a file is known by its end, {suffix}",
            hint=f"--out {out.name.split('.')[0] or 'model'}{suffix}",
            code="output-suffix",
        )
