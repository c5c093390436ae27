"""What the documentation says is what the program does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import llmflowlab
from benchmarks import __main__ as benchmarks
from llmflowlab.cli.arguments import parse
from llmflowlab.cli.chat.slash_commands import COMMANDS
from llmflowlab.data.names import NAMES
from llmflowlab.errors import ExitCode
from llmflowlab.evaluation.run.scorer_choice import SCORERS
from llmflowlab.providers.factory import PROVIDERS, provider_class
from tests.known import known
from tests.loopback import __main__ as loopback

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PROGRAM = re.compile(r"python main\.py ([a-z].*)")


def commands():
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M):
            for line in block.splitlines():
                found = PROGRAM.search(line)
                if found:
                    text = found.group(1).partition("  #")[0].partition("<")[0].strip()
                    yield pytest.param(text, id=f"{page.stem}: {text}")


def test_there_are_commands_to_check():
    assert len(list(commands())) >= 8


@pytest.mark.parametrize("command", list(commands()))
def test_a_command_in_the_docs_is_understood(command):
    assert parse(shlex.split(command)).command


def blocks(page):
    return re.findall(r"^```\w*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)


def test_what_contributing_says_to_run_can_be_run():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M)) <= targets
    modules = re.findall(r"python -m (\S+) ?(.*)", "\n".join(blocks(ROOT / "CONTRIBUTING.md")))
    assert {name for name, _ in modules} == {"pytest", "benchmarks", "tests.loopback"}
    for name, arguments in modules:
        if name == "pytest":
            file, *rest = shlex.split(arguments)
            assert (ROOT / file).is_file()
            wanted = rest[1] if rest[:1] == ["-k"] else ""
            assert re.search(rf"def test_\w*{wanted}", (ROOT / file).read_text("utf-8"))
        elif name == "benchmarks":
            assert benchmarks.options(shlex.split(arguments)).only
        else:
            assert loopback.options(shlex.split(arguments)).port == 8089


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_that_a_page_names_are_there(page):
    # What the steps of CONTRIBUTING make is not there yet.
    text = re.sub(r"^```python.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.M)
    paths = set(re.findall(r"`((?:llmflowlab|tests|docs|benchmarks)/[\w./-]*)`", text))
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    if page.stem == "CONTRIBUTING":
        assert len(paths) > 40


def test_a_commit_is_checked_as_ci_checks_it_and_nothing_is_downloaded_for_it():
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(r"^ *- repo: (.*)$", config, re.M) == ["local"]
    assert set(re.findall(r"^ *language: (.*)$", config, re.M)) == {"system"}
    hooks = re.findall(r"^ *entry: make (.*)$", config, re.M)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    checked = known(re.search(r"^check: ([a-z ]+?) *##", makefile, re.M))[1].split()
    assert hooks == checked == ["lint", "types", "imports"]
    assert re.search(r"^test: check unit\b", makefile, re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def names_table():
    def cell(names):
        return " ".join(f"`{name}`" for name in names)

    yield "| role | names | further names, where no column has one of those |"
    yield "| --- | --- | --- |"
    for role, names in NAMES.items():
        if names.every:
            yield f"| {role} | {cell(names.first)} | {cell(names.more)} |".replace("|  |", "| |")
        if names.several:
            yield f"| {role}, lists and keys | | {cell(names.several)} |"
        if names.instead:
            yield f"| {role}, for want of better | | {cell(names.instead)} |"


def test_the_benchmark_page_lists_every_name_of_a_column():
    text = (ROOT / "docs" / "benchmark.md").read_text("utf-8")
    assert "\n".join(names_table()) in text


def test_the_chat_page_lists_every_slash_command():
    text = (ROOT / "docs" / "chat.md").read_text("utf-8")
    documented = set(re.findall(r"`(/[a-z]+)", text))
    assert documented == set(COMMANDS)


def test_the_scorers_page_lists_every_scorer_that_has_a_name_of_its_own():
    text = (ROOT / "docs" / "scorers.md").read_text("utf-8")
    rows = re.findall(r"^\| \[`(\w+)`\]\(scorers/\1\.md\) \| (?:text|judge|model)", text, re.M)
    assert rows == list(SCORERS)


@pytest.mark.parametrize("scorer", SCORERS)
def test_every_scorer_has_a_page_that_says_what_it_is_and_is_not_for(scorer):
    text = (ROOT / "docs" / "scorers" / f"{scorer}.md").read_text("utf-8")
    assert text.startswith(f"# `{scorer}`")
    for heading in ("Range", "Needs", "Not for", "Source"):
        assert f"**{heading}.**" in text


def test_the_providers_page_has_every_provider_with_its_default_model():
    text = (ROOT / "docs" / "providers.md").read_text("utf-8")
    table = dict(re.findall(r"^\| `([a-z]+)` \|.*\| `?([^`|]+?)`? \|$", text, re.M))
    assert list(table) == list(PROVIDERS)
    for name, model in table.items():
        default = provider_class(name).default_model
        named_by_hand = {"azure": "AZURE_OPENAI_DEPLOYMENT", "mlflow": "NAME@ALIAS"}
        assert model == (default or named_by_hand[name])


@pytest.mark.parametrize("page", ["README.md", "docs/files.md"])
def test_exit_codes_are_listed_as_they_are(page):
    text = " ".join((ROOT / page).read_text("utf-8").split())
    listed = [int(n) for n in re.findall(r"(?:^| )(\d+) [a-z ]+(?: ·|\.)", text) if int(n) < 200]
    assert [code for code in listed if code in set(ExitCode)][-len(ExitCode) :] == list(ExitCode)


def test_every_variable_of_ours_in_the_docs_is_read_somewhere():
    code = "\n".join(p.read_text("utf-8") for p in (ROOT / "llmflowlab").rglob("*.py"))
    made = re.compile(r"LLMFLOWLAB_[A-Z]+_(MODEL|RPM|TPM)")
    for page in [*PAGES, ROOT / ".env.example"]:
        for name in set(re.findall(r"LLMFLOWLAB_[A-Z_]*[A-Z]", page.read_text("utf-8"))):
            assert name in code or made.fullmatch(name), f"{name} in {page.name}"


def test_the_version_is_the_same_everywhere():
    version = llmflowlab.__version__
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert f"\nLLMFlowLab {version}\n" in (ROOT / "README.md").read_text("utf-8")


def test_the_changelog_s_newest_release_is_this_version_and_releases_go_back_in_time():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[0] == "[Unreleased]"
    form = r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)"
    releases = [known(re.fullmatch(form, heading)) for heading in headings[1:]]
    versions = [tuple(map(int, found[1].split("."))) for found in releases]
    assert ".".join(map(str, versions[0])) == llmflowlab.__version__
    assert versions == sorted(versions, reverse=True)
    dates = [found[2] for found in releases]
    assert dates == sorted(dates, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= kinds
