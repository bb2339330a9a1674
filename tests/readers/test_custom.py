"""Classes that are not Keras's own: described, they are what Keras computes; else refused."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import converter
from converter import Model
from converter.description import Value
from converter.gates import Array
from converter.readers import read
from converter.readers.keras import custom
from tests.readers import custom_keras
from tests.readers.files import (
    BIAS,
    KERNEL,
    RECURRENT,
    SMALL,
    SMALL_WEIGHTS,
    Config,
    archive,
    counted,
    given,
    layer,
    sequential,
)
from tests.readers.live_keras import KERAS

ROOT = Path(__file__).parents[2]

FLOAT32 = 1e-6
"""Of the largest output: Keras's own rounding over four steps, measured below 3e-7."""

Error = Callable[..., str]


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes of `custom_keras` are described, for one test."""
    monkeypatch.setattr(custom, "_DESCRIPTIONS", described_by_the_package())


def described_by_the_package() -> dict[str, custom.Description]:
    """What `custom_layers` registers; a module is executed once."""
    if not _TABLE:
        before = dict(custom._DESCRIPTIONS)
        importlib.import_module("tests.readers.custom_layers")
        _TABLE.update(custom._DESCRIPTIONS)
        custom._DESCRIPTIONS.clear()
        custom._DESCRIPTIONS.update(before)
    return dict(_TABLE)


_TABLE: dict[str, custom.Description] = {}


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No class is described, and the table is a test's own."""
    monkeypatch.setattr(custom, "_DESCRIPTIONS", {})


