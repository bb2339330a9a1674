"""Moves recurrent models between Keras, PyTorch and ONNX, and proves that they are the same.

    import converter

    model = converter.read("model.h5")  # any saved Keras model, without Keras; or a keras.Model
    module = converter.to_torch(model)  # a torch.nn.Module with its weights
    y = converter.judge(model, x)       # what the model means, in NumPy at float64
    converter.convert("model.h5", out="model")  # model.py and model.safetensors, verified
    converter.compare("model.h5")       # in every runtime that is here: the same, and how fast

Importing this package imports nothing else: what a name needs comes with its first use, and that
is NumPy and the standard library for most of them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from converter.compare import compare
    from converter.compare.timings import Timings
    from converter.conversion import Conversion, convert
    from converter.description import Era, Model
    from converter.errors import (
        ConverterError,
        FormatError,
        MissingExtraError,
        OutputError,
        ReadError,
        UnsupportedError,
        UsageError,
        WeightError,
    )
    from converter.library import inspect, judge, to_torch, to_torch_source
    from converter.mapping import (
        KerasWeights,
        gru_from_torch,
        gru_to_torch,
        lstm_from_torch,
        lstm_to_torch,
        rnn_from_torch,
        rnn_to_torch,
    )
    from converter.onnx_file import to_onnx
    from converter.readers import read
    from converter.readers.keras.custom import register
    from converter.readers.keras.described import CustomLayer
    from converter.states import explicit_states
    from converter.verify import verify
    from converter.verify.verdict import Comparison, Status, Verdict

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Conversion",
    "ConverterError",
    "CustomLayer",
    "Era",
    "FormatError",
    "KerasWeights",
    "MissingExtraError",
    "Model",
    "OutputError",
    "ReadError",
    "Status",
    "Timings",
    "UnsupportedError",
    "UsageError",
    "Verdict",
    "WeightError",
    "compare",
    "convert",
    "explicit_states",
    "gru_from_torch",
    "gru_to_torch",
    "inspect",
    "judge",
    "lstm_from_torch",
    "lstm_to_torch",
    "read",
    "register",
    "rnn_from_torch",
    "rnn_to_torch",
    "to_onnx",
    "to_torch",
    "to_torch_source",
    "verify",
]

# fmt: off
_WHERE = {
    "converter.compare": ("compare",),
    "converter.compare.timings": ("Timings",),
    "converter.conversion": ("Conversion", "convert"),
    "converter.description": ("Era", "Model"),
    "converter.errors": (
        "ConverterError", "FormatError", "MissingExtraError", "OutputError", "ReadError",
        "UnsupportedError", "UsageError", "WeightError",
    ),
    "converter.library": ("inspect", "judge", "to_torch", "to_torch_source"),
    "converter.mapping": (
        "KerasWeights", "gru_from_torch", "gru_to_torch", "lstm_from_torch", "lstm_to_torch",
        "rnn_from_torch", "rnn_to_torch",
    ),
    "converter.onnx_file": ("to_onnx",),
    "converter.readers": ("read",),
    "converter.readers.keras.custom": ("register",),
    "converter.readers.keras.described": ("CustomLayer",),
    "converter.states": ("explicit_states",),
    "converter.verify": ("verify",),
    "converter.verify.verdict": ("Comparison", "Status", "Verdict"),
}
"""Where each name is; it is imported when it is first asked for."""
# fmt: on


def __getattr__(name: str) -> Any:
    for module, names in _WHERE.items():
        if name in names:
            value = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, in which `compare`, `judge` and `verify` are functions.

    Python sets a submodule as an attribute of its package when it is imported; those that are
    called like a public function leave the name to it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
