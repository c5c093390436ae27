"""A set of answers that address the judge: none leaves its block, and none becomes a verdict."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from llmflowlab.asking.stopping import Stopper
from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.judging.judge import Judge
from llmflowlab.evaluation.judging.judge_kinds import KINDS, JudgeKind
from llmflowlab.evaluation.judging.pairwise import PreferenceScorer
from llmflowlab.evaluation.judging.scorer import JudgeScorer
from llmflowlab.evaluation.judging.verdict_form import Scale, read
from llmflowlab.settings import Settings
from tests.evaluation.helpers import QUICK, TableModel, answer, metering

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


def judged_by(settings: Settings, result: str) -> tuple[TableModel, Judge]:
    said = json.dumps({"rationale": "Another city.", "result": result})
    model = TableModel("judge", settings, {"": said})
    return model, Judge(model, policy=QUICK, metering=metering(settings))


@pytest.mark.parametrize("name", KINDS)
def test_a_scorer_takes_its_judges_word_and_not_the_answers(settings: Settings, name: str) -> None:
    kind = KINDS[name]
    model, judge = judged_by(settings, AGAINST[kind.scale])
    scorer = JudgeScorer(kind, judge)
    scores = [scorer.score(ROW, answer(text)) for text in TEXTS]
    assert {score.value for score in scores} == {0.0}
    assert len(model.requests) == len(TEXTS)


def test_of_two_answers_none_gets_out_of_its_block(settings: Settings) -> None:
    model, judge = judged_by(settings, "second")
    scorer = PreferenceScorer(judge)
    for text in TEXTS:
        for asked in scorer.judgements(ROW, answer(text), {1: answer("Paris")}):
            assert asked.ask(Stopper()).value == 0.0
    blocks = ("question", "known_answer", "first_answer", "second_answer")
    for request in model.requests:
        shown = request.messages[-1].content
        assert re.findall(r"<(/?)\s*(\w+_answer|question)\b", shown) == [
            (slash, block) for block in blocks for slash in ("", "/")
        ]
