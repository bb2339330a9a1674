"""How much memory a conversion takes: that of its largest array, not that of the model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.bench import peak_of
from scripts.large_model import largest_array, write_large

LAYERS, UNITS = 40, 160
"""33 MB, no array of which is over 0.5 MB."""

ALLOWED = 8
"""MB over the conversion of the same layers with next to no weights; measured up to 4."""

KEEP = """
import sys, converter
model = converter.read(sys.argv[1])
kept = [weight.read().copy() for layer in model.layers for weight in layer.weights.values()]
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process has")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_large(tmp_path_factory.mktemp("large"), LAYERS, UNITS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_large(tmp_path_factory.mktemp("small"), LAYERS, 4)


def own(command: list[str], folder: Path) -> float:
    """MB that a process has at most, the pages of mapped files left out."""
    peak = peak_of([sys.executable, *command], folder / "log")
    assert not peak.failure
    return peak.own


@pytest.mark.parametrize(
    ("suffix", "to"), [(".keras", "pytorch"), (".h5", "keras"), (".h5", "onnx")]
)
def test_a_conversion_has_one_array_in_memory_at_a_time(
    suffix: str, to: str, large: dict[str, Path], small: dict[str, Path], tmp_path: Path
) -> None:
    def converted(source: Path) -> float:
        out = tmp_path / ("out" if to == "pytorch" else f"out.{to}")
        command = ["-m", "converter.cli", "convert", str(source), "--no-verify", "--force"]
        return own([*command, "--to", to, "--out", str(out)], tmp_path)

    assert large[suffix].stat().st_size > 4 * ALLOWED * 1e6
    assert largest_array(LAYERS, UNITS) < 0.5e6
    assert converted(large[suffix]) < converted(small[suffix]) + ALLOWED


def test_a_reader_that_kept_every_array_would_be_seen(
    large: dict[str, Path], small: dict[str, Path], tmp_path: Path
) -> None:
    kept = [own(["-c", KEEP, str(one[".h5"])], tmp_path) for one in (large, small)]
    assert kept[0] > kept[1] + 3 * ALLOWED
