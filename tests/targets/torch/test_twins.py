"""The generated source beside what an expert wrote by hand, in models/."""

import ast
import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import converter
from converter.targets.torch import file_text, write_source
from models import TWINS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Each twin's Keras model, saved by real Keras."""
    folder = tmp_path_factory.mktemp("twins")
    subprocess.run(
        [sys.executable, "-m", "tests.targets.torch.keras_twins", str(folder)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(params=TWINS)
def pair(request, saved):
    """A twin's class, and the model that was read from its Keras file."""
    module = import_module(f"models.{request.param}")
    words = request.param.split("_")
    twin = getattr(module, "".join(word.capitalize() for word in words))
    return twin, converter.read(saved / f"{request.param}.keras")


def class_text(text: str, name: str) -> str:
    """The class of that name in a file."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ast.get_source_segment(text, node)
    raise AssertionError(f"no class {name} in the generated file")


def test_the_generated_class_has_the_twins_name_and_modules(pair):
    twin, model = pair
    generated = converter.to_torch(model)
    assert type(generated).__name__ == twin.__name__
    assert [(name, repr(child)) for name, child in generated.named_children()] == [
        (name, repr(child)) for name, child in twin().named_children()
    ]


def test_the_generated_class_has_the_twins_state_dict(pair):
    twin, model = pair
    generated, by_hand = converter.to_torch(model).state_dict(), twin().state_dict()
    assert {name: tensor.shape for name, tensor in generated.items()} == {
        name: tensor.shape for name, tensor in by_hand.items()
    }


def test_the_generated_class_trains_what_the_twin_trains(pair):
    twin, model = pair
    trained = [
        {n for n, p in m.named_parameters() if p.requires_grad}
        for m in (converter.to_torch(model), twin())
    ]
    assert trained[0] == trained[1]


def test_the_generated_class_answers_as_the_twin_to_the_last_bit(pair):
    twin, model = pair
    generated, by_hand = converter.to_torch(model), twin().eval()
    by_hand.load_state_dict(generated.state_dict())
    for batch in (1, 3):
        torch.manual_seed(batch)
        given = [drawn(value, batch) for value in model.inputs]
        with torch.inference_mode():
            assert torch.equal(generated(*given), by_hand(*given))


def drawn(value, batch):
    """Numbers, or tokens with padding at the end: how much is another for each row."""
    shape = (value.shape[0] or batch, value.shape[1] or 12, *value.shape[2:])
    if not value.dtype.startswith("int"):
        return torch.randn(shape)
    padding = torch.arange(shape[1]) > torch.arange(shape[0], 0, -1).unsqueeze(1) * 4 - 1
    return torch.randint(1, 20, shape) * ~padding


def test_another_order_of_gates_is_not_the_twins_answer(saved):
    model = converter.read(saved / "forecaster.keras")
    generated, by_hand = (
        converter.to_torch(model),
        import_module("models.forecaster").Forecaster().eval(),
    )
    state = generated.state_dict()
    name = next(name for name in state if "weight_ih" in name)
    by_hand.load_state_dict({**state, name: state[name].roll(1, 0)})
    x = torch.randn(2, 12, *model.inputs[0].shape[2:])
    with torch.inference_mode():
        assert not torch.equal(generated(x), by_hand(x))


def test_the_generated_class_has_no_more_lines_than_the_twin(pair):
    twin, model = pair
    generated = class_text(file_text(write_source(model)), twin.__name__)
    by_hand = inspect.getsource(twin).rstrip()
    assert len(generated.splitlines()) <= len(by_hand.splitlines()), generated


def test_the_generated_file_is_unchanged_by_the_formatter(pair, tmp_path):
    path = tmp_path / "model.py"
    path.write_text(converter.to_torch_source(pair[1]))
    ruff = Path(sys.executable).with_name("ruff")
    result = subprocess.run(
        [ruff, "format", "--isolated", "--diff", path], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def test_the_written_weights_are_the_modules(saved, tmp_path):
    result = converter.convert(saved / "characters.keras", out=tmp_path / "out", verify=False)
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    state = converter.to_torch(result.model).state_dict()
    assert tensors.keys() == state.keys()
    assert all(torch.equal(tensors[name], state[name]) for name in state)


@pytest.mark.parametrize(("features", "keras", "torch_"), [(1, 12, 16), (2, 16, 20)])
def test_the_table_of_the_question(saved, features, keras, torch_):
    # The file's name holds what Keras itself counts.
    model = converter.read(saved / f"question-{features}-{keras}.keras")
    assert model.parameters == keras == 4 * features + 4 + 4
    module = converter.to_torch(model)
    assert sum(parameter.numel() for parameter in module.parameters()) == torch_
    gate = model.layer("lstm").gates["c"]
    assert (gate.kernel.shape, gate.bias.shape) == ((features, 1), (1,))
