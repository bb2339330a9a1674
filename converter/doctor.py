"""Why today's Keras would not open a file, or would answer differently, and what to do about it.

The config is looked at as it stands in the file, by a table of what Keras 3.15 does not know any
more or means otherwise. Nothing is loaded, so a file that nobody can open can be looked at.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter.errors import ConverterError

if TYPE_CHECKING:
    from converter.readers.file import File

KERAS = "Keras 3.15"
"""Whose answer is given here."""


class Effect(Enum):
    """What a finding means for who loads the file."""

    REFUSES = "refuses"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason.

    Attributes:
        code: Stable, kebab-case.
        what: In words.
        layers: Where, by name; () where it is the whole file.
    """

    code: str
    effect: Effect
    what: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is to be said of a file.

    Attributes:
        form: "Keras HDF5"; "" where it is none that is known.
        written_by: The Keras that wrote it, as the file says.
        findings: Why Keras would not open it, or answer otherwise.
        rescue: The command that writes a file that it opens with the same answers; "" where none
            is needed, or none helps.
        hindrance: Why no command helps, in words.
    """

    path: str
    form: str
    written_by: str
    findings: tuple[Finding, ...]
    rescue: str = ""
    hindrance: str = ""

    @property
    def opens(self) -> bool:
        """Whether nothing is known that keeps Keras from opening it."""
        return not any(one.effect is Effect.REFUSES for one in self.findings)

    @property
    def same(self) -> bool:
        """Whether nothing is known that changes its answers."""
        return not any(one.effect is Effect.DIFFERS for one in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the schema has a version."""
        said = asdict(self) | {"opens": self.opens, "same": self.same}
        return {"schema": 1, "keras": KERAS, **said}


@dataclass(slots=True)
class _Layer:
    """A layer of a config, as it stands there."""

    kind: str
    name: str
    config: Mapping[str, Any]
    module: str
    nodes: list[Any] = field(default_factory=list)


RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
CUDNN = frozenset({"CuDNNLSTM", "CuDNNGRU"})
GONE = {
    **dict.fromkeys(CUDNN, "is not in Keras 3: LSTM and GRU use cuDNN by themselves"),
    "TimeDistributedDense": "is of Keras 1: today Dense does it",
    "Merge": "is of Keras 1: today Add, Concatenate, ... do it",
    "Highway": "is of Keras 1, and gone",
    "MaxoutDense": "is of Keras 1, and gone",
    "ConvRecurrent2D": "is of Keras 2, and gone",
    "ThresholdedReLU": "is of Keras 2: today ReLU has a threshold",
    "TFOpLambda": "is an operation of TensorFlow, as tf.keras wrote it",
    "SlicingOpLambda": "is an operation of TensorFlow, as tf.keras wrote it",
    "TensorFlowOpLayer": "is an operation of TensorFlow, as tf.keras wrote it",
}
KERAS_1 = frozenset(
    {"output_dim", "inner_activation", "consume_less", "border_mode", "nb_filter", "inner_init"}
)
"""Keys that Keras 2 renamed; Embedding still has output_dim."""


def _time_major(layer: _Layer, _old: bool) -> Finding | None:
    if "time_major" not in layer.config or layer.kind not in RECURRENT:
        return None
    return Finding("time-major-key", Effect.REFUSES, "the key time_major, which Keras 3 has not")


def _time_first(layer: _Layer, _old: bool) -> Finding | None:
    if layer.config.get("time_major") is not True:
        return None
    what = "time_major=True: without the key, time and batch change places"
    return Finding("time-major", Effect.DIFFERS, what)


def _hard_sigmoid(layer: _Layer, old: bool) -> Finding | None:
    keys = ("activation", "recurrent_activation", "inner_activation")
    if not old or "hard_sigmoid" not in [layer.config.get(key) for key in keys]:
        return None
    what = "hard_sigmoid, which was clip(0.2 x + 0.5) and is clip(x / 6 + 0.5) in Keras 3"
    if layer.kind.startswith("ConvLSTM"):
        what += "; it was the default of ConvLSTM"
    return Finding("hard-sigmoid", Effect.DIFFERS, what)


def _default_of_conv_lstm(layer: _Layer, old: bool) -> Finding | None:
    if not (old and layer.kind.startswith("ConvLSTM")):
        return None
    if "recurrent_activation" in layer.config:
        return None
    what = "no recurrent_activation, whose default was hard_sigmoid and is sigmoid in Keras 3"
    return Finding("conv-lstm-default", Effect.DIFFERS, what)


def _gone(layer: _Layer, _old: bool) -> Finding | None:
    if layer.kind not in GONE:
        return None
    return Finding("class-gone", Effect.REFUSES, f"{layer.kind} {GONE[layer.kind]}")


