"""How the models in tests/data are built: a module for each family of layers, and what they share.

Importing a family enters its architectures into `ARCHITECTURES`, importing `damaged` and
`unsupported` the files that are to be refused. Nothing here imports Keras at module
level: each architecture is handed the Keras that shall build it.
"""

from scripts.test_data import (
    activations,
    attention,
    bidirectional,
    cells,
    conv_recurrent,
    convolution,
    core,
    damaged,
    graphs,
    large,
    masks,
    merging,
    names,
    nested,
    normalization,
    operations,
    pooling,
    preprocessing,
    quantized,
    recurrent,
    resizing,
    shaping,
    time_distributed,
    unsupported,
)
from scripts.test_data.catalogue import ARCHITECTURES, Architecture

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "activations",
    "attention",
    "bidirectional",
    "cells",
    "conv_recurrent",
    "convolution",
    "core",
    "damaged",
    "graphs",
    "large",
    "masks",
    "merging",
    "names",
    "nested",
    "normalization",
    "operations",
    "pooling",
    "preprocessing",
    "quantized",
    "recurrent",
    "resizing",
    "shaping",
    "time_distributed",
    "unsupported",
]
