"""What is asked of an evaluation, by a person, a script or a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from llmflowlab.candidate import Candidate
from llmflowlab.data.stratified import Stratum
from llmflowlab.evaluation.judging import Combine
from llmflowlab.evaluation.run.engine import Harness
from llmflowlab.lab.gate_checks import GateRequest
from llmflowlab.messages import Parameters

__all__ = ["EvaluationRequest", "RayRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RayRequest:
    """On which cluster an evaluation is to run."""

    address: str | None = None
    """None starts workers on this machine; `auto` or an address joins a cluster."""
    workers: int | None = None
    """None: as many as the cluster has processors."""
    storage: str | None = None
    """A folder or address that all machines see; None: the home, for workers on this machine."""
    traces: int | None = None
    """Answers up to which MLflow has a trace of each; None: the default."""
    shard_rows: int | None = None
    """Rows that a worker takes at a time; None: as many as suit the file and the workers."""

    @property
    def beginning(self) -> str:
        """What is done first, for the screen."""
        if self.address in {None, "local"}:
            return "starting Ray on this machine"
        return f"joining the Ray cluster at {self.address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """An evaluation that is wished for; nothing of it is checked yet."""

    models: Sequence[str] = ()
    answers: Sequence[str] = ()
    """Columns of the data file whose answers are candidates too, without being asked for."""
    data: Path | None = None
    """None means the default benchmark."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    skip_bad: bool = False
    """Go on without the rows of the file that cannot be used."""
    """Column of the file for each role that its usual names do not find."""
    systems: Sequence[str] = ()
    """System prompts to be tried against each other; empty means none."""
    prompts: Sequence[str] = ()
    """Prompts of the registry to be tried, as `NAME[@VERSION]`."""
    guardrails: Sequence[str] = ()
    """`on`, `off` or policy files, to be tried against each other; empty: what the home has chosen."""
    parameter_sets: Sequence[Parameters] = (Parameters(),)
    """Generation parameters to be tried against each other."""
    scorers: Sequence[str] = ()
    """Empty means all that can work."""
    judges: Sequence[str] = ()
    """Models behind the judged scorers; several make a panel."""
    judge_runs: int = 1
    judge_combine: Combine | None = None
    until_decided: float | None = None
    """End a comparison of two once it is decided; differences below this do not matter."""
    margin: float | None = None
    """How much worse than the best a cheaper candidate may be, and how far apart two may be that are
    called the same; None: the default for the former, and nobody is called the same."""
    beside: Sequence[Candidate] = ()
    """Candidates that the others are to be compared with."""
    sample: int | None = None
    stratify: Stratum | None = None
    """Draw the sample so that each of these keeps its share."""
    cluster: str | None = None
    """Column whose value questions share that are one unit of intervals and tests."""
    seed: int = 0
    concurrency: int | None = None
    fresh: bool = False
    resume: str | None = None
    """Id of the evaluation to go on with; its plan then takes the place of this request's."""
    trials: int = 1
    budget: Decimal | None = None
    """USD for candidates, trials and judges together; None limits nothing."""
    allow_unknown_cost: bool = False
    harness: Harness = "fast"
    waits: bool = True
    """Whether to end only when MLflow has everything."""
    output: Path | None = None
    """Folder of the files; None means the evaluation's own in the home."""
    gates: GateRequest = GateRequest()
    ray: RayRequest | None = None
    """None: in this process."""
