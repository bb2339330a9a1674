"""Every mistake that a mapping can make differs, in its bits and in its answers alike.

Each mutant is a folder on the disk: the weights or the text of an honest one, with one thing wrong.
The weights are of size 1; with those of a new model, swapping two gates moves the output by 1e-10.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from converter.activations import Activation
from converter.description import Merge, Model, Recurrent
from converter.gates import GATES, LAYOUTS, Array, Cell, Layout
from converter.verify import verify_folder
from converter.verify.verdict import Status, Verdict
from tests.models_by_hand import Maker, chain, put_on_disk, random_model

HARD = Activation.of("hard_sigmoid", alpha=0.2, beta=0.5)
CELLS = {"lstm": Cell.LSTM, "gru": Cell.GRU, "before": Cell.GRU_RESET_BEFORE, "rnn": Cell.RNN}


def models() -> dict[str, Model]:
    """Each cell in one direction and in two, F the same as H, and a head after it."""
    made: dict[str, Model] = {}
    for name, cell in CELLS.items():
        for both in (False, True):
            make = Maker(len(made))
            settings = {"merge": Merge.CONCAT} if both else {}
            layer = make.recurrent("layer", cell, 3, 3, return_sequences=True, **settings)
            made[f"{name}, both" if both else name] = chain(
                layer, make.dense("head", 6 if both else 3, 2)
            )
    hard = Maker().lstm(
        "layer", 3, 3, return_sequences=True, activations={"recurrent_activation": HARD}
    )
    return made | {"lstm, hard sigmoid": chain(hard, Maker().dense("head", 3, 2))}


MODELS = models()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("honest")
    return {name: put_on_disk(model, root / name) for name, model in MODELS.items()}


Tensors = dict[str, Array]


@dataclass(frozen=True)
class Mutant:
    """One thing that is wrong with a model.

    Attributes:
        model: Of `MODELS`.
        name: What is wrong, in words.
        weights: Of these weights, the wrong ones.
        text: What is replaced in model.py, and by what.
    """

    model: str
    name: str
    weights: Callable[[Tensors], Tensors] | None = None
    text: tuple[str, str] = ("", "")

    def put(self, honest: Path, folder: Path) -> Path:
        shutil.copytree(honest, folder)
        if self.weights is not None:
            path = folder / "model.safetensors"
            changed = self.weights(load_file(path))
            save_file({name: np.ascontiguousarray(a) for name, a in changed.items()}, path)
        old, new = self.text
        if old:
            path = folder / "model.py"
            assert path.read_text().count(old) == 1
            path.write_text(path.read_text().replace(old, new))
        return folder


def each(change: Callable[[Array], Array], *names: str) -> Callable[[Tensors], Tensors]:
    """`change` of each tensor whose name begins so."""
    starts = tuple(f"layer.{name}" for name in names)
    return lambda held: {
        name: change(array) if name.startswith(starts) else array for name, array in held.items()
    }


def exchanged(one: str, other: str) -> Callable[[Tensors], Tensors]:
    """Two tensors in each other's place."""
    a, b = f"layer.{one}", f"layer.{other}"
    return lambda held: held | {a: held[b], b: held[a]}


def by_gate(array: Array, gates: int) -> Array:
    return array.reshape(gates, -1, *array.shape[1:])


def reordered(gates: int, order: list[int]) -> Callable[[Array], Array]:
    return lambda array: by_gate(array, gates)[order].reshape(array.shape)


def scaled(gates: int, gate: int, factor: float) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        changed = by_gate(array.copy(), gates)
        changed[gate] *= factor
        return changed.reshape(array.shape)

    return change


def transposed(gates: int) -> Callable[[Array], Array]:
    return lambda array: by_gate(array, gates).swapaxes(1, 2).reshape(array.shape)


def of_all_directions(name: str) -> list[str]:
    recurrent = MODELS[name].layer("layer")
    assert isinstance(recurrent, Recurrent)
    return ["_l0", "_l0_reverse"] if recurrent.backward else ["_l0"]


