"""Models for a canary: each says a prompt's first word with a chance of its own, and knows some answers."""

from __future__ import annotations

import random
import threading
import zlib
from collections.abc import Callable, Sequence

from llmflowlab.messages import Request
from llmflowlab.monitoring.canary_plan import BorderPrompt, Canary, SuiteQuestion
from llmflowlab.monitoring.canary_rounds import Round, SuiteReply
from llmflowlab.providers.base import Finished, TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider
from tests.monitoring.made_traffic import candidate

OPEN = tuple(f"Is {i} a good number? Yes or no." for i in range(40))


def model(
    character: str,
    *,
    certain: float = 0.0,
    served: str = "served-1",
    knows: bool = True,
    tells: bool = False,
    set_up: str | None = None,
) -> ScriptedProvider:
    """Return a model that says `yes` with a chance that its character gives each prompt.

    Args:
        character: Another one has other chances.
        certain: How far chances lie from one half at least, 0.5 for always or never.
        served: What it says that it is.
        knows: Whether its answers to questions are right.
        tells: Whether it says how likely its words were.
        set_up: Its fingerprint.
    """
    drawn = random.Random(character)
    lock = threading.Lock()

    def answer(request: Request) -> Script:
        told: tuple[tuple[str, float], ...]
        prompt = request.messages[-1].content
        with lock:
            luck = drawn.random()
        if prompt not in OPEN:
            text, told = "Canberra, of course." if knows else "Sydney.", ()
        else:
            place = random.Random(zlib.crc32((character + prompt).encode())).random()
            away = certain if place > 0.5 else -certain
            chance = 0.5 + away + (place - 0.5) * 0.2 * (1 - 2 * certain)
            text = "Yes." if luck < chance else "No."
            told = (("Ye", chance / 2), (" yes", chance / 2), ("No", 1 - chance))
        end = Finished("stop", served, fingerprint=set_up, token_chances=told if tells else ())
        return [TextDelta(text), end]

    return ScriptedProvider(default=answer)


def canary(choices: int = 0, questions: int = 0, **more: float) -> Canary:
    return Canary(
        candidate=candidate("scripted:model"),
        choices=tuple(BorderPrompt(prompt=prompt, word="yes") for prompt in OPEN[:choices]),
        questions=tuple(
            SuiteQuestion(
                id=str(i), question=f"Question {i}?", expected=("Canberra",), language="en"
            )
            for i in range(questions)
        ),
        every=more.get("every", 3_600.0),
        alpha=0.01,
        tolerance=more.get("tolerance", 0.05),
        learning=int(more.get("learning", 4)),
        baseline=int(more.get("baseline", 8)),
        samples=4,
    )


def rounds(
    n: int,
    *,
    words: Callable[[int], Sequence[Sequence[str]]] = lambda i: (),
    replies: Callable[[int], Sequence[SuiteReply]] = lambda i: (),
    served: str = "served-1",
) -> list[Round]:
    return [
        Round(
            at_ms=i * 3_600_000,
            words=tuple(tuple(said) for said in words(i)),
            replies=tuple(replies(i)),
            served=(served,),
            asked=1,
            failed=0,
        )
        for i in range(n)
    ]
