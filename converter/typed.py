"""Options of the command that are more than one thing: what stands between commas."""

from __future__ import annotations

from converter.errors import UsageError


def listed(text: str) -> tuple[str, ...]:
    """What stands between commas.

    >>> listed("cpu, cuda")
    ('cpu', 'cuda')
    """
    return tuple(one.strip() for one in text.split(",") if one.strip())


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Numbers between commas.

    >>> numbers("1,32", "--batches")
    (1, 32)

    Raises:
        UsageError: One is none.
    """
    found = listed(text)
    if not found or not all(one.isdecimal() for one in found):
        raise UsageError(
            f"{option} takes numbers with commas between",
            context=f'{option} "{text}"',
            hint=f"{option} 1,32",
            code="usage",
        )
    return tuple(map(int, found))


def pairs(text: str, option: str) -> dict[str, str]:
    """Names and what belongs to them.

    >>> pairs("openvino=a/python,cuda=b/python", "--python")
    {'openvino': 'a/python', 'cuda': 'b/python'}

    Raises:
        UsageError: One has no "=".
    """
    found = listed(text)
    if not all("=" in one for one in found):
        raise UsageError(
            f"{option} takes names and paths with commas between",
            context=f'{option} "{text}"',
            hint=f"{option} openvino=/path/to/python",
            code="usage",
        )
    return dict(one.split("=", 1) for one in found)
