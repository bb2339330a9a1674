"""Weights without an architecture: what their names and shapes say, and what is taken out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import converter
from converter.gates import Array, Cell
from converter.readers import read
from converter.readers.file import File
from converter.readers.keras.alone import Alone, read_alone
from converter.state_dict import read_recurrent
from tests.readers.files import counted, stored

DATA = Path(__file__).parents[1] / "data"

Error = Callable[..., str]
Groups = Mapping[str, Mapping[str, Array]]

F, U = 3, 2


def weights(path: Path, groups: Groups, version: str = "2.2.4") -> Path:
    """What `save_weights` of Keras 1 and 2 writes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = list(groups)
        if version:
            file.attrs["keras_version"] = version
        for name, arrays in groups.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = list(arrays)
            for weight, array in arrays.items():
                group[weight] = array
    return path


def three(gates: int, *bias: int, scope: str = "it/") -> dict[str, Array]:
    found = {
        f"{scope}kernel:0": counted(F, gates * U),
        f"{scope}recurrent_kernel:0": counted(U, gates * U, start=9),
    }
    return found | ({f"{scope}bias:0": counted(*bias, start=20)} if bias else {})


def known(path: Path) -> Alone:
    found = read_alone(File.at(path))
    assert found is not None
    return found


def said(path: Path) -> dict[str, str]:
    return {one.name: one.what for one in known(path).layers}


