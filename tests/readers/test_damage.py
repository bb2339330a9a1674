"""Cut off anywhere, any bit flipped, any value of a config replaced: a named error or a model."""

from __future__ import annotations

import json
import random
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st

from converter.errors import ConverterError
from converter.readers import read
from tests.readers.files import (
    CONFIG,
    METADATA,
    SMALL,
    SMALL_WEIGHTS,
    WEIGHTS,
    archive,
    called,
    counted,
    functional,
    given,
    layer,
    sequential,
    small,
    small_hdf5,
    stored,
    tensor,
)

SECONDS = 5.0
"""A damaged file takes some milliseconds; a machine under load is given more."""


def attempt(path: Path) -> str:
    """What becomes of a file: "read", or the code of its error. Anything else raises."""
    start = time.perf_counter()
    said = "read"
    texts = ["fine"]
    try:
        model = read(path)
        for part in model.layers:
            for weight in part.weights.values():
                weight.read()
    except ConverterError as error:
        said = error.code
        texts = [error.message, error.context, error.hint, error.code]
    assert all(0 < len(text) < 2000 and text.isprintable() for text in texts), texts
    assert time.perf_counter() - start < SECONDS
    return said


@pytest.mark.parametrize("write", [small, small_hdf5])
def test_a_file_that_is_cut_off_is_never_read(write: Callable[[Path], Path], file: Path) -> None:
    data = write(file).read_bytes()
    for end in {*range(0, len(data), max(1, len(data) // 150)), *range(len(data) - 30, len(data))}:
        file.write_bytes(data[:end])
        assert attempt(file) != "read"
    file.write_bytes(data)
    assert attempt(file) == "read"


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_of_an_archive_changes_no_number(seed: int, file: Path) -> None:
    data = small(file).read_bytes()
    whole = {w.stored[0].name: w.read() for p in read(file).layers for w in p.weights.values()}
    draw = random.Random(seed)
    for _ in range(100):
        broken = bytearray(data)
        broken[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(broken)
        if attempt(file) == "read":  # the date of a member, for example
            model = read(file)
            for part in model.layers:
                for weight in part.weights.values():
                    assert (
                        weight.read() == whole[weight.stored[0].name].reshape(weight.shape)
                    ).all()


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bits_of_hdf5_are_survived(seed: int, file: Path) -> None:
    data = small_hdf5(file).read_bytes()
    draw = random.Random(seed)
    codes = set()
    for _ in range(100):
        broken = bytearray(data)
        for _ in range(draw.choice([1, 1, 2, 4])):
            broken[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(broken)
        codes.add(attempt(file))
    assert {"read", "hdf5"} <= codes


@pytest.mark.parametrize("seed", range(4))
def test_overwritten_words_of_hdf5_are_survived(seed: int, file: Path) -> None:
    data = small_hdf5(file).read_bytes()
    draw = random.Random(seed)
    for _ in range(100):
        broken = bytearray(data)
        place, size = draw.randrange(len(data)), draw.choice([1, 2, 4, 8])
        broken[place : place + size] = draw.choice(
            [bytes(size), b"\xff" * size, draw.randbytes(size)]
        )
        file.write_bytes(broken[: len(data)])
        attempt(file)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_weights_under_a_right_checksum_are_survived(seed: int, file: Path) -> None:
    data = stored(SMALL_WEIGHTS)
    draw = random.Random(seed)
    for _ in range(60):
        broken = bytearray(data)
        broken[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        attempt(archive(file, SMALL, bytes(broken)))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.integers(2**31, 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["LSTM", "Dense", "x", "a", "inner", "keras.layers", "relu", "float32"]),
    st.lists(st.none() | st.integers(0, 3) | st.text(max_size=2), max_size=4),
    st.just({}),
    st.just({"class_name": "Dense", "config": {"name": "q", "units": 2}}),
    st.just({"class_name": "Sequential", "config": {"layers": []}}),
)

INNER = sequential(given((None, None, 3)), layer("GRU", "g", units=2, return_sequences=True))
INNER["config"]["name"] = "inner"
EVERYTHING = functional(
    [
        called(given((None, None, 3))),
        called(INNER, "x"),
        called(layer("Bidirectional", "b", layer=layer("LSTM", "l", units=2)), "inner"),
        called(layer("TimeDistributed", "t", layer=layer("Dense", "d", units=2)), "inner"),
        called(layer("GlobalMaxPooling1D", "p"), "t"),
        called(layer("Concatenate", "c"), ["p", "b"]),
        called(layer("BatchNormalization", "n"), "c"),
        called(layer("Dropout", "o", rate=0.5), "n", tensor("o")),
    ],
    ["x"],
    [["o", 1, 0]],
)
EVERYTHING_WEIGHTS = {
    **{
        f"layers/sequential/layers/gru/cell/vars/{k}": counted(*shape)
        for k, shape in enumerate([(3, 6), (2, 6), (2, 6)])
    },
    **{
        f"layers/bidirectional/{part}_layer/cell/vars/{k}": counted(*shape)
        for part in ("forward", "backward")
        for k, shape in enumerate([(2, 8), (2, 8), (8,)])
    },
    **{
        f"layers/time_distributed/layer/vars/{k}": counted(*s) for k, s in enumerate([(2, 2), (2,)])
    },
    **{f"layers/batch_normalization/vars/{k}": counted(6) for k in range(4)},
}


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [prefix, *(place for key, inner in items for place in paths(inner, (*prefix, key)))]


def replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in one place."""
    if not place:
        return value
    copy = document.copy()
    copy[place[0]] = replaced(document[place[0]], place[1:], value)
    return copy


def members(config: Any) -> bytes:
    """An archive in memory."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(METADATA, '{"keras_version": "3.15.1"}')
        opened.writestr(CONFIG, json.dumps(config))
        opened.writestr(WEIGHTS, STORED)
    return buffer.getvalue()


STORED = stored(EVERYTHING_WEIGHTS)
PLACES = paths(EVERYTHING)


def test_the_model_for_this_is_read(file: Path) -> None:
    file.write_bytes(members(EVERYTHING))
    assert attempt(file) == "read"


@settings(max_examples=400)
@given_(place=st.sampled_from(PLACES), value=VALUES)
def test_any_value_in_any_place_of_a_config_is_survived(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(members(replaced(EVERYTHING, place, value)))
    attempt(path)


@settings(max_examples=200)
@given_(
    places=st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)), min_size=1, max_size=3
    )
)
def test_any_part_of_a_config_in_another_place_is_survived(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[Any, Any]]
) -> None:
    config: Any = EVERYTHING
    for source, target in places:
        part: Any = EVERYTHING
        for key in source:
            part = part[key]
        try:
            config = replaced(config, target, part)
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # the place is gone
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(members(config))
    attempt(path)
