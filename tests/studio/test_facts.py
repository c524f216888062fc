"""What an answer claims must stand in its brief, however either is written; nothing else is marked.

The cases are our own: prompt, fact sheet, answer, and the claims that neither backs.
"""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract.brand import Fact
from engine.contract.failures import EngineFailure
from studio.fact_claims import ClaimKind
from studio.fact_sheet import read_facts
from studio.facts import find_claims, find_unsupported
from studio.files import read_file

SHEET = (
    ("Brand", "Harbour & Pine"),
    ("Delivery", "3 to 5 working days, free from £40"),
    ("Returns", "within 30 days"),
    ("Warranty", "two years"),
    ("Phone", "+44 20 7946 0018"),
    ("E-mail", "hello@harbourpine.example"),
    ("Shop", "12 High Street, Whitby"),
    ("Website", "https://www.harbourpine.co.uk"),
    ("Opening hours", "Monday to Saturday, 9am to 5.30pm"),
    ("Founded", "5 March 1987 by Ada Thornbury"),
    ("Material", "80% wool"),
    ("Weight", "450 g"),
)
RUCKSACK = "Write a product description for the Fell 20L Rucksack, £29, by Harbour & Pine."
REPLY = "Reply to a customer, Priya Natarajan, whose order 48213 of 12 May is late."
PLAIN = "Write a newsletter about our new mugs."

