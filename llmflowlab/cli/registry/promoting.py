"""`registry promote`: evaluates a version and the champion, and moves the alias where that bears it out."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING, Any

from llmflowlab.cli.context import App
from llmflowlab.cli.registry.show import print_json
from llmflowlab.errors import ExitCode, InputError, TrackingError
from llmflowlab.tracking.records import now_text
from llmflowlab.tracking.registry import Version, find_version, parse_version_name
from llmflowlab.tracking.registry_changes import CHAMPION, champion_of, move_champion
from llmflowlab.tracking.store import Store, open_store

if TYPE_CHECKING:
    from llmflowlab.evaluation.conclude.promotion import Decision, Terms
    from llmflowlab.evaluation.conclude.results import EvaluationResult

__all__ = ["promote"]


def promote(app: App, arguments: argparse.Namespace) -> int:
    """Evaluate, decide, and move alias `champion` or leave it; returns the exit code.

    Raises:
        InputError: The version or the benchmark cannot be used, or it is the champion already.
        LabError: The evaluation could not be carried out.
    """
    from llmflowlab.evaluation.conclude.promotion import Terms, decide

    store = open_store(app.settings)
    version = find_version(store, parse_version_name(arguments.version))
    champion = champion_of(store, version.name)
    if champion is not None and champion.version == version.version:
        raise InputError(f"{version.reference} is the champion already.")
    terms = Terms(
        margin=arguments.margin,
        superior=arguments.superior,
        scorer=arguments.scorer,
        min_coverage=arguments.min_coverage,
        max_latency=arguments.max_latency,
        max_cost=arguments.max_cost,
    )
    if champion is None and terms.superior:
        raise InputError(
            f"{version.name} has no champion to be better than; leave --superior out the first time."
        )
    if champion is None:
        app.screen.note(
            f"{version.name} has no champion yet: only coverage and the limits count this time."
        )
    result = _evaluated(app, arguments, version, champion)
    if result.interrupted:
        app.screen.warn("Interrupted: the champion stays as it is.")
        return ExitCode.INTERRUPTED
    if result.problems:
        raise TrackingError(f"The evidence could not be recorded: {' '.join(result.problems)}")
    if not any(candidate.answered for candidate in result.candidates[-1:]):
        app.screen.warn(f"{version.reference} answered nothing; the champion stays as it is.")
        return ExitCode.PROVIDER_FAILED
    decision = decide(result, terms)
    if decision.promoted:
        evidence = _evidence(result, decision, terms, champion)
        move_champion(
            app.settings,
            store,
            version,
            instead_of=champion.version if champion else None,
            why=f"promoted by evaluation {result.plan.evaluation_id}",
            evidence=evidence,
        )
    _mark_runs(store, result, version, decision)
    _say(app, version, champion, decision, result, as_json=arguments.json)
    return ExitCode.DONE if decision.promoted else ExitCode.GATE_NOT_MET


def _evaluated(
    app: App, arguments: argparse.Namespace, version: Version, champion: Version | None
) -> EvaluationResult:
    # Imported here: `registry list` needs nothing of it.
    from llmflowlab.cli.evaluate.command import carry_out, ledger_of
    from llmflowlab.cli.evaluate.preparing import Wishes, prepare
    from llmflowlab.cli.evaluate.show import describe_plan
    from llmflowlab.evaluation.run.recorder_client import RecorderProcess

    both = [v for v in (champion, version) if v is not None]
    wishes = Wishes(
        models=[f"mlflow:{each.reference}" for each in both],
        data=arguments.benchmark,
        scorers=[arguments.scorer] if arguments.scorer else (),
        judges=arguments.judge,
        budget=arguments.budget,
        concurrency=arguments.concurrency,
        fresh=arguments.fresh,
    )
    with closing(ledger_of(app)) as ledger:
        recorder = RecorderProcess(app.settings, ledger.path)
        try:
            prepared = prepare(app, wishes, ledger, recorder=recorder)
            for remark in prepared.remarks:
                app.screen.note(remark)
            if not arguments.json:
                for line in describe_plan(prepared.plan, prepared.estimate):
                    app.screen.say(line)
            return carry_out(app, prepared)
        finally:
            recorder.abandon()


def _evidence(
    result: EvaluationResult, decision: Decision, terms: Terms, champion: Version | None
) -> dict[str, str]:
    own = result.candidates[-1]
    paired = decision.paired
    found: dict[str, Any] = {
        "evaluation": result.plan.evaluation_id,
        "run": own.run_id,
        "parent_run": result.parent_run_id,
        "champion": champion.version if champion else "none",
        "champion_run": result.candidates[0].run_id if champion else None,
        "dataset": result.plan.dataset.name,
        "dataset_digest": result.plan.dataset.digest,
        "scorer": decision.scorer,
        "judge": result.plan.judge_label,
        "verdict": decision.verdict,
        "margin": f"{terms.margin:g}",
        "rows": paired.n if paired else None,
        "difference": f"{paired.difference:.6g}" if paired else None,
        "lower_bound": f"{paired.lower:.6g}" if paired else None,
        "coverage": f"{decision.coverage:.6g}",
        "latency_p95": None if decision.latency_p95 is None else f"{decision.latency_p95:.6g}",
        "cost_per_answer_usd": decision.cost_per_answer,
        "date": now_text(),
    }
    # What is not known now must not be read from an earlier promotion's tag.
    return {name: "unknown" if value is None else str(value) for name, value in found.items()}


def _mark_runs(
    store: Store, result: EvaluationResult, version: Version, decision: Decision
) -> None:
    """Lead from the runs of the evaluation to the version."""
    run_id = result.candidates[-1].run_id
    if run_id is None:
        return
    with store.translated():
        client = store.client
        client.set_tag(run_id, "llmflowlab.model_name", version.name)
        client.set_tag(run_id, "llmflowlab.model_version", version.version)
        client.set_tag(run_id, "llmflowlab.promoted", "true" if decision.promoted else "false")


def _say(
    app: App,
    version: Version,
    champion: Version | None,
    decision: Decision,
    result: EvaluationResult,
    *,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            {
                "name": version.name,
                "version": version.version,
                "alias": CHAMPION,
                "champion_before": champion.version if champion else None,
                **decision.to_json(),
                "evaluation": result.to_json(),
            }
        )
        return
    reasons = "; ".join(decision.reasons)
    if decision.promoted:
        app.screen.say(f"{version.reference} is the champion now: {reasons}.", tone="good")
        app.screen.note(f"`registry rollback {version.name}` takes it back.")
    else:
        stays = f"{champion.reference} stays the champion" if champion else "no champion yet"
        app.screen.warn(f"{version.reference} is not promoted, {stays}: {reasons}.")
    app.screen.say(f"Evaluation: {result.plan.evaluation_id}")
