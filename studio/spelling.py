"""British and American spelling: which of the two a word is written in, and how the other writes it.

Pairs are made from stems and endings, so that "size", "prize", "advertise", "hour" and "four" are never
taken for either. Where British English has both forms ("judgement", "a water meter"), only the clear one is
known. By "British" -ise is meant, as shops and newspapers write; Oxford's -ize counts as American.
Does not know names, nor where a word stands.
"""

import re
from functools import lru_cache
from typing import Literal

Spelling = Literal["british", "american"]

_ISE = """
accessor acclimat actual agon alphabet american antagon apolog atom author bapt brutal canal capital
caramel categor cater cauter central character civil colon commercial computer contextual critic
crystall custom decentral democrat demon deodor digit digital dramat econom emphas energ equal eternal
euthan evangel external familiar fantas fertil final formal galvan general glamor global harmon homogen
hospital human hybrid hypnot hypothes ideal immun incentiv individual industrial initial international
item jeopard legal liberal local magnet marginal maxim mechan memor merchand mesmer militar minim mobil
modern moistur monet monopol moral motor national natural neutral normal optim organ ostrac oxid pasteur
patron penal personal plagiar polar popular pressur priorit privat professional public pulver random
rational real recogn reorgan revital revolution romant sanit satir scrutin sensual serial social special
stabil standard steril stigmat strateg subsid summar symbol sympath synchron synthes system tantal
tender theor tranquil trivial union util vandal vapor verbal victim visual vital vocal western winter
woman
"""
_OUR = """
armour behaviour candour clamour colour demeanour discolour endeavour favour fervour flavour harbour
honour humour labour multicolour neighbour odour parlour rancour rigour rumour saviour savour splendour
tumour valour vapour vigour watercolour
"""
_OUR_ENDINGS = """
s ed ing ful fully less able ably ite ites al ally hood hoods ly y er ers some fast
"""
_RE = """
calibre centre epicentre fibre goitre kilometre centimetre millimetre litre millilitre lustre manoeuvre
meagre ochre sabre sceptre sepulchre sombre spectre theatre
"""
_DOUBLED = """
bevel cancel carol channel chisel counsel devil dial dishevel duel enamel equal fuel funnel grovel
initial jewel label level libel marshal marvel model panel pedal pencil pummel quarrel refuel remodel
revel rival shovel shrivel signal snivel spiral stencil swivel tassel total towel travel trowel tunnel
unravel yodel
"""
_YSE = ("analyse", "breathalyse", "catalyse", "dialyse", "electrolyse", "paralyse", "psychoanalyse")
_PAIRS = """
aeroplane airplane|ageing aging|aluminium aluminum|anaemia anemia|anaesthetic anesthetic|analogue analog
archaeology archeology|artefact artifact|artefacts artifacts|catalogue catalog|catalogues catalogs
catalogued cataloged|cataloguing cataloging|chequered checkered|cosy cozy|cosier cozier|cosiest coziest
cosiness coziness|cosily cozily|defence defense|defences defenses|defenceless defenseless|diarrhoea diarrhea
enrol enroll|enrols enrolls|enrolment enrollment|enrolments enrollments|foetus fetus|fulfil fulfill
fulfils fulfills|fulfilment fulfillment|grey gray|greys grays|greyish grayish|gynaecology gynecology
instalment installment|instalments installments|jewellery jewelry|centring centering
manoeuvring maneuvering|marvellous marvelous|marvellously marvelously|mould mold|moulds molds|moulded molded
moulding molding|mouldy moldy|moustache mustache|moustaches mustaches|mum mom|mums moms
oestrogen estrogen|offence offense|offences offenses|orthopaedic orthopedic|paediatric pediatric
paediatrician pediatrician|plough plow|ploughs plows|ploughed plowed|pretence pretense|pyjamas pajamas
pyjama pajama|sceptic skeptic|sceptics skeptics|sceptical skeptical|scepticism skepticism|skilful skillful
skilfully skillfully|smoulder smolder|smouldering smoldering|sulphur sulfur|travelogue travelog
unequalled unequaled|wilful willful
wilfully willfully|woollen woolen|woollens woolens
"""
# British only in this direction: the American form is another British word, such as a car's "tire".
_BRITISH_ONLY = """
tyre tire|tyres tires|cheque check|cheques checks|programme program|programmes programs|kerb curb|kerbs curbs
storey story|storeys stories|practise practice|practises practices|practised practiced|practising practicing
draught draft|draughts drafts|metre meter|metres meters|licence license|licences licenses|maths math
yoghurt yogurt|yoghurts yogurts|doughnut donut|omelette omelet|kilogramme kilogram|whilst while|learnt learned
"""
# They end in -ize or -yze in British English too.
_IZE_EVERYWHERE = re.compile(
    r"(?:bite|down|up|re|un|over|under|out|cap|full|king|queen|plus|mid)?(?:siz|priz|seiz|maiz|assiz)"
)
_AMERICAN_ENDING = re.compile(r"[^\W_]{3,}(?:i|y)(z)(?:e|es|ed|ing|er|ers|able|ation|ations|ational)")
_BRITISH_ENDING = re.compile(r"[^\W_]{3,}i(s)(?:ation|ations|ational)")
_ISATION_EVERYWHERE = frozenset(("improvisation", "improvisations", "improvisational"))


