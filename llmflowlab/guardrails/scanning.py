"""The rules over a text: unit by unit, each with the one before it, so that splits change nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from llmflowlab.guardrails.encoded import decoded_runs
from llmflowlab.guardrails.normalise import Reading, Stretch, read
from llmflowlab.guardrails.personal_data import personal_data
from llmflowlab.guardrails.policy import Policy
from llmflowlab.guardrails.rule_files import WordRule, beginnings, rules_of, vocabulary
from llmflowlab.guardrails.secrets import secrets
from llmflowlab.guardrails.units import cuts
from llmflowlab.guardrails.verdict import Category, Direction, Finding

__all__ = ["Scanner", "scan"]

_OF_WORDS: tuple[Category, ...] = ("injection", "malicious", "toxicity", "profanity")
_TURNS = re.compile(
    r"(?i)<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|\[/?INST\]|<</?SYS>>"
    r"|^\s{0,3}#{2,3} ?(?:new )?(?:system|instruction)s?(?: prompt)?\s*:|</?system>|\[system\]\(#",
    re.MULTILINE,
)
_SENTENCE = re.compile(r"[^.]+\.?")


class Scanner:
    """Finds what a policy looks for, in units that come one after the other.

    Args:
        policy: What is looked for, what is let pass, and the person's own rules.
        direction: Which way the text goes.
    """

    def __init__(self, policy: Policy, direction: Direction) -> None:
        self._watched = policy.watched(direction)
        self._words = tuple(name for name in _OF_WORDS if name in self._watched)
        self._allow = {
            rule: frozenset(text.casefold() for text in texts)
            for rule, texts in policy.allow.items()
        }
        self._own = policy.own if "own" in self._watched else ()
        self._before: Stretch | None = None
        self._text = ""

    def unit(self, text: str, start: int) -> list[Finding]:
        """Return what ends in the next unit of a text; it may begin in the unit before.

        Args:
            text: The unit.
            start: Where it begins in the whole.
        """
        here = read(text, start, vocabulary)
        both = here if self._before is None else self._before + here
        around = self._text + text
        offset = start - len(self._text)
        self._before, self._text = here, text
        found = [f for f in self._found(both, around, offset, start) if f.end > start]
        return _widest(f for f in found if not self._allowed(f, around[f.start - offset : f.end - offset]))

    def _found(self, both: Stretch, raw: str, offset: int, start: int) -> Iterator[Finding]:
        if self._words:
            yield from _by_words(both, self._words)
        if "injection" in self._watched:
            yield from _turns(both)
        for name, look in (("personal_data", personal_data), ("secrets", secrets)):
            if name in self._watched:
                for finding in look(both.clean):
                    yield replace(
                        finding,
                        start=both.places[finding.start],
                        end=both.places[finding.end - 1] + 1,
                    )
        for plain, begin, end in decoded_runs(both.clean):
            inner = read(plain, 0, vocabulary)
            for finding in [*_by_words(inner, self._words), *_turns(inner)]:
                yield replace(
                    finding, start=both.places[begin], end=both.places[end - 1] + 1
                )
        for line in self._own:
            yield from _own(line, both)

    def _allowed(self, finding: Finding, text: str) -> bool:
        said = text.casefold()
        names = (finding.rule, finding.category)
        return any(said in self._allow.get(name, ()) for name in names)


def scan(text: str, policy: Policy, direction: Direction) -> list[Finding]:
    """Return all findings of a whole text, in its order."""
    scanner, start = Scanner(policy, direction), 0
    found = []
    for end in cuts(text, 0, final=True):
        found += scanner.unit(text[start:end], start)
        start = end
    return found


def _by_words(stretch: Stretch, categories: tuple[Category, ...]) -> Iterator[Finding]:
    for reading in stretch.readings:
        there = beginnings(reading)
        joined: str | None = None
        for category in categories:
            for rule in rules_of(category).candidates(there):
                if joined is None:
                    joined = f" {' '.join(reading.words)} "
                for match in rule.pattern.finditer(joined):
                    if not _excused(rule, joined, match.start(), match.end()):
                        yield _finding(rule, reading, joined, match)
    if stretch.folded.isascii():
        return
    for category in categories:
        for rule in rules_of(category).of_characters:
            if all(any(text in stretch.folded for text in need) for need in rule.needs):
                for match in rule.pattern.finditer(stretch.folded):
                    places = stretch.places
                    yield Finding(
                        category=rule.category,
                        rule=rule.name,
                        severity=rule.severity,
                        start=places[match.start()],
                        end=places[match.end() - 1] + 1,
                    )


def _turns(stretch: Stretch) -> Iterator[Finding]:
    if "<" not in stretch.clean and "[" not in stretch.clean and "#" not in stretch.clean:
        return
    for match in _TURNS.finditer(stretch.clean):
        yield Finding(
            category="injection",
            rule="fake_turn",
            severity="high",
            start=stretch.places[match.start()],
            end=stretch.places[match.end() - 1] + 1,
        )


def _finding(rule: WordRule, reading: Reading, joined: str, match: re.Match[str]) -> Finding:
    first = joined.count(" ", 0, match.start()) - 1
    last = joined.count(" ", 0, match.end() - 1) - 1
    return Finding(
        category=rule.category,
        rule=rule.name,
        severity=rule.severity,
        start=reading.spans[first][0],
        end=reading.spans[last][1],
    )


def _excused(rule: WordRule, joined: str, start: int, end: int) -> bool:
    """Tell whether the sentence around a match makes it harmless."""
    begin = joined.rfind(" . ", 0, start) + 1
    stop = joined.find(" . ", max(end - 1, start))
    sentence = joined[max(begin, 0) : len(joined) if stop < 0 else stop + 1]
    inside = joined[start:end]
    if rule.category == "toxicity" and _quoted(joined, start, end):
        return True
    excuse = rule.excuse
    if excuse is None:
        return False
    return any(
        not (start <= begin + m.start() and begin + m.end() <= end)
        for m in excuse.finditer(" " + sentence if begin == 0 and not sentence.startswith(" ") else sentence)
    ) or bool(rule.category == "toxicity" and excuse.search(inside))


def _quoted(joined: str, start: int, end: int) -> bool:
    return joined.count(' "', 0, start) % 2 == 1 and ' " ' in joined[end - 1 :]


def _own(line: str, stretch: Stretch) -> Iterator[Finding]:
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
    for start, end in spans:
        if end > start:
            yield Finding(
                category="own",
                rule=line,
                severity="high",
                start=stretch.places[start],
                end=stretch.places[end - 1] + 1,
            )


@lru_cache(maxsize=1024)
def _folded(text: str) -> str:
    return read(text, 0, vocabulary).folded


def _widest(found: Iterator[Finding]) -> list[Finding]:
    """Return findings in order, of the same kind at the same place the widest."""
    kept: list[Finding] = []
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
