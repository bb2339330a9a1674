"""ONNX files as models: the nodes are read in order, and become layers again."""
