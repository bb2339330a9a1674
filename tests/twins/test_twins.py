"""Each twin's two halves are one model: the same weights give the same answers, others don't."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models import TWINS
from models.mapping import Array
from models.question import Question
from models.sentiment import Sentiment
from models.stream import Stream
from models.video import ConvLSTM

ROOT = Path(__file__).parents[2]

TOLERANCE = 1e-6
"""Answers are below 3, where float32 steps by 2.4e-7: room for four steps, since both frameworks
add in their own order and have their own exp and tanh. Measured: one step."""

SHOWS = 100 * TOLERANCE
"""What something wrong must change at least, to be told from rounding. Measured: 3e-4 and more."""

CLASSES: dict[str, type[nn.Module]] = {
    name: getattr(import_module(f"models.{name}"), name.title().replace("_", "")) for name in TWINS
}
TORCH: dict[str, Callable[[], nn.Module]] = {
    **CLASSES,
    "question_of_one_feature": partial(Question, features=1),
}


class Recorded:
    """A Keras model of which only the weights, some inputs and their answers are left."""

    def __init__(self, arrays: dict[str, Any], name: str) -> None:
        self.arrays = {
            key.removeprefix(f"{name}/"): array
            for key, array in arrays.items()
            if key.startswith(f"{name}/")
        }

    def get_layer(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(get_weights=lambda: self.all(f"weights/{name}/"))

    def all(self, prefix: str) -> list[Array]:
        return [array for key, array in self.arrays.items() if key.startswith(prefix)]


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    for package in ("keras", "tensorflow"):
        if find_spec(package) is None:
            pytest.skip(f"needs {package}")
    path = tmp_path_factory.mktemp("twins") / "answers.npz"
    child = subprocess.run(
        [sys.executable, "-m", "tests.twins.keras_answers", str(path)],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """For models this small, handing work to threads costs more than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recorded(arrays: dict[str, Any], name: str) -> Recorded:
    return Recorded(arrays, name)


@pytest.fixture
def module(recorded: Recorded, name: str) -> nn.Module:
    """The PyTorch half with the Keras half's weights."""
    module = TORCH[name]()
    import_module(type(module).__module__).copy_weights(recorded, module)
    return module.eval()


def difference(module: Callable[..., torch.Tensor], recorded: Recorded) -> float:
    """How far the module's answers are from Keras's, at most; what it kept is forgotten first."""
    if hasattr(module, "reset_states"):
        module.reset_states()
    answers = recorded.all("answers/")
    assert len(answers) == 4
    largest = 0.0
    for case, expected in enumerate(answers):
        given = [torch.from_numpy(array) for array in recorded.all(f"inputs/{case}/")]
        with torch.no_grad():
            found = module(*given).numpy()
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert np.isfinite(found).all()
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def directions(module: nn.Module) -> Iterator[tuple[str, str, int]]:
    """The path of each recurrent module, the suffix of each of its directions, its gates."""
    for path, layer in module.named_modules():
        if isinstance(layer, nn.LSTM | nn.GRU):
            gates = 4 if isinstance(layer, nn.LSTM) else 3
            for suffix in ("l0", "l0_reverse") if layer.bidirectional else ("l0",):
                yield path, suffix, gates
        elif isinstance(layer, ConvLSTM):
            yield path, "", 4


def swap_gates(layer: nn.Module, suffix: str, gates: int, pair: tuple[int, int]) -> None:
    order = list(range(gates))
    first, second = pair
    order[first], order[second] = second, first
    for path, parameter in layer.named_parameters():
        if path.endswith(suffix):
            parts = parameter.data.chunk(gates)
            parameter.data.copy_(torch.cat([parts[gate] for gate in order]))


@pytest.mark.parametrize("name", TORCH)
def test_both_halves_give_the_same_answers(module: nn.Module, recorded: Recorded) -> None:
    assert difference(module, recorded) <= TOLERANCE


@pytest.mark.parametrize("name", TORCH)
def test_modules_are_the_keras_layers_in_name_and_order(
    module: nn.Module, recorded: Recorded
) -> None:
    assert [path for path, _ in module.named_children()] == list(recorded.arrays["layers"])


@pytest.mark.parametrize("name", TORCH)
def test_both_halves_train_the_same_number_of_parameters(
    module: nn.Module, recorded: Recorded
) -> None:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for parameter in trained) == recorded.arrays["trained"]


@pytest.mark.parametrize("name", TORCH)
def test_the_bias_that_keras_does_not_have_is_zero(module: nn.Module) -> None:
    kept = [parameter for parameter in module.parameters() if not parameter.requires_grad]
    lstms = [path for path, suffix, gates in directions(module) if suffix and gates == 4]
    assert len(kept) == len(lstms)
    assert not any(parameter.any() for parameter in kept)


