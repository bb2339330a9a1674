"""There and back: a model through another framework, and what has become of its bits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import converter
from converter.description import Model
from converter.errors import ConverterError
from converter.judge import Judge
from converter.targets.keras import write_file, write_model
from converter.targets.onnx import write_graph
from converter.targets.torch import write_source
from converter.verify.comparison import answers_of_judge
from converter.verify.inputs import cases, drawn

FORMS = ("Keras", "PyTorch", "ONNX")
DIRECTIONS = [(home, via) for home in FORMS for via in FORMS if via != home]

EXACT = 1e-12
"""Of the largest output, in float64: two judges of one model differ by rounding alone."""


@dataclass(frozen=True)
class Trip:
    """What came back.

    Attributes:
        refused: The code of the error of the way there or back; "" without one.
        lost: How many arrays did not come back with their bits.
        distance: Of the answers, as a part of the largest.
    """

    refused: str = ""
    lost: int = 0
    distance: float = 0.0

    @property
    def word(self) -> str:
        """ "equal", "refused" or what is wrong."""
        if self.refused:
            return "refused"
        if self.lost:
            return f"{self.lost} arrays lost"
        return "equal" if self.distance <= EXACT else f"off by {self.distance:.1g}"


def taken(model: Model, form: str) -> Model:
    """The model written in a framework's form, and read from that."""
    match form:
        case "Keras":
            with TemporaryDirectory() as folder:
                path = Path(folder) / "model.keras"
                write_file(path, write_model(model), "keras")
                return in_memory(converter.read(path))
        case "ONNX":
            return converter.read(write_graph(model).bytes())
    inputs = tuple(torch.from_numpy(array) for array in drawn(model, 2, 5))
    return converter.read(converter.to_torch(model), inputs)


def in_memory(model: Model) -> Model:
    """The same with its arrays read, so that the file may go."""

    def held(_layer: Any, _name: str, weight: Any) -> Any:
        stored = tuple(type(one).of(one.name, one.read()) for one in weight.stored)
        return type(weight)(weight.shape, stored, weight.form, weight.kept)

    return model.map_weights(held)


def bits(model: Model, form: str) -> list[bytes]:
    """Every array of the model as a framework has it, in any order."""
    match form:
        case "Keras":
            placements = write_model(model).placements
        case "ONNX":
            placements = write_graph(model).placements
        case _:
            placements = write_source(model).placements
    return sorted(
        array.tobytes() for one in placements if not one.added for _, array in one.tensors()
    )


def trip(model: Model, home: str, via: str, inputs: int = 4) -> Trip:
    """The model in its home's form, through another framework's, and home again.

    Args:
        model: Of any source.
        home: Where it begins and ends.
        via: Where it goes.
        inputs: How many cases of a verification both are held against.
    """
    try:
        begin = taken(model, home)
        end = taken(taken(begin, via), home)
        before, after = bits(begin, home), bits(end, home)
    except ConverterError as error:
        return Trip(refused=error.code)
    lost = len([one for one in before if one not in after]) + abs(len(before) - len(after))
    return Trip(lost=lost, distance=distance(begin, end, inputs))


def distance(one: Model, other: Model, count: int = 4) -> float:
    """How far the answers of two models are from each other, as a part of the largest."""
    inputs = list(islice(cases(one), count))
    far = scale = 0.0
    pairs = zip(*(answers_of_judge(Judge(model), inputs) for model in (one, other)), strict=True)
    for own, others in pairs:
        for a, b in zip(own, others, strict=True):
            if a.shape != b.shape:
                return float("inf")
            far = max(far, float(np.abs(a - b).max(initial=0)))
            scale = max(scale, float(np.abs(a).max(initial=0)))
    return far / scale if scale else far
