"""What of an answer is scored: all of it, or what `extract=` takes out of it first.

Benchmarks ask for a form ("end with #### and the number", "put it into <answer> tags"); as the filters of
lm-evaluation-harness do, the part is taken out and only that is compared. An answer without the form is
wrong: it did not do what was asked. It is never left out of the mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.scorers.base import CorpusScorer, ScorerSpec, TextScorer
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.evaluation.scores import NotScored, Score
from llmflowlab.text.searching import TooSlow, search_all, wrong_pattern

__all__ = ["extracting", "extractor"]

Extractor: TypeAlias = Callable[[str], "str | None"]
"""Text → the part that is scored; None where it is not there. May raise `TooSlow`."""

_DATA_LACKS: frozenset[NotScored] = frozenset({"no_expected_answer", "expected_unusable"})
_FENCED = re.compile(r"```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_TAG = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_STEP = re.compile(r"""\.([^\s.\[\]'"]+)|\[(-?\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")


def extractor(text: str) -> Extractor | str:
    """Return what takes the part out that `extract=` names, or what is wrong with it.

    `####` and `after:MARK`: what follows the last mark, to the end of its line; `tag:NAME`: what stands
    in the last `<NAME>…</NAME>`; `regex:PATTERN` and `regex_first:PATTERN`: the first group that took part
    in the last or first match, or the match; `json:$.a.b[0]`: a value of the answer's JSON.
    """
    kind, colon, rest = text.strip().partition(":")
    kind = kind.strip().lower()
    if text.strip() == "####":
        return lambda answer: _after(answer, "####")
    if not colon or not rest.strip():
        return f"extract={text} is not known; write ####, after:MARK, tag:NAME, regex:PATTERN or json:$.PATH"
    if kind == "after":
        return lambda answer: _after(answer, rest.strip())
    if kind == "tag":
        if not _TAG.fullmatch(rest.strip()):
            return f"extract={text}: {rest.strip()!r} is no name of a tag"
        return lambda answer: _tagged(answer, rest.strip())
    if kind in ("regex", "regex_first"):
        if (wrong := wrong_pattern(rest)) is not None:
            return f"extract: {wrong}"
        return lambda answer: _matched(answer, rest, first=kind == "regex_first")
    if kind == "json":
        if (steps := _steps(rest.strip())) is None:
            return f"extract={text}: write a path such as json:$.answer or json:$.answers[0].text"
        return lambda answer: _json_value(answer, steps)
    return f"extract={text} is not known; write ####, after:MARK, tag:NAME, regex:PATTERN or json:$.PATH"


_BOLD = re.compile(r"(?<![\w*])(\*{1,3}|_{2,3})(?![\s*_])[^*_\n]*$")
"""The beginning of a line's bold part that has not ended yet."""

_HEADING = re.compile(r"\*\*([^*\n]{1,80})\*\*(\s*[:=#-])")


def _after(answer: str, mark: str) -> str | None:
    at = answer.rfind(mark)
    if at < 0:
        # A heading whose sign stands outside of its bold part: "**Answer**: Paris".
        answer = _HEADING.sub(r"\1\2", answer)
        at = answer.rfind(mark)
    if at < 0:
        return None
    rest = answer[at + len(mark) :]
    # What is bold from before the mark on ends behind it, or at the end of the line: no part of it.
    bold = _BOLD.search(answer[:at].rpartition("\n")[2])
    if bold is not None:
        rest = rest.removeprefix(bold[1])
    # The mark of a heading may have its text on the next line.
    line = rest.strip().partition("\n")[0].strip()
    if bold is not None and line.count(bold[1]) == 1:
        line = line.removesuffix(bold[1]).strip()
    return line or None


def _tagged(answer: str, name: str) -> str | None:
    end = None
    for match in re.finditer(rf"</{re.escape(name)}\s*>", answer, re.IGNORECASE):
        end = match
    if end is None:
        return None
    begin = None
    for match in re.finditer(rf"<{re.escape(name)}(?:\s[^<>]*)?>", answer[: end.start()], re.I):
        begin = match
    return None if begin is None else answer[begin.end() : end.start()].strip() or None


def _matched(answer: str, pattern: str, *, first: bool) -> str | None:
    found = None
    for match in search_all(pattern, answer):
        found = match
        if first:
            break
    if found is None:
        return None
    groups = [group for group in found.groups() if group is not None]
    return (groups[0] if groups else found[0]).strip() or None


def _steps(path: str) -> list[str | int] | None:
    """Return the keys and places of a path; None where it is none."""
    if not path.startswith("$"):
        return None
    steps: list[str | int] = []
    place = 1
    while place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            return None
        key = next((match[i] for i in (1, 3, 4) if match[i] is not None), None)
        steps.append(int(match[2]) if key is None else key)
        place = match.end()
    return steps


def _json_value(answer: str, steps: Sequence[str | int]) -> str | None:
    for document in _documents(answer):
        value: Any = document
        try:
            for step in steps:
                if isinstance(value, dict | list) and isinstance(step, int) == isinstance(
                    value, list
                ):
                    value = value[step]  # type: ignore[index]  # the step fits, see the line above
                else:
                    raise KeyError(step)
        except (KeyError, IndexError):
            continue
        if value is not None:
            return (
                value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            )
    return None


def _documents(answer: str) -> Iterator[Any]:
    """Yield the answer as JSON, else its fenced blocks from the last, else its objects from the last."""
    for text in (answer, *reversed(_FENCED.findall(answer))):
        try:
            yield json.loads(text)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder(strict=False)
    found: list[Any] = []
    place, tries = answer.find("{"), 0
    while place >= 0 and tries < 1000:
        try:
            value, end = decoder.raw_decode(answer, place)
            found.append(value)
        except (ValueError, RecursionError):
            end = place + 1
        place, tries = answer.find("{", end), tries + 1
    yield from reversed(found)


@dataclass(frozen=True, slots=True)
class _Extracting:
    """A scorer that is shown only a part of the answer."""

    inner: TextScorer
    take: Extractor
    or_whole: bool = False
    """Whether an answer without the form is read whole: a refusal seldom has the form asked for."""

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def binary(self) -> bool:
        return self.inner.binary

    @property
    def needs_judge(self) -> bool:
        return self.inner.needs_judge

    @property
    def version(self) -> str:
        return f"{self.inner.version}+extract-2"

    def lacks(self, dataset: Dataset) -> str | None:
        return self.inner.lacks(dataset)

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        if answer.why_not_scored is not None:
            return self.inner.score(row, answer)
        try:
            part = self.take(answer.text)
        except TooSlow as exc:
            return Score(scorer=self.name, not_scored="scorer_failed", rationale=str(exc))
        if part is not None or self.or_whole:
            shown = answer if part is None else replace(answer, text=part)
            return self.inner.score(row, shown)
        # The row may lack what is compared with, whatever the answer's form.
        whole = self.inner.score(row, answer)
        if whole.not_scored in _DATA_LACKS:
            return whole
        return replace(whole, value=0.0, not_scored=None, rationale=NO_FORM)


NO_FORM = "The answer lacks the form that was asked for: there is nothing to extract."


class _ExtractingCorpus(_Extracting):
    """The same for figures that are no means: an answer without the form is an empty one."""

    __slots__ = ()
    inner: CorpusScorer

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        found = super().score(row, answer)
        return found if found.value is None else replace(found, parts=self.statistics(row, answer))

    def statistics(self, row: Row, answer: AnswerRecord) -> tuple[float, ...]:
        try:
            part = self.take(answer.text)
        except TooSlow:
            part = None
        return self.inner.statistics(row, replace(answer, text=part or ""))

    def value(self, summed: Sequence[float]) -> float:
        return self.inner.value(summed)


def extracting(spec: ScorerSpec, build: Callable[[ScorerSpec], TextScorer]) -> TextScorer:
    """Build a scorer, and put before it what its `extract=` names.

    Raises:
        InputError: An option does not exist or has no such value.
    """
    if "extract" not in spec.options:
        return build(spec)
    options = Options(spec)
    take = extractor(options.text("extract") or "")
    if isinstance(take, str):
        options.refuse(take)
    others = {name: value for name, value in spec.options.items() if name != "extract"}
    inner = build(ScorerSpec(spec.name, spec.kind, others))
    if isinstance(inner, CorpusScorer):
        return _ExtractingCorpus(inner, take)
    return _Extracting(inner, take, or_whole=spec.kind == "refusal")
