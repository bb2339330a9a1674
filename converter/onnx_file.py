"""The target ONNX: a file, what it says of itself, and its verdict."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from converter.artefacts import Artefact, Options
from converter.description import Model
from converter.errors import OutputError
from converter.ledger import entries
from converter.library import model_of
from converter.metadata import LEDGER_SHA256, SOURCE, SOURCE_SHA256, TEST_VECTOR
from converter.output import Staging, staged
from converter.targets.onnx import LARGEST, USUAL, Written, write_graph
from converter.targets.onnx.files import write_data, write_model, write_model_beside
from converter.targets.onnx.stored import BESIDE, read_proto
from converter.verify.verdict import Verdict

if TYPE_CHECKING:
    import onnx

    from converter.readers import Readable


def metadata(written: Written, *, verify: bool = True) -> dict[str, str]:
    """What a file says of itself: its source, its ledger, and a test vector.

    The test vector is what the judge answers for some inputs, so that the file can be verified
    alone, where it will run. A conversion that is not verified has none: nothing computes the
    model, and no more than one array of it is in memory.
    """
    model = written.model
    ledger = [entry.as_dict() for entry in entries(written.placements)]
    text = json.dumps(ledger, sort_keys=True, separators=(",", ":"))
    said = {
        SOURCE: Path(model.source.path).name,
        SOURCE_SHA256: model.source.sha256,
        LEDGER_SHA256: hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
    }
    if verify:
        from converter.verify.vector import test_vector

        said[TEST_VECTOR] = test_vector(model)
    return said


class OnnxFile(Artefact):
    """An .onnx file, and beside it its arrays where they are too many for one."""

    def __init__(
        self, model: Model, name: str, options: Options, *, largest: int = LARGEST
    ) -> None:
        self.options = options
        self.written = write_graph(model, options.opset or USUAL)
        self.written.proto.metadata_props.update(metadata(self.written, verify=options.verify))
        self.placements = self.written.placements
        self.size = sum(tensor.nbytes for tensor in self.written.tensors)
        self.beside = self.size > largest
        self.names = (name, name + BESIDE) if self.beside else (name,)
        self.details = {
            "opset": self.written.opset,
            "renamed": dict(self.written.names),
            "scan": dict(self.written.scanned),
            "states": [list(pair) for pair in self.written.states],
        }

    def write(self, staging: Staging) -> None:
        """One array in memory at a time."""
        proto, tensors = self.written.proto, self.written.tensors
        name = self.names[0]
        if not self.beside:
            staging.write(name, lambda file: write_model(file, proto, tensors), self.size)
            return
        data = self.names[1]
        staging.write(name, lambda file: write_model_beside(file, proto, tensors, data))
        staging.write(data, lambda file: write_data(file, tensors), self.size)

    def verify(self, folder: Path, name: str) -> Verdict:
        """By executing it."""
        from converter.verify.onnx import verify_onnx

        return verify_onnx(self.written, folder / self.names[0], name, self.options.rounded)


def to_onnx(
    source: Model | Readable,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = USUAL,
    force: bool = False,
) -> onnx.ModelProto:
    """The model as ONNX, as `convert` writes it.

    Args:
        source: A model, or whatever `converter.read` takes.
        path: Where it is written, too.
        opset: Of the operators, from 15.
        force: Replace a file that exists.

    Raises:
        ReadError: It cannot be read.
        UnsupportedError: A layer cannot be expressed.
        UsageError: There is no such opset.
        OutputError: The file cannot be written.
    """
    model = model_of(source)
    place = Path("model.onnx" if path is None else path)
    artefact = OnnxFile(model, place.name, Options(opset=opset))
    if path is not None:
        given = model.source.path
        with staged(
            place.parent, artefact.names, source=given, force=force, alone=place.name
        ) as staging:
            artefact.write(staging)
            staging.commit()
        return read_proto(place)
    if artefact.beside:
        raise OutputError(
            f"model '{model.name}' is too large for one ONNX message",
            context=f"{artefact.size} bytes of weights; it may have {LARGEST}",
            hint="give a path: the weights are then written beside the file",
            code="onnx-too-large",
        )
    return artefact.written.whole()
