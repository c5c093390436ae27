"""What the guide says of itself, to who greets it or asks who it is, in the languages of the pages."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["INTRODUCTIONS", "Introduction", "introduction", "without_greeting"]


@dataclass(frozen=True, slots=True)
class Introduction:
    """One language's greetings, questions about the guide, and answer to both."""

    greetings: str
    """Separated by commas, without accents and capitals; each may come before a question too."""
    questions: str
    """Questions about the guide itself, written likewise."""
    text: str
    examples: tuple[str, str, str]
    """Things to ask, each of which the guide answers."""


INTRODUCTIONS = {
    "en": Introduction(
        "hello,hi,hey,hello there,hi there,hey there,good morning,good afternoon,good evening",
        "who are you,what are you,what can you do,what do you do,what can i ask,what can i ask you,"
        "help,help me,can you help me,are you human,are you a language model,are you an ai,"
        "what is your name,how are you,thanks,thank you,introduce yourself",
        "I am the guide, a help desk that searches the lab's own documentation and a glossary; not "
        "a language model.",
        ("What is a context window?", "How do I compare two models?", "How do I end a chat?"),
    ),
    "de": Introduction(
        "hallo,guten tag,guten morgen,guten abend,moin,servus,gruss gott",
        "wer bist du,wer sind sie,was bist du,was kannst du,was kann ich fragen,hilfe,hilf mir,"
        "kannst du mir helfen,wie heisst du,wie geht es dir,danke,bist du ein sprachmodell",
        "Ich bin der Guide, ein Helfer, der die (englischen) Seiten des Labors und ein Glossar "
        "durchsucht; kein Sprachmodell.",
        ("Was ist Perplexität?", "Wie begrenze ich die Kosten?", "Wie beende ich den Chat?"),
    ),
    "fr": Introduction(
        "bonjour,bonsoir,salut,coucou",
        "qui es tu,qui etes vous,tu es qui,que sais tu faire,que peux tu faire,que puis je demander,"
        "aide,aidez moi,aide moi,comment t appelles tu,comment vas tu,ca va,merci,"
        "es tu un modele de langage",
        "Je suis le guide : je cherche dans les pages (en anglais) du labo et dans un glossaire ; je "
        "ne suis pas un modèle de langage.",
        (
            "Qu'est-ce que la perplexité ?",
            "Comment choisir un modèle ?",
            "Comment limiter le coût ?",
        ),
    ),
    "es": Introduction(
        "hola,buenos dias,buenas tardes,buenas noches,buenas",
        "quien eres,quien es usted,que eres,que puedes hacer,que sabes hacer,que puedo preguntar,"
        "ayuda,ayudame,como te llamas,como estas,gracias,eres un modelo de lenguaje",
        "Soy la guía: busco en las páginas (en inglés) del laboratorio y en un glosario; no soy un "
        "modelo de lenguaje.",
        ("¿Qué es la perplejidad?", "¿Cómo elegir un modelo?", "¿Cómo configurar Gemini?"),
    ),
    "it": Introduction(
        "ciao,buongiorno,buonasera,salve",
        "chi sei,cosa sei,che cosa sei,cosa puoi fare,cosa sai fare,che cosa posso chiedere,aiuto,"
        "aiutami,come ti chiami,come stai,grazie,sei un modello linguistico",
        "Sono la guida: cerco nelle pagine (in inglese) del laboratorio e in un glossario; non sono "
        "un modello linguistico.",
        ("Cos'è un'allucinazione?", "Che cos'è un intervallo di confidenza?", "Cos'è un token?"),
    ),
    "pt": Introduction(
        "ola,oi,bom dia,boa tarde,boa noite",
        "quem e voce,quem es tu,o que e voce,o que voce faz,o que voce pode fazer,"
        "o que posso perguntar,ajuda,me ajude,como voce se chama,tudo bem,obrigado,obrigada,"
        "voce e um modelo de linguagem",
        "Sou o guia: procuro nas páginas (em inglês) do laboratório e num glossário; não sou um "
        "modelo de linguagem.",
        ("O que é um token?", "O que é a temperatura?", "O que é LLMFlowLab?"),
    ),
}
"""By ISO 639-1 code."""

_GREETINGS = {g: code for code, each in INTRODUCTIONS.items() for g in each.greetings.split(",")}
_QUESTIONS = {q: code for code, each in INTRODUCTIONS.items() for q in each.questions.split(",")}
_LONGEST_GREETING = 3


def introduction(text: str) -> str | None:
    """Return the guide's answer to a greeting or a question about itself; None for all else."""
    said = " ".join(_plain(text))
    asked = " ".join(_plain(without_greeting(text)))
    language = _QUESTIONS.get(said) or _QUESTIONS.get(asked)
    if language is None and not asked:
        language = _GREETINGS.get(said)
    if language is None:
        return None
    found = INTRODUCTIONS[language]
    return f"{found.text}\n\n" + "\n".join(f"- {example}" for example in found.examples)


def without_greeting(text: str) -> str:
    """Return what is asked after a greeting; the whole text where it begins with none."""
    spoken = list(re.finditer(r"\w+", text))
    for number in range(min(_LONGEST_GREETING, len(spoken)), 0, -1):
        end = spoken[number - 1].end()
        if " ".join(_plain(text[:end])) in _GREETINGS:
            return text[end:]
    return text


def _plain(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"\w+", "".join(c for c in folded if not unicodedata.combining(c)))
