"""Words about numbers in the languages that are read: what joins, denies, bounds and labels them.

English, German, French, Spanish, Italian, Portuguese, Dutch, Russian, Polish, Turkish, Indonesian, Chinese,
Japanese, Korean, Arabic, Hindi and Bengali, as far as the word exists there.
"""

from __future__ import annotations

import re

__all__ = [
    "ALTERNATIVE",
    "ALTERNATIVE_DUTCH",
    "BOUND_AFTER",
    "BOUND_BEFORE",
    "CONFIDENT_AFTER",
    "CONFIDENT_BEFORE",
    "CONJUNCTION",
    "LABEL",
    "MINUS",
    "NEGATED_AFTER",
    "NEGATED_BEFORE",
    "NO_UNIT",
    "OF_ALL",
    "ORDINAL",
    "PART_OF",
    "POINTS",
    "RANGE",
    "RANGE_BEGINS",
    "TOO_FAR",
    "TRANSPARENT",
    "YEAR_AFTER",
    "YEAR_ASKED",
    "YEAR_BEFORE",
    "YEAR_BOUND_BEFORE",
    "any_of",
    "words_of",
]


def words_of(text: str, apart_by: str | None = None) -> frozenset[str]:
    return frozenset(text.split(apart_by))


def any_of(words: str) -> str:
    """Return a pattern for any of several words apart by `|`, the longest first."""
    return "(?:" + "|".join(sorted(map(str.strip, words.split("|")), key=len, reverse=True)) + ")"


_G = r"[ \u00a0]{0,2}"

