"""A model as a Keras file, written without Keras.

    .keras          config.json, metadata.json and model.weights.h5 in a ZIP archive, for Keras 3
    .weights.h5     the weights of that archive alone, for a model that is built in Python
    .h5             a whole model in HDF5, for tf_keras and Keras 3

The model is written as a Functional one. What changed its meaning between Keras 2 and 3 is written
so that the meaning stays, and refused by name where Keras has no words for it.
"""

from __future__ import annotations

from converter.targets.keras.emit import Dialect
from converter.targets.keras.files import (
    write_archive,
    write_file,
    write_legacy,
    write_legacy_weights,
    write_weights,
)
from converter.targets.keras.writing import Written, write_model

__all__ = [
    "Dialect",
    "Written",
    "write_archive",
    "write_file",
    "write_legacy",
    "write_legacy_weights",
    "write_model",
    "write_weights",
]
