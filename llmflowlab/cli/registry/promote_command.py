"""`registry promote`: a version becomes champion where an evaluation bears it out."""

from __future__ import annotations

import argparse
from contextlib import closing

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.live_view import watched
from llmflowlab.cli.evaluate.show_evaluation import describe_plan
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode
from llmflowlab.evaluation.conclude.promotion import Decision, PromotionTerms
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.lab.model_registry import Version
from llmflowlab.lab.promote import (
    CHAMPION,
    Promotion,
    PromotionRequest,
    conclude_promotion,
    confirm,
    find_contest,
    prepare_promotion,
)
from llmflowlab.program import program_name

__all__ = ["run_command"]


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Evaluate, decide, and move alias `champion` or leave it; returns the exit code.

    Raises:
        InputError: The version or the benchmark cannot be used.
        LabError: The evaluation could not be carried out.
    """
    contest = find_contest(app.lab, _request(arguments))
    if contest.won:
        promotion = confirm(app.lab, contest)
        give(
            arguments.json,
            lambda: _document_of_won(promotion),
            lambda: app.screen.say(
                f"{contest.version.reference} is the champion already; nothing was asked.",
                tone="good",
            ),
        )
        return ExitCode.DONE
    name = contest.version.name
    if contest.champion is None:
        app.screen.note(
            f"{name} has no champion yet: only coverage and the limits count this time."
        )
    with closing(prepare_promotion(app.lab, contest)) as prepared:
        for remark in prepared.remarks:
            app.screen.note(remark)
        if not arguments.json:
            for line in describe_plan(prepared.plan, prepared.estimate):
                app.screen.say(line)
        result = watched(app.screen, prepared)
    promotion = conclude_promotion(app.lab, contest, result)
    decision = promotion.decision
    if decision is None:
        return _say_nothing_came(app, promotion.version, result)
    give(
        arguments.json,
        lambda: _document(promotion, decision, result),
        lambda: _say(app, promotion, decision, result),
    )
    return ExitCode.DONE if promotion.promoted else ExitCode.GATE_NOT_MET


def _request(arguments: argparse.Namespace) -> PromotionRequest:
    return PromotionRequest(
        version=arguments.version,
        benchmark=arguments.benchmark,
        terms=PromotionTerms(
            margin=arguments.margin,
            superior=arguments.superior,
            scorer=arguments.scorer,
            min_coverage=arguments.min_coverage,
            max_latency=arguments.max_latency,
            max_cost=arguments.max_cost,
        ),
        judges=arguments.judge,
        budget=arguments.budget,
        concurrency=arguments.concurrency,
        fresh=arguments.fresh,
        human=arguments.human,
    )


def _say_nothing_came(app: App, version: Version, result: EvaluationResult) -> int:
    if result.interrupted:
        app.screen.warn("Interrupted: the champion stays as it is.")
        return ExitCode.INTERRUPTED
    why = next((c.why_failed for c in result.candidates if c.why_failed), None)
    app.screen.warn(
        f"{version.reference} answered nothing; the champion stays as it is."
        + (f" {why}" if why else "")
    )
    return ExitCode.PROVIDER_FAILED


def _document(promotion: Promotion, decision: Decision, result: EvaluationResult) -> object:
    return {
        **_names(promotion),
        **decision.to_json(),
        "human": None if promotion.people is None else promotion.people.to_json(),
        "evaluation": result.to_json(),
    }


def _document_of_won(promotion: Promotion) -> object:
    unknown = ("scorer", "n", "difference", "lower_bound", "upper_bound", "coverage", "latency_p95")
    return {
        **_names(promotion),
        "promoted": True,
        "verdict": "champion",
        "reasons": ["it is the champion already"],
        **dict.fromkeys((*unknown, "cost_per_answer_usd")),
        "limits": {},
        "human": None,
        "evaluation": None,
    }


def _names(promotion: Promotion) -> dict[str, object]:
    version, champion = promotion.version, promotion.champion
    return {
        "name": version.name,
        "version": version.version,
        "alias": CHAMPION,
        "champion_before": champion.version if champion else None,
    }


def _say(app: App, promotion: Promotion, decision: Decision, result: EvaluationResult) -> None:
    version, champion = promotion.version, promotion.champion
    reasons = "; ".join(decision.reasons)
    if decision.promoted:
        app.screen.say(f"{version.reference} is the champion now: {reasons}.", tone="good")
        app.screen.note(f"`{program_name()} registry rollback {version.name}` takes it back.")
    else:
        stays = f"{champion.reference} stays the champion" if champion else "no champion yet"
        app.screen.warn(f"{version.reference} is not promoted, {stays}: {reasons}.")
    app.screen.say(f"Evaluation: {result.plan.evaluation_id}")