MINUS = re.compile(
    r"(?:(?<![^\W\d_])(?:minus|negative|negativ|moins|menos|meno|negativo|min|минус|eksi)[ \u00a0]"
    r"|(?:マイナス|负|負|마이너스|سالب|ناقص|माइनस|ऋण)[ \u00a0]?)$",
    re.IGNORECASE,
)
RANGE = re.compile(
    rf"{_G}(?:-|–|—|−|~|\.\.\.?|…){_G}|[ \u00a0](?:to|till|until|through|bis|à|a|al|до|tot|do|ile|sampai|hingga|إلى|الى|से)[ \u00a0](?:[$€£¥₹]{_G})?"
    rf"|{_G}(?:至|到|から|에서|부터){_G}",
    re.IGNORECASE,
)
_BETWEEN = any_of("between|zwischen|entre|tra|fra|между|tussen|między|antara|介于|在|بين")
_FROM = any_of("from|von|de|du|da|dal|desde|от|с|van|od|dari|从|從|من")
RANGE_BEGINS = re.compile(
    rf"(?:(?P<between>{_BETWEEN})|(?P<start>{_FROM})){_G}[$€£¥₹]?{_G}$", re.IGNORECASE
)
_AND = "(?:and|und|et|y|e|ed|и|en|i|ve|dan|और|এবং)"
CONJUNCTION = re.compile(
    rf"{_G}(?:[,;/&、]{_G}(?:{_AND}[ \u00a0])?|(?<=[ \u00a0]){_AND}[ \u00a0]|(?:和|与|と|와|과|و){_G})(?:[$€£¥₹]{_G})?",
    re.IGNORECASE,
)
ALTERNATIVE = re.compile(
    rf"{_G},?[ \u00a0](?:or|oder|ou|o|u|oppure|или|либо|lub|albo|veya|atau|أو|او|या|বা)[ \u00a0](?:maybe|perhaps|possibly|even|vielleicht|peut-être|quizás|forse|talvez|может быть)?{_G}(?:[$€£¥₹]{_G})?"
    rf"|{_G}(?:或|或者|または|もしくは|か|또는|이나){_G}",
    re.IGNORECASE,
)
ALTERNATIVE_DUTCH = re.compile(rf"{_G}of[ \u00a0]")
"""The Dutch `or` is an English word as well."""
_ANSWER = (
    r"(?:(?:the |my )?(?:correct |right |final )?(?:answer|result|value|number)|it|this|that|there)"
)
_DOUBTED = (
    r"(?:(?:do|does|did|would|could)(?:n't| not)|can't|cannot|never|nobody would) (?:think|believe|say|suppose|guess|expect|agree)(?: that)?"
    rf"(?: {_ANSWER}(?:'s| is| are| was| would be| will be| should be| equals?)?)?"
    r"|(?:glaube|denke|meine) nicht,? dass (?:es|das|die antwort|das ergebnis)|ne (?:crois|pense) pas que (?:ce|la réponse) soit"
    r"|no (?:creo|pienso) que (?:la respuesta )?sea"
)
_ANY_BUT = (
    r"(?:anything|everything|(?:any|every|all)(?: the| real| whole| natural| positive| other)? (?:numbers?|values?|integers?|answers?))"
    r" (?:except(?: for)?|other than|apart from|besides|but)"
)
NEGATED_BEFORE = re.compile(
    rf"(?:(?<![^\W\d_])(?:{_DOUBTED}|{_ANY_BUT}|"
    r"hardly|no longer|not the case that (?:it|the answer) is|wrong to (?:say|answer|think|believe|assume)(?: that)?(?: it is)?|i doubt(?: that)?(?: it is| it's)?|(?:cannot|can't|couldn't|could not) (?:be|equal)|"
    r"(?:wrong|incorrect) (?:answer|number|value|result)(?: is| was)?|(?:don't know|unsure|not sure) (?:if|whether) it(?: is|'s)|"
    r"not|isn't|is no|wasn't|aren't|never|neither|nor|rather than|instead of|nicht|kein|keine|statt|anstatt|"
    r"n'est pas|pas|ni|au lieu de|plutôt que|no es|no son|no|en lugar de|en vez de|non è|non|invece di|anziché|não é|não|em vez de|"
    r"не|вместо|niet|geen|nie|değil|bukan|ليس|ليست|لا|بدلا من|नहीं)"
    r"(?:[ \u00a0](?:equal to|exactly|simply|just|only|quite|even|gleich|etwa|égal à|igual a|uguale a))?[ \u00a0]"
    r"|(?:不是|并非|而非|不等于)[ \u00a0]?)(?:[-$€£¥₹][ \u00a0]?){0,2}$",
    re.IGNORECASE,
)
"""`not only 5` and the like are rare enough; `no 5` in Spanish and Italian is what is meant."""
_WRONG = (
    r"(?:(?:[a-z]{3,12}ly |also |just )?(?:wrong|incorrect|false|mistaken|not (?:right|correct|true|the (?:right |correct )?answer))|"
    r"(?:an?|the) (?:[a-z]{1,12} )?(?:mistake|misconception|wrong answer|incorrect answer|wrong number)|an? (?:(?:common|frequent|typical|obvious|simple) )?error)\b"
)
NEGATED_AFTER = re.compile(
    rf"{_G}(?:ではなく|ではありません|じゃなく|ではない|이 아니라|가 아니라|이 아[니닙]|가 아[니닙]|아니라|नहीं|নয়|নয়|değil)"
    rf"|[\"')]?[ \u00a0](?:is|was|are|would be|must be|seems|looks)[ \u00a0](?:(?:not|wrong|incorrect|false)\b|{_WRONG})"
    r"|[\"')]?[ \u00a0](?:(?:is|was|are)n't|(?:can't|cannot|(?:could|would)(?:n't| not)) be)[ \u00a0](?:right|correct|true|the (?:right |correct )?(?:answer|number|value|result))\b"
    rf"|[\"')]?[,;]?[ \u00a0](?:(?:but|and|though|yet|however),?[ \u00a0])?(?:that|this|it|which|they|those|he|she)(?:'s|'re|[ \u00a0](?:is|was|are|were|would be))[ \u00a0]{_WRONG}"
    rf"|[\"')]?\?[\"')]?[ \u00a0](?:no(?![ \u00a0](?:doubt|problem|question))|nope|wrong|incorrect|nein|falsch|non)\b"
    rf"|[ \u00a0](?:ist|sind|war|wäre)[ \u00a0](?:nicht|falsch)\b|{_G}\((?:wrong|incorrect|false|falsch|faux)\)"
    rf"|[ \u00a0](?:n'est pas|est faux|est incorrect|no es|es incorrecto|non è|è sbagliato|não é|está errado|неверно|неправильно)"
    rf"|{_G}(?:是错的|不对|不正确)",
    re.IGNORECASE,
)
TOO_FAR = re.compile(
    r"[\"')]?[ \u00a0](?:is|was|are|would be|seems)[ \u00a0](?:far |much |way |slightly |a bit )?too[ \u00a0](?:high|low|big|large|small|much|many|little|few)\b(?![ \u00a0]to[ \u00a0](?!be\b))",
    re.IGNORECASE,
)
"""After a bare number that is denied; `42 °C is too high` may name what was measured."""
BOUND_BEFORE = re.compile(
    r"(?:(?<![^\W\d_])(?:more than|greater than|larger than|less than|fewer than|smaller than|at least|at most|up to|over|under|above|below|"
    r"higher than|lower than|bigger than|upwards? of|in excess of|beyond|at the (?:very )?(?:most|least)|(?<!reaches )(?<!attains )(?<!achieves )an? (?:maximum|minimum) of|"
    r"no more than|no less than|exceeds|maximal|mehr als|größer als|weniger als|kleiner als|mindestens|höchstens|über|unter|bis zu|"
    r"plus de|moins de|au moins|au plus|supérieure? à|inférieure? à|más de|menos de|al menos|mayor que|menor que|como máximo|"
    r"più di|meno di|almeno|al massimo|mais de|pelo menos|no máximo|больше|более|меньше|менее|не менее|не более|свыше|"
    r"أكثر من|أقل من|على الأقل)[ \u00a0]|(?:超过|超過|大于|小于|少于|多于|至少|至多|不到|약간)[ \u00a0]?|(?<![=-])[<>≤≥≠]=?[ \u00a0]?|±[ \u00a0]?"
    # Of "5!=120" the sign belongs to the factorial.
    r"|(?:(?<=[ \u00a0])|(?<=[^\W\d]))(?:!=|=/=|/=)[ \u00a0]?)"
    r"(?:[-$€£¥₹][ \u00a0]?){0,2}$",
    re.IGNORECASE,
)
BOUND_AFTER = re.compile(
    rf"{_G}(?:[≤≥≠]|[<>](?=[ =\d]|[a-zA-Z](?![\w>]))|\+(?![ \u00a0]?[\d(])|以上|以下|未満|이상|이하|미만|से अधिक|से कम)|[ \u00a0]?or[ \u00a0](?:more|less|fewer|higher|lower)\b|[ \u00a0](?:or|and)[ \u00a0](?:above|below|over|upwards?|up(?![ \u00a0]to))\b|[ \u00a0]oder[ \u00a0](?:mehr|weniger)\b"
    r"|,?[ \u00a0](?:at[ \u00a0](?:the[ \u00a0](?:very[ \u00a0])?)?(?:most|least|maximum|minimum)(?![ \u00a0](?:I|we|according|that|this|it|in|as|by|if|for|on|to)(?!\w))|au[ \u00a0](?:plus|moins|maximum|minimum)|como[ \u00a0](?:máximo|mínimo)|"
    r"al[ \u00a0](?:menos|massimo|minimo)|no[ \u00a0](?:máximo|mínimo)|pelo[ \u00a0]menos|höchstens|mindestens|(?:maximum|minimum|max|tops)(?![ \u00a0][^\W\d_]))(?![^\W_])",
    re.IGNORECASE,
)
YEAR_BOUND_BEFORE = re.compile(
    r"(?<![^\W\d_])(?:before|after|prior to|earlier than|later than|vor|nach|avant|après|antes de|después de|depois de|prima del|dopo il|до|после)[ \u00a0]$",
    re.IGNORECASE,
)
"""Before a year that is none of those meant: `after 1969`; of others it says when: `after 3 hours`."""
LABEL = re.compile(
    r"(?:(?<![^\W\d_])(?:steps?|questions?|problem|chapter|figure|fig|table|page|pages|pp|section|part|item|line|equation|eq|exercise|case|"
    r"option|version|ver|v|no|nr|number|№|appendix|note|room|level|class|grade|phase|round|example|theorem|method|answer|"
    r"schritt|frage|aufgabe|kapitel|abbildung|abb|tabelle|seite|abschnitt|teil|zeile|gleichung|étape|chapitre|partie|exercice|"
    r"paso|pregunta|capítulo|figura|tabla|página|parte|ejercicio|passo|passaggio|capitolo|domanda|tabella|pagina|esercizio|"
    r"tabela|etapa|questão|exercício|шаг|вопрос|глава|рис|табл|стр|часть|задача|пункт|stap|vraag|krok|pytanie|adım|langkah|"
    r"الخطوة|السؤال|चरण|प्रश्न|단계|문제)\.?[ \u00a0]?|#|(?:步骤|第|步|ステップ|問)[ \u00a0]?)$",
    re.IGNORECASE,
)
ORDINAL = re.compile(
    r"(?:st|nd|rd|th|er|ère|ème|e|º|ª|-?(?:й|я|е|го|ый|ая|ое)|번째|वां|वीं|वें|番目)(?![^\W\d_])",
    re.IGNORECASE,
)
_CONFIDENT = any_of(
    "sure|certain|certainty|confident|confidence|positive|sicher|sicherheit|sûre?|certaine?|certitude|segur[oa]|certeza|confianza|"
    "confiança|sicur[oa]|certezza|zeker|уверен\\w*|pewn\\w*|emin|yakin"
)
CONFIDENT_AFTER = re.compile(
    rf"[ \u00a0]?%?[ \u00a0](?:(?:de|di|of)[ \u00a0])?{_CONFIDENT}(?!\w)|{_G}%?{_G}(?:确定|確定|肯定|把握|の?確信|확신|متأكد|यकीन|নিশ্চিত)",
    re.IGNORECASE,
)
"""After how sure somebody is: `I am 95 % sure`."""
CONFIDENT_BEFORE = re.compile(
    r"(?<!\w)(?:confidence|certainty|sicherheit|konfidenz|confiance|confianza|confiança|confidenza|certezza|уверенность|置信度|信心|確信度|신뢰도)"
    rf"(?:[ \u00a0](?:level|score|rating|is|of))?{_G}[:=：]?{_G}(?:(?:very[ \u00a0])?(?:high|medium|low){_G}\(?)?$"
    r"|(?<!\w)(?:sûre?|certaine?)[ \u00a0]à[ \u00a0]$|(?<!\w)(?:segur[oa]|sicur[oa])[ \u00a0]al[ \u00a0]$",
    re.IGNORECASE,
)
OF_ALL = re.compile(
    r"(?:[ \u00a0]\(?(?:out of|of|von|sur|de|su|di|em|из|od|van|dari)(?:[ \u00a0](?:the|a total of|den|insgesamt|les|los|i))?[ \u00a0])",
    re.IGNORECASE,
)
"""Between a number and the whole that it is a part of: `90 out of 100`."""
PART_OF = re.compile(
    r"(?<![^\W\d_])(?:half|twice|double|triple|thrice|(?:a |one )?(?:third|quarter|fifth|tenth)|hälfte|doppelte|moitié|double|tiers|mitad|doble|"
    r"tercio|metà|doppio|terzo|metade|dobro|terço|половина|треть)(?:[ \u00a0](?:of|von|de|di|del|от|as much as|as many as))?[ \u00a0]$"
    r"|(?<![^\W\d_])(?:log|ln|lg|exp|sin|cos|tan|sqrt)(?:_\d{1,3})?[ \u00a0]?\(?$|(?<![^\W\d_])[A-Za-z]{1,3}\($",
    re.IGNORECASE,
)
"""Before a number of which something else is meant: `half of 12`, `log 5`, `f(5)`."""
YEAR_BEFORE = re.compile(
    r"(?:(?<![^\W\d_])(?:in|since|by|until|before|after|during|year|of|circa|ca\.|c\.|spring|summer|autumn|fall|winter|"
    r"im jahre?|jahr|seit|ab|um|en|depuis|année|l'an|año|desde|del|nel|dal|anno|em|ano|в|году|с|sinds|w|roku|tahun|عام|سنة|सन्|वर्ष|jan\w*|feb\w*|"
    r"mar\w*|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*)[ \u00a0,]{1,2}|[(]|(?:紀元|公元|西暦)[ \u00a0]?)$",
    re.IGNORECASE,
)
YEAR_AFTER = re.compile(
    rf"{_G}(?:年|년|г\.|году|года|год\b|AD\b|BCE?\b|CE\b|n\. Chr|v\. Chr|में|م\b)|[)]", re.IGNORECASE
)
YEAR_ASKED = re.compile(
    r"\b(?:when|years?|jahr|année|año|anno|ano|год|году|which year|what year|wann|welche[ms] jahr|quand|quelle année|cuándo|qué año|quando|che anno|que ano|когда|каком году|"
    r"wanneer|kiedy|kapan)\b|年|什么时候|いつ|언제|몇 ?년|متى|أي عام|कब|किस वर्ष",
    re.IGNORECASE,
)
POINTS = words_of(
    "prozentpunkt|prozentpunkte|prozentpunkten|points de pourcentage|point de pourcentage|punto porcentual|puntos porcentuales|"
    "punti percentuali|punto percentuale|pontos percentuais|ponto percentual|процентный пункт|процентных пункта|"
    "процентных пунктов|п.п|个百分点|個百分點|百分点|パーセントポイント|퍼센트포인트|퍼센트 포인트|نقطة مئوية|نقاط مئوية|प्रतिशत अंक|"
    "procentpunt|punkt procentowy|punktów procentowych|yüzde puan",
    apart_by="|",
)
TRANSPARENT = words_of(
    "full|whole|entire|total|more|additional|extra|other|different|exactly|approximately|us|american|long|short|ganze|weitere|"
    "autres|más|altri|outros",
    apart_by="|",
)
"""Words between a number and its unit that do not change it."""
NO_UNIT = words_of(
    "a an the and or but nor so as at by for from in into is it its of off on onto out over per than that then there these they this "
    "to too up us was we were what when where which while who will with would are be been being am not no yes if because since "
    "can could do does did had has have he her him his how i may me might must my our she should some such their them through "
    "until about above after again all also any before below between both each either every few however just only other "
    "under very you your times plus minus equals divided multiplied squared cubed thus hence therefore total more less left remaining altogether "
    "respectively overall exactly approximately now here gives makes means equal correct right wrong answer result final "
    "der die das den dem des ein eine einen einem einer eines und oder aber ist sind war waren im am zum zur von vom mit für auf aus bei "
    "nach über unter vor zu als auch nicht nur noch so wie wenn weil dass sich er sie es wir ihr man mal durch gleich ergibt insgesamt beträgt "
    "lautet also hat haben werden wird "
    "le la les un une des du de et ou mais est sont était dans en sur sous pour par avec sans ce cette ces qui que quoi dont où il elle "
    "ils elles nous vous on ne pas plus au aux car donc fois égale total "
    "el los las una unos unas del al y o u pero es son era fue con sin sobre entre hasta desde como porque cuando donde se su sus lo más menos "
    "por para que ya muy veces igual esta este "
    "il lo gli i uno di da nel nella dei delle degli e ed ma è sono era con su tra fra perché quando dove come si più meno anche volte "
    "o os as um uma uns umas do da dos das no na nos nas em ao à e é são foi com sem sobre entre até porque quando onde mais menos também vezes "
    "het de een en of maar is zijn was in op aan van voor met door bij naar uit over onder niet ook als dat die dit er "
    "и или но а в во на с со к ко о об от до из за по под при без для не ни что как это этот эта эти он она оно они мы вы был была было были "
    "есть если то же бы раз равно "
    "jest są i lub ale w z na do od dla o po przez nie się to że jako "
    "ve veya ama bir bu şu da için ile dan den "
    "dan atau tetapi adalah di ke dari untuk dengan yang ini itu karena "
    "هو هي في من إلى على عن مع أو لأن هذا هذه كان التي الذي ثم لا "
    "है हैं था थे थी और या में से को का की के पर यह वह कि तो ने होता होगा होगी "
    "입니다 이다 이며 이고 은 는 이 가 을 를 의 에 로 으로 와 과 그리고 "
    "bis oder sondern sowie bzw à al jusqu'à sino oppure of lub или либо до до или если тогда albo veya atau till vs v x y z n also rather maybe perhaps approximately "
    "e o ed od "
    "can't cannot couldn't wouldn't won't isn't wasn't aren't don't doesn't seems looks except"
)
"""Words after a number that are no unit of it."""
