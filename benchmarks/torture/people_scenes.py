"""People who judge and vote while the program is killed: what was acknowledged is kept, once."""

from __future__ import annotations

import csv
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from itertools import count
from typing import IO, TypeAlias

from benchmarks.harness import questions
from benchmarks.torture.victim import PRICE, Tally, Victim
from llmflowlab.people.word_store import WordStore
from llmflowlab.people.words import TargetKind, Word
from llmflowlab.tracking.store import open_store

__all__ = ["arena", "review", "sheet"]

_ROWS = 40
_MODEL = "openai:bench"
_PROMPT = "(/undo takes the last vote back): "

_IN_MLFLOW = {"human_verdict": "correct", "human_quality": "quality", "preference": "preference"}
"""What feedback is called there, and what was asked."""

Typing: TypeAlias = Callable[[IO[str], IO[str]], None]
"""Somebody at the keys: reads what is shown, and types."""


def review(victim: Victim, kills: int) -> Tally:
    """Judging answers line by line; a word is given once the next question is asked."""
    tally, name = Tally(), _evaluated(victim)
    given: set[tuple[str, str, str]] = set()
    people = count(1)
    person = f"reader{next(people)}"

    def judging(shown: IO[str], typed: IO[str]) -> None:
        while (text := _until(shown, "n no: ")) is not None:
            (row,) = re.findall(r"^Question: q(\d+)$", text, re.MULTILINE)
            for said, question, then in (("y", "correct", "(best): "), ("4", "quality", "\n")):
                typed.write(f"{said}\n")
                typed.flush()
                if _until(shown, then) is None:
                    return
                if question == "correct":
                    given.add((person, f"0:{row}:0", question))

    while tally.kills < kills:
        if _killed(victim, judging, 3.0, "review", name, "--as", person):
            tally.kills += 1
        else:
            person = f"reader{next(people)}"
    victim.deliver()
    kept = Counter((w.person, w.target.key, w.question) for w in _words(victim, "answer"))
    for each in given:
        tally.check(kept[each] == 1, f"{each} is {kept[each]} times among the words")
    stored = _said_in_mlflow(victim, "LLMS_Evaluation")
    for person_, key, question in kept:
        told = stored[person_, f"q{key.split(':')[1]}", question]
        tally.check(told == 1, f"{(person_, key, question)} is {told} times in MLflow")
    return tally


def arena(victim: Victim, kills: int) -> Tally:
    """Two models and a vote; it is given once the next prompt is asked for."""
    tally = Tally()
    given: set[str] = set()
    prompts = count(1)

    def voting(shown: IO[str], typed: IO[str]) -> None:
        if _until(shown, _PROMPT) is None:
            return
        for prompt in map("q{}".format, prompts):
            for said, then in ((prompt, "> "), ("1", _PROMPT)):
                typed.write(f"{said}\n")
                typed.flush()
                if _until(shown, then) is None:
                    return
            given.add(prompt)

    fight = ("arena", "--model", _MODEL, "--system", "A", "--system", "B", "--as", "voter")
    while tally.kills < kills:
        tally.kills += _killed(victim, voting, 3.0, *fight)
    victim.deliver()
    votes = Counter(str(word.details["prompt"]) for word in _words(victim, "battle"))
    stored = _said_in_mlflow(victim, "LLMS_Arena")
    for prompt in given:
        tally.check(votes[prompt] == 1, f"{prompt} has {votes[prompt]} votes")
    for prompt in votes:
        # One on each of the two answers.
        told = stored["voter", prompt, "preference"]
        tally.check(told == 2, f"{prompt} has {told} assessments in MLflow")
    store = open_store(victim.settings)
    experiment = store.experiment_id("LLMS_Arena")
    answers = len(victim.traces(experiment))
    runs = store.client.search_runs([experiment])
    cost = sum(Decimal(str(run.data.metrics["total_cost_estimate"])) for run in runs)
    tally.check(abs(cost - answers * PRICE) < PRICE / 100, f"{cost} USD of {answers} answers")
    tally.cost += cost
    tally.check(all(run.info.status != "RUNNING" for run in runs), "an arena is still RUNNING")
    return tally


def sheet(victim: Victim, kills: int) -> Tally:
    """Bringing a judged spreadsheet in: each verdict is kept once, however often it was interrupted."""
    tally, name = Tally(), _evaluated(victim)
    out = victim.home / "sheet.csv"
    victim.whole("review", "export", name, "--output", str(out))
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["correct"] = "yes" if number % 3 else "no"
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    importing = ("review", "import", str(out), "--as", "reader")
    while tally.kills < kills:
        tally.kills += victim.kill_within(victim.start(*importing), 4.0)
        words = len(_words(victim, "answer"))
        tally.check(words in {0, _ROWS}, f"{words} of {_ROWS} verdicts of a sheet were taken in")
    victim.whole(*importing)
    victim.deliver()
    stored = _said_in_mlflow(victim, "LLMS_Evaluation")
    tally.check(len(stored) == _ROWS, f"{len(stored)} of {_ROWS} verdicts in MLflow")
    for said, times in stored.items():
        tally.check(times == 1, f"{said} is {times} times in MLflow")
    return tally


def _evaluated(victim: Victim) -> str:
    data = questions(victim.home, _ROWS)
    scorer = ("--scorer", "exact_match")
    victim.whole("evaluate", "--model", _MODEL, "--data", str(data), *scorer, "--json")
    ((name, _),) = victim.evaluations()
    return name


def _words(victim: Victim, kind: TargetKind) -> list[Word]:
    with closing(WordStore(victim.settings.people_file)) as words:
        return words.words(kind)


def _said_in_mlflow(victim: Victim, experiment: str) -> Counter[tuple[str, str, str]]:
    """Count what people said by person, prompt and what was asked."""
    traces = victim.traces(open_store(victim.settings).experiment_id(experiment))
    return Counter(
        (str(said.source.source_id), str(trace.info.request_preview), _IN_MLFLOW[said.name])
        for trace in traces
        for said in trace.info.assessments
        if said.name in _IN_MLFLOW
    )


def _killed(victim: Victim, typing: Typing, seconds: float, *arguments: str) -> bool:
    """Start a program with somebody at its keys, and kill it; False where it ended before."""
    program = victim.start(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    shown, typed = program.stdout, program.stdin
    assert shown is not None
    assert typed is not None

    def sit() -> None:
        try:
            typing(shown, typed)
            typed.close()
        except (BrokenPipeError, ValueError):
            # Killed while something was typed.
            return

    sitting = threading.Thread(target=sit)
    sitting.start()
    killed = victim.kill_within(program, seconds)
    sitting.join()
    for stream in (shown, typed):
        try:
            stream.close()
        except BrokenPipeError:
            continue
    return killed


def _until(shown: IO[str], mark: str) -> str | None:
    """Read up to a mark; None where the program ends before it."""
    text = ""
    while not text.endswith(mark):
        if not (character := shown.read(1)):
            return None
        text += character
    return text
