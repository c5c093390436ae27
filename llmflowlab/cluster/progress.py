"""How far a cluster is, for the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from llmflowlab.cluster.leases import ClusterStanding, UnderWay
from llmflowlab.evaluation.conclude.standing import InterimScores
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.run.answering import CandidateProgress
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.workbench import EvaluationSnapshot, Phase
from llmflowlab.evaluation.scorers.ranking import main_scorer

__all__ = ["ClusterProgress"]


class ClusterProgress:
    """Puts together what is committed and what the workers say of shards under way.

    Args:
        plan: The evaluation.
        tell: Told how far it is.
    """

    def __init__(self, plan: EvaluationPlan, tell: Callable[[EvaluationSnapshot], None]) -> None:
        self._scorers, self._tell = len(plan.scorers), tell
        each = len(plan.dataset.rows) * plan.trials
        self.candidates = [CandidateProgress(each) for _ in plan.candidates]
        """Of what is committed; counted up by whoever takes it in."""
        main = main_scorer(plan.scorers)
        self.standings = InterimScores(
            main,
            exact=plan_traits(plan)[main].exact(repeated=plan.repeated),
            candidates=len(plan.candidates),
            questions=plan.questions,
            clusters=plan.clusters,
        )
        self.recorder: RecorderProcess | None = None
        self.standing: ClusterStanding | None = None
        self._under_way: Mapping[int, UnderWay] = {}
        self._shown = [0] * len(plan.candidates)
        self._detail = ""

    def watch(self, standing: ClusterStanding | None) -> None:
        """Take in and show how far the workers are; None where that cannot be told now."""
        if standing is not None:
            self.standing, self._under_way = standing, standing.under_way
            self._detail = _detail(standing)
        self.show("answering", self._detail)

    def show(self, phase: Phase, detail: str = "") -> None:
        """Show how far all is."""
        under_way = [self._under_way.get(index, UnderWay()) for index in range(len(self._shown))]
        done = [
            replace(
                one,
                answered=one.answered + now.done,
                in_flight=now.in_flight if phase == "answering" else 0,
                asking=now.asking if phase == "answering" else 0,
            )
            for one, now in zip(self.candidates, under_way, strict=True)
        ]
        # What a lost worker had counted is counted again by the next: nothing goes backwards meanwhile.
        self._shown = [max(a, b.answered) for a, b in zip(self._shown, done, strict=True)]
        done = [
            replace(one, answered=shown, uncounted=shown - known.answered)
            for shown, one, known in zip(self._shown, done, self.candidates, strict=True)
        ]
        committed = sum(one.done for one in self.candidates)
        self._tell(
            EvaluationSnapshot(
                phase=phase,
                candidates=done,
                scored=committed * self._scorers,
                to_score=sum(one.done for one in done) * self._scorers,
                recorded=self.recorder.recorded if self.recorder else 0,
                to_record=committed,
                scorer=self.standings.scorer,
                standings=[self.standings.of(index) for index in range(len(self.candidates))],
                detail=detail,
            )
        )


def _detail(standing: ClusterStanding) -> str:
    words = [f"{standing.done} of {standing.shards} shards", f"{standing.open} under way"]
    if standing.partly:
        words.append(f"{standing.partly} with rows left")
    if standing.taken_over:
        words.append(f"{standing.taken_over} taken over")
    if standing.stopped:
        words.append("stopping (Ctrl-C again leaves at once)")
    return ", ".join(words)
