"""A promotion needs neither a terminal nor a command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from llmflowlab.evaluation.conclude.promotion import PromotionTerms
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.model_registry import Registry
from llmflowlab.lab.promote import PromotionRequest, promote
from llmflowlab.lab.review import ReviewRequest, begin_review
from llmflowlab.people.answer_words import keep_verdicts, kept_verdicts
from llmflowlab.people.rubric import DEFAULT, Rubric
from llmflowlab.settings import Settings
from llmflowlab.tracking.aliases import set_stage
from tests.known import known
from tests.providers.test_mlflow_models import registered

NAME = "llm_guide_chat"
CORRECT = DEFAULT.questions[0]


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    file = tmp_path / "questions.csv"
    rows = "".join(f'"What is a run, number {n}?",MLflow\n' for n in range(12))
    file.write_text("question,answer\n" + rows, encoding="utf-8")
    return file


def test_a_promotion_is_a_value_and_leaves_its_evidence(
    mlflow_home: Path, settings: Settings, benchmark: Path
) -> None:
    registered(settings, "one", "two")
    lab, phases = Lab(settings), set()
    request = PromotionRequest(
        version=f"{NAME}/1", benchmark=benchmark, terms=PromotionTerms(scorer="contains")
    )
    promotion = promote(lab, request, lambda snapshot: phases.add(snapshot.phase))
    assert promotion.promoted
    assert promotion.champion is None
    assert promotion.decision is not None
    assert promotion.decision.verdict == "no_champion"
    assert promotion.evidence["evaluation"] == known(promotion.result).plan.evaluation_id
    assert {"answering", "done"} <= phases
    assert Registry(lab).find(f"{NAME}@champion").version == "1"
    run_id = known(promotion.result).candidates[-1].run_id
    assert run_id is not None
    # What the console once wrote by itself.
    tags = lab.store().client.get_run(run_id).data.tags
    assert tags["llmflowlab.model_name"] == NAME
    assert tags["llmflowlab.model_version"] == "1"
    assert tags["llmflowlab.promoted"] == "true"
    assert Registry(lab).find(f"{NAME}@champion").stage == "Production"


def test_promoting_the_reigning_champion_is_done_and_asks_nobody(
    mlflow_home: Path, settings: Settings, benchmark: Path
) -> None:
    registered(settings, "one", "two")
    lab = Lab(settings)
    request = PromotionRequest(
        version=f"{NAME}/1", benchmark=benchmark, terms=PromotionTerms(scorer="contains")
    )
    assert promote(lab, request).promoted
    set_stage(lab.store().client, NAME, "1", "Archived")
    again = promote(lab, request, lambda snapshot: pytest.fail("somebody was asked"))
    assert (again.promoted, again.result, again.decision) == (True, None, None)
    assert Registry(lab).find(f"{NAME}@champion").stage == "Production"
    assert len(Registry(lab).champion_history(again.version)) == 1


def judge(lab: Lab, evaluation: str, says: Callable[[str | None, int], str], rows: int) -> None:
    request = ReviewRequest(
        name=evaluation, person="ada", sample=rows, show_models=True, rubric=Rubric((CORRECT,))
    )
    with closing(begin_review(lab, request)) as review:
        while review.done_because is None:
            review.say(says(review.shown.model, review.place))


def test_a_promotion_may_demand_that_people_have_judged_both_and_do_not_object(
    mlflow_home: Path, settings: Settings, benchmark: Path
) -> None:
    registered(settings, "one", "two")
    lab = Lab(settings)
    terms = PromotionTerms(scorer="contains", margin=0.5)
    first = PromotionRequest(version=f"{NAME}/1", benchmark=benchmark, terms=terms)
    assert promote(lab, first).promoted
    request = replace(first, version=f"{NAME}/2", human=8)
    refused = promote(lab, request)
    evaluation = known(refused.result).plan.evaluation_id
    assert not refused.promoted
    reason = known(refused.decision).reasons[0]
    assert reason.startswith("people have judged the answers to 0 of the 8 questions asked for; ")
    assert f"review {evaluation} --sample 8`" in reason

    judge(lab, evaluation, lambda model, place: "no" if "/2" in str(model) else "yes", 8)
    # Another evaluation, in which the same answers stand again: nobody is asked twice.
    contradicted = promote(lab, request)
    assert known(contradicted.result).plan.evaluation_id != evaluation
    assert not contradicted.promoted
    assert (
        known(contradicted.decision)
        .reasons[0]
        .startswith("people find it worse: -100.0 points on 8")
    )
    assert known(contradicted.people).to_json()["difference"] == -1.0

    with closing(lab.words()) as words:
        said = kept_verdicts(words, evaluation)
        keep_verdicts(words, evaluation, [replace(verdict, said="yes") for verdict in said])
    accepted = promote(lab, request)
    assert accepted.promoted
    assert (
        known(accepted.decision)
        .reasons[-1]
        .startswith("people who judged 8 rows do not contradict")
    )
    assert (accepted.evidence["human_rows"], accepted.evidence["human_difference"]) == ("8", "0")
