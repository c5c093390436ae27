"""The house is as its page draws it, and its walls are where they are said to be.

What import-linter cannot say is here: the contracts themselves are `tool.importlinter` in
`pyproject.toml`.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.architecture import (
    PACKAGE,
    PAGE,
    ROOT,
    circles,
    drawn,
    file_arrows,
    imported,
    layers,
    modules,
    parsed,
    room_arrows,
    room_of,
)
from tests.known import known

PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
CONTRACTS = PYPROJECT.split("[[tool.importlinter.contracts]]")[1:]

SDKS = {
    "google": "providers.gemini",
    "ollama": "providers.ollama",
    "openai": "providers.openai",
    "anthropic": "providers.anthropic",
    "chainlit": "page",
}
SQL_MODULES = {
    "evaluation.run.ledger_file",
    "tracking.registry_file",
    "tracking.store_file",
    "tracking.stored_runs",
}
"""They open a SQLite file."""
SQL_TEXTS = {
    *SQL_MODULES,
    "evaluation.run.ledger",
    "people.word_store",
    "service.store.service_database",
}
"""They hold statements."""
STATEMENT = re.compile(
    r"\s*(SELECT .* FROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|CREATE (TABLE|INDEX)|PRAGMA )",
    re.IGNORECASE | re.DOTALL,
)


def short(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.")


def test_the_page_shows_the_rooms_as_they_are():
    page = PAGE.read_text("utf-8")
    assert page == drawn(page), "Run: python -m tests.architecture"


def test_no_two_files_import_each_other():
    assert circles(file_arrows()) == []


def test_no_room_imports_one_above_it():
    order = layers()
    upward = [
        (room, target)
        for room, targets in room_arrows().items()
        for target in targets
        if order.index(target) < order.index(room)
    ]
    assert upward == []


def test_the_contracts_have_no_exception_and_name_every_room():
    assert "ignore_imports" not in PYPROJECT
    rooms = {room_of(name) for name in modules()} - {""}
    assert set(layers()) == rooms
    allowed = {
        "only the console knows questionary, prompt_toolkit, rich and colorama": {"cli"},
        "only tracking, evaluation, prompts, serving and agents know mlflow": {
            *("tracking", "evaluation", "prompts", "serving", "agents"),
        },
        "nothing below the console imports argparse": {"cli"},
        # Of evaluation its rooms are named, but for the one with the ledger.
        "only the ledger and the stores know SQL": {"tracking", "service"},
    }
    seen = set()
    for contract in CONTRACTS:
        name = known(re.search(r'name = "(.*?)"', contract))[1]
        if name in allowed:
            listed = known(re.search(r"source_modules = \[(.*?)\]", contract, re.DOTALL))[1]
            named = set(re.findall(rf"{PACKAGE}\.(\w+)", listed))
            # The doorbell is the console's.
            assert named == rooms - allowed[name] - {"__main__"}, name
            seen.add(name)
    assert seen == set(allowed)


@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_is_known_to_its_family_s_folder_alone(sdk: str):
    who = {
        short(name)
        for name, path in modules().items()
        if any(each == sdk or each.startswith(f"{sdk}.") for each in imported(path))
    }
    assert who
    assert {name for name in who if not name.startswith(f"{SDKS[sdk]}.")} == set()


def test_sql_stands_in_the_ledger_and_the_stores_alone():
    opening, stating = set(), set()
    for name, path in modules().items():
        if {"sqlite3"} & {each.partition(".")[0] for each in imported(path)}:
            opening.add(short(name))
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and STATEMENT.match(node.value)
            ):
                stating.add(short(name))
    assert opening == SQL_MODULES
    assert stating <= SQL_TEXTS
    assert "evaluation.run.ledger" in stating


def test_sqlalchemy_is_known_where_mlflow_s_store_is_opened_and_in_the_service_s_own():
    who = {
        short(name)
        for name, path in modules().items()
        if "sqlalchemy" in {each.partition(".")[0] for each in imported(path)}
    }
    assert {each for each in who if not each.startswith("service.store.")} == {"tracking.store"}


def test_the_environment_is_read_once_and_written_for_mlflow_alone():
    who = {
        short(name)
        for name, path in modules().items()
        if any(
            isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv"}
            for node in ast.walk(parsed(path))
        )
    }
    # The measures of several workers come together in a folder that their library looks for there.
    assert who == {
        *("settings", "tracking.store", "evaluation.run.harness"),
        "service.service_processes",
    }


SPANS = re.compile(r"`([^`\n]+)`")
OTHERS = {"Decimal", "None"}
"""Names on the page that are not ours."""


def test_every_path_and_name_on_the_page_exists():
    text = re.sub(r"```.*?```", "", PAGE.read_text("utf-8"), flags=re.DOTALL)
    spans = set(SPANS.findall(text))
    paths = {span for span in spans if re.fullmatch(r"[\w./-]+(\.py|/)", span)}
    assert len(paths) > 30
    gone = {
        path
        for path in paths
        if not (ROOT / path).exists() and not (ROOT / PACKAGE / path).exists()
    }
    assert gone == set()
    names = {span for span in spans if re.fullmatch(r"[A-Z][a-z]\w+", span)} - OTHERS
    code = "\n".join(path.read_text("utf-8") for path in modules().values())
    assert len(names) > 10
    assert {n for n in names if not re.search(rf"^class {n}\b", code, re.M)} == set()
    for span in spans:
        if run := re.fullmatch(r"python -m ([\w.]+)(?: --check)?", span):
            assert importlib.util.find_spec(run[1]), span
        if target := re.fullmatch(r"make (\w+)", span):
            assert f"\n{target[1]}:" in (ROOT / "Makefile").read_text("utf-8"), span


EVERY_ROOM_MAY_HAVE = {"__init__.py", "base.py"}
EVERY_FAMILY_MAY_HAVE = {"provider.py", "replies.py", "wire.py"}


def test_no_class_name_stands_in_two_rooms():
    rooms = defaultdict(set)
    for name, path in modules().items():
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                rooms[node.name].add(name)
    assert {name: places for name, places in rooms.items() if len(places) > 1} == {}


def test_no_two_files_have_one_name():
    places = defaultdict(set)
    for path in modules().values():
        place = path.parent.relative_to(ROOT / PACKAGE)
        family = place.parts[:1] == ("providers",)
        if path.name in EVERY_ROOM_MAY_HAVE or (family and path.name in EVERY_FAMILY_MAY_HAVE):
            place = Path()
        places[path.name].add(place)
    # Newcomers trip over one name for two things.
    assert {name for name, found in places.items() if len(found) > 1} == set()