def _old_keys(layer: _Layer, _old: bool) -> Finding | None:
    keys = sorted(KERAS_1 & layer.config.keys() - ({"output_dim"} & _own(layer)))
    if not keys:
        return None
    return Finding("keras-1-keys", Effect.REFUSES, f"keys of Keras 1: {', '.join(keys)}")


def _own(layer: _Layer) -> set[str]:
    """Keys of Keras 1 that a class still has."""
    return {"output_dim"} if layer.kind == "Embedding" else set()


def _module(layer: _Layer, _old: bool) -> Finding | None:
    if not layer.module.startswith(("keras.src.engine", "keras.engine", "tensorflow.")):
        return None
    what = f"the module {layer.module}, which does not exist any more"
    return Finding("module-gone", Effect.REFUSES, what)


def _lambda(layer: _Layer, _old: bool) -> Finding | None:
    if layer.kind != "Lambda":
        return None
    what = "a Lambda: its Python code is in the file, and Keras refuses it in safe mode"
    return Finding("lambda-layer", Effect.REFUSES, what)


def _states(layer: _Layer, old: bool) -> Finding | None:
    if not old or layer.kind not in RECURRENT | {"Bidirectional"}:
        return None
    several = any(isinstance(node, list) and len(node) > 1 for node in layer.nodes)
    stated = "initial_state" in str([node for node in layer.nodes if isinstance(node, list)])
    if not several and not stated:
        return None
    return Finding("initial-state", Effect.REFUSES, "its initial states, which it would not take")


def _operation(layer: _Layer, old: bool) -> Finding | None:
    """Of Keras 3: it has neither the settings of a layer nor layers of its own."""
    own = {"trainable", "layers"} & layer.config.keys()
    if old or own or not layer.nodes or layer.kind == "InputLayer":
        return None
    what = f"{layer.kind}, an operation outside layers, which Keras does not find in an .h5"
    return Finding("operation", Effect.REFUSES, what)


def _score_mode(layer: _Layer, _old: bool) -> Finding | None:
    if "score_mode" not in layer.config:
        return None
    what = "score_mode, which Keras takes for a function when it opens an .h5"
    return Finding("score-mode", Effect.REFUSES, what)


def _several_axes(layer: _Layer, _old: bool) -> Finding | None:
    axes = layer.config.get("axis")
    if not isinstance(axes, list) or len(axes) < 2:
        return None
    what = f"axis {axes}: of several axes Keras keeps none when it opens an .h5"
    effect = Effect.REFUSES if layer.kind == "LayerNormalization" else Effect.DIFFERS
    return Finding("several-axes", effect, what)  # the weights of one axis have another shape


def _lora(layer: _Layer, _old: bool) -> Finding | None:
    rank, alpha = layer.config.get("lora_rank"), layer.config.get("lora_alpha")
    if layer.kind not in ("Dense", "Embedding") or alpha in (None, rank):
        return None
    what = "lora_alpha, which Keras forgets when it opens an .h5"
    return Finding("lora-alpha", Effect.DIFFERS, what)


RULES: tuple[Callable[[_Layer, bool], Finding | None], ...] = (
    _time_major,
    _gone,
    _old_keys,
    _module,
    _lambda,
    _states,
    _time_first,
    _hard_sigmoid,
    _default_of_conv_lstm,
)
"""From a layer, and whether a Keras before 3 wrote it, to a finding."""

HDF5_RULES: tuple[Callable[[_Layer, bool], Finding | None], ...] = (
    _operation,
    _score_mode,
    _several_axes,
    _lora,
)
"""Of an `.h5` alone: Keras 3 reads it by itself (`legacy/saving/saving_utils.py`)."""


def examine(path: str | os.PathLike[str]) -> Diagnosis:
    """What Keras 3.15 would make of a file.

    Raises:
        ReadError: It is not there, or cannot be read at all.
    """
    from converter.readers.keras import legacy

    form, document, written_by, findings = _opened(os.fspath(path))
    old = not re.match("[3-9]", written_by)
    if document is None and not findings:
        what = "no architecture in it: model.load_weights takes it, load_model does not"
        findings.append(Finding("weights-alone", Effect.REFUSES, what))
    rules = (*RULES, *HDF5_RULES) if form == legacy.FORM else RULES
    for layer in _layers(document):
        where = (layer.name,) if layer.name else ()
        found = (rule(layer, old) for rule in rules)
        findings += [replace(one, layers=where) for one in found if one is not None]
    merged = tuple(_merged(findings))
    rescue, hindrance = _rescue(path) if merged else ("", "")
    return Diagnosis(
        path=os.fspath(path),
        form=form,
        written_by=written_by,
        findings=merged,
        rescue=rescue,
        hindrance=hindrance,
    )