@lru_cache(maxsize=50_000)
def find_other_spelling(word: str, wanted: Spelling) -> str | None:
    """How the wanted side writes `word` (in any case), or None if it may stay."""
    other = _look_up(word.lower(), wanted)
    if other is None or not word[:1].isupper():
        return other
    return other.upper() if word.isupper() and len(word) > 1 else other[0].upper() + other[1:]


def find_both_spellings(word: str) -> set[str]:
    """A word in lower case with its twin across the Atlantic."""
    twins = (find_other_spelling(word, "british"), find_other_spelling(word, "american"))
    return {word, *(twin for twin in twins if twin)}


def _look_up(word: str, wanted: Spelling) -> str | None:
    if wanted == "american":
        return _AMERICAN.get(word) or _replace(word, _BRITISH_ENDING, "z", word in _ISATION_EVERYWHERE)
    return _BRITISH.get(word) or _replace(
        word, _AMERICAN_ENDING, "s", bool(_IZE_EVERYWHERE.match(word)) or word.endswith("prize")
    )


def _replace(word: str, ending: re.Pattern[str], letter: str, is_exception: bool) -> str | None:
    match = None if is_exception else ending.fullmatch(word)
    return word[: match.start(1)] + letter + word[match.end(1) :] if match else None


def _read_pairs(lines: str) -> dict[str, str]:
    pairs = (pair.split() for pair in lines.replace("\n", "|").split("|") if pair)
    return {british: american for british, american in pairs if british != american}


def _build_pairs() -> dict[str, str]:
    """British → American, for both directions."""
    pairs = _read_pairs(_PAIRS)
    for stem in _ISE.split():
        for ending in ("e", "es", "ed", "ing", "er", "ers", "able", "ation", "ations"):
            pairs[f"{stem}is{ending}"] = f"{stem}iz{ending}"
    for word in _OUR.split():
        for ending in ("", *_OUR_ENDINGS.split()):
            pairs[word + ending] = word[:-2] + "r" + ending
    for word in _RE.split():
        american = word[:-2].replace("oeu", "eu") + "er"
        for british, other in (("", ""), ("s", "s"), ("d", "ed"), ("piece", "piece"), ("pieces", "pieces")):
            pairs[word + british] = american + other
    for stem in _DOUBLED.split():
        for ending in ("ed", "ing", "er", "ers"):
            pairs[f"{stem}l{ending}"] = stem + ending
    for word in _YSE:
        for ending in ("e", "es", "ed", "ing", "er", "ers"):
            pairs[word[:-1] + ending] = word[:-2] + "z" + ending
    return pairs


PAIRS = _build_pairs()
_AMERICAN = {**PAIRS, **_read_pairs(_BRITISH_ONLY)}
"""What an American writes instead of a British word."""
_BRITISH = {
    american: british for british, american in PAIRS.items() if british not in _read_pairs(_BRITISH_ONLY)
}