def weight_mutants(name: str) -> Iterator[Mutant]:
    layer = MODELS[name].layer("layer")
    assert isinstance(layer, Recurrent)
    gates = len(GATES[layer.cell])
    biases = ["bias_ih", "bias_hh"] if layer.cell is Cell.GRU else ["bias_ih"]
    for suffix in of_all_directions(name):
        parts = [f"{part}{suffix}" for part in ("weight_ih", "weight_hh", *biases)]
        for a, b in combinations(range(gates), 2):
            order = list(range(gates))
            order[a], order[b] = b, a
            swap = reordered(gates, order)
            for part in parts:
                yield Mutant(name, f"gates {a} {b} swapped in {part}", each(swap, part))
            yield Mutant(name, f"gates {a} {b} swapped everywhere {suffix}", each(swap, *parts))
        for part in parts[2:]:
            yield Mutant(name, f"{part} lost", each(np.zeros_like, part))
            yield Mutant(name, f"{part} doubled", each(lambda array: 2 * array, part))
            for gate in range(gates):
                lost, doubled = scaled(gates, gate, 0), scaled(gates, gate, 2)
                yield Mutant(name, f"{part} lost in gate {gate}", each(lost, part))
                yield Mutant(name, f"{part} doubled in gate {gate}", each(doubled, part))
        for part in parts[:2]:
            yield Mutant(name, f"{part} transposed", each(transposed(gates), part))
        yield Mutant(name, f"kernels exchanged {suffix}", exchanged(parts[0], parts[1]))
        if len(biases) == 2:
            yield Mutant(name, f"biases exchanged {suffix}", exchanged(parts[2], parts[3]))
            yield Mutant(name, f"biases added {suffix}", added(parts[2], parts[3]))
    if len(of_all_directions(name)) == 2:
        yield Mutant(name, "directions exchanged", directions_exchanged)


def added(one: str, other: str) -> Callable[[Tensors], Tensors]:
    """Two biases as one: in a GRU the reset gate stands between them."""
    a, b = f"layer.{one}", f"layer.{other}"
    return lambda held: held | {a: held[a] + held[b], b: np.zeros_like(held[b])}


def directions_exchanged(held: Tensors) -> Tensors:
    return {
        name: held.get(
            f"{name}_reverse" if f"{name}_reverse" in held else name.removesuffix("_reverse"), array
        )
        for name, array in held.items()
    }


def text_mutants(name: str) -> Iterator[Mutant]:
    """Mistakes in forward and in the constructor, with the right weights."""
    both = "both" in name
    yield Mutant(name, "time reversed", text=("self.layer(x)", "self.layer(x.flip(1))"))
    yield Mutant(name, "the head lost", text=("self.head(x)", "x[..., :2]"))
    if not both:
        flipped = ("self.head(x)", "self.head(x.flip(1))")
        yield Mutant(name, "outputs reversed", text=flipped)
    else:
        halves = ("self.head(x)", "self.head(x.roll(3, -1))")
        yield Mutant(name, "outputs of the directions exchanged", text=halves)
    if name in ("rnn", "rnn, both"):
        relu = ("nn.RNN(3, 3, ", 'nn.RNN(3, 3, nonlinearity="relu", ')
        yield Mutant(name, "another activation", text=relu)
    if "hard" in name:
        slope = ("recurrent_slope=1.2", "recurrent_slope=1.0")
        yield Mutant(name, "the hard sigmoid of Keras 3", text=slope)
        sigmoid = ("recurrent_activation=F.hardsigmoid", "recurrent_activation=torch.sigmoid")
        yield Mutant(name, "the sigmoid of Keras 2.3", text=sigmoid)


def named(mutant: Mutant) -> str:
    return f"{mutant.model}: {mutant.name}"


WRONG_WEIGHTS = [mutant for name in MODELS for mutant in weight_mutants(name)]
WRONG_TEXTS = [mutant for name in MODELS for mutant in text_mutants(name)]


def answers_differ(verdict: Verdict) -> bool:
    return any(one.reason and one.conditioned for one in verdict.comparisons)


@pytest.mark.parametrize("name", MODELS)
def test_the_honest_folder_is_equal(honest: dict[str, Path], name: str) -> None:
    verdict = verify_folder(MODELS[name], honest[name])
    assert (verdict.status, verdict.wrong_arrays, verdict.layer) == (Status.EQUAL, (), "")


@pytest.mark.parametrize("mutant", WRONG_WEIGHTS, ids=named)
def test_wrong_weights_differ_in_bits_and_in_answers(
    honest: dict[str, Path], tmp_path: Path, mutant: Mutant
) -> None:
    folder = mutant.put(honest[mutant.model], tmp_path / "out")
    verdict = verify_folder(MODELS[mutant.model], folder)
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, "layer")
    assert verdict.wrong_arrays
    assert answers_differ(verdict)


@pytest.mark.parametrize("mutant", WRONG_TEXTS, ids=named)
def test_a_wrong_text_differs_in_answers(
    honest: dict[str, Path], tmp_path: Path, mutant: Mutant
) -> None:
    """No layer is named: its weights are right, and what we would write is too."""
    folder = mutant.put(honest[mutant.model], tmp_path / "out")
    verdict = verify_folder(MODELS[mutant.model], folder)
    assert (verdict.status, verdict.layer, verdict.wrong_arrays) == (Status.DIFFERS, "", ())
    assert answers_differ(verdict)
    assert verdict.reason.startswith("output 'head', case batch=")
    assert "over the tolerance" in verdict.reason


