"""Models of Keras 1 that only it had: masks by its rules, branches under a Merge, unnamed models.

Expected values are loops over the equations: recurrent.py, topology.py and `rnn` of Keras 1.2.2.
"""

from __future__ import annotations

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

SHOWS = 1e-2
"""What another rule changes at least."""

Error = Callable[..., str]
Groups = Mapping[str, Mapping[str, Array]]
RANDOM = np.random.default_rng(3)
WORDS = RANDOM.integers(0, 3, (4, 6))
WORDS[0], WORDS[1, :2] = 0, 0
"""A row of nothing but masked steps, masked steps at the beginning and in between."""


def drawn(*shape: int) -> Array:
    return RANDOM.normal(0, 0.7, shape).astype(np.float32)


def saved(path: Path, layers: list[Config], groups: Groups, version: str = "1.2.2") -> Path:
    return hdf5(path, {"class_name": "Sequential", "config": layers}, groups, version=version,
                backend="")  # fmt: skip


def embedding(name: str, **settings: Any) -> Config:
    given = {"batch_input_shape": [None, None], "input_dtype": "int32", "dropout": 0.0}
    return layer("Embedding", name, input_dim=3, output_dim=3, mask_zero=True, **given, **settings)


def gru(name: str, units: int = 4, **settings: Any) -> Config:
    return layer("GRU", name, output_dim=units, consume_less="cpu", **settings)


def of_gru(name: str, features: int, units: int = 4) -> dict[str, Array]:
    shapes = {"W": (features, units), "U": (units, units), "b": (units,)}
    return {f"{name}_{w}_{gate}": drawn(*shapes[w]) for gate in "zrh" for w in "WUb"}


def run(arrays: Mapping[str, Array], x: Array, mask: Array | None) -> Array:
    """Every output of a GRU: a masked step gives the one before it, and first of all zeros."""
    w = {name[-3:]: array.astype(float) for name, array in arrays.items()}
    h = np.zeros((len(x), w["b_z"].size))
    outputs = []
    for t, step in enumerate(x.swapaxes(0, 1)):
        z, r = (
            np.clip(0.2 * (step @ w[f"W_{k}"] + h @ w[f"U_{k}"] + w[f"b_{k}"]) + 0.5, 0, 1)
            for k in "zr"
        )
        new = z * h + (1 - z) * np.tanh(step @ w["W_h"] + (r * h) @ w["U_h"] + w["b_h"])
        h = new if mask is None else np.where(mask[:, t, np.newaxis], new, h)
        outputs.append(h)
    return np.stack(outputs, 1)


def distance(path: Path, given: Array | list[Array], expected: Array) -> float:
    inputs = given if isinstance(given, list) else [given]
    found = np.asarray(converter.judge(read(path), *inputs))
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


TABLE, FIRST, SECOND = drawn(3, 3), of_gru("g", 3), of_gru("h", 2)
W, B = drawn(4, 2), drawn(2)


def masked_chain(kind: str) -> list[Config]:
    """Words, a GRU of all steps, something for each step, a GRU of the last one."""
    dense = layer("Dense", "inner", output_dim=2)
    each = {
        "TimeDistributedDense": layer("TimeDistributedDense", "d", output_dim=2),
        "TimeDistributed": layer("TimeDistributed", "d", layer=dense),
    }[kind]
    middle = [layer("Activation", "a", activation="linear"), layer("Dropout", "p", p=0.5)]
    return [embedding("e"), gru("g", return_sequences=True), *middle, each, gru("h")]


GROUPS = {"e": {"e_W": TABLE}, "g": FIRST, "d": {"d_W": W, "d_b": B}, "h": SECOND}


@pytest.mark.parametrize("kind", ["TimeDistributedDense", "TimeDistributed"])
def test_a_mask_goes_through_the_layers_that_hand_it_on(kind: str, file: Path) -> None:
    path = saved(file, masked_chain(kind), GROUPS)
    mask = WORDS != 0
    steps = run(FIRST, TABLE[WORDS], mask) @ W.astype(float) + B
    assert distance(path, WORDS, run(SECOND, steps, mask)[:, -1]) < EXACT
    assert distance(path, WORDS, run(SECOND, steps, None)[:, -1]) > SHOWS


