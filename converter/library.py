"""The functions of the library that look at a model, or at what one is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.description import Era, Model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import nn

    from converter.gates import Array
    from converter.readers import Architecture, Readable
    from converter.report.inspection import Inspection


def model_of(source: Model | Readable) -> Model:
    """A model as it is, or the one that `read` finds."""
    if isinstance(source, Model):
        return source
    from converter.readers import read

    return read(source)


def to_torch(source: Model | Readable) -> nn.Module:
    """The model as an nn.Module in eval mode, made by the source that `convert` writes.

    Args:
        source: A model, or whatever `converter.read` takes.

    Raises:
        ReadError: It cannot be read.
        UnsupportedError: A layer cannot be expressed.
        MissingExtraError: torch is not installed.
    """
    from converter.targets import torch

    return torch.to_torch(model_of(source))


def to_torch_source(source: Model | Readable) -> str:
    """The Python file that `convert` writes as model.py.

    Args:
        source: A model, or whatever `converter.read` takes.

    Raises:
        ReadError: It cannot be read.
        UnsupportedError: A layer cannot be expressed.
    """
    from converter.targets import torch

    return torch.to_torch_source(model_of(source))


def judge(source: Model | Readable, *arrays: ArrayLike) -> Array | tuple[Array, ...]:
    """What the model means for these inputs: an array, or a tuple of them for several outputs.

    Args:
        source: A model, or whatever `converter.read` takes.
        arrays: One for each input.

    Raises:
        ReadError: It cannot be read.
        UsageError: The inputs do not fit the model, or an index is outside its table.
        UnsupportedError: The judge does not know a layer, or what it asks for.
    """
    from converter.judge import judge as decide

    return decide(model_of(source), *arrays)


def inspect(
    source: Readable,
    example_inputs: object = None,
    *,
    values: bool | None = None,
    era: Era | None = None,
    arch: Architecture | None = None,
) -> Inspection:
    """What is in a model: layers, parameters, and each recurrent layer taken apart.

    Args:
        source: Whatever `converter.read` takes.
        example_inputs: As for `converter.read`.
        values: With the numbers of recurrent layers; by default those of small layers.
        era: As for `converter.read`.
        arch: As for `converter.read`.

    Raises:
        ReadError: It cannot be read.
        UnsupportedError: It has something that is not read.
    """
    from converter.readers import read
    from converter.report.inspection import inspect as look

    return look(read(source, example_inputs, era=era, arch=arch), values=values)
