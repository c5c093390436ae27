"""Small words that decide what is asked, and those that decide nothing, in the languages of the lab."""

from __future__ import annotations

__all__ = ["FILLERS", "SAYS_LITTLE", "decides"]

# The t is what is left of don't and isn't.
_LOGIC = """
no not t never without none nor cannot non except nicht kein keine keinen nie ohne pas jamais sans sin
nunca senza mai sem não nem ni ne nein
and or xor nand implies iff if unless und oder wenn falls et ou si y o e ma ed od
true false yes wahr falsch ja vrai faux oui verdadero falso sí si vero verdadeiro sim нет да и или не
all any some every each both either neither only always alle jede jeder jedes einige nur immer beide tous
toutes chaque quelques seulement toujours todos todas cada algunos solo siempre tutti tutte ogni alcuni
sempre algum alguns
more less most least fewer greater smaller larger bigger higher lower above below over under before after
first second third last next previous minimum maximum min max increase decrease up down left right
mehr weniger größer kleiner höher vor nach erste erster letzte letzter plus moins avant après premier
dernier más menos mayor menor antes después primero último più meno prima dopo primo ultimo mais maior
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million
null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig hundert tausend
deux trois quatre cinq sept huit neuf dix vingt cent mille dos tres cuatro cinco seis siete ocho nueve diez
due tre quattro cinque sei sette otto nove dieci dois quatro sete oito dez
"""
_FILLER_WORDS = """
a an the of in on at to for from by with is are was were do does did can could would will please you me
us it its that this there here just so tell say give name s der die das den dem des ein eine einen
einem einer ist sind war bitte zu von im am le la les l une des du de est sont à en el los las
una unos es il lo gli i os as um uma é het een
"""
_SHARED = """
true false yes no wahr falsch ja nein vrai faux oui non verdadero falso sí vero verdadeiro sim нет да
是 否 对 错 はい いいえ
"""
_WORDS = frozenset(_LOGIC.split())
FILLERS = frozenset(_FILLER_WORDS.split()) - _WORDS
SAYS_LITTLE = frozenset(_SHARED.split())
"""Answers that many questions share."""


def decides(word: str) -> bool:
    """Say whether two questions are different ones if only one of them has this word.

    So it is with numbers, signs, words of logic and letters that stand alone as names of things.
    """
    if word in _WORDS or not word.isalpha():
        return True
    return len(word) == 1 and word.isascii() and word not in FILLERS
