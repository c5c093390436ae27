from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.metering import Metering
from llmflowlab.errors import BadRequest, ConfigurationError, InputError, Overloaded
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.scorers.base import parse_scorer
from llmflowlab.evaluation.scorers.embedding import (
    Embedder,
    EmbeddingScorer,
    embedding_model,
    similarity,
)
from llmflowlab.providers.base import Embeddings, Usage
from llmflowlab.providers.factory import build
from llmflowlab.settings import load_settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter
from tests.evaluation.helpers import QUICK, TableModel, answer, dataset, metering, plan
from tests.known import known

SPEC = parse_scorer("embedding_similarity:model=table:vectors")
VECTORS = {"Paris": (1.0, 0.0), "Wien": (0.0, 1.0), "Vienna": (0.6, 0.8), "away": (-1.0, 0.0)}


class Vectors(TableModel):
    can_embed = True

    def __init__(self, settings, *failures):
        super().__init__("vectors", settings, {})
        self.asked = []
        self.failures = list(failures)

    def embed(self, texts):
        if self.failures:
            raise self.failures.pop(0)
        self.asked.append(list(texts))
        found = tuple(VECTORS.get(text, (1.0, 1.0)) for text in texts)
        return Embeddings(found, Usage(prompt_tokens=10, completion_tokens=0), "v1")


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "l.db")
    yield ledger
    ledger.close()


def embedder(settings, ledger, provider, **options):
    return Embedder(provider, ledger=ledger, policy=QUICK, metering=metering(settings), **options)


@pytest.mark.parametrize(
    ("expected", "said", "value"),
    [
        ("Paris", "Paris", 1.0),
        ("Paris", "Wien", 0.0),
        ("Wien", "Vienna", 0.8),
        ("Paris", "away", 0.0),
    ],
)
def test_the_value_is_the_cosine_and_never_below_0(
    tmp_path, settings, ledger, expected, said, value
):
    rows = dataset(tmp_path, f"question,answer\nQ,{expected}\n").rows
    scorer = EmbeddingScorer(SPEC, embedder(settings, ledger, Vectors(settings)))
    found = scorer.score(rows[0], answer(said))
    assert found.value == pytest.approx(value)
    assert found.judge == "table:vectors"


def test_the_nearest_accepted_answer_counts(tmp_path, settings, ledger):
    rows = dataset(tmp_path, "question,answer,answer_2\nQ,Paris,Wien\n").rows
    scorer = EmbeddingScorer(SPEC, embedder(settings, ledger, Vectors(settings)))
    assert scorer.score(rows[0], answer("Vienna")).value == pytest.approx(0.8)


def test_no_text_is_sent_twice_not_even_by_a_later_process(tmp_path, settings, ledger):
    rows = dataset(tmp_path, "question,answer\nQ,Paris\nR,Paris\n").rows
    first, second = Vectors(settings), Vectors(settings)
    scorer = EmbeddingScorer(SPEC, embedder(settings, ledger, first))
    scorer.score(rows[0], answer("Wien"))
    scorer.score(rows[1], answer("Vienna"))
    assert first.asked == [["Wien", "Paris"], ["Vienna"]]
    EmbeddingScorer(SPEC, embedder(settings, ledger, second)).score(rows[0], answer("Vienna"))
    assert second.asked == []


def test_many_texts_go_in_batches(settings, ledger):
    from llmflowlab.asking.stopping import Stopper

    provider = Vectors(settings)
    found, records = embedder(settings, ledger, provider).vectors(
        [f"text {i}" for i in range(130)], Stopper()
    )
    assert [len(texts) for texts in provider.asked] == [64, 64, 2]
    assert (len(found), len(records)) == (130, 3)


def test_a_failure_that_passes_is_tried_again_and_one_that_stays_is_not_scored(
    tmp_path, settings, ledger
):
    rows = dataset(tmp_path, "question,answer\nQ,Paris\n").rows
    passing = Vectors(settings, Overloaded("busy", provider="table"))
    assert EmbeddingScorer(SPEC, embedder(settings, ledger, passing)).score(
        rows[0], answer("Wien")
    ).value == pytest.approx(0.0)
    lasting = Vectors(settings, BadRequest("no such model", provider="table"))
    found = EmbeddingScorer(SPEC, embedder(settings, ledger, lasting)).score(rows[0], answer("new"))
    assert found.not_scored == "scorer_failed"
    assert "no such model" in known(found.rationale)