# Prompt, answer, and what of the answer is not in the brief; the sheet above is the fact sheet of all.
CASES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # Prices
    (RUCKSACK, "Yours for £29.", ()),
    (RUCKSACK, "Yours for £29.00.", ()),
    (RUCKSACK, "Yours for 29 pounds.", ()),
    (RUCKSACK, "Yours for GBP 29.", ()),
    (RUCKSACK, "Yours for £35.", ("£35",)),
    (RUCKSACK, "Yours for $29.", ("$29",)),
    (RUCKSACK, "Was £45, now £29.", ("£45",)),
    (RUCKSACK, "Under €30 and worth it.", ("€30",)),
    (RUCKSACK, "Delivery is free from £40.", ()),
    (RUCKSACK, "Delivery is free from £50.", ("£50",)),
    ("The mug costs 1,000 yen.", "It costs ¥1000.", ()),
    ("The mug costs 1000 yen.", "It costs one thousand yen.", ()),
    ("Price: 29.99", "Only £29.99 this week.", ()),
    ("Price: €29,99", "Only €29.99 this week.", ()),
    ("The budget is $1.2m.", "We have $1.2 million for it.", ()),
    ("The budget is $1.2m.", "We have $2 million for it.", ("$2 million",)),
    (PLAIN, "Each mug costs twelve pounds.", ("twelve pounds",)),
    (PLAIN, "Only 99p each.", ("99p",)),
    ("Mugs are 99p.", "At £0.99 it is a treat.", ()),
    ("Prices from £5 to £10.", "They cost £5–10.", ()),
    ("Prices from £5 to £10.", "They cost £5–£15.", ("£5–£15",)),
    # Percentages
    (PLAIN, "Made with 80% wool.", ()),
    (PLAIN, "Made with 80 per cent wool.", ()),
    (PLAIN, "Made with 80 percent wool.", ()),
    (PLAIN, "Made with 100% wool.", ("100%",)),
    (PLAIN, "Save 20% today.", ("20%",)),
    ("Announce 20% off mugs.", "Save twenty percent today.", ()),
    ("Announce 20% off mugs.", "Save 25% today.", ("25%",)),
    (PLAIN, "It kills 99.9% of germs.", ("99.9%",)),
    ("Announce 20-30% off.", "Save 20 to 30 percent.", ()),
    # Measures
    (RUCKSACK, "Room for 20 litres.", ()),
    (RUCKSACK, "Room for twenty liters.", ()),
    (RUCKSACK, "A 20-litre pack.", ()),
    (RUCKSACK, "A 25-litre pack.", ("25-litre",)),
    (RUCKSACK, "It weighs 450g.", ()),
    (RUCKSACK, "It weighs 0.45 kg.", ()),
    (RUCKSACK, "It weighs 900 grams.", ("900 grams",)),
    (RUCKSACK, "Folds to 30 x 20 cm.", ("30 x 20 cm",)),
    ("The board is 30 cm by 20 cm.", "It measures 30 x 20 cm.", ()),
    ("A 10,000 mAh power bank.", "With 10000mAh inside.", ()),
    ("A 10,000 mAh power bank.", "With 20000mAh inside.", ("20000mAh",)),
    (PLAIN, "Delivered in 3–5 working days.", ()),
    (PLAIN, "Delivered in three to five working days.", ()),
    (PLAIN, "Delivered in 3 to 5 business days.", ()),
    (PLAIN, "Delivered in 3 to 5 days.", ("3 to 5 days",)),
    (PLAIN, "Delivered in 1–2 working days.", ("1–2 working days",)),
    (PLAIN, "Delivered within 24 hours.", ("24 hours",)),
    (PLAIN, "Return it within 30 days.", ()),
    (PLAIN, "Return it within thirty days.", ()),
    (PLAIN, "Return it within 60 days.", ("60 days",)),
    (PLAIN, "You have a two-year warranty.", ()),
    (PLAIN, "You have a 2 year warranty.", ()),
    (PLAIN, "You have 24 months of warranty.", ()),
    (PLAIN, "You have a five-year warranty.", ("five-year",)),
    (PLAIN, "You have a 10-year warranty.", ("10-year",)),
    (PLAIN, "It holds between two and three cups.", ("two and three cups",)),
    (PLAIN, "Keeps tea hot for 6 hours.", ("6 hours",)),
    (PLAIN, "Safe up to 200°C.", ("200°C",)),
    ("The lamp has 500 lumens and runs 8 hours.", "500 lumens, for eight hours.", ()),
    ("The path is 3 miles long.", "Walk the three miles to the sea.", ()),
    ("The path is 3 miles long.", "Walk the 5 km to the sea.", ("5 km",)),
    (PLAIN, "Rated five stars.", ("five stars",)),
    # Numbers
    (PLAIN, "The mug has 14 colours.", ("14",)),
    (PLAIN, "The mug comes in twelve colours.", ("twelve",)),
    ("The mug has 12 colours.", "Choose from twelve colours.", ()),
    ("The mug has twelve colours.", "Choose from 12 colours.", ()),
    ("The mug has a dozen colours.", "Choose from 12 colours.", ()),
    ("We sold 1,000 mugs.", "1000 mugs found a home.", ()),
    ("We sold 1,000 mugs.", "One thousand mugs found a home.", ()),
    ("We sold 1,000 mugs.", "1 000 mugs found a home.", ()),
    ("We sold 1,000 mugs.", "We sold 10,000 mugs.", ("10,000",)),
    ("We sold 2500 mugs.", "We sold two thousand five hundred mugs.", ()),
    (PLAIN, "Loved by 40,000 people.", ("40,000",)),
    (PLAIN, "Loved by two million people.", ("two million",)),
    (PLAIN, "Perfect for one, or for the two of you.", ()),
    (PLAIN, "First, choose a mug. Second, fill it.", ()),
    (PLAIN, "One day you will thank us.", ()),
    (PLAIN, "A mug for every one of us three.", ()),
    (PLAIN, "A hundred reasons to smile.", ()),
    (PLAIN, "Made by hand since 1987.", ()),
    (PLAIN, "Made by hand since 1950.", ("1950",)),
    (PLAIN, "1. Boil the water.\n2. Pour it.\n3. Wait.", ()),
    (PLAIN, "Step 1: boil. Step 2: pour.", ()),
    (PLAIN, "We are here 24/7.", ("24/7",)),
    ("Support is there 24/7.", "We are here 24/7.", ()),
    (REPLY, "Your order 48213 is on its way.", ()),
    (REPLY, "Your order #48213 is on its way.", ()),
    (REPLY, "Your order 48231 is on its way.", ("48231",)),
    (PLAIN, "Our 10th year together.", ("10th",)),
    (PLAIN, "A 3-in-1 mug.", ("3",)),
    # Dates and times
    (REPLY, "You ordered on 12 May.", ()),
    (REPLY, "You ordered on May 12.", ()),
    (REPLY, "You ordered on May 12th.", ()),
    (REPLY, "You ordered on the 12th of May.", ()),
    (REPLY, "You ordered on 13 May.", ("13 May",)),
    (REPLY, "You ordered on 12 June.", ("12 June",)),
    (REPLY, "It arrives by 20 May.", ("20 May",)),
    (REPLY, "You ordered on 12 May 2024.", ("12 May 2024",)),
    (PLAIN, "We opened on 5 March 1987.", ()),
    (PLAIN, "We opened on March 5th, 1987.", ()),
    (PLAIN, "We opened on 05/03/1987.", ()),
    (PLAIN, "We opened on 1987-03-05.", ()),
    (PLAIN, "We opened in March 1987.", ()),
    (PLAIN, "We opened in April 1987.", ("April 1987",)),
    (PLAIN, "The sale starts on Friday.", ()),
    (PLAIN, "The sale starts in November.", ()),
    (PLAIN, "The sale starts on 28 November.", ("28 November",)),
    ("The fair is on 3–5 July.", "Meet us on July 3rd.", ()),
    ("The fair is on 3–5 July.", "Meet us on 6 July.", ("6 July",)),
    (PLAIN, "Open from 9am to 5.30pm.", ()),
    (PLAIN, "Open from 9 a.m. to 17:30.", ()),
    (PLAIN, "Open until 8pm.", ("8pm",)),
    (PLAIN, "Open Monday to Saturday.", ()),
    (PLAIN, "You may be surprised.", ()),
    # Names
    (RUCKSACK, "The Fell Rucksack by Harbour & Pine.", ()),
    (RUCKSACK, "Harbour & Pine's Fell carries it all.", ()),
    (RUCKSACK, "The Fell Rucksack by Kestrel.", ("Kestrel",)),
    (RUCKSACK, "Meet the Alpine Ghost from our shop.", ("Alpine Ghost",)),
    (RUCKSACK, "With a Vibram sole and Gore-Tex lining.", ("Vibram", "Gore-Tex")),
    (RUCKSACK, "Made in Portugal.", ("Portugal",)),
    (RUCKSACK, "Designed in Whitby.", ()),
    (RUCKSACK, "Adventure awaits. Grab your rucksack and go.", ()),
    (RUCKSACK, "Sturdy. Light. Yours.", ()),
    (RUCKSACK, "Unleash your inner rambler.", ()),
    (RUCKSACK, "It is what I pack, and I'm never without it.", ()),
    (RUCKSACK, "Great for Christmas and for English summers.", ()),
    (RUCKSACK, "Charge by USB, find your way by GPS.", ()),
    (REPLY, "Dear Priya,\nthank you for your patience.", ()),
    (REPLY, "Dear Ms Natarajan,\nthank you for your patience.", ()),
    (REPLY, "Dear Sandra,\nthank you for your patience.", ("Sandra",)),
    (REPLY, "Kind regards,\nHarbour & Pine", ()),
    (REPLY, "Your parcel is with Quickhaul, our carrier.", ("Quickhaul",)),
    (REPLY, "I spoke with Tom Okafor in our warehouse.", ("Tom Okafor",)),
    (REPLY, "Go to “Order History” and choose “Contact Us”.", ()),
    (REPLY, "Our Customer Service team will call.", ()),
    (REPLY, "Hello [Customer Name], your parcel left.", ()),
    (PLAIN, "Founded by Ada Thornbury.", ()),
    (PLAIN, "Founded by Ada Winterbourne.", ("Ada Winterbourne",)),
    (PLAIN, "Our founder, Ada, still fires the kiln.", ()),
    (PLAIN, "As seen in the Yorkshire Gazette.", ("Yorkshire Gazette",)),
    (PLAIN, "Our Promise: a mug for life.", ()),
    (PLAIN, "New Mugs Are Here\n\nCome and see them.", ()),
    (PLAIN, "Follow us on Instagram.", ("Instagram",)),
    ("Write about our kiln in Whitby.", "The Kiln is warm today.", ()),
    ("Describe the trail boots.", "Trail Boots for every path.", ()),
    (PLAIN, "Fired in the iKiln 3000.", ("iKiln", "3000")),
    ("Describe the XR-200 drill.", "The XR-200 drills through anything.", ()),
    ("Describe the XR-200 drill.", "The XR-300 drills through anything.", ("XR-300",)),
    (PLAIN, "The café in São Paulo loves them.", ("São Paulo",)),
    # What is hard: a name that opens a sentence, an ordinary word as a name, a name in a headline
    (RUCKSACK, "Kestrel makes the best rucksacks.", ("Kestrel",)),
    (RUCKSACK, "PackMaster makes the best rucksacks.", ("PackMaster",)),
    (RUCKSACK, "The colour is called Lagoon.", ("Lagoon",)),
    (RUCKSACK, "Our friends at Apple love it.", ("Apple",)),
    (RUCKSACK, "Compatible with iPhone and Kindle.", ("iPhone", "Kindle")),
    (RUCKSACK, "THE SALE IS ON. HURRY.", ()),
    (RUCKSACK, "It is THE pack to have.", ()),
    (RUCKSACK, "Half the weight, twice the room.", ()),
    (RUCKSACK, "Winner of the Red Dot Award.", ("Red Dot Award",)),
    (RUCKSACK, "Loved by climbers from Oslo to Cape Town.", ("Oslo", "Cape Town")),
    (RUCKSACK, "Ask for it at Fell & Co.", ("Fell & Co",)),
    (RUCKSACK, "Size M fits most, size L fits all.", ()),
    (REPLY, "Thanks for reaching out, Priya! We're on it.", ()),
    (REPLY, "Your order has left our warehouse in Leeds.", ("Leeds",)),
    # Addresses, e-mails, phone numbers, links
    (PLAIN, "Visit us at 12 High Street.", ()),
    (PLAIN, "Visit us at 12 High St, Whitby.", ()),
    (PLAIN, "Visit us at 14 High Street.", ("14 High Street",)),
    (PLAIN, "Visit us at 7 Abbey Lane.", ("7 Abbey Lane",)),
    (PLAIN, "The postcode is YO22 4JT.", ("YO22 4JT",)),
    ("Our postcode is YO22 4JT.", "Find us at YO22 4JT.", ()),
    (PLAIN, "Write to hello@harbourpine.example.", ()),
    (PLAIN, "Write to Hello@HarbourPine.example.", ()),
    (PLAIN, "Write to hello (at) harbourpine.example.", ()),
    (PLAIN, "Write to sales (at) harbourpine.example.", ("sales (at) harbourpine.example",)),
    ("Write to hello [at] wool [dot] example", "Write to hello@wool.example.", ()),
    ("Our shop: Calle Mayor 23.", "Visit us at Calle Mayor 32.", ("Calle Mayor 32",)),
    ("Our shop: 12 rue des fleurs.", "Visit us at 21 rue des fleurs.", ("21 rue des fleurs",)),
    ("Our shop: Lange Str. 5.", "Visit us at Lange Straße 5.", ()),
    (PLAIN, "Write to support@harbourpine.example.", ("support@harbourpine.example",)),
    (PLAIN, "Call +44 20 7946 0018.", ()),
    (PLAIN, "Call 020 7946 0018.", ()),
    (PLAIN, "Call (020) 7946-0018.", ()),
    (PLAIN, "Call 020 7946 0019.", ("020 7946 0019",)),
    (PLAIN, "Call 0800 123 4567.", ("0800 123 4567",)),
    (PLAIN, "See www.harbourpine.co.uk.", ()),
    (PLAIN, "See harbourpine.co.uk for more.", ()),
    (PLAIN, "See https://harbourpine.co.uk/.", ()),
    (PLAIN, "See harbourpine.co.uk/sale for more.", ("harbourpine.co.uk/sale",)),
    (PLAIN, "See www.mugworld.com.", ("www.mugworld.com",)),
    ("Link to https://ex.am/ple?a=1.", "Look: https://ex.am/ple?a=1", ()),
    # Several at once, and none at all
    (RUCKSACK, "Save 15% until 3 June: £24.65.", ("15%", "3 June", "£24.65")),
    (RUCKSACK, "20 litres, £29, and a two-year warranty.", ()),
    (RUCKSACK, "The 30-litre Fell, in Lagoon Blue, for £39.", ("30-litre", "Lagoon Blue", "£39")),
    (REPLY, "We refund £18 by Tuesday and add 10% off.", ("£18", "10%")),
    (PLAIN, "", ()),
    (PLAIN, "A mug. Your mug. Made by hand, made for mornings.", ()),
    (PLAIN, "Nothing warms like tea, and nothing holds tea like clay.", ()),
    (PLAIN, "Unsere neuen Tassen sind da und sie halten den Tee in der Küche lange warm.", ()),
)


