"""Where a text says outright what its answer is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmflowlab.text.numbers.canonical import CLOSE, OPEN, OPEN_MACHINE
from llmflowlab.text.numbers.lexicon import any_of

__all__ = ["SAID_AFTER", "Statement", "marked", "statements"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A stretch of a canonical text that holds an answer."""

    start: int
    end: int
    strength: int
    """3: marked (a box, a tag, a field of JSON, `####`); 2: the final answer; 1: the answer; 0: the result."""
    corrects: bool
    """Whether the words before it take back what was said earlier."""


_CUES: dict[int, str] = {
    1: "answers?|ans|solution|antwort|lösung|réponse|solution|respuesta|solución|risposta|soluzione|resposta|solução|antwoord|ответ|"
    "решение|odpowiedź|cevap|yanıt|jawaban|đáp án|đáp số|答案|答え|解答|回答|答|정답|답변|답|الجواب|الإجابة|الاجابة|جواب|उत्तर|जवाब|উত্তর",
    0: "results?|ergebnis|résultat|resultado|risultato|resultaat|результат|итого?|wynik|sonuç|hasil|kết quả|结果|結果|결과|النتيجة|"
    "परिणाम|ফলাফল|outcome|outputs?|conclusion",
}
_FINAL = any_of(
    "final|finale?s?|endgültige?|definitiva?|finaal|окончательн\\w+|итоговый|ostateczna|nihai|akhir|cuối cùng|最终|最終|最终的|최종|النهائي|النهائية|"
    "अंतिम|চূড়ান্ত|correct|endergebnis|schlussantwort"
)
_IS = any_of(
    "is|are|was|will be|would be|must be|should be|equals?|becomes|ist|lautet|beträgt|wäre|est|sera|vaut|es|son|será|è|sarà|é|são|"
    "равен|равна|равно|составляет|это|jest|wynosi|adalah|là|dir|هو|هي|है|হল|হলো"
)
_DENSE_IS = "是|为|為|等于|は|が|이다|은|는|이|가"
_CUE = re.compile(
    rf"(?<![^\W\d_])(?:(?P<final>{_FINAL})[ \u00a0]?)?(?:(?P<answer>{any_of(_CUES[1])})|(?P<result>{any_of(_CUES[0])}))"
    rf"(?P<late>[ \u00a0]{any_of('final|finale|correcta?|définitive|definitiva|النهائية|النهائي|الصحيحة')})?"
    r"(?:(?P<colon>[ \u00a0]{0,2}[\"'*)\]]{0,3}[ \u00a0]{0,2}(?:[:=：≈]|—|–|-(?=[ \u00a0])|->|=>|→)[ \u00a0]{0,2})"
    rf"|(?P<middle>(?:[^.?!\n:=。？！]|\.(?=\d)){{0,80}}?)(?:(?<=[ \u00a0\"*)]){_IS}(?=[ \u00a0:\n])|(?:{_DENSE_IS}))[ \u00a0]?[:：]?"
    r"|(?=[ \u00a0]{0,2}[-−+$€£¥₹]?\d)(?P<direct>))",
    re.IGNORECASE,
)
_DIRECT = re.compile("[^\\x00-\\u024f]")
_END = re.compile(
    r"(?<!\d)[.!?](?=\s|$|\ue002)|(?<=\d)[.!?](?=\s|$|\ue002)|[。！？।؟]|\n|\ue001|\ue003"
)
_LONGEST = 240
_CORRECTION = re.compile(
    r"(?:\b(?:but|wait|actually|correction|corrected|sorry|oops|however|instead|rather|no,|hmm|mistake|error|thought|so|thus|therefore|"
    r"hence|finally|aber|doch|moment|korrektur|tatsächlich|also|daher|mais|en fait|attendez|correction|donc|pero|espera|corrección|en realidad|"
    r"por lo tanto|ma|aspetta|correzione|in realtà|quindi|mas|espere|correção|na verdade|portanto|но|однако|исправ\w+|точнее|значит|поэтому)\b"
    r"|但|不对|更正|所以|因此|しかし|訂正|いや|つまり|하지만|수정|따라서|لكن|تصحيح|إذن|लेकिन|सुधार|इसलिए)",
    re.IGNORECASE,
)
SAID_AFTER = re.compile(
    r"[ \u00a0](?:is|was|ist|est|es|è|é|—)[ \u00a0](?:the|my|our|die|das|la|a|il|il mio)?[ \u00a0]?"
    rf"(?:(?:final|correct|right|richtige|finale|bonne|correcta|giusta|correta)[ \u00a0])?(?:{any_of(_CUES[1])}|{any_of(_CUES[0])})"
    rf"|[ \u00a0]?(?:が|是)(?:{any_of('答案|答え|解答|正解|答')})",
    re.IGNORECASE,
)
"""`42 is the answer`."""

