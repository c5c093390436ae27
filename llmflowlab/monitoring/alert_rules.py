"""Files of alert rules: read, checked, and what is wrong said with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llmflowlab.errors import InputError
from llmflowlab.monitoring.alert_kinds import KINDS, AlertKind, KindOption
from llmflowlab.monitoring.traffic import ChosenAnswers
from llmflowlab.settings import Settings
from llmflowlab.text.digests import digest_of
from llmflowlab.text.yaml_texts import lines_of, read_values

__all__ = ["AlertRule", "AlertRules", "Deliveries", "read_rules"]

_ALPHA = KindOption(says="a chance between 0 and 0.5; 1 % is 0.01", high=0.5)
_DAYS = KindOption(says="a number of days from 1 to 366", low=0.99, high=366.01)
_TEXT = KindOption(says="a text", text=True)
_TOP = ("rules", "deliver", "alpha", "days")
_OF_RULES = ("name", "model", "prompt", "alpha", "days")
_DELIVER = ("webhook", "command")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule."""

    name: str
    kind: str
    options: Mapping[str, Any]
    """All that the kind has."""
    chosen: ChosenAnswers = ChosenAnswers()
    alpha: float = 0.01
    """Chance of any false alarm within `days`."""
    days: float = 30.0

    @property
    def about(self) -> AlertKind:
        return KINDS[self.kind]

    @property
    def id(self) -> str:
        """Changes with whatever changes what is tested."""
        asked = {name: value for name, value in self.options.items() if value is not None}
        chosen = [self.chosen.model, self.chosen.prompt]
        return digest_of([self.name, self.kind, asked, chosen, self.alpha, self.days])[:16]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "options": {name: value for name, value in self.options.items() if value is not None},
            "model": self.chosen.model,
            "prompt": self.chosen.prompt,
            "alpha": self.alpha,
            "days": self.days,
            "method": self.about.method,
            "assumes": self.about.assumes,
            "look_seconds": self.about.look,
            "window_seconds": self.about.window,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Where alerts go besides the log."""

    webhook: str | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """A file of rules."""

    rules: tuple[AlertRule, ...]
    deliveries: Deliveries = Deliveries()


def read_rules(file: Path, settings: Settings) -> AlertRules:
    """Read a file of rules.

    Raises:
        InputError: It cannot be read, or something in it cannot be used; names line and key.
    """
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise InputError(f"{file} cannot be read ({exc.strerror}); name a file of rules.") from exc
    try:
        return _File(content, settings).rules()
    except InputError as exc:
        raise InputError(f"{file}: {exc.message}") from exc


class _File:
    def __init__(self, content: bytes, settings: Settings) -> None:
        self._settings = settings
        self._values = read_values(content, kind="no YAML", hint=".")
        self._lines = lines_of(content)

    def rules(self) -> AlertRules:
        top = self._mapping((), self._values)
        self._known((), top, _TOP)
        listed = top.get("rules")
        if not isinstance(listed, list) or not listed:
            raise self._wrong(("rules",), "has no rule; write a list of them")
        alpha = self._read(("alpha",), _ALPHA, top.get("alpha", 0.01))
        days = self._read(("days",), _DAYS, top.get("days", 30.0))
        found = [
            self._rule(("rules", place), values, alpha, days) for place, values in enumerate(listed)
        ]
        names = [rule.name for rule in found]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise self._wrong(("rules", place), f"is a second rule named {name!r}; name it")
        return AlertRules(rules=tuple(found), deliveries=self._deliveries(top.get("deliver")))

    def _rule(self, at: tuple[Any, ...], said: Any, alpha: float, days: float) -> AlertRule:
        values = self._mapping(at, said)
        self._known(at, values, (*_OF_RULES, *KINDS))
        kinds = [key for key in values if key in KINDS]
        if len(kinds) != 1:
            what = "says nothing of what it is about" if not kinds else "is about several things"
            raise self._wrong(at, f"{what}; give it one of {', '.join(KINDS)}")
        (kind,) = kinds
        texts = {
            key: self._read((*at, key), _TEXT, values[key])
            for key in ("name", "model", "prompt")
            if values.get(key) is not None
        }
        return AlertRule(
            name=texts.get("name", kind),
            kind=kind,
            options=self._options((*at, kind), KINDS[kind], values[kind]),
            chosen=ChosenAnswers(model=texts.get("model"), prompt=texts.get("prompt")),
            alpha=self._read((*at, "alpha"), _ALPHA, values.get("alpha", alpha)),
            days=self._read((*at, "days"), _DAYS, values.get("days", days)),
        )

    def _options(self, at: tuple[Any, ...], kind: AlertKind, said: Any) -> dict[str, Any]:
        values = {} if said is None else self._mapping(at, said)
        self._known(at, values, (*kind.needs, *kind.may))
        for key in kind.needs:
            if values.get(key) is None:
                raise self._wrong(at, f"lacks {key}: {kind.option(key).says}")
        read = {
            key: self._read((*at, key), kind.option(key), value)
            for key, value in values.items()
            if value is not None
        }
        if kind is KINDS["score_drop"]:
            given = [key in read for key in ("evaluation", "mean", "n")]
            if given not in ([True, False, False], [False, True, True]):
                raise self._wrong(
                    at, "needs a baseline: either evaluation, or mean and n (of how many answers)"
                )
        return {**kind.may, **read}

    def _deliveries(self, said: Any) -> Deliveries:
        if said is None:
            return Deliveries()
        at = ("deliver",)
        values = self._mapping(at, said)
        self._known(at, values, _DELIVER)
        command = values.get("command") or []
        if not isinstance(command, list) or not all(
            isinstance(part, str) and part for part in command
        ):
            raise self._wrong(
                (*at, "command"), "is no list of texts; write [notify-send, LLMFlowLab, '{text}']"
            )
        webhook = values.get("webhook")
        if webhook is not None:
            webhook = self._address((*at, "webhook"), self._read((*at, "webhook"), _TEXT, webhook))
        return Deliveries(webhook=webhook, command=tuple(command))

    def _address(self, at: tuple[Any, ...], said: str) -> str:
        """Return an address, that of a variable where one is named; it may be a secret, and is never shown."""
        if said.startswith("$"):
            found = self._settings.get(said[1:])
            if found is None:
                raise self._wrong(at, f"names the variable {said[1:]}, which is not set")
            said = found
        try:
            parts = urlsplit(said)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise self._wrong(at, "is no address that begins with https:// or http://")
        return said

    def _read(self, at: tuple[Any, ...], option: KindOption, value: Any) -> Any:
        try:
            return option.read(value)
        except InputError as exc:
            raise self._wrong(at, exc.message) from exc

    def _mapping(self, at: tuple[Any, ...], value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self._wrong(at, "is no list of keys with values")
        return value

    def _known(self, at: tuple[Any, ...], values: Mapping[str, Any], keys: tuple[str, ...]) -> None:
        for key in values:
            if key not in keys:
                close = get_close_matches(key, keys, n=1, cutoff=0.6)
                meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(keys)}"
                raise self._wrong((*at, key), f"is no key here; {meant}")

    def _wrong(self, at: tuple[Any, ...], what: str) -> InputError:
        line = next(
            (self._lines[at[:n]] for n in range(len(at), -1, -1) if at[:n] in self._lines), 1
        )
        name = ".".join(f"{part + 1}" if isinstance(part, int) else part for part in at)
        end = "" if what.endswith("?") else "."
        return InputError(f"line {line}: {name or 'the file'} {what}{end}")
