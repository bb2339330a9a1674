"""CRC-32C (Castagnoli), the checksum of TensorFlow's files, in NumPy.

A checksum is linear: blocks of the data are summed side by side, and the sums put together two by
two, each time over twice as many bytes. `MASK` is what TensorFlow does to a checksum before it is
stored (core/lib/hash/crc32c.h).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, its lowest power in the highest bit."""

MASK = 0xA282EAD8
BLOCK = 256
"""Bytes of a block."""

PIECE = 4 * 2**20
"""So many bytes are summed at once, so that little memory is needed."""


def crc32c(data: bytes | memoryview, start: int = 0) -> int:
    """The checksum of `data`, or of what `start` is the checksum of and then `data`."""
    whole = np.frombuffer(data, np.uint8)
    register = start ^ 0xFFFFFFFF
    for first in range(0, whole.size, PIECE):
        register = _advanced(register, whole[first : first + PIECE])
    return register ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """A checksum as it is stored."""
    return (((checksum >> 15) | (checksum << 17)) + MASK) & 0xFFFFFFFF


def _advanced(register: int, piece: NDArray[np.uint8]) -> int:
    """The register after these bytes.

    Zeros in front fill up the first block: they change nothing while the register is zero. One
    that is not is added to the first four bytes.
    """
    if piece.size < 4:
        return _byte_by_byte(register, piece.tobytes())
    blocks = 1 << (-(-piece.size // BLOCK) - 1).bit_length()
    padded = np.zeros(blocks * BLOCK, np.uint8)
    own = padded[padded.size - piece.size :]
    own[:] = piece
    own[:4] ^= np.frombuffer(register.to_bytes(4, "little"), np.uint8)
    words = np.ascontiguousarray(padded.view("<u4").reshape(blocks, -1).T)
    low, high = _word_tables()
    sums = np.zeros(blocks, np.uint32)
    for row in words:
        sums ^= row
        sums = low[sums & 0xFFFF] ^ high[sums >> 16]
    level = 0
    while sums.size > 1:
        sums = _apply(_shift(level), sums[0::2]) ^ sums[1::2]
        level += 1
    return int(sums[0])


def _byte_by_byte(register: int, data: bytes) -> int:
    table = _byte_table()
    for byte in data:
        register = int(table[(register ^ byte) & 0xFF]) ^ (register >> 8)
    return register


@cache
def _byte_table() -> Words:
    """What a register of one byte becomes, that byte in front of it."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (table & np.uint32(1)) * np.uint32(POLYNOMIAL)
    return table


@cache
def _word_tables() -> tuple[Words, Words]:
    """What four bytes of zeros make of the low and of the high half of a register."""
    halves = np.arange(2**16, dtype=np.uint32)
    table = _byte_table()
    low, high = halves, halves << np.uint32(16)
    for _ in range(4):
        low = table[low & 0xFF] ^ (low >> np.uint32(8))
        high = table[high & 0xFF] ^ (high >> np.uint32(8))
    return low, high


@cache
def _shift(level: int) -> Words:
    """What 2^level blocks of zeros make of each byte of a register, (4, 256)."""
    registers = np.arange(256, dtype=np.uint32) << np.uint32(8) * np.arange(
        4, dtype=np.uint32
    ).reshape(4, 1)
    if level:
        half = _shift(level - 1)
        return _apply(half, _apply(half, registers))
    low, high = _word_tables()
    for _ in range(BLOCK // 4):
        registers = low[registers & 0xFFFF] ^ high[registers >> 16]
    return registers


def _apply(shift: Words, registers: Words) -> Words:
    """What a shift makes of registers."""
    found = np.zeros_like(registers)
    for k in range(4):
        found ^= shift[k][(registers >> np.uint32(8 * k)) & 0xFF]
    return found