def test_a_masked_chain_is_its_twin_of_keras_2(file: Path, tmp_path: Path) -> None:
    def stacked(arrays: Mapping[str, Array], name: str) -> dict[str, Array]:
        joined = {w: [array for key, array in arrays.items() if f"_{w}_" in key] for w in "WUb"}
        words = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}
        return {f"{name}/{words[w]}:0": np.concatenate(joined[w], -1) for w in "WUb"}

    settings = {"units": 4, "recurrent_activation": "hard_sigmoid", "reset_after": False}
    layers = [
        layer("Embedding", "e", input_dim=3, output_dim=3, mask_zero=True,
              batch_input_shape=[None, None], dtype="int32"),
        layer("GRU", "g", return_sequences=True, **settings),
        layer("TimeDistributed", "d", layer=layer("Dense", "inner", units=2)),
        layer("GRU", "h", **settings),
    ]  # fmt: skip
    groups = {
        "e": {"e/embeddings:0": TABLE},
        "g": stacked(FIRST, "g"),
        "d": {"d/kernel:0": W, "d/bias:0": B},
        "h": stacked(SECOND, "h"),
    }
    twin = converter.judge(read(saved(tmp_path / "twin", layers, groups, "2.2.4")), WORDS)
    assert distance(saved(file, masked_chain("TimeDistributed"), GROUPS), WORDS, twin) < EXACT


def test_masking_in_front_of_a_layer_of_both_directions(file: Path) -> None:
    inner = gru("g", return_sequences=True, go_backwards=False)
    both = layer("Bidirectional", "b", merge_mode="concat", layer=inner)
    x = drawn(4, 6, 3)
    x[WORDS == 0] = 0
    first = layer("Masking", "m", mask_value=0.0, batch_input_shape=[None, None, 3])
    ahead, back = of_gru("forward_g", 3), of_gru("backward_g", 3)
    path = saved(file, [first, both, gru("h")], {"b": ahead | back, "h": of_gru("h", 8)})
    mask = WORDS != 0
    sides = [run(ahead, x, mask), run(back, x[:, ::-1], mask[:, ::-1])[:, ::-1]]
    with_names = read(path)
    last = {
        stored.name.split("/")[-1]: stored.read()
        for weight in with_names.layer("h").weights.values()
        for stored in weight.stored
    }
    expected = run(last, np.concatenate(sides, -1), mask)[:, -1]
    assert distance(path, x, expected) < EXACT


def test_the_layer_in_a_time_distributed_sees_no_mask_and_makes_none(file: Path) -> None:
    """Keras 1 calls it without one, and its own mask stays inside; Keras 2 sees both."""
    words = np.stack([WORDS, WORDS[::-1]], 1)
    each = layer("TimeDistributed", "t", layer=embedding("e"), input_dtype="int32",
                 batch_input_shape=[None, None, 6])  # fmt: skip
    inside = layer("TimeDistributed", "u", layer=gru("g"))
    arrays = {"t": {"t_W": TABLE}, "u": FIRST, "h": of_gru("h", 4)}
    path = saved(file, [each, inside, gru("h")], arrays)
    inner = np.stack([run(FIRST, TABLE[words[:, k]], None)[:, -1] for k in range(2)], 1)
    assert distance(path, words, run(arrays["h"], inner, None)[:, -1]) < EXACT


def two_sentences(mode: str, axis: int = -1) -> Config:
    """A Model of two inputs of words, whose sequences are merged."""
    nodes: dict[str, list[Any]] = {"e": [["x", 0, 0]], "f": [["y", 0, 0]]}
    given = [
        layer("InputLayer", name, batch_input_shape=[None, None], input_dtype="int32")
        for name in "xy"
    ]
    end = layer("Merge", "m", mode=mode, mode_type="raw", concat_axis=axis)
    rest = gru("h", return_sequences=True)
    nodes |= {"m": [["e", 0, 0], ["f", 0, 0]], "h": [["m", 0, 0]], "x": [], "y": []}
    layers = [*given, embedding("e"), embedding("f"), end, rest]
    named = [
        {**one, "name": (name := one["config"]["name"]), "inbound_nodes": [nodes[name]]}
        for one in layers
    ]
    ends = {"input_layers": [["x", 0, 0], ["y", 0, 0]], "output_layers": [["h", 0, 0]]}
    for one in named[:2]:
        one["inbound_nodes"] = []
    return {"class_name": "Model", "config": {"name": "model", "layers": named, **ends}}


OTHER, OTHERS = drawn(3, 3), WORDS[::-1]


