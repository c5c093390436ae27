"""What a person at the keyboard changes while an evaluation runs."""

from __future__ import annotations

from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.options import MAX_CONCURRENCY, read_usd
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.steering import Steering

__all__ = ["Controls"]

_ENTER = "\r\n"
_BACKSPACE = "\x7f\b"
_ESCAPE = "\x1b"
_SAYINGS = 16
"""How often a remark is shown before the keys are listed again: some four seconds."""

_FIXED = "workers keep concurrency and budget; stop (q), then --resume with others"


class Controls:
    """Turns keys into changes: `+` and `-` the calls in flight, `b` the budget, `q` the end.

    Args:
        steering: The running evaluation's wheel.
        fixed: Whether it moves nothing: workers of a cluster keep what they began with.
    """

    def __init__(self, steering: Steering, *, fixed: bool = False) -> None:
        self._steering, self._fixed = steering, fixed
        self._typing: str | None = None
        """What is typed as a new budget; None while keys are commands."""
        self._said = ""
        self._shown = 0
        self._stopped = False

    def press(self, keys: str, *, may_stop: bool) -> bool:
        """Carry out what was pressed; returns whether anything was.

        Args:
            keys: In the order they came.
            may_stop: Whether models are still being asked.

        Raises:
            KeyboardInterrupt: `q` was pressed, for the first time.
        """
        for key in keys:
            if self._typing is not None:
                self._edit(key)
            elif self._fixed and key in "+=-bB":
                self._say(_FIXED)
            elif key in "+=":
                self._step(1)
            elif key == "-":
                self._step(-1)
            elif key in "bB":
                self._begin_budget()
            elif key in "qQ":
                self._stop(may_stop=may_stop)
        return bool(keys)

    def line(self) -> str:
        """Return what is being typed, or for a while what came of it; else which keys there are."""
        if self._typing is not None:
            return f"new budget in USD: {self._typing}▏ (Enter takes it, Esc leaves it)"
        if self._said and self._shown < _SAYINGS:
            self._shown += 1
            return self._said
        return "keys: q stop" if self._fixed else "keys: + - concurrency   b budget   q stop"

    def _say(self, text: str) -> None:
        self._said = text
        self._shown = 0

    def _step(self, direction: int) -> None:
        now = self._steering.concurrency
        wanted = now + direction * max(1, now // 4)
        self._steering.set_concurrency(min(wanted, MAX_CONCURRENCY))
        self._say("")

    def _begin_budget(self) -> None:
        if self._steering.budget.cap is None:
            self._say("no budget was set at the beginning (--budget), so there is none to change")
        else:
            self._typing = ""

    def _edit(self, key: str) -> None:
        assert self._typing is not None
        if key in _ENTER:
            self._take(self._typing)
            self._typing = None
        elif key == _ESCAPE:
            self._typing = None
            self._say("")
        elif key in _BACKSPACE:
            self._typing = self._typing[:-1]
        elif key.isprintable() and len(self._typing) < 20:
            self._typing += key

    def _take(self, text: str) -> None:
        try:
            cap = read_usd(text.strip().lstrip("$"))
            self._steering.set_budget(cap)
        except InputError as exc:
            self._say(exc.message)
        else:
            self._say(f"the budget is {dollars(cap)} now")

    def _stop(self, *, may_stop: bool) -> None:
        if not may_stop:
            self._say("no model is being asked any more; this is only being recorded")
        elif self._stopped:
            self._say("stopping already; Ctrl-C leaves at once")
        else:
            self._stopped = True
            raise KeyboardInterrupt
