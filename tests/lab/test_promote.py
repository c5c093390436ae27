"""A promotion needs neither a terminal nor a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.promotion import PromotionTerms
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.model_registry import Registry
from llmflowlab.lab.promote import PromotionRequest, promote
from llmflowlab.settings import Settings
from tests.providers.test_mlflow_models import registered

NAME = "llm_guide_chat"


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
    assert promotion.evidence["evaluation"] == promotion.result.plan.evaluation_id
    assert {"answering", "done"} <= phases
    assert Registry(lab).find(f"{NAME}@champion").version == "1"
    run_id = promotion.result.candidates[-1].run_id
    assert run_id is not None
    # What the console once wrote by itself.
    tags = lab.store().client.get_run(run_id).data.tags
    assert tags["llmflowlab.model_name"] == NAME
    assert tags["llmflowlab.model_version"] == "1"
    assert tags["llmflowlab.promoted"] == "true"
    with pytest.raises(InputError, match="is the champion already"):
        promote(lab, request)
