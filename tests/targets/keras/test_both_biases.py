"""PyTorch's two biases through Keras's one, and back to the bit; or the one, if it was trained."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import converter
from converter.description import Model, Weight
from converter.errors import FormatError, WeightError
from converter.gates import BOTH_BIASES, Cell
from converter.runtimes import keras
from converter.targets.keras import Dialect, write_model
from tests.models_by_hand import Maker, chain
from tests.targets.keras.keras_files import DATA, dialect_of, put

FORMS = (".keras", ".h5")
SOURCES = ("cudnn/cudnn_lstm.h5", "cudnn/cudnn_bidirectional.h5")


def two_biases(cell: Cell = Cell.LSTM, dtype: str = "float32") -> Model:
    """Of which the sum is inexact."""
    layer = Maker(3).recurrent("rnn", cell, 3, 4)
    gates = layer.forward.kernel.shape[0]
    generator = np.random.default_rng(5)
    bias = generator.normal(size=(2, gates, 4)) * [[[1.0]], [[1e-3]]]
    model = chain(layer, shape=(None, None, 3))
    return model.map_weights(
        lambda _layer, name, weight: (
            Weight.of(bias.astype(dtype)) if name == "forward.bias" else weight
        )
    )


def bias_of(model: Model) -> Weight:
    return model.layers[0].weights["forward.bias"]


def written(model: Model, path: Path) -> Path:
    dialect = Dialect.KERAS_3 if path.name.endswith(".weights.h5") else dialect_of(path.suffix)
    return put(write_model(model, dialect), path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", [Cell.LSTM, Cell.RNN])
def test_both_biases_come_back_to_the_bit(cell: Cell, form: str, tmp_path: Path) -> None:
    model = two_biases(cell)
    back = converter.read(written(model, tmp_path / f"m{form}"))
    both = bias_of(model).read()
    assert bias_of(back).read().tobytes() == both.tobytes()
    added = back.layers[0].weights["forward.bias"].stored[0].read()
    assert added.tobytes() == (both[0] + both[1]).tobytes()
    assert (added - both[0].reshape(-1)).tobytes() != both[1].tobytes()  # the sum alone has lost it


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SOURCES)
def test_the_state_dict_is_the_same_after_a_way_through_keras(
    name: str, form: str, tmp_path: Path
) -> None:
    model = converter.read(DATA / name)
    expected = converter.to_torch(model).state_dict()
    given = converter.to_torch(written(model, tmp_path / f"m{form}")).state_dict()
    assert expected.keys() == given.keys()
    for key, tensor in expected.items():
        assert tensor.numpy().tobytes() == given[key].numpy().tobytes(), key
    assert any(tensor.any() for key, tensor in given.items() if "bias_hh" in key)


def test_weights_alone_give_them_back_with_their_architecture(tmp_path: Path) -> None:
    model = two_biases()
    whole = written(model, tmp_path / "m.keras")
    weights = written(model, tmp_path / "m.weights.h5")
    back = converter.read(weights, arch=whole)
    assert bias_of(back).read().tobytes() == bias_of(model).read().tobytes()


def test_a_bias_that_was_trained_further_is_what_it_is(tmp_path: Path) -> None:
    part = "model_weights/rnn/rnn/lstm_cell/bias:0"
    path = written(two_biases(), tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file[part][3] = np.nextafter(file[part][3], np.float32(9))
        trained = file[part][()]
    back = converter.read(path)
    assert bias_of(back).shape == (1, 4, 4)
    assert bias_of(back).read().tobytes() == trained.tobytes()
    assert back.source.dropped == ("two biases of before the training of rnn",)
    state = converter.to_torch(back).state_dict()
    assert state["rnn.bias_ih_l0"].numpy().tobytes() == trained.tobytes()
    assert not state["rnn.bias_hh_l0"].any()


def edited(tmp_path: Path, path: str, array: np.ndarray) -> Path:
    """The model with another array where biases are kept."""
    file = written(two_biases(), tmp_path / "m.h5")
    with h5py.File(file, "r+") as opened:
        name = f"{BOTH_BIASES}/{path}"
        if name in opened:
            del opened[name]
        opened[name] = array
    return file


def test_what_is_kept_must_be_two_biases_of_a_layer(tmp_path: Path) -> None:
    own = "rnn/rnn/lstm_cell/bias:0"
    for array in (np.zeros((2, 4), np.float32), np.zeros((2, 16)), np.zeros(32, np.float32)):
        with pytest.raises(FormatError) as caught:
            converter.read(edited(tmp_path, own, array))
        assert "beside a bias that is float32 (16,)" in caught.value.context
        (tmp_path / "m.h5").unlink()
    with pytest.raises(WeightError) as surplus:
        converter.read(edited(tmp_path, "rnn/kernel:0", np.zeros((2, 16), np.float32)))
    assert "both biases/rnn/kernel:0" in surplus.value.context


def test_the_verification_says_that_every_array_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras, "is_here", lambda: False)  # tests/verify asks it of this file
    source = DATA / SOURCES[0]
    done = converter.convert(source, to="keras", out=tmp_path / "m.keras")
    assert done.verdict is not None
    assert done.verdict.status.value == "equal"
    assert done.verdict.wrong_arrays == ()
    (entry,) = [one for one in done.record["tensors"] if "cu_dnnlstm/bias" in one["source"]]
    assert entry["to"] == ["layers/lstm/cell/vars/2", "both biases/layers/lstm/cell/vars/2"]
