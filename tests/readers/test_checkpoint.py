"""Checkpoints of TensorFlow: whose array is whose, and every byte of them held against the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from converter.description import Model, Recurrent
from converter.gates import Array
from converter.judge import judge
from converter.readers import read
from converter.readers.crc32c import crc32c, masked
from tests.readers.files import KERNEL, given, layer, sequential
from tests.readers.tensorflow_files import SMALL_OBJECTS, of, recorded
from tests.readers.tensorflow_files import checkpoint as make

Error = Callable[[Callable[[], object]], str]

DATA = Path(__file__).parents[1] / "data" / "checkpoint"
INDICES = {"weights": "weights.ckpt", "sharded": "sharded.ckpt", "training": "training"}
ROUNDING = 1e-5
"""Of the largest output: Keras's float32 over up to seven steps. Measured: 4e-7."""


def real(name: str) -> Model:
    """One of the test data, with its architecture."""
    config = json.loads((DATA / f"{name}.json").read_text())
    return of(DATA / f"{INDICES.get(name, name)}.index", config)


@pytest.mark.parametrize("name", INDICES)
def test_the_answers_are_those_of_keras(name: str) -> None:
    model, said = real(name), recorded(DATA / name)
    for case in range(3):
        found = judge(model, said[f"case{case}_in0"])
        for k, y in enumerate(found if isinstance(found, tuple) else (found,)):
            expected = said[f"case{case}_out{k}"]
            assert np.abs(y - expected).max() < ROUNDING * np.abs(expected).max()


@pytest.mark.parametrize("name", INDICES)
def test_every_array_is_where_keras_has_it(name: str) -> None:
    arrays = [array for key, array in recorded(DATA / name).items() if "|" in key]
    found = [
        stored.read()
        for part in real(name).layers
        for weight in part.weights.values()
        for stored in weight.stored
    ]
    assert sorted(array.tobytes() for array in found) == sorted(a.tobytes() for a in arrays)


def test_the_source_is_recorded() -> None:
    source = real("sharded").source
    assert source.path == str(DATA / "sharded.ckpt.index")
    assert source.form == "TensorFlow checkpoint"
    assert source.sha256 != real("weights").source.sha256


@pytest.mark.parametrize("name", ["weights.ckpt", "weights.ckpt.index"])
def test_a_checkpoint_alone_has_no_architecture(name: str, error_of: Error) -> None:
    assert error_of(lambda: read(DATA / name)).replace(str(DATA), "data") == (
        "error[no-architecture]: data/weights.ckpt.index has weights and no architecture\n"
        "  found: a checkpoint of TensorFlow\n"
        "  help:  --arch model.json, or another saved model of this architecture"
    )


def test_names_alone_do_not_say_whose_weights_they_are(error_of: Error) -> None:
    assert error_of(lambda: real("saver")).replace(str(DATA), "data") == (
        "error[no-object-graph]: data/saver.index does not say which array belongs to which layer\n"
        "  found: no graph of objects in it: TensorFlow 1's Saver wrote it\n"
        "  help:  load it in TensorFlow and save the model with model.save"
    )


@pytest.mark.parametrize("shards", [1, 2, 6])
@pytest.mark.parametrize("order", [0, 1])
def test_shards_and_the_order_of_bytes_do_not_matter(
    shards: int, order: int, tmp_path: Path
) -> None:
    lstm, dense = of(make(tmp_path / "x", SMALL_OBJECTS, shards=shards, order=order)).layers
    assert isinstance(lstm, Recurrent)
    for k, gate in enumerate("ifco"):
        assert np.array_equal(lstm.gates[gate].kernel, KERNEL[:, 2 * k : 2 * k + 2])
    assert dense.weights["kernel"].stored[0].name == "layer-1/kernel"


def test_half_precision_of_16_bits_is_widened_exactly(tmp_path: Path) -> None:
    kernel = (KERNEL.view(np.uint32) >> 16).astype("<u2")
    arrays = {**SMALL_OBJECTS, "layer-0/cell/kernel": KERNEL}
    make(tmp_path / "x", arrays)
    changed = {"layer-0/cell/kernel": {"kind": 14, "size": kernel.nbytes,
               "checksum": masked(crc32c(kernel.tobytes()))}}  # fmt: skip
    index = make(tmp_path / "x", arrays, changes=changed)
    shard = tmp_path / "x.data-00000-of-00001"
    raw = shard.read_bytes()
    shard.write_bytes(kernel.tobytes() + raw[kernel.nbytes :])
    stored = of(index).layers[0].weights["forward.kernel"].stored[0]
    assert stored.dtype == np.float32
    assert np.array_equal(stored.read(), (KERNEL.view(np.uint32) & 0xFFFF0000).view(np.float32))


def test_a_model_may_be_a_part_of_something_else(tmp_path: Path) -> None:
    arrays = {f"net/{path}": array for path, array in SMALL_OBJECTS.items()}
    arrays["optimizer/m"] = np.ones(3, np.float32)
    assert len(of(make(tmp_path / "x", arrays)).layers) == 2
    arrays["other/layer-0/kernel"] = np.ones(3, np.float32)
    with pytest.raises(Exception, match="has 2 models of layers; expected one"):
        of(make(tmp_path / "x", arrays))


