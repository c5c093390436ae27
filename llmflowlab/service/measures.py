"""What `/metrics` calls things: OpenTelemetry's conventions for generative AI, in Prometheus' spelling.

Pinned: semantic conventions 1.37.0, `docs/gen-ai/gen-ai-metrics.md`. Dots become underscores and a unit is
the name's end, as OpenTelemetry's compatibility rules for Prometheus have it; what these conventions have
no name for begins with `llmflowlab_`. No label holds a key, a session or a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from llmflowlab.service.store.online_scores import ScoreTotal
from llmflowlab.tracking.records import TurnRecord

__all__ = ["Measures", "ScoreMeasures"]

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The buckets that the conventions ask for."""
_FIRST = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5),
    *(0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
_TOKENS = (
    1,
    4,
    16,
    64,
    256,
    1024,
    4096,
    16384,
    65536,
    262144,
    1048576,
    4194304,
    16777216,
    67108864,
)
_MODEL = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


class Measures:
    """The service's measures.

    Args:
        registry: Where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "Time from a request to the end of its answer.",
            (*_MODEL, "error_type"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.first_token = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Time from a request to the first token of its answer.",
            _MODEL,
            buckets=_FIRST,
            registry=registry,
        )
        self.tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of a request and of its answer.",
            (*_MODEL, "gen_ai_token_type"),
            buckets=_TOKENS,
            registry=registry,
        )
        self.cost = Counter(
            "llmflowlab_cost_usd",
            "What answers cost in US dollars, failed tries included, as far as it is known.",
            _MODEL,
            registry=registry,
        )
        self.unpriced = Counter(
            "llmflowlab_unpriced",
            "Answers of which it is not known what they cost.",
            _MODEL,
            registry=registry,
        )
        self.refused = Counter(
            "llmflowlab_refused",
            "Requests that were refused, by the code they were refused with.",
            ("error_type",),
            registry=registry,
        )
        self.violations = Counter(
            "llmflowlab_guardrail_violations",
            "What guardrails found.",
            ("category", "direction", "action"),
            registry=registry,
        )
        self.under_way = Gauge(
            "llmflowlab_answers_under_way",
            "Answers that are being made.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.waiting = Gauge(
            "llmflowlab_requests_waiting",
            "Requests that wait for their turn.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.undelivered = Gauge(
            "llmflowlab_undelivered_turns",
            "Turns that MLflow does not have yet.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.scores = ScoreMeasures()
        registry.register(self.scores)

    def count(
        self,
        provider: str,
        name: str,
        record: TurnRecord | None,
        error: str | None,
        *,
        seconds: float,
        first_token: float | None,
    ) -> None:
        """Measure an answer that has ended.

        Args:
            provider: Of its model.
            name: Of its model, as on offer.
            record: What is kept of it; None where nothing could be.
            error: The code of what went wrong.
            seconds: From the request to its end.
            first_token: Seconds to its first piece; None where none came.
        """
        model = ("chat", provider, name)
        self.duration.labels(*model, error or "").observe(seconds)
        if first_token is not None:
            self.first_token.labels(*model).observe(first_token)
        if record is None:
            return
        for kind, tokens in (("input", record.prompt_tokens), ("output", record.completion_tokens)):
            if tokens is not None:
                self.tokens.labels(*model, kind).observe(tokens)
        if record.cost is None:
            self.unpriced.labels(*model).inc()
        else:
            self.cost.labels(*model).inc(float(record.cost))
        for found in record.violations:
            self.violations.labels(found["category"], found["direction"], found["action"]).inc()


class ScoreMeasures(Collector):
    """What scores in the background come to: of all workers, as the database has it."""

    def __init__(self) -> None:
        self._totals: Sequence[tuple[str, ScoreTotal]] = ()
        self._waiting = 0

    def take(self, totals: Sequence[tuple[str, ScoreTotal]], waiting: int) -> None:
        """Take in how it stands.

        Args:
            totals: Each with the model, as on offer, that answered.
            waiting: Scores that are not settled.
        """
        self._totals, self._waiting = totals, waiting

    def collect(self) -> Iterator[Metric]:
        """Yield the measures."""
        which = ("scorer", "gen_ai_request_model")
        value = SummaryMetricFamily(
            "llmflowlab_score", "What scorers said of answers, from 0 to 1.", labels=which
        )
        lacking = CounterMetricFamily(
            "llmflowlab_not_scored",
            "Answers without a score, by reason.",
            labels=(*which, "reason"),
        )
        cost = CounterMetricFamily(
            "llmflowlab_scoring_cost_usd",
            "What judging answers cost in US dollars, as far as it is known.",
            labels=which,
        )
        spent: dict[tuple[str, str], float] = {}
        scored: dict[tuple[str, str], tuple[int, float]] = {}
        reasons: dict[tuple[str, str, str], int] = {}
        for model, each in self._totals:
            key = (each.scorer, model)
            spent[key] = spent.get(key, 0.0) + float(each.cost)
            if each.reason is None:
                number, total = scored.get(key, (0, 0.0))
                scored[key] = (number + each.number, total + each.total)
            else:
                place = (*key, each.reason)
                reasons[place] = reasons.get(place, 0) + each.number
        for key, (number, total) in scored.items():
            value.add_metric(key, number, total)
        for place, number in reasons.items():
            lacking.add_metric(place, number)
        for key, dollars in spent.items():
            cost.add_metric(key, dollars)
        yield from (value, lacking, cost)
        yield GaugeMetricFamily(
            "llmflowlab_scores_waiting", "Scores that are not settled.", value=self._waiting
        )
