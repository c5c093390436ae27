"""What is killed: each scene kills one kind of program so often, and counts what is left of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

from benchmarks.harness import questions
from benchmarks.torture.people_scenes import arena, review, sheet
from benchmarks.torture.victim import PRICE, Tally, Victim
from llmflowlab.tracking.store import open_store

__all__ = ["SCENES"]

_ROWS = 40
_MODEL = "openai:bench"

Scene: TypeAlias = Callable[[Victim, int], Tally]


def evaluation(victim: Victim, kills: int) -> Tally:
    """The evaluating program, again and again until an evaluation is finished; then the next."""
    tally, data = Tally(), questions(victim.home, _ROWS)
    before: dict[str, tuple[int, Decimal]] = {}
    scene = ("evaluate", "--scorer", "exact_match", "--concurrency", "8", "--json")
    while tally.kills < kills:
        unfinished = [name for name, state in victim.evaluations() if state != "finished"]
        more = (
            ("--resume", unfinished[0])
            if unfinished
            else ("--model", _MODEL, "--data", str(data), "--fresh")
        )
        tally.kills += victim.kill_within(victim.start(*scene, *more), 3.0, asking=True)
        before = _nothing_shrank(victim, before, tally)
    for name, state in victim.evaluations():
        if state != "finished":
            victim.whole(*scene, "--resume", name)
    _nothing_shrank(victim, before, tally)
    victim.deliver()
    for name, _ in victim.evaluations():
        victim.check_evaluation(name, _ROWS, tally)
    return tally


def _nothing_shrank(
    victim: Victim, before: dict[str, tuple[int, Decimal]], tally: Tally
) -> dict[str, tuple[int, Decimal]]:
    """See that what was answered and paid before a kill is there after it, to the cent."""
    now = victim.paid()
    for name, (answers, cost) in before.items():
        kept, paid = now.get(name, (0, Decimal(0)))
        tally.check(kept >= answers, f"{name}: {answers} answers before a kill, {kept} after it")
        tally.check(paid >= cost, f"{name}: {cost} USD before a kill, {paid} after it")
    for name, (answers, cost) in now.items():
        tally.check(cost == answers * PRICE, f"{name}: {answers} answers cost {cost} USD")
    return now


def recorder(victim: Victim, kills: int) -> Tally:
    """The process that writes an evaluation into MLflow, while the evaluation goes on."""
    tally, data = Tally(), questions(victim.home, _ROWS)
    while tally.kills < kills:
        program = victim.start(
            *("evaluate", "--model", _MODEL, "--data", str(data), "--fresh"),
            *("--scorer", "exact_match", "--concurrency", "8"),
        )
        until = time.monotonic() + victim.rng.uniform(0.3, 4.0)
        child: int | None = None
        while time.monotonic() < until and (child is None or program.poll() is None):
            child = _recorder_of(program.pid) or child
            time.sleep(0.01)
        if child is not None and _kill(child):
            tally.kills += 1
        assert program.wait() == 0
    victim.deliver()
    for name, _ in victim.evaluations():
        victim.check_evaluation(name, _ROWS, tally)
    return tally


def _recorder_of(program: int) -> int | None:
    for listed in Path(f"/proc/{program}/task").glob("*/children"):
        try:
            for child in listed.read_text().split():
                if b"recorder" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        except OSError:
            continue
    return None


def _kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def chat(victim: Victim, kills: int) -> Tally:
    """A chat, while somebody talks; an answer is given once its line of numbers stands under it."""
    tally = Tally()
    given: list[str] = []
    prompts = iter(range(10**6))
    while tally.kills < kills:
        program = victim.start(
            "chat", "--model", _MODEL, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        talking = threading.Thread(target=_talk, args=(program, prompts, given))
        talking.start()
        tally.kills += victim.kill_within(program, 3.0, asking=True)
        talking.join()
        for stream in (program.stdin, program.stderr):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue
    victim.deliver()
    kept = json.loads((victim.home / "artifacts" / "openai_artifacts.json").read_bytes())
    files = Counter(record["prompt"] for record in kept)
    store = open_store(victim.settings)
    experiment = store.experiment_id("LLMS_Text_Generation")
    found = victim.traces(experiment)
    traces = Counter(str(trace.info.request_preview) for trace in found)
    for prompt in given:
        tally.check(files[prompt] == 1, f"{prompt} is {files[prompt]} times in the files")
        tally.check(traces[prompt] == 1, f"{prompt} is {traces[prompt]} times in MLflow")
    cost = sum((Decimal(str(record["cost_usd"])) for record in kept), Decimal(0))
    whole = sum(record["finish_reason"] == "stop" for record in kept)
    tally.check(cost >= whole * PRICE, f"{cost} USD of {whole} whole answers in the files")
    runs = store.client.search_runs([experiment])
    told = sum(Decimal(str(run.data.metrics.get("total_cost_estimate", 0))) for run in runs)
    tally.check(abs(told - cost) < PRICE / 100, f"{told} of {cost} USD in MLflow")
    tally.cost += cost
    running = store.client.search_runs([experiment], "attributes.status = 'RUNNING'")
    tally.check(not running, f"{len(running)} sessions are still RUNNING")
    return tally


def _talk(program: subprocess.Popen[str], prompts: Iterator[int], given: list[str]) -> None:
    """Ask one thing after another; note what got its line of numbers."""
    assert program.stdin is not None
    assert program.stderr is not None
    try:
        while True:
            prompt = f"q{next(prompts)}"
            program.stdin.write(prompt + "\n")
            program.stdin.flush()
            for line in program.stderr:
                if " tokens · " in line:
                    given.append(prompt)
                    break
            else:
                return
    except (BrokenPipeError, ValueError):
        return


def report(victim: Victim, kills: int) -> Tally:
    """Writing an evaluation's files again: the old ones or the new ones, never half of one."""
    tally, data = Tally(), questions(victim.home, _ROWS)
    victim.whole("evaluate", "--model", _MODEL, "--data", str(data), "--json")
    ((name, _),) = victim.evaluations()
    folder = victim.home / "again"
    while tally.kills < kills:
        tally.kills += victim.kill_within(
            victim.start("report", name, "--output", str(folder)), 1.5
        )
        page, document = folder / "report.html", folder / "evaluation.json"
        if page.exists():
            whole = page.read_text(encoding="utf-8").rstrip().endswith("</html>")
            tally.check(whole, "half a report.html")
        if document.exists():
            tally.check(json.loads(document.read_bytes())["evaluation_id"] == name, "another file")
    victim.whole("report", name, "--output", str(folder))
    return tally


