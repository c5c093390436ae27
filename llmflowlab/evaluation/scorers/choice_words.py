"""How a choice among lettered options is worded, in the languages that `multiple_choice` reads.

English, German, French, Spanish, Portuguese, Italian, Russian, Chinese, Japanese, Korean, Arabic, Hindi,
Bengali and Indonesian. Each table is one alternation of a regular expression; words of alphabets with
spaces match whole.
"""

from __future__ import annotations

import re

__all__ = [
    "AFTER_NO",
    "ANSWER",
    "BEFORE_LETTER",
    "CHOOSES",
    "CONCLUDES",
    "CORRECTS",
    "HEDGES",
    "IS",
    "JOINS",
    "KEYS",
    "LINKS",
    "NAMES",
    "NO",
    "OR",
    "TAKES_BACK",
    "YES",
    "any_of",
]


def any_of(*texts: str) -> str:
    """Return an alternation of words divided by `|`, the longest first; alphabetic ones match whole."""
    words = {word.strip() for text in texts for word in text.split("|") if word.strip()}
    ordered = sorted(words, key=len, reverse=True)
    return "(?:" + "|".join(_whole(word) for word in ordered) + ")"


def _whole(word: str) -> str:
    # Latin and Cyrillic; the marks of Indic scripts are no word characters to `re`.
    first = r"\b" if re.match(r"[a-zß-ÿœа-яё]", word) else ""
    last = r"\b" if re.search(r"[a-zß-ÿœа-яё]$", word) else ""
    return first + word.replace(" ", r"\s+") + last


ANSWER = any_of(
    "answer|answers|ans|solution|final answer|correct answer|conclusion",
    "antwort|lösung|réponse|solution|respuesta|solución|resposta|solução|gabarito|risposta|soluzione",
    "ответ|ответом|відповідь|答案|正解|回答|答え|解答|正答|答|정답|답|답변|해답",
    "الإجابة|الاجابة|إجابة|إجابتي|الجواب|جواب|جوابي|उत्तर|जवाब|উত্তর|জবাব",
    "jawaban|jawabannya|jawabanku|cevap|yanıt|đáp án|odpowiedź|antwoord|svar",
)
"""What a statement of the choice is called: "answer" in "The answer is B"."""

NAMES = any_of(
    "option|options|choice|choices|letter|alternative|selection|pick|guess",
    "auswahl|wahl|buchstabe|variante|möglichkeit|choix|lettre|proposition|opción|letra|alternativa|elección",
    "opção|escolha|opzione|lettera|scelta|вариант|варианты|вариантом|выбор|буква|буквой|пункт",
    "选项|選項|选择|選擇|選択肢|選択|선택지|선택|보기|الخيار|الخيارات|خيار|خياري|الحرف|विकल्प|ऑप्शन|বিকল্প|অপশন",
    "pilihan|opsi|huruf|seçenek|şık",
)
"""What an option is called: "option" in "option B"."""

IS = any_of(
    "is|are|was|be|would be|should be|must be|has to be|will be|ist|lautet|wäre|sind|est|serait|sont",
    "es|sería|son|é|seria|são|è|sarebbe|это|является|будет|是|为|為|应该是|應該是|は|が|은|는|이|가|هي|هو",
    "है|हैः|হলো|হল|হচ্ছে|হবে|adalah|ialah|yaitu",
)

LINKS = any_of(
    "is|are|was|be|would|should|must|has to|will|can only|the|my|our|option|choice|letter|alternative|answer",
    "final|correct|right|best|most|likely|probably|clearly|definitely|indeed|therefore|thus|hence|simply",
    "just|given|this|question|one|that|it|it's|that's|i|think|believe|all of|both|either|so|number|here|to|for",
    "ist|lautet|wäre|sind|die|der|das|den|richtige|richtig|korrekte|buchstabe|also|wohl|somit|daher",
    "est|serait|sont|la|le|l'|lettre|bonne|correcte|donc|exacte|c'est|probablement|sûrement",
    "es|sería|son|el|letra|correcta|opción|por tanto|é|seria|são|a|o|opção|alternativa|correta|certa|portanto",
    "è|sarebbe|sono|il|lettera|opzione|corretta|giusta|quindi|это|будет|является|под|буквой|вариант",
    "правильный|верный|на вопрос|—|是|为|為|应该|應該|应|應|选|選|选择|選擇|就|即|选项|選項|我|认为|認為|最终|正确|正確|的",
    "は|が|選択肢|おそらく|恐らく|私|ずばり|、|은|는|이|가|보기|선택지|바로|제|생각에는|번호",
    "هي|هو|الصحيحة|الصحيح|الخيار|الإجابة|النهائية|إذن|رقم|الحرف|है|विकल्प|सही|का|ही|यह|मेरा",
    "হলো|হল|হচ্ছে|বিকল্প|হবে|অপশন|সঠিক|টি|adalah|yang|benar|tepat|opsi|pilihan|ialah|huruf|yaitu",
    "antwort|réponse|respuesta|resposta|risposta|ответ|答案|정답은|답은|उत्तर|উত্তর|jawaban|finale|définitive|final",
)
"""Words that may stand between "answer" and the letter."""

