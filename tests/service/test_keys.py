"""Keys, their pace, and a day's money."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from llmflowlab.cli import main
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.service import service_state
from llmflowlab.service.service_limits import WrongKeys
from llmflowlab.service.store.allowances import (
    day_of,
    forget_days_before,
    keep_pace,
    reserve,
    settle,
    spent_on,
)
from llmflowlab.service.store.issued_keys import hashed
from llmflowlab.settings import Settings
from tests.patience import PATIENCE
from tests.service.running import in_database, key_of, revoke, running

ROOT = Path(__file__).parents[2]


def test_a_key_is_shown_once_and_kept_as_its_hash(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "keys", "make", "alice", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    secret = made["key"]
    assert len(secret) == len("lfl-") + 43
    assert main(["serve", "keys", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    (line,) = json.loads(listed)
    assert (line["name"], line["id"], line["revoked_ms"]) == ("alice", made["id"], None)
    assert secret not in listed
    files = [file.read_bytes() for file in settings.home.rglob("*") if file.is_file()]
    assert not any(secret.encode() in data for data in files)
    assert any(hashed(secret).encode() in data for data in files)
    assert main(["serve", "keys", "make", "alice"]) == 2
    assert main(["serve", "keys", "revoke", "alice"]) == 0
    assert main(["serve", "keys", "revoke", "alice"]) == 2
    assert main(["serve", "keys", "make", "a\nb"]) == 2


def test_a_revoked_key_lets_nobody_in(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is looked up again within two seconds; here at once.
    assert service_state._KEYS_FOR < 2.0
    monkeypatch.setattr(service_state, "_KEYS_FOR", 0.0)
    key = key_of(settings, "alice")
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        assert service.client.get("/v1/models", headers=key).status_code == 200
        revoke(settings, "alice")
        refused = service.client.get("/v1/models", headers=key)
        assert refused.json()["error"]["code"] == "invalid_key"
        # Without any key that holds the door does not open again to everybody.
        assert service.client.get("/v1/models").json()["error"]["code"] == "missing_key"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Basic abc",
        "Bearer",
        "lfl-x",
        "bearer\tx",
        "Bearer \udc00".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_only_a_bearer_is_let_in(settings: Settings, said: str) -> None:
    key_of(settings, "alice")
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        found = service.client.get(
            "/sessions", headers=[(b"authorization", said.encode("latin-1"))]
        )
        assert found.status_code == 401
        assert service.client.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::ffff:0.0.0.0", "192.0.2.1", "0"])
def test_without_a_key_only_this_machine_is_served(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--model", "guide", "--host", host]) == 3
    assert "serve keys make" in capsys.readouterr().err


def test_wrong_keys_are_counted_by_address() -> None:
    wrong = WrongKeys(most=2)
    wrong.note("a")
    wrong.note("a")
    with pytest.raises(Exception, match="Too many wrong keys"):
        wrong.note("a")
    wrong.note("b")


def test_a_keys_pace_is_kept_by_all_workers_together(settings: Settings) -> None:
    now = 1_000_000.0

    def ask(owner: str, at: float) -> float | None:
        return in_database(settings, lambda c: keep_pace(c, owner, 3, at))

    assert [ask("a", now) for _ in range(3)] == [None] * 3
    late = ask("a", now)
    assert late is not None
    assert late == pytest.approx(20.0)
    assert ask("b", now) is None
    assert ask("a", now + late) is None
    # A clock that was set back by a year locks nobody out for longer than a minute.
    assert (ask("a", now - 3e7) or 0) <= 60.0


def test_money_set_aside_is_taken_until_it_is_settled_or_the_day_ends(settings: Settings) -> None:
    day, cap, one = day_of(0.0), Decimal(1), Decimal("0.4")

    def take(id_: str) -> bool:
        return in_database(settings, lambda c: reserve(c, id_, day, one, cap))

    assert [take("a"), take("b"), take("c")] == [True, True, False]
    in_database(settings, lambda c: settle(c, "a", day, Decimal("0.1")))
    in_database(settings, lambda c: settle(c, "a", day, Decimal("0.1")))
    assert take("c")
    spent, held = in_database(settings, lambda c: spent_on(c, day))
    assert (spent, held) == (Decimal("0.1"), Decimal("0.8"))
    assert in_database(settings, lambda c: reserve(c, "d", "1970-01-02", one, cap))
    in_database(settings, lambda c: forget_days_before(c, "1970-01-02"))
    assert in_database(settings, lambda c: spent_on(c, day)) == (0, 0)


RACER = """
import sys
from decimal import Decimal
from pathlib import Path
from llmflowlab.service.store.allowances import reserve
from llmflowlab.service.store.service_database import address_of, opened, writing
from llmflowlab.settings import load_settings

engine = opened(address_of(load_settings(stdin_is_terminal=False)))
sys.stdin.read()
took = 0
for number in range(32):
    with writing(engine) as c:
        took += reserve(c, f"{sys.argv[1]}.{number}", "2026-01-01", Decimal("0.1"), Decimal(2))
print(took)
"""


def test_two_processes_never_take_more_than_there_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_database(settings, lambda connection: None)
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(settings.home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
        racer.stdin = None
    took = [int(racer.communicate(timeout=PATIENCE)[0]) for racer in racers]
    assert sum(took) == 20
    assert in_database(settings, lambda c: spent_on(c, "2026-01-01")) == (0, Decimal(2))
