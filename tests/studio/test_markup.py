"""What was copied from a web page reads as it was meant, and what only looks like it stays."""

import pytest

from studio.markup import find_markup, strip_markup

PAGES = [
    ("Big news<br>for all of you.", "Big news\nfor all of you."),
    ("One<br />two<BR/>three", "One\ntwo\nthree"),
    ("<p>First.</p><p>Second.</p>", "First.\n\nSecond."),
    ("<p>First.</p>\n<p>Second.</p>", "First.\n\nSecond."),
    ('A <b>bold</b> <a href="https://example.com?a=1&b=2">link</a>.', "A bold link."),
    ("<ul><li>Warm</li><li>Dry</li></ul>", "Warm\nDry"),
    ("Bed &amp; breakfast", "Bed & breakfast"),
    ("20&nbsp;€ &ndash; today&hellip;", "20 € – today…"),
    ("It&#39;s &#8220;ours&#8221;", "It's “ours”"),
    ("It&#x27;s here", "It's here"),
    ("&lt;br&gt;Hello", "Hello"),
    ("Salt &amp;amp; pepper", "Salt & pepper"),
    ("<style>p{color:red}</style>Hello", "Hello"),
    ("Before<!-- secret -->after", "Beforeafter"),
    ('<span style="font-family:Arial">Warm ears.</span>', "Warm ears."),
]
PROSE = [
    "We <3 you, and 5 < 7 > 2.",
    "R&D made it; we love it;",
    "Ask AT&T; they know.",
    "Fill in <your name> here.",
    "Salt & pepper; both.",
    "if a<b and c>d",
]


@pytest.mark.parametrize(("text", "plain"), PAGES)
def test_the_plain_text_is_kept(text: str, plain: str) -> None:
    assert find_markup(text) is not None
    assert strip_markup(text) == plain
    assert find_markup(plain) is None


@pytest.mark.parametrize("text", PROSE)
def test_what_only_looks_like_markup_stays(text: str) -> None:
    assert find_markup(text) is None
    assert strip_markup(text) == text
