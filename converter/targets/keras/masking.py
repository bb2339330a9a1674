"""Masking; what makes masks of masks is no layer in Keras. See `converter.targets.keras.masks`."""

from __future__ import annotations

from converter.description import Masking, WithinLength
from converter.targets.keras.emit import Around, Part, emit, refusal


@emit.register(Masking)
def _(layer: Masking, _around: Around) -> Part:
    """A layer."""
    return Part(kind="Masking", config={"mask_value": layer.mask_value})


@emit.register(WithinLength)
def _(layer: WithinLength, _around: Around) -> Part:
    """Refused with the time first; with the batch first it is operations, see `lowering`.

    Raises:
        UnsupportedError: Always.
    """
    raise refusal(
        layer,
        "lengths of sequences whose steps come before the batch",
        "--to pytorch and --to onnx can say it",
        "keras-lengths",
    )
