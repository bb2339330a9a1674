"""Convolutional LSTMs written for Keras: the file answers in Keras as the source did."""

from __future__ import annotations

from pathlib import Path

from converter.runtimes import keras as runtime
from converter.targets.keras import write_model
from tests.cells.answers import FLOAT32, Saved, distance
from tests.targets.keras.keras_files import put


def test_masks_and_kept_states_are_those_of_the_source(saved: Path, tmp_path: Path) -> None:
    names = ("masked", "places", "stream")
    sources = {
        path.stem: Saved(path)
        for path in sorted((saved / "keras").glob("*.keras"))
        if path.stem.startswith(names)
    }
    assert len(sources) == 19
    jobs = [
        runtime.Job(
            put(write_model(one.model), tmp_path / f"{name}.keras"),
            [given for given, _ in one.calls],
            None,
        )
        for name, one in sources.items()
    ]
    for (name, one), answers in zip(sources.items(), runtime.run(jobs).outputs, strict=True):
        assert not isinstance(answers, runtime.Failure), (name, answers)
        for call, answer in enumerate(answers):
            assert distance(tuple(answer), one.of("out", call)) < FLOAT32, name
