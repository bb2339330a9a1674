"""What the runtimes of a comparison run: each form of the model, written when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from converter.artefacts import Artefact, KerasFile, Options, TorchFolder
from converter.compare.providers import GraphNode
from converter.description import Model
from converter.errors import ConverterError, UsageError
from converter.output import staged

if TYPE_CHECKING:
    from converter.targets.onnx import Written


class Files:
    """A model in several forms.

    Args:
        model: Which.
        folder: Where they are written.
        whole: The source is a model: Keras is given what it wrote, not what is written here.

    Attributes:
        model: The model.
        nodes: Of the ONNX graph, by their names; none before it is written.
    """

    def __init__(self, model: Model, folder: Path, *, whole: bool = True) -> None:
        self.model = model
        self._folder = folder
        source = Path(model.source.path)
        self._source = source if whole and model.source.path and source.exists() else None
        self._known: dict[str, Path | ConverterError] = {}
        self.nodes: dict[str, GraphNode] = {}

    def path(self, form: str) -> Path:
        """Where the model is in that form.

        Args:
            form: Of `WRITERS`.

        Raises:
            ConverterError: It cannot be written; there is no source.
        """
        if form not in self._known:
            try:
                self._known[form] = WRITERS[form](self)
            except ConverterError as error:
                self._known[form] = error
        found = self._known[form]
        if isinstance(found, ConverterError):
            raise found
        return found

    def onnx(self) -> Path:
        """Written by the target ONNX."""
        from converter.onnx_file import OnnxFile

        artefact = OnnxFile(self.model, "model.onnx", Options(verify=False))
        self.nodes = graph_nodes(artefact.written)
        return self._write(artefact, "onnx") / "model.onnx"

    def pytorch(self) -> Path:
        """Written by the target PyTorch."""
        return self._write(TorchFolder(self.model), "pytorch")

    def source(self) -> Path:
        """What the model was read from."""
        if self._source is None:
            raise UsageError(
                f"model '{self.model.name}' has no file that Keras could load",
                context="a model in memory, or weights alone",
                hint="it is written for Keras 3 instead",
                code="no-file",
            )
        return self._source.absolute()

    def keras(self) -> Path:
        """Written by the target Keras."""
        artefact = KerasFile(self.model, "model.keras", "keras", Options())
        return self._write(artefact, "keras") / "model.keras"

    def _write(self, artefact: Artefact, name: str) -> Path:
        folder = self._folder / name
        with staged(folder, artefact.names, source="", force=False) as staging:
            artefact.write(staging)
            staging.commit()
        return folder


WRITERS: Mapping[str, Callable[[Files], Path]] = {
    "onnx": Files.onnx,
    "pytorch": Files.pytorch,
    "source": Files.source,
    "keras": Files.keras,
}


def graph_nodes(written: Written) -> dict[str, GraphNode]:
    """The nodes of a graph by their names."""
    found: dict[str, GraphNode] = {}
    for node in written.proto.graph:
        given = node.attributes
        functions = given.get("activations")
        reset = given.get("linear_before_reset")
        way = given.get("direction")
        found[str(node.name)] = GraphNode(
            str(node.name),
            node.op_type,
            () if functions is None else tuple(functions.as_strings()),
            "activation_alpha" in given or "activation_beta" in given,
            reset is not None and reset.as_int() == 1,
            way is not None and way.as_string() == "bidirectional",
        )
    return found
