"""The options of a scorer, read one by one; what nobody read is an option that does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from llmflowlab.errors import InputError
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.text.normalise import Rules

__all__ = ["Options"]

_KEEP = {"keep": False, "no": False, "false": False, "ignore": True, "yes": True, "true": True}
_YES = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}

_ALL = Rules()


class Options:
    """Reads a specification; every fault is an `InputError` that names scorer and option."""

    def __init__(self, spec: ScorerSpec) -> None:
        self._spec = spec
        self._read: list[str] = []

    def text(self, name: str) -> str | None:
        """Return an option's text; None where it is not given."""
        self._read.append(name)
        value = self._spec.options.get(name)
        if value is None:
            return None
        if value is True or not str(value).strip():
            self.refuse(f"{name} needs a value, as in {name}=VALUE")
        return str(value)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of several words; the default where none is given."""
        value = (self.text(name) or default).strip().lower()
        if value not in choices:
            self.refuse(f"{name}={value} is not known; choose from {', '.join(choices)}")
        return value

    def number(self, name: str, default: float, *, least: float = 0.0) -> float:
        """Return a finite number, `least` or more."""
        value = self.text(name)
        if value is None:
            return default
        try:
            found = float(value)
        except ValueError:
            found = float("nan")
        if not least <= found < float("inf"):
            self.refuse(f"{name}={value} is no number of {least:g} or more")
        return found

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """Return a whole number, `least` or more; None where it is not given."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.strip().isascii() and value.strip().isdigit()) or int(value) < least:
            self.refuse(f"{name}={value} is no whole number of {least} or more")
        return int(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return whether an option is on: `name`, `name=yes`, `name=no`."""
        self._read.append(name)
        value = self._spec.options.get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        if str(value).strip().lower() not in _YES:
            self.refuse(f"{name}={value} is neither yes nor no")
        return _YES[str(value).strip().lower()]

    def rules(self, *names: str, default: Rules = _ALL) -> Rules:
        """Return what of a text is made uniform; `case=keep` and so on switch a step off.

        Args:
            names: The steps that this scorer can switch; all four where none is named.
            default: What holds where nothing is said.
        """
        chosen = {}
        for name in names or ("unicode", "case", "punctuation", "articles"):
            value = self.text(name)
            if value is None:
                chosen[name] = getattr(default, name)
            elif value.strip().lower() in _KEEP:
                chosen[name] = _KEEP[value.strip().lower()]
            else:
                self.refuse(f"{name}={value} is not known; choose from keep, ignore")
        return Rules(**{**_as_dict(default), **chosen})

    def done(self) -> None:
        """Refuse options that do not exist."""
        unknown = [name for name in self._spec.options if name not in self._read]
        if unknown:
            known = ", ".join(sorted(set(self._read))) or "none"
            self.refuse(f"there is no option {unknown[0]!r}; it has: {known}")

    def refuse(self, why: str) -> NoReturn:
        raise InputError(f"Scorer {self._spec.name}: {why}.")


def _as_dict(rules: Rules) -> dict[str, bool]:
    return {
        "unicode": rules.unicode,
        "case": rules.case,
        "punctuation": rules.punctuation,
        "articles": rules.articles,
    }
