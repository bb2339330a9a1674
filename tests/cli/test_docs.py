"""The commands and examples of the pages give what the pages say."""

from __future__ import annotations

import doctest
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest

import converter
from converter.readers.keras import custom
from converter.report.inspection import inspect
from tests.cli.command import Command
from tests.report.models import question

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = ("question.md", "custom-layers.md")
EXAMPLES = [*(ROOT / "tests/data/examples").glob("*"), ROOT / "tests/data/bad/lambda_layer.keras"]


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user: the pages, and the example models."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for example in EXAMPLES:
        shutil.copy(example, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(custom, "_DESCRIPTIONS", {})  # a page may describe its classes
    return tmp_path


def blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])
def test_a_command_prints_what_the_page_says(path: Path, ifco: Command, at_home: Path) -> None:
    for block in blocks(path.read_text(), "console"):
        typed, _, expected = block.removeprefix("$ ifco ").partition("\n")
        done = ifco(typed)
        assert same(done.out or done.err, expected)


def same(printed: str, expected: str) -> bool:
    """Whether that was printed; "..." on a page stands for anything."""
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return re.fullmatch(pattern, printed, flags=re.DOTALL) is not None


def test_another_output_than_the_pages_is_noticed() -> None:
    assert same("equal: a\n  1.23 kB\n", "equal: a\n  ... kB\n")
    assert not same("differs: a\n  1.23 kB\n", "equal: a\n  ... kB\n")


def test_the_class_on_the_front_page_is_the_one_that_is_written(at_home: Path) -> None:
    (shown,) = blocks((ROOT / "README.md").read_text(), "python")
    text = converter.to_torch_source(converter.read("bidirectional.keras"))
    assert shown in text


def failures(page: str) -> int:
    """How many examples of a page give something else; the page is one session."""
    session = "\n".join(blocks(page, "pycon"))
    test = doctest.DocTestParser().get_doctest(session, {}, "page", None, None)
    return doctest.DocTestRunner(verbose=False).run(test).failed


@pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])
def test_an_example_gives_what_the_page_says(path: Path, at_home: Path) -> None:
    assert failures(path.read_text()) == 0


def test_an_example_that_gives_something_else_is_noticed() -> None:
    assert failures("```pycon\n>>> 1 + 1\n3\n```\n") == 1


def table(page: str) -> dict[int, tuple[list[int], list[int]]]:
    """By features: the sums of Keras and of PyTorch, each with its total last."""
    rows = re.findall(r"^\| (\d) features? \| (.*?) \| (.*?) \|$", page, flags=re.MULTILINE)
    return {int(features): (numbers(keras), numbers(torch)) for features, keras, torch in rows}


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_the_table_of_the_question_is_what_inspect_finds() -> None:
    found = table((ROOT / "docs/question.md").read_text())
    assert list(found) == [1, 2, 3]
    for features, sums in found.items():
        (row,) = inspect(question(features)).recurrent
        for said, side in zip(sums, (row.keras, row.torch), strict=True):
            assert said == [*(term.size for term in side.terms), side.parameters]


@pytest.mark.slow
def test_keras_makes_the_files_of_the_pages(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    recipes = [blocks((ROOT / "docs" / page).read_text(), "python")[0] for page in RECIPES]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(recipes)],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "torch"},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    count, answer = done.stdout.splitlines()
    assert count == "16"
    assert f"\n{answer}\n" in (ROOT / "docs/custom-layers.md").read_text()  # what the judge says
    for made in tmp_path.iterdir():
        kept = ROOT / "docs" / made.name
        assert held(made) == held(kept), made.name


def held(path: Path) -> dict[str, object]:
    """The config of a model, and its arrays: all but when and by whom it was saved."""
    source: Path | io.BytesIO = path
    found: dict[str, object] = {}
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode()
            found["config"] = re.sub(r'"shared_object_id": \d+', "", config)
            source = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(source) as file:
        found["model_config"] = file.attrs.get("model_config")
        file.visititems(
            lambda name, item: found.update(
                {name: item[()].tobytes()} if isinstance(item, h5py.Dataset) else {}
            )
        )
    return found
