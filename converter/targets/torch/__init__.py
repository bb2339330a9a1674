"""A model as PyTorch: one readable file, its weights, and the module that they make.

`to_torch` runs the same text and loads the same arrays that `convert` puts on the disk, so what
is verified is what is shipped. Nothing here imports torch before a module is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.description import Model
from converter.errors import MissingExtraError
from converter.targets.placement import Placement
from converter.targets.torch.source import Source
from converter.targets.torch.writing import file_text, write_source

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Placement", "Source", "file_text", "to_torch", "to_torch_source", "write_source"]


def to_torch_source(model: Model) -> str:
    """The Python file that `convert` writes as model.py.

    Raises:
        UnsupportedError: A layer cannot be expressed.
    """
    return file_text(write_source(model))


def to_torch(model: Model) -> nn.Module:
    """The model as an nn.Module in eval mode, made by the source that `convert` writes.

    Raises:
        UnsupportedError: A layer cannot be expressed.
        MissingExtraError: torch is not installed.
    """
    try:
        from converter.targets.torch.loading import module_of
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "making an nn.Module needs the package torch",
            context=str(error),
            hint='pip install "ifco[torch]"; converter.to_torch_source needs none',
            code="missing-extra",
        ) from error
    return module_of(write_source(model))