@pytest.mark.parametrize(
    ("mode", "axis", "features", "join", "masks"),
    [
        ("sum", -1, 3, np.add, np.logical_and),
        ("ave", -1, 3, lambda a, b: (a + b) / 2, np.logical_and),
        ("mul", -1, 3, np.multiply, np.logical_and),
        ("concat", -1, 6, lambda a, b: np.concatenate([a, b], -1), np.logical_and),
        ("concat", 2, 6, lambda a, b: np.concatenate([a, b], -1), np.logical_and),
        ("concat", 1, 3, *[lambda a, b: np.concatenate([a, b], 1)] * 2),
        ("dot", [2, 2], 6, lambda a, b: a @ b.swapaxes(1, 2), lambda _a, _b: None),
    ],
)
def test_a_merge_joins_masks(
    mode: str, axis: Any, features: int, join: Any, masks: Any, file: Path
) -> None:
    config = two_sentences(mode, axis if isinstance(axis, int) else -1)
    config["config"]["layers"][4]["config"]["dot_axes"] = axis
    if mode == "dot":
        for one in config["config"]["layers"][:2]:
            one["config"]["batch_input_shape"] = [None, 6]
    last = of_gru("h", features)
    path = hdf5(file, config, {"e": {"e_W": TABLE}, "f": {"f_W": OTHER}, "h": last},
                version="1.2.2", backend="")  # fmt: skip
    x = join(TABLE[WORDS].astype(float), OTHER[OTHERS].astype(float))
    mask = masks(WORDS != 0, OTHERS != 0)
    assert distance(path, [WORDS, OTHERS], run(last, x, mask)) < EXACT
    other = None if mask is not None else WORDS != 0
    assert distance(path, [WORDS, OTHERS], run(last, x, other)) > SHOWS


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ([layer("Dense", "d", output_dim=2)], "Dense with a mask, which Keras 1 refuses"),
        ([layer("Flatten", "f")], "Flatten with a mask, which Keras 1 refuses"),
        (
            [layer("MaxPooling1D", "p", pool_length=2, stride=2, border_mode="valid")],
            "MaxPooling1D with a mask, which Keras 1 refuses",
        ),
        (
            [gru("g", stateful=True)],
            "stateful=True: before the first step that counts, TensorFlow gave the state and "
            "Theano zeros, and Keras 1 did not write down which it was",
        ),
    ],
)
def test_what_keras_1_does_not_mask_is_refused(
    rest: list[Config], found: str, file: Path, error_of: Error
) -> None:
    first = embedding("e") | {}
    first["config"]["batch_input_shape"] = [4, 6]
    groups = {"e": {"e_W": TABLE}, "g": FIRST, "d": {"d_W": drawn(3, 2), "d_b": B}}
    text = error_of(lambda: read(saved(file, [first, *rest], groups)))
    assert text.startswith("error[mask]: layer '")
    assert f"\n  found: {found}\n" in text


def test_a_maximum_of_masked_sequences_is_refused(file: Path, error_of: Error) -> None:
    path = hdf5(file, two_sentences("max"), {}, version="1.2.2", backend="")
    assert "found: mode 'max' with a mask, which Keras 1 refuses" in error_of(lambda: read(path))


def branches(mode: str, *sides: list[Config]) -> Config:
    models = [{"class_name": "Sequential", "config": side} for side in sides]
    return layer("Merge", "m", mode=mode, mode_type="raw", concat_axis=-1, dot_axes=-1,
                 output_shape=None, output_shape_type="raw", output_mask=None,
                 output_mask_type="raw", arguments={}, layers=models)  # fmt: skip


def test_a_sequential_that_begins_with_merge_has_an_input_a_branch(file: Path) -> None:
    x = layer("Dense", "a", output_dim=2, batch_input_shape=[None, 3], input_dim=3)
    y = layer("Dense", "b", output_dim=2, batch_input_shape=[None, 4], input_dim=4)
    z = layer("Dense", "c", output_dim=2, batch_input_shape=[None, 5], input_dim=5)
    inner = branches("sum", [x], [y, layer("Activation", "t", activation="tanh")])
    inner["config"]["name"] = "inner"
    whole = [branches("concat", [inner], [z]), layer("Dense", "d", output_dim=3)]
    arrays = {name: (drawn(size, 2), B) for name, size in (("a", 3), ("b", 4), ("c", 5))}
    arrays["d"] = drawn(4, 3), drawn(3)
    groups = {name: {f"{name}_W": w, f"{name}_b": b} for name, (w, b) in arrays.items()}
    path = saved(file, whole, {**groups, "inner": {}, "t": {}, "m": {}})
    assert [value.name for value in read(path).inputs] == ["a_input", "b_input", "c_input"]
    given = [drawn(2, 3), drawn(2, 4), drawn(2, 5)]

    def dense(name: str, x: Array) -> Array:
        w, b = arrays[name]
        return x.astype(float) @ w + b

    left = dense("a", given[0]) + np.tanh(dense("b", given[1]))
    expected = dense("d", np.concatenate([left, dense("c", given[2])], -1))
    assert distance(path, given, expected) < EXACT


