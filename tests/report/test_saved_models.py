"""Every saved model of the test data, inspected."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.description import Model
from converter.errors import ReadError, UnsupportedError
from converter.readers import read
from converter.report.inspection import Inspection, inspect
from converter.report.inspection_text import show_inspection
from converter.report.json import as_json
from converter.targets.torch import to_torch
from tests.report.terminal import in_a_log, on_a_terminal, plain

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    """All that can be read; what cannot is refused by name."""
    found = {}
    # The .h5 of Keras 3 hold the same models as its archives.
    for path in sorted([*DATA.glob("*/*.keras"), *DATA.glob("[!k]*/*.h5")]):
        try:
            found[path.relative_to(DATA).as_posix()] = read(path)
        except (ReadError, UnsupportedError):
            continue
    assert len(found) > 100
    return found


@pytest.fixture(scope="module")
def inspections(models: dict[str, Model]) -> dict[str, Inspection]:
    return {name: inspect(model) for name, model in models.items()}


def test_80_columns_are_enough(inspections: dict[str, Inspection]) -> None:
    for name, found in inspections.items():
        text = on_a_terminal(lambda console, found=found: show_inspection(console, found), 80)
        too_wide = [line for line in plain(text).splitlines() if len(line) > 80]
        assert too_wide == [], name


def test_a_log_names_every_layer(inspections: dict[str, Inspection]) -> None:
    for name, found in inspections.items():
        text = in_a_log(lambda console, found=found: show_inspection(console, found))
        for row in found.layers:
            assert f"  {row.name} " in text, name


def test_every_inspection_is_json(inspections: dict[str, Inspection]) -> None:
    for found in inspections.values():
        assert as_json(found.as_dict())


def test_the_counts_are_those_of_the_module(
    models: dict[str, Model], inspections: dict[str, Inspection]
) -> None:
    compared = 0
    for name, found in inspections.items():
        try:
            module = to_torch(models[name])
        except UnsupportedError:
            continue
        assert found.torch_parameters == sum(one.numel() for one in module.parameters()), name
        compared += 1
    assert compared > 100
