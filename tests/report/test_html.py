"""The HTML report: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter.errors import OutputError
from converter.report.html import as_html, write_report
from converter.report.page import boxes_of
from converter.verify.verdict import Status
from tests.report.test_text import EQUAL, FAR, NEAR
from tests.report.timings import TIMINGS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
LARGEST = 200_000


def result_in(text: str) -> object:
    (found,) = re.findall(r'<script type="application/json" id="result">(.*?)</script>', text)
    return json.loads(found)


def test_one_small_file_holds_all_and_asks_for_nothing() -> None:
    text = as_html(TIMINGS)
    assert len(text.encode()) < LARGEST
    assert not re.findall(r"""(?:src|href|url|@import)\s*[=(]""", text)
    assert text.count("<script") == 1  # the JSON, which nothing executes
    assert "default-src 'none'" in text
    assert text.index("<h1>") < text.index("<h2>")
    assert "Equal</span>: model.keras is the same model in onnxruntime:cpu" in text


def test_the_json_inside_is_the_result() -> None:
    found = json.loads(json.dumps(TIMINGS.as_dict(), default=str))
    assert result_in(as_html(TIMINGS)) == found


def test_the_report_of_a_large_model_is_small_and_keeps_what_is_nearest_to_its_tolerance() -> None:
    first = TIMINGS.rows[0]
    assert first.verdict is not None
    many = tuple(
        replace(NEAR, case=f"case {k}", error=NEAR.error * k / 1000) for k in range(1, 1001)
    )
    nodes = tuple(replace(first.nodes[1], name=f"node_{k}") for k in range(1000))
    verdict = replace(first.verdict, comparisons=many)
    row = replace(first, verdict=verdict, nodes=(*nodes, first.nodes[0]))
    text = as_html(replace(TIMINGS, rows=(row, *TIMINGS.rows[1:])))
    assert len(text.encode()) < LARGEST
    told = result_in(text)
    assert isinstance(told, dict)
    kept = told["rows"][0]["verdict"]["comparisons"]
    assert kept[0]["case"] == "case 1000"
    assert told["rows"][0]["nodes"][0]["kind"] == "LSTM"
    assert "onnxruntime:cpu: nodes: 1001 on CPU" in text
    assert "and 961 more" in text


HOSTILE = '</script><img src=x onerror="alert(1)">&\x1b'


def test_every_name_is_escaped() -> None:
    part = replace(TIMINGS.drawing[0], name=HOSTILE, words=HOSTILE)
    row = replace(TIMINGS.rows[0], name=HOSTILE, failure=HOSTILE, help=HOSTILE)
    hostile = replace(
        TIMINGS, model=HOSTILE, form=HOSTILE, rows=(*TIMINGS.rows, row), drawing=(part,)
    )
    text = as_html(hostile)
    assert "<img" not in text
    assert text.count("</script>") == 1
    told = result_in(text)
    assert isinstance(told, dict)
    assert told["model"] == HOSTILE


def test_a_fallback_is_marked_and_the_rest_is_not() -> None:
    row = r"<tr(.*?)><td>onnxruntime:\w+</td><td>\w+</td><td>(\w+)</td>"
    rows = re.findall(row, as_html(TIMINGS))
    assert rows == [("", "LSTM"), ("", "Gemm"), (' class="bad"', "LSTM"), ("", "Gemm")]


def test_a_layer_far_above_is_joined_by_a_line_of_its_own() -> None:
    boxes = boxes_of(TIMINGS.drawing)
    assert [box.straight for box in boxes] == [False, True, True, True]
    assert [box.sources for box in boxes] == [(), (), (boxes[0].y,), ()]


def test_a_verdict_is_a_report_without_timings() -> None:
    different = replace(EQUAL, status=Status.DIFFERS, comparisons=(NEAR, FAR), layer="lstm_1")
    text = as_html(different)
    assert '<span class="differs">Differs</span>: model.keras and out/model.py' in text
    assert "lstm_1" in text
    assert "Latency" not in text
    assert "Where the nodes ran" not in text


def test_a_report_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, TIMINGS)
    with pytest.raises(OutputError):
        write_report(path, EQUAL)
    assert "Latency" in path.read_text()
    write_report(path, EQUAL, force=True)
    assert "Latency" not in path.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.is_file():
        pytest.skip(f"chromium: there is no {CHROMIUM}")
    with sync_api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Browser, text: str, folder: Path, width: int, scheme: str = "light") -> Page:
    path = folder / "report.html"
    path.write_text(text)
    page = browser.new_page(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.goto(path.as_uri())
    return page


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


LONG = "a_name_that_is_" + "long_" * 40


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_window(browser: Browser, tmp_path: Path, width: int) -> None:
    long = replace(TIMINGS, model=LONG, drawing=(replace(TIMINGS.drawing[0], name=LONG),))
    for found in (TIMINGS, long, replace(EQUAL, original=LONG)):
        page = opened(browser, as_html(found), tmp_path, width)
        assert overflow(page) <= 0
        assert page.locator("h1").is_visible()
        page.close()


def test_a_page_that_is_too_wide_is_noticed(browser: Browser, tmp_path: Path) -> None:
    wide = as_html(TIMINGS).replace("</body>", '<div style="width: 2000px">.</div></body>')
    assert overflow(opened(browser, wide, tmp_path, 1280)) > 0


def luminance(page: Page, what: str) -> float:
    """Of a colour of the body, from 0 to 1."""
    numbers = page.evaluate(f"getComputedStyle(document.body).{what}")
    red, green, blue = (int(one) / 255 for one in re.findall(r"\d+", numbers)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_is_light_or_dark_as_the_system_is(browser: Browser, tmp_path: Path) -> None:
    light = opened(browser, as_html(TIMINGS), tmp_path, 800)
    dark = opened(browser, as_html(TIMINGS), tmp_path, 800, "dark")
    assert luminance(light, "backgroundColor") > 0.9 > 0.2 > luminance(light, "color")
    assert luminance(dark, "backgroundColor") < 0.1 < 0.8 < luminance(dark, "color")


def test_the_marks_stand_where_the_numbers_are(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, as_html(TIMINGS), tmp_path, 1280)
    dots = page.locator(".panels circle")
    assert dots.count() == 18  # three runtimes at six points
    slow = page.locator(".panels circle", has_text="onnxruntime:cuda, batch 1, time 1:")
    fast = page.locator(".panels circle", has_text="onnxruntime:cpu, batch 1, time 1:")
    above, below = slow.bounding_box(), fast.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] < below["y"]