def test_a_merge_sees_no_mask_of_its_branches(file: Path) -> None:
    """The node of a Sequential has none: `output_masks=[None]` in keras/models.py."""
    sides = [[embedding("e"), gru("g", return_sequences=True)], [embedding("f")]]
    last = of_gru("h", 7)
    groups = {"e": {"e_W": TABLE}, "g": FIRST, "f": {"f_W": OTHER}, "m": {}, "h": last}
    path = saved(file, [branches("concat", *sides), gru("h")], groups)
    mask = WORDS != 0
    x = np.concatenate([run(FIRST, TABLE[WORDS], mask), OTHER[OTHERS]], -1)
    assert distance(path, [WORDS, OTHERS], run(last, x, None)[:, -1]) < EXACT
    both = mask & (OTHERS != 0)
    assert distance(path, [WORDS, OTHERS], run(last, x, both)[:, -1]) > SHOWS


def test_a_branch_that_is_no_sequential_is_refused(file: Path, error_of: Error) -> None:
    x = layer("Dense", "a", output_dim=2, batch_input_shape=[None, 3])
    whole = branches("sum", [x])
    whole["config"]["layers"].append(x)
    assert error_of(lambda: read(saved(file, [whole], {}))) == (
        "error[merge-branch]: Sequential 'sequential' of model merges something else than "
        "Sequential models\n"
        '  found: "Dense"\n'
        "  help:  put each branch into a Sequential, or build it with the functional API"
    )


@pytest.mark.parametrize("wrong", [[], [[]], [{"class_name": "Sequential", "config": []}], [3]])
def test_branches_that_keras_does_not_write_are_refused(
    wrong: list[Any], file: Path, error_of: Error
) -> None:
    whole = branches("sum")
    whole["config"]["layers"] = wrong
    assert error_of(lambda: read(saved(file, [whole], {}))).startswith("error[")


@pytest.mark.parametrize(
    ("version", "names"),
    [("1.2.2", "{}_W {}_b"), ("2.1.6", "{0}/kernel:0 {0}/bias:0")],
)
def test_models_without_a_name_take_their_groups_in_order(
    version: str, names: str, file: Path, error_of: Error
) -> None:
    """Up to Keras 2.2 a Sequential in a Sequential does not say what its group is called."""

    def dense(name: str, units: int, **settings: Any) -> Config:
        size = {"output_dim": units} if version == "1.2.2" else {"units": units}
        return layer("Dense", name, **size, **settings)

    def group(*arrays: tuple[str, Array, Array]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, w, b in arrays:
            found |= dict(zip(names.format(name, name).split(), (w, b), strict=True))
        return found

    def model(*layers: Config) -> dict[str, Any]:
        return {"class_name": "Sequential", "config": list(layers)}

    a, b, c, d = ((drawn(3, 3), drawn(3)) for _ in range(4))
    layers = [
        dense("a", 3, batch_input_shape=[None, 3]),
        model(dense("b", 3), dense("c", 3, activation="tanh")),
        model(dense("d", 3)),
    ]
    groups = {
        "a": group(("a", *a)),
        "sequential_7": group(("b", *b), ("c", *c)),
        "sequential_3": group(("d", *d)),
    }
    x = drawn(5, 3)
    y = x.astype(float)
    for w, bias in (a, b):
        y = y @ w + bias
    y = np.tanh(y @ c[0] + c[1]) @ d[0] + d[1]
    assert distance(saved(file, layers, groups, version), x, y) < EXACT
    one_less = {name: group for name, group in groups.items() if name != "sequential_3"}
    assert "missing" in error_of(lambda: read(saved(file, layers, one_less, version)))
    one_more = groups | {"sequential_9": group(("e", *d))}
    assert error_of(lambda: read(saved(file, layers, one_more, version))).startswith("error[")
