"""Keys, tokens and passwords by their forms, as their issuers document them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from llmflowlab.guardrails.verdict import Detection

__all__ = ["secrets"]

# Kind, a text that must be there, and its form.
_KINDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("aws_access_key", ("AKIA", "ASIA", "ABIA", "ACCA", "A3T"), r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    ("github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    ("github_token", ("github_pat_",), r"\bgithub_pat_\w{22,255}\b"),
    ("gitlab_token", ("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "GR1348941", "glcbt-", "glptt-", "glimt-", "glagent-", "gloas-"), r"\b(?:gl(?:pat|dt|ft|soat|rt|imt|agent|oas)-[\w-]{20,}|glcbt-(?:\w{1,5}_)?[\w-]{20}|glptt-[\w-]{40}|GR1348941[\w-]{20})"),
    ("slack_token", ("xox", "xapp-", "xoxe"), r"\b(?:xox(?:a|b|p|o|s|r)-(?:\d+-)+[a-zA-Z0-9]+|xox[abposre](?:\.xox[bp])?-[\w-]{10,}|xapp-\d-[\w-]{10,})"),
    ("slack_webhook", ("hooks.slack.com",), r"hooks\.slack\.com/(?:services|workflows)/[\w+/]{30,}"),
    ("stripe_key", ("_live_", "_test_"), r"\b[rs]k_(?:live|test)_[0-9a-zA-Z]{10,99}\b"),
    ("google_key", ("AIza",), r"\bAIza[\w-]{35}"),
    ("google_oauth", ("GOCSPX-", "ya29."), r"\b(?:GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,})"),
    ("openai_key", ("sk-",), r"\bsk-(?:(?:proj|svcacct|admin|None|service)-[\w-]{20,}|[\w-]*T3BlbkFJ[\w-]{10,}|[A-Za-z0-9]{32,64})\b"),
    ("anthropic_key", ("sk-ant-",), r"\bsk-ant-[\w-]{20,}"),
    ("groq_key", ("gsk_",), r"\bgsk_[A-Za-z0-9]{20,}\b"),
    ("openrouter_key", ("sk-or-",), r"\bsk-or-v1-[0-9a-f]{32,}"),
    ("xai_key", ("xai-",), r"\bxai-[A-Za-z0-9]{40,}"),
    ("nvidia_key", ("nvapi-",), r"\bnvapi-[\w-]{40,}"),
    ("perplexity_key", ("pplx-",), r"\bpplx-[A-Za-z0-9]{40,}"),
    ("replicate_key", ("r8_",), r"\br8_[A-Za-z0-9]{30,}\b"),
    ("huggingface_token", ("hf_", "api_org_"), r"\b(?:hf|api_org)_[A-Za-z]{30,}"),
    ("npm_token", ("npm_", "_authToken"), r"\bnpm_[A-Za-z0-9]{36}\b|//.{1,200}/:_authToken=\s*(?:npm_\S+|[A-Fa-f0-9-]{36})"),
    ("pypi_token", ("pypi-Ag",), r"\bpypi-Ag(?:EI|EN)\w[\w-]{50,}"),
    ("sendgrid_key", ("SG.",), r"\bSG\.[\w-]{22}\.[\w-]{43}"),
    ("twilio_key", ("AC", "SK"), r"\b(?:AC|SK)[a-z0-9]{32}\b"),
    ("mailchimp_key", ("-us",), r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    ("mailgun_key", ("key-",), r"\bkey-[0-9a-f]{32}\b"),
    ("telegram_token", (":",), r"\d(?<=\b\d)\d{7,9}:[\w-]{35}(?![\w-])"),
    ("discord_token", (".",), r"\b\w{0,2}[MNO][A-Za-z\d_-]{23,25}\.[\w-]{6}\.[\w-]{27,38}(?![\w-])"),
    ("discord_webhook", ("discord", ), r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,}"),
    ("jwt", ("eyJ",), r"\beyJ[A-Za-z0-9_=-]{6,}\.eyJ[A-Za-z0-9_=-]{6,}\.?[\w.+/=-]*|\beyJ[A-Za-z0-9_=-]{16,}\.[A-Za-z0-9_=-]{10,}\.[\w+/=-]+"),
    ("private_key", ("-----BEGIN", "PuTTY-User-Key-File", "BEGIN SSH2"), r"(?s)-----BEGIN (?:[A-Z0-9]{2,9} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:.{0,8000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?|PuTTY-User-Key-File-\d|BEGIN SSH2 ENCRYPTED PRIVATE KEY"),
    ("basic_auth", ("://",), r"(?<=://)[^:/?#\[\]@!$&'()*+,;=\s]{1,80}:[^:/?#\[\]@!$&'()*+,;=\s]{2,80}(?=@)"),
    ("authorization", ("earer ", "asic ", "EARER "), r"(?i)\b(?:bearer|basic) (?=[^\s]{0,80}\d)[\w.~+/-]{20,}=*"),
    ("azure_storage_key", ("AccountKey=",), r"AccountKey=[A-Za-z0-9+/]{86,88}={0,2}"),
    ("azure_ad_secret", ("8Q~", "7Q~"), r"(?<![\w~.-])[\w~.]{3}[78]Q~[\w~.-]{31,34}(?![\w~.-])"),
    ("square_key", ("sq0", "EAAA"), r"\bsq0[a-z]{3}-[\w-]{22,43}|\bEAAA[\w-]{60}\b"),
    ("artifactory_token", ("AKC", "AP"), r"(?<![\w@/+])AKC[A-Za-z0-9]{10,}|(?<![\w@/+])AP[\dABCDEF][A-Za-z0-9]{8,}(?=[\s\"']|$)"),
    ("digitalocean_token", ("do_v1_", "doo_v1_", "dop_v1_", "dor_v1_"), r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    ("databricks_token", ("dapi",), r"\bdapi[a-f0-9]{32}(?:-\d)?\b"),
    ("shopify_token", ("shp",), r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b"),
    ("linear_key", ("lin_api_",), r"\blin_api_[A-Za-z0-9]{40}"),
    ("notion_token", ("secret_", "ntn_"), r"\b(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,})\b"),
    ("postman_key", ("PMAK-",), r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    ("grafana_token", ("glc_", "glsa_", "eyJrIjoi"), r"\b(?:glc_[\w+/=]{32,}|glsa_\w{32}_[A-Fa-f0-9]{8}|eyJrIjoi[\w=]{60,})"),
    ("vault_token", ("hvs.", "hvb.", "s."), r"\bhv[sb]\.[\w-]{80,}|\bs\.[a-zA-Z0-9]{24}\b"),
    ("doppler_token", ("dp.pt.", "dp.st."), r"\bdp\.(?:pt|st\.\w{1,40})\.[A-Za-z0-9]{40,44}"),
    ("facebook_token", ("EAA",), r"\bEAA[MC]\w{80,}"),
    ("age_key", ("AGE-SECRET-KEY-",), r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("sentry_token", ("sntrys_", "sntryu_"), r"\bsntrys_\S{80,}|\bsntryu_[a-f0-9]{64}"),
    ("newrelic_key", ("NRAK-", "NRJS-", "NRII-"), r"\b(?:NRAK-[A-Z0-9]{27}|NRJS-[a-f0-9]{19}|NRII-[\w-]{32})"),
    ("planetscale_token", ("pscale_",), r"\bpscale_(?:tkn|pw|oauth)_[\w=.-]{32,}"),
    ("rubygems_key", ("rubygems_",), r"\brubygems_[a-f0-9]{48}\b"),
    ("dockerhub_token", ("dckr_",), r"\bdckr_(?:pat|oat)_[\w-]{20,}"),
    ("atlassian_token", ("ATATT3", "ATCTT3"), r"\bAT[AC]TT3[\w=-]{60,}"),
    ("dropbox_token", ("sl.",), r"\bsl\.[\w=-]{100,}"),
    ("figma_token", ("figd_",), r"\bfigd_[\w-]{40,}"),
    ("airtable_token", ("pat",), r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b"),
    ("tailscale_key", ("tskey-",), r"\btskey-[a-z]+-[\w-]{20,}"),
    ("pulumi_token", ("pul-",), r"\bpul-[a-f0-9]{40}\b"),
    ("softlayer_key", ("softlayer.com",), r"(?<=softlayer\.com/soap/)v3(?:\.1)?/[a-z0-9]{64}(?![a-z0-9])"),
    ("terraform_token", (".atlasv1.",), r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"),
)  # fmt: skip
_BEGINNING = re.compile(r"\\b(\[[^\]]*\]|\w)(?![{*+?])")


@cache
def _compiled(form: str) -> re.Pattern[str]:
    """Return a form as it is searched fastest: by its first letter, before which a word begins."""
    return re.compile(_BEGINNING.sub(r"\1(?<=\\b\1)", form))


_LEAST_LONG = 13
_LONG = re.compile(rf"(?<![\w.~+/=:-])[\w.~+/=:-]{{{_LEAST_LONG},}}")
_ODD = re.compile(r"\d|_|[A-Z]{3}|\S{30}")
_SPACED = ("private_key", "basic_auth", "authorization")
"""Kinds that hold spaces, or little that is long."""
_BY_LITERAL: dict[bool, dict[str, list[tuple[str, str]]]] = {True: {}, False: {}}
"""Kinds and forms under the texts that must be there, by whether they hold spaces."""
for _kind, _there, _form in _KINDS:
    for _literal in _there:
        _BY_LITERAL[_kind in _SPACED].setdefault(_literal, []).append((_kind, _form))

# Of a text in lower case. What stands before a name, as in `my_token`, is no letter.
_NAMED = re.compile(
    r"(?<![a-z])(api[ _-]?key|apikey|secret(?:[ _-]?(?:access[ _-]?)?key)?|access[ _-]?key|"
    r"(?:access|auth|api|bearer|refresh)[ _-]?token|token|passwor[dt]|passwort|passwd|pwd|passphrase|db_pass|"
    r"private[ _-]?key|client[ _-]?secret|contraseña|mot de passe|senha|credentials?)"
    r"[\"'`]?\]?\s{0,3}(?:is|ist|es|est|è|é|lautet|:=|=>|=|:)\s{0,3}[\"'`]?([^\s\"'`<>,;(){}\[\]]{6,200})"
)
_LEAST_OF_IBM = 24
# IBM's keys have no beginning of their own: a form, behind a name of one of its services.
_OF_IBM = re.compile(
    r"(?<![a-z0-9])(?:ibm|softlayer|sl|cloudant|clou|cl|cos|secret)[\w-]{0,24}?(?:key|pwd?|password|pass|token)"
    r"[\"'\]]{0,2}\s{0,3}(?::=|=>|=|:|\s)\s{0,3}[\"'`]?([a-z]{24}|[\w-]{44}|[0-9a-f]{48}|[0-9a-f]{64})(?![\w-])"
)
_DIGIT = re.compile(r"\d")
_NAMES = ("key", "secret", "token", "passw", "pwd", "passphrase", "db_pass", "contraseña", "mot de passe", "senha", "credential")  # fmt: skip
_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|your|changeme|change_me|dummy|sample|redacted|hidden|xxx|\*{3}|\.{3}|1234567890abcdef|"
    r"<|\$\{|\{\{|%s|env\b|environ|getenv|process\.|fake|insert|test_?key|none|null|true|false|undefined|lorem|todo|abcdefghijkl"
)
_LEAST_BITS = 2.6
"""Entropy in bits a character from which on a value behind `password =` is no ordinary word."""


def secrets(text: str) -> Iterator[Detection]:
    """Find secrets; places are those of the text. What says that it is an example is none."""
    # In what is long and no word, looked at together; most texts have none.
    words = [word for word in text.split() if len(word) >= _LEAST_LONG]
    long = " ".join(filter(_ODD.search, _LONG.findall(" ".join(words))))
    for kind, form in dict.fromkeys(
        [*_possible(long, spaced=False), *_possible(text, spaced=True)]
    ):
        for match in _compiled(form).finditer(text):
            if not _is_example(match[0]):
                yield _found(kind, match.start(), match.end())
    longer = any(len(word) >= _LEAST_OF_IBM for word in words)
    # The value behind any other name has a digit.
    digits = not text.isascii() or _DIGIT.search(text)
    if not (longer or digits):
        return
    # Of all capitals this one alone would change places.
    lower = text.replace("İ", "I").lower()
    longer = longer and any(name in lower for name in ("key", "pw", "pass", "token"))
    for match in _OF_IBM.finditer(lower) if longer else ():
        yield _found("ibm_key", *match.span(1))
    if not (digits and [name for name in _NAMES if name in lower]):
        return
    for match in _NAMED.finditer(lower):
        start, end = match.span(2)
        strict = lower[match.end(1) : start].lstrip(" \"'`]")[:1] not in ":="
        if _is_value(text[start:end], strict=strict):
            yield _found("named_secret", start, end)


def _possible(where: str, *, spaced: bool) -> list[tuple[str, str]]:
    """Return the kinds, each with its form, of which a text that must be there is."""
    kinds = _BY_LITERAL[spaced]
    there = [literal for literal in kinds if literal in where] if where else ()
    return [each for literal in there for each in kinds[literal]]


def _is_example(value: str) -> bool:
    return "example" in value.lower()


def _is_value(value: str, *, strict: bool) -> bool:
    value = value.rstrip(".!?")
    if len(value) < 6 or _PLACEHOLDER.search(value):
        return False
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    digits = any(char.isdigit() for char in value)
    others = any(not char.isalnum() for char in value)
    letters = any(char.isalpha() for char in value)
    # A sentence goes on behind "the password is"; a word of a language is none.
    return bits >= _LEAST_BITS and letters and digits and (not strict or others or len(value) >= 8)


def _found(kind: str, start: int, end: int) -> Detection:
    return Detection(category="secrets", rule=kind, severity="high", start=start, end=end)
