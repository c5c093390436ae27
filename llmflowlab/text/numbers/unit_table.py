"""The units that are known by name and by symbol, each as so many of the SI's base units.

Factors are exact where the unit is defined exactly (SI brochure, 9th edition; NIST SP 811, appendix B).
A table of our own and not `pint`: that takes 0.45 s to load, knows English names only, and takes a
dimensionless result (`5 kVA` and `5 kW`, `5 Hz` and `5 Bq`) for the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALSO", "BINARY", "PI", "SI", "TABLE", "UnitEntry"]

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
class UnitEntry:
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

TABLE: tuple[UnitEntry, ...] = (
    # SI and what is used with it
    UnitEntry("m", "meter,metre", "length", "1", "si"),
    UnitEntry("g gr", "gram,gramme", "mass", "1/1000", "si"),
    UnitEntry("s", "second", "time", "1", "si"),
    UnitEntry("sec secs Sek", "sec", "time"),
    UnitEntry("A", "ampere,amp", "current", "1", "si"),
    UnitEntry("K °K", "kelvin,degree kelvin/degrees kelvin", "temperature", "1", "si"),
    UnitEntry(
        "°C degC",
        "degree celsius/degrees celsius,celsius/celsius,degree centigrade/degrees centigrade,"
        "centigrade/centigrade,degree c/degrees c,deg c/deg c",
        "temperature",
        offset="273.15",
    ),
    UnitEntry(
        "°F degF",
        "degree fahrenheit/degrees fahrenheit,fahrenheit/fahrenheit,degree f/degrees f,deg f/deg f",
        "temperature",
        "5/9",
        offset="459.67*5/9",
    ),
    UnitEntry("°R", "degree rankine/degrees rankine", "temperature", "5/9"),
    UnitEntry("mol", "mole", "amount", "1", "si"),
    UnitEntry("cd", "candela", "light", "1", "si"),
    UnitEntry("rad", "radian", "angle"),
    UnitEntry("mrad", "milliradian", "angle", "1/1000"),
    UnitEntry("sr", "steradian", "angle2", "1", "si"),
    UnitEntry("Hz", "hertz/hertz,cycle per second/cycles per second", "time-1", "1", "si"),
    UnitEntry("N", "newton", _FORCE, "1", "si"),
    UnitEntry("Pa", "pascal", _PRESSURE, "1", "si"),
    UnitEntry("J", "joule", _ENERGY, "1", "si"),
    UnitEntry("W", "watt", _POWER, "1", "si"),
    UnitEntry("C", "coulomb", "current time", "1", "si"),
    UnitEntry("V", "volt", _VOLT, "1", "si"),
    UnitEntry("F", "farad", "mass-1 length-2 time4 current2", "1", "si"),
    UnitEntry("Ω Ohm", "ohm", "mass length2 time-3 current-2", "1", "si"),
    UnitEntry("S", "siemens/siemens", "mass-1 length-2 time3 current2", "1", "si"),
    UnitEntry("Wb", "weber", "mass length2 time-2 current-1", "1", "si"),
    UnitEntry("T", "tesla", "mass time-2 current-1", "1", "si"),
    UnitEntry("H", "henry/henries", "mass length2 time-2 current-2", "1", "si"),
    UnitEntry("lm", "lumen", "light angle2", "1", "si"),
    UnitEntry("lx", "lux/lux", "light angle2 length-2", "1", "si"),
    UnitEntry("Bq", "becquerel", "decay time-1", "1", "si"),
    UnitEntry("Ci", "curie", "decay time-1", "37000000000", "si"),
    UnitEntry("Gy", "gray", "dose", "1", "si"),
    UnitEntry("Sv", "sievert", "equivalent_dose", "1", "si"),
    UnitEntry("kat", "katal", "amount time-1", "1", "si"),
    UnitEntry("L l ℓ ltr", "liter,litre", "length3", "1/1000", "si"),
    UnitEntry("t", "tonne,metric ton", "mass", "1000", "si"),
    UnitEntry("eV", "electronvolt,electron volt", _ENERGY, "1.602176634*1e-19", "si"),
    UnitEntry("bar", "bar", _PRESSURE, "100000", "si"),
    UnitEntry("cal", "calorie", _ENERGY, "4.184", "si"),
    UnitEntry("Cal", "food calorie,foodcalorie", _ENERGY, "4184"),
    UnitEntry("Wh", "watt-hour,watt hour,watthour", _ENERGY, "3600", "si"),
    UnitEntry("Ah", "ampere-hour,ampere hour,amp hour,amp-hour", "current time", "3600", "si"),
    UnitEntry("Ws", "watt-second,watt second", _ENERGY, "1", "si"),
    UnitEntry("Nm", "", _ENERGY, "1", "si"),
    UnitEntry("", "foot pound/foot pounds", _ENERGY, "1.3558179483314004"),
    UnitEntry("VA", "volt-ampere,volt ampere", "apparent_power", "1", "si"),
    UnitEntry("var VAr", "volt-ampere reactive", "reactive_power", "1", "si"),
    UnitEntry("Da u", "dalton", "mass", "1.66053906892*1e-27", "si"),
    UnitEntry("pc", "parsec", "length", f"149597870700*648000/{PI}", "si"),
    UnitEntry("P", "poise", "mass length-1 time-1", "1/10", "si"),
    UnitEntry("St", "stokes/stokes", "length2 time-1", "1/10000", "si"),
    UnitEntry("G Gs", "gauss/gauss", "mass time-2 current-1", "1/10000"),
    UnitEntry("M", "molar", "amount length-3", "1000"),
    UnitEntry("mM", "millimolar", "amount length-3"),
    UnitEntry("μM uM", "micromolar", "amount length-3", "1/1000"),
    UnitEntry("FLOPS FLOP/s", "flop/flops", "flops", "1", "si"),
    # Information
    UnitEntry("B", "byte,octet", "data", "8", "large"),
    UnitEntry("b bit", "bit", "data", "1", "large"),
    UnitEntry("bps bit/s", "bit per second/bits per second", "data time-1", "1", "large"),
    UnitEntry("Bps", "", "data time-1", "8", "large"),
    UnitEntry("Bd", "baud", "symbols time-1", "1", "large"),
    UnitEntry("px", "pixel", "pixels", "1", "large"),
    UnitEntry("MP", "megapixel", "pixels", "1000000"),
    # Time
    UnitEntry("min mins Min", "minute", "time", "60"),
    UnitEntry("h hr hrs Std", "hour", "time", "3600"),
    UnitEntry("d", "day", "time", "86400"),
    UnitEntry("wk wks", "week", "time", "604800"),
    UnitEntry("", "fortnight", "time", "1209600"),
    UnitEntry("mo mos", "month", "months"),
    UnitEntry("yr yrs", "year", "months", "12"),
    UnitEntry("", "quarter", "months", "3"),
    UnitEntry("", "decade", "months", "120"),
    UnitEntry("", "century/centuries", "months", "1200"),
    UnitEntry("", "millennium/millennia", "months", "12000"),
    UnitEntry("rpm RPM", "revolution per minute/revolutions per minute", "turns time-1", "1/60"),
    UnitEntry("rev", "revolution,turn", "turns"),
    UnitEntry("bpm", "beat per minute/beats per minute", "beats time-1", "1/60"),
    UnitEntry("fps", "frame per second/frames per second", "frames time-1"),
    # Length, area, volume
    UnitEntry("in ″ inch", "inch/inches", "length", "0.0254"),
    UnitEntry("ft ′", "foot/feet", "length", "0.3048"),
    UnitEntry("yd yds", "yard", "length", "0.9144"),
    UnitEntry("mi", "mile", "length", "1609.344"),
    UnitEntry("nmi NM sm", "nautical mile", "length", "1852"),
    UnitEntry("mil", "thou/thou", "length", "0.0000254"),
    UnitEntry("", "fathom", "length", "1.8288"),
    UnitEntry("", "furlong", "length", "201.168"),
    UnitEntry("ly Lj", "light-year,light year,lightyear", "length", "9460730472580800"),
    UnitEntry("au AU AE", "astronomical unit", "length", "149597870700"),
    UnitEntry("Å", "ångström,angstrom", "length", "1e-10"),
    UnitEntry("", "micron", "length", "1e-6"),
    UnitEntry("ha", "hectare", "length2", "10000"),
    UnitEntry("ac", "acre", "length2", "4046.8564224"),
    UnitEntry("sqft", "", "length2", "0.09290304"),
    UnitEntry("gal", "gallon", "length3", "3.785411784/1000"),
    UnitEntry("", "imperial gallon,gallon imperial,UK gallon", "length3", "4.54609/1000"),
    UnitEntry("qt", "quart", "length3", "0.946352946/1000"),
    UnitEntry("pt", "pint", "length3", "0.473176473/1000"),
    UnitEntry("", "imperial pint", "length3", "0.56826125/1000"),
    UnitEntry("", "cup", "length3", "0.2365882365/1000"),
    UnitEntry("floz", "fluid ounce,fl oz/fl oz,fl. oz/fl. oz", "length3", "0.0295735295625/1000"),
    UnitEntry("tbsp Tbsp EL", "tablespoon", "length3", "14.78676478125*1e-6"),
    UnitEntry("tsp TL", "teaspoon", "length3", "4.92892159375*1e-6"),
    UnitEntry("bbl", "barrel", "length3", "0.158987294928"),
    UnitEntry("cc ccm", "", "length3", "1e-6"),
    UnitEntry("qm sqm", "", "length2"),
    UnitEntry("sqkm qkm", "", "length2", "1000000"),
    UnitEntry("cbm", "", "length3"),
    # Mass
    UnitEntry("lb lbs", "pound,pound-mass", "mass", "0.45359237"),
    UnitEntry("oz", "ounce", "mass", "0.028349523125"),
    UnitEntry("ozt", "troy ounce,ounce troy", "mass", "0.0311034768"),
    UnitEntry("st", "stone/stone", "mass", "6.35029318"),
    UnitEntry("", "short ton,US ton", "mass", "907.18474"),
    UnitEntry("", "long ton,imperial ton", "mass", "1016.0469088"),
    UnitEntry("ct", "carat,karat", "mass", "0.0002"),
    UnitEntry("", "grain", "mass", "0.00006479891"),
    UnitEntry("Ztr", "zentner/zentner", "mass", "50"),
    # Speed, force, pressure, energy, power
    UnitEntry("mph", "", "length time-1", "0.44704"),
    UnitEntry("kph kmh", "", "length time-1", "5/18"),
    UnitEntry("kn kt kts", "knot", "length time-1", "1852/3600"),
    UnitEntry("lbf", "pound-force,pound force", _FORCE, "4.4482216152605"),
    UnitEntry("kgf kp", "kilogram-force", _FORCE, "9.80665"),
    UnitEntry("dyn", "dyne", _FORCE, "0.00001"),
    UnitEntry("atm", "atmosphere", _PRESSURE, "101325"),
    UnitEntry("mmHg mmhg", "", _PRESSURE, "133.322387415"),
    UnitEntry("inHg", "", _PRESSURE, "3386.388640341"),
    UnitEntry("Torr torr", "", _PRESSURE, "101325/760"),
    UnitEntry(
        "psi",
        "pound-force per square inch/pound-force per square inch,pound per square inch/pounds per square inch",
        _PRESSURE,
        "6894.757293168361",
    ),
    UnitEntry("erg", "erg", _ENERGY, "1e-7"),
    UnitEntry("BTU Btu", "british thermal unit", _ENERGY, "1055.05585262"),
    UnitEntry("", "therm", _ENERGY, "105505585.262"),
    UnitEntry("hp HP bhp", "horsepower/horsepower", _POWER, "745.69987158227022"),
    UnitEntry("PS ch CV cv", "metric horsepower/metric horsepower", _POWER, "735.49875"),
    UnitEntry("mpg", "mile per gallon/miles per gallon", "length-2", "1609.344/3.785411784*1000"),
    UnitEntry("l/100km L/100km", "", "length2", "1e-8"),
    # Angle, ratio and the like
    UnitEntry("° deg", "degree", "angle", f"{PI}/180"),
    UnitEntry("arcmin", "arcminute,arc minute,minute of arc", "angle", f"{PI}/10800"),
    UnitEntry("arcsec", "arcsecond,arc second", "angle", f"{PI}/648000"),
    UnitEntry("gon", "gradian", "angle", f"{PI}/200"),
    UnitEntry("%", "percent/percent,per cent/per cent,pct/pct", "share", "1/100"),
    UnitEntry("‰", "permille/permille,per mille/per mille,per mil/per mil", "share", "1/1000"),
    UnitEntry("‱", "permyriad/permyriad", "share", "1/10000"),
    UnitEntry("ppm", "part per million/parts per million,permillion", "share", "1e-6"),
    UnitEntry("ppb", "part per billion/parts per billion", "share", "1e-9"),
    UnitEntry("ppt", "part per trillion/parts per trillion", "share", "1e-12"),
    UnitEntry("pp p.p. %p pps", "percentage point,percent point,pct point", "points", "1/100"),
    UnitEntry("bp bps. bps", "basis point", "basis_points", "1/10000"),
    UnitEntry("dB", "decibel", "level"),
    UnitEntry("dBA dB(A)", "", "level_a"),
    UnitEntry("dBm", "", "level_m"),
    UnitEntry("pH", "", "ph"),
    UnitEntry("IU IE UI", "international unit", "international_units", "1", "si"),
    UnitEntry("BC", "", "years_bc"),
    UnitEntry("AD", "", "years_ad"),
    UnitEntry("mpx", "", "pixels", "1000000"),
)

ALSO: dict[str, str] = {
    "mcg": "microgram",
    "pourcent": "percent",
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