@pytest.mark.parametrize("name", TORCH)
def test_any_two_gates_swapped_show(module: nn.Module, recorded: Recorded) -> None:
    for path, suffix, gates in directions(module):
        for pair in combinations(range(gates), 2):
            wrong = deepcopy(module)
            swap_gates(wrong.get_submodule(path), suffix, gates, pair)
            assert difference(wrong, recorded) > SHOWS, (path, suffix, pair)


@pytest.mark.parametrize("factor", [0, 2], ids=["lost", "doubled"])
@pytest.mark.parametrize("name", TORCH)
def test_any_bias_lost_or_doubled_shows(module: nn.Module, recorded: Recorded, factor: int) -> None:
    biases = [
        path
        for path, parameter in module.named_parameters()
        if "bias" in path and parameter.requires_grad
    ]
    assert biases
    for path in biases:
        wrong = deepcopy(module)
        wrong.get_parameter(path).data.mul_(factor)
        assert difference(wrong, recorded) > SHOWS, path


@pytest.mark.parametrize("name", sorted({*TWINS} - {"question"}))
def test_time_reversed_shows(module: nn.Module, recorded: Recorded) -> None:
    assert difference(lambda *x: module(*(one.flip(1) for one in x)), recorded) > SHOWS


@pytest.mark.parametrize("name", ["tagger"])
def test_padding_that_is_read_shows(module: nn.Module, recorded: Recorded) -> None:
    lstm, embedding = module.get_submodule("lstm"), module.get_submodule("embedding")

    def reading_all(tokens: torch.Tensor) -> torch.Tensor:
        sequence, _ = lstm(embedding(tokens))
        return module.get_submodule("head")(sequence).softmax(-1)

    assert difference(reading_all, recorded) > SHOWS


