"""Who leads the arena: the same ranks, points and intervals at every door."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.lab.arena import Arena, Said
from llmflowlab.lab.arena_boards import boards
from llmflowlab.lab.arena_request import ArenaRequest
from llmflowlab.lab.deliverer import deliver
from llmflowlab.lab.lab import Lab
from llmflowlab.people.leaderboard import TIES, Place
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings, load_settings
from tests.doors.evaluated import said
from tests.e2e.stored import Everything
from tests.lab.test_arena import Seen

NAMES = ("one", "two", "three")
RANK = {f"scripted:{name}": place for place, name in enumerate(NAMES)}


def votes(fought: Any, number: int) -> Said:
    if number % 5 == 4:
        return "both_bad" if number % 2 else "tie"
    left, right = (RANK[side.candidate.model] for side in fought.sides)
    return "left" if left < right else "right"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, migrated_db: Path) -> Settings:
    home = tmp_path_factory.mktemp("home")
    (home / "mlflow.db").write_bytes(migrated_db.read_bytes())
    return load_settings({}, cwd=home, stdin_is_terminal=False)


@pytest.fixture(scope="module")
def places(settings: Settings) -> list[Place]:
    models = {
        f"scripted:{name}": ScriptedProvider(default=f"I am {name}.", model=name, settings=settings)
        for name in NAMES
    }
    lab = Lab(settings, build=lambda reference: models[reference])
    request = ArenaRequest(models=list(models), seed=2, person="Ann", pairing="random")
    with closing(Arena(lab, request)) as arena:
        for number in range(20):
            fought = arena.fight(f"Question {number}?", Seen())
            arena.vote(fought, votes(fought, number))
    assert deliver(settings, linger=0, patience=0, sleep=lambda seconds: None)
    found = boards(settings).people
    assert found is not None
    assert [place.contestant.model for place in found.places] == list(RANK)
    assert found.places[0].points > 1100
    return list(found.places)


@pytest.fixture
def home(settings: Settings, places: list[Place], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(settings.home))
    return settings.home


def cells(place: Place) -> list[str]:
    return [
        place.ranks,
        place.contestant.label,
        f"{place.points:.0f}",
        f"{place.interval.low:.0f}",
        f"{place.interval.high:.0f}",
    ]


def test_the_document_and_the_artifact_say_the_same(
    home: Path, settings: Settings, places: list[Place]
) -> None:
    document = json.loads(said("arena", "leaderboard", "--json"))
    assert document["people"]["contestants"] == [place.to_json() for place in places]
    assert document["tie_model"] == TIES
    stored = Everything(settings)
    (run,) = stored.arenas()
    file = Path(stored.client.download_artifacts(run.info.run_id, "leaderboard.json"))
    assert json.loads(file.read_text("utf-8")) == document


def test_the_screen_and_the_page_say_it_in_the_same_digits(
    home: Path, settings: Settings, places: list[Place], tmp_path: Path
) -> None:
    shown = said("arena", "leaderboard", "--html", str(tmp_path / "board.html"))
    stored = Everything(settings)
    (run,) = stored.arenas()
    logged = Path(stored.client.download_artifacts(run.info.run_id, "leaderboard.html"))
    page = (tmp_path / "board.html").read_text("utf-8")
    assert logged.read_text("utf-8") == page
    first = page[: page.index("Points won by")]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr.*?</tr>", first)]
    assert [row[:5] for row in rows if row] == [cells(place) for place in places]
    lines = [line.split() for line in shown.splitlines()]
    for place in places:
        ranks, label, points, low, high = cells(place)
        assert any(line[:6] == [ranks, label, points, low, "to", high] for line in lines)


def test_mlflow_s_metrics_are_the_same_figures(settings: Settings, places: list[Place]) -> None:
    (run,) = Everything(settings).arenas()
    metrics = run.data.metrics
    for place in places:
        name = f"leaderboard/{place.contestant.label}"
        assert {
            key: metrics[f"{name}/{key}"]
            for key in ("points", "ci_low", "ci_high", "best_rank", "worst_rank")
        } == {
            "points": place.points,
            "ci_low": place.interval.low,
            "ci_high": place.interval.high,
            "best_rank": place.best_rank,
            "worst_rank": place.worst_rank,
        }
    assert metrics["votes"] == sum(place.battles for place in places) / 2 == 20
    assert metrics["ties"] + metrics["both_bad"] == sum(place.ties for place in places) / 2
