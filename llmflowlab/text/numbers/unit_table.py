"""The units that are known by name and by symbol, each as so many of the SI's base units.

Factors are exact where the unit is defined exactly (SI brochure, 9th edition; NIST SP 811, appendix B).
A table of our own and not `pint`: that takes 0.45 s to load, knows English names only, and takes a
dimensionless result (`5 kVA` and `5 kW`, `5 Hz` and `5 Bq`) for the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALSO", "BINARY", "PI", "SI", "TABLE", "Entry"]

PI = "3.14159265358979323846264338327950288"

SI: tuple[tuple[str, str, int], ...] = (
    ("Q", "quetta", 30),
    ("R", "ronna", 27),
    ("Y", "yotta", 24),
    ("Z", "zetta", 21),
    ("E", "exa", 18),
    ("P", "peta", 15),
    ("T", "tera", 12),
    ("G", "giga", 9),
    ("M", "mega", 6),
    ("k", "kilo", 3),
    ("h", "hecto", 2),
    ("da", "deca", 1),
    ("d", "deci", -1),
    ("c", "centi", -2),
    ("m", "milli", -3),
    ("μ", "micro", -6),
    ("u", "micro", -6),
    ("n", "nano", -9),
    ("p", "pico", -12),
    ("f", "femto", -15),
    ("a", "atto", -18),
    ("z", "zepto", -21),
    ("y", "yocto", -24),
    ("r", "ronto", -27),
    ("q", "quecto", -30),
)
"""Symbol, name and power of ten of each prefix."""

BINARY: tuple[tuple[str, str, int], ...] = (
    ("Ki", "kibi", 10),
    ("Mi", "mebi", 20),
    ("Gi", "gibi", 30),
    ("Ti", "tebi", 40),
    ("Pi", "pebi", 50),
    ("Ei", "exbi", 60),
    ("Zi", "zebi", 70),
    ("Yi", "yobi", 80),
)
"""Symbol, name and power of two (IEC 80000-13)."""


@dataclass(frozen=True, slots=True)
class Entry:
    symbols: str
    """Apart by spaces; upper and lower case differ."""
    names: str
    """Singular, apart by commas; `foot/feet` gives an irregular plural."""
    dimension: str
    """Powers of base dimensions, as in `mass length time-2`."""
    factor: str = "1"
    """So many base units; a product is written with `*`."""
    prefixes: str = ""
    """`si`; `large` for kilo and above, decimal and binary; none."""
    offset: str = "0"
    """In base units: where its zero lies."""


_FORCE = "mass length time-2"
_ENERGY = "mass length2 time-2"
_POWER = "mass length2 time-3"
_PRESSURE = "mass length-1 time-2"
_VOLT = "mass length2 time-3 current-1"

TABLE: tuple[Entry, ...] = (
    # SI and what is used with it
    Entry("m", "meter,metre", "length", "1", "si"),
    Entry("g gr", "gram,gramme", "mass", "1/1000", "si"),
    Entry("s", "second", "time", "1", "si"),
    Entry("sec secs Sek", "sec", "time"),
    Entry("A", "ampere,amp", "current", "1", "si"),
    Entry("K °K", "kelvin,degree kelvin/degrees kelvin", "temperature", "1", "si"),
    Entry(
        "°C degC",
        "degree celsius/degrees celsius,celsius/celsius,degree centigrade/degrees centigrade,"
        "centigrade/centigrade,degree c/degrees c,deg c/deg c",
        "temperature",
        offset="273.15",
    ),
    Entry(
        "°F degF",
        "degree fahrenheit/degrees fahrenheit,fahrenheit/fahrenheit,degree f/degrees f,deg f/deg f",
        "temperature",
        "5/9",
        offset="459.67*5/9",
    ),
    Entry("°R", "degree rankine/degrees rankine", "temperature", "5/9"),
    Entry("mol", "mole", "amount", "1", "si"),
    Entry("cd", "candela", "light", "1", "si"),
    Entry("rad", "radian", "angle"),
    Entry("mrad", "milliradian", "angle", "1/1000"),
    Entry("sr", "steradian", "angle2", "1", "si"),
    Entry("Hz", "hertz/hertz,cycle per second/cycles per second", "time-1", "1", "si"),
    Entry("N", "newton", _FORCE, "1", "si"),
    Entry("Pa", "pascal", _PRESSURE, "1", "si"),
    Entry("J", "joule", _ENERGY, "1", "si"),
    Entry("W", "watt", _POWER, "1", "si"),
    Entry("C", "coulomb", "current time", "1", "si"),
    Entry("V", "volt", _VOLT, "1", "si"),
    Entry("F", "farad", "mass-1 length-2 time4 current2", "1", "si"),
    Entry("Ω Ohm", "ohm", "mass length2 time-3 current-2", "1", "si"),
    Entry("S", "siemens/siemens", "mass-1 length-2 time3 current2", "1", "si"),
    Entry("Wb", "weber", "mass length2 time-2 current-1", "1", "si"),
    Entry("T", "tesla", "mass time-2 current-1", "1", "si"),
    Entry("H", "henry/henries", "mass length2 time-2 current-2", "1", "si"),
    Entry("lm", "lumen", "light angle2", "1", "si"),
    Entry("lx", "lux/lux", "light angle2 length-2", "1", "si"),
    Entry("Bq", "becquerel", "decay time-1", "1", "si"),
    Entry("Ci", "curie", "decay time-1", "37000000000", "si"),
    Entry("Gy", "gray", "dose", "1", "si"),
    Entry("Sv", "sievert", "equivalent_dose", "1", "si"),
    Entry("kat", "katal", "amount time-1", "1", "si"),
    Entry("L l ℓ ltr", "liter,litre", "length3", "1/1000", "si"),
    Entry("t", "tonne,metric ton", "mass", "1000", "si"),
    Entry("eV", "electronvolt,electron volt", _ENERGY, "1.602176634*1e-19", "si"),
    Entry("bar", "bar", _PRESSURE, "100000", "si"),
    Entry("cal", "calorie", _ENERGY, "4.184", "si"),
    Entry("Cal", "food calorie,foodcalorie", _ENERGY, "4184"),
    Entry("Wh", "watt-hour,watt hour,watthour", _ENERGY, "3600", "si"),
    Entry("Ah", "ampere-hour,ampere hour,amp hour,amp-hour", "current time", "3600", "si"),
    Entry("Ws", "watt-second,watt second", _ENERGY, "1", "si"),
    Entry("Nm", "", _ENERGY, "1", "si"),
    Entry("", "foot pound/foot pounds", _ENERGY, "1.3558179483314004"),
    Entry("VA", "volt-ampere,volt ampere", "apparent_power", "1", "si"),
    Entry("var VAr", "volt-ampere reactive", "reactive_power", "1", "si"),
    Entry("Da u", "dalton", "mass", "1.66053906892*1e-27", "si"),
    Entry("pc", "parsec", "length", f"149597870700*648000/{PI}", "si"),
    Entry("P", "poise", "mass length-1 time-1", "1/10", "si"),
    Entry("St", "stokes/stokes", "length2 time-1", "1/10000", "si"),
    Entry("G Gs", "gauss/gauss", "mass time-2 current-1", "1/10000"),
    Entry("M", "molar", "amount length-3", "1000"),
    Entry("mM", "millimolar", "amount length-3"),
    Entry("μM uM", "micromolar", "amount length-3", "1/1000"),
    Entry("FLOPS FLOP/s", "flop/flops", "flops", "1", "si"),
    # Information
    Entry("B", "byte,octet", "data", "8", "large"),
    Entry("b bit", "bit", "data", "1", "large"),
    Entry("bps bit/s", "bit per second/bits per second", "data time-1", "1", "large"),
    Entry("Bps", "", "data time-1", "8", "large"),
    Entry("Bd", "baud", "symbols time-1", "1", "large"),
    Entry("px", "pixel", "pixels", "1", "large"),
    Entry("MP", "megapixel", "pixels", "1000000"),
    # Time
    Entry("min mins Min", "minute", "time", "60"),
    Entry("h hr hrs Std", "hour", "time", "3600"),
    Entry("d", "day", "time", "86400"),
    Entry("wk wks", "week", "time", "604800"),
    Entry("", "fortnight", "time", "1209600"),
    Entry("mo mos", "month", "months"),
    Entry("yr yrs", "year", "months", "12"),
    Entry("", "quarter", "months", "3"),
    Entry("", "decade", "months", "120"),
    Entry("", "century/centuries", "months", "1200"),
    Entry("", "millennium/millennia", "months", "12000"),
    Entry("rpm RPM", "revolution per minute/revolutions per minute", "turns time-1", "1/60"),
    Entry("rev", "revolution,turn", "turns"),
    Entry("bpm", "beat per minute/beats per minute", "beats time-1", "1/60"),
    Entry("fps", "frame per second/frames per second", "frames time-1"),
    # Length, area, volume
    Entry("in ″ inch", "inch/inches", "length", "0.0254"),
    Entry("ft ′", "foot/feet", "length", "0.3048"),
    Entry("yd yds", "yard", "length", "0.9144"),
    Entry("mi", "mile", "length", "1609.344"),
    Entry("nmi NM sm", "nautical mile", "length", "1852"),
    Entry("mil", "thou/thou", "length", "0.0000254"),
    Entry("", "fathom", "length", "1.8288"),
    Entry("", "furlong", "length", "201.168"),
    Entry("ly Lj", "light-year,light year,lightyear", "length", "9460730472580800"),
    Entry("au AU AE", "astronomical unit", "length", "149597870700"),
    Entry("Å", "ångström,angstrom", "length", "1e-10"),
    Entry("", "micron", "length", "1e-6"),
    Entry("ha", "hectare", "length2", "10000"),
    Entry("ac", "acre", "length2", "4046.8564224"),
    Entry("sqft", "", "length2", "0.09290304"),
    Entry("gal", "gallon", "length3", "3.785411784/1000"),
    Entry("", "imperial gallon,gallon imperial,UK gallon", "length3", "4.54609/1000"),
    Entry("qt", "quart", "length3", "0.946352946/1000"),
    Entry("pt", "pint", "length3", "0.473176473/1000"),
    Entry("", "imperial pint", "length3", "0.56826125/1000"),
    Entry("", "cup", "length3", "0.2365882365/1000"),
    Entry("floz", "fluid ounce,fl oz/fl oz,fl. oz/fl. oz", "length3", "0.0295735295625/1000"),
    Entry("tbsp Tbsp EL", "tablespoon", "length3", "14.78676478125*1e-6"),
    Entry("tsp TL", "teaspoon", "length3", "4.92892159375*1e-6"),
    Entry("bbl", "barrel", "length3", "0.158987294928"),
    Entry("cc ccm", "", "length3", "1e-6"),
    Entry("qm sqm", "", "length2"),
    Entry("sqkm qkm", "", "length2", "1000000"),
    Entry("cbm", "", "length3"),
    # Mass
    Entry("lb lbs", "pound,pound-mass", "mass", "0.45359237"),
    Entry("oz", "ounce", "mass", "0.028349523125"),
    Entry("ozt", "troy ounce,ounce troy", "mass", "0.0311034768"),
    Entry("st", "stone/stone", "mass", "6.35029318"),
    Entry("", "short ton,US ton", "mass", "907.18474"),
    Entry("", "long ton,imperial ton", "mass", "1016.0469088"),
    Entry("ct", "carat,karat", "mass", "0.0002"),
    Entry("", "grain", "mass", "0.00006479891"),
    Entry("Ztr", "zentner/zentner", "mass", "50"),
    # Speed, force, pressure, energy, power
    Entry("mph", "", "length time-1", "0.44704"),
    Entry("kph kmh", "", "length time-1", "5/18"),
    Entry("kn kt kts", "knot", "length time-1", "1852/3600"),
    Entry("lbf", "pound-force,pound force", _FORCE, "4.4482216152605"),
    Entry("kgf kp", "kilogram-force", _FORCE, "9.80665"),
    Entry("dyn", "dyne", _FORCE, "0.00001"),
    Entry("atm", "atmosphere", _PRESSURE, "101325"),
    Entry("mmHg mmhg", "", _PRESSURE, "133.322387415"),
    Entry("inHg", "", _PRESSURE, "3386.388640341"),
    Entry("Torr torr", "", _PRESSURE, "101325/760"),
    Entry(
        "psi",
        "pound-force per square inch/pound-force per square inch,pound per square inch/pounds per square inch",
        _PRESSURE,
        "6894.757293168361",
    ),
    Entry("erg", "erg", _ENERGY, "1e-7"),
    Entry("BTU Btu", "british thermal unit", _ENERGY, "1055.05585262"),
    Entry("", "therm", _ENERGY, "105505585.262"),
    Entry("hp HP bhp", "horsepower/horsepower", _POWER, "745.69987158227022"),
    Entry("PS ch CV cv", "metric horsepower/metric horsepower", _POWER, "735.49875"),
    Entry("mpg", "mile per gallon/miles per gallon", "length-2", "1609.344/3.785411784*1000"),
    Entry("l/100km L/100km", "", "length2", "1e-8"),
    # Angle, ratio and the like
    Entry("° deg", "degree", "angle", f"{PI}/180"),
    Entry("arcmin", "arcminute,arc minute,minute of arc", "angle", f"{PI}/10800"),
    Entry("arcsec", "arcsecond,arc second", "angle", f"{PI}/648000"),
    Entry("gon", "gradian", "angle", f"{PI}/200"),
    Entry("%", "percent/percent,per cent/per cent,pct/pct", "share", "1/100"),
    Entry("‰", "permille/permille,per mille/per mille,per mil/per mil", "share", "1/1000"),
    Entry("‱", "permyriad/permyriad", "share", "1/10000"),
    Entry("ppm", "part per million/parts per million,permillion", "share", "1e-6"),
    Entry("ppb", "part per billion/parts per billion", "share", "1e-9"),
    Entry("ppt", "part per trillion/parts per trillion", "share", "1e-12"),
    Entry("pp p.p. %p pps", "percentage point,percent point,pct point", "points", "1/100"),
    Entry("bp bps. bps", "basis point", "basis_points", "1/10000"),
    Entry("dB", "decibel", "level"),
    Entry("dBA dB(A)", "", "level_a"),
    Entry("dBm", "", "level_m"),
    Entry("pH", "", "ph"),
    Entry("IU IE UI", "international unit", "international_units", "1", "si"),
    Entry("mpx", "", "pixels", "1000000"),
)

ALSO: dict[str, str] = {
    **dict.fromkeys(("千米", "公里"), "kilometer"),
    **dict.fromkeys(("米", "公尺"), "meter"),
    **dict.fromkeys(("千克", "公斤"), "kilogram"),
    **dict.fromkeys(("克", "グラム"), "gram"),
    **dict.fromkeys(("吨", "公吨", "噸"), "tonne"),
    **dict.fromkeys(("升", "公升"), "liter"),
    **dict.fromkeys(("小时", "小時", "個小時", "个小时", "時間", "시간"), "hour"),
    **dict.fromkeys(("分钟", "分鐘", "分間", "分"), "minute"),
    **dict.fromkeys(("秒", "秒钟", "秒間", "초"), "second"),
    **dict.fromkeys(("天", "日間", "일간"), "day"),
    **dict.fromkeys(("周", "星期", "個星期", "个星期", "週間", "주일"), "week"),
    **dict.fromkeys(("个月", "個月", "か月", "ヶ月", "カ月", "개월"), "month"),
    **dict.fromkeys(("年間", "년간"), "year"),
    **dict.fromkeys(("キロ",), "kilometer"),
    **dict.fromkeys(("摄氏度", "攝氏度"), "degree celsius"),
    **dict.fromkeys(("华氏度", "華氏度"), "degree fahrenheit"),
    **dict.fromkeys(
        ("度", "도", "grad", "grados", "gradi", "graus", "degrés", "градусов", "डिग्री", "درجة"),
        "degree",
    ),
    **dict.fromkeys(("kmh", "км/час", "km/std", "stundenkilometer"), "kilometer per hour"),
    **dict.fromkeys(
        ("kilomètres à l'heure", "kilomètre à l'heure", "chilometri all'ora", "км в час"),
        "kilometer per hour",
    ),
    **dict.fromkeys(("किग्रा", "कि.ग्रा", "किलो"), "kilogram"),
    **dict.fromkeys(("किमी", "कि.मी"), "kilometer"),
    **dict.fromkeys(("मिमी",), "millimeter"),
    **dict.fromkeys(("सेमी", "से.मी"), "centimeter"),
    **dict.fromkeys(("साल", "वर्षों"), "year"),
    **dict.fromkeys(("часа", "час", "часов"), "hour"),
    **dict.fromkeys(
        ("prozent", "procent", "por cento", "por ciento", "pour cent", "per cento", "процентов"),
        "percent",
    ),
    **dict.fromkeys(
        (
            "процента",
            "процент",
            "パーセント",
            "퍼센트",
            "프로",
            "प्रतिशत",
            "بالمئة",
            "بالمائة",
            "في المئة",
            "في المائة",
        ),
        "percent",
    ),
    **dict.fromkeys(("promille", "промилле", "por mil", "pour mille", "per mille"), "permille"),
    **dict.fromkeys(
        ("metri quadrati", "metros cuadrados", "metros quadrados", "mètres carrés", "qm"),
        "square meter",
    ),
}
"""Names in other languages that CLDR does not give, each with its English one."""
