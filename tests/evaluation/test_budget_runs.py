"""Money over whole evaluations: the cap, what is left out, going on, and what was said beforehand."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.metering import Metering
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import subset
from llmflowlab.errors import Overloaded
from llmflowlab.evaluation.conclude.remedies import remedies
from llmflowlab.evaluation.judging import Judge, panel_of
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.estimate import estimate
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.reuse import reusable_answers
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.verify import verify_run
from llmflowlab.messages import Parameters
from llmflowlab.providers.base import Finished, TextDelta, Usage, UsageReport
from llmflowlab.settings import load_settings
from llmflowlab.text.cost import Prices
from llmflowlab.text.money import dollars
from llmflowlab.text.tokens import TokenCounter
from llmflowlab.tracking.store import open_store
from tests.evaluation.helpers import QUICK, TableModel, bench, dataset, plan, spec
from tests.evaluation.test_judges import verdict
from tests.patience import hold

ROWS = 40
DATA = "question,answer\n" + "".join(f"Question {n},Answer {n}\n" for n in range(ROWS))
RATES = {"input_per_million": "100", "output_per_million": "400"}


@pytest.fixture
def settings(mlflow_home):
    names = ("table:one", "table:two", "table:judge")
    prices = mlflow_home / "prices.json"
    prices.write_text(json.dumps(dict.fromkeys(names, RATES)), encoding="utf-8")
    return load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)


@pytest.fixture
def ledger(settings):
    opened = Ledger(settings.state_dir / "evaluations.db")
    yield opened
    opened.close()


class Priced(TableModel):
    """Answers of many lengths, whose tokens are reported as its price list needs them."""

    def stream(self, request):
        self.requests.append(request)
        text = request.messages[-1].content
        if self.model == "judge":
            yield TextDelta(verdict("yes"))
            yield UsageReport(Usage(prompt_tokens=len(text) // 4, completion_tokens=25))
        else:
            number = int(text.rpartition(" ")[2])
            # On every other question the candidates agree, so one judgement serves both.
            yield TextDelta(f"Answer {number if number % 2 else self.model}")
            spread = 20 + number * 7 % 30
            yield UsageReport(Usage(prompt_tokens=len(text) // 4 + 9, completion_tokens=spread))
        yield Finished("stop", self.model)


def candidates(*names):
    limited = Parameters(max_tokens=60)
    return [
        type(spec())(
            model=f"table:{name}", display_name="Table", supplier="Tests", parameters=limited
        )
        for name in names
    ]


def made(tmp_path, *, text=DATA, name="asked.csv", judge=True, **options):
    return plan(
        dataset(tmp_path, text, name),
        candidates=candidates("one", "two"),
        scorers=("exact_match", *(("correctness",) if judge else ())),
        judge="table:judge" if judge else None,
        **options,
    )


class NoRecorder:
    """Stands where MLflow does not matter: a recorder takes seconds to start."""

    recorded = 0
    notes = ()

    def begin(self, evaluation):
        pass

    def wait_for_runs(self, seconds, tick):
        return {}

    def close(self, closing, tick):
        return []

    def abandon(self):
        pass


def run(settings, ledger, tmp_path, made_plan, *, cap, models=None, recorder=None, **options):
    models = models or [Priced(c.model_id, settings, {}) for c in made_plan.candidates]
    meter = Metering(TokenCounter(), Prices(settings))
    budget = Budget(cap, spent=ledger.spent(made_plan.evaluation_id))
    judge_model = Priced("judge", settings, {})
    work = bench(settings, models, ledger, tmp_path, budget=budget, recorder=recorder)
    if made_plan.judge:
        judge = Judge(judge_model, policy=QUICK, metering=meter, budget=budget)
        work = type(work)(**{**{f: getattr(work, f) for f in work.__slots__}, "judge": judge})
    result = run_evaluation(made_plan, work, **options)
    sent = sum(len(m.requests) for m in models) + len(judge_model.requests)
    return result, sent, budget


def test_what_is_given_up_in_the_middle_has_been_paid_for(settings, ledger, tmp_path):
    # A second Ctrl-C left calls in flight behind: the server had billed their prompts, and a resumed
    # evaluation did not know of it.
    released, begun = threading.Event(), threading.Semaphore(0)

    class Held(Priced):
        def stream(self, request):
            if request.messages[-1].content.endswith(" 0"):
                yield from super().stream(request)
                return
            yield TextDelta("Answer")
            begun.release()
            hold(released)

    asked = made(tmp_path, judge=False)
    models = [Held(name, settings, {}) for name in ("one", "two")]
    budget = Budget(Decimal(100))

    def press(snapshot):
        there = len(list(ledger.outcome_keys(asked.evaluation_id))) == 2
        if there and begun.acquire(blocking=False) and begun.acquire(blocking=False):
            raise KeyboardInterrupt

    work = bench(settings, models, ledger, tmp_path, budget=budget, recorder=NoRecorder())
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(asked, work, on_progress=press)
    released.set()
    given_up = ledger.spent(asked.evaluation_id)
    assert Decimal(0) < given_up == budget.spent == budget.committed

    # Of rows that are not there it was in no figure, and nobody said so.
    halfway = stored_result(ledger, asked.evaluation_id)
    lost = [each.given_up.cost_usd for each in halfway.candidates if each.given_up is not None]
    shown = [each.cost_usd for each in halfway.candidates]
    spoken = " ".join(remedies(halfway.candidates))
    assert sum(filter(None, [*shown, *lost])) == given_up
    assert all(cost is not None and f"and cost {dollars(cost)}" in spoken for cost in lost)
    assert lost

    # Gone on with, it was in the ledger's total and in no candidate's.
    result, _, _ = run(settings, ledger, tmp_path, asked, cap=100)
    costs = [candidate.cost_usd for candidate in result.candidates]
    assert sum(costs) == ledger.spent(asked.evaluation_id) > given_up
    assert stored_result(ledger, asked.evaluation_id).candidates[0].cost_usd == costs[0]
    runs = [open_store(settings).client.get_run(each.run_id) for each in result.candidates]
    told = [each.data.metrics["total_cost_estimate"] for each in runs]
    assert told == pytest.approx([float(cost) for cost in costs])
    checks = [
        check for each in runs for check in verify_run(open_store(settings), each.info.run_id)
    ]
    assert [check for check in checks if not check.equal] == []


def test_a_budget_holds_and_raising_it_finishes_the_evaluation(settings, ledger, tmp_path):
    whole, sent, free = run(
        settings,
        ledger,
        tmp_path,
        made(tmp_path, evaluation_id="free"),
        cap=None,
        recorder=NoRecorder(),
    )
    assert whole.problems == ()
    price = free.spent
    assert price == ledger.spent("free")
    everything = sent

    asked = made(tmp_path, fresh=True)
    committed, shown = [], []
    cap = price / 3

    def watch(snapshot):
        committed.append(ledger.spent(asked.evaluation_id))
        shown.append(snapshot.judging.done)

    first, sent_first, budget = run(
        settings,
        ledger,
        tmp_path,
        asked,
        cap=cap,
        on_progress=watch,
    )
    assert max(committed) <= cap
    # Pins: what the money did not reach was "judged", too.
    assert shown[-1] == sum(c.scores["correctness"].scored for c in first.candidates)
    assert Decimal(0) < budget.spent <= cap
    assert budget.spent == ledger.spent(asked.evaluation_id)
    left_out = [c.failed.get("budget_exhausted", 0) for c in first.candidates]
    unjudged = [c.scores["correctness"].not_scored for c in first.candidates]
    assert sum(left_out) > 0
    # What the money did not reach is neither right nor wrong, and was not sent.
    for candidate, left in zip(first.candidates, left_out, strict=True):
        assert candidate.answered == ROWS - left
        assert candidate.sent == ROWS - left
        assert candidate.scores["exact_match"].scored == ROWS - left
        assert candidate.scores["exact_match"].not_scored == {"budget_exhausted": left}
    assert all(set(reasons) == {"budget_exhausted"} for reasons in unjudged)
    assert ledger.evaluation(asked.evaluation_id).state == "interrupted"
    store = open_store(settings)
    short = store.client.get_run(first.candidates[0].run_id)
    assert short.info.status == "KILLED"
    assert short.data.tags["llmflowlab.partial"] == "true"
    assert short.data.tags["llmflowlab.missing"]

    # Resumed within the same cap it has nothing to spend; raised, it sends what is missing only.
    _, sent_again, budget = run(settings, ledger, tmp_path, asked, cap=cap, recorder=NoRecorder())
    assert budget.spent <= cap
    last, sent_last, budget = run(settings, ledger, tmp_path, asked, cap=price * 2)
    assert sent_first + sent_again + sent_last == everything
    assert budget.spent == ledger.spent(asked.evaluation_id) == price
    assert last.problems == ()
    assert [c.answered for c in last.candidates] == [ROWS, ROWS]
    assert [c.scores for c in last.candidates] == [c.scores for c in whole.candidates]
    assert last.judge_usage == whole.judge_usage
    for candidate in last.candidates:
        run_ = store.client.get_run(candidate.run_id)
        assert run_.info.status == "FINISHED"
        assert run_.data.tags["llmflowlab.missing"] == ""
        assert [c for c in verify_run(store, candidate.run_id) if not c.equal] == []


def test_tries_that_were_paid_for_and_failed_cannot_pass_the_cap(settings, ledger, tmp_path):
    class Failing(Priced):
        def stream(self, request):
            self.requests.append(request)
            yield UsageReport(Usage(prompt_tokens=30, completion_tokens=60))
            raise Overloaded("busy", provider="table", status=503)

    models = [Failing("one", settings, {}), Failing("two", settings, {})]
    asked = made(tmp_path, judge=False)
    cap = Decimal("0.2")
    result, _, budget = run(
        settings, ledger, tmp_path, asked, cap=cap, models=models, recorder=NoRecorder()
    )
    assert result.candidates[0].answered == 0
    assert Decimal(0) < budget.spent <= cap
    assert ledger.spent(asked.evaluation_id) == budget.spent


@pytest.mark.parametrize(
    "offset", [pytest.param(0, id="same-questions"), pytest.param(1000, id="other-questions")]
)
def test_earlier_answers_make_the_estimate_exact(settings, ledger, tmp_path, offset):
    run(
        settings,
        ledger,
        tmp_path,
        made(tmp_path, evaluation_id="earlier"),
        cap=None,
        recorder=NoRecorder(),
    )
    text = "question,answer\n" + "".join(
        f"Question number {n + offset},Answer {n}\n" for n in range(ROWS // 2)
    )
    later = made(tmp_path, text=text, name="later.csv", evaluation_id="later", fresh=True)
    figures = estimated(settings, ledger, later)
    result, _, _ = run(settings, ledger, tmp_path, later, cap=None, recorder=NoRecorder())
    real = ledger.spent("later")
    assert result.judge_usage["calls"]["sent"] == ROWS * 3 // 4
    low, high = figures.cost
    assert "as in" in figures.assumption
    assert low <= real <= high
    assert abs((low + high) / 2 - real) <= real * Decimal("0.15")


def test_nothing_is_estimated_for_what_is_there_already(settings, ledger, tmp_path):
    run(
        settings,
        ledger,
        tmp_path,
        made(tmp_path, evaluation_id="earlier"),
        cap=None,
        recorder=NoRecorder(),
    )
    figures = estimated(settings, ledger, made(tmp_path, evaluation_id="later"))
    assert (figures.calls, figures.judge_calls) == (0, 0)
    assert figures.reused == 2 * ROWS
    assert figures.cost == (0, 0)


@pytest.mark.parametrize("given", [False, True])
def test_nothing_is_estimated_where_no_row_is_left(settings, ledger, tmp_path, given):
    # Pins: going on on a cluster with what is finished there, and judged, ended "unexpected".
    asked = made(tmp_path)
    if given:
        asked = replace(asked, candidates=(Candidate.of_column("given"),))
    nothing = replace(asked, dataset=subset(asked.dataset, [])).repeating([])
    figures = estimated(settings, ledger, nothing).times(0, 0)
    assert (figures.calls, figures.judge_calls, figures.cost) == (0, 0, (0, 0))


def test_an_answer_that_was_used_again_is_one_earlier_answer(settings, ledger, tmp_path):
    for name in ("earlier", "again", "once-more"):
        asked = made(tmp_path, evaluation_id=name)
        run(settings, ledger, tmp_path, asked, cap=None, recorder=NoRecorder())
    later = made(tmp_path, name="later.csv", evaluation_id="later", fresh=True)
    # Pins: each time it was used it was told of as one more, and the range grew narrower.
    assert f"as in {2 * ROWS} earlier ones" in estimated(settings, ledger, later).assumption


def estimated(settings, ledger, asked):
    meter = Metering(TokenCounter(), Prices(settings))
    judge = Priced("judge", settings, {})
    reused = reusable_answers(asked, ledger)
    panel = panel_of(Judge(judge, policy=QUICK, metering=meter))
    scoring = Scoring(asked, panel, ledger)
    return estimate(
        asked,
        [None if c.column else Priced(c.model_id, settings, {}) for c in asked.candidates],
        metering=meter,
        prices=Prices(settings),
        reused=reused,
        panel=panel,
        ledger=ledger,
        detectors={},
        judged=scoring.recall(reused),
    )
