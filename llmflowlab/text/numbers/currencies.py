"""Which currencies a sign, a code or a name stands for, the likeliest first."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache

from llmflowlab.text.numbers.cldr import currency_codes, currency_of_sign, currency_phrases
from llmflowlab.text.numbers.lexicon import words_of

__all__ = ["SIGNS", "coded", "money_named", "signed"]

_DOLLARS = "USD CAD AUD NZD HKD SGD TWD MXN ARS CLP COP"
_SIGNS: dict[str, str] = {
    "$": _DOLLARS,
    "€": "EUR",
    "£": "GBP EGP",
    "¥": "JPY CNY",
    "₹": "INR",
    "₽": "RUB",
    "₩": "KRW",
    "₪": "ILS",
    "₺": "TRY",
    "₴": "UAH",
    "₫": "VND",
    "฿": "THB",
    "₦": "NGN",
    "₱": "PHP",
    "₡": "CRC",
    "₲": "PYG",
    "₵": "GHS",
    "₸": "KZT",
    "₼": "AZN",
    "₾": "GEL",
    "₮": "MNT",
    "₭": "LAK",
    "₨": "INR PKR LKR NPR",
    "₿": "XBT",
    "¢": "USD/100 EUR/100",
    "US$": "USD",
    "U$S": "USD",
    "$US": "USD",
    "$CA": "CAD",
    "$AU": "AUD",
    "£GB": "GBP",
    "USD$": "USD",
    "CA$": "CAD",
    "C$": "CAD",
    "A$": "AUD",
    "AU$": "AUD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "NT$": "TWD",
    "MX$": "MXN",
    "R$": "BRL",
    "CN¥": "CNY",
    "JP¥": "JPY",
    "E£": "EGP",
    "Rs": "INR PKR LKR NPR",
    "Rs.": "INR PKR LKR NPR",
    "Fr": "CHF",
    "Fr.": "CHF",
    "SFr": "CHF",
    "SFr.": "CHF",
    "Kč": "CZK",
    "zł": "PLN",
    "Ft": "HUF",
    "kr": "SEK NOK DKK ISK",
    "kr.": "DKK SEK NOK ISK",
    "грн": "UAH",
    "грн.": "UAH",
    "лв": "BGN",
    "лв.": "BGN",
    "руб": "RUB",
    "руб.": "RUB",
    "р.": "RUB",
    "RM": "MYR",
    "Rp": "IDR",
    "S/": "PEN",
}
SIGNS = tuple(sorted(_SIGNS, key=len, reverse=True))

# Names without their country; CLDR has those with it, in the row's language.
_NAMES: dict[str, str] = {
    _DOLLARS: "dollar dollars dólar dólares dollaro dollari доллар доллара долларов ドル 美元 달러 دولار "
    "دولارات دولارا डॉलर us-dollar buck bucks",
    "EUR": "euro euros eurot евро ユーロ 欧元 歐元 유로 يورو यूरो ευρώ",
    "GBP EGP": "pfund quid livre livres libra libras sterlina sterline sterling фунт фунта фунтов ポンド "
    "英镑 파운드 جنيه पाउंड",
    "JPY": "yen yens yenes iene ienes иена иены иен 円 日元 日圆 엔 येन",
    "CNY": "yuan yuans renminbi rmb 元 块 人民币 人民元 юань юаня юаней 위안 يوان युआन",
    "INR PKR LKR NPR": "rupee rupees rupie rupien roupie roupies rupia rupias рупия рупии рупий ルピー "
    "卢比 루피 روبية रुपये रुपया रुपए rs",
    "KRW": "won 원 вон ウォン 韩元",
    "RUB": "ruble rubles rouble roubles rubel rublo rublos rubli рубль рубля рублей ルーブル 卢布 루블 روبل",
    "CHF": "franken",
    "CHF XAF XOF": "franc francs franchi franco francos франк франка франков フラン 法郎 프랑",
    "PLN": "zloty zlotys złoty złote złotych zlotych злотый злотых",
    "HUF": "forint forints форинт форинтов",
    "CZK": "koruna korun koruny",
    "SEK NOK DKK ISK CZK": "krona kronor krone kroner kronen crown crowns крона кроны крон",
    "UAH": "hryvnia hryvnias гривна гривны гривен гривень",
    "TRY": "lira liras lirası liralar tl",
    "BRL": "reais",
    "ZAR": "rand rands",
    "THB": "baht บาท",
    "VND": "dong đồng",
    "IDR": "rupiah",
    "PHP MXN ARS CLP COP": "peso pesos песо",
    "AED MAD": "dirham dirhams درهم",
    "SAR QAR": "riyal riyals ريال",
    "ILS": "shekel shekels",
    "BDT": "taka টাকা",
    "NGN": "naira",
    "BTC": "bitcoin bitcoins btc",
    "USD/100 EUR/100": "cent cents centimes centavo centavos centesimi цент цента центов セント 美分",
    "GBP/100": "pence penny",
    "RUB/100": "копейка копейки копеек коп",
}


def signed(sign: str, language: str | None) -> tuple[str, ...]:
    """Return the codes that a sign may stand for in a language; `USD/100` is a hundredth."""
    codes = tuple(_SIGNS.get(sign, "").split())
    own = currency_of_sign(sign, language) if len(codes) > 1 else None
    return codes if own is None else (own, *(code for code in codes if code != own))


def coded(word: str) -> tuple[str, ...]:
    """Return the currency of an ISO 4217 code; in small letters only where that is no word."""
    code = word.upper()
    known = code in currency_codes() and (word.isupper() or code in _WORDLESS)
    return (code,) if known else ()


_WORDLESS = words_of(
    "USD EUR GBP JPY CNY INR CHF CAD AUD NZD SEK NOK DKK PLN CZK HUF RUB BRL MXN KRW HKD SGD"
)


def money_named(phrase: str, language: str | None) -> tuple[str, ...]:
    """Return the codes of a currency's name in lower case: `us dollars`, `Euro`, `рублей`."""
    if codes := _short_names().get(phrase):
        return codes
    english = currency_phrases("en")
    plain = (
        unicodedata.normalize("NFKD", phrase.replace("ł", "l")).encode("ascii", "ignore").decode()
    )
    code = currency_phrases(language).get(phrase) or english.get(phrase) or english.get(plain)
    return (code,) if code else ()


@cache
def _short_names() -> Mapping[str, tuple[str, ...]]:
    made: dict[str, tuple[str, ...]] = {}
    for codes, names in _NAMES.items():
        for name in names.split():
            word, slash, hundred = name.partition("/")
            made[word] = tuple(f"{c}{slash}{hundred}" for c in codes.split())
    return made