_OPENING = re.compile(
    r"\W{0,6}\d[^\n,.]{0,40}(?:[.,]\d[^\n,.]{0,40})?,[ \u00a0](?:which|because|since|as|given that|denn|weil|da|car|parce que|puisque|"
    r"porque|ya que|perché|poiché|pois|так как|потому что|omdat|bo)(?![^\W\d_])",
    re.IGNORECASE,
)
"""A number first, its reason after it: `12, because ...`."""

_FIELDS = (
    any_of(
        "final_answer|finalAnswer|final answer|answer|antwort|réponse|respuesta|risposta|resposta|ответ|答案|答え|답|정답|الإجابة|उत्तर"
    ),
    any_of(
        "result|ergebnis|résultat|resultado|risultato|результат|结果|結果|결과|النتيجة|परिणाम|solution"
    ),
    any_of("value|wert|valeur|valor|valore|значение|output"),
)
_TAG = re.compile(
    r"<(answer|final_answer|result|antwort|ответ|答案)>([^<]{0,400})</\1>|(?m:^[ \u00a0]{0,3}####[ \u00a0]*(?P<hash>[^\n#][^\n]{0,200}))",
    re.IGNORECASE,
)


def marked(text: str) -> str:
    """Return a text in which marked answers (tags, `####`, fields of JSON) stand between marks."""
    text = _TAG.sub(lambda m: f"{OPEN}{m['hash'] or m[2]}{CLOSE}", text)
    for field in _FIELDS:
        pattern = re.compile(
            rf"([\"'])(?:{field})\1\s{{0,4}}:\s{{0,4}}(?:\"(?P<text>[^\"\n]{{0,200}})\"|'(?P<single>[^'\n]{{0,200}})'"
            r"|(?P<number>-?\d[\d.eE+-]{0,60}))",
            re.IGNORECASE,
        )
        if pattern.search(text):
            return pattern.sub(_field, text)
    return text


def _field(match: re.Match[str]) -> str:
    if match["number"] is not None:
        return f" {OPEN_MACHINE}{match['number']}{CLOSE} "
    return f" {OPEN}{match['text'] if match['text'] is not None else match['single']}{CLOSE} "


def statements(text: str) -> list[Statement]:
    """Return where a canonical text states answers, in order."""
    found = [
        Statement(start=m.end(1), end=m.start(2), strength=3, corrects=False)
        for m in re.finditer(f"([{OPEN}{OPEN_MACHINE}])[^{CLOSE}]{{0,500}}({CLOSE})", text)
    ]
    if opening := _OPENING.match(text):
        found.append(Statement(start=0, end=opening.end(), strength=0, corrects=False))
    last = 0
    for match in _CUE.finditer(text):
        if match["direct"] is not None and not _DIRECT.match(match[0][-1:]):
            continue
        start = match.end()
        statement = _clause(text, start)
        strength = 0 if match["answer"] is None else 1
        if match["final"] or match["late"]:
            strength = 2
        between = text[max(last, match.start() - 80) : match.start()] + (match["middle"] or "")
        found.append(
            Statement(
                start=start,
                end=statement,
                strength=strength,
                corrects=bool(_CORRECTION.search(between)),
            )
        )
        last = start
    return found


def _clause(text: str, start: int) -> int:
    """Return where the clause ends that begins at a place; that of the next line if none follows."""
    rest = text[start : start + _LONGEST]
    lead = re.match(r"[\s:*]*", rest)
    first = lead.end() if lead else 0
    end = _END.search(rest, first + 1)
    return start + (end.start() if end else len(rest))
