"""What is installed here: versions, and the packages of each extra."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Any

from converter import __version__

EXTRAS = {
    "torch": ("torch",),
    "runtime": ("onnxruntime",),
    "keras": ("keras", "tensorflow", "tf-keras"),
    "report": ("jinja2", "matplotlib"),
    "cluster": ("distributed",),
}
"""The packages of each extra: `pip install "ifco[torch]"`."""

BASE = ("numpy", "h5py", "safetensors", "onnx", "onnx-ir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is installed here.

    Attributes:
        base: The version of each package that is always needed; "" where it is not there.
        extras: Likewise, for each extra.
    """

    python: str
    platform: str
    ifco: str
    base: dict[str, str]
    extras: dict[str, dict[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the schema has a version."""
        return {"schema": 1, **asdict(self)}


def setup() -> Setup:
    """The versions of what is installed. No package is imported to know."""
    return Setup(
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        ifco=__version__,
        base={name: _version(name) for name in BASE},
        extras={extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        pass
    if name != "tensorflow":
        return ""
    for other in ("tensorflow-cpu", "tensorflow-intel"):
        try:
            return distribution(other).version
        except PackageNotFoundError:
            continue
    return ""
