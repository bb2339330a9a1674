"""In CI nothing skips unnoticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The environment of this run says nothing to the run inside it.
OURS = {"CI", "IFCO_CORPUS", "IFCO_CORPUS_REQUIRED", "PYTEST_ADDOPTS"} | {
    name for name in os.environ if name.startswith("PYTEST_XDIST")
}


def run(folder: Path, source: str, **environment: str) -> str:
    """What pytest prints for one test module beside the project's conftest.py."""
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests/conftest.py", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests/test_it.py").write_text(f"import pytest\n\n{source}\n")
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "tests"],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


MISSING_PACKAGE = "def test_it():\n    pytest.importorskip('surely_not_installed')"
MISSING_IN_MODULE = "pytest.importorskip('surely_not_installed')\n\ndef test_it(): pass"
MISSING_GPU = "@pytest.mark.needs_gpu\ndef test_it(): pass"
EXPECTED_FAILURE = "@pytest.mark.xfail\ndef test_it(): raise ValueError"
USES_CORPUS = "def test_it(corpus): assert (corpus / 'catalog.json').is_file()"


@pytest.mark.parametrize("source", [MISSING_PACKAGE, MISSING_IN_MODULE])
def test_a_missing_package_skips_with_its_name(tmp_path: Path, source: str) -> None:
    out = run(tmp_path, source)
    assert "1 skipped" in out
    assert "could not import 'surely_not_installed'" in out


@pytest.mark.parametrize("source", [MISSING_PACKAGE, MISSING_IN_MODULE])
def test_a_missing_package_fails_in_ci(tmp_path: Path, source: str) -> None:
    out = run(tmp_path, source, CI="true")
    assert "skipped in CI, where only needs_gpu, needs_openvino may be" in out
    assert "could not import 'surely_not_installed'" in out
    assert "1 failed" in out or "1 error" in out


def test_a_missing_gpu_skips_in_ci_too(tmp_path: Path) -> None:
    out = run(tmp_path, MISSING_GPU, CI="true", PATH="")
    assert "needs_gpu: no NVIDIA GPU here" in out
    assert "1 skipped" in out


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert "1 xfailed" in run(tmp_path, EXPECTED_FAILURE, CI="true")


def test_the_corpus_is_found_by_its_variable(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "catalog.json").write_text("[]")
    assert "1 passed" in run(tmp_path, USES_CORPUS, IFCO_CORPUS=str(elsewhere))


def test_a_missing_corpus_skips_with_its_name(tmp_path: Path) -> None:
    out = run(tmp_path, USES_CORPUS)
    assert "corpus: no catalog.json in" in out
    assert "1 skipped" in out


def test_a_missing_corpus_fails_where_it_is_required(tmp_path: Path) -> None:
    out = run(tmp_path, USES_CORPUS, IFCO_CORPUS_REQUIRED="1")
    assert "set IFCO_CORPUS to its folder" in out
    assert "1 error" in out
