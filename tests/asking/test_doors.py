"""The same call through every door of the lab: one count of tokens, one cost, one charge for failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.agents import live
from llmflowlab.agents.config import read_agent_config
from llmflowlab.agents.core import AgentCore
from llmflowlab.agents.steps import Step
from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import Limiter, Pacer
from llmflowlab.candidate import Candidate
from llmflowlab.cli.chat.stats import cost_lines
from llmflowlab.cli.chat.stream import SilentView
from llmflowlab.cli.chat.turn_line import summary_line
from llmflowlab.errors import ContextTooLong, LabError, Overloaded, TimedOut
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import KINDS, Judge, JudgeScorer
from llmflowlab.evaluation.run.answering import Answering
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.ledger_upkeep import kept_evaluations
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.scorers.base import parse_scorer
from llmflowlab.evaluation.scorers.embedding import Embedder, EmbeddingScorer
from llmflowlab.lab.chat_session import Chat
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Finished, Provider, TextDelta, Usage, UsageReport
from llmflowlab.providers.factory import build
from llmflowlab.providers.scripted import Script
from llmflowlab.settings import Settings, load_settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.tokens import TokenCounter
from llmflowlab.tracking.summaries import summarise
from tests.asking.priced import POLICY, Priced
from tests.cli.fakes import FakeApp
from tests.evaluation.helpers import answer, dataset, plan
from tests.known import known

ONE = "question,answer\nWhy is the sky blue?,It scatters\n"
EVALUATION = "20260101-000000-abcd"
RATES = {"input_per_million": "1000", "output_per_million": "1000"}
"""A thousandth of a dollar a token."""
VERDICT = json.dumps({"rationale": "so", "result": "yes"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    names = ("scripted:model", "openai:gpt-4.1-mini")
    prices = json.dumps(dict.fromkeys(names, RATES))
    (tmp_path / "prices.json").write_text(prices, encoding="utf-8")
    return load_settings({}, cwd=tmp_path, stdin_is_terminal=False)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "evaluations.db")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def pause(stop: threading.Event, seconds: float) -> float:
        return seconds

    monkeypatch.setattr("llmflowlab.asking.waiting.pause", pause)


def said(text: str) -> Script:
    usage = Usage(prompt_tokens=4, completion_tokens=1)
    return [TextDelta(text), UsageReport(usage), Finished("stop")]


def counted_failure() -> Script:
    busy = Overloaded("busy", provider="scripted", status=503)
    return [UsageReport(Usage(prompt_tokens=1000, completion_tokens=0)), busy]


def silence() -> Script:
    return TimedOut("silence", provider="scripted")


def meter(settings: Settings) -> Metering:
    return Metering(TokenCounter(), Prices(settings))


def made(home: Path, text: str = ONE, **options: Any) -> EvaluationPlan:
    asked = Candidate(
        model=options.pop("model", "scripted:model"),
        display_name="Scripted",
        supplier="LLMFlowLab",
        parameters=options.pop("parameters", Parameters(max_tokens=50)),
    )
    return plan(dataset(home, text), candidates=[asked], evaluation_id=EVALUATION, **options)


def evaluated(
    asked: EvaluationPlan,
    provider: Provider,
    ledger: Ledger,
    *,
    cap: Decimal | None = None,
    policy: CallPolicy = POLICY,
    workers: int = 1,
) -> tuple[Answering, Budget]:
    budget = Budget(cap)
    ledger.begin(asked, "2026-01-01 00:00:00")
    how = Answering(
        asked,
        [provider],
        ledger,
        limiters=[Limiter(Pacer(workers))],
        concurrency=workers,
        policy=policy,
        metering=meter(provider.settings),
        reused={},
        budget=budget,
    )
    how.start()
    how.join()
    return how, budget


def chatted(provider: Provider) -> Chat:
    app = FakeApp(provider.settings, providers=[provider])
    chat = Chat(app.lab, provider)
    chat.ask("Why is the sky blue?", SilentView(app.screen, "Scripted"))
    return chat


class Noting(Step):
    """A step that keeps what is noted of it, and of the steps within it."""

    def __init__(self) -> None:
        super().__init__(None)
        self.facts: dict[str, Any] = {}

    def note(self, **attributes: Any) -> None:
        self.facts |= attributes

    def used(self, prompt: int, completion: int) -> None:
        self.facts["tokens"] = (prompt, completion)


def by_chat(provider: Priced, ledger: Ledger) -> Decimal | None:
    return chatted(provider).turns[0].cost


def by_evaluation(provider: Priced, ledger: Ledger) -> Decimal | None:
    how, budget = evaluated(made(provider.settings.home), provider, ledger)
    (record,) = how.answers.values()
    (kept,) = kept_evaluations(ledger)
    assert budget.spent == ledger.spent(EVALUATION) == kept.cost_usd == record.spent
    assert how.progress[0].cost == record.spent
    return record.spent


def by_judge(provider: Priced, ledger: Ledger) -> Decimal | None:
    budget = Budget(None)
    judge = Judge(provider, policy=POLICY, metering=meter(provider.settings), budget=budget)
    row = dataset(provider.settings.home, ONE).rows[0]
    cost = JudgeScorer(KINDS["correctness"], judge).score(row, answer("It scatters")).cost_usd
    assert cost is not None
    assert budget.spent == Decimal(cost)
    return budget.spent


def by_agent(provider: Priced, ledger: Ledger) -> Decimal | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "build", lambda reference, settings: provider)
        core = AgentCore(read_agent_config({"provider": "gemini", "model": "m"}))
    step = Noting()
    request = Request(messages=(Message("user", "Why is the sky blue?"),))
    # What it cost is noted of a call that failed as well.
    with suppress(LabError):
        core.answer(request, step)
    return Decimal(str(step.facts["cost_usd"]))


Door = Callable[[Priced, Ledger], "Decimal | None"]
DOORS = [by_chat, by_evaluation, by_judge, by_agent]


@pytest.mark.parametrize("door", DOORS)
def test_a_failed_try_that_reported_tokens_costs_the_same_through_every_door(
    settings: Settings, ledger: Ledger, door: Door
) -> None:
    # 0.005 in chat, 0.005 on the leaderboard, 1.005 in the ledger and for a judge, it once was.
    provider = Priced([counted_failure(), said(VERDICT)], settings=settings)
    assert door(provider, ledger) == Decimal("1.005")


@pytest.mark.parametrize("door", DOORS)
def test_a_silent_try_is_charged_at_its_worst_case_through_every_door(
    settings: Settings, ledger: Ledger, door: Door
) -> None:
    provider = Priced([silence(), said(VERDICT)], settings=settings)
    cost = door(provider, ledger)
    worst = meter(settings).worst_case(provider, provider.requests[0])
    assert worst is not None
    assert cost == worst + Decimal("0.005")


@pytest.mark.parametrize("door", DOORS)
def test_a_call_whose_every_try_failed_is_charged_through_every_door(
    settings: Settings, ledger: Ledger, door: Door
) -> None:
    provider = Priced(default=lambda request: counted_failure(), settings=settings)
    assert door(provider, ledger) == len(provider.requests)


def test_an_embedding_charges_its_failed_tries_too(settings: Settings, ledger: Ledger) -> None:
    # Money that a failed try had cost was once given back to the budget, and the score named none.
    budget = Budget(None)
    provider = Priced([silence(), [UsageReport(Usage(prompt_tokens=7))]], settings=settings)
    how = Embedder(provider, ledger=ledger, policy=POLICY, metering=meter(settings), budget=budget)
    scorer = EmbeddingScorer(parse_scorer("embedding_similarity:model=scripted:model"), how)
    row = dataset(settings.home, ONE).rows[0]
    score = scorer.score(row, answer("It glows"))
    assert score.value is not None
    assert score.cost_usd is not None
    assert Decimal(score.cost_usd) == budget.spent > Decimal("0.007")

    failing = Priced(default=silence(), settings=settings)
    lost = Budget(None)
    how = Embedder(failing, ledger=ledger, policy=POLICY, metering=meter(settings), budget=lost)
    scorer = EmbeddingScorer(parse_scorer("embedding_similarity:model=scripted:model"), how)
    score = scorer.score(row, answer("It does not glow"))
    assert (score.not_scored, score.rationale) == ("scorer_failed", "silence Tried 5 times.")
    assert score.cost_usd == str(lost.spent)
    assert lost.spent > 0


def test_tokens_are_counted_alike_through_every_door(settings: Settings, ledger: Ledger) -> None:
    script: Script = [TextDelta("It scatters"), Finished("stop")]
    turn = chatted(Priced([script], settings=settings)).turns[0]
    how, _ = evaluated(made(settings.home), Priced([script], settings=settings), ledger)
    record = how.answers[Cell(0, 0)]
    assert (turn.prompt_tokens, turn.completion_tokens, turn.tokens_estimated) == (
        record.prompt_tokens,
        record.completion_tokens,
        True,
    )
    assert record.tokens_estimated
    assert turn.cost == record.spent


# Chat


def test_a_turn_says_what_its_failed_tries_cost(settings: Settings) -> None:
    turn = chatted(Priced([counted_failure(), said("Dust.")], settings=settings)).turns[0]
    assert (turn.cost_usd, turn.wasted_usd, turn.wasted) == ("1.005", "1", Decimal(1))
    assert "$1.00 ($1.00 of it for failed tries)" in summary_line(turn)


def test_a_turn_whose_every_try_failed_keeps_its_tokens_and_counts_in_its_session(
    settings: Settings,
) -> None:
    chat = chatted(Priced(default=lambda request: counted_failure(), settings=settings))
    (turn,) = chat.turns
    assert (turn.state, turn.prompt_tokens, turn.completion_tokens) == ("failed", 5000, 0)
    assert turn.cost == Decimal(5)
    assert chat._start is not None
    assert summarise(chat._start, chat.turns, run_id=None).cost == Decimal(5)
    assert cost_lines(chat.turns) == ["  cost       $5.00"]


def test_a_silent_turn_counts_in_its_session_though_nobody_counted_its_tokens(
    settings: Settings,
) -> None:
    chat = chatted(Priced(default=silence(), settings=settings))
    assert chat._start is not None
    total = summarise(chat._start, chat.turns, run_id=None).cost
    assert total is not None
    assert total == known(chat.turns[0].cost) > 0


def test_a_prompt_that_had_to_be_shortened_is_one_turn_with_both_calls_in_it(
    settings: Settings,
) -> None:
    too_long = ContextTooLong("too long", provider="scripted")
    billed: Script = [UsageReport(Usage(prompt_tokens=500, completion_tokens=0)), too_long]
    provider = Priced(["Yes.", "No.", billed, said("Maybe.")], settings=settings)
    app = FakeApp(settings, providers=[provider])
    chat = Chat(app.lab, provider)
    for prompt in ("One?", "Two?", "Three?"):
        chat.ask(prompt, SilentView(app.screen, "Scripted"))
    turn = chat.turns[-1]
    assert (turn.state, turn.answer, turn.tries) == ("complete", "Maybe.", 2)
    assert (turn.cost, turn.wasted) == (Decimal("0.505"), Decimal("0.5"))


def test_a_view_that_fails_ends_the_turn_and_what_it_cost_is_known(settings: Settings) -> None:
    class Broken(SilentView):
        def event(self, event: Any) -> None:
            raise ZeroDivisionError

    provider = Priced([said("Dust.")], settings=settings)
    app = FakeApp(settings, providers=[provider])
    chat = Chat(app.lab, provider)
    outcome = chat.ask("Why?", Broken(app.screen, "Scripted"))
    assert (outcome.record.state, outcome.record.answer) == ("failed", "")
    assert outcome.error is not None
    assert "ZeroDivisionError" in outcome.error.message
    assert outcome.record.cost is not None
    assert outcome.record.cost > 0


# Evaluation


def test_a_record_of_an_earlier_version_reads_as_before() -> None:
    old = {
        "text": "a",
        "state": "complete",
        "cost_usd": "0.005",
        "wasted_usd": "1.0",
        "prompt_tokens": 10,
    }
    record = AnswerRecord.from_json(old)
    assert (record.cost, record.spent) == (Decimal("0.005"), Decimal("1.005"))
    assert "unpriced" not in record.to_json()
    failed = AnswerRecord.from_json({"text": "", "state": "failed"})
    assert failed.spent == 0
    assert AnswerRecord.from_json({"text": "a", "state": "complete"}).spent is None


def test_an_unknown_price_of_a_failed_row_stays_unknown(settings: Settings, ledger: Ledger) -> None:
    provider = Priced(default=silence(), model="other", settings=settings)
    how, _ = evaluated(made(settings.home, model="scripted:other"), provider, ledger)
    record = how.answers[Cell(0, 0)]
    assert (record.state, record.spent, how.progress[0].unpriced) == ("failed", None, 1)
    assert AnswerRecord.from_json(record.to_json()) == record
    assert kept_evaluations(ledger)[0].cost_usd is None


def test_a_server_that_accepts_and_says_nothing_gets_what_the_budget_holds(
    loopback: Any, requests_allowed: None, settings: Settings, ledger: Ledger
) -> None:
    # It once got 46 requests under a budget that held two, and the screen said "nothing spent".
    reference = "openai:gpt-4.1-mini"
    loopback.scenario.fail_every(1, "hang")
    wired = load_settings(
        loopback.environment("openai"), cwd=settings.home, stdin_is_terminal=False
    )
    provider = build(reference, wired)
    text = "question,answer\n" + "".join(f"Question {n}?,Answer\n" for n in range(10, 22))
    asked = made(settings.home, text, model=reference)
    request = Request(
        messages=(Message("user", "Question 10?"),), parameters=Parameters(max_tokens=50)
    )
    worst = meter(wired).worst_case(provider, request)
    assert worst is not None
    patience = CallPolicy(first_token_timeout=0.2, max_tries=8, backoff_base=0.001)
    cap = worst * Decimal("2.5")
    how, budget = evaluated(asked, provider, ledger, cap=cap, policy=patience, workers=4)
    sent = len(loopback.chats("openai"))
    loopback.release()
    provider.close()
    assert sent == 2
    assert budget.spent == ledger.spent(EVALUATION) == 2 * worst
    assert {record.state for record in how.answers.values()} == {"budget_exhausted"}


def nested(depth: int = 100_000) -> Script:
    def read() -> None:
        json.loads("[" * depth)

    return [read]


BEFALLS: Mapping[str, Callable[[], Script]] = {
    "a provider's own bug": lambda: ZeroDivisionError("in the provider"),
    "a body nested too deep": nested,
    "words with a secret": lambda: ValueError("key sk-abcdefghijklmnopqrstuvwxyz012345"),
    "words with half a character": lambda: ValueError("\ud83d"),
}


@pytest.mark.parametrize("kind", sorted(BEFALLS))
def test_what_befalls_one_row_fails_that_row_and_no_other(
    settings: Settings, ledger: Ledger, kind: str
) -> None:
    text = ONE + "And red at dusk?,It scatters more\n"
    provider = Priced([BEFALLS[kind](), said("fine")], settings=settings)
    how, budget = evaluated(made(settings.home, text), provider, ledger)
    first, second = how.answers[Cell(0, 0)], how.answers[Cell(0, 1)]
    assert (first.state, first.reason, second.state) == ("failed", "bad_answer", "complete")
    assert first.error is not None
    assert "cannot be read as an answer" in first.error
    assert "abcdefghijkl" not in first.error
    # It was sent, and nobody refused it.
    assert first.spent == meter(settings).worst_case(provider, provider.requests[0])
    assert budget.spent == ledger.spent(EVALUATION)


def test_half_a_character_in_an_answer_is_made_storable_on_arrival(
    settings: Settings, ledger: Ledger
) -> None:
    asked = made(settings.home)
    how, _ = evaluated(asked, Priced([said("half \ud83d")], settings=settings), ledger)
    assert how.answers[Cell(0, 0)].answered
    kept = ledger.load("answers", [asked.answer_key(Cell(0, 0))])
    assert next(iter(kept.values()))[1]["text"] == "half \N{REPLACEMENT CHARACTER}"


def test_an_answer_that_cannot_be_written_down_fails_its_row_and_keeps_its_cost(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ONE + "And red at dusk?,It scatters more\n"
    write = Ledger.append

    def refuse(self: Ledger, table: Any, evaluation: str, key: str, record: Any) -> Any:
        if record["text"] == "unspeakable":
            raise OverflowError("too large")
        return write(self, table, evaluation, key, record)

    monkeypatch.setattr(Ledger, "append", refuse)
    provider = Priced([said("unspeakable"), said("fine")], settings=settings)
    how, budget = evaluated(made(settings.home, text), provider, ledger)
    assert [record.reason for record in how.answers.values()] == ["answer_failed", None]
    assert how.answers[Cell(0, 0)].spent == Decimal("0.005")
    assert budget.spent == ledger.spent(EVALUATION) == Decimal("0.010")


def test_a_judge_whose_provider_has_a_bug_fails_its_own_cell(settings: Settings) -> None:
    budget = Budget(None)
    provider = Priced([RecursionError("nested")], settings=settings)
    judge = Judge(provider, policy=POLICY, metering=meter(settings), budget=budget)
    row = dataset(settings.home, ONE).rows[0]
    score = JudgeScorer(KINDS["correctness"], judge).score(row, answer("It scatters"))
    assert score.not_scored == "judge_failed"
    assert score.rationale is not None
    assert "RecursionError" in score.rationale
    assert score.cost_usd == str(budget.spent)


def test_a_verdict_nested_too_deep_is_unreadable(settings: Settings) -> None:
    verdict = '{"result": ' + "[" * 100_000
    provider = Priced([said(verdict), said(verdict)], settings=settings)
    judge = Judge(provider, policy=POLICY, metering=meter(settings))
    row = dataset(settings.home, ONE).rows[0]
    score = JudgeScorer(KINDS["correctness"], judge).score(row, answer("It scatters"))
    assert (score.not_scored, score.cost_usd) == ("judge_unparseable", "0.010")


@pytest.mark.parametrize(
    ("scorer", "reason"), [("contains", "scorer_failed"), ("correctness", "judge_failed")]
)
def test_what_befalls_the_scoring_of_one_row_leaves_the_others_scored(
    settings: Settings,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    scorer: str,
    reason: str,
) -> None:
    text = ONE + "And red at dusk?,It scatters more\n"
    judge = Judge(
        Priced(default=said(VERDICT), settings=settings), policy=POLICY, metering=meter(settings)
    )
    asked = made(settings.home, text, scorers=(scorer,), judge="scripted:model")
    scoring = Scoring(asked, judge, ledger)
    how: Any = type(scoring.scorers[scorer])
    found = how.score if scorer == "contains" else how.refuses

    def break_on_odd(self: Any, row: Any, record: AnswerRecord, *more: Any) -> Any:
        if record.text == "odd":
            raise RecursionError
        return found(self, row, record, *more)

    monkeypatch.setattr(how, "score" if scorer == "contains" else "refuses", break_on_odd)
    answers = {Cell(0, 0): answer("odd"), Cell(0, 1): answer("It scatters more")}
    scoring.score_all(answers, concurrency=1)
    first, second = (scoring.scores[cell][scorer] for cell in answers)
    assert (first.not_scored, second.value) == (reason, 1.0)
    assert first.rationale == "Something unexpected went wrong (RecursionError)."
