"""The HTML report: one file that opens offline, without scripts, with the JSON inside it."""

from __future__ import annotations

import json
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
    page = page_of_timings(result) if isinstance(result, Timings) else page_of_verdict(result)
    template = _environment().get_template("report.html")
    return template.render(page=page, height=HEIGHT, json=embedded(page))


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
