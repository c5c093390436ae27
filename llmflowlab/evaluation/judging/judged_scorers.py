"""From a scorer's specification to the judge that is meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging.instructions import (
    Instructions,
    parse_instructions,
    read_instructions,
)
from llmflowlab.evaluation.judging.judge import Judge
from llmflowlab.evaluation.judging.judge_kinds import KINDS, OWN, JudgeKind, own_kind
from llmflowlab.evaluation.judging.pairwise import PREFERENCE, PreferenceScorer
from llmflowlab.evaluation.judging.scorer import JudgeScorer, Panel
from llmflowlab.evaluation.scorers.base import ScorerSpec

__all__ = ["JUDGED", "build_judged_scorer", "judged_kind", "with_instructions"]

JUDGED: tuple[str, ...] = (*KINDS, PREFERENCE, OWN)
"""Kinds of scorers that need a judge."""


def with_instructions(spec: ScorerSpec) -> ScorerSpec:
    """Return a specification that carries the instructions its file holds now.

    So that an evaluation can be gone on with after the file was changed or lost.

    Raises:
        InputError: No file is named, it cannot be used, or a judge was given options it has not.
    """
    if spec.kind != OWN:
        if spec.kind in JUDGED and spec.options:
            option = next(iter(spec.options))
            raise InputError(f"{spec.kind} has no option {option!r}; leave it out.")
        return spec
    file = spec.options.get("file")
    if not isinstance(file, str) or set(spec.options) != {"file"}:
        raise InputError(
            "A judge of your own is a text file with instructions: --scorer NAME=judge:file=PATH."
        )
    if spec.name == OWN:
        raise InputError(f"Give the judge in {file} a name: --scorer NAME=judge:file={file}.")
    path = Path(file)
    found = read_instructions(path)
    return replace(
        spec,
        options={
            "file": path.name,
            "scale": "1-5" if found.scale == "grade" else "yes/no",
            "version": found.version,
            "title": found.title,
            "text": found.text,
        },
    )


def judged_kind(spec: ScorerSpec) -> JudgeKind | None:
    """Return what a judged scorer asks; None for `preference`, which asks of two answers."""
    if spec.kind == PREFERENCE:
        return None
    if spec.kind == OWN:
        return own_kind(spec.name, _instructions(spec))
    kind = KINDS[spec.kind]
    return kind if spec.name == kind.name else replace(kind, name=spec.name, id=kind.name)


def _instructions(spec: ScorerSpec) -> Instructions:
    head = "\n".join(f"{key}: {spec.options[key]}" for key in ("scale", "version", "title"))
    return parse_instructions(f"{head}\n\n{spec.options['text']}", source=spec.name)


def build_judged_scorer(spec: ScorerSpec, judge: Judge | Panel) -> JudgeScorer | PreferenceScorer:
    """Return the judged scorer that is meant."""
    kind = judged_kind(spec)
    return PreferenceScorer(judge, name=spec.name) if kind is None else JudgeScorer(kind, judge)
