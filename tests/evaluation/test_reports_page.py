"""The page: what a browser would find in it, and what an answer can never do in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from llmflowlab.cli.evaluate.boards import leaderboard_table
from llmflowlab.cli.evaluate.show_evaluation import result_tables
from llmflowlab.evaluation.conclude.conclusions import headline
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.markdown import escaped, markdown_summary
from llmflowlab.evaluation.reports.page import report_page
from llmflowlab.evaluation.reports.page_data import embedded
from llmflowlab.evaluation.reports.plot_files import write_plots
from tests.evaluation.report_data import HOSTILE, made_result
from tests.known import known

VOID = {"meta", "input", "link", "br", "img", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, the texts of scripts and styles, and what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] in self.texts:
            self.texts[self.open[-1]].append(data)
        else:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def rows(self):
        return json.loads(self.texts["script"][0])


def page_of(result) -> tuple[str, Page]:
    text = report_page(result, figures_of(result))
    return text, Page(text)


@pytest.fixture(scope="module")
def ordinary() -> tuple[str, Page]:
    return page_of(made_result(60, candidates=3))


def test_the_markup_is_closed_and_ids_are_unique(ordinary) -> None:
    _, page = ordinary
    assert page.wrong == []
    assert page.open == []
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_nothing_asks_the_network(ordinary) -> None:
    text, page = ordinary
    names = {name for name, _ in page.elements}
    assert not names & {"link", "img", "iframe", "object", "embed", "audio", "video", "base"}
    for _, attributes in page.elements:
        assert not {"src", "srcset", "action", "ping", "style"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|EventSource", text)


def test_the_policy_names_the_pages_own_script_and_style_only(ordinary) -> None:
    _, page = ordinary
    (policy,) = [
        a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy

    def named(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert len(page.texts["script"]) == 2
    assert f"script-src 'sha256-{named(page.texts['script'][1])}'" in policy
    assert f"style-src 'sha256-{named(page.texts['style'][0])}'" in policy


def test_no_answer_gets_out_of_its_place() -> None:
    result = made_result(12, candidates=2, text=HOSTILE)
    spec = replace(result.candidates[0].spec, variant=HOSTILE)
    result = replace(
        result,
        plan=replace(result.plan, candidates=(spec, *result.plan.candidates[1:])),
        candidates=[replace(result.candidates[0], spec=spec), *result.candidates[1:]],
        gates=[{"gate": HOSTILE, "value": 0.5, "passed": False, "reason": HOSTILE}],
    )
    text, page = page_of(result)
    plain_text, plain = page_of(made_result(12, candidates=2))
    assert page.rows["rows"][0]["a"][1][0][0] == HOSTILE
    assert page.wrong == []
    assert len(page.all("script")) == len(plain.all("script")) == 2
    assert page.all("img") == []
    assert all(not name.startswith("on") for _, a in page.elements for name in a)
    assert "<!--" not in text
    assert "onerror" in text
    assert plain_text.count("</script>") == text.count("</script>") == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("</script>", id="end of script"),
        pytest.param("<!--<script>", id="double escaped state"),
        pytest.param("\u2028 \u2029", id="line separators"),
        pytest.param("&lt;/script&gt;", id="entities"),
        pytest.param('"\\', id="quotes"),
        pytest.param("@@DATA@@ @@SCRIPT@@", id="placeholders"),
    ],
)
def test_embedded_data_reads_back_as_it_was(text: str) -> None:
    value = {text: [text, None, 1.5]}
    written = embedded(value)
    assert json.loads(written) == value
    assert not set("<>&\u2028\u2029") & set(written)


def test_a_placeholder_in_a_question_stays_a_question() -> None:
    text, page = page_of(made_result(2, text="@@SCRIPT@@"))
    assert page.rows["rows"][0]["q"].endswith("@@SCRIPT@@")
    assert text.count('"use strict"') == 1


def test_every_row_is_on_the_page_with_all_its_answers() -> None:
    result = made_result(30, candidates=3, trials=2)
    _, page = page_of(result)
    data = page.rows
    assert len(data["rows"]) == 30
    assert data["scorers"][data["main"]] == "correctness"
    for row in data["rows"]:
        assert [len(trials) for trials in row["a"]] == [2, 2, 2]
    assert data["rows"][3]["a"][0][0][1] == "No word."
    assert data["rows"][5]["a"][2][0] is None
    assert data["rows"][7]["a"][0][0][6][0] == ["judge_unparseable", None]


def test_every_control_has_a_label_and_every_table_a_caption(ordinary) -> None:
    _, page = ordinary
    labelled = {a["for"] for a in page.all("label")}
    for tag in ("input", "select"):
        assert all(a["id"] in labelled for a in page.all(tag))
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert all(a.get("scope") == "col" for a in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    assert page.elements[[n for n, _ in page.elements].index("a")][1]["href"] == "#main"
    targets = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"].lstrip("#") for a in page.all("a")} <= targets
    labels = {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
    assert labels <= targets


def test_what_scrolls_can_be_reached_by_keyboard(ordinary) -> None:
    _, page = ordinary
    wide = [a for a in page.all("div") if a.get("class") == "wide"]
    assert wide
    assert all(a["tabindex"] == "0" and a["role"] == "region" for a in wide)


def test_every_plot_says_in_words_what_it_shows(ordinary) -> None:
    _, page = ordinary
    plots = page.all("svg")
    assert len(plots) >= 6
    assert all(a["role"] == "img" for a in plots)
    assert any("gemini:gemini-2.5-flash: 8" in a["aria-label"] for a in plots)
    assert len([a for n, a in page.elements if n == "summary"]) >= len(page.all("figure")) / 2


def test_the_conclusion_gates_and_leaderboard_are_there_to_read() -> None:
    result = replace(
        made_result(60, candidates=2),
        gates=[
            {"gate": "correctness.ci_low=0.9", "value": 0.7, "passed": False, "reason": "too low"},
            {"gate": "contains=0.1", "value": None, "passed": True},
        ],
    )
    _, page = page_of(result)
    words = " ".join(page.words)
    for expected in ("correctness.ci_low=0.9", "FAILED", "too low", "unknown", "95 % CI"):
        assert expected in words
    assert [a for a in page.all("td") if a.get("class") == "fail"]
    ranked = sorted(result.candidates, key=lambda c: -known(c.scores["correctness"].mean))
    board = words[words.index("cannot be told apart") :]
    places = [board.index(candidate.spec.label) for candidate in ranked]
    assert places == sorted(places)


def test_unknown_costs_are_called_unknown() -> None:
    result = made_result(10, candidates=1)
    result = replace(result, candidates=[replace(result.candidates[0], cost_usd=None)])
    _, page = page_of(result)
    assert "unknown" in " ".join(page.words)


def test_a_thousand_rows_take_no_heavy_package() -> None:
    code = (
        "import sys\n"
        "import llmflowlab.evaluation.run.engine\n"
        "from llmflowlab.evaluation.reports import page, figures, lines\n"
        "heavy = {'scipy', 'pandas', 'mlflow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_dark_and_light_follow_the_system_and_the_switch(ordinary) -> None:
    text, page = ordinary
    style = page.texts["style"][0]
    assert "prefers-color-scheme:dark" in style
    assert "[data-theme=dark]" in style
    dark = re.findall(
        r"(--[a-z0-9]+:#[0-9a-f]+)", style.split("[data-theme=dark]{")[1].split("}")[0]
    )
    system = style.split("(prefers-color-scheme:dark)")[1].split("}")[0]
    assert dark == re.findall(r"(--[a-z0-9]+:#[0-9a-f]+)", system)
    assert '<option value="dark">' in text


def test_models_times_prompts_have_a_page(tmp_path: Path) -> None:
    # Groups by prompt put several candidates together; the page once could not be written for them.
    result = made_result(12, candidates=2)
    plan = replace(
        result.plan,
        candidates=tuple(
            replace(spec, system=f"Be {n}.") for n, spec in enumerate(result.plan.candidates)
        ),
    )
    result = build_result(plan, result.answers, result.scores, reused=[0, 0])
    files = write_plots(figures_of(result), tmp_path)
    _, page = page_of(result)
    assert "By prompt" in page.words
    assert "Be 1. (few rows)" in page.words
    assert "groups.svg" in {file.name for file in files}


def test_who_is_recommended_or_why_nobody_stands_first() -> None:
    whole = made_result(60, candidates=3)
    stopped = build_result(
        whole.plan, whole.answers, whole.scores, reused=[0] * 3, interrupted=True
    )
    for result, begin in ((whole, "is recommended"), (stopped, "Nobody is recommended")):
        first = headline(result)[0]
        assert begin in first
        text, _ = page_of(result)
        assert f'<p class="lead">{escape(first)}</p>' in text
        assert text.index(escape(first)) < text.index("<table")
        summary = markdown_summary(result)
        assert summary.index(f"**{escaped(first)}**") < summary.index("| ---")


def test_candidates_stand_in_one_order_on_page_summary_and_screen() -> None:
    result = made_result(60, candidates=3, chance=(0.3, 0.9, 0.6))
    assert result.order == [1, 2, 0]
    labels = [result.plan.candidates[index].label for index in result.order]
    text, page = page_of(result)
    figures = figures_of(result)
    assert figures["candidates"] == labels
    assert page.rows["order"] == result.order
    tables = [*result_tables(result), known(leaderboard_table(result))]
    screen = [[cell for row in t.rows for cell in row if cell in labels] for t in tables]
    board = text[text.index('id="scores-title"') : text.index('id="effort-title"')]
    found = {
        "document": [
            entry["candidate"] for entry in result.to_json()["leaderboard"]["correctness"]
        ],
        "page": re.findall(r'<td[^>]*class="name title">([^<]+)<', board)[:3],
        "summary": re.findall(r"^\| ((?:gemini|ollama|azure)\S*)", markdown_summary(result), re.M),
        **{str(n): list(dict.fromkeys(cells)) for n, cells in enumerate(screen) if cells},
    }
    assert found.pop("summary") == [escaped(label) for label in labels]
    assert found == dict.fromkeys(found, labels)
    # The front has those whom nobody beats, in the same order.
    front = [entry.candidate for entry in known(result.recommendation).front]
    assert front == [index for index in result.order if index in front]


def test_on_a_narrow_screen_every_figure_says_what_it_is(ordinary) -> None:
    _, page = ordinary
    cells = page.all("td")
    assert cells
    assert all(cell["role"] == "cell" and "data-label" in cell for cell in cells)
    # The scores of a row stand before its category, in what the script lays out.
    columns = page.texts["script"][1].split("function columns()")[1].split("}")[0]
    assert columns.index("CANDIDATES") < columns.index("Category")
