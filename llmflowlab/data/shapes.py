"""The shapes in which well-known datasets write an answer, a passage or a conversation.

One function for each thing that is wanted; each says what it recognises and returns None for
everything else, so that an object nobody knows is never taken for a text in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmflowlab.data.values import as_text

__all__ = ["answers_of", "assertions_of", "context_of", "conversation_of", "question_of"]

_INNER_ANSWERS = ("answer", "answers", "text", "value", "content", "output", "expected", "spans")
_INNER_TEXTS = ("text", "content", "page_content", "passage", "context", "paragraph_text")
_ABOUT_TEXTS = ("title", "id", "url", "source", "score", "metadata", "idx", "is_supporting")
_INNER_QUESTIONS = ("question", "text", "content", "query", "input", "prompt")
_SPEAKERS = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
}
_PLAIN_ASSERTIONS = ("equals", "contains", "icontains", "iequals")
_ANY_ASSERTIONS = ("contains-any", "icontains-any")


def answers_of(value: Any) -> list[str] | None:
    """Return the accepted answers that a value holds.

    Recognised: a text, number or list of them; SQuAD's `{"text": [...], "answer_start": [...]}`;
    TriviaQA's `{"value", "aliases"}`; TruthfulQA's `{"choices", "labels"}`; a message; an object with
    one of the usual names; and lists of such objects.
    """
    if value is None:
        return []
    if isinstance(value, str | bool | int | float):
        return [as_text(value)]
    if isinstance(value, Mapping):
        return _answers_of_object(value)
    if isinstance(value, Sequence):
        found: list[str] = []
        for item in value:
            inner = None if isinstance(item, list) else answers_of(item)
            if inner is None:
                return None
            found += inner
        return found
    return None


def _answers_of_object(value: Mapping[str, Any]) -> list[str] | None:
    keys = {str(key).casefold().replace("_", ""): item for key, item in value.items()}
    if "value" in keys and "aliases" in keys:
        aliases = keys["aliases"] or keys.get("normalizedaliases") or []
        return answers_of([keys["value"], *aliases]) if isinstance(aliases, list) else None
    if isinstance(keys.get("choices"), list) and isinstance(keys.get("labels"), list):
        pairs = zip(keys["choices"], keys["labels"], strict=False)
        return answers_of([choice for choice, label in pairs if as_text(label) == "1"])
    if "role" in keys and "content" in keys:
        # What a user or a system said is no answer.
        return answers_of(keys["content"]) if keys["role"] in {"assistant", "ai"} else None
    inner = next((keys[name] for name in _INNER_ANSWERS if name in keys), None)
    known = len(keys) == 1 or "answerstart" in keys or "text" in keys or "spans" in keys
    return answers_of(inner) if inner is not None and known else None


def context_of(value: Any) -> str | None:
    """Return the passage, or several set apart by a blank line.

    Recognised: texts; lists of texts; objects with a text and perhaps a title; HotpotQA's `{"title":
    [...], "sentences": [[...]]}` and `[title, [sentences]]`.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        titles, sentences = value.get("title"), value.get("sentences")
        if isinstance(titles, list) and isinstance(sentences, list):
            return context_of([list(pair) for pair in zip(titles, sentences, strict=False)])
        if not set(value) <= {*_INNER_TEXTS, *_ABOUT_TEXTS}:
            # Anything else might be what the question is about; the JSON text keeps it all.
            return None
        text = next((value[name] for name in _INNER_TEXTS if name in value), None)
        if isinstance(text, list):
            return context_of(text)
        if not isinstance(text, str):
            return None
        return f"{titles}\n{text}" if isinstance(titles, str) and titles else str(text)
    if not isinstance(value, Sequence):
        return None
    if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], list):
        return f"{value[0]}\n{''.join(map(as_text, value[1]))}"
    parts = [context_of(item) for item in value]
    if any(part is None for part in parts):
        return None
    return "\n\n".join(part.strip() for part in parts if part and part.strip())


def question_of(value: Any) -> str | None:
    """Return the text of a question that is an object with one, such as `{"text": "Why?"}`."""
    if isinstance(value, Mapping):
        texts = [value[name] for name in _INNER_QUESTIONS if isinstance(value.get(name), str)]
        return str(texts[0]) if len(texts) == 1 and len(value) <= 2 else None
    return None


def conversation_of(value: Any, *, turns: bool = False) -> list[dict[str, Any]] | None:
    """Return messages as `{"role", "content"}`.

    Recognised: OpenAI's messages, of any number; ShareGPT's `{"from", "value"}`.

    Args:
        value: A value of the file.
        turns: Take a list of texts for what the user said one after the other (MT-bench).
    """
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if not isinstance(value, list) or not value:
        return None
    if turns and all(isinstance(item, str) for item in value):
        return [{"role": "user", "content": str(item)} for item in value]
    if not all(isinstance(item, Mapping) for item in value):
        return None
    if all("role" in item for item in value):
        return [dict(item) for item in value]
    if all("from" in item and "value" in item for item in value):
        return [
            {"role": _SPEAKERS.get(as_text(m["from"]).casefold(), m["from"]), "content": m["value"]}
            for m in value
        ]
    return None


def assertions_of(text: str) -> tuple[list[str], str | None]:
    """Return the answers of promptfoo's `__expected`, and the kind of an assertion that gives none.

    Its plain forms are read: a text alone, `equals:`, `contains:` and `contains-any:`. How they are
    compared is the scorer's affair.
    """
    head, colon, rest = text.partition(":")
    kind = head.strip().casefold()
    if colon and kind in _PLAIN_ASSERTIONS:
        return [rest.strip()], None
    if colon and kind in _ANY_ASSERTIONS:
        return [part.strip() for part in rest.split(",") if part.strip()], None
    name = kind.partition("(")[0]
    if (colon and name in _OTHER_ASSERTIONS) or name in _ALONE_ASSERTIONS:
        return [], name
    return [text], None


_OTHER_ASSERTIONS = frozenset(
    {
        *("javascript", "fn", "eval", "python", "file", "similar", "llm-rubric", "grade", "regex"),
        *("starts-with", "contains-all", "icontains-all", "not-contains", "not-equals", "webhook"),
        *("not-icontains", "not-regex", "levenshtein", "rouge-n", "bleu", "factuality", "cost"),
        *("latency", "model-graded-closedqa", "answer-relevance", "g-eval", "contains-json"),
        *("perplexity", "context-recall", "context-relevance", "context-faithfulness"),
        *("moderation", "classifier", "is-json", "select-best", "finish-reason", "word-count"),
    }
)
_ALONE_ASSERTIONS = frozenset(
    {
        "is-json",
        "contains-json",
        "is-refusal",
        "is-valid-openai-tools-call",
        "is-sql",
        "is-html",
        "is-xml",
    }
)
