"""The examination of a benchmark file: everything that makes its figures worth less."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from llmflowlab.data.balance import uneven_categories, wrong_languages
from llmflowlab.data.columns import Columns
from llmflowlab.data.dataset import Row, usable_rows
from llmflowlab.data.file_records import BadRow, DataTable, refusal
from llmflowlab.data.findings import ADVICE, DataReport, Finding, Kind, RowRef, Severity
from llmflowlab.data.layout import layout_of
from llmflowlab.data.logic import SAYS_LITTLE
from llmflowlab.data.near import near_pairs
from llmflowlab.data.past import PastRow, past_findings
from llmflowlab.data.question_keys import contains_words, same_text, words
from llmflowlab.data.remarks import left_out, words_for_nothing
from llmflowlab.data.tables import read_table
from llmflowlab.data.texts import damage, leaks
from llmflowlab.errors import DatasetError
from llmflowlab.text.normalise import normalise

__all__ = ["examine"]

_LONG = 10
"""How many times the median a text must be long to be an outlier."""
_LONG_CHARACTERS = 1_000

_TEXT_ABOVE = re.compile(r"[.!?。：:][ \n]+\S|\n")
"""Several sentences, or a text behind a colon."""

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


def examine(
    path: Path,
    *,
    mapping: Mapping[str, str],
    detect: Callable[[str], str | None],
    past: Mapping[str, PastRow] | None = None,
    skip_bad: bool = False,
) -> DataReport:
    """Examine a file; it is only read.

    Args:
        path: The file.
        mapping: Columns by role that their names do not tell.
        detect: Tells the language of a text, as an ISO 639-1 code; None where it is not sure.
        past: What earlier evaluations saw, by `row_key`; None where that is not wanted.
        skip_bad: Say of rows that cannot be used only that they are left out.

    Raises:
        InputError: The file cannot be read at all, or `mapping` is wrong.
        DatasetError: Its structure is broken, or no column can be the question.
    """
    path = Path(path).expanduser()
    table = read_table(path, keep_bad=True)
    if not table.columns and table.bad:
        raise refusal(table.bad, path.name)
    layout = layout_of(table, mapping, path.name)
    columns = layout.columns
    rows, bad = usable_rows(table, layout, gapless=False)
    if not rows and not bad:
        raise DatasetError("has no rows; add at least one question.", file=path.name)
    remarks = [*table.warnings, *layout.remarks]
    findings: list[Finding] = []
    if skip_bad:
        remarks += left_out(bad)
    else:
        findings += (_refused(one, table, columns) for one in bad)
    findings += _repeated_ids(rows, columns)
    findings += _same_questions(rows)
    findings += _single_rows(rows, columns)
    findings += _outliers(rows)
    findings += uneven_categories(rows, _ref) if columns.category else []
    if columns.language:
        more, remark = wrong_languages(rows, detect, _ref)
        findings += more
        remarks += [remark] if remark else []
    if not any(row.expected or row.facts for row in rows) and columns.answer is None:
        remarks.append("No column holds expected answers.")
    remarks += words_for_nothing(rows)
    if past is not None:
        findings += past_findings(rows, past, _ref)
        if not past:
            remarks.append("No earlier evaluation has enough answers to these questions.")
    kinds = list(ADVICE)
    findings.sort(key=lambda f: (_ORDER[f.severity], kinds.index(f.kind)))
    return DataReport(
        file=str(path),
        rows=len(rows) if skip_bad else len(rows) + len(bad),
        columns=layout.roles(),
        reading=layout.sentence(),
        unused=layout.unused,
        findings=tuple(findings),
        remarks=tuple(remarks),
    )


def _refused(one: BadRow, table: DataTable, columns: Columns) -> Finding:
    asked = next((r.cells[columns.question] for r in table.records if r.line == one.line), "")
    text = asked if one.line is not None else ""
    ref = RowRef(one.row, one.line, str(one.row), text)
    return Finding(kind="refused", severity="error", message=one.reason, rows=(ref,))


def _ref(row: Row) -> RowRef:
    return RowRef(row.index + 1, row.line, row.id, row.question)


def _repeated_ids(rows: Sequence[Row], columns: Columns) -> Iterator[Finding]:
    if columns.id is None:
        return
    for id_, members in _gathered(rows, lambda row: row.id).items():
        if len(members) > 1:
            message = f"The id {id_!r} stands in {len(members)} rows."
            yield _finding("error", message, members, kind="repeated_id")


def _finding(severity: Severity, message: str, rows: Iterable[Row], *, kind: Kind) -> Finding:
    refs = tuple(_ref(row) for row in rows)
    return Finding(kind=kind, severity=severity, message=message, rows=refs)


def _gathered(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    gathered: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        gathered[key(row)].append(row)
    return gathered


def _surroundings(row: Row) -> str:
    """Return what else decides what is asked: the same words about another passage are another question."""
    conversation = "" if row.conversation is None else str(row.conversation.to_json())
    return f"{same_text(row.context or '')}\x1f{conversation}"


def _same_questions(rows: Sequence[Row]) -> Iterator[Finding]:
    for scope in _gathered(rows, _surroundings).values():
        groups = _gathered(scope, lambda row: same_text(row.question))
        for members in groups.values():
            if len(members) > 1:
                yield _copies(members)
        texts = list(groups)
        originals = [members[0].question for members in groups.values()]
        for pair in near_pairs(texts, originals=originals):
            members = [groups[texts[pair.first]][0], groups[texts[pair.second]][0]]
            contrary = _contrary(*members)
            if not pair.same_words and (contrary or _says_little(members[0])):
                # Something was added to the question, and no answer shows that it means the same: a
                # question of its own.
                continue
            # Rounded down: two texts that differ are never 100 % the same.
            same = f"{min(99, int(100 * pair.similarity))}% the same"
            yield Finding(
                kind="contradiction" if contrary else "near_duplicate",
                severity="warning",
                message=f"Two questions are {same} and their answers differ."
                if contrary
                else f"Two questions are {same}.",
                rows=tuple(_ref(row) for row in members),
                similarity=pair.similarity,
            )


def _says_little(row: Row) -> bool:
    """Say whether a row's answer is one that many questions share: none, yes, a number, a letter."""
    answer = same_text(row.expected or "")
    return answer in SAYS_LITTLE or len(answer) < 4 or not any(c.isalpha() for c in answer)


