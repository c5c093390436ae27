"""What an answer says of an option: that it is right, that it is wrong, that it is not chosen.

Of texts in which options are marked as `choice_marks` does. What judges an option wrong strikes it off, and
only words that leave a verdict as it is may stand within one: "the wrong answer" is an answer, too.
"""

from __future__ import annotations

from llmflowlab.evaluation.scorers.choice_words import any_of

__all__ = [
    "REFUTED_AFTER",
    "REFUTES_BEFORE",
    "REFUTES_FAR",
    "RIGHT_AFTER",
    "RIGHT_BEFORE",
    "WRONG_BEFORE",
]

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

REFUTES_BEFORE = any_of(
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
