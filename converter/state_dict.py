"""The recurrent layers of a source as state dicts of nn.LSTM, nn.GRU and nn.RNN, in one file.

    lstm_1.weight_ih_l0, lstm_1.weight_hh_l0, lstm_1.bias_ih_l0, lstm_1.bias_hh_l0, lstm_2...

A whole model gives those that it has, weights without an architecture those that their names and
shapes tell. What torch.nn has no module for is in the order of the class that `--to pytorch` writes
for it; the record says which module each is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter.artefacts import Artefact, write_placements
from converter.description import (
    Call,
    Era,
    Layer,
    Merge,
    Model,
    Recurrent,
    Source,
    TimeDistributed,
    Value,
)
from converter.errors import FormatError, UnsupportedError
from converter.gates import Array
from converter.ledger import wrong_arrays
from converter.output import Staging
from converter.targets.placement import Placement
from converter.targets.torch import write_source
from converter.verify.verdict import Comparison, Status, Verdict

if TYPE_CHECKING:
    from converter.readers import Architecture, Readable

NOT_IN_THE_FILE = (
    "the activations, for which those of the module stand",
    "return_sequences and go_backwards",
    "how the layers follow each other",
)


def read_recurrent(
    source: Readable,
    *,
    era: Era | None = None,
    arch: Architecture | None = None,
) -> Model:
    """The recurrent layers of a source, each on an input of its own and with its whole sequence.

    Args:
        source: A saved model, or weights alone.
        era: As for `converter.read`.
        arch: As for `converter.read`.

    Raises:
        ConverterError: It cannot be read, or has none.
    """
    from converter.readers import read
    from converter.readers.file import File
    from converter.readers.folder import first_file
    from converter.readers.keras.alone import FORM, recurrent_layers

    try:
        model = read(source, era=era, arch=arch)
    except FormatError as error:
        if error.code != "no-architecture":
            raise
        found = recurrent_layers(File.at(first_file(source)))  # type: ignore[arg-type]
        if found is None:
            raise
        alone, layers = found
        return each_alone(
            layers,
            Source(
                path=alone.path,
                form=FORM,
                sha256=alone.sha256,
                version=alone.version,
                era=alone.era,
            ),
        )
    inside = [one.layer if isinstance(one, TimeDistributed) else one for one in model.layers]
    return each_alone(inside, model.source)


def each_alone(layers: Sequence[Layer], source: Source) -> Model:
    """A model of those that are recurrent.

    Raises:
        UnsupportedError: None is.
    """
    calls = []
    for layer in layers:
        if not isinstance(layer, Recurrent):
            continue
        whole = replace(
            layer,
            merge=None if layer.backward is None else Merge.CONCAT,
            return_sequences=True,
            return_state=False,
            stateful=False,
            time_major=False,
        )
        x = Value(f"{layer.name}:x", (None, None, layer.forward.inputs))
        (shape,) = whole.output_shapes((x.shape,))
        calls.append(Call(whole, (x,), (Value(layer.name, shape),)))
    if not calls:
        raise UnsupportedError(
            f"{source.path} has no recurrent layer",
            context="no LSTM, GRU or SimpleRNN",
            hint="ifco inspect shows what is in it",
            code="no-recurrent",
        )
    return Model(
        name=Path(source.path).stem,
        inputs=tuple(call.inputs[0] for call in calls),
        calls=tuple(calls),
        outputs=tuple(call.outputs[0] for call in calls),
        source=source,
    )


class StateDict(Artefact):
    """A safetensors file of the recurrent layers.

    Args:
        model: As `read_recurrent` gives it.
        name: Of the file.
    """

    def __init__(self, model: Model, name: str) -> None:
        from converter.readers.keras.alone import FORM

        self.names = (name,)
        self.written = write_source(model)
        self.prefixes = _prefixes(self.written.module_names)
        self.placements = [
            replace(one, names=tuple(self._named(tensor) for tensor in one.names))
            for one in self.written.placements
        ]
        text = "\n".join(self.written.modules)
        kinds = dict(re.findall(r"self\.(\w+) = ([\w.]+)\(", text))
        modules = {prefix: kinds[attribute] for attribute, prefix in self.prefixes.items()}
        self.details: Mapping[str, Any] = {"modules": modules}
        if model.source.form == FORM:
            self.details = {"modules": modules, "not_in_the_file": list(NOT_IN_THE_FILE)}

    def _named(self, tensor: str) -> str:
        """With the layer's own name, which the generated source may not have."""
        attribute, parameter = tensor.split(".", 1)
        return f"{self.prefixes[attribute]}.{parameter}"

    def write(self, staging: Staging) -> None:
        """One array in memory at a time."""
        write_placements(staging, self.names[0], self.placements)

    def verify(self, folder: Path, name: str) -> Verdict:
        """By loading them into the modules, and running these."""
        from converter.verify import read_tensors

        return self.verdict_on(read_tensors(folder / self.names[0]), name)

    def verdict_on(self, tensors: Mapping[str, Array], name: str) -> Verdict:
        """The verdict on the tensors of a file; those that no layer has are a difference."""
        from converter.runtimes import ArtefactFailure
        from converter.runtimes import torch as runtime
        from converter.targets.torch.loading import module_of
        from converter.verify import decide
        from converter.verify.comparison import compare
        from converter.verify.inputs import cases

        model = self.written.model
        wrong = tuple(wrong_arrays(self.placements, tensors))
        compared: list[Comparison] = []
        failure = ""
        known = {name for one in self.placements for name in one.names}
        if surplus := sorted(tensors.keys() - known):
            failure = f"it has tensors of no recurrent layer: {', '.join(surplus[:8])}"
        elif not wrong:
            by_attribute = {
                tensor: tensors[self._named(tensor)]
                for one in self.written.placements
                for tensor in one.names
            }
            module = module_of(self.written, by_attribute)
            try:
                compared = compare(
                    model, tuple(cases(model)), lambda arrays: runtime.run(module, arrays)
                )
            except ArtefactFailure as error:
                failure = f"the modules do not run: {error}"
        verdict = Verdict(
            status=Status.DIFFERS if failure else Status.EQUAL,
            original=Path(model.source.path).name,
            artefact=name,
            reason=failure,
            comparisons=tuple(compared),
            arrays=_count(self.placements) - len(wrong),
            wrong_arrays=wrong,
        )
        return verdict if failure else decide(verdict)


def _prefixes(module_names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What each module is called in the file, by its attribute in the source."""
    found = {
        attribute: layer if len(own) == 1 else f"{layer}.{part}"
        for layer, own in module_names.items()
        for attribute, part in zip(own, ("forward", "backward"), strict=False)
    }
    if len(set(found.values())) < len(found):
        return {attribute: attribute for attribute in found}
    return found


def _count(placements: Sequence[Placement]) -> int:
    return sum(len(one.weight.stored) for one in placements if not one.added)
