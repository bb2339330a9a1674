"""The HTML report: one file that opens offline, without scripts, with the JSON inside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from converter.compare.timings import Timings
from converter.errors import MissingExtraError
from converter.output import staged
from converter.report.json import as_json
from converter.report.page import HEIGHT, Page, page_of_timings, page_of_verdict
from converter.verify.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent

LARGEST = 200_000
"""Bytes of a report."""

KEPT = 40
"""Comparisons and nodes of each runtime in a report that would be larger; --format json has all."""


def write_report(path: Path, result: Timings | Verdict, *, force: bool = False) -> None:
    """Write a result as HTML.

    Args:
        path: Of the file.
        result: What it shows.
        force: Replace a file that exists.

    Raises:
        MissingExtraError: jinja2 is not installed.
        OutputError: The file exists, or cannot be written.
    """
    text = as_html(result).encode(errors="backslashreplace")
    with staged(path.parent, (path.name,), source="", force=force, alone=path.name) as staging:
        staging.write(path.name, lambda file: file.write(text), len(text))
        staging.commit()


def as_html(result: Timings | Verdict) -> str:
    """A result as HTML; what it holds is escaped wherever it stands.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    page = _page(result)
    text = _rendered(page)
    if len(text.encode(errors="replace")) <= LARGEST:
        return text
    short = _page(shortened(result))
    return _rendered(
        replace(
            short,
            facts=page.facts,
            counts=page.counts,
            more_placed=page.more_placed + len(page.placed) - len(short.placed),
            more_boxes=page.more_boxes + len(page.boxes) - len(short.boxes),
        )
    )


def _page(result: Timings | Verdict) -> Page:
    return page_of_timings(result) if isinstance(result, Timings) else page_of_verdict(result)


def _rendered(page: Page) -> str:
    template = _environment().get_template("report.html")
    return template.render(page=page, height=HEIGHT, json=embedded(page))


def shortened(result: Timings | Verdict) -> Timings | Verdict:
    """The result with what matters most: comparisons near their tolerance, recurrent nodes."""
    if isinstance(result, Verdict):
        return _shortened_verdict(result)
    return replace(
        result,
        drawing=result.drawing[:KEPT],
        rows=tuple(
            replace(
                row,
                nodes=tuple(sorted(row.nodes, key=lambda node: not node.recurrent)[:KEPT]),
                verdict=None if row.verdict is None else _shortened_verdict(row.verdict),
            )
            for row in result.rows
        ),
    )


def _shortened_verdict(verdict: Verdict) -> Verdict:
    nearest = sorted(verdict.comparisons, key=lambda one: one.ratio, reverse=True)
    return replace(verdict, comparisons=tuple(nearest[:KEPT]))


def embedded(page: Page) -> str:
    r"""The result as JSON that ends no element of HTML, whatever a name in it is.

    >>> embedded(Page(title="", status="", headline="", result={"name": "</script>"}))
    '{"name":"\\u003c/script>"}'
    """
    plain = json.loads(as_json(page.result))
    return json.dumps(plain, separators=(",", ":")).replace("<", "\\u003c")


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "an HTML report needs the package jinja2",
            context=str(error),
            hint='pip install "ifco[report]"',
            code="missing-extra",
        ) from error
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