def facts() -> list[Fact]:
    return [Fact(name=name, value=value) for name, value in SHEET]


def find_texts(prompt: str, answer: str) -> list[str]:
    return [claim.text for claim in find_unsupported(answer, prompt, facts())]


def test_precision_and_recall_on_the_labelled_cases_are_above_nine_tenths(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hits = wrong = missed = 0
    lines = []
    for prompt, answer, expected in CASES:
        found = find_texts(prompt, answer)
        hits += sum(text in expected for text in found)
        wrong += sum(text not in expected for text in found)
        missed += sum(text not in found for text in expected)
        if sorted(found) != sorted(expected):
            lines.append(f"  {answer!r}: found {found}, expected {list(expected)}")
    precision, recall = hits / (hits + wrong), hits / (hits + missed)
    with capsys.disabled():
        print(
            f"\nfacts: {len(CASES)} cases, precision {precision:.3f}, recall {recall:.3f}", *lines, sep="\n"
        )
    assert len(CASES) >= 150
    assert precision > 0.9
    assert recall > 0.9


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("Yours for £29.00 today", "price", "£29.00"),
        ("about 29 pounds", "price", "29 pounds"),
        ("save 20 % now", "percentage", "20 %"),
        ("room for 20L", "measure", "20L"),
        ("in 3–5 days", "measure", "3–5 days"),
        ("with 14 channels", "number", "14"),
        ("since 1987", "date", "1987"),
        ("on 5 March 2026", "date", "5 March 2026"),
        ("until 8pm", "time", "8pm"),
        ("by the potter Ada Thornbury", "name", "Ada Thornbury"),
        ("at 12 High Street", "address", "12 High Street"),
        ("at Hauptstraße 12", "address", "Hauptstraße 12"),
        ("to a.b@shop.example", "e-mail", "a.b@shop.example"),
        ("call +44 20 7946 0018", "phone", "+44 20 7946 0018"),
        ("see shop.com/a", "link", "shop.com/a"),
        ("the years 1858-1917 were loud", "number", "1858-1917"),
    ],
)
def test_each_kind_of_claim_is_told_from_the_others(text: str, kind: ClaimKind, written: str) -> None:
    [claim] = find_claims(text)
    assert (claim.kind, claim.text) == (kind, written)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=80))
