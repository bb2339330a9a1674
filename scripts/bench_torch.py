"""What the classes for masks and other activations cost beside nn.LSTM, nn.GRU and nn.RNN.

Each is called as the generated code calls it, in alternating rounds; a ratio is that of one round.
With one thread, time is that of the CPU alone, so that other work on the machine counts less.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn

from converter.targets.torch.modules import (
    ActivatedGRU,
    ActivatedLSTM,
    ActivatedRNN,
    ResetBeforeGRU,
    masked,
)

STEPS = 100
UNITS = (64, 128, 256)

Call = Callable[[], object]


def calls(batch: int, units: int) -> dict[str, Call]:
    """What is measured, each by its name; some are what the others are held against."""
    torch.manual_seed(0)
    x = torch.randn(batch, STEPS, units)
    lengths = torch.randint(STEPS // 2, STEPS + 1, (batch, 1))
    right = torch.arange(STEPS) < lengths
    holes = torch.rand(batch, STEPS) < 0.75
    lstm, both = (
        nn.LSTM(units, units, batch_first=True, bidirectional=two) for two in (False, True)
    )
    gates = {
        "hard_sigmoid of Keras 3": _activated(ActivatedLSTM, units, 1),
        "hard_sigmoid of Keras 2": _activated(ActivatedLSTM, units, 1.2),
        "GRU, hard_sigmoid of Keras 2": _activated(ActivatedGRU, units, 1.2),
        "GRU, reset before": ResetBeforeGRU(units, units, batch_first=True),
        "SimpleRNN, softsign": ActivatedRNN(units, units, batch_first=True, activation=F.softsign),
    }
    compiled: dict[str, Call] = {}
    if batch > 1:  # it takes minutes, once for each length of a loop that is unrolled
        (name, module), *_ = gates.items()
        compiled[f"{name}, compiled"] = _compiled(module, x)
    plain = {
        kind.__name__: _calling(kind(units, units, batch_first=True), x)
        for kind in (nn.GRU, nn.RNN)
    }
    found: dict[str, Call] = {
        "nn.LSTM": lambda: lstm(x),
        **{f"nn.{name}": call for name, call in plain.items()},
        "masked at the end": lambda: masked(lstm, x, right),
        "masked in between": lambda: masked(lstm, x, holes),
        "masked, with the last c": lambda: masked(lstm, x, right, keep_c=True),
        "bidirectional": lambda: both(x),
        "bidirectional, masked": lambda: masked(both, x, right),
    }
    found |= {name: _calling(module, x) for name, module in gates.items()} | compiled
    return found | {
        f"{name}, masked": _calling(gates[name], x, None, right)
        for name in ("hard_sigmoid of Keras 2", "GRU, reset before")
    }


def _activated(kind: type[nn.Module], units: int, slope: float) -> nn.Module:
    return kind(
        units,
        units,
        batch_first=True,
        recurrent_activation=F.hardsigmoid,
        recurrent_slope=slope,
    )


def _calling(module: nn.Module, *given: Tensor | None) -> Call:
    return lambda: module(*given)


def _compiled(module: nn.Module, x: Tensor) -> Call:
    whole = torch.compile(module)
    return lambda: whole(x)


BESIDE = {"bidirectional, masked": "bidirectional", "GRU": "nn.GRU", "SimpleRNN": "nn.RNN"}
"""What is not held against nn.LSTM in one direction, by its name or the first word of it."""

REFERENCES = {"nn.LSTM", *BESIDE.values()}


def ratios(
    batch: int, units: int, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """For each call, how many times longer it took than what it is held against, in each round."""
    found: dict[str, list[float]] = {}
    functions = calls(batch, units)
    with torch.inference_mode():
        for number in range(rounds + 2):
            seconds = {}
            for name, function in functions.items():
                start = clock()
                function()
                seconds[name] = clock() - start
            if number < 2:  # warming up, and compiling
                continue
            for name in seconds.keys() - REFERENCES:
                beside = BESIDE.get(name) or BESIDE.get(name.split(",")[0], "nn.LSTM")
                found.setdefault(name, []).append(seconds[name] / seconds[beside])
    return {name: found[name] for name in functions if name in found}


def report(rounds: int, threads: int) -> None:
    """Print the table, in Markdown."""
    torch.set_num_threads(threads)
    clock = time.thread_time if threads == 1 else time.perf_counter
    what = "time of the CPU" if threads == 1 else "wall time"
    print(f"torch {torch.__version__}, float32, {STEPS} steps, {threads} threads, {what},")
    print(f"{rounds} rounds: times nn.LSTM, nn.GRU or nn.RNN, median (quartiles)\n")
    print(f"| batch | what | {' | '.join(f'{units} units' for units in UNITS)} |")
    print(f"| --- | --- |{' --- |' * len(UNITS)}")
    for batch in (32, 1):
        columns = [ratios(batch, units, rounds, clock) for units in UNITS]
        for name in columns[0]:
            cells = [_cell(column[name]) for column in columns]
            print(f"| {batch} | {name} | {' | '.join(cells)} |", flush=True)


def _cell(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
