"""Measure: `python -m scripts.bench convert [MODEL]`, `... memory`, `... torch`, `... onnx`.

convert: the whole process that turns a saved Keras model into something else: `ifco convert` to
PyTorch without and with verification, Keras's own load, and `python -m tf2onnx.convert --keras`.
They alternate, five rounds after one to warm up; wall time and peak memory, and the ratio to ours.

memory: `ifco convert --no-verify` of a model of 1 GB, 40 equal LSTM layers, as .keras and as .h5.
Its peak is to be below the largest array and 150 MB. Linux only.

torch: what masks and other activations cost in PyTorch beside nn.LSTM, in alternating rounds.

onnx: our graph beside those of tf2onnx (Keras 3's export, by --peer-python) and torch.onnx.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.large_model import largest_array, write_large

EXAMPLE = Path("tests/data/examples/bidirectional.keras")

LAYERS, UNITS = 40, 904
"""26 MB a layer, 13 MB its largest array."""

ALLOWED = 150
"""MB beside the largest array."""

LOAD = "import sys, keras; keras.saving.load_model(sys.argv[1])"


@dataclass(frozen=True, slots=True)
class Run:
    """One process: wall time in seconds, peak memory in MB, and whether it did its work."""

    seconds: float
    memory: float
    failure: str


def measured(command: list[str], output: Path) -> Run:
    """Run a command to its end."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have their bytecode
    with output.open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = output.read_text(errors="replace").strip().splitlines()
    failure = (lines[-1] if lines else "no output") if process.returncode else ""
    return Run(seconds, usage.ru_maxrss / 1024, failure)


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that a process had at once, in units of 1000000 bytes.

    Attributes:
        resident: All that was in memory, the pages of files that it has mapped among them.
        own: What it had allocated, without any page of a file. Looked at every 2 ms.
        seconds: How long it ran.
        failure: Its last line, if it failed.
    """

    resident: float
    own: float
    seconds: float
    failure: str


def peak_of(command: list[str], log: Path) -> Peak:
    """Run a command to its end, and look at it from outside.

    Not `ru_maxrss`: of a process that was started by a large one, that is the large one's.
    """
    most = {"VmHWM": 0, "RssAnon": 0}
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output)
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            for name, kib in re.findall(r"(VmHWM|RssAnon):\s+(\d+) kB", status.read_text()):
                most[name] = max(most[name], int(kib))
            time.sleep(0.002)
        seconds = time.perf_counter() - start
    lines = log.read_text(errors="replace").strip().splitlines()
    failure = (lines[-1] if lines else "no output") if process.returncode else ""
    resident, own = (most[name] * 1024 / 1e6 for name in ("VmHWM", "RssAnon"))
    return Peak(resident, own, seconds, failure)


def memory() -> None:
    """Print the table, in Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_large(folder, LAYERS, UNITS)
        size = files[".keras"].stat().st_size / 1e6
        largest = largest_array(LAYERS, UNITS) / 1e6
        bound = largest + ALLOWED
        print(f"{LAYERS} LSTM layers of {UNITS} units, {size:.0f} MB; the largest array")
        print(f"is of {largest:.1f} MB, so that at most {bound:.0f} MB are allowed;")
        print(f"{machine()}\n")
        print("| ifco convert --no-verify | MB (peak) | without mapped files | seconds | |")
        print("| --- | --- | --- | --- | --- |")
        for suffix, source in files.items():
            for to, out in (("pytorch", "out"), ("keras", "out.keras"), ("onnx", "out.onnx")):
                command = [sys.executable, "-m", "converter.cli", "convert", str(source)]
                command += ["--no-verify", "--force", "--to", to, "--out", str(folder / out)]
                peak = peak_of(command, folder / "log")
                word = "within the bound" if peak.resident <= bound else "OVER the bound"
                print(
                    f"| {suffix} --to {to} | {peak.resident:.0f} | {peak.own:.0f} "
                    f"| {peak.seconds:.1f} | {peak.failure or word} |"
                )


def contenders(model: Path, peer: str) -> dict[str, Callable[[Path], list[str]]]:
    """Each command, given a folder to write into."""
    ifco = [sys.executable, "-m", "converter.cli", "convert", str(model), "--to", "pytorch"]
    return {
        "ifco convert --no-verify": lambda out: [*ifco, "--no-verify", "--out", str(out / "a")],
        "ifco convert": lambda out: [*ifco, "--out", str(out / "b")],
        "keras.saving.load_model": lambda _: [peer, "-c", LOAD, str(model)],
        "tf2onnx.convert --keras": lambda out: [
            peer, "-m", "tf2onnx.convert", "--keras", str(model), "--output", str(out / "m.onnx"),
        ],
    }  # fmt: skip


def convert(model: Path, peer: str, rounds: int) -> None:
    """Print the table, in Markdown."""
    runs: dict[str, list[Run]] = {}
    for number in range(rounds + 1):
        for name, command in contenders(model, peer).items():
            folder = Path(tempfile.mkdtemp())
            run = measured(command(folder), folder / "log")
            shutil.rmtree(folder)
            if number:  # the first round warms the disk's cache, and writes bytecode
                runs.setdefault(name, []).append(run)
    print(f"{model} ({model.stat().st_size / 1e6:.2g} MB), {rounds} rounds, alternating;")
    print(f"{machine()}\n")
    print("| process | seconds (median, least to most) | MB (peak) | times ours | memory |")
    print("| --- | --- | --- | --- | --- |")
    ours = median(runs["ifco convert --no-verify"])
    for name, results in runs.items():
        failures = [run.failure for run in results if run.failure]
        if failures:
            print(f"| {name} | fails: {failures[0][:90]} | | | |")
            continue
        seconds = [run.seconds for run in results]
        typical = median(results)
        print(
            f"| {name} | {typical.seconds:.2f} ({min(seconds):.2f} to {max(seconds):.2f}) "
            f"| {typical.memory:.0f} | {typical.seconds / ours.seconds:.1f} "
            f"| {typical.memory / ours.memory:.1f} |"
        )


def median(runs: list[Run]) -> Run:
    """The medians of time and memory, each on its own."""
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.memory for run in runs),
        "",
    )


def machine() -> str:
    """What it ran on, in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    day = time.strftime("%Y-%m-%d")
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, {day}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "what", choices=["convert", "memory", "torch", "onnx"], nargs="?", default="convert"
    )
    parser.add_argument("model", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument(
        "--peer-python",
        default=sys.executable,
        help="an interpreter with keras, tensorflow and tf2onnx",
    )
    parser.add_argument("--rounds", type=int, help="5, for torch and onnx 15")
    parser.add_argument("--threads", type=int, default=1, help="of torch and onnxruntime")
    given = parser.parse_args()
    if given.what == "memory":
        memory()
    elif given.what == "torch":
        from scripts.bench_torch import report

        print(machine())
        report(given.rounds or 15, given.threads)
    elif given.what == "onnx":
        from scripts.bench_onnx import report as report_onnx

        print(machine())
        report_onnx(given.peer_python, given.rounds or 15, given.threads)
    else:
        convert(given.model, given.peer_python, given.rounds or 5)


if __name__ == "__main__":
    main()
