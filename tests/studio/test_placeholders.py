"""A slot that nobody filled in is found, and a writer's own brackets are left in peace."""

import pytest

from studio.placeholders import find_placeholder

SLOTS = [
    ("Dear [INSERT NAME], welcome back.", "[INSERT NAME]"),
    ("Hi [Name], it is time.", "[Name]"),
    ("Hello [First Name]!", "[First Name]"),
    ("Yours, [Your Company]", "[Your Company]"),
    ("Order [ORDER_NUMBER] is on its way.", "[ORDER_NUMBER]"),
    ("Meet us in [city] on [date].", "[city]"),
    ("Get [X]% off today.", "[X]"),
    ("Write to [insert the e-mail of the shop].", "[insert the e-mail of the shop]"),
    ("See [add link here] for more.", "[add link here]"),
    ("Dear {{first_name}}, hello.", "{{first_name}}"),
    ("Your {{Order Number}} has shipped.", "{{Order Number}}"),
    ("Hi {name}, we missed you.", "{name}"),
    ("Hi {FirstName}!", "{FirstName}"),
    ("Hello ${customer.name}.", "${customer.name}"),
    ("Dear %FIRST_NAME%, thanks.", "%FIRST_NAME%"),
    ("Dear *|FNAME|*, thanks.", "*|FNAME|*"),
    ("Hello %%First Name%%.", "%%First Name%%"),
    ("Dear <<Customer>>, thanks.", "<<Customer>>"),
    ("Buy <Product Name> now.", "<Product Name>"),
    ("Lorem ipsum dolor sit amet.", "Lorem ipsum"),
    ("Price: TBD, ask us.", "TBD"),
    ("TODO: find a better line.", "TODO"),
    ("Call us on XXX-XXXX.", "XXX"),
    ("Signed: ________", "________"),
    ("Kind regards, Firstname Lastname", "Firstname Lastname"),
    ("See [[link]] below.", "[[link]]"),
]
PROSE = [
    "Pick [one] of three and rest.",
    "“We was [sic] there first.”",
    "As studies show [1], [2].",
    "[SOLD OUT] Back in May.",
    "[NEW] The wool beanie.",
    "He said [laughs] it was fine.",
    "[Link in bio] and more to come.",
    "The set {1, 2, 3} is closed.",
    "Sizes XS to XXXL, all in stock.",
    "Love <3 from all of us.",
    "5 < 7 and 9 > 2, as we know.",
    "50% off and 20% more.",
    "A to-do list, to be done by noon.",
    "Masked as [e-mail] or [phone number] or [address].",
    "We [the makers] promise.",
    "snake_case and __init__ are for coders.",
    "The XX factor, on the XX of May.",
]


@pytest.mark.parametrize(("text", "slot"), SLOTS)
def test_a_slot_is_found_as_it_stands(text: str, slot: str) -> None:
    assert find_placeholder(text) == slot


@pytest.mark.parametrize("text", PROSE)
def test_brackets_that_are_meant_are_left_in_peace(text: str) -> None:
    assert find_placeholder(text) is None
