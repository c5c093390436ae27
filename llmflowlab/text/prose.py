"""Cuts out of a text what is written in a human language, in pieces small enough to be in one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Segment", "segments"]

# Only the beginning of a long text is judged: it is enough, and takes bounded time.
_LONGEST = 20_000
# Neighbouring sentences are joined until they have this many letters; shorter ones are guesswork.
_ENOUGH = 15
_LEAST_LETTERS = 4
_LEAST_DENSE = 2
# No word is longer; a run of letters that is comes from data.
_LONGEST_WORD = 60

_FENCED = re.compile(r"(?:```|~~~).*?(?:```|~~~|\Z)", re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`|<[/!]?[A-Za-z][^<>\n]*>")
_CODE_BEGINS = re.compile(
    r"""
      \s*[\]})]+[,;]?\s*$
    | \s*(?:def|class|elif|import|from\s+\S+\s+import|return|const|let|var|function|public|private
        |\#include|fn|func|package)\s+[\w{("'<*.]+.*[(){}=:;,'"<>]
    | \s*(?:import|from)\s+[\w.]+(?:\s+import\s+\S+)?\s*$
    | \s*(?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+TABLE)\b.*(?:\bFROM\b|[(=;*])
    | \s*(?:\$|>>>|\.\.\.)\s
    """,
    re.VERBOSE,
)
_CODE_WITHIN = re.compile(r"=>|==|!=|\w\(\)")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")
_NOT_IN_WORDS = re.compile(r"://|[@=_\\]|\w/\w*/|^/\w|^www\.|\d")
_NOT_PLAIN = re.compile(r"[^A-Za-z\s.,;:!?'\"()-]|www\.", re.ASCII)
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff]"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of prose in one kind of script."""

    text: str
    letters: int
    dense: bool
    """Whether it is in a script in which a few characters already make words."""

    @property
    def weight(self) -> int:
        """How much the line says, in letters of an alphabet."""
        return 2 * self.letters if self.dense else self.letters


def segments(text: str) -> list[Segment]:
    """Return the prose of a text in lines of one or a few sentences; empty where there is too little.

    Code, markup, addresses, numbers and emoji are left out. Unicode is made uniform (NFC) and
    shouting lowered, because the models learnt from normal text.
    """
    made = [part for line in _lines(text) for part in _parts(line)]
    enough = any(
        segment.letters >= (_LEAST_DENSE if segment.dense else _LEAST_LETTERS) for segment in made
    )
    return made if enough else []


def _lines(text: str) -> list[str]:
    found: list[str] = []
    gathered = _ENOUGH
    for sentence in _SENTENCE_END.split(_without_code(text[:_LONGEST])):
        words = sentence.split()
        line = " ".join(words if _plain(sentence, words) else filter(None, map(_word, words)))
        letters = _letters(line)
        if not letters:
            continue
        if gathered >= _ENOUGH:
            found.append(line)
            gathered = 0
        else:
            found[-1] += " " + line
        gathered += letters
    return found


def _without_code(text: str) -> str:
    # A lone surrogate cannot be handed to fastText, which takes UTF-8.
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    unfenced = _FENCED.sub("\n", unicodedata.normalize("NFC", encodable))
    lines = (line for line in unfenced.splitlines() if not _is_code(line))
    return _INLINE_CODE.sub(" ", "\n".join(lines))


def _is_code(line: str) -> bool:
    # What begins like code is looked for at the beginning alone: long lines of prose are the usual ones.
    ends = line.rstrip()[-1:]
    within = ("=" in line or "()" in line) and _CODE_WITHIN.search(line)
    return bool((ends and ends in ";{}") or within or _CODE_BEGINS.match(line))


def _plain(sentence: str, words: list[str]) -> bool:
    """Tell, looked at all at once, whether its words are words as they stand: those of most sentences are."""
    return not _NOT_PLAIN.search(sentence) and len(max(words, key=len, default="")) <= _LONGEST_WORD


def _word(token: str) -> str:
    """Return what of a token is words."""
    if token.isascii() and token.isalpha() and len(token) <= _LONGEST_WORD:
        # Most are so, and looked through in no time.
        return token
    if _DENSE.search(token):
        return "".join(char for char in token if not char.isdigit())
    if len(token) > _LONGEST_WORD or _NOT_IN_WORDS.search(token):
        return ""
    return "".join(char for char in token if unicodedata.category(char)[0] != "S")


def _parts(line: str) -> Iterator[Segment]:
    # A line in two scripts is two lines: "我觉得 machine learning 很有意思".
    words = line.split()
    apart = [word for word in words if _DENSE.search(word)] if _DENSE.search(line) else []
    dense = " ".join(apart)
    spaced = " ".join(word for word in words if not _DENSE.search(word)) if apart else line
    for part, is_dense in ((dense, True), (spaced, False)):
        if letters := _letters(part):
            yield Segment(_lowered(part), letters, is_dense)


def _lowered(line: str) -> str:
    if any(map(str.islower, line)):
        return line
    shouting = sum(map(str.isupper, line)) > _LEAST_LETTERS
    return line.lower() if shouting else line


def _letters(line: str) -> int:
    if line.isascii():
        return len(line.encode().translate(None, _NO_LETTERS))
    return sum(map(str.isalpha, line))
