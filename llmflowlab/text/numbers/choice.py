"""Which of a text's numbers is its answer."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmflowlab.text.numbers.canonical import OPEN_MACHINE, canonical
from llmflowlab.text.numbers.cldr import base_of
from llmflowlab.text.numbers.digits import MACHINE, convention_of
from llmflowlab.text.numbers.formulas import with_formulas
from llmflowlab.text.numbers.joining import joined
from llmflowlab.text.numbers.lexicon import ALTERNATIVE, ALTERNATIVE_DUTCH, CONJUNCTION
from llmflowlab.text.numbers.neighbours import (
    is_converted,
    is_near,
    is_vague,
    of_other_kind,
    same_kind,
    with_both_signs,
)
from llmflowlab.text.numbers.number_kinds import described
from llmflowlab.text.numbers.quantity import NumberRank, Quantity, between
from llmflowlab.text.numbers.scan import numbers_in
from llmflowlab.text.numbers.stated import SAID_AFTER, Statement, marked, statements
from llmflowlab.text.numbers.units import Unit

__all__ = ["ChosenNumber", "Numbers", "read_numbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenNumber:
    """The number that a text gives as its answer, or the several that it gives."""

    given: tuple[Quantity, ...]
    """One number; several where a text leaves it open (`5 or 6`, `x = 3 and x = 4`)."""
    restated: tuple[Quantity, ...] = ()
    """The same quantity in another unit or rounded: `5 km (3.1 mi)`, `1/3 ≈ 0.333`."""
    conflicting: tuple[Quantity, ...] = ()
    """Other answers that the text states elsewhere and does not take back."""
    open: bool = False
    """`5 or 6`: any of them, not all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """All numbers of a text, and where it states its answer."""

    text: str
    """In canonical form."""
    found: tuple[Quantity, ...]
    stated: tuple[Statement, ...]
    dutch: bool = False

    def answer(self, *, like: Unit | None = None, year: bool = False) -> ChosenNumber | None:
        """Return the number that the text gives as its answer; None if it has none.

        What is stated comes before the last number, and a number before a year, an ordinal or the
        number of a list.

        Args:
            like: The unit that is asked for: numbers of another kind after it are passed over.
            year: Whether a year is asked for, which then counts as any number.
        """
        strength = max((s.strength for s in self.stated if self._within(s)), default=None)
        said = [s for s in self.stated if s.strength == strength and self._within(s)]
        answers = [self._leading(s, like) for s in said]
        answers += self._said_after() if strength is None else []
        if not answers:
            return self._last(like, year=year)
        answer, earlier = answers[-1], answers[:-1]
        if said and said[-1].corrects:
            return answer
        other = [q for a in earlier for q in a.given if not _alike(a, answer)]
        return replace(answer, conflicting=tuple(other))

    def _within(self, statement: Statement) -> list[Quantity]:
        first = bisect_left(self.found, statement.start, key=_start)
        last = bisect_left(self.found, statement.end, key=_start)
        inside = [q for q in self.found[first:last] if not q.negated]
        return [q for q in inside if q.rank > NumberRank.NUMBERING] or inside

    def _leading(self, statement: Statement, like: Unit | None) -> ChosenNumber:
        """Return the first number of a statement, or that after its last sign of equality."""
        inside = self._within(statement)
        plain = [q for q in inside if q.rank == max(q.rank for q in inside)]
        first = next((q for q in plain if like is None or not of_other_kind(q, like)), plain[0])
        return self._with_neighbours(self._outcome(first, inside), inside)

    def _outcome(self, first: Quantity, inside: Sequence[Quantity]) -> Quantity:
        """Return what a calculation that begins with a number comes to: 4 of `2 + 2 = 4`."""
        last = outcome = first
        for one in inside[inside.index(first) + 1 :]:
            gap = self._gap(last, one)
            concludes = is_vague(last) and _CONCLUDES.fullmatch(gap)
            if not concludes and not _CALCULATES.fullmatch(gap):
                break
            last = one
            if ("=" in gap or concludes) and not one.operand:
                outcome = one
        return outcome

    def _said_after(self) -> list[ChosenNumber]:
        told = [q for q in self.found if SAID_AFTER.match(self.text, q.end) and not q.negated]
        return [ChosenNumber(given=with_both_signs(q)) for q in told[-1:]]

    def _last(self, like: Unit | None, *, year: bool) -> ChosenNumber | None:
        kept = [q for q in self.found if not q.negated]
        if not kept:
            return None
        least = max(q.rank for q in kept)
        if year and any(q.rank == NumberRank.YEAR for q in kept):
            least = min(least, NumberRank.YEAR)
        ranked = [q for q in kept if q.rank >= least]
        ranked = [q for q in ranked if not q.operand] or ranked
        chosen = ranked[-1]
        if like is not None:
            # Only numbers of another kind after it are passed over; a bare one is not.
            for one in reversed(ranked):
                if not of_other_kind(one, like):
                    chosen = one
                    break
        return self._with_neighbours(chosen, ranked)

    def _with_neighbours(self, chosen: Quantity, all_: Sequence[Quantity]) -> ChosenNumber:
        """Return a number with those that stand beside it as alternatives or restatements."""
        at = all_.index(chosen)
        given, restated, is_open = [chosen], [], False
        for step, numbers in ((-1, range(at - 1, -1, -1)), (1, range(at + 1, len(all_)))):
            edge = chosen
            for n in numbers:
                left, right = (all_[n], edge) if step < 0 else (edge, all_[n])
                gap = self._gap(left, right)
                other = all_[n]
                apart = _VARIABLE_IS.sub("", gap)
                if ALTERNATIVE.fullmatch(apart) or (
                    self.dutch and ALTERNATIVE_DUTCH.fullmatch(apart)
                ):
                    if is_converted(left, right):
                        restated.append(other)
                        break
                    is_open = True
                    given.append(other)
                elif (
                    _LIST.fullmatch(gap)
                    and same_kind(left, right, gap)
                    and not (left.operand or right.operand)
                ):
                    given.append(other)
                elif _RESTATES.fullmatch(gap) and (is_near(left, right)):
                    restated.append(other)
                    break
                else:
                    break
                edge = other
        signed = tuple(q for one in given for q in with_both_signs(one))
        return ChosenNumber(given=signed, restated=tuple(restated), open=is_open)

    def _gap(self, left: Quantity, right: Quantity) -> str:
        return between(self.text, left, right)


