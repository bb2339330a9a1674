"""A model as ONNX: one graph, with fused recurrent nodes and the layers' names."""

from converter.targets.onnx.files import LARGEST
from converter.targets.onnx.writing import USUAL, Written, write_graph

__all__ = ["LARGEST", "USUAL", "Written", "write_graph"]