CHOOSES = any_of(
    "choose|chose|pick|picked|select|selected|go with|going with|go for|opt for|vote for|settle on|bet on",
    "prefer|going with|going for|am choosing|i'm choosing|am picking|i'm picking|i say|i'd say|i would say|i guess|my guess|i think|i believe|my pick",
    "wähle|nehme|entscheide mich für|tippe auf|würde sagen|choisis|choisirais|opte pour|sélectionne|dirais",
    "elijo|elegiría|escojo|selecciono|opto por|me quedo con|marco|diría|escolho|escolheria|seleciono",
    "choisissez|prenez|elige|elija|escoge|escoja|marca|marque|escolha|escolhe|scegli|scelga|выберите|pilih|pilihlah",
    "fico com|diria|scelgo|sceglierei|seleziono|opto per|direi|выбираю|выберу|выбрал|выбрала|думаю",
    "选择|選擇|选|選|应选|應選|我选|أختار|اختار|سأختار|اخترت|saya memilih|memilih|saya pilih",
)

CONCLUDES = any_of(
    "so|therefore|thus|hence|also|daher|somit|folglich|donc|ainsi|alors|por lo tanto|por tanto|así que|entonces",
    "portanto|logo|então|quindi|dunque|perciò|значит|итак|поэтому|следовательно|所以|因此|故|よって|したがって|ゆえに",
    "따라서|그러므로|إذن|لذلك|इसलिए|अतः|তাই|সুতরাং|jadi|maka",
)
"""Words that begin a conclusion: "so" in "So B."."""

YES = any_of(
    "○|◯|◎|yes|correct|right|true|ja|richtig|oui|vrai|sí|sim|sì|vero|да|верно|是|对|正确|はい|네"
)
NO = any_of(
    "×|✕|no|wrong|incorrect|false|nein|falsch|non|faux|não|falso|нет|неверно|否|不是|错|错误|いいえ|아니요"
)
"""Verdicts on options one by one, as in "A: no. B: yes."."""

AFTER_NO = (
    r"(?=\s*(?:[^\w\s]|$|\n)|\s+(?:because|since|as|it|they|he|she|we|you|i|that|this|these|there|the|an?|and|or|but|is|was|in|at|under|according|based|unless|so|when|"
    r"not|given|though|although|if|due|given|porque|pois|pues|perché|потому|так|это|и|но|а)\b)"
)
"""What follows a "no" that answers: in front of a noun ("no idea") it is none."""

JOINS = (
    r"(?:,? ?(?:\band/or\b|\band\b|\bor\b|\bund\b|\boder\b|\bou\b|\bet\b|\by\b|\bo\b|\bu\b|\be\b|\bи\b|\bили\b|"
    r"\bdan\b|\batau\b|和|或者|或是|或|与|與|及|以及|还是|または|もしくは|あるいは|と|か|및|또는|혹은|과|와|이나|나|"
    r"أو|و|और|या|বা|এবং|অথবা|ও) ?(?:(?:maybe|perhaps|possibly|probably|even)\s+)?| ?[,/&;、，] ?| ?[-–] ?)"
)
"""What joins two letters, as in "A or B", "A/B"."""

OR = r"(?:\bor\b|\boder\b|\bou\b|\bo\b|\bили\b|\batau\b|或|または|もしくは|또는|أو|या|বা|অথবা)"

TAKES_BACK = any_of(
    "no|no wait|wait|actually|i mean|or rather|rather|sorry|correction|but it is|but it's|but i choose|on second thought",
    "nein|doch nein|aber es ist|sondern|non|mais c'est|plutôt|pero es|sino|mas é|ma è|нет|точнее|но это|不对|不是|而是|いや|아니",
    "لا بل|بل|नहीं|बल्कि|না|বরং|bukan|tapi|melainkan",
)
"""Words by which a speaker puts another choice in the place of an earlier one."""

