"""`make bench`: its table, its verdicts, and other programs that are there or not."""

from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as bench
from benchmarks import outside_people, peers
from benchmarks.harness import questions
from benchmarks.machine import Conditions, Watch
from benchmarks.peers import PEERS, Contest
from benchmarks.processes import ROOT, Timing
from benchmarks.server import verdict
from benchmarks.table import Line, line_to_json, table
from tests.known import known

PROMPTFOO, INSPECT = PEERS
MISSED = Line(
    what="evaluation, 500 rows",
    reached=3.812,
    unit="×",
    must=2,
    beyond=1.5,
    peers={"promptfoo": 4.2, "inspect_ai": None},
    note="8.1 s",
)


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for peer in PEERS:
        monkeypatch.delenv(peer.variable, raising=False)


@pytest.mark.parametrize(
    ("reached", "must", "beyond", "verdict"),
    [
        (1.2, 1.5, 1.2, "pass, beyond"),
        (1.21, 1.5, 1.2, "pass"),
        (1.5, 1.5, 1.2, "pass"),
        (1.51, 1.5, 1.2, "miss"),
        (290, 300, None, "pass"),
        (310, 300, None, "miss"),
        (7.0, None, None, "–"),
        (None, 1.5, 1.2, "–"),
    ],
)
def test_a_figure_is_held_against_what_must_be_reached(reached, must, beyond, verdict):
    line = Line(what="w", reached=reached, unit="s", must=must, beyond=beyond)
    assert line.verdict == verdict


def test_the_table_has_a_column_for_each_peer_and_a_dash_where_nothing_is_known():
    memory = Line(what="memory", reached=1234.6, unit="MB", must=300)
    text = table([MISSED, memory, Line(what="x", reached=None, unit="s")], ["promptfoo", "other"])
    head, rule, *rows, empty, note = text.splitlines()
    assert set(rule) == {"|", "-", " "}
    assert len({len(line) for line in (head, rule, *rows)}) == 1
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells == [
        ["evaluation, 500 rows", "3.81 ×", "2 ×", "1.5 ×", "miss", "4.2 ×", "–"],
        ["memory", "1235 MB", "300 MB", "–", "miss", "–", "–"],
        ["x", "–", "–", "–", "–", "–", "–"],
    ]
    assert (empty, note) == ("", "- evaluation, 500 rows: 8.1 s")


def test_json_has_null_where_nothing_is_known():
    assert line_to_json(MISSED)["verdict"] == "miss"
    assert line_to_json(MISSED)["peers"] == {"promptfoo": 4.2, "inspect_ai": None}
    unknown = line_to_json(Line(what="x", reached=None, unit="s"))
    assert (unknown["reached"], unknown["verdict"], unknown["must"]) == (None, None, None)


def test_a_peer_that_is_not_installed_is_left_out_with_a_line_how_to_install_it(
    nothing_installed, tmp_path
):
    found = {peer.name: peer.version() for peer in PEERS}
    assert found == {"promptfoo": None, "inspect_ai": None}
    assert PROMPTFOO.run(Contest(tmp_path, tmp_path / "q.csv", "u", 1, 1), {}) is None
    said = bench.report([MISSED], Conditions(2, 0.1, 0.2), found)
    assert "- promptfoo is not installed: npm install promptfoo" in said
    assert "- inspect_ai is not installed: pip install inspect-ai openai" in said
    assert "found on PATH or by INSPECT." in said
    assert "(quiet)" in said


def test_a_busy_machine_is_said_and_so_are_versions():
    said = bench.report(
        [MISSED], Conditions(2, 0.1, 1.5), {"promptfoo": "0.1.2", "inspect_ai": "0.3.4"}
    )
    assert "promptfoo 0.1.2, inspect_ai 0.3.4." in said
    assert "2 cores, load 0.1 before, others used 1.5 meanwhile (busy: times are upper" in said
    assert "is not installed" not in said


@pytest.mark.parametrize("judged", [False, True])
def test_every_peer_gets_the_same_rows_server_and_concurrency(tmp_path, judged):
    contest = Contest(tmp_path, questions(tmp_path, 3), "http://127.0.0.1:9/v1", 3, 17, judged)
    for peer, option in ((PROMPTFOO, "--max-concurrency"), (INSPECT, "--max-connections")):
        arguments = peer.arguments(contest)
        assert arguments[arguments.index(option) + 1] == "17"
    config = (tmp_path / "promptfooconfig.yaml").read_text("utf-8")
    assert f"file://{contest.data}" in config
    assert config.count(contest.url) == 1 + judged
    assert ("llm-rubric" in config, "contains" in config) == (judged, not judged)
    task = (tmp_path / "bench.py").read_text("utf-8")
    compile(task, "bench.py", "exec")
    assert f'csv_dataset("{contest.data}"' in task
    assert ("scorer=model_graded_qa(" in task, "scorer=includes()" in task) == (judged, not judged)


