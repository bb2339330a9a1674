"""What every test may use: the corpus, hypothesis profiles, and the rule that CI skips nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# The only reasons for which CI may skip a test: its machines have no GPU, or no OpenVINO.
ALLOWED_SKIPS = ("needs_gpu", "needs_openvino")

OPENVINO = "IFCO_OPENVINO_PYTHON"
"""A Python with onnxruntime-openvino, which cannot be installed beside onnxruntime."""

# A machine under load is slow, and that is no failure; CI tries the same examples every time.
settings.register_profile("ifco", deadline=None)
settings.register_profile("ifco-ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ifco-ci" if IN_CI else "ifco")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of other people's saved models; its README.md says what is in it."""
    folder = Path(os.environ.get("IFCO_CORPUS") or ROOT.parent / "shared" / "corpus")
    if (folder / "catalog.json").is_file():
        return folder
    missing = f"corpus: no catalog.json in {folder}; set IFCO_CORPUS to its folder"
    if os.environ.get("IFCO_CORPUS_REQUIRED"):
        pytest.fail(missing)
    pytest.skip(missing)


@cache
def gpu_is_there() -> bool:
    """Whether the driver lists an NVIDIA GPU."""
    command = shutil.which("nvidia-smi")
    return (
        command is not None
        and b"GPU" in subprocess.run([command, "-L"], capture_output=True).stdout
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_gpu") and not gpu_is_there():
        pytest.skip("needs_gpu: no NVIDIA GPU here")
    if item.get_closest_marker("needs_openvino") and not os.environ.get(OPENVINO):
        pytest.skip(f"needs_openvino: {OPENVINO} is not the path of a Python that has it")


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that CI does not allow into a failure that says so."""
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(ALLOWED_SKIPS):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where only {', '.join(ALLOWED_SKIPS)} may be: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have to say in a line or in a table, whichever process they ran in."""
    tables: dict[str, list[Sequence[str]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, said in getattr(report, "user_properties", ()):
                if getattr(report, "when", "") != "call":
                    continue
                if name == "summary":
                    terminalreporter.write_line(said)
                if name == "table":
                    title, heads, row = said
                    tables.setdefault(title, [heads]).append(row)
    for title, (heads, *rows) in tables.items():
        terminalreporter.write_line(f"\n{title}")
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for row in (heads, *sorted(rows)):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            terminalreporter.write_line("  ".join(cells).rstrip())