def test_rows_without_answer_or_expectation_ask_nothing(tmp_path, settings, ledger):
    rows = dataset(tmp_path, "question,answer\nQ,\nR,Paris\n").rows
    provider = Vectors(settings)
    scorer = EmbeddingScorer(SPEC, embedder(settings, ledger, provider))
    assert scorer.score(rows[0], answer("x")).not_scored == "no_expected_answer"
    assert scorer.score(rows[1], answer("x", state="failed")).not_scored == "answer_failed"
    assert provider.asked == []


def test_a_budget_that_is_used_up_sends_nothing(tmp_path, settings, ledger):
    class Dear(Metering):
        def worst_case(self, provider, request, most=None):
            return Decimal("0.02")

    rows = dataset(tmp_path, "question,answer\nQ,Paris\n").rows
    provider = Vectors(settings)
    how = Embedder(
        provider,
        ledger=ledger,
        policy=QUICK,
        metering=Dear(TokenCounter(), Prices(settings)),
        budget=Budget(Decimal("0.01")),
    )
    found = EmbeddingScorer(SPEC, how).score(rows[0], answer("Wien"))
    assert found.not_scored == "budget_exhausted"
    assert provider.asked == []


def test_the_evaluation_reuses_a_pair_it_has_compared_before(tmp_path, settings, ledger):
    data = dataset(tmp_path, "question,answer\nQ,Paris\n")
    for reused in (False, True):
        named = plan(
            data,
            scorers=("embedding_similarity",),
            scorer_specs=(SPEC,),
            evaluation_id=f"20260101-000000-{int(reused)}",
        )
        scoring = Scoring(
            named,
            None,
            ledger,
            {"embedding_similarity": embedder(settings, ledger, Vectors(settings))},
        )
        answers = {Cell(0, 0): answer("Vienna")}
        scoring.recall(answers)
        scoring.score_all(answers, concurrency=2)
        found = scoring.scores[Cell(0, 0)]["embedding_similarity"]
        assert found.value == pytest.approx(0.6)
        assert found.reused is reused
        assert plan_traits(named)["embedding_similarity"].kind == "grade"


@pytest.mark.parametrize("text", ["embedding_similarity", "embedding_similarity:model=a:b,x=1"])
def test_a_model_must_be_named(text):
    with pytest.raises(InputError, match="Scorer embedding_similarity"):
        embedding_model(parse_scorer(text))


def test_a_provider_without_vectors_is_refused(settings, ledger):
    guide = build("guide:docs", settings)
    with pytest.raises(
        InputError,
        match=r"makes no embeddings here; name a model of one of ollama, openai, azure, local\.",
    ):
        embedder(settings, ledger, guide)
    with pytest.raises(ConfigurationError):
        guide.embed(["x"])


@pytest.mark.parametrize("reference", ["ollama:nomic-embed-text", "openai:text-embedding-3-small"])
def test_real_sdks_bring_vectors_with_their_tokens_and_cost(
    loopback, requests_allowed, ledger, tmp_path, reference
):
    rows = dataset(tmp_path, "question,answer\nQ,the red house\n").rows
    settings = load_settings(loopback.environment(), cwd=tmp_path, stdin_is_terminal=False)
    provider = build(reference, settings)
    scorer = EmbeddingScorer(SPEC, embedder(settings, ledger, provider))
    same = scorer.score(rows[0], answer("the red house"))
    near = scorer.score(rows[0], answer("the red door"))
    provider.close()
    assert same.value == pytest.approx(1.0)
    assert 0.2 < known(near.value) < 0.99
    assert (same.prompt_tokens, near.prompt_tokens) == (3, 3)
    assert Decimal(known(near.cost_usd)) >= 0
    assert (Decimal(known(near.cost_usd)) > 0) == reference.startswith("openai")


@given(
    a=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
    b=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
)
def test_similarity_is_symmetric_and_between_0_and_1(a, b):
    assert 0.0 <= similarity(a, b) <= 1.0
    assert similarity(a, b) == pytest.approx(similarity(b, a))
