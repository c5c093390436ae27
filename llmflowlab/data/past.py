"""What earlier evaluations say about the rows of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llmflowlab.data.dataset import Row
from llmflowlab.data.findings import Finding, RowRef
from llmflowlab.text.digests import digest_of
from llmflowlab.text.normalise import normalise

__all__ = ["PastRow", "past_findings", "row_key"]

_LEAST = 3
"""Answers without which nothing is said about a row."""


@dataclass(slots=True)
class PastRow:
    """The scored answers to one question, of all earlier evaluations."""

    answers: dict[tuple[str, int], tuple[bool, str]] = field(default_factory=dict)
    """By candidate and trial: whether it was right, and its text. The newest counts."""


def row_key(row: Row) -> str:
    """Return what a row asks and expects as one value, whichever file it stands in."""
    conversation = None if row.conversation is None else row.conversation.to_json()
    return digest_of([row.question, row.context, row.expected, conversation])


def past_findings(
    rows: Sequence[Row], past: Mapping[str, PastRow], ref: Callable[[Row], RowRef]
) -> Iterator[Finding]:
    """Say which rows every candidate failed or passed.

    Nothing is said with fewer than three answers. Where most answers of at least two candidates are
    the same wrong one, the expected answer is suspected.
    """
    for row in rows:
        seen = past.get(row_key(row))
        if seen is None or len(seen.answers) < _LEAST:
            continue
        total = len(seen.answers)
        if all(right for right, _ in seen.answers.values()):
            message = f"All {total} answers so far were right."
            yield Finding(kind="always_passed", severity="note", message=message, rows=(ref(row),))
        elif not any(right for right, _ in seen.answers.values()):
            other = _agreed(row, seen)
            if other is None:
                message = f"All {total} answers so far were wrong."
                yield Finding(
                    kind="always_failed", severity="warning", message=message, rows=(ref(row),)
                )
            else:
                text, times = other
                message = f"Expected {row.expected!r}, but {times} of {total} answers say {text!r}."
                yield Finding(
                    kind="label_error", severity="warning", message=message, rows=(ref(row),)
                )


def _agreed(row: Row, seen: PastRow) -> tuple[str, int] | None:
    """Return the answer that most gave, and how many did."""
    plain = {who: normalise(text, language=row.language) for who, (_, text) in seen.answers.items()}
    text, times = Counter(plain.values()).most_common(1)[0]
    candidates = {who[0] for who, said in plain.items() if said == text}
    if not text or len(candidates) < 2 or times * 10 < 6 * len(plain) or len(text) > 100:
        return None
    return text, times
