"""The ONNX column of the grid: `emit[layer](layer, graph)` writes one layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from converter.registry import Registry
from converter.targets.onnx.graph import Graph

emit: Registry[Callable[[Any, Graph], None]] = Registry("ONNX node")