def test_a_peer_that_fails_or_finds_an_answer_wrong_is_no_result(monkeypatch, tmp_path):
    def ends(output, code):
        monkeypatch.setattr(
            peers, "timed", lambda command, env, cwd: Timing(1.0, 1.0, 1.0, output, code)
        )

    monkeypatch.setenv("PROMPTFOO", sys.executable)
    contest = Contest(tmp_path, tmp_path / "q.csv", "u", 2000, 1)
    ends("2,000 passed (100%)", 0)
    assert known(PROMPTFOO.run(contest, {})).wall == 1.0
    ends("1,999 passed (99.95%)", 0)
    with pytest.raises(AssertionError, match="promptfoo found answers wrong: 1,999 passed"):
        PROMPTFOO.run(contest, {})
    ends("2,000 passed (100%)\nError: out of memory\n\nNode.js v20\n", 1)
    with pytest.raises(AssertionError, match="promptfoo ended with 1: Error: out of memory"):
        PROMPTFOO.run(contest, {})


def test_every_program_that_is_named_can_measure():
    for name in (*bench.TARGETED, *bench.OTHERS):
        assert callable(bench.program(name))
    assert set(bench.LONG) <= set(bench.TARGETED)


def test_a_program_that_fails_is_a_line_and_the_others_are_not_lost(monkeypatch, capsys):
    def fails(*, quick):
        raise AssertionError("first\nthe server went away")

    def works(*, quick):
        return iter([MISSED])

    monkeypatch.setattr(bench, "program", {"startup": works, "info": fails}.__getitem__)
    monkeypatch.setattr(bench, "PEERS", [SimpleNamespace(name="promptfoo", version=lambda: "1.0")])
    assert bench.main(["--only", "info", "--only", "startup", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [line["reached"] for line in document["lines"]] == [None, 3.812]
    assert document["lines"][0]["note"] == "failed: the server went away"
    assert document["versions"]["promptfoo"] == "1.0"
    assert set(document["machine"]) == {"cores", "load_before", "others", "busy"}


def test_quick_leaves_out_what_takes_minutes_and_all_well_ends_with_0(monkeypatch, capsys):
    asked = []

    def program(name):
        def measure(*, quick):
            asked.append((name, quick))
            yield Line(what=name, reached=1, unit="s", must=1)

        return measure

    monkeypatch.setattr(bench, "program", program)
    monkeypatch.setattr(bench, "PEERS", [])
    assert bench.main(["--quick"]) == 0
    assert {quick for _, quick in asked} == {True}
    assert {name for name, _ in asked} == set(bench.TARGETED) - set(bench.LONG)
    assert capsys.readouterr().out.count("| pass |") == len(asked)


def test_a_name_that_is_no_program_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--only", "nothing"])
    assert "startup" in capsys.readouterr().err


def test_the_servers_judge_answers_each_program_in_its_form():
    lab = verdict({"messages": [], "response_format": {"type": "json_object"}})
    assert json.loads(lab)["result"] == "yes"
    inspect = verdict({"messages": [{"role": "user", "content": "end with GRADE: $LETTER"}]})
    assert inspect.endswith("GRADE: C")
    assert json.loads(verdict({"messages": []}))["pass"] is True


def test_interrupted_it_says_what_was_measured(monkeypatch, capsys):
    def program(name):
        def measure(*, quick):
            yield MISSED
            raise KeyboardInterrupt

        return measure

    monkeypatch.setattr(bench, "program", program)
    monkeypatch.setattr(bench, "PEERS", [])
    assert bench.main([]) == 130
    assert capsys.readouterr().out.count("3.81 ×") == 1


def test_what_others_use_is_what_all_used_without_our_own(monkeypatch):
    readings = iter([(10.0, 1.0, 100.0), (20.0, 6.0, 120.0), (0.0, 0.0, None), (9.0, 1.0, None)])
    monkeypatch.setattr(Watch, "_now", staticmethod(lambda: next(readings)))
    assert Watch().conditions().others == 1.5
    unknown = Watch().conditions()
    assert unknown.others is None
    assert "meanwhile" not in str(unknown)
    assert Conditions(4, 1.1, None).busy
    assert not Conditions(4, 1.0, 1.0).busy


def test_what_the_page_on_performance_says_to_run_is_understood():
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    commands = re.findall(r"-m benchmarks ([^#\n`]+)", page)
    assert {bench.options(command.split()).quick for command in commands} == {True, False}
    for peer in PEERS:
        assert f"{peer.variable}=" in page
        package = re.split(r"install |,", peer.install)[1]
        assert f"install {package}" in page or f"peers {package}" in page


def test_an_alpha_that_is_not_the_published_one_is_told_by_the_exit_code(
    tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "350"
    folder.mkdir()
    lines = [f"{unit},{('Yes', 'No')[(unit * n) % 2]}" for unit in range(12) for n in range(3)]
    text = "\n".join(["item_id,Q_overall", *lines])
    (folder / "diverse_safety_adversarial_dialog_350.csv").write_text(text, "utf-8")
    assert outside_people.main([str(tmp_path)]) == 1
    said = capsys.readouterr().out
    alpha = float(known(re.search(r"12 units, up to 3 raters: (\S+)", said))[1])
    monkeypatch.setattr(outside_people, "_ALPHAS", (alpha,))
    monkeypatch.setattr(outside_people, "_SECONDS", float("inf"))
    assert outside_people.main([str(tmp_path)]) == 0
