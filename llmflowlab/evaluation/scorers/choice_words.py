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
    "REFUTED_AFTER",
    "REFUTES_BEFORE",
    "REFUTES_FAR",
    "RIGHT_AFTER",
    "RIGHT_BEFORE",
    "TAKES_BACK",
    "WRONG_BEFORE",
    "YES",
]


def _any(*texts: str) -> str:
    """Return an alternation of words divided by `|`, the longest first; alphabetic ones match whole."""
    words = {word.strip() for text in texts for word in text.split("|") if word.strip()}
    ordered = sorted(words, key=len, reverse=True)
    return "(?:" + "|".join(_whole(word) for word in ordered) + ")"


def _whole(word: str) -> str:
    # Latin and Cyrillic; the marks of Indic scripts are no word characters to `re`.
    first = r"\b" if re.match(r"[a-zß-ÿœа-яё]", word) else ""
    last = r"\b" if re.search(r"[a-zß-ÿœа-яё]$", word) else ""
    return first + word.replace(" ", r"\s+") + last


ANSWER = _any(
    "answer|answers|ans|solution|final answer|correct answer|conclusion",
    "antwort|lösung|réponse|solution|respuesta|solución|resposta|solução|gabarito|risposta|soluzione",
    "ответ|ответом|відповідь|答案|正解|回答|答え|解答|正答|答|정답|답|답변|해답",
    "الإجابة|الاجابة|إجابة|إجابتي|الجواب|جواب|جوابي|उत्तर|जवाब|উত্তর|জবাব",
    "jawaban|jawabannya|jawabanku|cevap|yanıt|đáp án|odpowiedź|antwoord|svar",
)
"""What a statement of the choice is called: "answer" in "The answer is B"."""

NAMES = _any(
    "option|options|choice|choices|letter|alternative|selection|pick|guess",
    "auswahl|wahl|buchstabe|variante|möglichkeit|choix|lettre|proposition|opción|letra|alternativa|elección",
    "opção|escolha|opzione|lettera|scelta|вариант|варианты|вариантом|выбор|буква|буквой|пункт",
    "选项|選項|选择|選擇|選択肢|選択|선택지|선택|보기|الخيار|الخيارات|خيار|خياري|الحرف|विकल्प|ऑप्शन|বিকল্প|অপশন",
    "pilihan|opsi|huruf|seçenek|şık",
)
"""What an option is called: "option" in "option B"."""

IS = _any(
    "is|are|was|be|would be|should be|must be|has to be|will be|ist|lautet|wäre|sind|est|serait|sont",
    "es|sería|son|é|seria|são|è|sarebbe|это|является|будет|是|为|為|应该是|應該是|は|が|은|는|이|가|هي|هو",
    "है|हैः|হলো|হল|হচ্ছে|হবে|adalah|ialah|yaitu",
)

