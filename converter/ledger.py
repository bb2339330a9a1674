"""The ledger: what became of every array of the source, and the proof that nothing was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converter.arrays import sha256
from converter.description import Stored
from converter.gates import Array
from converter.targets.placement import Placement


@dataclass(frozen=True, slots=True)
class Entry:
    """One array of the source and the tensors that it is in."""

    stored: Stored
    sha256: str
    to: tuple[str, ...]
    how: str

    def as_dict(self) -> dict[str, Any]:
        """For the record of a conversion."""
        return {
            "source": self.stored.name,
            "shape": list(self.stored.shape),
            "dtype": str(self.stored.dtype),
            "sha256": self.sha256,
            "to": list(self.to),
            "map": self.how,
        }


def entries(placements: Sequence[Placement]) -> Iterator[Entry]:
    """Each array of the source with where it went; its bytes are read now, one at a time."""
    for placement in placements:
        if placement.added:
            continue
        how = f"{placement.weight.form.how} -> {placement.form.how}"
        if lossy := placement.lossy or placement.weight.form.lossy:
            how += f" ({lossy})"
        for stored in placement.weight.stored:
            yield Entry(stored, sha256(stored.read()), placement.names, how)


def wrong_arrays(placements: Sequence[Placement], tensors: Mapping[str, Array]) -> Iterator[str]:
    """Arrays of the source that the tensors do not give back bit for bit.

    Args:
        placements: Where each weight was put.
        tensors: What the artefact holds, by name.
    """
    for placement in placements:
        if placement.added:
            continue
        if placement.lossy or placement.weight.form.lossy:  # what was written cannot be undone
            if not _as_written(placement, tensors):
                yield from (stored.name for stored in placement.weight.stored)
            continue
        given_back = _given_back(placement, tensors)
        for k, stored in enumerate(placement.weight.stored):
            if k >= len(given_back) or not _same_bits(given_back[k], stored.read()):
                yield stored.name


def _given_back(placement: Placement, tensors: Mapping[str, Array]) -> tuple[Array, ...]:
    """The source's arrays, made of the tensors; none if these are not what is written.

    Both ways are needed: where a weight becomes two biases, their sum may hide a change.
    """
    if not _as_written(placement, tensors):
        return ()
    held = [tensors[name] for name in placement.names]
    return placement.weight.form.write(placement.form.read(held))


def _as_written(placement: Placement, tensors: Mapping[str, Array]) -> bool:
    """Whether the tensors are what is written for the weight, bit for bit."""
    return placement.fits(tensors) and all(
        _same_bits(tensors[name], array) for name, array in placement.tensors()
    )


def _same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays have the same shape, dtype and bits, in whatever order their bytes are.

    NaN and -0 count as the bits that they are.
    """
    a, b = (array.astype(array.dtype.newbyteorder("="), copy=False) for array in (a, b))
    return a.shape == b.shape and a.dtype == b.dtype and sha256(a) == sha256(b)
