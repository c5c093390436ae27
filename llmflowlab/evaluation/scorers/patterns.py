"""Whether an answer has a form: a regular expression, JSON, a JSON schema, a length."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.scorers.applying import first_error
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.common import KindScorer, Unscored, lacking_column
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.evaluation.scorers.word_splitting import graphemes, unicode_words
from llmflowlab.loading import load
from llmflowlab.text.searching import TooSlow, fits, wrong_pattern
from llmflowlab.text.token_estimate import estimate_tokens

__all__ = ["JsonSchema", "JsonValidity", "Length", "Regex", "with_schema"]

_FENCED = re.compile(r"\s*```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)


class Regex(KindScorer):
    """1 where the pattern is found in the answer, or fits the whole of it."""

    def configure(self, options: Options) -> None:
        self._pattern = options.text("pattern")
        self._column = options.text("column")
        self._mode = options.choice("mode", ("search", "fullmatch"), "search")
        if (self._pattern is None) == (self._column is None):
            options.refuse('give it pattern="..." or column=NAME, one of the two')
        if self._pattern is not None and (wrong := wrong_pattern(self._pattern)) is not None:
            options.refuse(wrong)

    def lacks(self, dataset: Dataset) -> str | None:
        if self._column is None:
            return None
        if (lacking := lacking_column(dataset, self._column, self.name)) is not None:
            return lacking
        for row in dataset.rows:
            wrong = wrong_pattern(row.source.get(self._column, ""))
            if wrong is not None:
                where = f"line {row.line}" if row.line else f"row {row.index + 1}"
                return f"{dataset.name}, {where}: {wrong}."
        if not any(row.source.get(self._column) for row in dataset.rows):
            return f"Column {self._column!r} of {dataset.name} holds no pattern for {self.name}."
        return None

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        pattern = self._pattern or row.source.get(self._column or "", "")
        if not pattern:
            raise Unscored("no_expected_answer")
        try:
            return float(fits(pattern, text, whole=self._mode == "fullmatch")), None
        except TooSlow as exc:
            raise Unscored("scorer_failed", str(exc)) from None


def _parsed(text: str, *, fences: bool) -> Any:
    """Return the JSON value that an answer is.

    Raises:
        ValueError: It is none.
    """
    fenced = _FENCED.fullmatch(text) if fences else None
    try:
        return json.loads(
            fenced[1] if fenced else text, parse_constant=_no_constant, parse_int=_whole
        )
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _whole(digits: str) -> int | float:
    # Python refuses to read whole numbers of thousands of digits; JSON does not.
    return int(digits) if len(digits) < 1000 else float(digits)


class JsonValidity(KindScorer):
    """1 where the answer is JSON (RFC 8259), by default also within one Markdown code fence."""

    def configure(self, options: Options) -> None:
        self._fences = options.choice("fences", ("allow", "refuse"), "allow") == "allow"
        self._form = options.choice("form", ("any", "object", "array"), "any")

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        try:
            value = _parsed(text, fences=self._fences)
        except ValueError as exc:
            return 0.0, f"No JSON: {exc}."
        wanted = {"any": object, "object": dict, "array": list}[self._form]
        if not isinstance(value, wanted):
            return 0.0, f"JSON, but no {self._form}."
        return 1.0, None


def with_schema(spec: ScorerSpec) -> ScorerSpec:
    """Return the specification with its schema file's text in it, so that a plan needs no file.

    Raises:
        InputError: The file cannot be read.
    """
    named = spec.options.get("file")
    if not isinstance(named, str):
        return spec
    path = Path(named).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InputError(
            f"Scorer {spec.name}: {named} is no UTF-8 text; save it as UTF-8."
        ) from exc
    except OSError as exc:
        why = exc.strerror or exc
        raise InputError(f"Scorer {spec.name}: the schema {named} cannot be read ({why}).") from exc
    others = {name: value for name, value in spec.options.items() if name != "file"}
    return ScorerSpec(spec.name, spec.kind, {**others, "schema": text})


class JsonSchema(KindScorer):
    """1 where the answer is JSON that a JSON schema allows."""

    def configure(self, options: Options) -> None:
        file, text = options.text("file"), options.text("schema")
        self._column = options.text("column")
        self._fences = options.choice("fences", ("allow", "refuse"), "allow") == "allow"
        if sum(given is not None for given in (file or text, self._column)) != 1:
            options.refuse("give it file=SCHEMA.json or column=NAME, one of the two")
        if file is not None and text is None:
            spec = with_schema(ScorerSpec(self.name, "json_schema", {"file": file}))
            text = str(spec.options["schema"])
        self._text = text
        if text is not None and (wrong := _wrong_schema(text)) is not None:
            options.refuse(wrong)

    def lacks(self, dataset: Dataset) -> str | None:
        if self._column is None:
            return None
        if (lacking := lacking_column(dataset, self._column, self.name)) is not None:
            return lacking
        for row in dataset.rows:
            text = row.source.get(self._column, "").strip()
            wrong = _wrong_schema(text) if text else None
            if wrong is not None:
                where = f"line {row.line}" if row.line else f"row {row.index + 1}"
                return f"{dataset.name}, {where}: {wrong}."
        if not any(row.source.get(self._column, "").strip() for row in dataset.rows):
            return f"Column {self._column!r} of {dataset.name} holds no schema for {self.name}."
        return None

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        schema = self._text or row.source.get(self._column or "", "").strip()
        if not schema:
            raise Unscored("no_expected_answer")
        try:
            value = _parsed(text, fences=self._fences)
        except ValueError as exc:
            return 0.0, f"No JSON: {exc}."
        try:
            error = first_error(schema, value)
        except TooSlow as exc:
            raise Unscored("scorer_failed", str(exc)) from exc
        except ValueError as exc:
            raise Unscored("scorer_failed", f"The schema cannot be applied ({exc}).") from exc
        return (1.0, None) if error is None else (0.0, error)


@lru_cache(maxsize=256)
def _wrong_schema(text: str) -> str | None:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return f"the schema is not JSON ({exc})"
    if not isinstance(schema, dict | bool):
        return "the schema is JSON, but no object"
    if away := next((ref for ref in _references(schema) if not ref.startswith("#")), None):
        return f"the schema refers to another document ({away}), which is never fetched; put it in"
    jsonschema = load("jsonschema", "referencing")
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        validator = kind(schema, registry=Registry())
        for reference in _references(schema):
            validator._resolver.lookup(reference)
    except SchemaError as exc:
        return f"this is no JSON schema ({exc.json_path}: {exc.message[:200]})"
    except Unresolvable as exc:
        return f"the schema refers to {exc.ref}, which it does not have"
    return None


def _references(schema: Any) -> list[str]:
    found, left = [], [schema]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            found += [v for k, v in value.items() if k == "$ref" and isinstance(v, str)]
            left += value.values()
        elif isinstance(value, list):
            left += value
    return found


class Length(KindScorer):
    """1 where the answer is neither shorter nor longer than asked."""

    version = "2"

    def configure(self, options: Options) -> None:
        self._least = options.whole("min")
        self._most = options.whole("max")
        self._unit = options.choice("unit", ("words", "characters", "tokens"), "words")
        if self._least is None and self._most is None:
            options.refuse("give it min=N, max=N or both")
        if self._most is not None and (self._least or 0) > self._most:
            options.refuse(f"min={self._least} is more than max={self._most}")

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        count = self._count(text.strip())
        fits = (self._least or 0) <= count and (self._most is None or count <= self._most)
        return float(fits), f"{count} {self._unit}"

    def _count(self, text: str) -> int:
        if self._unit == "words":
            return len(unicode_words(text))
        return graphemes(text) if self._unit == "characters" else estimate_tokens(text)