def asked(path: Path) -> tuple[list[Array], list[Array]]:
    """The inputs and the answers beside a file."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return tuple(  # type: ignore[return-value]
            [arrays[name] for name in arrays.files if name.startswith(end)] for end in ("in", "out")
        )


def distance(model: Model, path: Path) -> float:
    """How far the judge is from Keras, in the size of the largest output."""
    inputs, expected = asked(path)
    answers = converter.judge(model, *inputs)
    listed = answers if isinstance(answers, tuple) else (answers,)
    return max(
        float(np.abs(one - other).max() / np.abs(other).max())
        for one, other in zip(listed, expected, strict=True)
    )


@pytest.mark.parametrize("who", KERAS)
@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("name", custom_keras.MODELS)
def test_a_described_class_answers_as_keras(
    name: str, form: str, who: str, live: Path, described: None
) -> None:
    path = live / who / "own" / f"{name}.{form}"
    assert distance(read(path), path) < FLOAT32


@pytest.mark.parametrize("who", KERAS)
@pytest.mark.parametrize("name", custom_keras.MODELS)
def test_a_model_in_memory_has_the_same_layers(name: str, who: str, live: Path) -> None:
    found = json.loads((live / who / "result.json").read_text())["own classes"]
    assert found[name] == ""
    assert found[f"{name}, unknown"].startswith("error[unknown-layer]: layer 'own' of ")


@pytest.mark.parametrize("name", custom_keras.MODELS)
def test_the_same_model_in_another_process_has_the_same_hash(name: str, live: Path) -> None:
    one, other = (
        json.loads((live / who / "result.json").read_text())["own classes"][f"{name}, hash"]
        for who in ("keras", "torch")
    )
    assert one == other


@pytest.mark.parametrize("who", KERAS)
@pytest.mark.parametrize("name", ["residual", "masked", "twice", "weighted"])
def test_a_described_class_is_pytorch(name: str, who: str, live: Path, described: None) -> None:
    torch = pytest.importorskip("torch")
    path = live / who / "own" / f"{name}.keras"
    inputs, (expected,) = asked(path)
    module = converter.to_torch(read(path))
    with torch.no_grad():
        answer = module(*map(torch.from_numpy, inputs)).numpy()
    assert np.abs(answer - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_described_class_is_written_for_keras_as_the_layers_that_it_is(
    live: Path, described: None, tmp_path: Path
) -> None:
    path = live / "torch/own/residual.keras"
    done = converter.convert(path, to="keras", out=tmp_path / "plain.keras", verify=False)
    assert done.record["renamed"] == {"own/lstm": "own_lstm", "own/project": "own_project"} | {
        "own/add": "own_add"
    }
    again = read(tmp_path / "plain.keras")
    assert distance(again, path) < FLOAT32


def test_a_class_of_ones_own_has_the_meanings_that_it_brings(live: Path, described: None) -> None:
    path = live / "torch/own/weighted.keras"
    source = converter.to_torch_source(read(path))
    assert "class WeightedSum(nn.Module):" in source
    assert "self.own = WeightedSum(3)" in source
    with pytest.raises(converter.UnsupportedError) as caught:
        converter.convert(path, to="keras", out="never.keras", verify=False)
    assert str(caught.value).startswith(
        "error[unsupported-layer]: layer 'own' has no form in Keras\n  found: WeightedSum; known: "
    )


def test_a_wrong_description_shows(live: Path, nothing: None) -> None:
    @converter.register("tests>Residual")
    def _(own: converter.CustomLayer, x: Value) -> Value:
        units = own.config.integer("units")
        y = own.keras("LSTM", x, part="lstm", units=units, return_sequences=True)
        z = own.keras("Dense", y, part="project", units=units)
        return own.keras("Add", z, z)

    path = live / "torch/own/residual.keras"
    assert distance(read(path), path) > 1e-2


def test_a_mask_that_goes_through_counts(live: Path, described: None) -> None:
    path = live / "torch/own/masked.keras"
    model = read(path)
    assert [call.mask is not None for call in model.calls].count(True) == 2
    deaf = replace(model, calls=tuple(replace(call, masks=()) for call in model.calls))
    assert distance(deaf, path) > 1e-2


def test_a_mask_that_a_description_does_not_speak_of_is_refused(
    live: Path, described: None, error_of: Error
) -> None:
    path = live / "torch/own/masked.keras"
    custom._DESCRIPTIONS["tests>Masked"] = custom._DESCRIPTIONS["tests>Residual"]
    assert error_of(lambda: read(path)) == (
        f"error[mask]: layer 'own' of {path} is given a mask, of which its description says nothing"
        "\n  found: an input whose steps do not all count\n"
        "  help:  converter.register(..., masks=True), if the class sets supports_masking"
    )


def own(kind: str, registered: str | None, **settings: Any) -> Config:
    """A model of a layer as Keras 3 writes it; `registered` is how Keras knows its class."""
    config = {**layer(kind, "own", **settings), "registered_name": registered, "module": "mine"}
    return sequential(given((None, None, 3)), config)


WEIGHTS = {"layers/own/vars/0": counted(3, 2)}


def dense(layer: converter.CustomLayer, x: Value) -> Value:
    """A kernel of its own."""
    from converter.activations import LINEAR
    from converter.description import Dense

    units = layer.config.integer("units")
    kernel = layer.weight("kernel", (x.shape[-1], units))
    return layer.call(Dense(**layer.base(), kernel=kernel, bias=None, activation=LINEAR), x)


@pytest.mark.parametrize("names", [("here>Own", "here>Own"), ("Own", "Own")])
def test_a_class_is_found_by_its_registered_name_or_its_own(
    names: tuple[str, str], file: Path, nothing: None
) -> None:
    converter.register(names[0])(dense)
    (found,) = read(archive(file, own("Own", names[1], units=2), WEIGHTS)).layers
    assert found.name == "own"
    assert np.array_equal(found.weights["kernel"].read(), WEIGHTS["layers/own/vars/0"])


def test_a_registered_name_hides_no_class_of_keras(
    file: Path, nothing: None, error_of: Error
) -> None:
    converter.register("here>LSTM")(dense)
    plain = [one.name for one in read(archive(file, SMALL, SMALL_WEIGHTS)).layers]
    assert plain == ["lstm", "dense"]
    weights = {"layers/lstm/vars/0": counted(3, 2)}
    (found,) = read(archive(file, own("LSTM", "here>LSTM", units=2), weights)).layers
    assert type(found).__name__ == "Dense"
    for registered in ("LSTM", "there>LSTM", None):
        model = archive(file, own("LSTM", registered, units=2), weights)
        assert error_of(lambda model=model: read(model)).startswith("error[unknown-layer]")


@pytest.mark.parametrize("name", ["LSTM", "Lambda", "Sequential", "InputLayer", "GRUCell"])
def test_a_class_of_keras_cannot_be_described(name: str, nothing: None, error_of: Error) -> None:
    assert error_of(lambda: converter.register(name)(dense)) == (
        f"error[own-layer]: '{name}' is a class of Keras's own\n"
        "  found: a description that would stand in its place\n"
        '  help:  register the class in Keras, and describe it as "Package>Name"'
    )


def test_a_class_is_described_once(nothing: None, error_of: Error) -> None:
    converter.register("here>Own")(dense)
    assert error_of(lambda: converter.register("here>Own")(dense)) == (
        "error[described-twice]: 'here>Own' is already described\n"
        f"  found: by {__name__}.dense\n"
        "  help:  describe each class once; uninstall one of two packages that do"
    )


def test_a_class_that_nobody_has_described_is_refused_by_name(
    file: Path, nothing: None, error_of: Error
) -> None:
    model = archive(file, own("Own", "here>Own", units=2), WEIGHTS)
    assert error_of(lambda: read(model)) == (
        "error[unknown-layer]: layer 'own' of model is of a class that is not known\n"
        '  found: "here>Own"\n'
        "  help:  describe it: converter.register('here>Own'), see docs/custom-layers.md"
    )


def test_a_setting_that_a_description_does_not_ask_for_is_refused(
    file: Path, nothing: None, error_of: Error
) -> None:
    converter.register("here>Own")(dense)
    model = archive(file, own("Own", "here>Own", units=2, twist=1), WEIGHTS)
    assert error_of(lambda: read(model)).startswith(
        "error[config-key]: layer 'own' of model has a setting that is not known\n"
        '  found: "twist": 1 of here>Own\n'
    )


WRONG_WEIGHTS = {
    "missing": ({}, "error[missing-weight]: kernel of layer 'own' of model is missing"),
    "misshapen": (
        {"layers/own/vars/0": counted(2, 3)},
        "error[shape]: kernel of layer 'own' of model has the wrong shape\n"
        "  found: (2, 3); expected (3, 2)",
    ),
    "surplus": (
        {**WEIGHTS, "layers/own/vars/1": counted(2)},
        "error[surplus-weight]: model has weights that belong to no layer\n"
        "  found: 'layers/own/vars/1'",
    ),
}


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_the_weights_of_a_class_are_exactly_those_of_its_description(
    case: str, file: Path, nothing: None, error_of: Error
) -> None:
    converter.register("here>Own")(dense)
    weights, expected = WRONG_WEIGHTS[case]
    model = archive(file, own("Own", "here>Own", units=2), weights or {"other": counted(1)})
    assert error_of(lambda: read(model)).startswith(expected)


def raising(layer: converter.CustomLayer, x: Value) -> Value:
    raise KeyError("units")


def giving_nothing(layer: converter.CustomLayer, x: Value) -> Value:
    return None  # type: ignore[return-value]


def changing(layer: converter.CustomLayer, x: Value) -> Value:
    y = layer.keras("Dense", x, part="kernel", units=3, use_bias=False)
    return layer.keras("Dense", y, part="kernel", units=3, use_bias=True)


FAILURES = {
    raising: "KeyError: 'units'",
    giving_nothing: "it gives NoneType; expected a value, or several",
    changing: "ValueError: 'kernel' is called as another layer than before",
}


@pytest.mark.parametrize("function", FAILURES, ids=lambda function: function.__name__)
def test_a_description_that_fails_is_named(
    function: custom.Describe, file: Path, nothing: None, error_of: Error
) -> None:
    converter.register("here>Own")(function)
    model = archive(file, own("Own", "here>Own"), WEIGHTS)
    assert error_of(lambda: read(model)) == (
        "error[description]: the description of here>Own fails for layer 'own' of model\n"
        f"  found: {__name__}.{function.__name__}: {FAILURES[function]}\n"
        "  help:  correct the function that converter.register was given"
    )


def test_a_described_class_in_a_time_distributed_is_refused(
    file: Path, nothing: None, error_of: Error
) -> None:
    converter.register("here>Own")(dense)
    inner = {**layer("Own", "inner", units=2), "registered_name": "here>Own", "module": "mine"}
    outer = layer("TimeDistributed", "own", layer=inner)
    model = archive(file, sequential(given((None, None, 4, 3)), outer), WEIGHTS)
    assert error_of(lambda: read(model)) == (
        "error[custom-inside]: layer 'own/inner' of model is described by layers where one must "
        'stand\n  found: "here>Own" in a TimeDistributed\n'
        "  help:  use the layers that it is described by, each in a TimeDistributed"
    )


def test_a_state_of_a_layer_inside_can_be_given(file: Path, nothing: None) -> None:
    """An LSTM that begins with its own last states, twice."""

    @converter.register("here>Own")
    def _(layer: converter.CustomLayer, x: Value) -> Value:
        settings = {"units": 2, "return_state": True}
        _, h, c = layer.keras("LSTM", x, part="lstm", **settings)
        y, _, _ = layer.keras("LSTM", x, h, c, part="lstm", **settings)
        return y

    weights = {
        f"layers/own/lstm/cell/vars/{k}": one for k, one in enumerate((KERNEL, RECURRENT, BIAS))
    }
    model = read(archive(file, own("Own", "here>Own"), weights))
    assert [call.layer.name for call in model.calls] == ["own/lstm", "own/lstm"]
    assert model.calls[0].layer is model.calls[1].layer


def installed(folder: Path, text: str) -> Path:
    """A package with an entry point, as pip would install it there."""
    folder.mkdir()
    (folder / "its_layers.py").write_text(text)
    about = folder / "its_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: its-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[converter.layers]\nits = its_layers\n")
    return folder


def ifco(*typed: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with a folder of installed packages more."""
    return subprocess.run(
        [sys.executable, "-m", "converter.cli", *typed],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{path}"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_installed_package_describes_its_classes(live: Path, tmp_path: Path) -> None:
    package = installed(tmp_path / "site", "import tests.readers.custom_layers\n")
    path = live / "tf_keras/own/residual.h5"
    done = ifco("convert", str(path), "--out", "out", path=package, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "equal: " in done.stdout
    without = ifco("convert", str(path), "--out", "other", path=ROOT, cwd=tmp_path)
    assert without.returncode == 3
    assert without.stderr.startswith(f"error[unknown-layer]: layer 'own' of {path} is of a class")


def test_a_package_that_does_not_load_is_named_where_it_is_needed(
    live: Path, tmp_path: Path
) -> None:
    package = installed(tmp_path / "site", "import a_module_that_is_not_there\n")
    known = ROOT / "tests/data/keras3/lstm.keras"
    assert ifco("inspect", str(known), path=package, cwd=tmp_path).returncode == 0
    path = live / "tf_keras/own/residual.h5"
    done = ifco("inspect", str(path), path=package, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "error[entry-point]: the layers of the package its-package do not load\n"
        "  found: its = its_layers: ModuleNotFoundError: No module named "
        "'a_module_that_is_not_there'\n"
        "  help:  repair it, or pip uninstall its-package\n"
    )


def test_no_module_is_imported_because_a_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("open('imported', 'w')\n")
    model = archive(tmp_path / "model", own("Own", "mine>Own"), WEIGHTS)
    done = ifco("inspect", str(model), path=tmp_path, cwd=tmp_path)
    assert done.stderr.startswith("error[unknown-layer]")
    assert not (tmp_path / "imported").exists()
    # It would have shown.
    subprocess.run([sys.executable, "-c", "import mine"], cwd=tmp_path, check=True)
    assert (tmp_path / "imported").exists()
