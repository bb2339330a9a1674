"""Masking; what is done to masks on their way is Keras's own doing, see masks.py."""

from __future__ import annotations

from converter.description import Masking
from converter.targets.keras.emit import Around, Part, emit


@emit.register(Masking)
def _(layer: Masking, _around: Around) -> Part:
    return Part(kind="Masking", config={"mask_value": layer.mask_value})
