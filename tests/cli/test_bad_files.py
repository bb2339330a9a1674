"""A file that is no model, or not one that can be expressed: one error, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import converter
from converter.errors import ConverterError
from tests.cli.command import Command

BAD = Path(__file__).parents[1] / "data" / "bad"


def expressible(path: Path) -> bool:
    """Whether the library takes it after all."""
    try:
        converter.to_torch_source(converter.read(path))
    except ConverterError:
        return False
    return True


WELL_AFTER_ALL: set[str] = set()
"""Files that were made for an error which is no longer one."""

FILES = sorted(path.name for path in BAD.iterdir() if path.suffix in {".keras", ".h5"})


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_one_error_of_four_parts_and_no_output(
    name: str, ifco: Command, tmp_path: Path
) -> None:
    if expressible(BAD / name):
        assert name in WELL_AFTER_ALL
        return
    done = ifco(f"convert {BAD / name} --out {tmp_path / 'out'}")
    assert done.code == 3
    assert done.out == ""
    assert re.fullmatch(
        r"error\[[a-z0-9-]+\]: .*\n  found: .*\n  help:  .*\n", done.err, flags=re.DOTALL
    )
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_there_are_bad_files() -> None:
    assert len(FILES) > 20
