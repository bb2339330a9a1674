"""Convert the two example models to PyTorch and ONNX, as one would type it.

Run by `make demo`; the results are in demo-output/.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path("tests/data/examples")
OUT = Path("demo-output")


def commands() -> list[list[str]]:
    """`ifco` with its arguments: convert and verify, then look inside."""
    return [
        ["convert", str(EXAMPLES / "bidirectional.keras"), "--to", "pytorch",
         "--out", str(OUT / "bidirectional"), "--force"],
        ["convert", str(EXAMPLES / "bidirectional.keras"), "--to", "onnx",
         "--out", str(OUT / "bidirectional.onnx"), "--force"],
        ["convert", str(EXAMPLES / "forecaster.h5"), "--to", "pytorch",
         "--out", str(OUT / "forecaster"), "--force"],
        ["inspect", str(EXAMPLES / "forecaster.h5")],
        ["verify", str(EXAMPLES / "forecaster.h5"), str(OUT / "forecaster")],
        ["verify", str(OUT / "bidirectional.onnx")],
    ]  # fmt: skip


def main() -> int:
    """Run every command; the exit code of the first that fails."""
    for arguments in commands():
        print(f"\n$ ifco {shlex.join(arguments)}", flush=True)
        code = subprocess.run([sys.executable, "-m", "converter.cli", *arguments], check=False)
        if code.returncode:
            return code.returncode
    print(f"\n$ cat {OUT / 'bidirectional' / 'model.py'}")
    print((OUT / "bidirectional" / "model.py").read_text(encoding="utf-8"))
    print(f"Made by these commands: {', '.join(sorted(map(str, OUT.rglob('*.*'))))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
