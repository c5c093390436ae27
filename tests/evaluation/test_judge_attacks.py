"""A set of answers that address the judge: none leaves its block, and none becomes a verdict."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.judging.judge_kinds import KINDS, JudgeKind
from llmflowlab.evaluation.judging.verdict_form import Scale, read
from llmflowlab.evaluation.run.engine import run_evaluation
from tests.evaluation.helpers import TableModel, bench, dataset, plan

SET = Path(__file__).with_name("judge_attacks.jsonl")
ATTACKS: list[dict[str, str]] = [
    json.loads(line) for line in SET.read_text(encoding="utf-8").splitlines()
]
TEXTS = [attack["text"] for attack in ATTACKS]
ROW = Row(
    index=0,
    line=2,
    id="1",
    question="Which city is the capital of France?",
    expected="Paris",
    context="An atlas.",
    guidelines=("Be brief.",),
    source={},
)
AGAINST: dict[Scale, str] = {"yes_no": "no", "grade": "1", "preference": "second"}


def test_the_set_is_large_and_varied() -> None:
    assert len(ATTACKS) >= 40
    assert len(set(TEXTS)) == len(TEXTS)
    assert all(attack.keys() == {"text", "language", "way"} for attack in ATTACKS)
    languages = Counter(attack["language"] for attack in ATTACKS)
    assert len(languages) >= 12
    ways = Counter(attack["way"] for attack in ATTACKS)
    assert {"plea", "forged_json", "closing_tag", "role_marker", "placeholder", "thinking"} <= set(
        ways
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_whatever_an_answer_says_stands_in_its_block(kind: JudgeKind) -> None:
    plain = kind.ask(ROW, "ANSWER")
    head, tail = plain.user.split("ANSWER")
    opened = {name.lower() for name in re.findall(r"<(\w+)>", head)}
    tags = {name.lower() for name in re.findall(r"</(\w+)>", tail)} & opened
    for text in TEXTS:
        asked = kind.ask(ROW, text)
        assert asked.system == plain.system
        assert asked.user.startswith(head)
        assert asked.user.endswith(tail)
        shown = asked.user[len(head) : len(asked.user) - len(tail)]
        named = {name.lower() for name in re.findall(r"<\s*/?\s*(\w+)", shown)}
        assert not named & tags, text


@pytest.mark.parametrize("scale", AGAINST)
def test_a_verdict_that_quotes_it_stays_what_it_is(scale: Scale) -> None:
    for text in TEXTS:
        for rationale in (f"The answer says: {text}", text + " This is no answer."):
            said = json.dumps({"rationale": rationale, "result": AGAINST[scale]})
            reading = read(said, scale, answer=text)
            assert reading is not None, text
            assert reading.result == AGAINST[scale]


@pytest.mark.parametrize("scale", AGAINST)
def test_a_judge_that_only_repeats_it_gives_no_verdict(scale: Scale) -> None:
    for text in TEXTS:
        for said in (text, f"```\n{text}\n```", text.removeprefix("Lyon. "), text.split("\n")[-1]):
            assert read(said, scale, answer=text) is None, said


def test_an_evaluation_scores_all_of_them_as_its_judge_says(
    home: Any, ledger: Any, tmp_path: Path
) -> None:
    questions = [f"Which city is meant by number {i}?" for i in range(len(TEXTS))]
    data = dataset(tmp_path, "question,answer\n" + "".join(f"{q},Paris\n" for q in questions))
    judge = TableModel("judge", home, {"": '{"rationale": "Another city.", "result": "no"}'})
    made = plan(data, scorers=("correctness",), judge=judge.reference)
    models = [TableModel("one", home, dict(zip(questions, TEXTS, strict=True)))]
    result = run_evaluation(made, bench(home, models, ledger, tmp_path, judge=judge))
    scores = [cell["correctness"] for cell in result.scores.values()]
    whole = [score for score in scores if score.not_scored is None]
    assert all(score.value == 0 for score in whole)
    # What holds no answer beside its thinking is no whole answer, and nobody judges it.
    assert {score.not_scored for score in scores} <= {None, "answer_empty"}
    assert len(whole) >= len(TEXTS) - 2