def test_what_keras_keeps_beside_the_weights_is_no_weight(tmp_path: Path) -> None:
    arrays = {
        **SMALL_OBJECTS,
        "layer-0/_random_generator/state": np.ones(3, np.int32),
        "layer-0/states/0": np.ones((1, 2), np.float32),
        "layer-0/keras_api/metrics/0": np.ones(3, np.float32),
    }
    assert len(of(make(tmp_path / "x", arrays)).layers) == 2


def without(name: str) -> dict[str, Array]:
    """The small model without an array."""
    return {path: array for path, array in SMALL_OBJECTS.items() if path != name}


WRONG: dict[str, tuple[Mapping[str, Array], str]] = {
    "missing": (
        without("layer-0/cell/bias"),
        "error[missing-weight]: bias of layer 'lstm' of model.json is missing\n"
        "  found: 'layer-0/cell/recurrent_kernel', 'layer-0/cell/kernel'\n"
        "  help:  the file may be cut off or its weights may belong to another model",
    ),
    "surplus": (
        {**SMALL_OBJECTS, "layer-1/scale": KERNEL},
        "error[surplus-weight]: x.index has weights that belong to no layer\n"
        "  found: 'layer-1/scale'\n"
        "  help:  its weights may belong to another model; save the model again",
    ),
    "transposed": (
        {**SMALL_OBJECTS, "layer-0/cell/kernel": KERNEL.T.copy()},
        "error[shape]: kernel of layer 'lstm' of model.json has the wrong shape\n"
        "  found: (8, 3); expected (3, 8)\n"
        "  help:  it looks transposed: Keras has units in columns",
    ),
    "integer": (
        {**SMALL_OBJECTS, "layer-0/cell/kernel": KERNEL.astype(np.int32)},
        "error[dtype]: kernel of layer 'lstm' of model.json does not hold floating point numbers\n"
        "  found: dtype int32\n"
        "  help:  save the model again with model.save",
    ),
    "no layers": (
        {"kernel": KERNEL},
        "error[no-layers]: x.index has no models of layers; expected one\n"
        "  found: 'kernel'\n"
        "  help:  save the weights of one Sequential or Functional model of Keras 2",
    ),
    "other": (
        {**SMALL_OBJECTS, "layer-2/kernel": KERNEL},
        "error[other-model]: the weights in x.index are not those of model 'model' of model.json\n"
        "  found: 3 layers; expected 2\n"
        "  help:  its weights may belong to another model",
    ),
    "gap": (
        {**SMALL_OBJECTS, "layer-3/kernel": KERNEL},
        "error[object-graph]: the graph of objects in x.index is not as TensorFlow writes it\n"
        "  found: layers that are not counted from 0\n"
        "  help:  copy or download it again; the original may be whole",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_weights_that_are_not_those_of_the_model_are_refused(
    name: str, tmp_path: Path, error_of: Error
) -> None:
    arrays, expected = WRONG[name]
    index = make(tmp_path / "x", arrays)
    assert error_of(lambda: of(index)).replace(f"{tmp_path}/", "") == expected


def test_stacked_cells_are_taken_in_their_order(tmp_path: Path) -> None:
    cells = [
        {"class_name": "LSTMCell", "config": {"name": "same", "units": 2}},
        {"class_name": "GRUCell", "config": {"name": "same", "units": 2, "reset_after": True}},
        {"class_name": "LSTMCell", "config": {"name": "same", "units": 2}},
    ]
    stack = {"class_name": "StackedRNNCells", "config": {"name": "stack", "cells": cells}}
    config = sequential(given((None, None, 3)), layer("RNN", "rnn", cell=stack))
    shapes = [((3, 8), (2, 8), (8,)), ((2, 6), (2, 6), (2, 6)), ((2, 8), (2, 8), (8,))]
    arrays = {
        f"layer-0/cell/cells/{k}/{name}": np.full(shape, 10 * k + i, np.float32)
        for k, group in enumerate(shapes)
        for i, (name, shape) in enumerate(
            zip(("kernel", "recurrent_kernel", "bias"), group, strict=True)
        )
    }
    found = [
        int(weight.read().flat[0])
        for part in of(make(tmp_path / "x", arrays), config).layers
        for weight in part.weights.values()
    ]
    assert found == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_a_checkpoint_that_grows_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    for path in DATA.glob("weights.ckpt*"):
        shutil.copy(path, tmp_path)
    config = json.loads((DATA / "weights.json").read_text())
    model = of(tmp_path / "weights.ckpt.index", config)
    with (tmp_path / "weights.ckpt.data-00000-of-00001").open("ab") as file:
        file.write(b"more")
    with pytest.raises(Exception, match="changed while it was read"):
        next(iter(model.layers[0].weights.values())).read()
