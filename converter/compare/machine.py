"""The machine that a comparison was made on."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What measurements depend on.

    Attributes:
        processor: Its model.
        cores: How many of them this process may use.
        memory: In GB, of 1e9 bytes; 0 where nothing says it.
        system: "Linux 6.1".
        python: Its version.
    """

    processor: str
    cores: int
    memory: float
    system: str
    python: str


def machine() -> Machine:
    """This one."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return Machine(
        processor=_processor(),
        cores=cores,
        memory=_memory(),
        system=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        python=platform.python_version(),
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file() and (found := re.search(r"model name\s*:\s*(.+)", info.read_text())):
        return found.group(1).strip()
    return platform.processor() or platform.machine()


def _memory() -> float:
    if not hasattr(os, "sysconf"):
        return 0.0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
