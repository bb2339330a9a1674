"""A model as Keras code: model.py, which builds it, and model.weights.h5."""

from __future__ import annotations

from pathlib import Path

from converter.artefacts import Artefact, Options
from converter.description import Model
from converter.output import Staging
from converter.targets.keras import write_model, write_weights
from converter.targets.keras.source import WEIGHTS, source_text
from converter.verify.verdict import Verdict


class KerasSource(Artefact):
    """model.py and model.weights.h5.

    Args:
        model: Any.
        options: Of the conversion.
    """

    names = ("model.py", WEIGHTS)

    def __init__(self, model: Model, options: Options) -> None:
        self.options = options
        self.written = write_model(model)
        self.placements = self.written.placements
        self.details = {"renamed": self.written.renamed, "rewritten": self.written.rewritten}

    def write(self, staging: Staging) -> None:
        """One array in memory at a time."""
        text = source_text(self.written).encode()
        staging.write(self.names[0], lambda file: file.write(text), len(text))
        arrays = staging.scratch(WEIGHTS)
        write_weights(arrays, self.written)
        staging.adopt(WEIGHTS, arrays)

    def verify(self, folder: Path, name: str) -> Verdict:
        """By executing it in Keras."""
        from converter.verify.keras import verify_source

        return verify_source(
            self.written.model,
            folder,
            name=name,
            keras_python=self.options.keras_python,
            rounded=self.options.rounded,
        )
