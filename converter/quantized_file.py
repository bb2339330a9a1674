"""The target ONNX with weights of 8 bits, which onnxruntime's own tool rounds.

The tool is given the file that would be written without it. That is verified first: what is rounded
then is the same model, and how far rounding takes its answers is measured.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converter.artefacts import Options
from converter.description import Model
from converter.errors import OutputError, UnsupportedError, UsageError
from converter.onnx_file import OnnxFile, metadata
from converter.output import Staging
from converter.targets.onnx import LARGEST
from converter.targets.onnx.files import write_model
from converter.targets.onnx.quantized import (
    INT8,
    PREPARED,
    finished,
    left,
    not_weights,
    rounded_tensors,
)
from converter.verify.verdict import Status, Verdict

QUANTIZE = ("none", INT8)
"""What the weights of an ONNX file may be rounded to."""


def check_quantize(quantize: str, to: str, precision: str) -> None:
    """Refuse what cannot be quantized.

    Args:
        quantize: One of `QUANTIZE`.
        to: The target.
        precision: As for `convert`.

    Raises:
        UsageError: There is no such thing, or not for that target or precision.
    """
    if quantize not in QUANTIZE:
        raise UsageError(
            f"nothing is quantized to '{quantize}'",
            context=f"--quantize {quantize}",
            hint=f"one of: {', '.join(QUANTIZE)}",
            code="unknown-quantize",
        )
    if quantize != "none" and (to != "onnx" or precision == "float16"):
        raise UsageError(
            "only a float32 ONNX file is quantized",
            context=f"--quantize {quantize} with --to {to} --precision {precision}",
            hint="--to onnx, and leave --precision float16 out",
            code="quantize-target",
        )


class QuantizedFile(OnnxFile):
    """An .onnx file whose weights are int8 where onnxruntime's tool rounds them."""

    def __init__(
        self, model: Model, name: str, options: Options, *, largest: int = LARGEST
    ) -> None:
        super().__init__(model, name, options, largest=largest)
        if self.beside:
            raise OutputError(
                f"model '{model.name}' is too large to be quantized",
                context=f"{self.size} bytes of weights; one ONNX message has {largest}",
                hint="leave --quantize out: the weights are then written beside the file",
                code="onnx-too-large",
            )
        self._exact = Path()

    def write(self, staging: Staging) -> None:
        """The exact file on the way, and what the tool makes of it."""
        from converter.verify.onnx import runtime

        (name,) = self.names
        written = self.written
        self._exact, result = (staging.scratch(f"{kind}.onnx") for kind in ("exact", "rounded"))
        written.proto.metadata_props.update(PREPARED)
        with self._exact.open("wb") as file:
            write_model(file, written.proto, written.tensors)
        runtime().quantize(self._exact, result, not_weights(written))
        proto = finished(result, {})
        rounded = rounded_tensors(proto)
        if not rounded:
            raise UnsupportedError(
                f"nothing of model '{written.model.name}' is quantized",
                context=f"onnxruntime's tool leaves {', '.join(sorted(set(left(proto).values())))}",
                hint="it knows LSTM, Dense, Embedding and convolutions; leave --quantize out",
                code="nothing-quantized",
            )
        self.placements = tuple(
            replace(one, lossy=f"rounded to {INT8}")
            if one.names[0].split("[")[0] in rounded
            else one
            for one in written.placements
        )
        told = metadata(replace(written, placements=self.placements), verify=self.options.verify)
        self.details = {**self.details, "quantized": sorted(rounded), "not_quantized": left(proto)}
        data = finished(result, told).SerializeToString(deterministic=True)
        staging.write(name, lambda file: file.write(data), len(data))

    def verify(self, folder: Path, name: str) -> Verdict:
        """The exact file by executing it, and then how far the other is from the source."""
        from converter.verify.onnx import verify_onnx
        from converter.verify.quantized import verify_quantized

        exact = verify_onnx(self.written, self._exact, name)
        if exact.status is not Status.EQUAL:
            return exact
        verdict = verify_quantized(self.written, folder / self.names[0], name)
        return replace(verdict, power=exact.power)
