"""Units that brands write, and which of them measure the same: 450 g is 0.45 kg, a week is 7 days.

Factors of pounds, ounces, inches, feet and miles are the exact ones of 1959; pints and gallons differ between
countries and stay their own units. Does not know numbers.
"""

import re

# Dimension -> factor and all ways to write the unit.
_UNITS: dict[str, tuple[tuple[float, str], ...]] = {
    "mass": (
        (0.001, "mg milligram milligrams"),
        (1, "g gram grams gramme grammes gm"),
        (1000, "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes"),
        (1_000_000, "tonne tonnes"),
        (453.59237, "lb lbs"),
        (28.349523125, "oz ounce ounces"),
    ),
    "length": (
        (1, "mm millimetre millimetres millimeter millimeters"),
        (10, "cm centimetre centimetres centimeter centimeters"),
        (1000, "m metre metres meter meters"),
        (1_000_000, "km kms kilometre kilometres kilometer kilometers"),
        (25.4, "inch inches ″"),
        (304.8, "ft foot feet"),
        (914.4, "yard yards yd yds"),
        (1_609_344, "mile miles"),
    ),
    "volume": (
        (1, "ml mls millilitre millilitres milliliter milliliters"),
        (10, "cl centilitre centilitres"),
        (1000, "l litre litres liter liters ltr"),
    ),
    "time": (
        (1, "second seconds sec secs"),
        (60, "minute minutes min mins"),
        (3600, "hour hours hr hrs h"),
        (86_400, "day days"),
        (604_800, "week weeks wk wks"),
    ),
    "months": ((1, "month months mth mths"), (12, "year years yr yrs")),
    "energy": ((1, "wh"), (1000, "kwh")),
    "power": ((1, "w watt watts"), (1000, "kw kilowatt kilowatts")),
    "charge": ((1, "mah"), (1000, "ah")),
    "frequency": ((1, "hz"), (1000, "khz"), (1_000_000, "mhz"), (1_000_000_000, "ghz")),
    "memory": ((1, "kb"), (1000, "mb"), (1_000_000, "gb"), (1_000_000_000, "tb")),
    "voltage": ((1, "v volt volts"),),
    "celsius": ((1, "°c ºc celsius"),),
    "fahrenheit": ((1, "°f ºf fahrenheit"),),
    "degree": ((1, "° degree degrees"),),
    "food energy": ((1, "kcal calorie calories cal cals"),),
    "joule": ((1, "kj kilojoule kilojoules"),),
    "pint": ((1, "pint pints"),),
    "gallon": ((1, "gallon gallons gal"),),
    "cup": ((1, "cup cups"),),
    "lumen": ((1, "lumen lumens lm"),),
    "force": ((1, "newton newtons"), (1000, "kn")),
    "decibel": ((1, "db decibel decibels"),),
    "pixel": ((1, "mp megapixel megapixels"),),
    "speed": ((1, "mph"),),
    "speed in km": ((1, "km/h kmh kph"),),
    "area": ((1, "m² m2 sqm"),),
    "square feet": ((1, "ft² sqft"),),
    "night": ((1, "night nights"),),
    "%": ((1, "% percent per_cent pct"),),
    "×": ((1, "x × times"),),
    "★": ((1, "star stars"),),
    "£": ((1, "£ pound pounds gbp quid"), (0.01, "p pence penny")),
    "$": ((1, "$ dollar dollars usd"),),
    "€": ((1, "€ euro euros eur"),),
    "¥": ((1, "¥ yen jpy"),),
    "₹": ((1, "₹ rupee rupees inr"),),
    "chf": ((1, "chf franc francs"),),
    "cents": ((1, "cent cents ¢"),),
}
CURRENCIES = frozenset("£$€¥₹") | {"chf", "cents"}
# "5 working days" is not "5 days": the word counts. "Full" and "whole" add nothing.
_ADJECTIVES = r"(?:working|business|calendar|school|full|whole|square|cubic|fluid|fl)[ -]"
_NOTHING_ADDED = ("full", "whole", "calendar")

UNIT_OF = {
    name.replace("_", " "): (dimension, factor)
    for dimension, units in _UNITS.items()
    for factor, names in units
    for name in names.split()
}
_NAMES = "|".join(re.escape(name) for name in sorted(UNIT_OF, key=len, reverse=True) if name not in "x×")
UNIT = rf"(?:{_ADJECTIVES})?(?:{_NAMES}|[x×](?!\s?\d))(?![^\W_])"
PREFIX = r"[£$€¥₹]|(?:USD|EUR|GBP|CHF|JPY|INR)\b"


def find_unit(written: str) -> tuple[str, float] | None:
    """Dimension and factor of what UNIT or PREFIX found."""
    *adjectives, name = written.lower().replace("-", " ").rsplit(" ", 1)
    if written.lower() in UNIT_OF:
        return UNIT_OF[written.lower()]
    if name not in UNIT_OF:
        return None
    dimension, factor = UNIT_OF[name]
    counted = [word for word in adjectives if word not in _NOTHING_ADDED]
    return " ".join(["business" if word == "working" else word for word in counted] + [dimension]), factor
