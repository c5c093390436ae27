"""What is done about each category, on the way in and on the way out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from llmflowlab.errors import InputError
from llmflowlab.guardrails.verdict import (
    ACTIONS,
    CATEGORIES,
    DIRECTIONS,
    Action,
    Category,
    Direction,
)

__all__ = ["DEFAULT", "OnFailure", "Policy", "read_policy"]

OnFailure: TypeAlias = Literal["rules", "warn", "block"]
"""Where the detector gives no verdict: the rules' alone, the rules' and a notice, or a refusal."""

_DEFAULT: Mapping[Direction, Mapping[Category, Action]] = {
    "in": {
        "toxicity": "block",
        "profanity": "log",
        "injection": "block",
        "malicious": "block",
        "personal_data": "warn",
        "secrets": "mask",
        "own": "block",
    },
    "out": {
        "toxicity": "block",
        "profanity": "warn",
        "injection": "warn",
        "malicious": "warn",
        "personal_data": "mask",
        "secrets": "mask",
        "own": "block",
    },
}
_LONGEST = 7_000
"""Characters of a policy as JSON: it stands in a tag of every run."""
_KEYS = ("in", "out", "detector", "when_detector_fails", "allow", "own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A candidate's guardrails; part of the key of its answers."""

    incoming: Mapping[Category, Action] = field(default_factory=lambda: dict(_DEFAULT["in"]))
    outgoing: Mapping[Category, Action] = field(default_factory=lambda: dict(_DEFAULT["out"]))
    detector: str | None = None
    """Model reference of the second layer; None: rules alone."""
    when_detector_fails: Mapping[Direction, OnFailure | None] = field(
        default_factory=lambda: {"in": "rules", "out": None}
    )
    """None: what fits the place, `warn` where a person reads along, `block` in a service."""
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By rule or category, texts that it lets pass; compared without case."""
    own: tuple[str, ...] = ()
    """The person's own rules, a line each: a text, or a pattern between slashes."""
    _watched: dict[Direction, frozenset[Category]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def action(self, category: Category, direction: Direction) -> Action:
        """Return what is done about a category."""
        return (self.incoming if direction == "in" else self.outgoing)[category]

    def watched(self, direction: Direction) -> frozenset[Category]:
        """Return the categories that are looked for."""
        found = self._watched.get(direction)
        if found is None:
            found = frozenset(name for name in CATEGORIES if self.action(name, direction) != "off")
            self._watched[direction] = found
        return found

    def when_failing(self, direction: Direction, *, served: bool) -> OnFailure:
        """Return what to do where the detector gives no verdict, in a service or with a person there."""
        return self.when_detector_fails[direction] or ("block" if served else "warn")

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values, so that later defaults change no candidate of today."""
        return {
            "in": dict(self.incoming),
            "out": dict(self.outgoing),
            "detector": self.detector,
            "when_detector_fails": dict(self.when_detector_fails),
            "allow": {rule: list(texts) for rule, texts in self.allow.items()},
            "own": list(self.own),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Policy:
        """Read a policy; what it does not name is as in the default one.

        Raises:
            InputError: Something in it is unknown or of the wrong kind.
        """
        _known(values, _KEYS, "key")
        detector = values.get("detector")
        if detector is not None and not (isinstance(detector, str) and detector.strip()):
            raise InputError("Guardrails: detector must be a model reference, as in local:MODEL.")
        fails = _mapping(values, "when_detector_fails")
        _known(fails, DIRECTIONS, "direction")
        chosen: dict[Direction, OnFailure | None] = {"in": "rules", "out": None}
        for direction in DIRECTIONS:
            if (said := fails.get(direction)) is not None:
                _one_of(said, get_args(OnFailure), "when_detector_fails")
                chosen[direction] = said
        policy = cls(
            incoming=_actions(values, "in"),
            outgoing=_actions(values, "out"),
            detector=detector,
            when_detector_fails=chosen,
            allow={str(rule): _texts(texts) for rule, texts in _mapping(values, "allow").items()},
            own=_own_rules(_texts(values.get("own") or ())),
        )
        if len(json.dumps(policy.to_json())) > _LONGEST:
            raise InputError(
                f"Guardrails: own rules and texts that are let pass may have {_LONGEST:,} characters "
                "together, as a run's tag holds them; shorten them, a pattern may take many texts' place."
            )
        return policy


DEFAULT = Policy()


def read_policy(said: str) -> Policy | None:
    """Read what stands behind `--guardrails`: `on`, `off`, or the path of a YAML or JSON file.

    A line `own_file: PATH` in it names a text file of own rules, a line each.

    Raises:
        InputError: There is no such file, or it is no policy.
    """
    word = said.strip().lower()
    if word in {"on", "default", "true", "yes", "1"}:
        return DEFAULT
    if word in {"off", "false", "no", "0", "none", ""}:
        return None
    # Imported here: most policies are the default one.
    import yaml

    file = Path(said).expanduser()
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(
            f"Guardrails are on, off, or a policy file; there is no file {said}."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise InputError(
            f"The guardrails in {said} cannot be read ({exc}); mend the file."
        ) from exc
    if not isinstance(values, Mapping):
        raise InputError(f"{said} holds no policy; write lines such as 'in: {{injection: block}}'.")
    values = dict(values)
    if (named := values.pop("own_file", None)) is not None:
        values["own"] = [*_texts(values.get("own") or ()), *_lines(file.parent / str(named))]
    return Policy.from_json(values)


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"The own rules in {file} cannot be read ({exc}); mend own_file.") from exc
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def _own_rules(lines: tuple[str, ...]) -> tuple[str, ...]:
    # Imported here: it loads a package that policies without own rules do not need.
    from llmflowlab.text.searching import wrong_pattern

    for line in lines:
        pattern = line[1:-1] if len(line) > 2 and line[0] == line[-1] == "/" else None
        if pattern is not None and (wrong := wrong_pattern(pattern)) is not None:
            raise InputError(f"Guardrails, own rule {line}: {wrong}.")
    return lines


def _actions(values: Mapping[str, Any], name: Direction) -> Mapping[Category, Action]:
    given = _mapping(values, name)
    _known(given, CATEGORIES, "category")
    chosen = dict(_DEFAULT[name])
    for category in CATEGORIES:
        if category in given:
            # YAML reads `off` as a truth value.
            action: Any = "off" if given[category] is False else given[category]
            _one_of(action, ACTIONS, f"{name}, {category}")
            chosen[category] = action
    return chosen


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    # YAML reads `on` and `off` as truth values, but leaves `in` and `out` alone.
    found = values.get(name) or {}
    if not isinstance(found, Mapping):
        raise InputError(f"Guardrails: {name} must hold names and values.")
    return found


def _texts(found: Any) -> tuple[str, ...]:
    if isinstance(found, str):
        return (found,)
    if not isinstance(found, list | tuple) or not all(isinstance(text, str) for text in found):
        raise InputError("Guardrails: texts that are allowed, and own rules, are lists of texts.")
    return tuple(found)


def _known(values: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    if unknown := sorted(str(name) for name in values if name not in known):
        raise InputError(
            f"Guardrails: there is no {what} {unknown[0]!r}; there are {', '.join(known)}."
        )


def _one_of(value: Any, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise InputError(f"Guardrails, {where}: {value!r} is none of {', '.join(known)}.")