def test_any_text_gives_claims_that_stand_where_they_say(text: str, prompt: str) -> None:
    for claim in find_unsupported(text, prompt, facts()):
        assert text[claim.start : claim.end] == claim.text
        assert claim.text


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CASES))
def test_a_text_that_is_its_own_brief_claims_nothing_new(case: tuple[str, str, Sequence[str]]) -> None:
    assert find_unsupported(case[1], case[1], []) == []


def test_claims_never_overlap() -> None:
    for _, answer, _ in CASES:
        claims = find_claims(answer)
        assert all(one.end <= other.start for one, other in pairwise(claims))


def test_a_fact_sheet_without_headings_keeps_its_first_row() -> None:
    table = read_file(b"Brand;Harbour and Pine\nDelivery;3 to 5 working days\n", "facts.csv")
    assert [fact.name for fact in read_facts(table)] == ["Brand", "Delivery"]


def test_a_fact_sheet_is_read_from_a_small_table() -> None:
    table = read_file(b"Fact;What is true\nDelivery;3 to 5 days\nEmpty;\n;Wool only\n", "facts.csv")
    assert read_facts(table) == [
        Fact(name="Delivery", value="3 to 5 days"),
        Fact(name="", value="Wool only"),
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("Fact\nDelivery\n", "two columns"),
        ("Fact,Value\n" + "".join(f"f{row},{row}\n" for row in range(2_001)), "2,001 rows"),
        ("Fact,Value\nStory," + "long " * 500 + "\n", "Row 2 of the fact sheet is too long"),
    ],
)
def test_a_table_that_is_no_fact_sheet_is_refused_with_the_reason(table: str, said: str) -> None:
    with pytest.raises(EngineFailure, match=said):
        read_facts(read_file(table.encode(), "facts.csv"))