def _copies(members: list[Row]) -> Finding:
    first = members[0]
    other = next((row for row in members if _contrary(first, row)), None)
    if other is not None:
        message = (
            f"The question stands {len(members)} times, with the answers {_short(first.expected)} "
            f"and {_short(other.expected)}."
        )
        return _finding("error", message, members, kind="contradiction")
    return _finding(
        "warning", f"The question stands {len(members)} times.", members, kind="duplicate"
    )


def _contrary(a: Row, b: Row) -> bool:
    if a.expected is None or b.expected is None:
        return False
    left, right = (
        {normalise(text, language=row.language) for text in (row.expected or "", *row.alternatives)}
        for row in (a, b)
    )
    if left & right:
        return False
    # "Paris" and "Paris, France" are one answer, shorter and longer.
    return not any(
        contains_words(tuple(x.split()), tuple(y.split()))
        or contains_words(tuple(y.split()), tuple(x.split()))
        for x in left
        for y in right
    )


def _short(text: str | None) -> str:
    flat = " ".join((text or "").split())
    return repr(flat if len(flat) <= 30 else flat[:29] + "…")


def _single_rows(rows: Sequence[Row], columns: Columns) -> Iterator[Finding]:
    for row in rows:
        for what, text in (("question", row.question), ("answer", row.expected)):
            for problem in damage(text or ""):
                yield _finding("warning", f"The {what} {problem}.", (row,), kind="encoding")
        if len(row.question) < 2:
            message = "The question is a single character."
            yield _finding("warning", message, (row,), kind="short_text")
        if row.expected is None:
            continue
        if not any(character.isalnum() for character in row.expected):
            message = f"The answer {_short(row.expected)} has no letter and no digit."
            yield _finding("note", message, (row,), kind="short_text")
        if row.expected.casefold() in row.question.casefold():
            answer = words(row.expected)
            if contains_words(words(row.question), answer) and leaks(
                row.question, row.expected, answer
            ):
                message = f"The answer {_short(row.expected)} stands in the question."
                # Whoever asks about a text given above takes the answer from it.
                severity: Severity = "note" if _TEXT_ABOVE.search(row.question) else "warning"
                yield _finding(severity, message, (row,), kind="leak")
    missing = [row for row in rows if row.expected is None]
    if missing and columns.answer is not None:
        message = f"{len(missing)} of {len(rows)} rows have no expected answer."
        yield _finding("warning", message, missing, kind="empty_answer")
    yield from _forms(rows)


def _forms(rows: Sequence[Row]) -> Iterator[Finding]:

    texts = [(row, f"{row.question}\n{row.expected or ''}") for row in rows]
    accented = [(row, text) for row, text in texts if not text.isascii()]
    split = [row for row, text in accented if not unicodedata.is_normalized("NFC", text)]
    if split and len(split) < len(accented):
        message = (
            f"{len(split)} of {len(accented)} rows with accented letters write them as letter and "
            "mark (not NFC)."
        )
        yield _finding("note", message, split, kind="encoding")


def _outliers(rows: Sequence[Row]) -> Iterator[Finding]:
    def length(row: Row, what: str) -> int:
        return len(row.question if what == "question" else row.expected or "")

    for what in ("question", "answer"):
        present = [row for row in rows if length(row, what)]
        if len(present) < 10:
            continue
        median = sorted(length(row, what) for row in present)[len(present) // 2]
        for row in present:
            if length(row, what) > max(_LONG * median, _LONG_CHARACTERS):
                message = (
                    f"The {what} has {length(row, what):,} characters, half of them have up to "
                    f"{median:,}."
                )
                yield _finding("note", message, (row,), kind="long_text")