LINKS = _any(
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

CHOOSES = _any(
    "choose|chose|pick|picked|select|selected|go with|going with|go for|opt for|vote for|settle on|bet on",
    "prefer|going with|going for|am choosing|i'm choosing|am picking|i'm picking|i say|i'd say|i would say|i guess|my guess|i think|i believe|my pick",
    "wähle|nehme|entscheide mich für|tippe auf|würde sagen|choisis|choisirais|opte pour|sélectionne|dirais",
    "elijo|elegiría|escojo|selecciono|opto por|me quedo con|marco|diría|escolho|escolheria|seleciono",
    "choisissez|prenez|elige|elija|escoge|escoja|marca|marque|escolha|escolhe|scegli|scelga|выберите|pilih|pilihlah",
    "fico com|diria|scelgo|sceglierei|seleziono|opto per|direi|выбираю|выберу|выбрал|выбрала|думаю",
    "选择|選擇|选|選|应选|應選|我选|أختار|اختار|سأختار|اخترت|saya memilih|memilih|saya pilih",
)

_ADVERBS = (
    r"(?:definitely|clearly|most|likely|probably|only|also|indeed|obviously|certainly|therefore|thus|hence|simply|just|"
    r"actually|really|truly|surely|undoubtedly|absolutely|entirely|completely|fully|quite|very|by\s+far|in\s+fact|"
    r"always|both|all|to\s+be|evidently|plainly|perfectly|exactly|of\s+course|factually|generally)"
)
_SOUND = r"(?:correct|right|true|accurate|plausible|convincing|suitable|appropriate|probable|valid)"
_BAD = (
    r"(?:wrong|incorrect|false|inaccurate|mistaken|worst|poor|poorest|bad|worse|"
    rf"(?:least|less|second[\s-]+most|second[\s-]+best|second)(?:\s+(?:{_SOUND}|likely(?=\s+(?:than|answer|option|choice)))|(?<=less)\s+likely|"
    r"(?<=best)|(?=\s+(?:answer|option|choice))))"
)
_BUT_WRONG = (
    r",?\s+(?:but|yet|though|although|however)\s*,?\s+(?:actually\s+|in\s+fact\s+)?"
    r"(?:(?:it|this|that|they)(?:\s+(?:is|was|are|would\s+be)|'s|'re)?\s+|is\s+|was\s+|are\s+)?"
    r"(?:(?:simply|clearly|actually|just|really|still)\s+)?(?:(?:wrong|incorrect|false|mistaken)\b|"
    r"an?\s+(?:common\s+)?(?:mistake|error|misconception|trap|distractor)\b|no\b(?=\s*(?:[.,!;:]|$))|"
    r"(?:not|isn't|aren't|wasn't|can't\s+be|cannot\s+be)(?=\s*(?:[.!;,)]|$)|\s+(?:really\s+|actually\s+|quite\s+)?"
    rf"(?:the\s+(?:answer|option|choice|case|one|right|correct|best|question)\b|{_SOUND}\b|so\b|it\b|(?:always|entirely|quite)(?=\s*(?:[.!;,)]|$))))|(?:does|do|did)(?:n't|\s+not)"
    r"(?=\s*[.!;]|\s*$|\s+(?:answer|fit|apply|match|address|work|hold|qualify|make)\b))"
)
"""What takes a verdict back: "but it isn't", "but that's a mistake"."""

REFUTES_BEFORE = _any(
    "none of|neither of|disagree with|anything but|everything but|all but|everything except|not|isn't|aren't|wasn't|never|neither|nor|except|excluding|rule out|rules out|ruling out|ruled out",
    "eliminate|eliminates|eliminated|eliminating|exclude|excluded|discard|reject|dismiss|cross out|crossing out",
    "do not choose|don't choose|never choose|do not pick|don't pick|never pick|do not select|don't select|avoid",
    "mistake to choose|mistake to pick|wrong to choose|wrong to pick|i doubt|i doubt that|i reject|far from",
    "no elijas|no elija|no escojas|no marques|não escolha|não marque|non scegliere|не выбирайте|别选|不要选|請勿選|请勿选",
    "لا تختر|jangan pilih|bezweifle dass|je doute que|dudo que|duvido que|dubito che|сомневаюсь что",
    "rather than|instead of|can't|cannot|couldn't|won't|wouldn't|shouldn't|mustn't|don't|doesn't|didn't|as opposed to",
    "any but|apart from|unlike|unlikely to be|unlikely that|unlikely it|better than|closer than|likelier than",
    "glaube nicht, dass|denke nicht, dass|ne pense pas que|ne crois pas que|no creo que|no pienso que|não acho que",
    "não creio que|non penso che|non credo che|не думаю, что|не считаю, что|не выбираю|не выберу|не выбрал|не выбрала",
    "no elijo|no elegí|no elegiría|no escojo|não escolho|não escolheria|non scelgo|non sceglierei|wähle nicht",
    "不认为|不認為|不觉得|不覺得|不会选|不會選|无法选择|不能说",
    "nicht|weder|noch|keinesfalls|statt|anstatt|ausschließen|pas|ni|jamais|éliminer|élimine|exclure|exclus|plutôt que",
    "au lieu de|écarter|no|ni|descarto|descartar|elimino|excluyo|en vez de|não|nem|nunca|descarto|eliminar|excluo",
    "em vez de|non|né|escludo|scarto|invece di|не|ни|исключаю|исключаем|исключить|отбрасываю|вместо",
    "不是|并非|並非|不选|不選|不应选|不應選|排除|不会是|而不是|而非|不能选|ليس|ليست|ليس هو|ليست هي|استبعد|أستبعد|بدلا من",
    "न कि|নয়|bukan|tidak|bukanlah|daripada|mengeliminasi",
)

# The words stand on one line: what the next one says is no part of the negation.
_GAP = r"(?: (?!(?:but|because|since|so|unless|until|if|when|and|while|hence|thus|therefore|though|as)\b)[\w']+)"
REFUTES_FAR = (
    r"(?:(?:\b[a-z]+n't|\b(?:not|never|cannot|nobody|no one|none would|refused?|refusing|declined?|unable|reluctant|"
    r"no (?!hesitation|doubt|trouble|problem|difficulty)(?:(?!but\b)\w+ ){1,2}(?:to|in|for)|(?:wrong|incorrect|mistake|error|impossible|hard|"
    r"difficult|premature|unwise|tempting) (?:to|in)))"
    r"(?: (?:would|could|should|will|can|to|have|ever|really|actually|even|going|be|been|able|want|wish|like)){0,4} "
    r"(?:cho(?:ose|se|sen|osing)|pick(?:ed|ing)?|select(?:ed|ing)?|tak(?:e|ing)|sa(?:y|id|ying)|think|believe|confirm|"
    r"claim|state|assert|accept|endorse|support|recommend|suggest|call|guess|consider|agree|prefer|trust|verify|equal|"
    r"go(?:ing)? (?:with|for)|opt(?:ed|ing)? for|vot(?:e|ed|ing) for|settl(?:e|ed|ing) on|bet(?:ting)? on|"
    r"(?:true|correct|right|the case|certain|sure|convinced|clear|possible) (?:that|if|whether|it|to))"
    rf"{_GAP}{{0,6}}"
    r"|(?<!none )\bother than(?: \w+){0,2}|\b(?:better|more \w+|closer|less (?:wrong|incorrect|bad))(?: \w+){0,2} than(?: \w+)?"
    r"|\bno way (?:that )?(?:it's|it (?:is|can be)|the answer is)|\bwrong (?:answer|choice)s? (?:is|are|would be)(?: \w+)?"
    r"|\b(?:falsche antwort|mauvaise réponse|respuesta incorrecta|resposta errada|risposta sbagliata) (?:ist|est|es|é|è)(?: (?:die|la|a))?)"
)
"""What refutes an option some words on: "did not choose", "better than"; a negation of other verbs may be the question's."""

# An article is a part of the verdict only behind a verb: "B. La incorrecta es A."
REFUTED_AFTER = (
    r"(?:"
    r"\s*[✗✘❌✖]|\s*[×✕](?=\s*(?:[.,;、。)]|$))|\s*[(\[]\s*(?:wrong|incorrect|false)\b|\s*(?:[,;…]|\.{3})\s*no[.!]?\s*$|"
    r"\s*[,–—-]\s*i\s+(?:don't|do\s+not)\s+(?:think|believe)\s+so\b|\s+(?:cannot|can't|can not)\s+be\s+(?:ruled|left)\s+out|"
    r"\s+(?:is|are|was|seems)\s+(?:hardly|scarcely|barely|seldom|rarely|no\s+longer|almost|nearly|partly|partially|half|far\s+from|anything\s+but)\s+(?:the\s+|a\s+)?"
    r"(?:\w+\s+)?(?:correct|right|true|accurate|valid|likely|best|answer|option|choice)|"
    rf"\s+(?:is|are|was|were|'s|would\s+be|seems?|looks?|remains?)(?:\s+(?:the|an?|my|our|only|one|still|{_ADVERBS})){{0,4}}\s+{_BAD}"
    r"(?:\s+(?:answer|option|choice|one|guess|pick|solution|response|than)s?\b|\s*(?:[.!;,)]|$))|"
    # "A would be right if …": a condition that is not met.
    r"\s+(?:would|could|might)\s+(?:only\s+)?(?:be|have\s+been)\s+(?:\w+\s+){0,3}?"
    r"(?:correct|right|true|accurate|best|answer|option|choice),?\s+(?:only\s+)?(?:if|were|had|in\s+case|provided|assuming)\b|"
    r"\s+(?:would|could|might)\s+have\s+been\s+(?:the\s+|an?\s+)?(?:\w+\s+)?(?:correct|right|true|accurate|best|answer|option|choice)\b|"
    rf"(?<![.:])(?:,?\s+[\w']+){{0,7}}?{_BUT_WRONG}|"
    # "B isn't the capital"; of a question for what is not so, "B is not a mammal" is the answer.
    r"\s*(?:isn't|aren't|wasn't|is\s+not|was\s+not|'s\s+not)\s+the\s+(?!only|worst|least|wrong|incorrect|problem|same)\w|"
    r"\s*[?？]\s*(?:no\b|nope\b|nein\b|non\b|não\b|нет\b|不|いいえ|違|아니|لا|नहीं|না|tidak\b)|"
    r"(?:\s*(?:is|are|was|were|seems?|looks?|'s|can be|must be|would be|has to be|both|all|also|clearly|obviously|"
    r"definitely|simply|therefore|thus|just|then|too)){0,5}\s*[:=–—-]?\s*"
    r"(?:wrong|incorrect|false|out\b|eliminated|ruled out|excluded|rejected|dismissed|discarded|refuted|invalid|impossible|inaccurate|untrue|mistaken|"
    r"unlikely|never|(?:\w+\s+){0,2}(?:but|yet|though)\s+(?:wrong|incorrect|false|not\b(?!\s+(?:\w+\s+)?[⟦⟪⟨]))|(?:not|isn't|aren't|wasn't|cannot be|can't be|couldn't be)"
    r"(?:\s+(?:be|the|a|an|my|our|really|quite|actually|entirely|necessarily)){0,3}"
    r"(?:\s+(?:correct|right|true|valid|possible|answer|best|it\b|option|choice|one\b|likely|accurate)|\s*[.!;,)]|\s*$)|"
    r"(?:does|do|did)(?:n't| not)\s+(?:fit|work|match|apply|make|answer|hold|qualify)|fails?\b|contradicts?)"
    r"|\s+nicht\s*(?:[.!;,]|$)|(?:\s*(?:ist|sind|wäre|scheint|auch|also)){0,3}(?:(?<![.:⟧⟫])(?:\s+(?:die|eine)){1,3})?\s*(?:falsch|unzutreffend|inkorrekt|ausgeschlossen|nicht\s+(?:richtig|korrekt|"
    r"zutreffend|die|möglich)|scheide[nt]\s+aus|scheidet\s+aus|passt\s+nicht|stimmt\s+nicht|entfällt)"
    r"|(?:\s*(?:est|sont|serait|semble|aussi)){0,3}(?:(?<![.:⟧⟫])(?:\s+(?:la|une|le|un|réponse)){1,3})?\s*(?:mauvaise?|faux|fausses?|incorrecte?s?|erronée?s?|inexacte?s?|exclue?s?|éliminée?s?|"
    r"à\s+exclure|impossible|n'est\s+pas\s+(?:la|le|correcte?|juste|bonne|exacte?|possible)|ne\s+convient)"
    r"|(?:\s*(?:es|son|está|están|sería|también)){0,3}(?:(?<![.:⟧⟫])(?:\s+(?:una?|la|el|respuesta|opción)){1,3})?\s*(?:incorrect[ao]s?|fals[ao]s?|erróne[ao]s?|equivocad[ao]s?|descartad[ao]s?|"
    r"no\s+(?:es|son|está)\s+(?:la|el|correct[ao]s?|válid[ao]|posible)|imposible|no\s+(?:encaja|corresponde))"
    r"|(?:\s*(?:é|são|está|estão|seria|também)){0,3}(?:(?<![.:⟧⟫])(?:\s+(?:uma?|a|o|resposta|opção|alternativa)){1,3})?\s*(?:incorret[ao]s?|fals[ao]s?|errad[ao]s?|descartad[ao]s?|"
    r"não\s+(?:é|são|está|estão)\s+(?:a|o|corret[ao]s?|cert[ao]s?|válid[ao])|impossível)"
    r"|(?:\s*(?:è|sono|sarebbe|anche)){0,3}(?:(?<![.:⟧⟫])(?:\s+(?:una?|la|il|risposta|opzione)){1,3})?\s*(?:errat[aoei]|sbagliat[aoei]|fals[aoei]|scorrett[aoei]|esclus[aoei]|"
    r"non\s+(?:è|sono)\s+(?:la|il|corrett[aoei]|giust[aoei]|valid[aoei])|impossibile)"
    r"|\s*(?:[—–-]|это|тоже|является){0,3}\s*(?:неверн\w*|неправильн\w*|ошибочн\w*|ложн\w*|исключ\w+|отпада\w+|"
    r"не\s+(?:подход\w+|явля\w+|вер\w+|правил\w+|соответств\w+|может)|невозмож\w+)"
    r"|\s*(?:也|都|是|项|項|选项|明显|显然){0,3}\s*(?:错误|錯誤|错|錯|不对|不對|不正确|不正確|不符|不是|不成立|不可能|被排除|排除|可以排除|有误|不合适|以外|之外)"
    r"|\s*以外|\s*[をは]\s*選[ばび](?:ない|ません)|\s*(?:は|も|が|の|では|選択肢){0,3}\s*(?:間違|まちが|誤り|誤って|不正解|正しくな|正しくあり|違い|違う|ではな|ではあり|でなく|じゃな|除外|不適切|当てはま[らり]ま?せ?)"
    r"|\s*번?(?:을|를)?\s*(?:선택하지|고르지|택하지)\s*않|\s*번?\s*(?:이외|외에)"
    r"|\s*(?:은|는|이|가|도|번은|번이){0,3}\s*(?:틀|오답|아니|아닙|아닌|맞지\s*않|옳지\s*않|정답이\s*아|답이\s*아|잘못|제외|부적절|불가능)"
    r"|(?:\s*(?:هي|هو|فهي|فهو|أيضا|أيضًا)){0,3}(?:(?<![.:⟧⟫])(?:\s+(?:الإجابة|الاجابة|الجواب|الخيار)){1,3})?\s*(?:خطأ|الخاطئ\w*|خاطئ\w*|غير\s+صحيح\w*|مستبعد\w*|ليست?\s+(?:صحيح|الإجابة|الجواب|هي|هو)\w*)"
    r"|\s*(?:भी|ही|तो){0,3}\s*(?:गलत|ग़लत|सही\s+नहीं|नहीं|असत्य|सही\s+उत्तर\s+नहीं)"
    r"|\s*(?:ও|টি){0,3}\s*(?:ভুল|সঠিক\s+ন|নয়|নয়|না\b|সঠিক\s+উত্তর\s+ন)"
    r"|(?:\s*(?:adalah|itu|juga)){0,3}(?:(?<![.:⟧⟫])(?:\s+(?:jawaban|pilihan|yang)){1,3})?\s*(?:salah|tidak\s+(?:benar|tepat|mungkin|sesuai)|bukan|keliru)"
    r")"
)

RIGHT_AFTER = (
    r"(?:"
    r"\s*[✓✔✅☑]|"
    r"\s+(?:is|are|was|must be|has to be|should be|seems|looks|appears)(?:"
    # Only words that leave the verdict as it is: "the wrong answer" is an answer, too.
    rf"(?:\s+{_ADVERBS}){{0,3}}\s+(?:correct|right|true|accurate|best)\b(?!\s+(?:known|next|of)\b)|"
    rf"(?:\s+{_ADVERBS}){{0,2}}\s+(?:the|an?|my|our)(?:\s+(?:{_ADVERBS}|{_SOUND}|single|one|best|final|logical|obvious|"
    r"proper|good|better|closest)){0,4}?\s+(?:(?:answer|option|choice|solution|response|statement|description|definition|"
    r"explanation|letter|alternative|pick)\b|(?:correct|right|true|accurate|best)"
    r"(?=\s*(?:[^\w\s]|$)|\s+(?:one|guess|here|and|or|because|since|as|given|while|whereas|so)\b)))"
    r"(?!\s+(?:that|in|about|to|if|when|only|for)\b|,?\s+(?:but|though|yet|however),?\s+[⟦⟪])"
    r"|\s+(?:ist|wäre|sind)\s+(?:die\s+|das\s+|eindeutig\s+|also\s+|klar\s+)*(?:richtig\w*|korrekt\w*|antwort|lösung|zutreffend)"
    r"|\s+(?:est|serait)\s+(?:la\s+|le\s+)?(?:bonne|bon|correcte?|juste|exacte?|réponse|seule)"
    r"|\s+(?:es|sería)\s+(?:la\s+|el\s+)?(?:correct[ao]|respuesta|opción\s+correcta|verdader[ao]|acertad[ao]|adecuad[ao])"
    r"|\s+(?:é|está|seria)\s+(?:a\s+|o\s+)?(?:corret[ao]|resposta|cert[ao]|verdadeir[ao]|alternativa\s+c|opção\s+c)"
    r"|\s+(?:è|sarebbe)\s+(?:la\s+|il\s+|quella\s+)?(?:corrett[ao]|giust[ao]|risposta|esatt[ao])"
    r"|\s*(?:[—–-]|это|является)*\s*(?:верн\w*|правильн\w*|ответ\b)"
    r"|\s*(?:项|項|选项)?\s*(?:是|为|為)?\s*(?:正确|正確|对的|對的|答案|最佳|正解|合适)"
    r"|\s*(?:が|は|の方が|を)\s*(?:正し|正解|答え|正答|適切|選び|選ぶ|選択し)|\s*(?:です|だと|である|でしょう|になります|と考え|だ[。\s]|だ$)"
    r"|\s*번?\s*(?:이|가|을|를|은|는)?\s*(?:정답|맞습|맞다|맞아|옳|입니다|이다|이에요|예요|선택합|선택했|고르|고릅|택합)"
    r"|\s*(?:هي|هو)\s*(?:الإجابة|الاجابة|الجواب|الصحيح|الخيار)|\s*صحيح"
    r"|\s*(?:ही\s*)?(?:सही|है|हैं|चुन)|\s*(?:ই\s*|টি\s*)?(?:সঠিক|উত্তর|বেছে|নির্বাচন)"
    r"|\s+(?:adalah\s+|itu\s+|yang\s+)+(?:benar|tepat|jawaban)|\s+benar\b"
    r")"
)

RIGHT_BEFORE = r"(?:correct|best|right|richtig|korrekt|correcte?|correct[ao]|corret[ao]|corrett[ao]|верно|правильно|正确|正しい)\s?[:：=]"
"""A heading of the choice: "Correct: B; incorrect: A, C"."""

WRONG_BEFORE = (
    r"(?:incorrect|wrong|false|falsch|faux|incorrectes?|incorrect[ao]s?|incorret[ao]s?|errad[ao]s?|sbagliat[aeio]|"
    r"неверно|错误|誤り)\s?[:：]"
)
"""A heading of what is refuted."""

CONCLUDES = _any(
    "so|therefore|thus|hence|also|daher|somit|folglich|donc|ainsi|alors|por lo tanto|por tanto|así que|entonces",
    "portanto|logo|então|quindi|dunque|perciò|значит|итак|поэтому|следовательно|所以|因此|故|よって|したがって|ゆえに",
    "따라서|그러므로|إذن|لذلك|इसलिए|अतः|তাই|সুতরাং|jadi|maka",
)
"""Words that begin a conclusion: "so" in "So B."."""

YES = _any(
    "○|◯|◎|yes|correct|right|true|ja|richtig|oui|vrai|sí|sim|sì|vero|да|верно|是|对|正确|はい|네"
)
NO = _any(
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

TAKES_BACK = _any(
    "no|no wait|wait|actually|i mean|or rather|rather|sorry|correction|but it is|but it's|but i choose|on second thought",
    "nein|doch nein|aber es ist|sondern|non|mais c'est|plutôt|pero es|sino|mas é|ma è|нет|точнее|но это|不对|不是|而是|いや|아니",
    "لا بل|بل|नहीं|बल्कि|না|বরং|bukan|tapi|melainkan",
)
"""Words by which a speaker puts another choice in the place of an earlier one."""

BEFORE_LETTER = _any(
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

HEDGES = _any(
    "if|unless|some|others|someone|people|might|could|may|suppose|assuming|would argue|claim|claims|at first|initially",
    "first guess|first instinct|first thought|initial|thought|one might|students|wenn|falls|zunächst|manche|könnte|si|certains|pourrait|d'abord|algunos|podría",
    "al principio|se|alguns|poderia|a princípio|alcuni|potrebbe|all'inizio|если|некоторые|сначала|может быть|можно было",
    "如果|有人|一开始|起初|可能有人|もし|最初は|一見|만약|처음에는|일부|إذا|لو|البعض|في البداية|यदि|अगर|कुछ लोग|पहले",
    "যদি|অনেকে|প্রথমে|jika|kalau|sebagian orang|awalnya",
)

CORRECTS = _any(
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
