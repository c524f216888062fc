"""The inflected forms of an English word: "utilise" → "utilises", "utilised", "utilising".

Forms are made, not cut off: a stemmer takes "organ" and "organisation" for one word, and "general" and
"generate"; a list of words never to use needs forms of the same word and no others. A form that no one
writes ("gooder") does no harm. Does not know what a word means, nor other languages.
"""

from functools import lru_cache

# Verbs and nouns whose forms no rule gives. The first of a group stands for all of it.
_IRREGULAR = """
be am is are was were been being|have has had having|do does did done doing|go goes went gone going
begin begins began begun beginning|break breaks broke broken breaking|bring brings brought bringing
build builds built building|buy buys bought buying|catch catches caught catching
choose chooses chose chosen choosing|come comes came coming|cut cuts cutting
drive drives drove driven driving|eat eats ate eaten eating|fall falls fell fallen falling
feel feels felt feeling|find finds found finding|fly flies flew flown flying
forget forgets forgot forgotten forgetting|get gets got gotten getting|give gives gave given giving
grow grows grew grown growing|hear hears heard hearing|hide hides hid hidden hiding|hit hits hitting
hold holds held holding|keep keeps kept keeping|know knows knew known knowing|lead leads led leading
leave leaves left leaving|let lets letting|light lights lit lighted lighting|lose loses lost losing
make makes made making|mean means meant meaning|meet meets met meeting|pay pays paid paying
put puts putting|read reads reading|ride rides rode ridden riding|rise rises rose risen rising
run runs ran running|say says said saying|see sees saw seen seeing|sell sells sold selling
send sends sent sending|set sets setting|shake shakes shook shaken shaking
shine shines shone shined shining|show shows showed shown showing|sing sings sang sung singing
sink sinks sank sunk sinking|sit sits sat sitting|sleep sleeps slept sleeping
speak speaks spoke spoken speaking|spend spends spent spending|stand stands stood standing
steal steals stole stolen stealing|stick sticks stuck sticking|swim swims swam swum swimming
take takes took taken taking|teach teaches taught teaching|tell tells told telling
think thinks thought thinking|throw throws threw thrown throwing
understand understands understood understanding|wake wakes woke woken waking
wear wears wore worn wearing|win wins won winning|write writes wrote written writing|child children
foot feet|tooth teeth|mouse mice|goose geese|man men|woman women|person people|knife knives|life lives
wife wives|leaf leaves|shelf shelves|half halves|wolf wolves|thief thieves|loaf loaves|good better best
bad worse worst|far further furthest farther farthest
"""
# They end as a plural or a past does, but are none.
_WHOLE = frozenset(
    str.split(
        """
news goods always perhaps besides sometimes thanks series species lens plus bus gas this thus yes us as
is was has does less across toward towards afterwards customs means premises basis need feed seed speed
indeed exceed proceed bed red sled shed thing something anything everything nothing during king ring
spring string bring sing morning evening ceiling sibling one ones
"""
    )
)
# Only such take -er and -est: "numb" must not find "number", nor "off" "offer".
_GRADED = frozenset(
    str.split(
        """
big bold brave bright broad brown busy calm cheap clean clear clever close cold cool cosy cozy cute damp
dark deep dense dirty dry dull dumb early easy fair fancy fast fat few fierce fine firm fit flat fresh
full funny gentle grand great green handy happy hard harsh healthy heavy high hip hot huge keen kind
large late lazy lean light likely long loud lovely low lucky mad mean mild narrow near neat new nice
noble nasty odd old pale plain poor posh pretty proud pure quick quiet rare raw rich ripe rough round
rude sad safe sexy shallow sharp shiny short simple slim slow small smart smooth soft sound sour steep
stiff strange strict strong stylish sturdy sunny sweet swift tall tasty thick thin tidy tight tiny tough
trendy true ugly vast warm weak wealthy weird wet white wide wild wise young
"""
    )
)
_VOWELS = "aeiou"
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_IRREGULAR_GROUPS = tuple(
    frozenset(line.split()) for line in _IRREGULAR.replace("\n", "|").split("|") if line
)


@lru_cache(maxsize=4096)
def build_forms(word: str) -> frozenset[str]:
    """All forms of a word in lower case, itself among them; `word` may be any of its forms."""
    forms = {word, f"{word}'s"}
    for base in _find_bases(word):
        forms |= _inflect(base)
    for group in _IRREGULAR_GROUPS:
        if word in group:
            forms |= group
    return frozenset(forms)


def _find_bases(word: str) -> list[str]:
    """What the word may be a form of: only words from which the rules would make exactly this one."""
    if word in _WHOLE:
        return [word]
    candidates = [word]
    for ending, instead in (
        ("ies", ("y",)),
        ("es", ("", "e")),
        ("s", ("",)),
        ("ied", ("y",)),
        ("ed", ("", "e")),
        ("ing", ("", "e")),
        ("est", ("", "e")),
        ("er", ("", "e")),
    ):
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            candidates += [stem + letter for letter in instead]
            candidates += [stem[:-1]] if len(stem) > 3 and stem[-1] == stem[-2] else []
    return [base for base in candidates if base == word or (_is_word(base) and word in _inflect(base))]


def _is_word(base: str) -> bool:
    return len(base) > 2 and any(letter in "aeiouy" for letter in base)


def _inflect(base: str) -> set[str]:
    stem = _find_stem(base)
    forms = {base, f"{base}'s", _pluralise(base), stem.removesuffix("e") + "ed", stem + "ing"}
    if base.endswith("y") and base[-2:-1] not in ("", *_VOWELS):
        stem = base[:-1] + "i"
        forms = (forms - {base + "ed"}) | {stem + "ed"}
    return forms | {stem + "er", stem + "est"} if base in _GRADED else forms


def _find_stem(base: str) -> str:
    """What -ed and -ing are put to: "stop" → "stopp", "care" → "car", "free" stays."""
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")):
        return base[:-1]
    return base + base[-1] if _doubles(base) else base


def _doubles(base: str) -> bool:
    """One syllable that ends in one vowel and one consonant; and the British -l."""
    tail = base[-3:]
    if len(tail) < 3 or tail[1] not in _VOWELS or tail[2] in _VOWELS + "wxy" or tail[0] in _VOWELS:
        return False
    return tail[2] == "l" or not any(letter in _VOWELS for letter in base[:-2])


def _pluralise(base: str) -> str:
    if base.endswith("y") and base[-2:-1] not in ("", *_VOWELS):
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(_SIBILANTS) else "s")