def promotion(victim: Victim, kills: int) -> Tally:
    """Making a version the champion: one is at any instant, and the next attempt goes on."""
    tally, data = Tally(), questions(victim.home, 10)
    for temperature in ("0.1", "0.2"):
        victim.whole(
            *("chat", "--model", _MODEL, "--temperature", temperature, "--message", "q1", "--wait")
        )
    promote = ("registry", "promote", "--benchmark", str(data), "--margin", "0.5")
    victim.whole(*promote, "llm_openai_chat/1")
    while tally.kills < kills:
        tally.kills += victim.kill_within(victim.start(*promote, "llm_openai_chat/2"), 12.0)
        if _champion(victim) == "2":
            victim.whole("registry", "rollback", "llm_openai_chat")
        tally.check(_champion(victim) == "1", f"the champion is {_champion(victim)}")
    victim.whole(*promote, "llm_openai_chat/2")
    tally.check(_champion(victim) == "2", f"in the end the champion is {_champion(victim)}")
    versions = open_store(victim.settings).client.search_model_versions("name = 'llm_openai_chat'")
    tally.check(len(versions) == 2, f"{len(versions)} versions")
    return tally


def _champion(victim: Victim) -> str:
    client = open_store(victim.settings).client
    return str(client.get_model_version_by_alias("llm_openai_chat", "champion").version)


SCENES: dict[str, tuple[Scene, float]] = {
    "evaluation": (evaluation, 0.3),
    "recorder": (recorder, 0.2),
    "chat": (chat, 0.15),
    "promotion": (promotion, 0.05),
    "report": (report, 0.05),
    "sheet": (sheet, 0.05),
    "review": (review, 0.1),
    "arena": (arena, 0.1),
}
"""Each with its share of the kills."""


def instants(seed: int, scene: str) -> random.Random:
    """Return what chooses a scene's instants: the same for the same seed."""
    return random.Random(f"{seed}-{scene}")