def _start(one: Quantity) -> int:
    return one.start


_CALCULATES = re.compile(
    r"[ \u00a0)|]{0,4}(?:=|[-−–+*×÷·/^]|\*\*|(?:plus|minus|times|divided by|mal|fois)(?=[ \u00a0]))[ \u00a0($€£]{0,4}",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"[,;]?[ \u00a0](?:and )?(?:so|thus|hence|therefore|namely|also|daher|donc|por lo tanto|quindi|portanto),?[ \u00a0]"
    r"(?:(?:it|that|the answer|es|das)(?:'s|[ \u00a0](?:is|must be|ist))[ \u00a0])?",
    re.IGNORECASE,
)
_RESTATES = re.compile(
    r",?[ \u00a0]{0,2}(?:[(\[][ \u00a0]?)?(?:=|≈|≃|~|or(?: about| roughly| approximately)|approximately|about|roughly|i\.e\.,?|that is,?|"
    r"etwa|ca\.|circa|environ|aproximadamente|или примерно|примерно|约|約)?[ \u00a0]{0,2}",
)
_VARIABLE_IS = re.compile(r"(?<=[ \u00a0])[^\W\d_]{1,2}(?:_\d)?[ \u00a0]?=[ \u00a0]?$")
"""Of `x = 3 or x = 4`."""
_LIST = re.compile(
    rf"(?:{CONJUNCTION.pattern})(?:[^\W\d_]{{1,2}}(?:_\d)?[ \u00a0]?=[ \u00a0]?)?", re.IGNORECASE
)


def _alike(one: ChosenNumber, other: ChosenNumber) -> bool:
    """Whether two statements give the same numbers, as far as their own units say."""

    def seen(answer: ChosenNumber) -> set[object]:
        return {
            (q.first.unit.base(q.first.value), q.first.upper)
            if isinstance(q.first.unit, Unit)
            else (q.first.value, q.first.upper)
            for q in answer.given
        }

    bare = {q.first.value for q in one.given} == {q.first.value for q in other.given}
    return bare or seen(one) == seen(other)


def read_numbers(text: str, *, language: str | None = None) -> Numbers:
    """Read all numbers of a text; never raises on any text.

    Args:
        text: Prose in any of the languages read.
        language: ISO 639 code, with a country where that matters; None where it is not known.
    """
    plain = marked(canonical(text))
    tongue = language if base_of(language) else None
    how = convention_of(plain, tongue)
    found = numbers_in(plain, how, tongue)
    if OPEN_MACHINE in plain:
        machine = numbers_in(plain, convention_of(plain, MACHINE), tongue)
        of_machine = {q.start: q for q in machine}
        found = [
            of_machine.get(q.start, q) if plain[: q.start].rstrip("-").endswith(OPEN_MACHINE) else q
            for q in found
        ]
    found = described(plain, with_formulas(plain, joined(plain, found)), tongue)
    return Numbers(
        text=plain,
        found=tuple(found),
        stated=tuple(statements(plain)),
        dutch=base_of(tongue) == "nl",
    )
