"""The rules over a text: unit by unit, each with the one before it, so that splits change nothing."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import chain

from llmflowlab.guardrails.cutting import cuts
from llmflowlab.guardrails.disguises import read
from llmflowlab.guardrails.encoded import decoded_runs
from llmflowlab.guardrails.personal_data import personal_data
from llmflowlab.guardrails.policy import Policy
from llmflowlab.guardrails.rule_files import OF_WORDS, WordRule
from llmflowlab.guardrails.rule_index import character_rules, word_rules
from llmflowlab.guardrails.secrets import secrets
from llmflowlab.guardrails.stretches import Stretch, Words
from llmflowlab.guardrails.verdict import Category, Detection, Direction

__all__ = ["Scanner", "scan"]

_TURNS = re.compile(
    r"(?i)<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|\[/?INST\]|<</?SYS>>"
    r"|^\s{0,3}#{2,3} ?(?:new )?(?:system|instruction)s?(?: prompt)?\s*:|</?system>|\[system\]\(#",
    re.MULTILINE,
)
_OTHER_SCRIPT = re.compile("[\u0590-\u1fff\u2e80-\ud7ff\uf900-\uffef]")
_ENDS = re.compile(r"[.!?。！？؟।\n]")
_OVERLAP = 64
"""Characters of the unit before in which a number or a key may begin."""


class Scanner:
    """Finds what a policy looks for, in units that come one after the other.

    Args:
        policy: What is looked for, what is let pass, and the person's own rules.
        direction: Which way the text goes.
    """

    def __init__(self, policy: Policy, direction: Direction) -> None:
        self._watched = policy.watched(direction)
        self._words = tuple(name for name in OF_WORDS if name in self._watched)
        self._allow = {
            rule: frozenset(text.casefold() for text in texts)
            for rule, texts in policy.allow.items()
        }
        self._own = policy.own if "own" in self._watched else ()
        self._before: Stretch | None = None

    def unit(self, text: str, start: int) -> list[Detection]:
        """Return what ends in the next unit of a text; it may begin in the unit before.

        Args:
            text: The unit.
            start: Where it begins in the whole.
        """
        here = read(text, start)
        before, self._before = self._before, here
        both = here if before is None else before + here
        found = [each for each in self._found(both, here) if each.end > start]
        if not found:
            return []
        said = {each: _between(both, each) for each in found}
        return _widest(each for each in found if not self._allowed(each, said[each]))

    def _found(self, both: Stretch, here: Stretch) -> Iterator[Detection]:
        if self._words:
            yield from _by_words(both, here, self._words)
        if "injection" in self._watched:
            yield from _turns(here)
        # Of these nothing goes over a sentence's end, and little over the end of a line.
        tail = _tail(both, here)
        for name, look in (("personal_data", personal_data), ("secrets", secrets)):
            if name in self._watched:
                for found in look(tail.clean):
                    start, end = tail.place(found.start, found.end)
                    yield replace(found, start=start, end=end)
        for plain, begin, stop in decoded_runs(here.clean):
            inner = read(plain, 0)
            start, end = here.place(begin, stop)
            looks = [look(plain) for look in (personal_data, secrets)]
            inside = [*_by_words(inner, inner, self._words), *_turns(inner), *chain(*looks)]
            for found in inside:
                if found.category not in self._watched:
                    continue
                yield replace(found, start=start, end=end)
        for line in self._own:
            yield from _own(line, both)

    def _allowed(self, finding: Detection, text: str) -> bool:
        said = text.casefold()
        names = (finding.rule, finding.category)
        return any(said in self._allow.get(name, ()) for name in names)


def scan(text: str, policy: Policy, direction: Direction) -> list[Detection]:
    """Return all findings of a whole text, in its order."""
    scanner, start = Scanner(policy, direction), 0
    found = []
    for end in cuts(text, 0, final=True):
        found += scanner.unit(text[start:end], start)
        start = end
    return found


def _tail(both: Stretch, here: Stretch) -> Stretch:
    """Return a unit with the end of the one before it."""
    begin = max(len(both.clean) - len(here.clean) - _OVERLAP, 0)
    return Stretch(both.clean[begin:], "", both.places[begin:], ())


def _between(stretch: Stretch, finding: Detection) -> str:
    """Return the characters of a finding, as they are compared with what is let pass."""
    begin = bisect_left(stretch.places, finding.start)
    return stretch.clean[begin : bisect_left(stretch.places, finding.end)]


def _by_words(
    stretch: Stretch, here: Stretch, categories: tuple[Category, ...]
) -> Iterator[Detection]:
    for number, reading in enumerate(stretch.readings):
        ends = here.readings[min(number, len(here.readings) - 1)].met
        for rule in word_rules(reading.met, ends, categories):
            # The end of a unit is one of a sentence, whether or not its writer says so.
            joined = f"{reading.joined}. "
            for match in _matches(rule.pattern, joined):
                if not _excused(rule, joined, match.start() + 1, match.end()):
                    yield _finding(rule, reading, match)
    if stretch.folded.isascii() or not _OTHER_SCRIPT.search(stretch.folded):
        return
    for rule in character_rules(stretch.folded, categories):
        for match in rule.pattern.finditer(stretch.folded):
            if _excused_there(rule, match):
                continue
            start, end = stretch.place(*match.span())
            yield Detection(
                category=rule.category, rule=rule.name, severity=rule.severity, start=start, end=end
            )


def _matches(pattern: re.Pattern[str], joined: str) -> Iterator[re.Match[str]]:
    """Yield matches in order; the space at the end of one may be that before the next."""
    match = pattern.search(joined)
    while match is not None:
        yield match
        match = pattern.search(joined, match.end() - 1)


def _turns(stretch: Stretch) -> Iterator[Detection]:
    if "<" not in stretch.clean and "[" not in stretch.clean and "#" not in stretch.clean:
        return
    for match in _TURNS.finditer(stretch.clean):
        start, end = stretch.place(*match.span())
        yield Detection(
            category="injection", rule="fake_turn", severity="high", start=start, end=end
        )


def _finding(rule: WordRule, reading: Words, match: re.Match[str]) -> Detection:
    first = match.string.count(" ", 0, match.start() + 1) - 1
    last = min(match.string.count(" ", 0, match.end() - 1), len(reading)) - 1
    start, end = reading.place(first, last)
    return Detection(
        category=rule.category, rule=rule.name, severity=rule.severity, start=start, end=end
    )


def _excused(rule: WordRule, joined: str, start: int, end: int) -> bool:
    """Tell whether the sentence around a match makes it harmless."""
    if rule.category == "toxicity" and _quoted(joined, start, end):
        return True
    if rule.excuse is None:
        return False
    begin = joined.rfind(" . ", 0, start) + 2 if " . " in joined[:start] else 0
    stop = joined.find(" . ", end - 1)
    rest = joined[end - 1 : len(joined) if stop < 0 else stop + 1]
    # Words between those that were looked for count; an order to disregard cannot excuse itself.
    inside = "" if rule.category == "injection" else joined[start - 1 : end]
    return any(rule.excuse.search(part) for part in (joined[begin:start], inside, rest))


def _excused_there(rule: WordRule, match: re.Match[str]) -> bool:
    """Tell the same of a match of characters."""
    # In markup it is no person who asks.
    if rule.excuse is None or "<" in match.string:
        return False
    before, after = match.string[: match.start()], match.string[match.end() :]
    sentence = _ENDS.split(before)[-1] + match[0] + _ENDS.split(after, maxsplit=1)[0]
    return rule.excuse.search(sentence) is not None


def _quoted(joined: str, start: int, end: int) -> bool:
    return joined.count('"', 0, end) % 2 == 1 and '"' in joined[end:]


def _own(line: str, stretch: Stretch) -> Iterator[Detection]:
    spans: list[tuple[int, int]] = []
    if len(line) > 2 and line[0] == line[-1] == "/":
        # Imported here: most policies have no patterns of a person's own.
        from llmflowlab.text.searching import search_all

        spans = [match.span() for match in search_all(line[1:-1], stretch.clean)]
    else:
        wanted = _folded(line)
        at = stretch.folded.find(wanted)
        while at >= 0 and wanted:
            spans.append((at, at + len(wanted)))
            at = stretch.folded.find(wanted, at + 1)
    for start, end in (stretch.place(*span) for span in spans if span[1] > span[0]):
        yield Detection(category="own", rule=line, severity="high", start=start, end=end)


@lru_cache(maxsize=1024)
def _folded(text: str) -> str:
    return read(text, 0).folded


def _widest(found: Iterable[Detection]) -> list[Detection]:
    """Return findings in order, of the same kind at the same place the widest."""
    kept: list[Detection] = []
    for finding in sorted(set(found), key=lambda f: (f.start, -f.end, f.rule)):
        twice = any(
            other.category == finding.category
            and other.start <= finding.start
            and finding.end <= other.end
            for other in kept
        )
        if not twice:
            kept.append(finding)
    return kept
