"""The files of Keras 2.15, which Keras 3 opens none of: rescued, or refused for a stated reason."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import converter
from converter.doctor import examine
from converter.errors import ConverterError
from converter.targets.keras import write_model
from tests.targets.keras.keras_files import FLOAT32, Asked

REFUSED: dict[str, tuple[str, str]] = {}
"""Those that are not rescued yet, with the code of the error and the reason."""

NAMES = [
    f"{stem}{suffix}"
    for stem in (
        "bilstm", "cells", "convlstm", "gru", "gru_before", "impl1", "init", "lstm", "lstm_hard",
        "masking", "s2s", "simplernn", "stateful", "timemajor",
    )
    for suffix in (".h5", ".keras")
]  # fmt: skip

DIFFERS = {
    "convlstm": {"hard-sigmoid"},
    "lstm_hard": {"hard-sigmoid"},
    "timemajor": {"time-major"},
}
"""Which of them would answer otherwise if they opened, and by which finding of the doctor."""


@pytest.fixture(scope="module")
def rescued(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Each that can be, as an archive, in one process of Keras."""
    if find_spec("keras") is None:
        pytest.skip("keras is not installed")
    found = Asked(tmp_path_factory.mktemp("rescued"))
    for name in NAMES:
        if name not in REFUSED:
            path = corpus / "keras215" / name
            found.add(path, ".keras", path.with_suffix(".npz"))
    return found


def test_the_list_is_complete(corpus: Path) -> None:
    there = {path.name for path in (corpus / "keras215").iterdir() if path.suffix != ".npz"}
    assert {name for name in there if name.endswith((".h5", ".keras"))} == set(NAMES)
    assert len(NAMES) == 28


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED])
def test_a_rescued_file_is_opened_and_answered_as_before(rescued: Asked, name: str) -> None:
    assert rescued.distance(f"keras215/{name} as .keras") < FLOAT32


def test_what_is_not_rescued_is_refused_for_its_reason(corpus: Path) -> None:
    for name, (code, _) in REFUSED.items():
        with pytest.raises(ConverterError) as caught:
            write_model(converter.read(corpus / "keras215" / name))
        assert caught.value.code == code


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_knows_why_and_names_the_command(corpus: Path, name: str) -> None:
    found = examine(corpus / "keras215" / name)
    assert not found.opens
    changed = {one.code for one in found.findings if one.effect.value == "differs"}
    assert changed == DIFFERS.get(Path(name).stem, set())
    assert found.rescue.startswith("ifco convert ") == (name not in REFUSED)
