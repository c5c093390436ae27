"""One rule at work: what it has learnt, the evidence it has, and whether its alert stands.

An alert fires when the evidence against "still within the limit" reaches 1/alpha, which happens by chance
with a chance of alpha in `days` at most. Where the limit is that of a baseline that was only seen in some
values, half of alpha is for the baseline's bounds, and half for what follows. An alert is over when a test of the other side, of "still beyond the
limit", says so at 5 %, or when nothing in the window speaks for it any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from llmflowlab.monitoring.alert_events import COST_CAP, AlertEvent, said_of
from llmflowlab.monitoring.alert_rules import AlertRule
from llmflowlab.monitoring.looked_at import Lacking, LookedAt
from llmflowlab.monitoring.observations import Observed, SeenTo, after
from llmflowlab.monitoring.rule_values import value_for
from llmflowlab.monitoring.traffic import LATE_MS
from llmflowlab.statistics.change_evidence import Band
from llmflowlab.statistics.mean_bounds import chernoff_interval
from llmflowlab.statistics.strongest import strongest
from llmflowlab.statistics.watch import Watch

__all__ = ["CLEAR_ALPHA", "LEARNING", "EvaluatedBaseline", "RuleWatch"]

CLEAR_ALPHA = 0.05
_LANGUAGES = 6
_RARE = 0.02
_MOST = 4
"""How many times the values that a baseline needs are kept at most."""
_OTHER = "other"
LEARNING = frozenset({"language_drift", "length_drift"})
"""Kinds whose baseline is what is seen first."""
_LENGTHS = ("a quarter of the shortest", "the second quarter", "the third quarter", "the longest")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedBaseline:
    """What an evaluation said of a scorer."""

    mean: float
    n: int


@dataclass(slots=True, kw_only=True)
class _Standing:
    """An alert that stands."""

    since_ms: int
    text: str
    stream: int
    upwards: bool
    bound: float


@dataclass(slots=True, kw_only=True)
class RuleWatch:
    """A rule with all that it knows; kept between two looks as JSON values."""

    rule: AlertRule
    cursor: SeenTo
    begun_ms: int
    """When it began to look; what was said before is nothing to it."""
    look_ms: int
    """When the look began that is open."""
    looked_at: LookedAt
    open: list[list[float]] = field(default_factory=list)
    """What it holds so far: total and n of each stream."""
    labels: list[str] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    learnt: list[Any] = field(default_factory=list)
    """What a baseline is made of: of so many as come, every `each`th."""
    each: int = 1
    skipped: int = 0
    first_ms: int | None = None
    """When the first of it was seen."""
    before: list[float] = field(default_factory=list)
    """The mean of each stream in the baseline, or the limit."""
    watch: Watch | None = None
    """None while a baseline is learnt."""
    back: Watch | None = None
    standing: _Standing | None = None

    @classmethod
    def begun(
        cls, rule: AlertRule, cursor: SeenTo, at_ms: int, baseline: EvaluatedBaseline | None
    ) -> RuleWatch:
        """Return a rule that has seen nothing."""
        step = int(rule.about.look * 1000)
        made = cls(
            rule=rule,
            cursor=cursor,
            begun_ms=at_ms,
            look_ms=at_ms - at_ms % step,
            looked_at=LookedAt(window=rule.about.window),
        )
        if baseline is not None:
            interval = chernoff_interval(baseline.mean, baseline.n, alpha=rule.alpha / 2)
            floor = max(interval.low - rule.options["margin"], 0.0)
            made._watch_over([""], [baseline.mean], [Band(low=floor)])
        elif rule.kind not in LEARNING:
            limit = {
                "latency": 1 - rule.options.get("quantile", 0.0),
                "cost_per_hour": 1 / COST_CAP,
            }.get(rule.kind, rule.options["above"])
            made._watch_over([""], [limit], [Band(high=limit)])
        return made

    @property
    def state(self) -> str:
        """`learning`, `quiet`, `standing`, or `unknown`: it had nothing to look at."""
        if self.standing is not None:
            return "standing"
        looked = self.looked_at
        # Where nothing was asked, it is known what that cost, and how much of a baseline there is.
        tells = self.watch is None or self.rule.kind == "cost_per_hour"
        if not looked.values and (looked.answers or looked.lacking or not tells):
            return "unknown"
        return "learning" if self.watch is None else "quiet"

    @property
    def alpha(self) -> float:
        """The part of the rule's chance that is not for a baseline; 1/alpha of evidence fires."""
        fixed = self.rule.options.get("above") is not None
        return self.rule.alpha if fixed else self.rule.alpha / 2

    def advance(self, seen: Sequence[Observed], cursor: SeenTo, now_ms: int) -> list[AlertEvent]:
        """Take in what came, and close every look that is over; returns what began or ended."""
        events: list[AlertEvent] = []
        step = int(self.rule.about.look * 1000)
        for one in after(self.cursor, seen):
            if one.at_ms < self.begun_ms:
                # Said before the rule began.
                continue
            while one.at_ms >= self.look_ms + step:
                events += self._close(step)
            value = value_for(self.rule, one)
            if value is None:
                continue
            self.looked_at.add(one.at_ms, value, answer=one.row is not None)
            if not isinstance(value, Lacking):
                self._take(value, one.at_ms)
        self.cursor = cursor
        self.looked_at.forget(now_ms)
        while now_ms >= self.look_ms + step + LATE_MS:
            events += self._close(step)
        return events

    def _watch_over(
        self, labels: Sequence[str], before: Sequence[float], streams: Sequence[Band]
    ) -> None:
        about = self.rule.about
        self.labels, self.before = list(labels), list(before)
        self.open = [[0.0, 0] for _ in labels]
        self.watch = Watch(
            streams,
            horizon=max(int(self.rule.days * 86_400 / about.look), 1),
            window=int(about.window / about.look),
        )

    def _take(self, value: str | float, at_ms: int) -> None:
        if self.watch is None:
            self._keep(value, at_ms)
            return
        if self.rule.kind == "cost_per_hour":
            self.open[0][0] += float(value)
            return
        if len(self.labels) == 1:
            self._add(0, float(value))
            return
        here = self._place(value)
        for place in range(len(self.labels)):
            self._add(place, float(place == here))

    def _add(self, place: int, value: float) -> None:
        self.open[place][0] += value
        self.open[place][1] += 1

    def _place(self, value: str | float) -> int:
        if isinstance(value, str):
            return self.labels.index(value if value in self.labels else _OTHER)
        return sum(value > cut for cut in self.cuts)

    def _keep(self, value: str | float, at_ms: int) -> None:
        """Keep what a baseline is made of, from all hours of its time alike."""
        self.first_ms = at_ms if self.first_ms is None else self.first_ms
        self.skipped += 1
        if self.skipped < self.each:
            return
        self.skipped = 0
        options = self.rule.options
        self.learnt.append(value)
        if len(self.learnt) >= _MOST * options["baseline"]:
            self.learnt, self.each = self.learnt[::2], 2 * self.each
        if len(self.learnt) < options["baseline"]:
            return
        if at_ms - self.first_ms >= options["hours"] * 3_600_000:
            self._learn()

    def _learn(self) -> None:
        """Make a baseline of what was seen: by one half it is decided what to look at in the other."""
        first, second = self.learnt[::2], self.learnt[1::2]
        half = len(first)
        if self.rule.kind == "language_drift":
            common = [
                name for name, n in Counter(first).most_common(_LANGUAGES - 1) if n >= _RARE * half
            ]
            self.labels = [*common, _OTHER]
        else:
            ordered = sorted(first)
            self.cuts = [ordered[int(share * half)] for share in (0.25, 0.5, 0.75)]
            self.labels = list(_LENGTHS)
        counted = Counter(map(self._place, second))
        means = [counted[place] / len(second) for place in range(len(self.labels))]
        tolerance, each = self.rule.options["tolerance"], self.rule.alpha / (4 * len(means))
        bands = []
        for mean in means:
            interval = chernoff_interval(mean, len(second), alpha=each)
            low, high = max(interval.low - tolerance, 0.0), min(interval.high + tolerance, 1.0)
            bands.append(Band(low=low, high=high))
        self.learnt = []
        self._watch_over(self.labels, means, bands)

    def _close(self, step: int) -> list[AlertEvent]:
        look = [(total, int(n)) for total, n in self.open]
        self.look_ms += step
        if self.watch is None:
            return []
        self.open = [[0.0, 0] for _ in self.labels]
        if self.rule.kind == "cost_per_hour":
            share = step / 3_600_000
            look = [(min(look[0][0] / (COST_CAP * share * self.rule.options["above"]), 1.0), 1)]
        self.watch.observe(look)
        if self.standing is not None:
            assert self.back is not None
            self.back.observe([look[self.standing.stream]])
        if self.standing is not None:
            return self._clear()
        # Evidence does not grow by nothing.
        return self._fire() if any(n for _, n in look) else []

    def _fire(self) -> list[AlertEvent]:
        assert self.watch is not None
        if not self.watch.alarmed(self.alpha):
            return []
        found = strongest(self.watch)
        mean, before = found.total / found.n, self.before[found.stream]
        band = self.watch.streams[found.stream]
        assert isinstance(band, Band)
        upwards = mean > before
        bound = band.high if upwards else band.low
        began = self.look_ms - found.looks * int(self.rule.about.look * 1000)
        hours = found.looks * self.rule.about.look / 3_600
        label = self.labels[found.stream]
        text = said_of(self.rule, label, mean, before, n=found.n, hours=hours)
        self.standing = _Standing(
            since_ms=began,
            text=f"{self.rule.name}: {text}",
            stream=found.stream,
            upwards=upwards,
            bound=bound,
        )
        other = Band(low=bound) if upwards else Band(high=bound)
        self.back = Watch([other], horizon=self.watch.window, window=self.watch.window)
        return [self._event("fired", text, mean, found.n, bound)]

    def _clear(self) -> list[AlertEvent]:
        assert self.watch is not None
        assert self.back is not None
        assert self.standing is not None
        other_way = self.back.alarmed(CLEAR_ALPHA)
        if not other_way and self.watch.log_e >= 0:
            return []
        standing = self.standing
        bands = [band for band in self.watch.streams if isinstance(band, Band)]
        why = "the last answers show that it is over" if other_way else "nothing shows it any more"
        self.standing = self.back = None
        self._watch_over(self.labels, self.before, bands)
        return [self._event("cleared", why, None, 0, standing.bound)]

    def _event(
        self, state: str, text: str, value: float | None, n: int, bound: float
    ) -> AlertEvent:
        return AlertEvent.of(
            self.rule, state, text, at_ms=self.look_ms, value=value, n=n, limit=bound
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {
            "cursor": asdict(self.cursor),
            "begun_ms": self.begun_ms,
            "look_ms": self.look_ms,
            "open": self.open,
            "labels": self.labels,
            "cuts": self.cuts,
            "learnt": self.learnt,
            "each": self.each,
            "skipped": self.skipped,
            "first_ms": self.first_ms,
            "before": self.before,
            "watch": None if self.watch is None else self.watch.to_json(),
            "back": None if self.back is None else self.back.to_json(),
            "standing": None if self.standing is None else asdict(self.standing),
            "looked_at": self.looked_at.slots,
        }

    @classmethod
    def from_json(cls, rule: AlertRule, values: Mapping[str, Any]) -> RuleWatch:
        """Restore one.

        Raises:
            ValueError, KeyError, TypeError: It is none.
        """
        watch, back, standing = values["watch"], values["back"], values["standing"]
        looked_at = values.get("looked_at")
        if looked_at is None:
            # Kept before this was counted: what it has seen came in its last look.
            seen = (
                len(values["learnt"])
                if watch is None
                else sum(int(look[0][1]) for look in watch["looks"])
            )
            looked_at = [[values["look_ms"], seen, seen, {}]] if seen else []
        return cls(
            rule=rule,
            cursor=SeenTo(**values["cursor"]),
            begun_ms=values["begun_ms"],
            look_ms=values["look_ms"],
            open=[list(pair) for pair in values["open"]],
            labels=list(values["labels"]),
            cuts=list(values["cuts"]),
            learnt=list(values["learnt"]),
            each=values["each"],
            skipped=values["skipped"],
            first_ms=values["first_ms"],
            before=list(values["before"]),
            watch=None if watch is None else Watch.from_json(watch),
            back=None if back is None else Watch.from_json(back),
            standing=None if standing is None else _Standing(**standing),
            looked_at=LookedAt.kept(rule.about.window, looked_at),
        )
