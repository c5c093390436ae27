"""The report's page in a real browser: nothing is wrong on its console, nothing lies beside the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.page import report_page
from tests.evaluation.report_data import HOSTILE, made_result


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("text", [None, HOSTILE], ids=["ordinary", "hostile"])
def test_the_page_opens_without_errors_and_without_sideways_scrolling(
    browser: Any, tmp_path: Path, width: int, scheme: Any, text: str | None
) -> None:
    result = made_result(60, candidates=3, text=text)
    file = tmp_path / "report.html"
    file.write_text(report_page(result, figures_of(result)), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    try:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(request.url))
        page.goto(file.as_uri())
        title = page.title()
        assert title
        # What is folded up is looked at as well.
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.wait_for_function("document.querySelectorAll('tbody tr').length > 3")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} px wide"
        page.mouse.wheel(500, 0)
        assert page.evaluate("window.scrollX") == 0
        assert said == []
        assert page.title() == title != "OWNED"
    finally:
        page.close()