KINDS = {
    "LSTM": (4, 4 * U),
    "CuDNNLSTM": (4, 8 * U),
    "GRU, reset before": (3, 3 * U),
    "GRU, reset after": (3, 2, 3 * U),
    "CuDNNGRU": (3, 6 * U),
    "SimpleRNN": (1, U),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_known_by_its_shapes(kind: str, file: Path) -> None:
    gates, *bias = KINDS[kind]
    (one,) = known(weights(file, {"it": three(gates, *bias)})).layers
    (direction,) = one.directions
    assert (one.name, one.what) == ("it", kind)
    assert (direction.inputs, direction.units) == (F, U)


@pytest.mark.parametrize(("gates", "kind"), [(4, "LSTM"), (1, "SimpleRNN")])
def test_a_bias_may_be_absent(gates: int, kind: str, file: Path) -> None:
    (one,) = known(weights(file, {"it": three(gates)})).layers
    assert one.what == kind
    assert one.directions[0].bias is None


def test_a_gru_without_a_bias_is_not_guessed(file: Path, error_of: Error) -> None:
    path = weights(file, {"it": three(3)})
    assert said(path) == {"it": "GRU, reset before or after"}
    assert error_of(lambda: read_recurrent(path)) == (
        "error[reset-unknown]: layer 'it' of model may be either of two GRUs\n"
        "  found: no bias, which would say whether it resets before the product or after\n"
        "  help:  --arch model.json, or another saved model of this architecture"
    )


def test_a_keras_that_had_one_gru_only_says_which_it_is(file: Path) -> None:
    path = weights(file, {"it": three(3)}, version="2.0.6")
    assert said(path) == {"it": "GRU, reset before"}
    assert read_recurrent(path).layers[0].cell is Cell.GRU_RESET_BEFORE


def keras_1(prefix: str, gates: str = "icfo") -> dict[str, Array]:
    found = {}
    for k, gate in enumerate(gates):
        found[f"{prefix}_W_{gate}"] = counted(F, U, start=10 * k)
        found[f"{prefix}_U_{gate}"] = counted(U, U, start=10 * k + 3)
        found[f"{prefix}_b_{gate}"] = counted(U, start=10 * k + 6)
    return found


def test_the_arrays_of_keras_1_are_put_together_by_their_names(file: Path) -> None:
    path = weights(file, {"lstm_1": keras_1("lstm_1")}, version="")
    (layer,) = read_recurrent(path).layers
    for gate in "ifco":
        assert np.array_equal(layer.gates[gate].kernel, keras_1("lstm_1")[f"lstm_1_W_{gate}"])
        assert np.array_equal(layer.gates[gate].bias, keras_1("lstm_1")[f"lstm_1_b_{gate}"])
    in_order = np.stack([keras_1("lstm_1")[f"lstm_1_W_{gate}"].T for gate in "icfo"])
    assert not np.array_equal(layer.forward.kernel.read(), in_order)


def test_one_misshapen_array_of_twelve_is_an_error(file: Path, error_of: Error) -> None:
    arrays = keras_1("lstm_1") | {"lstm_1_U_f": counted(U, U + 1)}
    found = error_of(lambda: read_alone(File.at(weights(file, {"lstm_1": arrays}, version=""))))
    assert found.startswith(
        "error[shape]: the arrays of layer 'lstm_1' of model do not belong together\n"
    )
    assert "U_f (2, 3)" in found
    assert "expected (F, U), (U, U) and (U,) for each gate" in found


def test_eleven_arrays_of_twelve_are_not_taken_for_an_lstm(file: Path) -> None:
    arrays = {name: one for name, one in keras_1("lstm_1").items() if name != "lstm_1_b_o"}
    (one,) = known(weights(file, {"lstm_1": arrays}, version="")).layers
    assert (one.what, one.directions) == ("", ())


MISSHAPEN = {
    "five gates": {"it/kernel:0": counted(F, 5 * U), "it/recurrent_kernel:0": counted(U, 5 * U)},
    "two sizes": three(4) | {"it/kernel:0": counted(F, 3 * U)},
    "a transposed state": three(4) | {"it/recurrent_kernel:0": counted(4 * U, U)},
    "a bias of another size": three(4, 4 * U + 1),
    "two rows for an LSTM": three(4, 2, 4 * U),
}


@pytest.mark.parametrize("case", MISSHAPEN)
def test_arrays_that_do_not_belong_together_are_an_error(
    case: str, file: Path, error_of: Error
) -> None:
    path = weights(file, {"it": MISSHAPEN[case]})
    found = error_of(lambda: read_recurrent(path))
    assert found.startswith(
        "error[shape]: the arrays of layer 'it' of model do not belong together\n"
    )


def test_whole_numbers_are_no_weights(file: Path, error_of: Error) -> None:
    arrays = {name: one.astype(np.int32) for name, one in three(4, 4 * U).items()}
    found = error_of(lambda: read_recurrent(weights(file, {"it": arrays})))
    assert found.startswith("error[dtype]: 'it/it/kernel:0' of model does not hold floating")


def test_lists_that_disagree_are_an_error(file: Path, error_of: Error) -> None:
    weights(file, {"it": three(4)})
    with h5py.File(file, "a") as opened:
        opened["it"].attrs["weight_names"] = ["it/kernel:0", "it/kernel:0"]
    assert "'it/it/kernel:0' is listed twice" in error_of(lambda: read_alone(File.at(file)))
    with h5py.File(file, "a") as opened:
        opened["it"].attrs["weight_names"] = ["it/kernel:0", "it/other:0"]
    assert "'it/it/other:0' is listed and not" in error_of(lambda: read_alone(File.at(file)))
    weights(file, {"it": three(4) | {"it/kernel": counted(F, 4 * U)}})
    assert "two arrays 'kernel' in 'it/it'" in error_of(lambda: read_alone(File.at(file)))


def test_two_directions_are_one_layer(file: Path) -> None:
    ahead, back = (three(4, 4 * U, scope=f"both/{name}_lstm/") for name in ("forward", "backward"))
    path = weights(file, {"both": back | ahead})
    (one,) = known(path).layers
    assert [direction.go_backwards for direction in one.directions] == [False, True]
    assert "forward" in one.directions[0].kernel.stored[0].name


def test_layers_of_an_inner_model_have_its_name(file: Path) -> None:
    inner = three(4, 4 * U, scope="lstm_1/") | {
        "dense/kernel:0": counted(U, 5), "dense/bias:0": counted(5),
    }  # fmt: skip
    assert said(weights(file, {"inner": inner})) == {"inner/lstm_1": "LSTM", "inner/dense": "Dense"}


OTHERS = {
    "embedding": ({"e/embeddings:0": counted(5, 3)}, "Embedding"),
    "convolution": ({"c/kernel:0": counted(2, 3, 4), "c/bias:0": counted(4)}, "Conv1D"),
    "normalization": (
        {f"n/{name}:0": counted(3) for name in ("gamma", "beta", "moving_mean", "moving_variance")},
        "BatchNormalization",
    ),
    "attention": ({"a/attention_W:0": counted(4, 1)}, ""),
    "convolutional LSTM": (
        {"k/kernel:0": counted(2, 2, 3, 8), "k/recurrent_kernel:0": counted(2, 2, 2, 8)},
        "ConvLSTM2D",
    ),
    "an LSTM with more": (three(4) | {"it/peephole:0": counted(U)}, ""),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_layers_are_listed_and_not_taken_out(case: str, file: Path, error_of: Error) -> None:
    arrays, what = OTHERS[case]
    path = weights(file, {"it": arrays})
    assert said(path) == {"it": what}
    assert error_of(lambda: read_recurrent(path)) == (
        "error[no-recurrent]: model has no recurrent layer\n"
        "  found: no LSTM, GRU or SimpleRNN\n"
        "  help:  ifco inspect shows what is in it"
    )


def test_three_arrays_outside_a_cell_are_no_lstm(file: Path) -> None:
    names = ("0", "1", "2")
    arrays = (counted(F, 4 * U), counted(U, 4 * U), counted(4 * U))
    path = "layers/{}vars/{}"
    for folder, what in (("lstm/cell/", "LSTM"), ("mine/", "mine")):
        found = {path.format(folder, name): one for name, one in zip(names, arrays, strict=True)}
        file.write_bytes(stored(found))
        assert list(said(file).values()) == [what]


def test_names_of_layers_stand_in_files_of_keras_3() -> None:
    assert said(DATA / "weights" / "keras3.weights.h5") == {
        "both": "LSTM", "last": "LSTM", "inner/dense": "dense", "inner/gru": "GRU, reset after",
    }  # fmt: skip
    assert set(said(DATA / "weights" / "keras2.weights.h5")) == {
        "bidirectional", "lstm", "sequential/dense", "sequential/gru",
    }  # fmt: skip


def test_what_is_taken_out_is_what_the_architecture_says(tmp_path: Path) -> None:
    folder = DATA / "weights"
    whole = read(folder / "keras2_weights.h5", arch=folder / "keras2.json")
    alone = read_recurrent(folder / "keras2_weights.h5")
    for layer in alone.layers:
        for name, weight in layer.weights.items():
            assert np.array_equal(weight.read(), whole.layer(layer.name).weights[name].read())


def test_the_state_dict_is_that_of_torch(tmp_path: Path) -> None:
    source, out = DATA / "weights" / "keras2_weights.h5", tmp_path / "m.safetensors"
    done = converter.convert(source, to="state-dict", out=out)
    assert done.verdict is not None
    assert done.verdict.status is converter.Status.EQUAL
    assert [path.name for path in done.files] == ["m.safetensors", "m.safetensors.conversion.json"]
    record = json.loads(done.files[1].read_text())
    assert record["modules"] == {"both": "nn.LSTM", "inner/gru": "nn.GRU", "last": "nn.LSTM"}
    assert record["source"]["form"] == "Keras weights, without an architecture"
    assert record["not_in_the_file"][0].startswith("the activations")
    tensors = load_file(out)
    module = torch.nn.LSTM(3, 3, batch_first=True, bidirectional=True)
    module.load_state_dict(
        {name.removeprefix("both."): one for name, one in tensors.items() if "both." in name}
    )
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    with torch.inference_mode():
        given = module(torch.from_numpy(x))[0].numpy()
    whole = read(source, arch=DATA / "weights" / "keras2.json")
    (value,) = (call.outputs[0] for call in whole.calls if call.layer.name == "both")
    assert np.abs(given - converter.judge(whole.until(value), x)).max() < 1e-6


def test_gates_in_another_order_are_seen(tmp_path: Path) -> None:
    from converter.state_dict import StateDict

    model = read_recurrent(DATA / "weights" / "keras2_weights.h5")
    artefact = StateDict(model, "m.safetensors")
    tensors = {name: one.copy() for p in artefact.placements for name, one in p.tensors()}
    assert artefact.verdict_on(tensors, "m").status is converter.Status.EQUAL
    swapped = tensors["last.weight_ih_l0"].reshape(4, 2, 3)[[1, 0, 2, 3]].reshape(8, 3)
    verdict = artefact.verdict_on(tensors | {"last.weight_ih_l0": swapped}, "m")
    assert verdict.status is converter.Status.DIFFERS
    assert verdict.wrong_arrays == ("last/last/lstm_cell/kernel:0",)


def test_a_whole_model_gives_its_recurrent_layers_with_their_activations(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    done = converter.convert(DATA / "keras215" / "mixed_cells.h5", to="state-dict", out=out)
    assert done.verdict is not None
    assert done.verdict.status is converter.Status.EQUAL
    assert list(done.record["modules"].values()) == [
        "ActivatedLSTM", "nn.GRU", "ResetBeforeGRU", "nn.RNN",
    ]  # fmt: skip
    assert "not_in_the_file" not in done.record