BEFORE_LETTER = any_of(
    "leaves|leaving|remains|correct|right|верно|правильно|richtig|so|therefore|thus|hence|because|than|with|for|both|either|neither|nor|and|or|but|yet|although|between|among|only|if|of|as|then",
    "say|guess|to|on|be|see|that|about|while|whereas|unlike|since|yes|no|well|okay|ok|final|definitely|probably|maybe|possibly|perhaps|even",
    "und|oder|aber|also|dass|dann|denn|weil|mit|für|ja|nein|et|ou|mais|donc|car|que|avec|pour|oui|non|y|o|u|pero",
    "porque|con|sí|e|mas|com|sim|ma|perché|con|sì|и|или|но|а|значит|поэтому|потому|что|с|да|нет|между",
    "和|或|与|與|及|但|而|除|于|於|对|對|非|と|か|を|の|も|や|に|で|へ|그리고|또는|및|와|과|하지만|도|을|를|따라서|그래서",
    "و|أو|لكن|بل|إذن|لأن|और|या|लेकिन|इसलिए|क्योंकि|में|से|এবং|বা|কিন্তু|তাই|কারণ|dan|atau|tetapi|tapi|melainkan|jadi|maka",
    "nur|allein|ausschließlich|einzig|seul|seule|seulement|uniquement|solo|sólo|únicamente|solamente|somente|só|apenas",
    "soltanto|solamente|unicamente|только|лишь|只有|仅有|只|केवल|सिर्फ|শুধু|কেবল|hanya|فقط|오직",
    "ではなく|でなく|じゃなく|아니라|所以|因此|因为|于是|故|すなわち|よって|したがって|それは",
)
"""Words after which a lone capital letter is an option; after others it is part of a name."""

HEDGES = any_of(
    "if|unless|some|others|someone|people|might|could|may|suppose|assuming|would argue|claim|claims|at first|initially",
    "first guess|first instinct|first thought|initial|thought|one might|students|wenn|falls|zunächst|manche|könnte|si|certains|pourrait|d'abord|algunos|podría",
    "al principio|se|alguns|poderia|a princípio|alcuni|potrebbe|all'inizio|если|некоторые|сначала|может быть|можно было",
    "如果|有人|一开始|起初|可能有人|もし|最初は|一見|만약|처음에는|일부|إذا|لو|البعض|في البداية|यदि|अगर|कुछ लोग|पहले",
    "যদি|অনেকে|প্রথমে|jika|kalau|sebagian orang|awalnya",
)

CORRECTS = any_of(
    "but|wait|actually|however|instead|rather|correction|sorry|second thought|therefore|thus|so|hence|finally|final",
    "in conclusion|overall|on reflection|no|aber|doch|sondern|also|daher|eigentlich|endgültig|somit|korrektur",
    "mais|donc|en fait|finalement|plutôt|correction|pero|sino|por lo tanto|en realidad|finalmente|mas|porém|portanto",
    "na verdade|ma|però|quindi|in realtà|но|однако|поэтому|значит|итак|на самом деле|окончательный|точнее",
    "但|不过|其实|所以|因此|最终|等等|しかし|でも|いや|実は|したがって|よって|最終|하지만|그러나|사실|따라서|그래서|아니|최종",
    "لكن|بل|لذلك|إذن|في الواقع|النهائية|लेकिन|बल्कि|इसलिए|वास्तव में|अंतिम|কিন্তু|বরং|তাই|আসলে|চূড়ান্ত",
    "tapi|tetapi|jadi|namun|sebenarnya|akhirnya",
)
"""Words by which a speaker takes an earlier choice back, or concludes."""

KEYS = (
    *(
        "final_answer",
        "finalanswer",
        "answer",
        "correct_answer",
        "choice",
        "option",
        "letter",
        "selected",
    ),
    *(
        "selection",
        "selected_option",
        "result",
        "response",
        "prediction",
        "antwort",
        "réponse",
        "reponse",
    ),
    *(
        "respuesta",
        "resposta",
        "risposta",
        "ответ",
        "答案",
        "答え",
        "回答",
        "정답",
        "답",
        "الإجابة",
        "उत्तर",
        "উত্তর",
    ),
    *("jawaban",),
)
"""Keys of a JSON answer under which the choice stands, the first that is there counts."""
