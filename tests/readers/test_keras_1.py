"""Files of Keras 1, each against its equations in NumPy: recurrent.py and others of 1.2.2."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import converter
from converter.gates import Array
from converter.readers import read
from tests.readers.files import Config, hdf5, layer

EXACT = 1e-12
"""Of the largest output: the judge and the equations are both in float64."""

Error = Callable[..., str]
RANDOM = np.random.default_rng(1)


def drawn(*shape: int) -> Array:
    return RANDOM.normal(0, 0.7, shape).astype(np.float32)


def chain(*layers: Config, steps: int | None, features: int = 3) -> Config:
    """A Sequential, whose config is a bare list in Keras 1."""
    first, *rest = layers
    first = {**first, "config": {**first["config"], "batch_input_shape": [None, steps, features]}}
    return {"class_name": "Sequential", "config": [first, *rest]}


def saved(path: Path, config: Config, groups: Mapping[str, Mapping[str, Array]]) -> Path:
    return hdf5(path, config, groups, version="1.2.2", backend="")


def sigmoid(x: Array) -> Array:
    """hard_sigmoid, its default."""
    return np.clip(0.2 * x + 0.5, 0, 1)


def gru(arrays: Mapping[str, Array], x: Array) -> Array:
    """The last output of a GRU."""
    w = {name.removeprefix("g_"): array.astype(float) for name, array in arrays.items()}
    h = np.zeros((len(x), w["b_z"].size))
    for step in x.swapaxes(0, 1):
        z = sigmoid(step @ w["W_z"] + h @ w["U_z"] + w["b_z"])
        r = sigmoid(step @ w["W_r"] + h @ w["U_r"] + w["b_r"])
        candidate = np.tanh(step @ w["W_h"] + (r * h) @ w["U_h"] + w["b_h"])
        h = z * h + (1 - z) * candidate
    return h


def of_a_gru() -> dict[str, Array]:
    """Nine arrays, in the order in which Keras 1 made them: z r h."""
    shapes = {"W": (3, 4), "U": (4, 4), "b": (4,)}
    return {f"g_{letter}_{gate}": drawn(*shapes[letter]) for gate in "zrh" for letter in "WUb"}


def distance(model: converter.Model, x: Array, expected: Array) -> float:
    given = np.asarray(converter.judge(model, x))
    assert given.shape == expected.shape
    return float(np.abs(given - expected).max() / np.abs(expected).max())


SETTINGS: dict[str, Any] = {"output_dim": 4, "init": "glorot_uniform", "inner_init": "orthogonal"}


def test_a_gru_of_nine_arrays(file: Path) -> None:
    arrays = of_a_gru()
    config = chain(layer("GRU", "g", **SETTINGS, consume_less="cpu"), steps=None)
    x = drawn(2, 5, 3)
    model = read(saved(file, config, {"g": arrays}))
    assert distance(model, x, gru(arrays, x)) < EXACT
    shuffled = dict(sorted(arrays.items(), reverse=True))
    assert distance(read(saved(file, config, {"g": shuffled})), x, gru(arrays, x)) < EXACT


def test_gates_in_the_order_of_other_names_are_another_model(file: Path) -> None:
    arrays = of_a_gru()
    wrong = dict(zip(arrays, [*list(arrays.values())[3:6], *list(arrays.values())[:3],
                              *list(arrays.values())[6:]], strict=True))  # fmt: skip
    config = chain(layer("GRU", "g", **SETTINGS), steps=None)
    x = drawn(2, 5, 3)
    assert distance(read(saved(file, config, {"g": wrong})), x, gru(arrays, x)) > 1e-2


@pytest.mark.parametrize(("kind", "gates"), [("GRU", "zrh"), ("LSTM", "ifco")])
def test_three_arrays_with_consume_less_gpu_are_those_apart(
    kind: str, gates: str, file: Path
) -> None:
    shapes = {"W": (3, 4), "U": (4, 4), "b": (4,)}
    apart = {f"g_{letter}_{gate}": drawn(*shapes[letter]) for letter in "WUb" for gate in gates}
    together = {
        f"g_{letter}": np.concatenate([apart[f"g_{letter}_{gate}"] for gate in gates], -1)
        for letter in "WUb"
    }
    x = drawn(2, 5, 3)
    answers = [
        converter.judge(
            read(
                saved(
                    file,
                    chain(layer(kind, "g", **SETTINGS, consume_less=how), steps=None),
                    {"g": arrays},
                )
            ),
            x,
        )
        for how, arrays in (("cpu", apart), ("gpu", together))
    ]
    assert np.array_equal(answers[0], answers[1])


@pytest.mark.parametrize("name", ["g_W_z", "g_U_h", "g_b_r"])
def test_one_misshapen_array_of_nine_is_refused(name: str, file: Path, error_of: Error) -> None:
    arrays = of_a_gru()
    arrays[name] = drawn(*(n + 1 for n in arrays[name].shape))
    config = chain(layer("GRU", "g", **SETTINGS), steps=None)
    found = error_of(lambda: read(saved(file, config, {"g": arrays})))
    assert found.startswith(f"error[shape]: {name[2:]} of layer 'g' of model has the wrong shape\n")


def test_eight_arrays_of_nine_are_refused(file: Path, error_of: Error) -> None:
    arrays = of_a_gru()
    del arrays["g_b_r"]
    config = chain(layer("GRU", "g", **SETTINGS), steps=None)
    found = error_of(lambda: read(saved(file, config, {"g": arrays})))
    assert found.startswith("error[missing-weight]: b_r of layer 'g' of model is missing\n")


def correlated(x: Array, kernel: Array, stride: int = 1) -> Array:
    """(B, T, I) with (L, I, O): windows as they come."""
    length = len(kernel)
    starts = range(0, x.shape[1] - length + 1, stride)
    return np.stack(
        [np.einsum("bli,lio->bo", x[:, s : s + length], kernel.astype(float)) for s in starts], 1
    )


CONV = {"nb_filter": 4, "filter_length": 2, "border_mode": "valid", "subsample_length": 2}


def convolution(tmp_path: Path, kernel: Array, backend: str | None) -> converter.Model:
    """A Convolution1D with a bias, its JSON as Keras 1 wrote it but for the backend."""
    config = chain(layer("Convolution1D", "c", **CONV, activation="linear", bias=True), steps=7)
    bias = np.arange(4, dtype=np.float32)
    path = saved(tmp_path / "model", config, {"c": {"c_W": kernel, "c_b": bias}})
    if backend is None:
        return read(path)
    arch = tmp_path / "model.json"
    arch.write_text(json.dumps(config | {"keras_version": "1.2.2", "backend": backend}))
    return read(path, arch=arch)


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
@pytest.mark.parametrize("older", [False, True])
def test_a_convolution_is_used_from_the_end_that_its_backend_did(
    backend: str, older: bool, tmp_path: Path
) -> None:
    kernel = drawn(2, 3, 4)
    stored = kernel.transpose(2, 1, 0)[..., np.newaxis] if older else kernel[:, np.newaxis]
    model = convolution(tmp_path, stored, backend)
    used = kernel[::-1] if backend == "theano" else kernel
    x = drawn(2, 7, 3)
    assert distance(model, x, correlated(x, used, 2) + np.arange(4)) < EXACT
    assert distance(model, x, correlated(x, used[::-1], 2) + np.arange(4)) > 1e-2
    weight = model.layers[0].weights["kernel"]
    (back,) = weight.form.write(weight.read())
    assert np.array_equal(back, stored)


def test_a_convolution_that_does_not_say_its_backend_is_refused(
    tmp_path: Path, error_of: Error
) -> None:
    assert error_of(lambda: convolution(tmp_path, drawn(2, 1, 3, 4), None)) == (
        "error[backend]: nothing says from which end layer 'c' of model uses its kernel\n"
        "  found: Keras 1 wrote down no backend; Theano turned kernels, TensorFlow did not\n"
        '  help:  give its JSON with --arch, and in it "backend": "theano" or "tensorflow"'
    )


@pytest.mark.parametrize("order", ["th", "tf"])
def test_a_convolution_of_images_in_either_order(order: str, tmp_path: Path) -> None:
    kernel = drawn(2, 3, 2, 4)  # rows, columns, channels, filters
    settings = {"nb_filter": 4, "nb_row": 2, "nb_col": 3, "subsample": [1, 1]}
    shape = [None, 2, 4, 5] if order == "th" else [None, 4, 5, 2]
    part = layer("Convolution2D", "c", **settings, dim_ordering=order, bias=False)
    part["config"]["batch_input_shape"] = shape
    config = {"class_name": "Sequential", "config": [part]}
    stored = kernel.transpose(3, 2, 0, 1) if order == "th" else kernel
    path = saved(tmp_path / "model", config, {"c": {"c_W": stored}})
    arch = tmp_path / "model.json"
    arch.write_text(json.dumps(config | {"keras_version": "1.2.2", "backend": "theano"}))
    x = drawn(2, 4, 5, 2)
    turned = kernel[::-1, ::-1].astype(float)
    expected = np.stack(
        [
            np.stack(
                [np.einsum("brci,rcio->bo", x[:, r : r + 2, c : c + 3], turned) for c in range(3)],
                1,
            )
            for r in range(3)
        ],
        1,
    )
    given = x.transpose(0, 3, 1, 2) if order == "th" else x
    if order == "th":
        expected = expected.transpose(0, 3, 1, 2)
    assert distance(read(path, arch=arch), given, expected) < EXACT


def merged(**settings: Any) -> Config:
    """Two Dense on one input, and a Merge, as a Model of Keras 1."""
    dense = [layer("Dense", name, output_dim=2, bias=False) for name in "ab"]
    nodes = [[["x", 0, 0]]]
    given = layer("InputLayer", "x", batch_input_shape=[None, 3], input_dtype="float32")
    end = layer("Merge", "m", mode_type="raw", concat_axis=-1, dot_axes=-1, output_shape=None,
                output_shape_type="raw", output_mask=None, output_mask_type="raw", arguments={},
                **settings)  # fmt: skip
    return {
        "class_name": "Model",
        "config": {
            "name": "model",
            "layers": [
                {**given, "name": "x", "inbound_nodes": []},
                *({**one, "name": one["config"]["name"], "inbound_nodes": nodes} for one in dense),
                {**end, "name": "m", "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]},
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["m", 0, 0]],
        },
    }


MERGES: dict[str, Callable[[Array, Array], Array]] = {
    "sum": np.add,
    "mul": np.multiply,
    "ave": lambda a, b: (a + b) / 2,
    "max": np.maximum,
    "concat": lambda a, b: np.concatenate([a, b], -1),
    "dot": lambda a, b: (a * b).sum(-1, keepdims=True),
}


@pytest.mark.parametrize("mode", MERGES)
def test_each_mode_of_merge(mode: str, file: Path) -> None:
    a, b = drawn(3, 2), drawn(3, 2)
    path = saved(file, merged(mode=mode), {"a": {"a_W": a}, "b": {"b_W": b}})
    x = drawn(4, 3)
    expected = MERGES[mode](x.astype(float) @ a, x.astype(float) @ b)
    assert distance(read(path), x, expected) < EXACT


@pytest.mark.parametrize("mode", ["cos", None])
def test_other_modes_of_merge_are_refused(mode: str | None, file: Path, error_of: Error) -> None:
    path = saved(file, merged(mode=mode), {"a": {"a_W": drawn(3, 2)}, "b": {"b_W": drawn(3, 2)}})
    assert error_of(lambda: read(path)) == (
        "error[merge-mode]: layer 'm' of model merges in a way that is not read\n"
        f"  found: mode {json.dumps(mode)}; known: concat, dot, sum, mul, ave, max\n"
        "  help:  replace it by a mode that is known and save the model again"
    )


def test_a_merge_by_a_function_is_never_run(file: Path, error_of: Error) -> None:
    config = merged(mode="code")
    config["config"]["layers"][-1]["config"]["mode_type"] = "lambda"
    path = saved(file, config, {"a": {"a_W": drawn(3, 2)}, "b": {"b_W": drawn(3, 2)}})
    assert error_of(lambda: read(path)) == (
        "error[lambda-layer]: layer 'm' of model is a Merge by a function: its Python code is in "
        "the file\n"
        '  found: mode_type "lambda"\n'
        "  help:  replace it by a mode of its own: sum, mul, concat, ave or max"
    )


def test_pooling_and_what_follows_in_the_words_of_keras_1(file: Path) -> None:
    config = chain(
        layer("MaxPooling1D", "p", pool_length=2, stride=2, border_mode="valid"),
        layer("Dropout", "d", p=0.5),
        layer("TimeDistributedDense", "t", output_dim=2, bias=True, input_length=None),
        steps=6,
    )
    w, b = drawn(3, 2), drawn(2)
    x = drawn(2, 6, 3)
    expected = x.reshape(2, 3, 2, 3).max(2).astype(float) @ w + b
    path = saved(file, config, {"p": {}, "d": {}, "t": {"t_W": w, "t_b": b}})
    assert distance(read(path), x, expected) < EXACT