def _opened(path: str) -> tuple[str, object, str, list[Finding]]:
    """The form of a file, its config and its writer, and what its form alone says."""
    from converter.readers import read, zipped
    from converter.readers.file import File
    from converter.readers.keras import archive, hdf5, legacy

    name = path.lower()
    findings: list[Finding] = []
    file = None if Path(path).is_dir() else File.at(path)
    if file is not None and file.head.startswith(zipped.MAGIC):
        if not name.endswith(".keras"):
            what = "an archive, which Keras opens under a name that ends with .keras alone"
            findings.append(Finding("suffix", Effect.REFUSES, what))
        document, written_by, in_npz = _of_archive(file)
        if written_by.startswith(("2.12", "2.13", "2.14")):
            what = f"weights in the layout of Keras {written_by}, in which Keras 3 finds none"
            findings.append(Finding("old-archive", Effect.REFUSES, what))
        if in_npz:
            what = "weights in model.weights.npz, as pickles, which Keras loads no more since 3.9"
            findings.append(Finding("npz-weights", Effect.REFUSES, what))
        return archive.FORM, document, written_by, findings
    if file is not None and file.head.startswith(hdf5.MAGIC):
        if name.endswith(".keras"):
            what = "HDF5 under a name that ends with .keras: Keras takes it for an archive"
            findings.append(Finding("suffix", Effect.REFUSES, what))
        document, written_by = _of_hdf5(file)
        return legacy.FORM, document, written_by, findings
    model = read(path)  # it says what is wrong, if it is nothing that is known
    what = f"{model.source.form}, which Keras 3 does not load as a model"
    findings.append(Finding("form", Effect.REFUSES, what))
    return model.source.form, None, model.source.version, findings


def _of_archive(file: File) -> tuple[object, str, bool]:
    """The config, the version of the writer, and whether its weights are in an `.npz`.

    Nothing where they are not as Keras writes them.
    """
    from converter.readers import zipped
    from converter.readers.keras import archive, npz
    from converter.readers.strict import MAX_BYTES, parse, too_large

    names = ("config.json", "metadata.json")
    contents = zipped.members(file, (*names, archive.WEIGHTS, npz.NAME))
    documents: list[Any] = []
    for name in names:
        content = contents.get(name)
        if content is None:
            documents.append(None)
            continue
        if content.size > MAX_BYTES:
            raise too_large(f"{name} of {file.path}", content.size)
        with content.open() as handle:
            documents.append(parse(handle.read(), f"{name} of {file.path}"))
    config, metadata = documents
    written_by = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return config, written_by if isinstance(written_by, str) else "", npz.NAME in contents


def _of_hdf5(file: File) -> tuple[object, str]:
    """Likewise."""
    from converter.readers.file import Part
    from converter.readers.keras.hdf5 import Hdf5
    from converter.readers.strict import parse

    with Hdf5.opened(Part(file, 0, file.size), file.path) as opened:
        document = opened.text("", "model_config")
        written_by = opened.text("", "keras_version") or opened.text(
            "model_weights", "keras_version"
        )
    config = None if document is None else parse(document, f"model_config of {file.path}")
    return config, written_by or ""


def _layers(document: object) -> Iterator[_Layer]:
    """Every object with a class in a config, however deep: layers, and models of them."""
    todo = [document]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(reversed(item))
        if not isinstance(item, dict):
            continue
        kind, config = item.get("class_name"), item.get("config")
        if isinstance(kind, str) and isinstance(config, dict):
            own = config.get("name", item.get("name"))
            nodes = item.get("inbound_nodes")
            yield _Layer(
                kind=kind,
                name=own if isinstance(own, str) else "",
                config=config,
                module=str(item.get("module") or ""),
                nodes=nodes if isinstance(nodes, list) else [],
            )
        todo.extend(reversed([one for one in item.values() if isinstance(one, dict | list)]))


def _merged(findings: list[Finding]) -> Iterator[Finding]:
    """One finding for all layers of which the same is to be said; what refuses comes first."""
    layers: dict[tuple[str, Effect, str], dict[str, None]] = {}
    for one in findings:
        layers.setdefault((one.code, one.effect, one.what), {}).update(dict.fromkeys(one.layers))
    for effect in Effect:
        for (code, own, what), names in layers.items():
            if own is effect:
                yield Finding(code, own, what, tuple(names))


def _rescue(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The command that helps, or why none does."""
    from converter.readers import read
    from converter.targets.keras import write_model

    source = Path(path)
    try:
        write_model(read(source))
    except ConverterError as error:
        return "", f"{error.message}: {error.context}"
    stem = source.stem or "model"
    out = f"{stem}.keras"
    if source.name == out:
        out = f"{stem}-keras3.keras"
    return shlex.join(["ifco", "convert", str(source), "--to", "keras", "--out", out]), ""