@pytest.mark.parametrize("name", ["translator"])
def test_states_that_are_not_handed_on_show(module: nn.Module, recorded: Recorded) -> None:
    decoder, words = module.get_submodule("decoder"), module.get_submodule("target_words")

    def from_zeros(_source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        sequence, _ = decoder(words(target))
        return module.get_submodule("head")(sequence).softmax(-1)

    assert difference(from_zeros, recorded) > SHOWS


def without_attention(module: nn.Module, *, scale: float) -> Callable[..., torch.Tensor]:
    """The interpreter with a context of zeros, or with another scale than 1."""

    def forward(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        words, encoder = module.get_submodule("source_words"), module.get_submodule("encoder")
        x, states = encoder(words(source))
        y, _ = module.get_submodule("decoder")(module.get_submodule("target_words")(target), states)
        context = (y @ x.transpose(1, 2) * scale).softmax(-1) @ x * bool(scale)
        return module.get_submodule("head")(torch.cat((y, context), -1)).softmax(-1)

    return forward


@pytest.mark.parametrize("name", ["interpreter"])
def test_attention_that_is_lost_or_scaled_shows(module: nn.Module, recorded: Recorded) -> None:
    assert difference(without_attention(module, scale=1), recorded) <= TOLERANCE
    assert difference(without_attention(module, scale=0), recorded) > SHOWS
    assert difference(without_attention(module, scale=24**-0.5), recorded) > SHOWS


@pytest.mark.parametrize("name", ["stream"])
def test_states_that_are_lost_between_calls_show(module: Stream, recorded: Recorded) -> None:
    def forgetful(x: torch.Tensor) -> torch.Tensor:
        module.reset_states()
        return module(x)

    assert difference(forgetful, recorded) > SHOWS


@pytest.mark.parametrize("name", ["sentiment", "tagger"])
def test_directions_exchanged_show(module: nn.Module, recorded: Recorded) -> None:
    lstm = module.get_submodule("lstm")
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        forward = lstm.get_parameter(f"{kind}_l0").data
        backward = lstm.get_parameter(f"{kind}_l0_reverse").data
        exchanged = backward.clone(), forward.clone()
        forward.copy_(exchanged[0])
        backward.copy_(exchanged[1])
    assert difference(module, recorded) > SHOWS


@pytest.mark.parametrize("name", ["sentiment"])
def test_the_last_step_does_not_hold_the_final_backward_state(
    module: Sentiment, recorded: Recorded
) -> None:
    def from_the_last_step(tokens: torch.Tensor) -> torch.Tensor:
        sequence, _ = module.lstm(module.embedding(tokens))
        return torch.sigmoid(module.head(sequence[:, -1]))

    assert difference(from_the_last_step, recorded) > SHOWS


@pytest.mark.parametrize("name", ["characters"])
def test_the_two_biases_of_a_gru_can_not_be_added(module: nn.Module, recorded: Recorded) -> None:
    for path, suffix, _ in directions(module):
        wrong = deepcopy(module)
        layer = wrong.get_submodule(path)
        second = layer.get_parameter(f"bias_hh_{suffix}").data
        layer.get_parameter(f"bias_ih_{suffix}").data.add_(second)
        second.zero_()
        assert difference(wrong, recorded) > SHOWS, path


VIDEO_KERNELS = [
    ("video", "edges.weight"),
    ("video", "motion.input.weight"),
    ("video", "motion.recurrent.weight"),
    ("video", "gesture.input.weight"),
    ("video", "gesture.recurrent.weight"),
]


@pytest.mark.parametrize(("name", "path"), [("cnn_lstm", "conv.weight"), *VIDEO_KERNELS])
def test_a_convolution_kernel_turned_round_shows(
    module: nn.Module, recorded: Recorded, path: str
) -> None:
    kernel = module.get_parameter(path).data
    kernel.copy_(kernel.flip(-1))
    assert difference(module, recorded) > SHOWS


@pytest.mark.parametrize(("name", "path"), VIDEO_KERNELS)
def test_rows_and_columns_exchanged_show(module: nn.Module, recorded: Recorded, path: str) -> None:
    kernel = module.get_parameter(path).data
    kernel.copy_(kernel.transpose(-1, -2).clone())
    assert difference(module, recorded) > SHOWS


@pytest.mark.parametrize("name", ["video"])
def test_a_state_that_is_not_padded_with_zeros_shows(module: nn.Module, recorded: Recorded) -> None:
    recurrent = module.get_submodule("motion.recurrent")
    assert isinstance(recurrent, nn.Conv2d)
    recurrent.padding_mode = "circular"
    assert difference(module, recorded) > SHOWS


@pytest.mark.parametrize("name", ["stacked"])
def test_an_upper_cell_that_forgets_shows(module: nn.Module, recorded: Recorded) -> None:
    upper = module.get_submodule("cells_upper")
    upper.get_parameter("weight_hh_l0").data.zero_()
    assert difference(module, recorded) > SHOWS


@pytest.mark.parametrize("name", ["cnn_lstm"])
def test_the_epsilon_that_pytorch_would_take_shows(module: nn.Module, recorded: Recorded) -> None:
    norm = module.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm1d)
    norm.eps = nn.BatchNorm1d(1).eps
    assert difference(module, recorded) > SHOWS


@pytest.mark.parametrize(
    ("name", "in_keras", "in_torch"),
    [("question_of_one_feature", 12, 16), ("question", 16, 20)],
    ids=["one feature", "two features"],
)
def test_the_question_counts_its_parameters(
    module: nn.Module, recorded: Recorded, in_keras: int, in_torch: int
) -> None:
    assert recorded.arrays["parameters"] == in_keras
    assert sum(parameter.numel() for parameter in module.parameters()) == in_torch


@pytest.mark.parametrize("name", ["question", "question_of_one_feature"])
def test_a_first_step_feels_neither_the_state_nor_the_forget_gate(
    module: Question, recorded: Recorded
) -> None:
    lstm = module.lstm
    lstm.get_parameter("weight_hh_l0").data.zero_()
    for path in ("weight_ih_l0", "bias_ih_l0"):
        lstm.get_parameter(path).data[1] = 0  # i f g o
    assert difference(module, recorded) <= TOLERANCE


def formatted(source: str) -> str:
    """The source as `ruff format` writes it by default, whatever this project's own settings."""
    return subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=88", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("written", [*CLASSES.values(), ConvLSTM])
def test_ruff_format_leaves_the_class_as_it_is(written: type[nn.Module]) -> None:
    source = inspect.getsource(written)
    assert formatted(source) == source
    assert max(map(len, source.splitlines())) <= 88  # a comment is left long


def test_ruff_format_changes_a_class_that_is_not_formatted() -> None:
    source = inspect.getsource(Question).replace("features, 1,", "features,1,")
    assert formatted(source) != source


def test_the_readme_has_a_row_for_every_twin() -> None:
    readme = (ROOT / "models" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("| [")]
    assert [row.split("`")[1] for row in rows] == [f"{name}.py" for name in TWINS]


def test_the_readme_example_runs() -> None:
    if find_spec("keras") is None:
        pytest.skip("needs keras")
    readme = (ROOT / "models" / "README.md").read_text(encoding="utf-8")
    example = readme.split("```python\n")[1].split("```")[0]
    child = subprocess.run(
        [sys.executable, "-c", example],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": "torch"},  # starts sooner than TensorFlow
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
