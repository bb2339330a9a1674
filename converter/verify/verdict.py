"""What a verification says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from math import inf, prod
from typing import Any


class Status(Enum):
    """The word of a verdict, and its exit code."""

    EQUAL = "equal"
    APPROXIMATE = "approximate"
    DIFFERS = "differs"
    UNDECIDED = "undecided"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """0 equal, or as near as was asked for; 1 differs; 4 for what could not be decided."""
        return {Status.EQUAL: 0, Status.APPROXIMATE: 0, Status.DIFFERS: 1}.get(self, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One output of one case.

    Attributes:
        case: The inputs in words: "batch=3 time=7 normal".
        output: The output's name.
        error: The largest absolute difference.
        tolerance: What float32 rounding explains, measured.
        units: `error` in units in the last place of the output's largest value.
        where: The index of `error`.
        reason: Why it is not equal; "" if it is.
        conditioned: False where one unit in the last place of the weights and inputs moves the
            output by more than 1e-3 of its scale, so that nothing can be said.
        moved: False where that moves it by nothing: an output that is always the same shows
            no mistake.
    """

    case: str
    output: str
    shape: tuple[int, ...]
    error: float = 0.0
    tolerance: float = 0.0
    units: float = 0.0
    where: tuple[int, ...] = ()
    reason: str = ""
    conditioned: bool = True
    moved: bool = True

    @property
    def ratio(self) -> float:
        """`error` as a part of `tolerance`; infinite where another shape or dtype has no error."""
        if self.reason and not self.error:
            return inf
        return self.error / self.tolerance if self.tolerance else 0.0

    @property
    def elements(self) -> int:
        """How many numbers were compared."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Which mistakes of a mapping the comparisons would have shown.

    Attributes:
        mistakes: How many were tried: two gates exchanged, a bias left out, time reversed, ...
        redrawn: Those that the source's weights do not show, and weights drawn anew do.
        without_effect: Those that change nothing in this model, whatever its weights are.
        hidden: Those that nothing shows.
    """

    mistakes: int
    redrawn: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far answers are from the source in float64, where something was rounded on request.

    Attributes:
        of: To what it was rounded: "float16".
        output: Which is farthest.
        case: In which it is.
        error: The largest distance.
        scale: The largest number of that output in any case.
        explained: As far as rounding explains, of weights alone where they alone are known to be
            rounded; None where nothing says it.
        bound: The part of `scale` that is allowed; None where nobody says.
        arrays: Those of the source that are in it with each number rounded to the nearest step.
    """

    of: str
    output: str
    case: str
    error: float
    scale: float
    explained: float | None
    bound: float | None = None
    arrays: int = 0

    @property
    def ratio(self) -> float:
        """`error` as a part of `scale`."""
        if not self.scale:
            return inf if self.error else 0.0
        return self.error / self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an artefact is the same model as its source.

    Attributes:
        status: The verdict.
        original: What it was held against: "model.keras".
        artefact: What was executed: "out/model.py".
        reason: In one sentence, for a person.
        comparisons: Every output of every case.
        arrays: How many arrays of the source were given back bit for bit by the artefact.
        wrong_arrays: Those that were not.
        layer: The first layer at which a difference appears; "" where there is none.
        power: What the comparisons would have shown; None where that was not tried, or where there
            is no recurrent layer.
        deviation: From the source, where something was rounded on request; None elsewhere.
    """

    status: Status
    original: str
    artefact: str
    reason: str
    comparisons: tuple[Comparison, ...] = ()
    arrays: int = 0
    wrong_arrays: tuple[str, ...] = ()
    layer: str = ""
    power: Power | None = None
    deviation: Deviation | None = None

    @property
    def worst(self) -> Comparison | None:
        """The comparison nearest to its tolerance or farthest over it, of those that say any."""
        said = [one for one in self.comparisons if one.conditioned]
        return max(said or self.comparisons, key=lambda one: one.ratio, default=None)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the schema has a version."""
        told = {"schema": 1, **asdict(self), "status": self.status.value}
        if self.deviation is None:
            del told["deviation"]
        else:
            told["deviation"]["ratio"] = self.deviation.ratio
        return told
