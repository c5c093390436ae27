"""The names under which files hold a question, an answer and the rest: one table for all formats."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["NAMES", "USUAL_NAMES", "Names", "fold", "is_usual_name", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The recognised names of one role, in the order in which they are tried."""

    first: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """Looked for only where no column has one of `first` exactly, so that a file keeps the meaning
    that it had."""
    several: tuple[str, ...] = ()
    """Of columns that hold lists; looked for after those of single values."""
    instead: tuple[str, ...] = ()
    """Taken for want of better: beside one of the others they mean something else."""

    @property
    def every(self) -> tuple[str, ...]:
        return (*self.first, *self.more, *self.several, *self.instead)

    def tiers(self) -> tuple[tuple[bool, tuple[str, ...]], ...]:
        """Return names in the order of trial, each group with whether it must match exactly."""
        weak = self.instead
        return (
            (True, self.first),
            (False, (*self.first, *self.more)),
            (False, self.several),
            (True, weak),
            (False, weak),
        )


NAMES: dict[str, Names] = {
    "question": Names(
        first=("question", "prompt", "input", "query", "inputs", "instruction", "user_input"),
        more=(
            *("user_query", "user_question", "user_prompt", "user_message", "question_text"),
            *("question_stem", "input_question", "problem", "ctx"),
            *("frage", "pregunta", "domanda", "pergunta", "quesito", "vraag", "fråga", "pytanie"),
            *("soru", "вопрос", "питання", "问题", "問題", "質問", "질문", "السؤال", "سؤال"),
            *("题目", "題目", "试题", "試題", "設問", "énoncé", "enunciado", "aufgabenstellung"),
            *("प्रश्न", "सवाल", "câu hỏi", "pertanyaan"),
        ),
    ),
    "answer": Names(
        first=(
            *("answer", "expected", "target", "reference", "ground_truth", "expected_answer"),
            *("expected_response", "expected_output", "reference_answer", "gold_answer", "gold"),
            *("correct_answer", "ideal", "answers"),
        ),
        more=(
            *("best_answer", "golden_answer", "true_answer", "right_answer", "expected_outputs"),
            *("reference_output", "reference_outputs", "reference_response", "__expected"),
            *("answer_1", "expected_1"),
            *("antwort", "réponse", "respuesta", "risposta", "resposta", "antwoord", "svar"),
            *("odpowiedź", "cevap", "yanıt", "ответ", "відповідь", "答案", "回答", "答え", "정답"),
            *("답변", "답", "الإجابة", "إجابة", "الجواب", "جواب", "उत्तर", "जवाब", "câu trả lời"),
            *("erwartete antwort", "richtige antwort", "réponse attendue", "réponse correcte"),
            *("respuesta esperada", "respuesta correcta", "risposta attesa", "risposta corretta"),
            *("resposta esperada", "resposta correta", "правильный ответ", "ожидаемый ответ"),
            *("参考答案", "正确答案", "标准答案", "正解", "الإجابة الصحيحة", "सही उत्तर"),
            *("參考答案", "標準答案", "正確答案", "模範解答", "正答", "期待される回答", "期待回答"),
            *("musterlösung", "sollantwort", "bonne réponse", "réponse de référence", "gabarito"),
            *("respuesta de referencia", "resposta de referência", "risposta di riferimento"),
            *("jawaban", "musterantwort", "lösung", "solución", "soluzione", "solução"),
        ),
        several=(
            *("correct_answers", "accepted_answers", "acceptable_answers", "expected_answers"),
            *("gold_answers", "golden_answers", "reference_answers", "references", "targets"),
            *(
                "possible_answers",
                "answers_spans",
                "ground_truths",
                "antworten",
                "réponses",
                "respuestas",
                "risposte",
                "respostas",
            ),
            *("answer_key", "answer_index", "answer_idx", "correct_option", "correct_index"),
            *("correct_choice", "cop"),
        ),
        instead=("solution", "output", "label", "outputs", "output_answer", "correct"),
    ),
    "context": Names(
        first=("context", "passage", "document", "contexts", "retrieved_context"),
        more=(
            *(
                "retrieved_contexts",
                "retrieval_context",
                "kontext",
                "contexte",
                "contexto",
                "contesto",
                "контекст",
            ),
            *("上下文", "文脈", "맥락", "السياق", "सन्दर्भ", "संदर्भ"),
        ),
    ),
    "guidelines": Names(
        first=("guidelines", "guideline", "rubric", "criteria"),
        more=("richtlinien", "directives", "directrices", "linee guida", "diretrizes"),
    ),
    "category": Names(
        first=("category", "topic", "subject", "task", "kind"),
        more=(
            *("kategorie", "catégorie", "categoría", "categoria", "categorie", "kategoria"),
            *("категория", "类别", "類別", "分类", "分類", "カテゴリ", "카테고리", "الفئة", "श्रेणी"),
        ),
    ),
    "language": Names(
        first=("language", "lang", "locale"),
        more=(
            *("sprache", "langue", "idioma", "lingua", "taal", "język", "dil", "язык", "мова"),
            *("语言", "語言", "言語", "언어", "اللغة", "भाषा"),
        ),
    ),
    "id": Names(
        first=("id", "row_id", "question_id", "qid", "uid"),
        more=("frage_id", "kennung", "номер", "编号", "番号"),
    ),
    "choices": Names(
        first=("choices", "options"),
        more=(
            *("endings", "answer_options", "answer_choices", "mc1_targets", "target_scores"),
            *(
                "antwortmöglichkeiten",
                "opciones",
                "opzioni",
                "opções",
                "auswahl",
                "варианты",
                "选项",
                "選択肢",
                "보기",
            ),
        ),
    ),
    "facts": Names(first=("expected_facts",)),
    "messages": Names(
        first=("messages", "conversation"),
        more=("conversations", "turns", "dialog", "dialogue", "chat"),
    ),
    "params": Names(first=("params", "parameters")),
    "answers": Names(),
    "given": Names(
        first=(
            *("response", "model_answer", "model_response", "model_output", "prediction"),
            *("generated_answer", "actual_output", "given_answer"),
        ),
        more=(
            *("llm_answer", "llm_response", "llm_output", "predicted_answer", "actual_answer"),
            *("actual_response", "generated_response", "generated_text", "generated_output"),
            *("assistant_answer", "assistant_response", "bot_answer", "bot_response"),
            *("chatbot_answer", "chatbot_response", "ai_answer", "ai_response"),
            *("candidate_answer", "system_answer", "system_output"),
            *("modellantwort", "réponse du modèle", "respuesta del modelo", "risposta del modello"),
            *("resposta do modelo", "ответ модели", "模型回答", "模型输出", "モデルの回答"),
            *("모델 답변", "إجابة النموذج"),
        ),
        instead=("output", "outputs"),
    ),
}
"""Case, accents, spaces, hyphens, underscores and dots do not matter. `answers` is only ever named by
the person."""

USUAL_NAMES: dict[str, tuple[str, ...]] = {role: names.every for role, names in NAMES.items()}

_NESTED = re.compile(r"(?:inputs?|expectations|vars)[./](?=.)", re.IGNORECASE)


def plain(name: str) -> str:
    """Return a name without regard to case, spaces and hyphens."""
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()


@lru_cache(maxsize=20_000)
def fold(name: str) -> str:
    """Return the form in which camelCase, snake_case, accents and spaces are all the same.

    Two underscores at the beginning stay: such columns are a tool's own (`__expected`), not data.
    """
    name = _NESTED.sub("", name.strip(), count=1)
    # Turkish capitals: I is that of the letter without a dot.
    letters = unicodedata.normalize("NFKD", name.casefold().replace("ı", "i"))
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter))
    bare = re.sub(r"[\s_.-]+", "", kept)
    return f"__{bare}" if name.startswith("__") else bare


_USUAL = frozenset(fold(name) for names in USUAL_NAMES.values() for name in names)


def is_usual_name(name: str) -> bool:
    """Say whether a column's name is one that is recognised."""
    return fold(name) in _USUAL
