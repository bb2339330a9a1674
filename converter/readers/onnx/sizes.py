"""Sizes that are not known before a model runs: `batch`, `time`, `2 * batch * time`.

Files compute with the sizes of their tensors, to make zeros of a state's shape or to reshape. Here
such numbers are sums of products of named sizes, so that what is computed of them is known to be a
size of a tensor or a number, without a run.

>>> batch, time = Size.of("batch"), Size.of("time")
>>> (batch * time * 8) // (time * 4) == batch * 2, batch * 2 - batch - batch
(True, 0)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from converter.description import Shape

Names = tuple[str, ...]


class Size:
    """A sum of products of named sizes, each at least 1.

    Attributes:
        terms: For each product, by its names in order, how often it counts.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[Names, int]) -> None:
        self.terms = dict(sorted(terms.items()))

    @classmethod
    def of(cls, name: str) -> Size:
        """The size of that name."""
        return cls({(name,): 1})

    def __add__(self, other: object) -> int | Size:
        terms = _terms(other)
        if terms is None:
            return NotImplemented
        return _made(
            {key: self.terms.get(key, 0) + terms.get(key, 0) for key in self.terms | terms}
        )

    __radd__ = __add__

    def __neg__(self) -> int | Size:
        return self * -1

    def __sub__(self, other: object) -> int | Size:
        terms = _terms(other)
        return NotImplemented if terms is None else self + _made(terms) * -1

    def __rsub__(self, other: object) -> int | Size:
        terms = _terms(other)
        return NotImplemented if terms is None else _made(terms) + self * -1

    def __mul__(self, other: object) -> int | Size:
        terms = _terms(other)
        if terms is None:
            return NotImplemented
        product: dict[Names, int] = {}
        for one, count in self.terms.items():
            for another, times in terms.items():
                key = tuple(sorted(one + another))
                product[key] = product.get(key, 0) + count * times
        return _made(product)

    __rmul__ = __mul__

    def __floordiv__(self, other: object) -> int | Size:
        """Exact where it divides; otherwise a size of its own."""
        terms = _terms(other)
        if not terms:
            return NotImplemented
        quotient = _divided(self.terms, terms)
        return Size.of(f"({self} // {other})") if quotient is None else quotient

    def __rfloordiv__(self, other: object) -> int | Size:
        return Size.of(f"({other} // {self})")

    def __mod__(self, other: object) -> int | Size:
        terms = _terms(other)
        if not terms:
            return NotImplemented
        divides = _divided(self.terms, terms) is not None
        return 0 if divides else Size.of(f"({self} % {other})")

    def __rmod__(self, other: object) -> int | Size:
        return Size.of(f"({other} % {self})")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(tuple(self.terms.items()))

    def __lt__(self, other: object) -> bool:
        """Never known, so never said: a layer takes it for long enough."""
        return False

    __le__ = __lt__

    def __gt__(self, other: object) -> bool:
        return True

    __ge__ = __gt__

    def __repr__(self) -> str:
        return " + ".join("*".join(_factors(*term)) for term in self.terms.items())


Sizes = tuple[int | Size, ...]


def _factors(names: Names, count: int) -> Iterable[str]:
    return (str(count), *names) if count != 1 or not names else names


def _terms(value: object) -> dict[Names, int] | None:
    if isinstance(value, Size):
        return value.terms
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return None
    if number != value:
        return None
    return {(): number} if number else {}


def _made(terms: Mapping[Names, int]) -> int | Size:
    left = {key: count for key, count in terms.items() if count}
    if not left:
        return 0
    return left[()] if left.keys() == {()} else Size(left)


def _divided(terms: Mapping[Names, int], by: Mapping[Names, int]) -> int | Size | None:
    """The quotient by one product, or of two sums that are multiples; None where there is none."""
    if len(by) != 1:
        ratios = {terms.get(key, 0) / count for key, count in by.items()}
        if terms.keys() == by.keys() and len(ratios) == 1 and (ratio := ratios.pop()).is_integer():
            return int(ratio)
        return None
    ((names, divisor),) = by.items()
    quotient: dict[Names, int] = {}
    for key, count in terms.items():
        left = list(key)
        for name in names:
            if name not in left:
                return None
            left.remove(name)
        if count % divisor:
            return None
        quotient[tuple(left)] = count // divisor
    return _made(quotient)


def known(sizes: Sizes) -> Shape:
    """A shape as the description has it: None where a size is not a number."""
    return tuple(size if isinstance(size, int) else None for size in sizes)


def as_shape(sizes: Sizes) -> Shape:
    """Sizes in the place of numbers, for what computes with a shape."""
    return cast("Shape", sizes)


def numbers(sizes: Iterable[int | Size]) -> tuple[int, ...] | None:
    """The sizes as numbers; None where one of them is not known."""
    every = tuple(sizes)
    return cast("tuple[int, ...]", every) if all(isinstance(one, int) for one in every) else None