def test_every_pair_of_gates_is_swapped_in_every_tensor() -> None:
    swapped = {
        name: sum(m.model == name and "swapped" in m.name for m in WRONG_WEIGHTS) for name in MODELS
    }
    assert swapped == {
        "lstm": 6 * 4,
        "lstm, both": 6 * 4 * 2,
        "gru": 3 * 5,
        "gru, both": 3 * 5 * 2,
        "before": 3 * 4,
        "before, both": 3 * 4 * 2,
        "rnn": 0,
        "rnn, both": 0,
        "lstm, hard sigmoid": 6 * 4,
    }


@pytest.mark.parametrize("seed", range(50))
def test_any_honest_folder_is_equal(tmp_path: Path, seed: int) -> None:
    model = random_model(seed)
    verdict = verify_folder(model, put_on_disk(model, tmp_path / "out"))
    assert (verdict.status, verdict.layer, verdict.wrong_arrays) == (Status.EQUAL, "", ())
    assert verdict.worst is not None
    assert verdict.worst.ratio < 0.5  # the tolerance is no close shave


def test_the_random_models_are_of_every_kind() -> None:
    layers = [layer for seed in range(50) for layer in random_model(seed).layers]
    recurrent = [layer for layer in layers if isinstance(layer, Recurrent)]
    assert {layer.cell for layer in recurrent} == set(Cell)
    assert {layer.merge for layer in recurrent} >= {None, *Merge} - {Merge.SEPARATE}
    assert {layer.forward.bias is None for layer in recurrent} == {True, False}
    assert {len(random_model(seed).layers) for seed in range(50)} == {1, 2, 3, 4}


# The layer


STACK = chain(
    Maker(1).dense("first", 3, 3),
    Maker(2).lstm("second", 3, 3, return_sequences=True),
    Maker(3).gru("third", 3, 3),
    Maker(4).dense("fourth", 3, 2),
)


@pytest.mark.parametrize("layer", ["first", "second", "third", "fourth"])
def test_the_first_layer_with_a_wrong_array_is_named(tmp_path: Path, layer: str) -> None:
    """Also by its last bit, which moves no output."""
    folder = put_on_disk(STACK, tmp_path / "out")
    path = folder / "model.safetensors"
    held = load_file(path)
    for name, array in held.items():
        if name.startswith((f"{layer}.", "fourth.")):
            array.reshape(-1).view(np.uint32)[0] ^= 1
            held[name] = array
    save_file(held, path)
    verdict = verify_folder(STACK, folder)
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, layer)
    assert not answers_differ(verdict)


WRONG_ROWS = {
    "gru": (Cell.GRU, Layout("zrh", True, 2, (2, -1))),
    "lstm": (Cell.LSTM, Layout("iofc", True, 2, (2, -1))),
}


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_a_mistake_of_our_own_differs_and_its_layer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A wrong row of the table writes and reads back alike: the bits are there, the answers not."""
    cell, row = WRONG_ROWS[name]
    monkeypatch.setitem(LAYOUTS, (cell, "torch"), row)
    verdict = verify_folder(STACK, put_on_disk(STACK, tmp_path / "out"))
    assert (verdict.status, verdict.wrong_arrays) == (Status.DIFFERS, ())
    assert verdict.layer == {"gru": "third", "lstm": "second"}[name]


# What cannot be said


def chaotic(steps: int) -> Model:
    """A network whose state is folded at every step, so that rounding grows with each."""
    return chain(Maker().rnn("chaos", 3, 32), shape=(None, steps, 3))


def test_an_ill_conditioned_model_is_inconclusive(tmp_path: Path) -> None:
    model = chaotic(60)
    verdict = verify_folder(model, put_on_disk(model, tmp_path / "out"))
    assert (verdict.status, verdict.status.exit_code) == (Status.INCONCLUSIVE, 4)
    assert verdict.reason == (
        "one unit in the last place of the weights moves output 'chaos' by more than a thousandth "
        "in 6 of 7 cases: float32 cannot say whether it is the same"
    )


def test_the_same_model_over_few_steps_is_equal(tmp_path: Path) -> None:
    model = chaotic(3)
    verdict = verify_folder(model, put_on_disk(model, tmp_path / "out"))
    assert verdict.status is Status.EQUAL


def test_an_ill_conditioned_model_with_wrong_weights_differs_all_the_same(tmp_path: Path) -> None:
    model = chaotic(60)
    folder = put_on_disk(model, tmp_path / "out")
    held = load_file(folder / "model.safetensors")
    save_file(held | {"chaos.bias_ih_l0": -held["chaos.bias_ih_l0"]}, folder / "model.safetensors")
    verdict = verify_folder(model, folder)
    assert (verdict.status, verdict.layer) == (Status.DIFFERS, "chaos")
