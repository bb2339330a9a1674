"""Operations on tensors that stand outside any layer: `x + y`, `x[:, -1]`, `mean(x, 1)`.

Axes are counted from the front and the batch is one of them: nothing here treats it otherwise.
Shapes are broadcast as NumPy does, from the last axis on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from converter.description.model import Layer, Shape, ShapeMismatchError, axis_of

Number = float | int | bool

FLOAT = "float32"

WIDTHS = {"float16": 1, "bfloat16": 1, "float32": 2, "float64": 3}
"""The floating point types, by the place that is wide enough for those before it."""

HALVES = frozenset({"float16", "bfloat16"})
"""Neither of them holds the numbers of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Layer):
    """What all of them have: unlike other layers, they say the dtype of what they give.

    They take their inputs as they are.
    """

    autocast: bool = False

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """That of the first input, where an operation says nothing else.

        Raises:
            ShapeMismatchError: Inputs of these dtypes have no result.
        """
        return inputs[0]


class Function(Enum):
    """What is done to each element."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    DIVIDE = "divide"
    FLOOR_DIVIDE = "floor_divide"
    MOD = "mod"
    POWER = "power"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    GREATER = "greater"
    GREATER_EQUAL = "greater_equal"
    LESS = "less"
    LESS_EQUAL = "less_equal"
    LOGICAL_AND = "logical_and"
    LOGICAL_OR = "logical_or"
    LOGICAL_XOR = "logical_xor"
    LOGICAL_NOT = "logical_not"
    WHERE = "where"
    NEGATIVE = "negative"
    ABSOLUTE = "absolute"
    SIGN = "sign"
    SQUARE = "square"
    SQRT = "sqrt"
    RSQRT = "rsqrt"
    RECIPROCAL = "reciprocal"
    EXP = "exp"
    EXPM1 = "expm1"
    LOG = "log"
    LOG1P = "log1p"
    SIN = "sin"
    COS = "cos"
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "round"
    CLIP = "clip"
    ZEROS_LIKE = "zeros_like"
    ONES_LIKE = "ones_like"


TESTS = frozenset(
    {
        Function.EQUAL,
        Function.NOT_EQUAL,
        Function.GREATER,
        Function.GREATER_EQUAL,
        Function.LESS,
        Function.LESS_EQUAL,
        Function.LOGICAL_AND,
        Function.LOGICAL_OR,
        Function.LOGICAL_XOR,
        Function.LOGICAL_NOT,
    }
)
"""Functions that give a bool."""

OF_WHOLE = frozenset(
    {
        Function.ADD,
        Function.SUBTRACT,
        Function.MULTIPLY,
        Function.FLOOR_DIVIDE,
        Function.MOD,
        Function.MAXIMUM,
        Function.MINIMUM,
        Function.NEGATIVE,
        Function.ABSOLUTE,
        Function.SQUARE,
        Function.WHERE,
        Function.CLIP,
        Function.ZEROS_LIKE,
        Function.ONES_LIKE,
    }
)
"""Functions that give a whole number for whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise(Operation):
    """A function of each element.

    Attributes:
        operands: In order: a number, or None for the next input.
    """

    function: Function
    operands: tuple[Number | None, ...]

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The broadcast shape."""
        if len(inputs) != self.operands.count(None):
            raise ShapeMismatchError(f"{len(inputs)} inputs; expected {self.operands.count(None)}")
        return (broadcast(inputs),)

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """That of the inputs, bool for a test, a float where any operand is no whole number."""
        if self.function in TESTS:
            return "bool"
        values = inputs[1:] if self.operands[0] is None and self._chooses else inputs
        numbers = self.operands[1:] if self._chooses else self.operands
        if self.function not in OF_WHOLE or any(isinstance(one, float) for one in numbers):
            return float_of(values)
        return common_dtype(values)

    @property
    def _chooses(self) -> bool:
        """The first operand is a condition."""
        return self.function is Function.WHERE


def float_of(dtypes: tuple[str, ...]) -> str:
    """The floating point type that holds those of several tensors; float32 where there is none."""
    floats = {one for one in dtypes if one in WIDTHS} or {FLOAT}
    widest = max(floats, key=WIDTHS.__getitem__)
    return FLOAT if floats >= HALVES and WIDTHS[widest] < WIDTHS[FLOAT] else widest


def common_dtype(dtypes: tuple[str, ...]) -> str:
    """The dtype of several tensors: a float if any of them is one.

    Raises:
        ShapeMismatchError: They are different whole numbers.
    """
    different = set(dtypes)
    if not different or different & WIDTHS.keys():
        return float_of(dtypes)
    if len(different) > 1:
        raise ShapeMismatchError(f"inputs of dtypes {', '.join(sorted(different))}")
    return different.pop()


def broadcast(shapes: tuple[Shape, ...]) -> Shape:
    """The shape that all of these are broadcast to, aligned at their last axes.

    Raises:
        ShapeMismatchError: There is none.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    aligned = [(*(1,) * (rank - len(shape)), *shape) for shape in shapes]
    result: list[int | None] = []
    for sizes in zip(*aligned, strict=True):
        known = {size for size in sizes if size is not None and size != 1}
        if len(known) > 1:
            raise ShapeMismatchError(f"axes of {sorted(known)} in one place")
        result.append(known.pop() if known else None if None in sizes else 1)
    return tuple(result)


