"""What refusals are worded like, in English, German, French, Spanish, Italian and Portuguese.

A refusal is the speaker's own unwillingness or inability *to do what was asked* ("I can't help with
that"), at the beginning of the answer or of a sentence. "You cannot …", "I can't recommend it enough",
"I am not able to say for sure, but" and "I don't know" are no refusals.
"""

from __future__ import annotations

import re

__all__ = ["REFUSALS"]

_START = r"(?:^|[.!?:;,\-–—]\s*|\b(?:but|and|so|however|therefore|aber|mais|pero|ma|mas|dass|que|che)\s+)"

_EN_DO = (
    r"(?:help|assist|support|comply|fulfil?l|provide|create|generate|write|produce|give|offer|answer|"
    r"engage|participate|continue|share|discuss|do\ (?:that|this|so)|complete|carry|perform|respond|"
    r"support|promote|encourage|facilitate|roleplay|role-play|pretend|translate|tell\ you\ how|"
    r"explain\ how|show\ you\ how|advise|process|accommodate|go\ along)\b"
)
_EN = rf"""
(?:i'?m|i\ am)\ (?:really\ |very\ |so\ |truly\ )?sorry,?\ (?:but\ |however,?\ )?(?:i\ |that\ i\ )(?:can'?t|cannot|can\ not|won'?t|am\ (?:not\ able|unable)|must\ decline)(?!\ (?:believe|imagine|wait|be\ more|stress))
|i\ (?:really\ |simply\ |just\ |unfortunately\ )?(?:can'?t|cannot|can\ not|won'?t|will\ not|must\ not|should\ not|shouldn'?t|am\ not\ going\ to|'m\ not\ going\ to)\ (?:in\ good\ conscience\ |ethically\ |legally\ |directly\ |really\ |actually\ )?{_EN_DO}(?!\ (?:enough|but\ (?:feel|think|notice|wonder))\b)(?![^.!?]{{0,40}}\b(?:certainty|certain|exact|exactly|precise|definite|definitive|sure)\b)
|i(?:'m|\ am)\ (?:sorry,?\ (?:but\ )?)?(?:unable|not\ (?:able|allowed|permitted|willing|comfortable|designed|programmed))\ (?:to\ )?(?:be\ )?(?:{_EN_DO}|helping|assisting|providing|creating|writing|generating|answering|discussing|sharing|with\ (?:that|this))
|i\ (?:must|have\ to|need\ to|will\ have\ to|'ll\ have\ to|respectfully|politely)\ (?:respectfully\ |politely\ )?(?:decline|refuse)\b
|i\ (?:decline|refuse)\ to\ {_EN_DO}
|as\ an\ (?:ai|artificial\ intelligence)(?:\ (?:language\ )?(?:model|assistant))?,?\ i\ (?:can'?t|cannot|am\ (?:not\ able|unable)|won'?t|'m\ (?:unable|not\ able)|must\ decline)
|(?:that|this)(?:'s|\ is)\ (?:not\ )?something\ i\ (?:can'?t|cannot|can|am\ able\ to|won'?t)\ {_EN_DO}
|i\ have\ to\ pass\ on\ (?:this|that)
|(?:your|this|the)\ request\ (?:violates|goes\ against|is\ against)\ (?:my|our|the)
"""
_DE = r"""
(?:es\ tut\ mir\ (?:sehr\ )?leid|tut\ mir\ leid|entschuldigung|sorry|leider)[,;.]?\ (?:aber\ )?(?:dabei\ |damit\ |das\ |diese[rn]?\ \w+\ |dazu\ |hierbei\ )?(?:ich\ kann|kann\ ich|darf\ ich|ich\ darf|werde\ ich|ich\ werde|ich\ bin\ nicht\ in\ der\ lage|bin\ ich\ nicht\ in\ der\ lage)\b[^.!?]{0,60}?\b(?:nicht|kein\w*)\b[^.!?]{0,60}?\b(?:helfen|weiterhelfen|behilflich|unterstützen|erstellen|schreiben|geben|beantworten|bereitstellen|liefern|nachkommen|erfüllen|tun|machen|anbieten|verfassen|teilen|mitwirken)
|ich\ (?:kann|darf|werde)\ (?:ihnen\ |dir\ |euch\ )?(?:dabei\ |damit\ |hierbei\ |das\ |dazu\ |diese\w*\ \w+\ |bei\ \w+\ \w+\ ){0,2}(?:leider\ )?(?:nicht|keine\w*)\ (?:\w+\ ){0,8}?(?:helfen|weiterhelfen|behilflich|unterstützen|erstellen|schreiben|geben|beantworten|bereitstellen|liefern|nachkommen|erfüllen|anbieten|verfassen|teilen|mitwirken)
|(?:dabei|damit|hierbei)\ (?:kann|darf|werde)\ ich\ (?:ihnen\ |dir\ |euch\ )?(?:leider\ )?nicht\ (?:weiter)?(?:helfen|behilflich|dienen)
|ich\ (?:muss|möchte)\ (?:das|dies|diese\ (?:anfrage|bitte))?\ ?(?:leider\ )?ablehnen
|als\ (?:ki|künstliche\ intelligenz|sprachmodell)[\w-]*\ (?:kann|darf|werde)\ ich\ [^.!?]{0,40}?(?:nicht|kein)
"""
_FR = r"""
(?:(?:je\ suis\ )?(?:vraiment\ )?désolée?|navrée?|je\ m'excuse|malheureusement)[,;.]?\ (?:mais\ )?je\ (?:ne\ )?(?:peux|puis|pourrai|suis|veux|vais)\ (?:pas|malheureusement\ pas)(?!\ (?:d'accord|sûr|certain))
|je\ ne\ (?:peux|puis|pourrai|vais|souhaite)\ (?:malheureusement\ )?pas\ (?:vous\ |t'|te\ |y\ )?(?:aider|assister|fournir|créer|générer|écrire|rédiger|répondre\ à\ (?:cette|votre|ta)|donner\ suite|donner\ (?:d'|de\ |des\ )|participer|produire|accéder\ à\ (?:cette|votre|ta)|faire\ (?:cela|ça)|satisfaire)
|je\ ne\ suis\ pas\ (?:en\ mesure|autorisée?|capable)\ (?:de\ |d')(?:vous\ )?(?:aider|assister|fournir|créer|générer|écrire|répondre\ à\ (?:cette|votre|ta)|produire|participer)
|je\ (?:dois|me\ vois\ contrainte?\ de)\ (?:refuser|décliner)
|je\ refuse\ de\ (?:vous\ )?(?:aider|fournir|répondre|participer)
|en\ tant\ qu'(?:ia|intelligence\ artificielle)[^.!?]{0,30},?\ je\ ne\ (?:peux|puis)\ pas
"""
_ES = r"""
(?:lo\ siento(?:\ mucho)?|lamentablemente|me\ temo\ que|perdón|disculpa|disculpe)[,;.]?\ (?:pero\ )?no\ (?:puedo|podré|podría|me\ es\ posible|estoy\ (?:autorizad[oa]|en\ condiciones))
|no\ (?:puedo|podré|voy\ a|me\ es\ posible)\ (?:ayudar(?:te|le|los)?|asistir(?:te|le)?|proporcionar(?:te|le)?|crear|generar|escribir|responder\ a\ (?:esa|esta|tu|su)|cumplir|ofrecer(?:te|le)?|participar|dar(?:te|le)|redactar|facilitar)\b
|no\ estoy\ (?:autorizad[oa]|capacitad[oa]|en\ condiciones)\ (?:para|de|a)\ (?:ayudar|proporcionar|crear|responder|ofrecer)
|(?:debo|tengo\ que|me\ veo\ obligad[oa]\ a)\ (?:rechazar|declinar|negarme)
|me\ niego\ a\ \w+
|como\ (?:ia|inteligencia\ artificial|modelo\ de\ lenguaje)[^.!?]{0,30},?\ no\ puedo
"""
_IT = r"""
(?:mi\ dispiace(?:\ molto)?|purtroppo|spiacente|scusa|scusami|mi\ spiace)[,;.]?\ (?:ma\ )?non\ (?:posso|potrò|sono\ in\ grado|mi\ è\ possibile)
|non\ (?:posso|potrò|intendo|mi\ è\ possibile)\ (?:aiutar(?:ti|la|vi)|aiutare|assister(?:ti|la)|fornir(?:ti|le|e)|creare|generare|scrivere|rispondere\ a\ (?:questa|tale|quest)|offrir(?:ti|le|e)|partecipare|soddisfare|dar(?:ti|le))\b
|non\ sono\ (?:in\ grado|autorizzat[oa])\ (?:di|a)\ (?:aiutar|fornir|crear|generar|risponder|assister)\w*
|(?:devo|sono\ costrett[oa]\ a)\ (?:rifiutare|declinare)
|mi\ rifiuto\ di\ \w+
|(?:come|in\ quanto)\ (?:ia|intelligenza\ artificiale|modello\ linguistico)[^.!?]{0,30},?\ non\ posso
"""
_PT = r"""
(?:(?:sinto|lamento)(?:\ muito)?|desculpe|desculpa|infelizmente|peço\ desculpas?)[,;.]?\ (?:mas\ )?(?:eu\ )?não\ (?:posso|poderei|consigo|estou\ (?:autorizad[oa]|em\ condições))
|(?:eu\ )?não\ (?:posso|poderei|vou|consigo)\ (?:ajudar|ajudá-l[oa]|te\ ajudar|lhe\ ajudar|auxiliar|fornecer|criar|gerar|escrever|responder\ a\ (?:essa|esta|sua|tua)|cumprir|oferecer|participar|produzir|atender)\b
|não\ estou\ (?:autorizad[oa]|em\ condições|habilitad[oa])\ (?:a|de|para)\ (?:ajudar|fornecer|criar|responder)
|(?:devo|tenho\ de|tenho\ que|preciso)\ (?:recusar|declinar)
|(?:eu\ )?(?:me\ recuso|recuso-me)\ a\ \w+
|como\ (?:uma\ )?(?:ia|inteligência\ artificial|modelo\ de\ linguagem)[^.!?]{0,30},?\ não\ posso
"""

REFUSALS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(rf"{_START}(?:{words})", re.IGNORECASE | re.VERBOSE)
    for words in (_EN, _DE, _FR, _ES, _IT, _PT)
)
