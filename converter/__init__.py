"""Moves recurrent models between Keras, PyTorch and ONNX."""