class Reduction(Enum):
    """What becomes of the elements along some axes."""

    MEAN = "mean"
    SUM = "sum"
    MAX = "max"
    MIN = "min"
    PROD = "prod"
    STD = "std"
    VARIANCE = "var"
    LOGSUMEXP = "logsumexp"
    ANY = "any"
    ALL = "all"
    ARGMAX = "argmax"
    ARGMIN = "argmin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce(Operation):
    """One element of many. STD and VARIANCE divide by the number of elements.

    Attributes:
        axes: Over which; one for ARGMAX and ARGMIN, which give an index along it.
        keepdims: They stay, with length 1.
        dtype: Of an index.
    """

    reduction: Reduction
    axes: tuple[int, ...]
    keepdims: bool = False
    dtype: str = "int32"

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Without the axes."""
        (x,) = inputs
        for axis in self.axes:
            axis_of(axis, len(x))
        if self.keepdims:
            return (tuple(1 if k in self.axes else size for k, size in enumerate(x)),)
        return (tuple(size for k, size in enumerate(x) if k not in self.axes),)

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """Bool, an index, or as the input."""
        match self.reduction:
            case Reduction.ANY | Reduction.ALL:
                return "bool"
            case Reduction.ARGMAX | Reduction.ARGMIN:
                return self.dtype
            case Reduction.SUM | Reduction.MAX | Reduction.MIN | Reduction.PROD:
                return inputs[0]
        return float_of(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CumulativeSum(Operation):
    """Along an axis, the sum of the elements up to each, itself included."""

    axis: int

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        axis_of(self.axis, len(inputs[0]))
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Matmul(Operation):
    """The product of matrices in the last two axes; the axes before are broadcast.

    Attributes:
        transposed: For each input, whether its last two axes are exchanged before.
    """

    transposed: tuple[bool, bool] = (False, False)

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Rows of the first, columns of the second."""
        if len(inputs) != 2 or min(len(x) for x in inputs) < 2:
            raise ShapeMismatchError(f"inputs of ranks {[len(x) for x in inputs]}; expected 2 of 2")
        a, b = (
            (*x[:-2], x[-1], x[-2]) if turned else x
            for x, turned in zip(inputs, self.transposed, strict=True)
        )
        if len({a[-1], b[-2]} - {None}) > 1:
            raise ShapeMismatchError(f"rows of {a[-1]} and columns of {b[-2]}")
        return ((*broadcast((a[:-2], b[:-2])), a[-2], b[-1]),)

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """What they have in common."""
        return common_dtype(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Einsum(Operation):
    """Einstein's sum.

    Attributes:
        equation: "bij,bjk->bik": letters alone, its arrow written.
    """

    equation: str

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The sizes of the letters behind the arrow."""
        left, _, right = self.equation.partition("->")
        terms = left.split(",")
        if [len(term) for term in terms] != [len(x) for x in inputs]:
            raise ShapeMismatchError(f"ranks {[len(x) for x in inputs]} in '{self.equation}'")
        sizes: dict[str, int | None] = {}
        for term, x in zip(terms, inputs, strict=True):
            for letter, size in zip(term, x, strict=True):
                if size is not None and sizes.setdefault(letter, size) not in (None, size):
                    raise ShapeMismatchError(f"axes of {sizes[letter]} and {size} as {letter}")
                if sizes.get(letter) is None:
                    sizes[letter] = size
        return (tuple(sizes[letter] for letter in right),)

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """What they have in common."""
        return common_dtype(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast(Operation):
    """Another dtype; what has no place in it is cut off, as NumPy does."""

    dtype: str

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Unchanged."""
        return inputs

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """The new one."""
        return self.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHot(Operation):
    """For each index a last axis that is 1 there and 0 elsewhere; zeros for an index outside it."""

    classes: int

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """A last axis of `classes`."""
        return ((*inputs[0], self.classes),)

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """Numbers of 0 and 1."""
        return FLOAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Operation):
    """A tensor that is the same in every call; it takes no input.

    Attributes:
        elements: In C order.
    """

    elements: tuple[Number, ...]
    shape: tuple[int, ...]
    dtype: str

    def output_shapes(self, inputs: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Its own."""
        if inputs:
            raise ShapeMismatchError(f"{len(inputs)} inputs; expected none")
        return (self.shape,)

    def output_dtype(self, inputs: tuple[str, ...]) -> str:
        """Its own."""
        return self.dtype
